"""A picture as SVG: small, sharp at any size, readable on light and dark pages."""

from __future__ import annotations

from html import escape
from itertools import pairwise

from nasx.drawing import COLOURS, LINE, Picture, PlacedBox

_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Verdana, sans-serif"
_WIRE, _RULE = "#8391a7", "#8391a7"


def svg(picture: Picture, *, title: str = "") -> str:
    """Returns the SVG text of a picture.

    Args:
        picture: The picture.
        title: What a screen reader says it is.

    >>> from nasx.drawing import place
    >>> from nasx.drawing_sketch import sketch
    >>> from nasx.search_spaces.graph import Graph
    >>> svg(place(sketch(Graph(["input", "output"], [[0, 1], [0, 0]])))).count("<path")
    2
    """
    width, height = round(picture.width), round(picture.height)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="{_FONT}" font-size="13">'
    ]
    if title:
        parts.append(f"<title>{escape(title)}</title>")
    for frame in picture.frames:
        parts.append(
            f'<rect x="{frame.left:.1f}" y="{frame.top:.1f}" width="{frame.width:.1f}" height="{frame.height:.1f}" '
            f'rx="12" fill="{_RULE}" fill-opacity="0.10" stroke="{_RULE}" stroke-dasharray="5 4"/>'
            f'<text x="{frame.left + frame.width + 7:.1f}" y="{frame.top + frame.height / 2 + 5:.1f}" '
            f'font-size="16" font-weight="600" fill="{_RULE}">{frame.label}</text>'
        )
    for curve, dead in zip(picture.curves, picture.dead, strict=True):
        faint = ' stroke-dasharray="3 4" opacity="0.5"' if dead else ""
        parts.append(f'<path d="{path_of(curve)}" fill="none" stroke="{_WIRE}" stroke-width="1.6"{faint}/>')
        x, y = curve[-1]
        parts.append(
            f'<path d="M{x - 4:.1f} {y - 7:.1f}L{x:.1f} {y:.1f}L{x + 4:.1f} {y - 7:.1f}Z" fill="{_WIRE}"{faint}/>'
        )
    parts += [_box(box) for box in picture.boxes]
    return "\n".join([*parts, "</svg>", ""])


def path_of(curve: tuple[tuple[float, float], ...]) -> str:
    """Returns the path data of an edge: cubic curves that are vertical in every point."""
    (x, y), *_ = curve
    pieces = [f"M{x:.1f} {y:.1f}"]
    for (x0, y0), (x1, y1) in pairwise(curve):
        middle = (y0 + y1) / 2
        pieces.append(
            f"V{y1:.1f}" if abs(x1 - x0) < 0.05 else f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
        )
    return "".join(pieces)


def _box(placed: PlacedBox) -> str:
    """A rounded box; its lines in bands of their own colours."""
    left, top, width, height = placed.left, placed.top, placed.width, placed.height
    lines = placed.box.lines
    radius = height / 2 if lines[0].family == "end" else 7
    name = escape(" ".join(line.text for line in lines))
    parts = [f"<g{' opacity=' + chr(34) + '0.45' + chr(34) if placed.box.dead else ''}><title>{name}</title>"]
    first, last = lines[0], lines[-1]
    for number, line in enumerate(lines):
        y = top + number * LINE
        colour = COLOURS[line.family]
        if len(lines) == 1:
            shape = f'<rect x="{left:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:.1f}"'
        elif line is first or line is last:
            shape = f'<path d="{_band(left, y, width, number == 0)}"'
        else:
            shape = f'<rect x="{left:.1f}" y="{y:.1f}" width="{width:.1f}" height="{LINE + 0.3:.1f}"'
        parts.append(
            f'{shape} fill="{colour}"/><text x="{left + width / 2:.1f}" y="{y + LINE / 2 + 4.6:.1f}" '
            f'text-anchor="middle" fill="#fff">{escape(line.text)}</text>'
        )
    return "".join([*parts, "</g>"])


def _band(left: float, top: float, width: float, is_first: bool, radius: float = 7) -> str:
    """The outline of the first or last band of a box: two of its corners are round."""
    right, bottom, r = left + width, top + LINE + (0.3 if is_first else 0), radius
    if is_first:
        return (
            f"M{left:.1f} {bottom:.1f}V{top + r:.1f}A{r} {r} 0 0 1 {left + r:.1f} {top:.1f}"
            f"H{right - r:.1f}A{r} {r} 0 0 1 {right:.1f} {top + r:.1f}V{bottom:.1f}Z"
        )
    return (
        f"M{left:.1f} {top:.1f}H{right:.1f}V{bottom - r:.1f}A{r} {r} 0 0 1 {right - r:.1f} {bottom:.1f}"
        f"H{left + r:.1f}A{r} {r} 0 0 1 {left:.1f} {bottom - r:.1f}Z"
    )
