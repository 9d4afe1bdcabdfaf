"""When memory runs out: smaller batches, and in the end a sentence."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeVar

from nasx.search_spaces.errors import NasxError

T = TypeVar("T")

_SIGNS = ("not enough memory", "can't allocate memory", "out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a device or on the CPU.

    >>> is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."))
    True
    >>> is_out_of_memory(RuntimeError("shapes do not match"))
    False
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)


def halving(attempt: Callable[[int], T], size: int, what: str) -> T:
    """Calls `attempt(size)`, and with half the size again each time that memory runs out.

    Args:
        attempt: Does the work in batches of the size it is given.
        size: Where to start.
        what: What a batch holds, for the messages: "graphs a training batch".

    Raises:
        NasxError: If memory runs out with batches of one.

    >>> def attempt(size):
    ...     if size > 3:
    ...         raise MemoryError
    ...     return size
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     halving(attempt, 16, "graphs a batch")
    2
    """
    started = size
    while True:
        try:
            found = attempt(size)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if size <= 1:
                raise NasxError(
                    f"memory ran out with one of the {what}; use a smaller model, smaller graphs or device='cpu'"
                ) from error
        else:
            if size < started:
                warnings.warn(f"memory ran out: {size} instead of {started} {what}", stacklevel=3)
            return found
        size = max(size // 2, 1)
        _release()


def _release() -> None:
    """Gives memory that nothing uses any more back to the device."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
