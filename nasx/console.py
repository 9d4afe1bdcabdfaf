"""What the command line shows: progress while it works, tables at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from nasx import search_loop
    from nasx.result import SearchResult

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


def show_search(result: SearchResult) -> None:
    """Prints the account of a search, with its baseline beside it where there is one."""
    columns = {("with predictor" if result.predictor is not None else "without predictor"): result}
    if result.baseline is not None:
        columns["without predictor"] = result.baseline
    table = Table(title=f"{result.space.name}: {result.metric}", title_justify="left")
    table.add_column("")
    for name in columns:
        table.add_column(name, overflow="fold")
    for label, cell in _ROWS:
        cells = [cell(column) for column in columns.values()]
        if any(cells):
            table.add_row(label, *cells)
    screen.print(table)


def _seconds(result: SearchResult) -> str:
    rest = result.total_seconds - result.fit_seconds - result.score_seconds
    return f"{result.fit_seconds:.1f} / {result.score_seconds:.1f} / {rest:.1f}"


_ROWS: Sequence[tuple[str, Callable[[SearchResult], str]]] = (
    ("best architecture", lambda r: r.space.format(r.best)),
    ("its value", lambda r: f"{r.best_value:.6g}"),
    ("its rank", lambda r: "" if r.best_rank is None else f"{r.best_rank:,} of {r.ranked:,}"),
    ("regret to the optimum", lambda r: "" if r.regret is None else f"{r.regret:.4g}"),
    ("evaluations", lambda r: f"{r.evaluations}" + (f" ({r.failed} failed)" if r.failed else "")),
    ("duplicates avoided", lambda r: f"{r.duplicates_avoided}"),
    (
        "Kendall's tau, unseen",
        lambda r: f"{r.kendall_tau:.3f} on {r.kendall_tau_pairs:,}" if r.kendall_tau == r.kendall_tau else "",
    ),
    ("seconds fit / score / rest", _seconds),
)


def show_table(frame: pd.DataFrame, title: str) -> None:
    """Prints a DataFrame; numbers get four significant decimals."""
    table = Table(title=title, title_justify="left")
    for name in frame.columns:
        table.add_column(str(name), justify="right" if frame[name].dtype.kind in "fi" else "left")
    for row in frame.itertuples(index=False):
        table.add_row(*map(_cell, row))
    screen.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"
    return str(value)


def show_names(rows: Sequence[tuple[str, ...]]) -> None:
    """Prints names and what they are, one line each."""
    grid = Table.grid(padding=(0, 3))
    for row in rows:
        grid.add_row(*row)
    screen.print(grid, soft_wrap=True)
