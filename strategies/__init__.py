"""Search strategies: who proposes the next architecture. Importing this package is cheap."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nasx.search_spaces.errors import unknown

if TYPE_CHECKING:
    import numpy as np

    from nasx.search_spaces.space import SearchSpace
    from nasx.strategies.base import Direction, Strategy

#: name -> (module, class, one line)
STRATEGIES = {
    "evolution": ("regularized_evolution", "RegularizedEvolution", "regularized evolution (Real et al., 2019)"),
    "local-search": ("local_search", "LocalSearch", "hill climbing with restarts (White et al., 2021)"),
    "random": ("random_search", "RandomSearch", "independent uniform samples"),
    "tpe": ("optuna_sampler", "OptunaSampler", "Optuna's TPE; any other sampler as optuna:NAME"),
}


def available() -> list[tuple[str, str]]:
    """Names and one-line descriptions of the strategies."""
    return [(name, line) for name, (_, _, line) in STRATEGIES.items()]


def strategy_class(name: str) -> tuple[type[Strategy], dict[str, Any]]:
    """The class behind a strategy's name, and the options the name implies.

    Args:
        name: One of :data:`STRATEGIES`, or ``optuna:NAME`` with the name of a sampler class of Optuna.

    Raises:
        UsageError: If there is no such strategy.
    """
    options: dict[str, Any] = {}
    if name.startswith("optuna:"):
        name, options = "tpe", {"sampler": name.removeprefix("optuna:")}
    if name not in STRATEGIES:
        raise unknown("strategy", name, [*STRATEGIES, "optuna:SamplerName"])
    module, cls, _ = STRATEGIES[name]
    return getattr(import_module(f"nasx.strategies.{module}"), cls), options


def make_strategy(
    name: str,
    space: SearchSpace,
    *,
    rng: np.random.Generator,
    direction: Direction = "maximize",
    inner: bool = False,
    **options: Any,
) -> Strategy:
    """Makes a strategy from its name.

    Args:
        name: See :func:`strategy_class`.
        space: The search space.
        rng: The only source of randomness.
        direction: Whether larger or smaller values are better.
        inner: Whether it will search against a predictor, where thousands of values are cheap.
        options: Keyword arguments of the strategy's class.

    Raises:
        UsageError: If there is no such strategy.
    """
    cls, implied = strategy_class(name)
    inner_options = cls.inner_options if inner else {}
    return cls(space, rng=rng, direction=direction, **{**inner_options, **implied, **options})
