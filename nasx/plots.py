"""The pictures of a run, drawn with matplotlib on no screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from nasx.published import Published

_BLUE, _GREY, _GREEN = "#2b6cb0", "#a0aec0", "#2f855a"


def _figure(width: float = 6.4, height: float = 4.2) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def draw_search(
    path: Path,
    curves: dict[str, np.ndarray],
    *,
    optimum: float | None,
    metric: str,
    title: str,
) -> None:
    """Draws best-so-far against the number of evaluations.

    Args:
        path: Where the picture goes.
        curves: Label -> best value after each evaluation ``(budget,)``; the first one is drawn on top.
        optimum: The best value there is, drawn as a dotted line, or None where nobody knows.
        metric: Label of the vertical axis, with its unit.
        title: The title.
    """
    figure, axes = _figure()
    colours = [_BLUE, _GREY, "#d69e2e", "#805ad5"]
    shown: list[float] = []
    for place, (label, best) in reversed(list(enumerate(curves.items()))):
        steps = np.arange(1, len(best) + 1)
        axes.step(steps, best, where="post", color=colours[place % 4], linewidth=2 if place == 0 else 1.5, label=label)
        # The first few random architectures may lie far off; the interesting part is where the curves part.
        shown += [float(value) for value in best[min(10, len(best) - 1) :] if np.isfinite(value)]
    if optimum is not None:
        axes.axhline(optimum, color=_GREEN, linestyle=":", linewidth=1.5, label="optimum")
        shown.append(optimum)
    if shown and max(shown) > min(shown):
        margin = 0.06 * (max(shown) - min(shown))
        axes.set_ylim(min(shown) - margin, max(shown) + margin)
    axes.set(xlabel="evaluations", ylabel=f"best {metric} so far", title=title)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles, labels, frameon=False, loc="center right")
    figure.savefig(path)


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
    axes.legend(frameon=False, loc="upper left", markerscale=2)
    figure.savefig(path)


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
        colour = _PALETTE[place % len(_PALETTE)]
        axes.plot(curve["size"], curve["tau"], "o-", color=colour, markersize=4, linewidth=1.6, label=label)
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
    axes.set_title(title, fontsize=8)
    axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(path)


def draw_scatter(path: Path, pairs: Mapping[tuple[str, int], tuple[np.ndarray, np.ndarray]], title: str) -> None:
    """Draws the predicted rank against the true one of some test rows, one panel a predictor.

    Args:
        path: Where the picture goes.
        pairs: Predictor and training size -> predicted and true values, (n,) each; the largest size is drawn.
        title: The title.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from scipy.stats import rankdata

    largest = dict(sorted(pairs, key=lambda key: key[1]))
    shown = [(predictor, largest[predictor]) for predictor in dict.fromkeys(predictor for predictor, _ in pairs)]
    columns = min(4, len(shown))
    lines = -(-len(shown) // columns)
    figure = Figure(figsize=(2.5 * columns, 2.6 * lines + 0.4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    for place, (predictor, size) in enumerate(shown):
        predicted, true = (values[np.isfinite(pairs[predictor, size][1])] for values in pairs[predictor, size])
        axes = figure.add_subplot(lines, columns, place + 1, aspect="equal")
        axes.spines[["top", "right"]].set_visible(False)
        axes.plot([0, 100], [0, 100], color=_GREY, linewidth=0.8)
        horizontal, vertical = (100 * rankdata(values) / len(values) for values in (true, predicted))
        axes.scatter(horizontal, vertical, s=4, alpha=0.4, color=_BLUE, linewidths=0)
        axes.set_title(f"{predictor}, {size:,}", fontsize=8)
        axes.tick_params(labelsize=7)
    figure.supxlabel("true rank, percentile", fontsize=8)
    figure.supylabel("predicted rank, percentile", fontsize=8)
    figure.suptitle(title, fontsize=8)
    figure.savefig(path)
