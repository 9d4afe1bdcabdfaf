"""From evaluations to what goes into a paper: comparison tables, learning curves, scatter plots, published figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasx import embedded
from nasx.evaluation_report import EvaluationReport
from nasx.family_report import FamilyTable, family_tables
from nasx.published import Published, published
from nasx.published_latency import PublishedLatency, published_latency
from nasx.search_spaces.errors import NasxError, UsageError

if TYPE_CHECKING:
    import pandas as pd

MARKDOWN, LATEX, CSV = "report.md", "report.tex", "report.csv"


@dataclass(frozen=True)
class Comparison:
    """All predictors on one benchmark under one split protocol, by training size.

    Attributes:
        title: Benchmark, metrics, protocol and noise ceiling in one line.
        summary: One row a predictor and training size (see :meth:`EvaluationReport.summary`).
        ceiling: The best Kendall's tau that a perfect predictor could reach, or None.
        published: Figures from the literature for the same benchmark.
        pairs: Predictor and size -> predicted and true values of some test rows, for the scatter plot.
        by_family: Metrics by family of networks, where the split is one by family.
        metric: What is predicted.
    """

    title: str
    summary: pd.DataFrame
    ceiling: float | None = None
    published: tuple[Published, ...] = ()
    pairs: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    by_family: tuple[FamilyTable, ...] = ()
    metric: str = ""

    @property
    def sizes(self) -> list[int]:
        """The training sizes, smallest first."""
        return sorted({int(size) for size in self.summary["train_size"]})

    def table(self) -> list[list[str]]:
        """Kendall's tau as ``mean ± standard deviation``: a heading, one row a predictor, the literature last."""
        sizes = self.sizes
        rows = [["predictor", *(f"{size:,}" for size in sizes), "fit at the largest, s"]]
        for predictor, group in self.summary.groupby("predictor", sort=False):
            by_size = {int(row["train_size"]): row for row in group.to_dict("records")}
            taus = [_tau(by_size[size]) if size in by_size else "" for size in sizes]
            rows.append([str(predictor), *taus, f"{by_size[max(by_size)]['fit_seconds_mean']:.3g}"])
        for name in dict.fromkeys(row.predictor for row in self.published):
            known = {row.train_size: row.kendall_tau for row in self.published if row.predictor == name}
            taus = [f"{known[size]:.3f}" if size in known else "" for size in sizes]
            rows.append([f"{name}, published", *taus, ""])
        return rows


def compare(folders: Sequence[str | Path]) -> list[Comparison]:
    """Reads evaluations that ``nasx evaluate --out`` wrote and sorts them into comparisons.

    Raises:
        UsageError: No folder is given, or one holds no evaluation.
        NasxError: One is damaged.
    """
    if not folders:
        raise UsageError("give at least one folder that nasx evaluate --out has written")
    comparisons = compare_reports([EvaluationReport.load(Path(folder)) for folder in folders])
    if not comparisons:
        raise UsageError("the folders hold no finished repeat; let nasx evaluate finish at least one")
    return comparisons


def compare_reports(reports: Sequence[EvaluationReport]) -> list[Comparison]:
    """Sorts evaluations into comparisons, one a benchmark and protocol; none where no repeat is finished."""
    import pandas as pd

    found: dict[str, list[tuple[dict[str, Any], EvaluationReport]]] = {}
    for report in reports:
        for benchmark, described in report.config["benchmarks"].items():
            one = report.only(benchmark)
            if len(one):
                title = _title(benchmark, described, report.config["protocol"])
                found.setdefault(title, []).append((described, one))
    comparisons = []
    for title, parts in found.items():
        sizes = {size for described, _ in parts for size in described["train_sizes"]}
        ceilings = [one.ceiling.tau for _, one in parts if one.ceiling is not None and one.ceiling.known]
        comparisons.append(
            Comparison(
                title=title,
                summary=pd.concat([one.summary() for _, one in parts], ignore_index=True),
                ceiling=ceilings[0] if ceilings else None,
                published=_comparable(parts[0][0], sizes),
                pairs={key[1:]: pairs for _, one in parts for key, pairs in one.pairs.items()},
                by_family=tuple(
                    family_tables(
                        pd.concat([one.families() for _, one in parts], ignore_index=True),
                        _latencies(parts[0][0], parts[0][1].config["protocol"]),
                    )
                ),
                metric=parts[0][0]["target"],
            )
        )
    return comparisons


def write_report(folders: Sequence[str | Path], out: str | Path) -> list[Path]:
    """Writes ``report.md``, ``report.tex``, ``report.csv`` and the pictures of all comparisons.

    Args:
        folders: What ``nasx evaluate --out`` wrote.
        out: Where the report goes.

    Returns:
        The files written.

    Raises:
        UsageError: A folder holds no evaluation.
        NasxError: One is damaged, or ``out`` cannot be written.
    """
    import pandas as pd

    comparisons, out = compare(folders), Path(out)
    markdown, latex = ["# Kendall's tau\n"], ["% needs \\usepackage{booktabs}\n"]
    written = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for number, comparison in enumerate(comparisons, start=1):
            markdown += [f"## {comparison.title}\n", _markdown(comparison.table()), ""]
            latex += [_latex(comparison.table(), comparison.title)]
            for table in comparison.by_family:
                markdown += [f"### {table.title}\n", _markdown(table.rows), ""]
                latex += [_latex(table.rows, f"{comparison.title}: {table.title}")]
            for path, caption in draw(comparison, out, number, "png"):
                markdown += [f"![{caption}]({path.name})\n"]
                written.append(path)
            sources = dict.fromkeys(row.source for row in comparison.published)
            if sources:
                markdown += [
                    "Published figures are of the protocol `prefix` (training cells among those ranked): "
                    + "; ".join(sources)
                    + ".\n"
                ]
        (out / MARKDOWN).write_text("\n".join(markdown), encoding="utf-8")
        (out / LATEX).write_text("\n".join(latex), encoding="utf-8")
        pd.concat([c.summary.assign(comparison=c.title) for c in comparisons]).to_csv(out / CSV, index=False)
    except OSError as error:
        raise NasxError(f"the report could not be written to {out} ({error.strerror or error})") from error
    return [out / MARKDOWN, out / LATEX, out / CSV, *written]


def draw(comparison: Comparison, out: Path, number: int, ending: str) -> list[tuple[Path, str]]:
    """Draws the pictures of a comparison: ranks of accuracies, relative errors of latencies.

    Args:
        comparison: What to draw.
        out: The folder they go to.
        number: Part of their names.
        ending: The format: ``"png"`` or ``"svg"``.

    Returns:
        Paths and captions.
    """
    from nasx.latency_plots import draw_errors
    from nasx.plots import draw_learning_curves, draw_scatter, largest

    pictures, relative = [], "mape_percent_mean" in comparison.summary
    if not relative or len(comparison.sizes) > 1:
        curve = out / f"learning-curve-{number}.{ending}"
        draw_learning_curves(curve, _curves(comparison), comparison.published, comparison.ceiling, comparison.title)
        pictures.append((curve, "Kendall's tau by training size; bands are bootstrap intervals."))
    scatter = out / f"scatter-{number}.{ending}"
    if comparison.pairs and relative:
        draw_errors(scatter, largest(comparison.pairs), metric=comparison.metric, title=comparison.title)
        pictures.append((scatter, "Predicted against measured values of test networks."))
    elif comparison.pairs:
        draw_scatter(scatter, comparison.pairs, comparison.title)
        pictures.append((scatter, "Predicted against true rank of test architectures."))
    return pictures


def _tau(row: Mapping[Any, Any]) -> str:
    mean, std = row["kendall_tau_mean"], row["kendall_tau_std"]
    return f"{mean:.3f}" if std != std else f"{mean:.3f} ± {std:.3f}"


def _title(benchmark: str, described: dict[str, Any], protocol: str) -> str:
    learnt, ranked = described["target"], described["rank_against"]
    metrics = f"{learnt} learnt, {ranked} ranked" if learnt != ranked else learnt
    return f"{benchmark}: {metrics}; split {protocol}"


def _comparable(described: dict[str, Any], sizes: set[int]) -> tuple[Published, ...]:
    """The literature's figures for these sizes, where they are of this benchmark: official accuracies on CIFAR-10."""
    texts = f"{described['dataset']} {described['target']}"
    other = "accuracy" not in texts or "cifar100" in texts or "ImageNet" in texts
    if other or described["benchmark"] in embedded.NAMES:
        return ()
    return tuple(row for row in published(described["space"]) if row.train_size in sizes)


def _latencies(described: dict[str, Any], protocol: str) -> tuple[PublishedLatency, ...]:
    """The literature's figures where they are of these networks and this split."""
    return published_latency(protocol.partition(",")[0]) if described["benchmark"] == "nnlqp" else ()


def _curves(comparison: Comparison) -> dict[str, dict[str, np.ndarray]]:
    """Predictor -> training sizes, mean tau, and the ends of its interval."""
    curves = {}
    for predictor, group in comparison.summary.groupby("predictor", sort=False):
        rows = group.sort_values("train_size")
        curves[str(predictor)] = {
            "size": rows["train_size"].to_numpy(),
            "tau": rows["kendall_tau_mean"].to_numpy(),
            "low": rows["kendall_tau_mean_low"].fillna(rows["kendall_tau_mean"]).to_numpy(),
            "high": rows["kendall_tau_mean_high"].fillna(rows["kendall_tau_mean"]).to_numpy(),
        }
    return curves


def _markdown(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _latex(rows: list[list[str]], title: str) -> str:
    lines = [" & ".join(_escaped(cell) for cell in row) + r" \\" for row in rows]
    columns = "l" + "r" * (len(rows[0]) - 1)
    return "\n".join(
        [
            f"% {title}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _escaped(text: str) -> str:
    for sign in "&%$#_{}":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("±", r"$\pm$")
