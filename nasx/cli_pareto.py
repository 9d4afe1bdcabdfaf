"""``nasx search`` with several objectives, or with limits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasx.search_spaces.errors import UsageError

if TYPE_CHECKING:
    from nasx.benchmark import Benchmark
    from nasx.pareto_result import ParetoResult
    from nasx.search_spaces.space import SearchSpace
    from nasx.strategies.goals import Goal

_NOT_HERE = ("acquisition", "target", "rank_against")


def one_objective(options: dict[str, Any]) -> bool:
    """Whether a search has one objective and no limits; its options then are as they are without this module.

    Args:
        options: The options of ``nasx search``; a list of one objective or direction becomes that one.
    """
    from nasx.search_spaces.plugins import is_address

    for name in ("objective", "direction"):
        given = options.get(name)
        if isinstance(given, list | tuple):
            options[name] = list(given) if len(given) > 1 else given[0] if given else None
    options["limit"] = list(options.get("limit") or []) or None
    if options["limit"] or isinstance(options["objective"], list):
        return False
    if options["objective"] is not None and not is_address(options["objective"]):
        raise UsageError(
            f"'{options['objective']}' is no address of an objective; write it my_module:function. A single metric of "
            "a benchmark is a --target; several take one --objective each, and one may go with a --limit"
        )
    return True


@dataclass(frozen=True)
class ParetoSubject:
    """What is searched: a benchmark's metrics, or functions of the user's own.

    Attributes:
        name: What it is called, for folders.
        space: The search space.
        objective: A benchmark, or a function that returns a value for every objective and every other limit.
        arguments: ``objectives``, ``limits`` and ``directions`` of :func:`nasx.pareto_search`.
        free: Whether evaluations cost nothing, so that a second search for comparison may be made.
    """

    name: str
    space: SearchSpace
    objective: Benchmark | Callable[[Any], tuple[float, ...]]
    arguments: dict[str, Any]
    free: bool


def pareto_subject(options: Mapping[str, Any], typed: Collection[str]) -> ParetoSubject:
    """Finds out what is searched.

    Args:
        options: The options of ``nasx search``, as :func:`one_objective` leaves them.
        typed: The names of those that were given.

    Raises:
        UsageError: If they do not fit together, or name something that is not there.
    """
    from nasx.benchmark import load_benchmark
    from nasx.search_spaces.plugins import is_address

    objective = options["objective"]
    given = [] if objective is None else [objective] if isinstance(objective, str) else list(objective)
    limits = _pairs(options["limit"], "--limit", "latency_ms=5")
    directions = _pairs(_listed(options["direction"]), "--direction", "latency_ms=minimize")
    addressed = [is_address(name) for name in (*given, *limits)]
    if given and all(addressed[: len(given)]):
        return _functions(options, typed, given, limits, directions)
    if any(addressed):
        raise UsageError("objectives are all metrics of a benchmark, or all my_module:function; not some of each")
    first = given[0] if given else options["target"]
    truth = load_benchmark(options["benchmark"], dataset=options["dataset"], space=options["space"], target=None)
    if not given:
        given = [truth.target if first is None else first]
    arguments = {"objectives": given, "limits": limits, "directions": directions}
    return ParetoSubject(truth.name, truth.space, truth, arguments, free=True)


def search_pareto(options: dict[str, Any], typed: Collection[str], *, out: Path | None, resume: Path | None) -> None:
    """Runs ``nasx search`` with several objectives.

    Args:
        options: The options of the command, or of the run that is resumed.
        typed: The names of those that were given.
        out: The run folder, or None for one named after the time.
        resume: The folder of a run to continue.

    Raises:
        NasxError: Nothing that was evaluated is lost.
    """
    from nasx import runs
    from nasx.cli_workers import check_workers, terminated_like_interrupted, workers_of
    from nasx.console import screen, search_progress
    from nasx.pareto_guide import takes_rows
    from nasx.pareto_search import make_goals, pareto_search
    from nasx.run_lock import only_run

    _refuse(name for name in _NOT_HERE if name in typed and not (name == "target" and options["objective"] is None))
    if options["strategy"] == "evolution" and "strategy" not in typed:
        options["strategy"] = "nsga2"
    takes_rows(options["strategy"])
    subject = pareto_subject(options, typed)
    truth = subject.objective if subject.free else None
    goals = make_goals(**subject.arguments, benchmark=truth)  # type: ignore[arg-type]
    guess = None if options["predictor"] == "none" else options["predictor"]
    rounds = {name: options[name] for name in ("budget", "initial", "batch", "exploration", "candidates")}
    common = {**subject.arguments, "strategy": options["strategy"], "seed": options["seed"], **rounds}
    check_rounds(guess, options["strategy"], rounds)
    check_workers(options)
    name = "-".join([subject.name, options["strategy"], options["predictor"]]).replace(":", "-")
    folder = resume or runs.create_run(out, name, options)
    alone = options["storage"] is None
    label = " and ".join(goal.name for goal in goals.objectives)
    with runs.nothing_lost(folder), only_run(folder), terminated_like_interrupted():
        with (
            workers_of(options, folder) as workplace,
            search_progress(f"{label} with {guess or 'no predictor'}") as progress,
        ):
            result = pareto_search(
                subject.space,
                subject.objective,
                predictor=guess,
                **common,
                storage=folder / runs.JOURNAL if alone else options["storage"],
                study_name=options["study"] or ("nasx" if alone else folder.name),
                resume=resume is not None,
                progress=progress,
                **workplace,
            )
        if guess and (subject.free if options["compare"] is None else options["compare"]):
            with search_progress(f"{label} without predictors") as progress:
                result.baseline = pareto_search(
                    subject.space, subject.objective, predictor=None, **common,
                    reference=None if subject.free else result.summary()["reference"], progress=progress,
                )  # fmt: skip
        result.save(folder)
    show_pareto(result)
    screen.print(f"everything is in {folder}", soft_wrap=True)


def check_rounds(guess: str | None, strategy: str, rounds: Mapping[str, Any]) -> None:
    """Refuses numbers that make no sense before a run folder is made; see :func:`nasx.search_loop.check_search`."""
    from nasx.search_loop import check_search

    check_search(guess, strategy, **rounds)


def show_pareto(result: ParetoResult) -> None:
    """Prints the account of a search with several objectives, its baseline beside it, and the front."""
    from nasx.console import account, screen, show_table

    columns = {("with predictors" if result.predictors else "without predictors"): result}
    if result.baseline is not None:
        columns["without predictors"] = result.baseline
    wanted = ", ".join(_wanted(goal) for goal in result.goals.all)
    table = account(f"{result.space.name}: {wanted}", columns, _ROWS)
    for goal in result.goals.all:
        found = result.kendall_tau.get(goal.name)
        if found is not None and found[0] == found[0]:
            label = f"Kendall's tau, {goal.name}"
            table.add_row(label, f"{found[0]:.3f} on {found[1]:,}", *[""] * (len(columns) - 1))
    screen.print(table)
    truth = result.truth
    if truth is not None and truth.left_out:
        screen.print(
            f"{truth.left_out:,} of {truth.left_out + truth.measured:,} architectures of the benchmark are left out: "
            f"{' or '.join(result.goals.names)} of them is unknown",
            soft_wrap=True,
        )
    for name, column in columns.items():
        if column.sentence:
            screen.print(f"{name}: {column.sentence}", soft_wrap=True, markup=False)
    if len(result.front):
        front = result.pareto.drop(columns="on_true_front", errors="ignore")
        front = front[[*(c for c in front.columns if c != "architecture"), "architecture"]]
        show_table(front.head(_SHOWN), "the front" + (f", first {_SHOWN}" if len(front) > _SHOWN else ""))


_SHOWN = 12


def _wanted(goal: Goal) -> str:
    return f"{goal.name} {goal.direction}d" if goal.optimised and not goal.demand else goal.demand


def _share(result: ParetoResult) -> str:
    return "" if result.share is None else f"{100 * result.share:.2f} %"


def _found(result: ParetoResult) -> str:
    return "" if result.truth is None else f"{result.true_points_found} of {len(result.truth.values)}"


def _evaluations(result: ParetoResult) -> str:
    return f"{result.evaluations}" + (f" ({result.failed} failed)" if result.failed else "")


def _seconds(result: ParetoResult) -> str:
    rest = result.total_seconds - result.fit_seconds - result.score_seconds
    return f"{result.fit_seconds:.1f} / {result.score_seconds:.1f} / {rest:.1f}"


_ROWS: tuple[tuple[str, Callable[[Any], str]], ...] = (
    ("hypervolume", lambda r: f"{r.hypervolume:.6g}"),
    ("share of the true front's", _share),
    ("points on the front", lambda r: f"{len(r.front)}"),
    ("true Pareto points found", _found),
    ("evaluations", _evaluations),
    ("over a limit", lambda r: f"{int((r.violations > 0).sum())}" if r.goals.limited else ""),
    ("duplicates avoided", lambda r: f"{r.duplicates_avoided}"),
    ("seconds fit / score / rest", _seconds),
)


def _functions(
    options: Mapping[str, Any],
    typed: Collection[str],
    addresses: list[str],
    limits: Mapping[str, str],
    directions: Mapping[str, str],
) -> ParetoSubject:
    """Objectives that are functions, named after them."""
    from nasx.search_spaces import get_search_space
    from nasx.search_spaces.plugins import is_address, load_address

    wrong = [name for name in ("benchmark", "dataset") if name in typed]
    if wrong:
        raise UsageError(
            f"--{wrong[0]} belongs to a benchmark, my_module:function takes the place of one; leave it out"
        )
    if options["space"] is None:
        raise UsageError(
            "say which space the objectives are searched in, with --space: a name (nasx spaces) or my_module:MySpace"
        )
    space = get_search_space(options["space"])
    more = [name for name in limits if is_address(name) and name not in addresses]
    functions = []
    for address in (*addresses, *more):
        function = load_address(address, "objective")
        if not callable(function):
            raise UsageError(
                f"the objective '{address}' is {function!r:.80}; it must be a function architecture -> number"
            )
        functions.append(function)

    def evaluate(architecture: Any) -> tuple[float, ...]:
        return tuple(function(architecture) for function in functions)

    names = [_function_name(address) for address in addresses]
    known = [*names, *map(_function_name, more)]
    bounds = {_function_name(name): value for name, value in limits.items()}
    unknown_limits = [name for name in bounds if name not in known]
    if unknown_limits:
        raise UsageError(
            f"there is no '{unknown_limits[0]}' to limit; there is: {', '.join(known)}, or my_module:function=5"
        )
    said = {_function_name(name): value for name, value in directions.items()}
    arguments = {"objectives": names, "limits": bounds, "directions": said}
    return ParetoSubject(space.name, space, evaluate, arguments, free=False)


def _function_name(address: str) -> str:
    return address.rpartition(":")[2]


def _listed(given: Any) -> list[str]:
    return [] if given is None else [given] if isinstance(given, str) else list(given)


def _pairs(given: Iterable[str] | None, flag: str, example: str) -> dict[str, str]:
    """``name=value`` of an option that may be given several times."""
    pairs: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.rpartition("=")
        if not equals or not name or not value:
            raise UsageError(f"{flag} {text} is not of the form name=value; write it like {flag} {example}")
        if name in pairs:
            raise UsageError(f"{flag} of {name} is given twice; give it once")
        pairs[name] = value
    return pairs


def _refuse(names: Iterable[str]) -> None:
    wrong = list(names)
    if wrong:
        why = {
            "acquisition": "candidates are ranked by their expected gain in hypervolume",
            "target": "every --objective is a target",
            "rank_against": "every --objective is ranked against itself",
        }[wrong[0]]
        raise UsageError(
            f"--{wrong[0].replace('_', '-')} does not go with several objectives or limits: {why}; leave it out"
        )
