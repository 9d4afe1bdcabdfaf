"""Pictures of cells and networks: everything has a place, nothing overlaps, what repeats is drawn once."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import nasx
from nasx.drawing import draw, graph_of, place
from nasx.drawing_layout import layered
from nasx.drawing_sketch import family_of, sketch
from nasx.drawing_svg import svg
from nasx.drawing_text import dot, text
from nasx.search_spaces import get_search_space
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.graph import Graph

CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"


def network(cells: int = 4, first: str = "Conv") -> Graph:
    """A chain of residual blocks with a stem and a head."""
    labels, edges = ["input", first, "Relu"], [(0, 1), (1, 2)]
    for _ in range(cells):
        last = len(labels) - 1
        labels += ["Conv", "BatchNormalization", "Relu", "Conv", "Add"]
        edges += [(last + k, last + k + 1) for k in range(5)] + [(last, last + 5)]
    last = len(labels) - 1
    labels += ["GlobalAveragePool", "Gemm", "output"]
    return Graph.from_edges(labels, edges + [(last + k, last + k + 1) for k in range(3)])


@pytest.mark.parametrize("space", ["nasbench201", "nasbench101", "nasbench-graph"])
def test_no_box_overlaps_another(space: str) -> None:
    found = get_search_space(space)
    for architecture in found.samples(15, np.random.default_rng(0)):
        picture = place(sketch(found.graph(architecture), dead=True))
        for i, one in enumerate(picture.boxes):
            assert one.left >= 0
            assert one.left + one.width <= picture.width
            for other in picture.boxes[:i]:
                beside = one.left >= other.left + other.width or other.left >= one.left + one.width
                assert beside or one.top >= other.top + other.height or other.top >= one.top + one.height


def test_curves_lead_from_box_to_box_and_only_down() -> None:
    drawn = sketch(graph_of(CELL, "nasbench201"))
    picture = place(drawn)
    for (source, target), curve in zip(drawn.edges, picture.curves, strict=True):
        above, below = picture.boxes[source], picture.boxes[target]
        assert curve[0][1] == pytest.approx(above.top + above.height)
        assert curve[-1][1] == pytest.approx(below.top)
        assert above.left < curve[0][0] < above.left + above.width
        assert all(a[1] <= b[1] for a, b in pairwise(curve))


def test_layers_have_no_avoidable_crossing() -> None:
    edges = [(0, 1), (0, 2), (0, 3), (1, 6), (2, 5), (3, 4), (4, 7), (5, 7), (6, 7)]
    layout = layered(8, edges, [10.0] * 8, gap=2.0, thin=1.0)
    order = [layout.layers[1].index(node) for node in (1, 2, 3)]
    assert order == [layout.layers[2].index(node) for node in (6, 5, 4)]


def test_what_repeats_is_drawn_once() -> None:
    drawn = sketch(network(6))
    stacks = [" ".join(line.text for line in box.lines) for box in drawn.boxes]
    head = ["GlobalAveragePool", "Gemm", "output"]
    assert stacks == ["input", "Conv Relu", "Conv BatchNormalization Relu", "Conv", "Add", *head]
    (repeat,) = drawn.repeats
    assert (repeat.boxes, repeat.times) == ((2, 3, 4), 6)
    assert all(source < target for source, target in drawn.edges)
    assert {(1, 4), (4, 5)} <= set(drawn.edges)
    assert sketch(network(6), condense=False).repeats == ()
    assert len(sketch(network(1)).boxes) == network(1).num_nodes


def test_runs_inside_longer_runs_are_drawn_by_themselves() -> None:
    labels = ["input", *(["Conv", "MaxPool", "MaxPool", "MaxPool"] * 8), "output"]
    chain = Graph.from_edges(labels, [(k, k + 1) for k in range(len(labels) - 1)])
    assert {repeat.times for repeat in sketch(chain).repeats} == {3}


def test_every_format(tmp_path: Path) -> None:
    picture = nasx.draw(CELL, tmp_path / "cell.PNG", space="nasbench201")
    assert picture.read_bytes().startswith(b"\x89PNG")
    root = ElementTree.fromstring(draw(CELL, tmp_path / "cell.svg", space="nasbench201").read_text())
    titles = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert sorted(titles) == sorted(graph_of(CELL, "nasbench201").pruned().operations)
    written = draw(network(6), tmp_path / "net.dot").read_text()
    assert written.startswith("digraph {")
    assert "cluster_0" in written


def test_dead_operations_are_faint() -> None:
    graph = graph_of(CELL, "nasbench201")
    assert "none</title>" not in svg(place(sketch(graph)))
    shown = svg(place(sketch(graph, dead=True)))
    assert shown.count('<g opacity="0.45">') == 1
    assert "none</title>" in shown


@pytest.mark.parametrize("space", ["nasbench201", "nasbench101", "nasbench-graph"])
def test_lines_in_characters_lead_where_the_edges_lead(space: str) -> None:
    """Follows every line of the drawing from a box down to the boxes it reaches."""
    found = get_search_space(space)
    for architecture in found.samples(25, np.random.default_rng(1)):
        graph = found.graph(architecture).pruned()
        if not graph.edges:
            continue
        assert followed(text(sketch(graph), width=1000)) == sorted(
            (graph.operations[u], graph.operations[v]) for u, v in graph.edges
        )


def followed(drawing: str) -> list[tuple[str, str]]:
    """All connections of a drawing in characters, as pairs of labels."""
    lines = drawing.split("\n")
    grid = {(r, c): sign for r, line in enumerate(lines) for c, sign in enumerate(line) if sign != " "}
    boxes = {}
    for row, line in enumerate(lines):
        for match in re.finditer(r"│ +([\w.-]+) +│", line):
            boxes[row, match.start(), match.end() - 1] = match[1]

    def box_at(row: int, column: int) -> str:
        return next(label for (r, low, high), label in boxes.items() if r == row and low <= column <= high)

    pairs = []
    for (row, low, high), label in boxes.items():
        for column in range(low + 1, high):
            if grid.get((row + 1, column)) != "┬":
                continue
            ends, seen, waiting = [], set(), [(row + 2, column, "down")]
            while waiting:
                r, c, way = state = waiting.pop()
                if state in seen:
                    continue
                seen.add(state)
                sign = grid.get((r, c), " ")
                if way == "down" and sign == "┴" and box_is_below(boxes, r, c):
                    ends.append(box_at(r + 1, c))
                elif way == "down":
                    waiting += [(r + 1, c, "down")] if sign in "│├┤┼" else []
                    waiting += [(r, c + 1, "right")] if sign in "╰├┴┼" else []
                    waiting += [(r, c - 1, "left")] if sign in "╯┤┴┼" else []
                else:
                    step = 1 if way == "right" else -1
                    turns = "╮" if way == "right" else "╭"
                    waiting += [(r + 1, c, "down")] if sign in turns + "┬┼├┤" else []
                    waiting += [(r, c + step, way)] if sign in "─┬┴┼│" or sign in ("├" if step > 0 else "┤") else []
            pairs += [(label, end) for end in ends]
    return sorted(pairs)


def box_is_below(boxes: dict[tuple[int, int, int], str], row: int, column: int) -> bool:
    return any(r == row + 1 and low < column < high for r, low, high in boxes)


def test_what_does_not_fit_a_terminal_is_a_list() -> None:
    listed = text(sketch(network(9)), width=5).splitlines()
    assert listed[0] == "0    input"
    assert any("9 times" in line for line in listed)
    assert any(re.search(r"Add  from \d+, \d+", line) for line in listed)


def test_repeats_in_characters() -> None:
    assert "├ 9 times" in text(sketch(network(9)))


def test_labels_of_a_users_own_space() -> None:
    assert family_of("my operation") == family_of("MY OPERATION")
    assert family_of("my operation").startswith("other")
    assert family_of("conv1x1-bn-relu") == "pointwise"
    graph = Graph.from_edges(["input", 'a<b>&"c"', "output"], [(0, 1), (1, 2)])
    ElementTree.fromstring(svg(place(sketch(graph)), title="<&>"))
    assert '\\"c\\"' in dot(sketch(graph))
    single = Graph(["input"], [[0]])
    assert "input" in text(sketch(single))
    ElementTree.fromstring(svg(place(sketch(single))))


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown format of a picture '.gif'; known: .dot, .png, .svg"):
        draw(CELL, tmp_path / "cell.gif", space="nasbench201")
    with pytest.raises(UsageError, match="say which space"):
        draw(CELL, tmp_path / "cell.svg")
    with pytest.raises(UsageError):
        draw(("conv",), tmp_path / "cell.svg", space="nasbench201")
    with pytest.raises(NasxError, match="could not be written"):
        draw(CELL, tmp_path / "nowhere" / "cell.svg", space="nasbench201")
    labels = ["input", *(f"op {k}" for k in range(500)), "output"]
    with pytest.raises(NasxError, match="do not fit in a picture"):
        draw(Graph.from_edges(labels, [(k, k + 1) for k in range(501)]), tmp_path / "x.svg", condense=False)
