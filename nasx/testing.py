"""Conformance tests for plug-ins: what a search space, a predictor or a strategy has to get right."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nasx.search_spaces.errors import UsageError
from nasx.testing_spaces import check_search_space

if TYPE_CHECKING:
    import numpy as np

    from nasx.predictors.base import Predictor
    from nasx.search_spaces.space import SearchSpace
    from nasx.strategies.base import Strategy

__all__ = ["check_predictor", "check_search_space", "check_strategy"]


def check_strategy(make: Callable[[SearchSpace, np.random.Generator], Strategy], space: SearchSpace) -> None:
    """Checks that a strategy keeps the contract of :class:`nasx.strategies.base.Strategy`.

    Args:
        make: Makes a fresh strategy from a space and a generator.
        space: A space to try it on.

    Raises:
        AssertionError: With a sentence that names the method at fault.

    >>> from nasx.search_spaces.nasbench201 import NASBench201
    >>> from nasx.strategies.random_search import RandomSearch
    >>> check_strategy(lambda space, rng: RandomSearch(space, rng=rng), NASBench201())
    """
    import numpy as np

    def run(seed: int, *, silent_after: int = 99) -> list[Any]:
        strategy = make(space, np.random.default_rng(seed))
        asked: list[Any] = []
        for turn in range(8):
            architectures = strategy.ask(5)
            assert len(architectures) == 5, f"ask(5) returned {len(architectures)} architectures; return exactly n"
            for architecture in architectures:
                assert space.is_valid(architecture), f"ask proposed {architecture!r}, which is not in {space.name}"
            values = [float(space.index(a) % 97) if space.size else float(len(space.format(a))) for a in architectures]
            if turn == 2:
                values[0] = float("nan")
            if turn < silent_after:
                strategy.tell(architectures, values)
            asked += architectures
        return asked

    assert run(0) == run(0), "two runs from the same generator differ; draw every random number from self.rng"
    assert run(0) != run(1), "runs from different generators are equal; draw random numbers from self.rng"
    run(2, silent_after=0)
    strategy = make(space, np.random.default_rng(3))
    known = space.samples(6, np.random.default_rng(4))
    strategy.warm_start(known, [float(i) for i in range(6)])
    assert len(strategy.ask(3)) == 3, "after warm_start, ask(3) does not return 3 architectures"
    strategy.tell([], [])
    try:
        strategy.tell(known, [1.0])
    except UsageError:
        return
    raise AssertionError("tell accepts a different number of values than architectures; raise UsageError")


def check_predictor(predictor: Predictor) -> None:
    """Checks that a predictor keeps the contract of :class:`nasx.predictors.base.Predictor`.

    It is fitted about fifteen times on a few dozen small graphs; give it options that make it quick.

    Args:
        predictor: An unfitted predictor; it stays as it is, copies of it are tried.

    Raises:
        AssertionError: With a sentence that names the method at fault.

    >>> from nasx.predictors import make_predictor
    >>> check_predictor(make_predictor("trees", trees=20))
    """
    from nasx.testing_predictors import PredictorCheck

    PredictorCheck(predictor).run()
