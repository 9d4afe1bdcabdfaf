"""The commands that measure predictors, and turn what was measured into tables and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasx.cli_options import BenchmarkOption, OutOption, RankOption, SpaceOption, TargetOption
from nasx.search_spaces.errors import NasxError

if TYPE_CHECKING:
    from nasx.benchmark import Benchmark


def evaluate(
    benchmark: BenchmarkOption = "nasbench201",
    dataset: Annotated[list[str] | None, typer.Option(help="Data set, where there are several; repeatable.")] = None,
    target: TargetOption = None,
    rank_against: RankOption = None,
    space: SpaceOption = None,
    predictor: Annotated[
        list[str] | None,
        typer.Option(help="Name of a predictor, also NAME:PRESET,epochs=30; repeatable.", show_default="nar-former-v2"),
    ] = None,
    loss: Annotated[
        list[str] | None, typer.Option(help="Loss to train with (nasx predictors); repeatable.", show_default="its own")
    ] = None,
    train_size: Annotated[
        list[str] | None,
        typer.Option(
            help="Training cells, as a count or a percentage (5%); repeatable.",
            show_default="781; by family: all; adapted: 50",
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(help="Number of repeats, each with its own split and seed.")] = 5,
    split: Annotated[
        str,
        typer.Option(
            help="uniform, uniform-stratified, by-function (no twins tested), prefix (as in the papers); of whole "
            "networks in-domain (the last tenth of each family tests) or leave-one-family-out."
        ),
    ] = "uniform",
    validation_size: Annotated[
        int | None, typer.Option(help="Cells that validate.", show_default="200 with prefix, else none")
    ] = None,
    test_size: Annotated[
        int | None, typer.Option(help="Cells to rank, a random sample of those the split tests on.", show_default="all")
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(help="Seed of all randomness; repeatable.", min=0, show_default="0")
    ] = None,
    adapt_from: Annotated[
        str | None,
        typer.Option(help="Another metric (device, data set), whose predictor is adapted with the few training cells."),
    ] = None,
    source_size: Annotated[
        str | None,
        typer.Option(help="Cells that the predictor of --adapt-from learns.", show_default="781; by family: all"),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Repeats that run at once.")] = 1,
    backend: Annotated[str, typer.Option(help="Where they run: loky (here), threading, dask or ray.")] = "loky",
    out: OutOption = None,
) -> None:
    """Measure how well predictors rank architectures, beside how well a perfect one could."""
    from nasx.benchmark import load_benchmark
    from nasx.console import count_progress, screen, show_evaluation
    from nasx.evaluation import evaluate as run_evaluation

    truths = [
        load_benchmark(benchmark, dataset=one or None, space=space, target=target, rank_against=rank_against)
        for one in dataset or [""]
    ]
    for truth in truths:
        _say_missing(truth)
    try:
        with count_progress("repeats") as progress:
            report = run_evaluation(
                predictor,
                truths,
                train_sizes=train_size,
                repeats=repeats,
                seed=seed or 0,
                losses=loss,
                split=split,
                validation_size=validation_size,
                test_size=test_size,
                adapt_from=adapt_from,
                source_size=source_size,
                n_jobs=jobs,
                backend=backend,
                out=out,
                progress=progress,
            )
    except KeyboardInterrupt:
        kept = (
            f"what was finished is in {out}, type the same command to continue" if out else "give --out to keep repeats"
        )
        raise NasxError(f"interrupted; {kept}") from None
    show_evaluation(report)
    if out is not None:
        screen.print(f"everything is in {out}; nasx report {out} makes tables and pictures of it", soft_wrap=True)


def _say_missing(benchmark: Benchmark) -> None:
    """How many rows cannot take part, in one sentence."""
    import numpy as np

    for metric in dict.fromkeys((benchmark.target, benchmark.rank_against)):
        missing = int(np.isnan(benchmark.values(metric=metric)).sum())
        if missing:
            typer.echo(
                f"nasx: {missing:,} of the {len(benchmark):,} architectures of {benchmark.name} have no {metric} and "
                "are left out",
                err=True,
            )


def report(
    folders: Annotated[list[Path], typer.Argument(help="Folders that nasx search or nasx evaluate --out has written.")],
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("report"),
) -> None:
    """Compare searches or evaluations: one web page to send around, its pictures and tables as files beside it."""
    import pandas as pd

    from nasx.console import screen, show_table
    from nasx.html_report import write_html_report
    from nasx.html_runs import is_search_run
    from nasx.report import compare

    files = write_html_report(folders, out)
    evaluations = [folder for folder in folders if not is_search_run(folder)]
    for comparison in compare(evaluations) if evaluations else []:
        heading, *rows = comparison.table()
        show_table(pd.DataFrame(rows, columns=heading), comparison.title)
    for path in files:
        screen.print(str(path), soft_wrap=True, markup=False)


def register(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    app.command()(evaluate)
    app.command()(report)
