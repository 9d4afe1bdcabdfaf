"""What ``nasx search`` searches: a benchmark, or a space with an objective of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nasx.metrics import check_direction
from nasx.search_spaces.errors import UsageError

if TYPE_CHECKING:
    from nasx.benchmark import Benchmark
    from nasx.search_spaces.space import SearchSpace
    from nasx.strategies.base import Direction

_OF_BENCHMARKS = ("benchmark", "dataset", "target", "rank_against")


@dataclass(frozen=True)
class Subject:
    """A space and what is to be found in it.

    Attributes:
        name: What it is called, for folders.
        space: The search space.
        objective: A benchmark, or a function ``architecture -> float``.
        direction: Which end is good; None where the benchmark knows.
        free: Whether evaluations cost nothing, so that a second search for comparison may be made.
    """

    name: str
    space: SearchSpace
    objective: Benchmark | Callable[[Any], float]
    direction: Direction | None
    free: bool


def subject_of(options: Mapping[str, Any], typed: Collection[str]) -> Subject:
    """Finds out what is searched.

    Args:
        options: The options of ``nasx search``.
        typed: The names of those that were given.

    Raises:
        UsageError: If they do not fit together, or name something that is not there.
    """
    if options.get("objective") is None:
        return _benchmark(options)
    wrong = [name for name in _OF_BENCHMARKS if name in typed]
    if wrong:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in wrong)
        raise UsageError(f"{flags} belongs to a benchmark, --objective takes the place of one; leave one of them out")
    if options["space"] is None:
        raise UsageError(
            "say which space the objective is searched in, with --space: a name (nasx spaces) or my_module:MySpace"
        )
    from nasx.search_spaces import get_search_space
    from nasx.search_spaces.plugins import is_address, load_address

    address = options["objective"]
    if not is_address(address):
        raise UsageError(f"'{address}' is no address of an objective; write it my_module:function")
    direction = check_direction(options["direction"] or "maximize")
    space = get_search_space(options["space"])
    objective = load_address(address, "objective")
    if not callable(objective):
        raise UsageError(
            f"the objective '{address}' is {objective!r:.80}; it must be a function architecture -> number"
        )
    return Subject(space.name, space, objective, direction, free=False)


def _benchmark(options: Mapping[str, Any]) -> Subject:
    from nasx.benchmark import load_benchmark

    if options.get("direction") is not None:
        raise UsageError("--direction belongs to --objective; a benchmark knows which end of its metrics is good")
    truth = load_benchmark(
        options["benchmark"],
        dataset=options["dataset"],
        space=options["space"],
        target=options["target"],
        rank_against=options["rank_against"],
    )
    return Subject(truth.name, truth.space, truth, None, free=True)
