"""Predicted against measured latencies, drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nasx.metrics import relative_errors
from nasx.plots import _BLUE, _GREY, INK, _panels, _save

Floats = NDArray[np.float64]


def draw_errors(path: Path, pairs: Mapping[str, tuple[Floats, Floats]], *, metric: str, title: str = "") -> None:
    """Draws predicted against measured values, one panel a predictor, with the band of Acc(10 %).

    Both axes are logarithmic and of one length: the distance from the diagonal is the relative error, whatever the
    latency. Predictions beyond the panel, zero and less among them, are drawn on its edge.

    Args:
        path: Where the picture goes.
        pairs: Predictor -> predicted and measured values, ``(n,)`` each; measured ones are positive or NaN.
        metric: What was measured, with its unit.
        title: The title.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure, panels = _panels(len(pairs))
    measured = np.concatenate([values for _, values in pairs.values()])
    low, high = 0.8 * np.nanmin(measured), 1.25 * np.nanmax(measured)
    ends = np.array([low, high])
    for axes, (name, (predicted, values)) in zip(panels, pairs.items(), strict=True):
        known = np.isfinite(values)
        predicted, values = predicted[known], values[known]
        axes.fill_between(ends, 0.9 * ends, 1.1 * ends, color=_GREY, alpha=0.25, linewidth=0)
        axes.plot(ends, ends, color=_GREY, linewidth=0.8)
        axes.scatter(values, predicted.clip(low, high), s=5, alpha=0.5, color=_BLUE, linewidths=0, clip_on=False)
        axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
            axis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:,g}"))
            axis.set_minor_formatter(NullFormatter())
        errors = relative_errors(predicted, values)
        said = f"MAPE {errors['mape_percent']:.1f} %, Acc(10 %) {errors['acc_10_percent']:.0f} %"
        axes.set_title(f"{name}\n{said}", fontsize=8)
    figure.supxlabel(f"measured {metric}", fontsize=8, color=INK)
    figure.supylabel(f"predicted {metric}; the band is 10 %", fontsize=8, color=INK)
    figure.suptitle(title, fontsize=8, color=INK)
    _save(figure, path)
