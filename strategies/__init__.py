"""Search strategies: who proposes the next architecture. Importing this package is cheap."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.plugins import Plugins, made

if TYPE_CHECKING:
    import numpy as np

    from nasx.search_spaces.space import SearchSpace
    from nasx.strategies.base import Direction, Strategy

#: name -> (module, class, one line)
STRATEGIES = {
    "evolution": ("regularized_evolution", "RegularizedEvolution", "regularized evolution (Real et al., 2019)"),
    "local-search": ("local_search", "LocalSearch", "hill climbing with restarts (White et al., 2021)"),
    "nsga2": ("nsga2", "NSGA2", "NSGA-II, for several objectives (Deb et al., 2002)"),
    "random": ("random_search", "RandomSearch", "independent uniform samples"),
    "tpe": ("optuna_sampler", "OptunaSampler", "Optuna's TPE; any other sampler as optuna:NAME"),
}


PLUGINS = Plugins("strategy", "nasx.strategies", STRATEGIES)
"""Strategies that others have added; see :mod:`nasx.search_spaces.plugins`."""


def register_strategy(name: str, factory: type[Strategy] | str, line: str | None = None) -> None:
    """Makes a strategy of your own known by name to everything in this program.

    Args:
        name: The name; registering it again replaces what it stood for.
        factory: A subclass of :class:`nasx.strategies.base.Strategy`, or its address
            ``"my_package.my_module:MyStrategy"``, imported when it is first needed.
        line: What it is, in one line; by default the first line of its documentation.

    Raises:
        UsageError: If the name belongs to a strategy of nasx itself, or is none.

    >>> from nasx.strategies.random_search import RandomSearch
    >>> class Cautious(RandomSearch):
    ...     "Random search, but slower."
    >>> register_strategy("cautious", Cautious)
    >>> strategy_class("cautious")[0].__name__
    'Cautious'
    >>> PLUGINS.unregister("cautious")
    """
    PLUGINS.register(name, factory, line)


def available() -> list[tuple[str, str]]:
    """Names and one-line descriptions of the strategies; the line of a plug-in says where it comes from."""
    return [*((name, line) for name, (_, _, line) in STRATEGIES.items()), *PLUGINS.listing()]


def strategy_class(name: str) -> tuple[type[Strategy], dict[str, Any]]:
    """The class behind a strategy's name, and the options the name implies.

    Args:
        name: One of :data:`STRATEGIES`, ``optuna:NAME`` with the name of a sampler class of Optuna, or where to import
            a class of your own from: ``"my_package.my_module:MyStrategy"``.

    Raises:
        UsageError: If there is no such strategy, or the name leads to something else.
    """
    options: dict[str, Any] = {}
    if name.startswith("optuna:"):
        name, options = "tpe", {"sampler": name.removeprefix("optuna:")}
    if name not in STRATEGIES:
        return _plugin_class(name), options
    module, cls, _ = STRATEGIES[name]
    return getattr(import_module(f"nasx.strategies.{module}"), cls), options


def _plugin_class(name: str) -> type[Strategy]:
    from nasx.strategies.base import Strategy

    found = PLUGINS.find(name, more=["optuna:SamplerName"])
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise UsageError(
            f"the strategy '{name}' is {found!r:.80}; it must be a subclass of nasx.strategies.base.Strategy"
        )
    return found


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
    arguments = {**inner_options, **implied, **options}
    if cls.__module__.startswith("nasx."):
        return cls(space, rng=rng, direction=direction, **arguments)
    from nasx.strategies.base import Strategy

    return made(cls, Strategy, "strategy", name, lambda kind: kind(space, rng=rng, direction=direction, **arguments))  # type: ignore[type-abstract]
