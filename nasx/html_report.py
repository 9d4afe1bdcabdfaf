"""``nasx report``: one web page about searches and evaluations that needs no network, and all its parts as files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from nasx import html_page as html
from nasx.html_runs import is_search_run, subjects_of
from nasx.html_search import search_section
from nasx.search_spaces.errors import NasxError, UsageError

if TYPE_CHECKING:
    from nasx.report import Comparison

HTML = "report.html"


def write_html_report(folders: Sequence[str | Path], out: str | Path) -> list[Path]:
    """Writes a report about runs of ``nasx search`` and ``nasx evaluate``, whichever the folders hold.

    Searches for the same are compared: settings that differ in their seed only are drawn as one curve with an interval.

    Args:
        folders: Folders that these commands have written.
        out: Where the report goes: ``report.html``, pictures as PNG and SVG, tables as CSV and LaTeX.

    Returns:
        The files written, the page first.

    Raises:
        UsageError: A folder holds neither, or a search that is not finished.
        NasxError: A folder is damaged, or the report cannot be written.
    """
    if not folders:
        raise UsageError("give at least one folder that nasx search or nasx evaluate has written")
    paths, out = [Path(folder) for folder in folders], Path(out)
    searches = [path for path in paths if is_search_run(path)]
    evaluations = [path for path in paths if path not in searches]
    subjects = subjects_of(searches)
    parts: list[str] = []
    files: list[Path] = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for number, subject in enumerate(subjects, start=1):
            section, written = search_section(subject, out, number)
            parts += [f"<h2>{escape(subject.title)}</h2>"] if len(subjects) > 1 or evaluations else []
            parts.append(section)
            files += written
        titles = [subject.title for subject in subjects]
        if evaluations:
            section, written, more = _evaluations(evaluations, out, bool(subjects))
            parts.append(section)
            files += written
            titles += more
        head = f"<header><h1>{escape(_headline(titles))}</h1><p class=soft>{escape(_origin(paths))}</p></header>"
        (out / HTML).write_text(html.page(_headline(titles), [head, *parts]), encoding="utf-8")
    except OSError as error:
        raise NasxError(f"the report could not be written to {out} ({error.strerror or error})") from error
    return [out / HTML, *files]


def _headline(titles: list[str]) -> str:
    return titles[0] if len(titles) == 1 else f"{len(titles)} comparisons"


def _origin(paths: list[Path]) -> str:
    from importlib.metadata import version

    names = ", ".join(str(path) for path in paths[:6]) + (f" and {len(paths) - 6} more" if len(paths) > 6 else "")
    return f"nasx report, version {version('nasx')}, {time.strftime('%Y-%m-%d %H:%M')}, from {names}"


def _evaluations(folders: list[Path], out: Path, searches: bool) -> tuple[str, list[Path], list[str]]:
    """The section about evaluations: what ``write_report`` writes, shown on the page."""
    from nasx.report import compare, draw, write_report

    comparisons = compare(folders)
    files = write_report(folders, out)
    parts = []
    for number, comparison in enumerate(comparisons, start=1):
        parts += [f"<h2>{escape(comparison.title)}</h2>"] if len(comparisons) > 1 or searches else []
        parts += [_lead(comparison), html.table(comparison.table())]
        for family in comparison.by_family:
            parts += [f"<h3>{escape(family.title)}</h3>", html.table(family.rows)]
        for path, caption in draw(comparison, out, number, "svg"):
            files.append(path)
            parts.append(html.figure(html.inline(path), caption))
    parts.append("<h3>How to repeat it</h3>")
    for folder in folders:
        config = (folder / "config.json").read_text(encoding="utf-8")
        parts.append(
            f"<details><summary><code>{escape(folder.name)}</code></summary><pre>{escape(config)}</pre></details>"
        )
    return "\n".join(parts), files, [comparison.title for comparison in comparisons]


def _lead(comparison: Comparison) -> str:
    rows = comparison.summary
    best = rows.iloc[int(rows["kendall_tau_mean"].argmax())]
    ceiling = f" A perfect predictor could reach {comparison.ceiling:.3f}." if comparison.ceiling is not None else ""
    said = f"Kendall's tau is highest for {best['predictor']}, {best['kendall_tau_mean']:.3f}"
    return f"<p>{escape(said)} with {int(best['train_size']):,} training architectures.{escape(ceiling)}</p>"
