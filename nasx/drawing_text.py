"""A drawing in characters, for terminals, and as text for Graphviz."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from nasx.drawing_layout import Layout, layered
from nasx.drawing_sketch import Sketch

#: What stands where lines go up, down, left and right from a place.
_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_SIGNS = {
    _UP | _DOWN: "│", _LEFT | _RIGHT: "─", _DOWN | _RIGHT: "╭", _DOWN | _LEFT: "╮", _UP | _RIGHT: "╰", _UP | _LEFT: "╯",
    _UP | _DOWN | _RIGHT: "├", _UP | _DOWN | _LEFT: "┤", _DOWN | _LEFT | _RIGHT: "┬", _UP | _LEFT | _RIGHT: "┴",
    _UP | _DOWN | _LEFT | _RIGHT: "┼", _UP: "│", _DOWN: "│", _LEFT: "─", _RIGHT: "─",
}  # fmt: skip
_MOST_BOXES = 60


def text(sketch: Sketch, *, width: int = 100) -> str:
    """Draws a sketch in characters; as a list of boxes and what they read where that would be too wide or too long.

    Lines of different sources never share a place: where one passes behind another it is interrupted.

    Args:
        sketch: The sketch.
        width: Characters a line.

    >>> from nasx.drawing_sketch import sketch
    >>> from nasx.search_spaces.graph import Graph
    >>> print(text(sketch(Graph.from_edges(["input", "conv", "pool", "output"], [(0, 1), (0, 2), (1, 3), (2, 3)]))))
        ╭───────╮
        │ input │
        ╰───┬───╯
        ╭───┴────╮
    ╭───┴──╮ ╭───┴──╮
    │ conv │ │ pool │
    ╰───┬──╯ ╰───┬──╯
        ╰───╮ ╭──╯
        ╭───┴─┴──╮
        │ output │
        ╰────────╯
    """
    if len(sketch.boxes) <= _MOST_BOXES:
        lines = _Canvas(sketch).lines()
        if max(map(len, lines)) <= width:
            return "\n".join(lines)
    return "\n".join(_listed(sketch))


def dot(sketch: Sketch) -> str:
    """Returns the sketch in the language of Graphviz, with the same colours.

    >>> from nasx.drawing_sketch import sketch
    >>> from nasx.search_spaces.graph import Graph
    >>> dot(sketch(Graph(["input", "output"], [[0, 1], [0, 0]]))).splitlines()[-2:]
    ['  0 -> 1;', '}']
    """
    from nasx.drawing import COLOURS

    lines = ["digraph {", '  node [shape=box style="filled,rounded" fontname="sans-serif" fontcolor=white penwidth=0];']
    lines += ['  edge [color="#8391a7"];']
    for number, box in enumerate(sketch.boxes):
        label = "\\n".join(line.text.replace("\\", "\\\\").replace('"', '\\"') for line in box.lines)
        leading = next((line for line in box.lines if line.family in ("conv", "pointwise", "linear")), box.lines[0])
        faint = "80" if box.dead else ""
        lines.append(f'  {number} [label="{label}" fillcolor="{COLOURS[leading.family]}{faint}"];')
    for number, repeat in enumerate(sketch.repeats):
        members = "; ".join(map(str, repeat.boxes))
        lines.append(f'  subgraph cluster_{number} {{ label="{repeat.times} times"; style=dashed; {members}; }}')
    lines += [f"  {source} -> {target};" for source, target in sketch.edges]
    return "\n".join([*lines, "}", ""])


def _listed(sketch: Sketch) -> list[str]:
    """One line a box: its number, its operations, the numbers of the boxes it reads; a brace beside what repeats."""
    reads: list[list[int]] = [[] for _ in sketch.boxes]
    for source, target in sketch.edges:
        reads[target].append(source)
    first = {repeat.boxes[0]: repeat for repeat in sketch.repeats}
    inside: dict[int, str] = {}
    for repeat in sketch.repeats:
        inside |= dict.fromkeys(repeat.boxes, "│ ")
        inside[repeat.boxes[-1]] = "╰ "
    digits = len(str(len(sketch.boxes)))
    lines = []
    for number, box in enumerate(sketch.boxes):
        if number in first:
            lines.append(f"{' ' * digits}  ╭ {first[number].times} times")
        sources = [str(source) for source in reads[number] if reads[number] != [number - 1]]
        name = " + ".join(line.text for line in box.lines)
        heard = f"  from {', '.join(sources)}" if sources else ""
        lines.append(f"{number:>{digits}}  {inside.get(number, '  ')}{name}{heard}")
    return lines


@dataclass(frozen=True)
class _Wire:
    """All edges of one source between two layers: down from a column, along a row, down to other columns."""

    start: int
    ends: tuple[int, ...]

    @property
    def span(self) -> tuple[int, int]:
        return min(self.start, *self.ends), max(self.start, *self.ends)


class _Canvas:
    """Boxes and lines on a grid of characters."""

    def __init__(self, sketch: Sketch) -> None:
        self.sketch = sketch
        count = len(sketch.boxes)
        ins = [0] * count
        for _, target in sketch.edges:
            ins[target] += 1
        self.texts = [[line.text for line in box.lines] for box in sketch.boxes]
        self.inner = [max(max(map(len, lines)) + 2, 2 * ins[node] + 1) for node, lines in enumerate(self.texts)]
        self.layout: Layout = layered(count, sketch.edges, [w + 2 for w in self.inner], gap=1, thin=3)
        self.signs: dict[tuple[int, int], int] = {}
        self.owner: dict[tuple[int, int], int] = {}
        self.words: dict[tuple[int, int], str] = {}
        self.tops: dict[int, int] = {}

    def lines(self) -> list[str]:
        count = len(self.sketch.boxes)
        left = [round(x - (self.inner[n] + 2) / 2) if n < count else round(x) for n, x in enumerate(self.layout.x)]
        self._apart(left)
        following: dict[int, list[tuple[int, int]]] = {}
        for source, target in self.sketch.edges:
            route = self.layout.routes[source, target]
            for upper, lower in pairwise(route):
                following.setdefault(upper, []).append((lower, source))
        port = {n: left[n] + (self.inner[n] + 2) // 2 for n in range(count)}
        port |= {n: left[n] for n in range(count, len(left))}
        row = 0
        for number, layer in enumerate(self.layout.layers):
            tall = max([len(self.texts[node]) for node in layer if node < count] or [1]) + 2
            bottoms = {}
            for node in layer:
                if node < count:
                    self._box(node, left[node], row)
                    bottoms[node] = row + len(self.texts[node]) + 1
                else:
                    bottoms[node] = row - 1
            if number + 1 == len(self.layout.layers):
                break
            wires = self._wires(layer, self.layout.layers[number + 1], following, port, left)
            tracks = _tracks([wire for wire in wires.values() if wire.span[0] < wire.span[1]])
            below = row + tall + max(tracks.values(), default=-1) + 1
            for node, wire in wires.items():
                track = row + tall + tracks.get(wire, 0)
                self._draw(node, wire, bottoms[node], track, below)
            row = below
        return self._rendered()

    def _apart(self, left: list[int]) -> None:
        """Rounding must not let boxes overlap."""
        count = len(self.sketch.boxes)
        for layer in self.layout.layers:
            edge = -1000
            for node in layer:
                left[node] = max(left[node], edge + 1)
                edge = left[node] + (self.inner[node] + 2 if node < count else 1)
        shift = min(left)
        left[:] = [value - shift for value in left]

    def _wires(
        self,
        layer: list[int],
        lower: list[int],
        following: dict[int, list[tuple[int, int]]],
        port: dict[int, int],
        left: list[int],
    ) -> dict[int, _Wire]:
        """The lines from a layer to the next; no two of different sources come down the same column."""
        count = len(self.sketch.boxes)
        starts = {port[node]: node for node in layer if node in following}
        arriving: dict[int, list[int]] = {}
        for node in layer:
            for target, _ in following.get(node, []):
                arriving.setdefault(target, []).append(node)
        ends: dict[int, list[int]] = {}
        for target in lower:
            sources = sorted(arriving.get(target, []), key=port.__getitem__)
            if target >= count:
                (source,) = sources
                if starts.get(port[target], source) != source:
                    port[target] += 1  # somebody else starts here
                ends.setdefault(source, []).append(port[target])
                continue
            width = self.inner[target]
            middle = left[target] + (width + 2) // 2
            free = list(range(left[target] + 1, left[target] + width + 1))
            step = 2 if len(sources) > 1 else 0
            for number, source in enumerate(sources):
                wanted = middle + step * number - (step * (len(sources) - 1)) // 2
                usable = [c for c in free if starts.get(c, source) == source] or free
                column = min(usable, key=lambda c: (abs(c - wanted), c))
                free = [c for c in free if c > column]
                ends.setdefault(source, []).append(column)
        return {node: _Wire(port[node], tuple(columns)) for node, columns in ends.items()}

    def _box(self, node: int, left: int, row: int) -> None:
        width = self.inner[node]
        self.tops[node] = row
        self.words[row, left] = "╭" + "─" * width + "╮"
        for number, line in enumerate(self.texts[node]):
            self.words[row + 1 + number, left] = "│" + line.center(width) + "│"
        self.words[row + len(self.texts[node]) + 1, left] = "╰" + "─" * width + "╯"

    def _draw(self, node: int, wire: _Wire, top: int, track: int, below: int) -> None:
        if wire.span[0] == wire.span[1]:
            self._vertical(node, wire.start, top, below)
            return
        self._vertical(node, wire.start, top, track)
        for column in range(wire.span[0], wire.span[1]):
            self._join(node, track, column, _RIGHT)
            self._join(node, track, column + 1, _LEFT)
        for column in wire.ends:
            self._vertical(node, column, track, below)

    def _vertical(self, node: int, column: int, top: int, bottom: int) -> None:
        for row in range(top, bottom):
            self._join(node, row, column, _DOWN)
            self._join(node, row + 1, column, _UP)

    def _join(self, node: int, row: int, column: int, sign: int) -> None:
        """Adds a direction to a place; where two sources meet the one that goes down is seen."""
        place = row, column
        if self.owner.setdefault(place, node) != node:
            if sign in (_LEFT, _RIGHT):
                return
            if self.signs[place] in (_LEFT, _RIGHT, _LEFT | _RIGHT):
                self.owner[place], self.signs[place] = node, 0
        self.signs[place] = self.signs.get(place, 0) | sign

    def _rendered(self) -> list[str]:
        rows = max(row for row, _ in [*self.words, *self.signs]) + 1
        grid: list[list[str]] = [[] for _ in range(rows)]

        def put(row: int, column: int, word: str) -> None:
            line = grid[row]
            line.extend(" " * (column + len(word) - len(line)))
            line[column : column + len(word)] = word

        for (row, column), sign in self.signs.items():
            put(row, column, _SIGNS[sign])
        for (row, column), word in self.words.items():
            put(row, column, word)
        for (row, column), sign in self.signs.items():  # where lines leave and enter boxes
            if grid[row][column] == "─" and sign in (_UP, _DOWN):
                grid[row][column] = "┴" if sign == _UP else "┬"
        for repeat in self.sketch.repeats:
            first = min(self.tops[box] for box in repeat.boxes)
            last = max(self.tops[box] + len(self.texts[box]) + 1 for box in repeat.boxes)
            column = max(len(grid[row]) for row in range(first, last + 1)) + 1
            for row in range(first, last + 1):
                put(row, column, "╮" if row == first else "╯" if row == last else "│")
            put((first + last) // 2, column, f"├ {repeat.times} times")
        return ["".join(line).rstrip() for line in grid]


def _tracks(wires: list[_Wire]) -> dict[_Wire, int]:
    """A row for each horizontal line so that no two overlap."""
    rows: list[list[tuple[int, int]]] = []
    found = {}
    for wire in sorted(wires, key=lambda wire: wire.span):
        low, high = wire.span
        fits = (row for row, taken in enumerate(rows) if all(high < a or b < low for a, b in taken))
        row = next(fits, len(rows))
        if row == len(rows):
            rows.append([])
        rows[row].append((low, high))
        found[wire] = row
    return found
