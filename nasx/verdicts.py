"""What a conformance test says when a plug-in raises: which of its methods did, in one sentence."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from nasx.search_spaces.errors import UsageError


@contextmanager
def verdict(subject: str, file: str) -> Iterator[None]:
    """Turns whatever a plug-in raises under it into an ``AssertionError`` of one sentence.

    Args:
        subject: What is tested.
        file: The file of the test: its own assertions stay as they are.

    Raises:
        AssertionError: If anything was raised.

    >>> with verdict("my space", __file__):
    ...     int("x")
    Traceback (most recent call last):
    AssertionError: my space raised ValueError: invalid literal for int() with base 10: 'x'
    """
    try:
        yield
    except Exception as error:  # whatever the methods of a plug-in raise
        frames = traceback.extract_tb(error.__traceback__)
        ours = [place for place, frame in enumerate(frames) if frame.filename == file]
        if isinstance(error, AssertionError) and ours and ours[-1] == len(frames) - 1:
            raise
        if isinstance(error, UsageError):
            raise AssertionError(str(error)) from error
        called = frames[ours[-1] + 1].name if ours and ours[-1] + 1 < len(frames) else "<module>"
        method = subject if called.startswith("<") else f"{called} of {subject}"
        said = " ".join(str(error).split())[:300]
        raise AssertionError(f"{method} raised {type(error).__name__}{': ' if said else ''}{said}") from error
