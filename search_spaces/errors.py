"""The two errors a user may see, and how their one sentence is built."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MANY = 60  # names from which on a list no longer helps


class NasxError(Exception):
    """Something failed; the message is one sentence that says what to do. The command line exits with 1."""

    exit_code = 1


class UsageError(NasxError, ValueError):
    """Something was asked for wrongly (unknown name, malformed text, wrong shape). The command line exits with 2."""

    exit_code = 2


def unknown(kind: str, name: object, known: Iterable[str]) -> UsageError:
    """Builds the error for a name that does not exist; of very many names that do, it lists a dozen near ones.

    Args:
        kind: What was looked for, for example ``"predictor"``.
        name: What the user typed.
        known: Every name that would have worked.

    Returns:
        The error, ready to be raised: it lists what exists and guesses what was meant.

    >>> str(unknown("strategy", "evolutoin", ["evolution", "random"]))
    "unknown strategy 'evolutoin'; known: evolution, random (did you mean 'evolution'?)"
    """
    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    listed = ", ".join(names) or "none"
    if len(names) > _MANY:
        near = difflib.get_close_matches(str(name), names, n=12, cutoff=0.0)
        listed = f"{', '.join(near)} and {len(names) - len(near)} more"
    return UsageError(f"unknown {kind} '{name}'; known: {listed}{hint}")
