"""Ctrl-C in a terminal reaches every process there: workers end without a word, also those that are just starting."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

_CAN_BLOCK = hasattr(signal, "pthread_sigmask")  # not on Windows


@contextmanager
def deaf_children() -> Iterator[None]:
    """Threads and processes that are started within it do not hear SIGINT, nor do those that these start."""
    if not _CAN_BLOCK:
        yield
        return
    resource_tracker.ensure_running()  # where it starts itself later, Python 3.11 unblocks SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def hear_again() -> None:
    """Called in a worker that is ready: SIGINT ends it silently, and what its tasks start hears SIGINT as usual."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if _CAN_BLOCK:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
