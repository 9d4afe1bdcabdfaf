"""What a search tells about itself while it runs, and where its seconds go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """What a progress callback is told.

    Attributes:
        phase: What is going on: ``"evaluating"``, ``"fitting"``, ``"proposing"`` or ``"ranking"``; with several workers
            also ``"waiting"`` for evaluations of others, and ``"storage away"``.
        done: Evaluations finished.
        budget: Evaluations allowed.
        best: Best value so far; NaN before the first.
    """

    phase: str
    done: int
    budget: int
    best: float


class Stopwatch:
    """Adds up the seconds spent under each name."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.seconds: dict[str, float] = {"fit": 0.0, "score": 0.0}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Times the block under it."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    @property
    def total(self) -> float:
        """Seconds since the watch was made."""
        return time.perf_counter() - self.start
