"""``nasx data``: what ground truth there is, how to get it, what it is like and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasx.search_spaces.errors import NasxError, UsageError

if TYPE_CHECKING:
    from nasx.benchmark import Benchmark
    from nasx.table_file import Table

data = typer.Typer(
    rich_markup_mode=None,
    help="Ground truth: what is here, where to get it, and how to bring your own.",
    no_args_is_help=True,
)

NameArgument = Annotated[str, typer.Argument(help="Name of a benchmark (nasx data list), or a .csv / .parquet table.")]
DatasetOption = Annotated[str | None, typer.Option(help="Data set, where the benchmark has several.")]
SpaceOption = Annotated[str | None, typer.Option(help="Search space of a table given by its path.")]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="Replace an imported table of the same name.")]


@data.command("list")
def data_list(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs to read.")] = False,
) -> None:
    """List the benchmarks: what is inside, rows, size, licence, source, and whether it is on this machine."""
    from nasx.official import listing

    rows = listing()
    if as_json:
        import json

        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    from nasx.console import screen

    width = max(len(row["name"]) for row in rows)
    for row in rows:
        state, _, how = row["present"].partition(": ")
        facts = (state, f"{row['rows']:,} rows", row["size"], row["licence"], f"source {row['source']}")
        lines = [f"{row['name'].ljust(width)}  {row['contents']}", f"  {', '.join(fact for fact in facts if fact)}"]
        for line in lines + ([f"  to get it, {how}"] if how else []):
            screen.print(line, soft_wrap=True, markup=False)


@data.command("get")
def data_get(
    name: Annotated[str, typer.Argument(help="Name of an official benchmark (nasx data list).")],
    url: Annotated[
        str | None, typer.Option(help="Another address of the same file (a mirror); its checksum is verified as ever.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the downloaded file after it was imported.")] = False,
    replace: ReplaceOption = False,
) -> None:
    """Download an official benchmark, check it and import it; broken off, the same command continues."""
    from nasx import official, tables
    from nasx.console import screen

    if _comes_with_a_package(name):
        return
    entry = official.official(name)
    if name in tables.imported() and not replace:
        screen.print(f"'{name}' is already here; to fetch it again: nasx data get {name} --replace", soft_wrap=True)
        return
    if entry.url is not None:
        screen.print(
            f"{entry.file} ({entry.size}), licence {entry.licence}, from {url or entry.url}\n"
            f"official page: {entry.source}",
            soft_wrap=True,
            markup=False,
        )
    try:
        with _stages() as progress:
            table = official.get(name, url=url, keep=keep, replace=replace, progress=progress)
    except KeyboardInterrupt:
        raise NasxError("interrupted; what was downloaded is kept, type the same command again to continue") from None
    _show_imported(table)


@data.command("import")
def data_import(
    name: Annotated[str, typer.Argument(help="The name to use it by; an official name for an official file.")],
    path: Annotated[Path, typer.Argument(help="A .csv or .parquet file, or the official file or folder.")],
    space: Annotated[
        str | None, typer.Option(help="The search space its architectures belong to; official files know it.")
    ] = None,
    direction: Annotated[
        list[str] | None,
        typer.Option(help="METRIC=maximize or METRIC=minimize, where a column's name does not tell; repeatable."),
    ] = None,
    replace: ReplaceOption = False,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Take an official file that is not the published one, or an extract.")
    ] = False,
) -> None:
    """Import a table of your own (an architecture column and metric columns), or an official file."""
    from nasx import official, tables

    if name in official.OFFICIAL:
        if space not in (None, official.official(name).space) or direction:
            raise UsageError(f"'{name}' knows its space and its metrics; leave --space and --direction out")
        try:
            with _stages() as progress:
                table = official.import_file(name, path, replace=replace, unverified=unverified, progress=progress)
        except KeyboardInterrupt:
            raise NasxError("interrupted; nothing is imported yet, type the same command again") from None
    else:
        _check_own(name, path, unverified)
        directions = dict(_pair(text) for text in direction or [])
        table = tables.import_table(name, path, space, directions=directions, replace=replace)
    _show_imported(table)


@data.command("describe")
def data_describe(
    name: NameArgument,
    dataset: DatasetOption = None,
    space: SpaceOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables and the picture.")] = None,
) -> None:
    """Describe a benchmark: counts, distribution and ties of each metric, duplicates, correlations."""
    from nasx.console import screen

    subject = _table_or_benchmark(name, dataset, space)
    from nasx.describe import describe

    report = describe(subject)
    typer.echo(str(report))
    if out is not None:
        report.save(out)
        screen.print(f"everything is in {out}", soft_wrap=True, markup=False)


@data.command("noise")
def data_noise(
    name: NameArgument,
    dataset: DatasetOption = None,
    space: SpaceOption = None,
    target: Annotated[str | None, typer.Option(help="Metric to train on; the benchmark's by default.")] = None,
    rank_against: Annotated[str | None, typer.Option(help="Metric to rank against; the target by default.")] = None,
) -> None:
    """Estimate how well a perfect predictor could rank a benchmark, given that its values are noisy."""
    from nasx.benchmark import load_benchmark
    from nasx.noise import noise_ceiling

    benchmark = load_benchmark(name, dataset=dataset, space=space, target=target, rank_against=rank_against)
    typer.echo(str(noise_ceiling(benchmark)))


def _table_or_benchmark(name: str, dataset: str | None, space: str | None) -> Table | Benchmark:
    """An imported table of several data sets as a whole where none is chosen, so that they can be compared."""
    from dataclasses import replace as changed

    from nasx import tables
    from nasx.benchmark import load_benchmark

    if dataset is None and name in tables.imported():
        table = tables.open_table(name, space)
        return changed(table, target=None) if table.datasets else table  # the target is one of a single data set
    return load_benchmark(name, dataset=dataset, space=space)


def _check_own(name: str, path: Path, unverified: bool) -> None:
    """Refuses an official file under a name that is not its own."""
    from nasx import official

    if (known := official.of_file(path)) is not None:
        raise UsageError(
            f"{path.name} is the official file of '{known.name}'; type: nasx data import {known.name} {path}"
        )
    from nasx.network_reader import node_table_of

    folder = path.is_dir() and node_table_of(path) is None
    if unverified or folder or path.suffix.lower() in (".pth", ".tfrecord", ".tar", ".pbz2"):
        what = "--unverified" if unverified else str(path)
        raise UsageError(
            f"{what} is for an official benchmark, imported by its official name ({', '.join(official.NAMES)}); "
            f"'{name}' is none of them, and a table of your own is a .csv or a .parquet file, or a folder with "
            "networks.parquet and nodes.parquet"
        )


def _comes_with_a_package(name: str) -> bool:
    """Says so of an embedded benchmark that is here; for one whose package is missing, raises what to type."""
    from nasx import embedded
    from nasx.console import screen
    from nasx.official import OFFICIAL

    if name not in embedded.NAMES:
        return False
    package = embedded.PACKAGES[name]
    if not all(package.path(dataset) for dataset in package.files):
        raise UsageError(f"'{name}' comes with a Python package that is not installed; type: {package.install}")
    screen.print(f"'{name}' is already here: it comes with the package {package.source}", soft_wrap=True)
    if others := [entry.name for entry in OFFICIAL.values() if entry.space == name]:
        screen.print(f"the official results of the same cells: {', '.join(others)}", soft_wrap=True)
    return True


def _show_imported(table: Table) -> None:
    from nasx.console import screen

    for line in _summary(table):
        screen.print(line, markup=False, soft_wrap=True)


def _summary(table: Table) -> list[str]:
    """What was imported: every column of a small table, else what the columns are made of."""
    metrics = table.metrics.values()
    if len(metrics) <= 12:
        lines = [str(table)]
    else:
        units = {metric.quantity: metric.unit for metric in metrics}
        made_of: dict[str, list[Any]] = {
            "quantities": [f"{quantity} ({unit})" if unit else quantity for quantity, unit in units.items()],
            "epochs": sorted({metric.epochs for metric in metrics if metric.epochs is not None}),
            "seeds": sorted({str(metric.seed) for metric in metrics if metric.seed is not None}),
        }
        lines = [f"{table.name}: {len(table):,} architectures of {table.space.name}, {len(metrics)} columns"]
        lines += [f"  {what}: {', '.join(map(str, values))}" for what, values in made_of.items() if values]
    if table.datasets:
        lines.append(f"  data sets, one to be chosen with --dataset: {', '.join(table.datasets)}")
    return lines


@contextmanager
def _stages() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on the error stream for one stage after another; silent when that is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeRemainingColumn())
    tasks: dict[str, Any] = {}
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:

        def update(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                for earlier in tasks.values():
                    bar.update(earlier, visible=False)
                tasks[stage] = bar.add_task(stage, total=None, note="")
            bar.update(tasks[stage], completed=done, total=total or None, note=_amount(done, total))

        yield update


def _amount(done: int, total: int) -> str:
    """Bytes as megabytes; what is counted in smaller numbers are files."""
    if max(done, total) < 1_000_000:
        return f"{done:,} of {total:,}" if total else f"{done:,}"
    return f"{done / 1e6:,.0f} of {total / 1e6:,.0f} MB" if total else f"{done / 1e6:,.0f} MB"


def _pair(text: str) -> tuple[str, str]:
    metric, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--direction '{text}' is not METRIC=maximize or METRIC=minimize")
    return metric, value
