"""The pictures of a search with several objectives."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasx.plots import _BLUE, _GREEN, _GREY, _figure

if TYPE_CHECKING:
    from nasx.pareto_result import ParetoResult

Floats = NDArray[np.float64]
_ORANGE = "#dd6b20"


def draw_hypervolume(path: Path, curves: Mapping[str, Floats], *, truth: float | None, title: str) -> None:
    """Draws the hypervolume against the number of evaluations.

    Args:
        path: Where the picture goes.
        curves: Label -> hypervolume after each evaluation ``(budget,)``; the first one is drawn on top.
        truth: The hypervolume of the true front: curves are then drawn as a share of it. None where nobody knows.
        title: The title.
    """
    figure, axes = _figure()
    scale = truth or 1.0
    for place, (label, curve) in reversed(list(enumerate(curves.items()))):
        steps = np.arange(1, len(curve) + 1)
        colour = _BLUE if place == 0 else _GREY
        axes.step(steps, curve / scale, where="post", color=colour, linewidth=2 if place == 0 else 1.5, label=label)
    if truth:
        axes.axhline(1.0, color=_GREEN, linestyle=":", linewidth=1.5, label="true front")
    axes.set(xlabel="evaluations", ylabel="hypervolume" + (", share of the true front's" if truth else ""), title=title)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles, labels, frameon=False, loc="lower right")
    figure.savefig(path)


def draw_front(path: Path, result: ParetoResult, *, title: str) -> None:
    """Draws everything that was evaluated, the front that was found, and the true one where the benchmark has it.

    Goals are drawn against each other two at a time, at most three pairs. A limit is a dotted line.

    Args:
        path: Where the picture goes.
        result: The search.
        title: The title.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pairs = list(combinations(range(len(result.goals.all)), 2))[:3]
    figure = Figure(figsize=(5.6 * len(pairs) + 0.8, 4.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    for place, (first, second) in enumerate(pairs):
        axes = figure.add_subplot(1, len(pairs), place + 1)
        axes.spines[["top", "right"]].set_visible(False)
        _draw_pair(axes, result, second, first)
        if place == 0:
            axes.legend(frameon=False, fontsize=8)
    figure.suptitle(title)
    figure.savefig(path)


def _draw_pair(axes: Any, result: ParetoResult, across: int, up: int) -> None:
    pair = (result.goals.all[across], result.goals.all[up])
    stairs = None
    if len(result.goals.objectives) == 2 and all(goal.optimised for goal in pair):
        stairs = "post" if pair[0].direction == "minimize" else "pre"  # an architecture is as good as any worse one
    baseline = result.baseline
    if baseline is not None:
        axes.scatter(
            baseline.values[:, across], baseline.values[:, up], s=9, color=_GREY, alpha=0.6, linewidths=0,
            label=f"without predictors ({baseline.evaluations})",
        )  # fmt: skip
    over = result.violations > 0
    axes.scatter(
        result.values[~over, across], result.values[~over, up], s=12, color=_BLUE, alpha=0.55, linewidths=0,
        label=f"evaluated ({int((~over).sum())})",
    )  # fmt: skip
    if over.any():
        axes.scatter(
            result.values[over, across], result.values[over, up], s=14, color=_BLUE, alpha=0.55, marker="x",
            linewidths=0.8, label=f"over the limit ({int(over.sum())})",
        )  # fmt: skip
    if result.truth is not None:
        rows = result.truth.values
        _front(axes, rows[:, across], rows[:, up], stairs, _GREEN, f"true front ({len(rows)})", size=26, filled=False)
    rows = result.values[result.front]
    _front(axes, rows[:, across], rows[:, up], stairs, _ORANGE, f"found front ({len(rows)})", size=16, filled=True)
    for goal, line in zip(pair, (axes.axvline, axes.axhline), strict=True):
        if goal.limit is not None:
            line(goal.limit, color="#4a5568", linestyle=":", linewidth=1.0)
    _frame(axes, result, across, up)
    axes.set(xlabel=result.labels[across], ylabel=result.labels[up])


def _front(
    axes: Any, across: Floats, up: Floats, stairs: str | None, colour: str, label: str, *, size: int, filled: bool
) -> None:
    if stairs and len(across):
        order = np.argsort(across)
        axes.step(across[order], up[order], where=stairs, color=colour, linewidth=1.0, alpha=0.8)
    axes.scatter(
        across, up, s=size, facecolors=colour if filled else "none", edgecolors=colour, linewidths=0.9, zorder=3,
        label=label,
    )  # fmt: skip


def _frame(axes: Any, result: ParetoResult, across: int, up: int) -> None:
    """Architectures that do not train lie far off: the picture shows what lies within the reference, and the fronts."""
    bounds = dict(zip((goal.name for goal in result.goals.objectives), result.reference, strict=True))
    for place, set_limits in ((across, axes.set_xlim), (up, axes.set_ylim)):
        goal = result.goals.all[place]
        values = result.values[~np.isnan(result.values[:, place]), place]
        sign = goal.sign
        best = (sign * values).min()
        worst = bounds.get(goal.name, np.quantile(sign * values, 0.95))
        if result.truth is not None and len(result.truth.values):
            best = min(best, (sign * result.truth.values[:, place]).min())
        if goal.limit is not None:
            worst = max(worst, sign * goal.limit)
        if len(result.front) == 0:
            worst = max(worst, (sign * values).max())
        margin = 0.06 * (worst - best) or 1.0
        set_limits(*sorted((sign * (best - margin), sign * (worst + margin))))
