"""A picture as PNG, drawn with matplotlib on no screen."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from nasx.drawing import COLOURS, LINE, Picture

_WIRE = "#8391a7"
_LONGEST = 16_000  # pixels of one side; what most programs open


def save_png(picture: Picture, path: Path, *, scale: float = 2.0) -> None:
    """Writes a picture on white ground.

    Args:
        picture: The picture.
        path: Where it goes.
        scale: Pixels of the file for one of the picture; less where the file would be longer than 16,000.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon, Rectangle
    from matplotlib.path import Path as Outline

    scale = min(scale, _LONGEST / max(picture.width, picture.height))
    figure = Figure(figsize=(picture.width / 72, picture.height / 72), dpi=72 * scale)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, picture.width), ylim=(picture.height, 0))
    axes.set_axis_off()
    for frame in picture.frames:
        corner, size = (frame.left + 12, frame.top + 12), (frame.width - 24, frame.height - 24)
        style = {"boxstyle": "round,pad=12,rounding_size=12", "facecolor": "#f1f3f6", "edgecolor": _WIRE}
        axes.add_patch(FancyBboxPatch(corner, *size, linestyle=(0, (5, 4)), linewidth=1, **style))  # type: ignore[arg-type]
        axes.text(
            frame.left + frame.width + 7, frame.top + frame.height / 2, frame.label,
            fontsize=15, fontweight="bold", color=_WIRE, va="center",
        )  # fmt: skip
    for curve, dead in zip(picture.curves, picture.dead, strict=True):
        points, codes = [curve[0]], [Outline.MOVETO]
        for (x0, y0), (x1, y1) in pairwise(curve):
            middle = (y0 + y1) / 2
            points += [(x0, middle), (x1, middle), (x1, y1)]
            codes += [Outline.CURVE4] * 3
        look = {"linestyle": (0, (3, 4)), "alpha": 0.5} if dead else {}
        axes.add_patch(PathPatch(Outline(points, codes), facecolor="none", edgecolor=_WIRE, linewidth=1.5, **look))  # type: ignore[arg-type]
        x, y = curve[-1]
        axes.add_patch(
            Polygon([(x - 4, y - 7), (x, y), (x + 4, y - 7)], facecolor=_WIRE, linewidth=0, alpha=0.5 if dead else 1)
        )
    for placed in picture.boxes:
        lines = placed.box.lines
        radius = placed.height / 2 if lines[0].family == "end" else 7
        outline = FancyBboxPatch(
            (placed.left + radius, placed.top + radius), placed.width - 2 * radius, placed.height - 2 * radius,
            boxstyle=f"round,pad={radius},rounding_size={radius}", transform=axes.transData, linewidth=0,
        )  # fmt: skip
        for number, line in enumerate(lines):
            top = placed.top + number * LINE
            band = Rectangle((placed.left, top), placed.width, LINE + 0.3, facecolor=COLOURS[line.family], linewidth=0)
            axes.add_patch(band).set_alpha(0.45 if placed.box.dead else 1)
            band.set_clip_path(outline)
            axes.text(
                placed.left + placed.width / 2, top + LINE / 2, line.text,
                fontsize=11.5, color="white", ha="center", va="center_baseline",
            )  # fmt: skip
    figure.savefig(path, facecolor="white")
