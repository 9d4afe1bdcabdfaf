"""What a strategy has to get right; see `nasx.testing.check_strategy`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.space import SearchSpace
from nasx.strategies.base import Strategy
from nasx.verdicts import verdict


class StrategyCheck:
    """Tries fresh strategies on a space, with values that depend on the architecture alone.

    Args:
        make: Makes a fresh strategy from a space and a generator.
        space: The space to try it on.
    """

    def __init__(self, make: Callable[[SearchSpace, np.random.Generator], Strategy], space: SearchSpace) -> None:
        self._make, self.space = make, space

    def run(self) -> None:
        """Runs every check."""
        with verdict(type(self.made(0)).__name__, __file__):
            self.check_randomness()
            self.asked(2, silent_after=0)
            self.check_telling()

    def made(self, seed: int) -> Strategy:
        """A fresh strategy."""
        with verdict("the function that makes the strategy", __file__):
            strategy = self._make(self.space, np.random.default_rng(seed))
            assert isinstance(strategy, Strategy), f"the function made {strategy!r:.60}, which is no Strategy"
            for name in ("space", "rng", "direction"):
                assert hasattr(strategy, name), (
                    f"{type(strategy).__name__} has no {name}; its __init__ must call super().__init__(space, rng=rng)"
                )
        return strategy

    def asked(self, seed: int, *, silent_after: int = 99) -> list[Any]:
        """Everything a strategy proposes in eight turns; it is told nothing more after some of them."""
        strategy, space = self.made(seed), self.space
        everything: list[Any] = []
        for turn in range(8):
            architectures = strategy.ask(5)
            assert isinstance(architectures, list), (
                f"ask(5) returned {architectures!r:.60}; return a list of 5 architectures"
            )
            assert len(architectures) == 5, f"ask(5) returned {len(architectures)} architectures; return exactly n"
            for architecture in architectures:
                assert space.is_valid(architecture), f"ask proposed {architecture!r}, which is not in {space.name}"
            values = [float(space.index(a) % 97) if space.size else float(len(space.format(a))) for a in architectures]
            if turn == 2:
                values[0] = float("nan")
            if turn < silent_after:
                strategy.tell(architectures, values)
            everything += architectures
        return everything

    def check_randomness(self) -> None:
        """The generator decides everything."""
        first = self.asked(0)
        assert first == self.asked(0), (
            "two runs from the same generator differ; draw every random number from self.rng, and keep nothing in the "
            "class"
        )
        assert first != self.asked(1), "runs from different generators are equal; draw random numbers from self.rng"

    def check_telling(self) -> None:
        """It starts from what is known, from nothing, and not from what does not fit together."""
        strategy = self.made(3)
        known = self.space.samples(6, np.random.default_rng(4))
        strategy.warm_start(known, [float(i) for i in range(6)])
        assert len(strategy.ask(3)) == 3, "after warm_start, ask(3) does not return 3 architectures"
        strategy.tell([], [])
        try:
            strategy.tell(known, [1.0])
        except UsageError:
            return
        raise AssertionError("tell accepts a different number of values than architectures; raise UsageError")
