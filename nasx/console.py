"""What the command line shows: progress while it works, tables at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd

    from nasx import search_loop
    from nasx.evaluation_report import EvaluationReport
    from nasx.result import SearchResult

T = TypeVar("T")

screen = Console(highlight=False)
_side = Console(stderr=True, highlight=False)


@contextmanager
def search_progress(label: str) -> Iterator[Callable[[search_loop.Progress], None]]:
    """A progress bar for a search on the error stream; silent when that is not a terminal."""
    with _bar() as bar:
        task = bar.add_task(label, total=None, note="")

        def update(state: search_loop.Progress) -> None:
            best = "" if state.best != state.best else f", best {state.best:.6g}"
            bar.update(task, completed=state.done, total=state.budget, note=f"{state.phase}{best}")

        yield update


@contextmanager
def count_progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar for a number of equal pieces of work; silent when the error stream is not a terminal."""
    with _bar() as bar:
        task = bar.add_task(label, total=None, note="")
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _bar() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=_side,
        transient=True,
        disable=not _side.is_terminal,
    )


def account(title: str, columns: Mapping[str, T], rows: Iterable[tuple[str, Callable[[T], str]]]) -> Table:
    """A table with a column for every search and a row for everything that any of them has to say."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for label, cell in rows:
        cells = [cell(column) for column in columns.values()]
        if any(cells):
            table.add_row(label, *cells)
    return table


def show_search(result: SearchResult) -> None:
    """Prints the account of a search, with its baseline beside it where there is one."""
    columns = {("with predictor" if result.predictor is not None else "without predictor"): result}
    if result.baseline is not None:
        columns["without predictor"] = result.baseline
    table = account(f"{result.space.name}: {result.metric}", columns, _ROWS)
    screen.print(table)
    for name, column in columns.items():
        screen.print(f"best {name}: {column.space.format(column.best)}", soft_wrap=True, markup=False)


def _seconds(result: SearchResult) -> str:
    rest = result.total_seconds - result.fit_seconds - result.score_seconds
    return f"{result.fit_seconds:.1f} / {result.score_seconds:.1f} / {rest:.1f}"


_DETAILED = 4
"""Up to so many predictors and training sizes, the screen shows every repeat and metric."""

_ROWS: Sequence[tuple[str, Callable[[SearchResult], str]]] = (
    ("best value found", lambda r: f"{r.best_value:.6g}"),
    ("found at evaluation", lambda r: f"{int(np.argmax(r.best_so_far == r.best_value)) + 1}"),
    ("its rank", lambda r: "" if r.best_rank is None else f"{r.best_rank:,} of {r.ranked:,}"),
    ("regret to the optimum", lambda r: "" if r.regret is None else f"{r.regret:.4g}"),
    ("evaluations", lambda r: f"{r.evaluations}" + (f" ({r.failed} failed)" if r.failed else "")),
    ("duplicates avoided", lambda r: f"{r.duplicates_avoided}"),
    ("configurations without a graph", lambda r: f"{r.skipped} skipped" if r.skipped else ""),
    (
        "Kendall's tau where not trained",
        lambda r: f"{r.kendall_tau:.3f} on {r.kendall_tau_pairs:,}" if r.kendall_tau == r.kendall_tau else "",
    ),
    ("seconds fit / score / rest", _seconds),
)


def show_evaluation(report: EvaluationReport) -> None:
    """Prints what an evaluation found: all repeats and metrics of a small one, Kendall's tau of a large one."""
    for benchmark in report.config["benchmarks"]:
        one = report.only(benchmark)
        if not len(one):
            continue
        if len(report.config["benchmarks"]) > 1:
            screen.rule(benchmark, align="left")
        table = one.table()
        settings = table.groupby(["predictor", "train_size"], sort=False)
        if "family" in table:
            _show_families(one)
            _show_means(one)
        elif len(settings) <= _DETAILED:
            _show_repeats(one, settings)
            _show_means(one)
        else:
            _show_comparison(one)
        if one.ceiling is not None:
            screen.print(str(one.ceiling), soft_wrap=True, markup=False)
    screen.print(f"split: {report.config.get('protocol', '')}", soft_wrap=True, markup=False)


def _show_comparison(report: EvaluationReport) -> None:
    """One row a predictor, one column a training size, the literature below."""
    import pandas as pd

    from nasx.report import compare_reports

    for comparison in compare_reports([report]):
        heading, *rows = comparison.table()
        title = f"Kendall's tau, {comparison.title}; every repeat and metric is in the files of --out"
        show_table(pd.DataFrame(rows, columns=heading), title)


def _show_families(report: EvaluationReport) -> None:
    """The metrics of each family of networks."""
    from nasx.family_report import METRICS

    for (predictor, size), cells in report.families().groupby(["predictor", "train_size"], sort=False):
        known = {"family": "family", "test_rows": "tested"} | {m: t for m, t in METRICS.items() if m in cells}
        title = f"{predictor}, {size:,} trained on, tested on {_tested_on(report)}"
        show_table(cells[list(known)].rename(columns=known), title)


def _show_repeats(report: EvaluationReport, settings: Iterable[tuple[Any, pd.DataFrame]]) -> None:
    """The repeats of each predictor and training size."""
    shown = {
        "seed": "seed", "repeat": "repeat", "kendall_tau": "tau", "spearman": "Spearman", "pearson": "Pearson",
        "tau_top_5_percent": "tau top 5%", "fit_seconds": "fit s", "score_seconds": "score s",
    }  # fmt: skip
    if len(report.config["seeds"]) == 1:
        del shown["seed"]
    for (predictor, size), rows in settings:
        title = f"{predictor}, {size:,} trained on, {rows['test_rows'].iloc[0]:,} ranked: {_tested_on(report)}"
        show_table(rows[list(shown)].rename(columns=shown), title)


def _show_means(report: EvaluationReport) -> None:
    """Every metric as mean and deviation over the repeats, a table a predictor."""
    (benchmark,) = report.config["benchmarks"]
    for predictor in dict.fromkeys(report.table()["predictor"]):
        show_table(report.overview(benchmark, predictor), f"{predictor}: mean ± standard deviation")


def _tested_on(report: EvaluationReport) -> str:
    return str(report.config.get("tested_on", "unseen architectures"))


def show_table(frame: pd.DataFrame, title: str) -> None:
    """Prints a DataFrame, numbers to the right; where it is tight, names go on in the next line."""
    table = Table(title=title, title_justify="left")
    for place, name in enumerate(frame.columns):
        table.add_column(str(name), justify="left" if place == 0 else "right", overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row))
    screen.print(table)


def show_names(rows: Sequence[tuple[str, ...]]) -> None:
    """Prints names and what they are, one line each."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        screen.print(line.rstrip(), soft_wrap=True, markup=False)
