"""What is to be drawn of a graph: boxes with lines of text, edges, and frames around what repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from zlib import crc32

from nasx.search_spaces.canonical import live_nodes
from nasx.search_spaces.graph import Graph

_MANY = 30  # nodes from which on a network is condensed
_LONGEST_PERIOD = 8  # segments between cut points that repeat together
_COMPUTES = frozenset({"conv", "pointwise", "linear", "pool"})

#: Which words mean which family of operations; the first that is found in a label counts.
_WORDS = (
    ("end", ("input", "output")),
    ("none", ("none", "zero")),
    ("norm", ("norm",)),
    ("pool", ("pool", "reducemean")),
    ("linear", ("gemm", "matmul", "linear", "dense", "fc", "einsum", "mlp")),
    ("attention", ("attention", "attn", "gat", "softmax")),
    ("skip", ("skip", "identity", "residual", "dropout")),
    ("conv", ("conv", "gcn", "gin", "cheb", "sage", "arma", "graph")),
    ("join", ("add", "concat", "sum", "mul", "sub", "div", "pow", "sqrt")),
    ("shape", ("reshape", "transpose", "flatten", "slice", "split", "squeeze", "pad", "resize", "gather", "cast")),
    ("activation", ("relu", "sigmoid", "clip", "gelu", "tanh", "swish", "elu", "activation", "erf", "silu")),
)


@dataclass(frozen=True)
class Line:
    """One operation in a box.

    Attributes:
        text: What is written.
        family: The kind of operation, which decides the colour.
    """

    text: str
    family: str


@dataclass(frozen=True)
class Box:
    """One box: a single operation, or several that follow each other.

    Attributes:
        lines: The operations, first to last.
        dead: Whether it has no influence on the output.
    """

    lines: tuple[Line, ...]
    dead: bool = False


@dataclass(frozen=True)
class Repeat:
    """Boxes that stand for several copies of themselves, one behind the other.

    Attributes:
        boxes: Numbers of the boxes.
        times: How many copies there are.
    """

    boxes: tuple[int, ...]
    times: int


@dataclass(frozen=True)
class Sketch:
    """A drawing before anything has a place.

    Attributes:
        boxes: The boxes in topological order.
        edges: Pairs (source, target), source < target.
        repeats: Frames; no two share a box.
        nodes: Number of nodes of the graph that it is a sketch of.
    """

    boxes: tuple[Box, ...]
    edges: tuple[tuple[int, int], ...]
    repeats: tuple[Repeat, ...] = field(default=())
    nodes: int = 0


def family_of(label: str) -> str:
    """Returns the family of an operation by the words in its label; ``other`` and a number where none is known.

    >>> family_of("nor_conv_3x3"), family_of("avg_pool_3x3"), family_of("BatchNormalization"), family_of("output")
    ('conv', 'pool', 'norm', 'end')
    """
    lower = label.lower()
    for family, words in _WORDS:
        if any(lower.startswith(word) if family in ("end", "skip") else word in lower for word in words):
            return "pointwise" if family == "conv" and "1x1" in lower else family
    return f"other{crc32(lower.encode()) % 6}"


def sketch(graph: Graph, *, condense: bool | None = None, dead: bool = False) -> Sketch:
    """Decides what is drawn of a graph.

    Args:
        graph: The graph.
        condense: Whether operations that follow each other share a box, and parts that repeat are drawn once; by
            default in graphs of more than 30 nodes.
        dead: Whether nodes without influence on the output (``none``, and whatever is off every path) are drawn, too.

    >>> labels = ["input", *["Conv", "Relu"] * 20, "output"]
    >>> chain = sketch(Graph.from_edges(labels, [(node, node + 1) for node in range(41)]))
    >>> [" ".join(line.text for line in box.lines) for box in chain.boxes], chain.repeats
    (['input', 'Conv Relu', 'output'], (Repeat(boxes=(1,), times=20),))
    """
    alive = set(live_nodes(graph.operations, graph.edges))
    shown = graph if dead else graph.pruned()
    labels = _texts(shown)
    boxes = [Box((Line(text, family_of(text)),), dead=dead and node not in alive) for node, text in enumerate(labels)]
    edges = list(shown.edges)
    if condense if condense is not None else shown.num_nodes > _MANY:
        boxes, edges = _stacked(boxes, edges)
        kept, edges, repeats = _rolled(boxes, edges)
        return Sketch(tuple(kept), tuple(edges), tuple(repeats), graph.num_nodes)
    return Sketch(tuple(boxes), tuple(edges), (), graph.num_nodes)


def _texts(graph: Graph) -> list[str]:
    """Labels, with kernel and stride where the nodes know them."""
    table, names = graph.node_attributes, graph.node_attribute_names
    if table is None or "kernel_height" not in names:
        return list(graph.operations)
    column = {name: table[:, place] for place, name in enumerate(names)}
    texts = []
    for node, operation in enumerate(graph.operations):
        height, width = (int(column[name][node]) for name in ("kernel_height", "kernel_width"))
        kernel = f" {height}x{width}" if height and width else ""
        stride = int(column["stride_height"][node]) if "stride_height" in column else 1
        groups = int(column["groups"][node]) if "groups" in column else 1
        texts.append(
            operation.replace("BatchNormalization", "BatchNorm").replace("GlobalAveragePool", "GlobalAvgPool")
            + kernel
            + (f" /{stride}" if kernel and stride > 1 else "")
            + (f" ·{groups}" if kernel and groups > 1 else "")
        )
    return texts


def _stacked(boxes: list[Box], edges: list[tuple[int, int]]) -> tuple[list[Box], list[tuple[int, int]]]:
    """Puts operations that only follow each other into one box, at most one of them a convolution or the like."""
    after: list[list[int]] = [[] for _ in boxes]
    before: list[list[int]] = [[] for _ in boxes]
    for source, target in edges:
        after[source].append(target)
        before[target].append(source)
    home = list(range(len(boxes)))
    content: dict[int, list[Line]] = {}
    for node, box in enumerate(boxes):
        (line,) = box.lines
        above = before[node][0] if len(before[node]) == 1 else -1
        if above >= 0 and len(after[above]) == 1:
            stack = content[home[above]]
            busy = any(other.family in _COMPUTES for other in stack)
            alone = {"end", "join"} & {line.family, stack[0].family}
            if not alone and not (busy and line.family in _COMPUTES):
                home[node] = home[above]
                stack.append(line)
                continue
        content[node] = [line]
    place = {first: number for number, first in enumerate(content)}
    joined = dict.fromkeys((place[home[u]], place[home[v]]) for u, v in edges if home[u] != home[v])
    return [Box(tuple(lines)) for lines in content.values()], sorted(joined)


def _rolled(boxes: list[Box], edges: list[tuple[int, int]]) -> tuple[list[Box], list[tuple[int, int]], list[Repeat]]:
    """Draws parts that repeat once: parts between boxes through which every path leads."""
    reach, cuts = 0, []
    furthest = [0] * len(boxes)
    for source, target in edges:
        furthest[source] = max(furthest[source], target)
    for node in range(len(boxes)):
        if reach <= node:
            cuts.append(node)
        reach = max(reach, furthest[node])
    segments = [tuple(range(a + 1, b + 1)) for a, b in pairwise(cuts)]
    marks = [_mark(segment, boxes, edges) for segment in segments]
    stand_in = list(range(len(boxes)))  # for each box the one that is drawn
    repeats = []
    position = 0
    while position < len(segments):
        period, times = _run(marks, position)
        if times > 1:
            copies = [segments[position + k * period : position + (k + 1) * period] for k in range(times)]
            drawn = [box for segment in copies[0] for box in segment]
            for copy in copies[1:]:
                for box, original in zip((box for segment in copy for box in segment), drawn, strict=True):
                    stand_in[box] = original
            repeats.append((drawn, times))
        position += period * times
    kept = [box for box in range(len(boxes)) if stand_in[box] == box]
    place = {box: number for number, box in enumerate(kept)}
    joined = {(place[stand_in[u]], place[stand_in[v]]) for u, v in edges}
    frames = [Repeat(tuple(place[box] for box in drawn), times) for drawn, times in repeats]
    # the edge from the end of a copy to the start of the next leads backwards in the drawing
    return [boxes[box] for box in kept], sorted((u, v) for u, v in joined if u < v), frames


def _mark(segment: Sequence[int], boxes: list[Box], edges: list[tuple[int, int]]) -> object:
    """What two segments share if they are drawn alike."""
    start = segment[0] - 1
    inside = tuple((u - start, v - start) for u, v in edges if segment[0] <= v <= segment[-1])
    return tuple(boxes[box].lines for box in segment), inside


def _run(marks: list[object], position: int) -> tuple[int, int]:
    """The shortest period that repeats from here on, and how often; (1, 1) where nothing repeats."""
    for period in range(1, min(_LONGEST_PERIOD, (len(marks) - position) // 2) + 1):
        pattern = marks[position : position + period]
        times = 1
        while marks[position + times * period : position + (times + 1) * period] == pattern:
            times += 1
        if times > 1 and not _repeats_inside(pattern):  # a run within it is better drawn by itself
            return period, times
    return 1, 1


def _repeats_inside(pattern: list[object]) -> bool:
    return any(
        pattern[start : start + period] == pattern[start + period : start + 2 * period]
        for period in range(1, len(pattern) // 2 + 1)
        for start in range(len(pattern) - 2 * period + 1)
    )
