"""The pictures of a run, drawn with matplotlib on no screen."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from nasx.published import Published

_BLUE, _GREY, _GREEN = "#2b6cb0", "#a0aec0", "#2f855a"
_COLOURS = ("#2b6cb0", "#dd6b20", "#2f855a", "#805ad5", "#b83280", "#d69e2e", "#319795", "#718096")

#: The colour of text and axes, and the name of the ground: a page that shows a picture may change both.
INK, GROUND = "#27303f", "ground"

_STYLE: dict[Any, Any] = {
    "axes.edgecolor": INK, "axes.labelcolor": INK, "axes.titlecolor": INK, "text.color": INK, "xtick.color": INK,
    "ytick.color": INK, "svg.fonttype": "none", "svg.hashsalt": "nasx",
}  # fmt: skip


def _figure(width: float = 6.4, height: float = 4.2) -> tuple[Any, Any]:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.patch.set_visible(False)
    figure.patch.set_gid(GROUND)
    return figure, axes


def _save(figure: Any, path: Path) -> None:
    """Writes a figure in the format that the path's ending says; the same figure gives the same file."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def draw_search(
    path: Path,
    curves: Mapping[str, np.ndarray],
    *,
    optimum: float | None,
    metric: str,
    title: str,
    what: str = "best {} so far",
) -> None:
    """Draws best-so-far against the number of evaluations.

    Args:
        path: Where the picture goes.
        curves: Label -> best value after each evaluation, ``(budget,)``, or ``(seeds, budget)``: then the median is
            drawn, with a band between the quartiles and every seed as a thin line. The first is drawn on top.
        optimum: The best value there is, drawn as a dotted line, or None where nobody knows.
        metric: What was optimised, with its unit.
        title: The title.
        what: Label of the vertical axis; ``{}`` stands for the metric.
    """
    figure, axes = _figure()
    colours = [_BLUE, _GREY, *_COLOURS[1:]] if len(curves) < 3 else list(_COLOURS)
    shown: list[float] = []
    for place, (label, values) in reversed(list(enumerate(curves.items()))):
        seeds = np.atleast_2d(values)
        colour, steps = colours[place % len(colours)], np.arange(1, seeds.shape[1] + 1)
        low, middle, high = (_percentile(seeds, share) for share in (25, 50, 75))
        if len(seeds) > 1:
            label = f"{label} ({len(seeds)} seeds)"
            axes.fill_between(steps, low, high, step="post", color=colour, alpha=0.22, linewidth=0)
            for seed in seeds:
                axes.step(steps, seed, where="post", color=colour, linewidth=0.6, alpha=0.45)
        axes.step(steps, middle, where="post", color=colour, linewidth=2 if place == 0 else 1.5, label=label)
        # The first few random architectures may lie far off; the interesting part is where the curves part.
        late = seeds[:, min(10, seeds.shape[1] - 1) :]
        shown += late[np.isfinite(late)].tolist()
    if optimum is not None:
        axes.axhline(optimum, color=_GREEN, linestyle=":", linewidth=1.5, label="optimum")
        shown.append(optimum)
    if shown and max(shown) > min(shown):
        margin = 0.06 * (max(shown) - min(shown))
        axes.set_ylim(min(shown) - margin, max(shown) + margin)
    axes.set(xlabel="evaluations", ylabel=what.format(metric), title=title)
    handles, labels = axes.get_legend_handles_labels()
    falls = len(shown) > 1 and shown[0] > shown[-1]
    corner = "upper right" if falls else "lower right"  # where no curve ends
    axes.legend(handles, labels, frameon=False, loc=corner, labelcolor=INK)
    _save(figure, path)


def _percentile(seeds: np.ndarray, share: float) -> np.ndarray:
    """Over the seeds that have a value; NaN where none has."""
    with np.errstate(all="ignore"):
        known = np.isfinite(seeds).any(axis=0)
        found = np.full(seeds.shape[1], np.nan)
        found[known] = np.nanpercentile(seeds[:, known], share, axis=0)
    return found


def draw_tau_over_rounds(
    path: Path, taus: Mapping[str, Mapping[int, Sequence[float]]], *, final: Mapping[str, float], title: str
) -> None:
    """Draws how well each round's predictions ranked what was then evaluated.

    Args:
        path: Where the picture goes.
        taus: Label -> round -> Kendall's tau of that round's predictions and values, one a seed.
        final: Label -> mean tau of the last predictor where it was not trained, drawn as a dotted line.
        title: The title.
    """
    figure, axes = _figure(5.2, 5.0)
    axes.axhline(0, color=_GREY, linewidth=0.8)
    for place, (label, rounds) in enumerate(taus.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        numbers = sorted(rounds)
        means = [float(np.mean(rounds[number])) for number in numbers]
        for number in numbers:
            axes.scatter([number] * len(rounds[number]), rounds[number], s=12, color=colour, alpha=0.45, linewidths=0)
        axes.plot(numbers, means, color=colour, linewidth=1.8, label=label)
        if label in final:
            axes.axhline(
                final[label], color=colour, linestyle=":", linewidth=1.3, label=f"{label}, all unseen at the end"
            )
    axes.set(xlabel="round", ylabel="Kendall's tau of the round's predictions", title=title, ylim=(-1.05, 1.05))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False, loc="lower right", labelcolor=INK, fontsize=8)
    _save(figure, path)


def draw_trade_off(
    path: Path, fronts: Mapping[str, tuple[np.ndarray, np.ndarray]], *, labels: tuple[str, str], title: str
) -> None:
    """Draws everything that searches with two objectives evaluated, and the fronts that they found.

    Args:
        path: Where the picture goes.
        fronts: Label -> what was evaluated ``(n, 2)`` and the front ``(f, 2)``.
        labels: Names of the two objectives.
        title: The title.
    """
    figure, axes = _figure()
    for place, (label, (everything, front)) in enumerate(fronts.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        axes.scatter(*everything.T, s=9, color=colour, alpha=0.3, linewidths=0)
        ordered = front[np.argsort(front[:, 0])]
        axes.plot(*ordered.T, "o-", color=colour, markersize=4, linewidth=1.2, label=label)
    ends = np.concatenate([front for _, front in fronts.values()])
    for set_limits, column in ((axes.set_xlim, ends[:, 0]), (axes.set_ylim, ends[:, 1])):
        margin = 0.12 * float(np.ptp(column)) or 1.0  # architectures that do not train lie far off
        set_limits(column.min() - margin, column.max() + margin)
    axes.set(xlabel=labels[0], ylabel=labels[1], title=title)
    axes.legend(frameon=False, labelcolor=INK, fontsize=8)
    _save(figure, path)


def draw_ranking(path: Path, ranking: pd.DataFrame, *, tau: float, metric: str, title: str) -> None:
    """Draws predicted against true values, with Kendall's tau in the title.

    Args:
        path: Where the picture goes.
        ranking: Columns ``predicted``, ``true`` and ``trained`` (whether the predictor was fitted on that row).
        tau: Kendall's tau over the rows it was not fitted on.
        metric: What both axes measure, with its unit.
        title: What was ranked.
    """
    figure, axes = _figure(5.2, 5.0)
    known = ranking.dropna(subset=["predicted", "true"])
    unseen, trained = known[~known["trained"]], known[known["trained"]]
    axes.scatter(
        unseen["true"], unseen["predicted"], s=3, alpha=0.35, color=_BLUE, linewidths=0, rasterized=True,
        label=f"not trained on ({len(unseen):,})",
    )  # fmt: skip
    axes.scatter(trained["true"], trained["predicted"], s=10, color="#dd6b20", label=f"evaluated ({len(trained):,})")
    for set_limits, column in ((axes.set_xlim, "true"), (axes.set_ylim, "predicted")):
        # Cells that failed to train lie far below the rest; the upper nine tenths are where a ranking matters.
        low, high = np.percentile(known[column], [10, 100]) if len(known) else (0.0, 1.0)
        margin = 0.04 * (high - low) or 1.0
        set_limits(low - margin, high + margin)
    axes.set(xlabel=f"true {metric}, lowest tenth not shown", ylabel=f"predicted {metric}")
    axes.set_title(f"{title}\nKendall's tau {tau:.3f}" if np.isfinite(tau) else title)
    axes.legend(frameon=False, loc="upper left", markerscale=2, labelcolor=INK)
    _save(figure, path)


def draw_description(
    path: Path,
    samples: Mapping[str, np.ndarray],
    *,
    units: Mapping[str, str],
    metrics: Sequence[str],
    tau: np.ndarray,
    title: str,
) -> None:
    """Draws how the values of each metric are spread, and Kendall's tau between metrics.

    Args:
        path: Where the picture goes.
        samples: Metric -> its known values.
        units: Metric -> unit.
        metrics: The m metrics drawn, in order.
        tau: (m, m) Kendall's tau between them.
        title: The title.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = len(metrics)
    columns = 1 if count == 1 else 2 if count <= 4 else 3
    lines = -(-count // columns)
    side = min(9.0, 1.8 + 0.42 * count)
    figure = Figure(figsize=(2.6 * columns + side, max(side, 1.7 * lines) + 0.4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    halves: Any = figure.subfigures(1, 2, width_ratios=[2.6 * columns, side])
    left, right = halves
    grid = np.atleast_1d(left.subplots(lines, columns)).ravel()
    for axes in grid[count:]:
        axes.set_visible(False)
    for number, (axes, name) in enumerate(zip(grid, metrics, strict=False), start=1):
        values = samples[name]
        if len(values):
            axes.hist(values, bins=60, color=_BLUE)
        axes.set_title(f"{number}  {name}", fontsize=6)
        axes.set_xlabel(units[name], fontsize=6)
        axes.set_yticks([])
        axes.tick_params(labelsize=6)
        axes.xaxis.get_offset_text().set_fontsize(6)
        axes.spines[["top", "right", "left"]].set_visible(False)
    axes = right.subplots()
    image = axes.imshow(tau, vmin=-1, vmax=1, cmap="RdBu")
    for i, j in np.ndindex(tau.shape):
        if np.isfinite(tau[i, j]):
            shade = "white" if abs(tau[i, j]) > 0.6 else "black"
            axes.text(j, i, f"{tau[i, j]:.2f}", ha="center", va="center", fontsize=6, color=shade)
    axes.set_xticks(range(count), [str(number + 1) for number in range(count)], fontsize=6)
    axes.set_yticks(range(count), [str(number + 1) for number in range(count)], fontsize=6)
    axes.set_title("Kendall's tau between metrics", fontsize=8)
    right.colorbar(image, ax=axes, shrink=0.6).ax.tick_params(labelsize=6)
    figure.suptitle(title, fontsize=9)
    figure.savefig(path)


_PALETTE = (
    "#2b6cb0",
    "#c05621",
    "#2f855a",
    "#805ad5",
    "#b83280",
    "#4a5568",
    "#d69e2e",
    "#319795",
    "#9b2c2c",
    "#718096",
)


def draw_learning_curves(
    path: Path,
    curves: Mapping[str, Mapping[str, np.ndarray]],
    published: Sequence[Published],
    ceiling: float | None,
    title: str,
) -> None:
    """Draws Kendall's tau against the number of training architectures.

    Args:
        path: Where the picture goes.
        curves: Predictor -> ``size``, ``tau`` and the ends of its interval ``low`` and ``high``, each (n,).
        published: Figures from the literature, drawn as crosses.
        ceiling: The noise ceiling, drawn as a dotted line, or None.
        title: The title.
    """
    figure, axes = _figure(7.2, 4.6)
    for place, (label, curve) in enumerate(curves.items()):
        colour, line = _PALETTE[place % len(_PALETTE)], ("o-", "o--", "o:")[place // len(_PALETTE) % 3]
        axes.plot(curve["size"], curve["tau"], line, color=colour, markersize=4, linewidth=1.6, label=label)
        axes.fill_between(curve["size"], curve["low"], curve["high"], color=colour, alpha=0.18, linewidth=0)
    for name, marker in zip(dict.fromkeys(row.predictor for row in published), "x+*1234|_", strict=False):
        points = [(row.train_size, row.kendall_tau) for row in published if row.predictor == name]
        axes.plot(*zip(*points, strict=True), marker, color="#4a5568", markersize=7, label=f"{name}, published")
    if ceiling is not None:
        axes.axhline(ceiling, color=_GREEN, linestyle=":", linewidth=1.5, label="noise ceiling")
    sizes = sorted({int(size) for curve in curves.values() for size in curve["size"]})
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set(xlabel="training architectures", ylabel="Kendall's tau")
    axes.set_title(textwrap.fill(title, 88), fontsize=8)
    axes.legend(frameon=False, fontsize=7, handlelength=3, loc="center left", bbox_to_anchor=(1.0, 0.5), labelcolor=INK)
    _save(figure, path)


def draw_scatter(path: Path, pairs: Mapping[tuple[str, int], tuple[np.ndarray, np.ndarray]], title: str) -> None:
    """Draws the predicted rank against the true one of some test rows, one panel a predictor.

    Args:
        path: Where the picture goes.
        pairs: Predictor and training size -> predicted and true values, (n,) each; the largest size is drawn.
        title: The title.
    """
    from scipy.stats import rankdata

    shown = largest(pairs)
    figure, panels = _panels(len(shown))
    for axes, (predictor, (predicted, true)) in zip(panels, shown.items(), strict=True):
        known = np.isfinite(true)
        axes.plot([0, 100], [0, 100], color=_GREY, linewidth=0.8)
        horizontal, vertical = (100 * rankdata(values[known]) / known.sum() for values in (true, predicted))
        axes.scatter(horizontal, vertical, s=4, alpha=0.4, color=_BLUE, linewidths=0)
        axes.set_title(predictor, fontsize=8)
    figure.supxlabel("true rank, percentile", fontsize=8, color=INK)
    figure.supylabel("predicted rank, percentile", fontsize=8, color=INK)
    figure.suptitle(title, fontsize=8, color=INK)
    _save(figure, path)


def largest(pairs: Mapping[tuple[str, int], tuple[np.ndarray, np.ndarray]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of each predictor what belongs to its largest training size, by ``"predictor, size"``, in the order given.

    >>> list(largest({("a", 1_000): (np.ones(1), np.ones(1)), ("b", 10): (np.ones(1), np.ones(1)),
    ...               ("a", 500): (np.ones(1), np.ones(1))}))
    ['a, 1,000', 'b, 10']
    """
    sizes: dict[str, int] = {}
    for predictor, size in pairs:
        sizes[predictor] = max(size, sizes.get(predictor, 0))
    return {f"{predictor}, {size:,}": pairs[predictor, size] for predictor, size in sizes.items()}


def _panels(count: int) -> tuple[Any, list[Any]]:
    """A figure of square panels, at most four in a row."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns, size = min(4, count), 4.5 if count == 1 else 2.5
    lines = -(-count // columns)
    figure = Figure(figsize=(size * columns, (size + 0.1) * lines + 0.4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    figure.patch.set_gid(GROUND)
    panels = []
    for place in range(1, count + 1):
        with matplotlib.rc_context(_STYLE):
            panels.append(figure.add_subplot(lines, columns, place, aspect="equal"))
        panels[-1].patch.set_visible(False)
        panels[-1].spines[["top", "right"]].set_visible(False)
        panels[-1].tick_params(labelsize=7)
    return figure, panels
