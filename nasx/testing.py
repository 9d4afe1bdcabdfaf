"""Conformance tests for plug-ins: what a search space, a predictor or a strategy has to get right."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nasx.testing_spaces import check_search_space
from nasx.verdicts import verdict

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
    if isinstance(make, type) or not callable(make):
        raise AssertionError(
            "check_strategy takes a function that makes the strategy, such as "
            "lambda space, rng: MyStrategy(space, rng=rng), and a space"
        )
    from nasx.testing_strategies import StrategyCheck

    StrategyCheck(make, space).run()


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
    from nasx import testing_predictors
    from nasx.predictors.base import Predictor

    if isinstance(predictor, type):
        raise AssertionError(f"check_predictor takes a predictor, not its class; call it: {predictor.__name__}()")
    if not isinstance(predictor, Predictor):
        raise AssertionError(f"a predictor is an object of a subclass of Predictor; got {predictor!r:.60}")
    testing_predictors.check_constructor(predictor)
    with verdict(type(predictor).__name__, testing_predictors.__file__):
        testing_predictors.PredictorCheck(predictor).run()
