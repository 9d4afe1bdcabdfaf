"""Pictures of cells and networks: ``nasx.draw(architecture, "cell.svg", space="nasbench201")``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasx.drawing_layout import layered
from nasx.drawing_sketch import Box, Sketch, sketch
from nasx.search_spaces.errors import NasxError, UsageError, unknown
from nasx.search_spaces.graph import Graph

if TYPE_CHECKING:
    from nasx.search_spaces.space import SearchSpace

FORMATS = (".png", ".svg", ".dot")

LINE, MARGIN = 26.0, 14.0  # height of a line of a box; edge of the picture, in pixels
_CHARACTER, _PADDING = 8.0, 26.0
_GAP, _THIN, _BETWEEN = 26.0, 10.0, 44.0
_FRAME = 13.0
_PORT = 13.0
_MOST_BOXES = 400

COLOURS = {
    "conv": "#1f5c9e", "pointwise": "#3f88c5", "pool": "#2f7d5b", "linear": "#b4532a", "attention": "#8b3fa0",
    "skip": "#a9760f", "none": "#8a94a6", "norm": "#6457b0", "activation": "#b9476d", "join": "#4b5a70",
    "shape": "#67707f", "end": "#3c4658", "other0": "#0f766e", "other1": "#9d4edd", "other2": "#a4453f",
    "other3": "#5b7f1d", "other4": "#33658a", "other5": "#86562a",
}  # fmt: skip


@dataclass(frozen=True)
class PlacedBox:
    """A box with its place.

    Attributes:
        box: What is in it.
        left: Its left side, in pixels from the left.
        top: Its upper side, in pixels from the top.
        width: Its width.
        height: Its height.
    """

    box: Box
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Frame:
    """A frame around boxes that stand for several copies.

    Attributes:
        left: Its left side.
        top: Its upper side.
        width: Its width.
        height: Its height.
        label: How many copies.
    """

    left: float
    top: float
    width: float
    height: float
    label: str


@dataclass(frozen=True)
class Picture:
    """A drawing with every place known, in pixels from the upper left corner.

    Attributes:
        width: Of the whole.
        height: Of the whole.
        boxes: The boxes.
        curves: One a edge: the points it leads through, vertical in each of them; an arrow stands at the last.
        dead: For each curve whether it leads from or to a box without influence.
        frames: Frames around what repeats.
    """

    width: float
    height: float
    boxes: tuple[PlacedBox, ...]
    curves: tuple[tuple[tuple[float, float], ...], ...]
    dead: tuple[bool, ...]
    frames: tuple[Frame, ...]


def draw(
    architecture_or_graph: Any,
    path: str | Path,
    *,
    space: SearchSpace | str | None = None,
    condense: bool | None = None,
    dead: bool = False,
) -> Path:
    """Draws a cell or a whole network.

    Operations are boxes, coloured by their kind. In a graph of more than thirty nodes operations that only follow each
    other share a box, and parts that repeat are drawn once in a frame that says how often.

    Args:
        architecture_or_graph: A graph, an architecture of ``space`` or its text, or the path of an ``.onnx`` file.
        path: Where the picture goes; ``.png``, ``.svg`` or ``.dot`` (for Graphviz) says what it is.
        space: The search space, or its name; needed for architectures.
        condense: Whether to stack and roll up as described; by default in graphs of more than thirty nodes.
        dead: Whether operations without influence on the output are drawn, too, faintly.

    Returns:
        The path.

    Raises:
        UsageError: If the ending is another one, or there is no such architecture.
        NasxError: If the file cannot be written, or the network has too many operations to be drawn.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = draw("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|",
    ...             folder.name + "/cell.svg", space="nasbench201")
    >>> path.read_text().count("<title>nor_conv_3x3</title>")
    1
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise unknown("format of a picture", path.suffix or path.name, FORMATS)
    drawn = sketch(graph_of(architecture_or_graph, space), condense=condense, dead=dead)
    try:
        if path.suffix.lower() == ".dot":
            from nasx.drawing_text import dot

            path.write_text(dot(drawn), encoding="utf-8")
        elif path.suffix.lower() == ".svg":
            from nasx.drawing_svg import svg

            path.write_text(svg(place(drawn)), encoding="utf-8")
        else:
            from nasx.drawing_png import save_png

            save_png(place(drawn), path)
    except OSError as error:
        raise NasxError(f"the picture could not be written to {path} ({error.strerror or error})") from error
    return path


def graph_of(architecture_or_graph: Any, space: SearchSpace | str | None = None) -> Graph:
    """Returns the graph of whatever ``draw`` takes.

    Raises:
        UsageError: If it is none of these.
    """
    from nasx.search_spaces import get_search_space

    if isinstance(architecture_or_graph, Graph):
        return architecture_or_graph
    is_file = isinstance(architecture_or_graph, str | Path) and str(architecture_or_graph).endswith(".onnx")
    if is_file and space is None:
        from nasx.search_spaces.onnx_network import read_onnx

        return read_onnx(architecture_or_graph)
    if space is None:
        raise UsageError("say which space the architecture is of, as in space='nasbench201', or give a graph")
    found = get_search_space(space) if isinstance(space, str) else space
    if isinstance(architecture_or_graph, str):
        return found.graph(found.parse(architecture_or_graph))
    found.validate(architecture_or_graph)
    return found.graph(architecture_or_graph)


def place(drawn: Sketch) -> Picture:
    """Gives everything in a sketch its place.

    Raises:
        NasxError: If there are too many boxes.
    """
    count = len(drawn.boxes)
    if count > _MOST_BOXES:
        raise NasxError(f"{count:,} boxes do not fit in a picture; {_MOST_BOXES} do. nasx inspect lists the operations")
    ins = [sum(target == node for _, target in drawn.edges) for node in range(count)]
    widths = [
        max(_PADDING + _CHARACTER * max(len(line.text) for line in box.lines), 64.0, _PORT * (ins[node] + 1))
        for node, box in enumerate(drawn.boxes)
    ]
    framed = {box for repeat in drawn.repeats for box in repeat.boxes}
    layout = layered(count, drawn.edges, widths, gap=_GAP, thin=_THIN)
    tops, depth = [0.0] * len(layout.x), [0.0] * len(layout.x)
    y = 0.0
    previous: set[int] = set()
    for layer in layout.layers:
        here = set(layer) & framed
        y += _FRAME if bool(here) != bool(previous) or any(_apart(drawn, previous, here)) else 0.0
        tall = max((LINE * len(drawn.boxes[node].lines) for node in layer if node < count), default=LINE)
        for node in layer:
            depth[node] = LINE * len(drawn.boxes[node].lines) if node < count else tall
            tops[node] = y + (tall - depth[node]) / 2
        y += tall + _BETWEEN
        previous = here
    boxes = [
        PlacedBox(box, layout.x[node] - widths[node] / 2, tops[node], widths[node], depth[node])
        for node, box in enumerate(drawn.boxes)
    ]
    leaves, arrives = _ports(drawn, layout.x, layout.routes, widths)
    curves = []
    for edge in drawn.edges:
        route = layout.routes[edge]
        points = [(leaves[edge], tops[edge[0]] + depth[edge[0]])]
        for node in route[1:-1]:
            points += [(layout.x[node], tops[node]), (layout.x[node], tops[node] + depth[node])]
        curves.append((*points, (arrives[edge], tops[edge[1]])))
    dead = [drawn.boxes[u].dead or drawn.boxes[v].dead for u, v in drawn.edges]
    frames = [_frame([boxes[box] for box in repeat.boxes], curves, repeat.times) for repeat in drawn.repeats]
    return _moved(boxes, curves, dead, frames)


def _apart(drawn: Sketch, previous: set[int], here: set[int]) -> list[bool]:
    """Whether a frame ends and another begins between two layers."""
    home = {box: number for number, repeat in enumerate(drawn.repeats) for box in repeat.boxes}
    return [home[a] != home[b] for a in previous for b in here]


def _ports(
    drawn: Sketch, x: list[float], routes: dict[tuple[int, int], list[int]], widths: list[float]
) -> tuple[dict[tuple[int, int], float], dict[tuple[int, int], float]]:
    """Where each edge leaves its source and reaches its target: side by side, in the order of what they come from."""
    leaves: dict[tuple[int, int], float] = {}
    arrives: dict[tuple[int, int], float] = {}
    for node in range(len(drawn.boxes)):
        coming = sorted((e for e in drawn.edges if e[1] == node), key=lambda e: x[routes[e][-2]])
        going = sorted((e for e in drawn.edges if e[0] == node), key=lambda e: x[routes[e][1]])
        for edges, found in ((coming, arrives), (going, leaves)):
            step = min(_PORT, 0.7 * widths[node] / max(1, len(edges)))
            for number, edge in enumerate(edges):
                found[edge] = x[node] + step * (number - (len(edges) - 1) / 2)
    return leaves, arrives


def _frame(boxes: list[PlacedBox], curves: list[Any], times: int) -> Frame:
    top = min(box.top for box in boxes) - _FRAME
    bottom = max(box.top + box.height for box in boxes) + _FRAME
    inside = [x for curve in curves for x, y in curve if top + _FRAME < y < bottom - _FRAME]
    left = min([box.left for box in boxes] + inside) - _FRAME
    right = max([box.left + box.width for box in boxes] + inside) + _FRAME
    return Frame(left, top, right - left, bottom - top, f"\u00d7 {times}")


def _moved(boxes: list[PlacedBox], curves: list[Any], dead: list[bool], frames: list[Frame]) -> Picture:
    """The picture with its upper left corner at (0, 0)."""
    parts: list[Any] = [*boxes, *frames]
    beyond = [x for curve in curves for x, _ in curve]
    left = min([part.left for part in parts] + beyond) - MARGIN
    top = min(part.top for part in parts) - MARGIN
    right = max([part.left + part.width for part in parts] + [f.left + f.width + 34 for f in frames] + beyond) + MARGIN
    bottom = max(part.top + part.height for part in parts) + MARGIN
    return Picture(
        right - left,
        bottom - top,
        tuple(PlacedBox(b.box, b.left - left, b.top - top, b.width, b.height) for b in boxes),
        tuple(tuple((x - left, y - top) for x, y in curve) for curve in curves),
        tuple(dead),
        tuple(Frame(f.left - left, f.top - top, f.width, f.height, f.label) for f in frames),
    )
