"""The command line. Every heavy import happens inside a command, so that ``nasx --help`` answers at once."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from nasx import cli_dashboard, cli_evaluate, cli_latency, cli_networks, cli_show
from nasx.cli_data import data
from nasx.cli_options import (
    BenchmarkOption,
    DatasetOption,
    OutOption,
    RankOption,
    SearchSpaceOption,
    SeedOption,
    TargetOption,
)
from nasx.cli_workers import (
    FLAGS,
    DaskOption,
    HeartbeatOption,
    SlurmOption,
    StudyOption,
    TimeoutOption,
    WorkersOption,
    check_workers,
    terminated_like_interrupted,
    workers_of,
)
from nasx.search_spaces.errors import NasxError, UsageError

_INTERRUPTED = 130  # what typer makes of an interrupt, without a word

app = typer.Typer(
    name="nasx",
    help="Neural architecture search with a predictor in the loop.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data, name="data")


@app.command()
def search(
    context: typer.Context,
    benchmark: BenchmarkOption = "nasbench201",
    dataset: DatasetOption = None,
    target: TargetOption = None,
    rank_against: RankOption = None,
    space: SearchSpaceOption = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="Instead of a benchmark: my_module:function, architecture -> number. Needs --space. "
            "Or, several times, metrics of the benchmark that are all to be optimised."
        ),
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(help="The worst value allowed of a metric: latency_ms=5. May be repeated.")
    ] = None,
    direction: Annotated[
        list[str] | None,
        typer.Option(
            help="maximize or minimize the --objective; NAME=minimize where there are several.",
            show_default="maximize",
        ),
    ] = None,
    predictor: Annotated[
        str, typer.Option(help="Predictor (nasx predictors, or my_module:MyPredictor), or none.")
    ] = "nar-former-v2",
    strategy: Annotated[str, typer.Option(help="Strategy (nasx strategies, or my_module:MyStrategy).")] = "evolution",
    budget: Annotated[int, typer.Option(help="Number of real evaluations.")] = 150,
    initial: Annotated[int, typer.Option(help="Random evaluations before the first fit.")] = 20,
    batch: Annotated[int, typer.Option(help="Evaluations between two fits.")] = 10,
    exploration: Annotated[float, typer.Option(help="Share of each batch drawn at random.")] = 0.1,
    acquisition: Annotated[
        str, typer.Option(help="What makes a candidate promising: mean, ucb, ei or thompson.")
    ] = "mean",
    candidates: Annotated[
        int | None,
        typer.Option(help="Architectures the predictor scores in each round.", show_default="the strategy's own"),
    ] = None,
    seed: SeedOption = 0,
    out: OutOption = None,
    storage: Annotated[
        str | None, typer.Option(help="Optuna storage URL or journal file; a journal in --out by default.")
    ] = None,
    study: StudyOption = None,
    workers: WorkersOption = None,
    timeout: TimeoutOption = None,
    dask: DaskOption = None,
    slurm: SlurmOption = None,
    heartbeat: HeartbeatOption = 10.0,
    resume: Annotated[Path | None, typer.Option(help="Folder of a run to continue, with its own options.")] = None,
    compare: Annotated[
        bool | None,
        typer.Option(help="Run the same search without a predictor beside it.", show_default="only on a benchmark"),
    ] = None,
) -> None:
    """Search a benchmark, or a space with objectives of your own, guided by a predictor."""
    from nasx import runs
    from nasx.cli_pareto import one_objective, search_pareto
    from nasx.cli_subject import subject_of
    from nasx.console import screen, search_progress, show_search
    from nasx.run_lock import only_run
    from nasx.search_loop import check_search
    from nasx.search_loop import search as run_search

    options = {name: value for name, value in context.params.items() if name not in ("out", "resume")}
    if resume is not None:
        options = _resumed(context, resume, options)
    typed = {name for name in options if _was_typed(context, name)}
    if not one_objective(options):
        return search_pareto(options, typed, out=out, resume=resume)
    subject = subject_of(options, typed)
    guess = None if options["predictor"] == "none" else options["predictor"]
    rounds = {
        name: options[name] for name in ("budget", "initial", "batch", "exploration", "acquisition", "candidates")
    }
    check_search(guess, options["strategy"], **rounds)
    common = {"strategy": options["strategy"], "seed": options["seed"], **rounds}
    name = "-".join([subject.name, options["strategy"], options["predictor"]]).replace(":", "-")
    check_workers(options)
    folder = resume or runs.create_run(out, name, options)
    alone = options["storage"] is None
    with runs.nothing_lost(folder), only_run(folder), terminated_like_interrupted():
        with (
            workers_of(options, folder) as workplace,
            search_progress(f"{options['strategy']} with {guess or 'no predictor'}") as progress,
        ):
            result = run_search(
                subject.space,
                subject.objective,
                predictor=guess,
                direction=subject.direction,
                **common,
                storage=folder / runs.JOURNAL if alone else options["storage"],
                study_name=options["study"] or ("nasx" if alone else folder.name),
                resume=resume is not None,
                progress=progress,
                **workplace,
            )
        compared = subject.free if options["compare"] is None else options["compare"]
        if guess and compared:
            with search_progress(f"{options['strategy']} without predictor") as progress:
                result.baseline = run_search(
                    subject.space,
                    subject.objective,
                    predictor=None,
                    direction=subject.direction,
                    **common,
                    progress=progress,
                )
        result.save(folder)
    show_search(result)
    screen.print(f"everything is in {folder}", soft_wrap=True)


def _resumed(context: typer.Context, folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """The options of the run in a folder, with those that may be given beside ``--resume``.

    A larger budget always; another number of workers or seconds where there are workers; the storage where it has a
    password, which is not written down. Everything else is the run's own.
    """
    from nasx import runs

    given = {name for name in context.params if _was_typed(context, name)} - {"resume"}
    _refuse(given - {"budget", "storage", "timeout", "workers"}, "only --budget may grow")
    stored = runs.read_options(folder)
    may, hidden = {"budget"}, ":***@" in str(stored.get("storage"))
    if any(stored.get(name) is not None for name in FLAGS):
        may |= {"timeout", "workers"}
    if hidden:
        may.add("storage")
    _refuse(given - may, f"only {', '.join(f'--{name}' for name in sorted(may))} may be given")
    if hidden and "storage" not in given:
        raise UsageError(f"the password of the storage was not written down; add --storage {stored['storage']} with it")
    return {**runs.complete_options(folder, stored, options), **{name: context.params[name] for name in given}}


def _refuse(names: set[str], but: str) -> None:
    if names:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(names))
        raise UsageError(f"{flags} cannot be changed by --resume; the run keeps its own options ({but})")


def _was_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


cli_evaluate.register(app)
cli_networks.register(app)
cli_latency.register(app)
cli_show.register(app)
cli_dashboard.register(app)


@app.command()
def spaces() -> None:
    """List the search spaces."""
    from nasx.console import show_names
    from nasx.search_spaces import available

    show_names(available())


@app.command()
def predictors() -> None:
    """List the predictors, and the losses that the networks among them can be trained with."""
    from nasx.console import screen, show_names
    from nasx.predictors import available, available_losses
    from nasx.trained import trained_predictors

    show_names(available())
    screen.print(
        "a preset and settings may follow a name: trees,trees=500 or nar-former-v2:paper,epochs=30", soft_wrap=True
    )
    screen.print(
        "losses, for the networks above (nasx evaluate --loss LOSS, make_predictor(NAME, loss=LOSS)):", soft_wrap=True
    )
    show_names([(f"  {name}", line) for name, line in available_losses()])
    screen.print("fitted already (nasx.load_predictor(NAME), nasx predict --predictor NAME):", soft_wrap=True)
    show_names([(f"  {name}", line) for name, line in trained_predictors()])


@app.command()
def strategies() -> None:
    """List the search strategies."""
    from nasx.console import show_names
    from nasx.strategies import available

    show_names(available())


def main() -> None:
    """Runs the command line; every error is one sentence on the error stream and an exit code, a warning a sentence."""
    plain = warnings.showwarning

    def say(message: Warning | str, category: type[Warning], filename: str, *rest: Any, **more: Any) -> None:
        if category is UserWarning:  # what nasx itself has to say
            typer.echo(f"nasx: {message}", err=True)
        else:
            plain(message, category, filename, *rest, **more)

    warnings.showwarning = say
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # so that my_module:MySpace is found in the current folder, after all that is installed
    try:
        with terminated_like_interrupted():
            app(prog_name="nasx")
    except NasxError as error:
        _stop(str(error), error.exit_code)
    except KeyboardInterrupt:
        _stop("interrupted", 1)
    except ImportError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # it met a compiled module that was just being loaded
            _stop("interrupted", 1)
        raise
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            _stop("interrupted", 1)
        raise
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        _stop(f"{error.strerror or error}: {error.filename or 'the file system'}", 1)


def _stop(sentence: str, code: int) -> None:
    typer.echo(f"nasx: {sentence}", err=True)
    sys.exit(code)
