"""Signs of life: every worker of a shared study gives one now and then, and notices whose have stopped."""

from __future__ import annotations

import os
import platform
import threading
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna

PREFIX = "nasx:worker:"
_SILENT = 6  # heartbeats missed in a row before a worker counts as dead


class Watch:
    """Who has been silent for too long, by the watcher's own clock: the clocks of two machines need not agree.

    A worker counts its heartbeats; the watcher notes when a count last changed. Only time in which the watcher looked
    counts: after a pause of its own, or of the database, nobody is dead who has not been silent since.

    >>> watch = Watch()
    >>> watch.look({"a": {"beat": 1, "every": 1.0}}, now=0.0)
    >>> for second in range(1, 8):
    ...     watch.look({"a": {"beat": 1, "every": 1.0}, "b": {"beat": second, "every": 1.0}}, now=second)
    >>> watch.dead("a"), watch.dead("b"), watch.dead("never heard of")
    (True, False, True)
    """

    def __init__(self) -> None:
        self._beats: dict[str, Any] = {}
        self._silent: dict[str, float] = {}
        self._dead: set[str] = set()
        self._last: float | None = None

    def look(self, signs: Mapping[str, Mapping[str, Any]], now: float) -> None:
        """Takes note of everybody's signs of life.

        Args:
            signs: Worker -> ``beat`` (a count), ``every`` (seconds between two), perhaps ``left``.
            now: Seconds of the watcher's clock.
        """
        passed = 0.0 if self._last is None else now - self._last
        self._last = now
        for worker, sign in signs.items():
            every = float(sign["every"])
            changed = self._beats.get(worker) != sign["beat"]
            self._beats[worker] = sign["beat"]
            self._silent[worker] = 0.0 if changed else self._silent.get(worker, 0.0) + min(passed, 2 * every)
            if sign.get("left") or self._silent[worker] >= _SILENT * every:
                self._dead.add(worker)
            else:
                self._dead.discard(worker)

    def knows(self, worker: str) -> bool:
        """Whether a worker was ever heard of."""
        return worker in self._beats

    def dead(self, worker: str) -> bool:
        """Whether a worker has left, or been silent for six of its heartbeats. Who never gave a sign is dead too."""
        return worker in self._dead or worker not in self._beats


class Heart:
    """Gives a sign of life in a study every few seconds, from a thread, and watches those of the others.

    Args:
        study: The study; a worker's count is one of its user attributes.
        every: Seconds between two heartbeats; 0 for a worker that shares its study with nobody: all others are dead.
    """

    def __init__(self, study: optuna.Study, every: float) -> None:
        self.worker = f"{platform.node()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.every = every
        self._study, self._watch, self._lock = study, Watch(), threading.Lock()
        self._stop = threading.Event()
        self._count = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Gives the first sign, then one every few seconds."""
        if self.every > 0:
            self._beat()
            self._thread = threading.Thread(target=self._run, name="nasx-heartbeat", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Says that this worker leaves."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=self.every)
            self._beat(left=True)

    def dead(self, worker: str) -> bool:
        """Whether another worker has left or died."""
        if worker == self.worker:
            return False
        if self.every <= 0:
            return True
        with self._lock:
            known = self._watch.knows(worker)
        if not known:  # it has joined since the last look: a worker gives a sign before it claims anything
            self._look()
        with self._lock:
            return self._watch.dead(worker)

    def _run(self) -> None:
        while not self._stop.wait(self.every):
            try:
                self._beat()
            except Exception:  # the storage is away; whoever needs a result from it says so
                continue

    def _beat(self, *, left: bool = False) -> None:
        self._count += 1
        sign = {"beat": self._count, "every": self.every, **({"left": True} if left else {})}
        self._study.set_user_attr(PREFIX + self.worker, sign)
        self._look()

    def _look(self) -> None:
        attributes = self._study.user_attrs
        signs = {name.removeprefix(PREFIX): sign for name, sign in attributes.items() if name.startswith(PREFIX)}
        with self._lock:
            self._watch.look(signs, time.monotonic())
