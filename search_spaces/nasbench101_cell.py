"""One cell of NAS-Bench-101 as a value: text, numbers, normal form, single edits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from nasx.search_spaces.errors import UsageError, unknown
from nasx.search_spaces.nasbench101_tables import MAX_EDGES, MAX_NODES, OPERATIONS, PAIRS, cell_tables

Edge = tuple[int, int]


class Cell101(NamedTuple):
    """A cell of NAS-Bench-101 in normal form: pruned, and of all ways to number its nodes the smallest.

    Attributes:
        adjacency: Rows of the upper-triangular matrix, joined by ``/``.
        operations: ``input``, the operations of the inner nodes, ``output``.

    >>> cell_of(code_of(Parts([(0, 1), (1, 2)], [2])))
    Cell101(adjacency='010/001/000', operations=('input', 'maxpool3x3', 'output'))
    """

    adjacency: str
    operations: tuple[str, ...]


class Parts(NamedTuple):
    """A cell as a directed acyclic graph on nodes 0 (input) .. n-1 (output), inner nodes in any order.

    >>> parts_of(code_of(Parts([(0, 2), (2, 1), (1, 3)], [0, 1])))
    Parts(edges=[(0, 1), (1, 2), (2, 3)], labels=[1, 0])
    """

    edges: list[Edge]
    labels: list[int]  # of the inner nodes

    @property
    def nodes(self) -> int:
        """The number of nodes, input and output included."""
        return len(self.labels) + 2


def parts_of(code: int) -> Parts:
    """Returns the cell that a code stands for, nodes numbered as in its normal form."""
    nodes, bits, labels = code >> 29, code >> 8 & 0x1FFFFF, code & 0xFF
    edges = [edge for bit, edge in enumerate(PAIRS) if bits >> bit & 1]
    return Parts(edges, [labels // 3**place % 3 for place in range(nodes - 2)])


def code_of(parts: Parts) -> int:
    """Returns the code of a cell: dead nodes dropped, the rest in normal form. -1 if no valid cell is left."""
    last = parts.nodes - 1
    after = [0] * (last + 1)  # successors as bit sets
    before = [0] * (last + 1)
    for i, j in parts.edges:
        after[i] |= 1 << j
        before[j] |= 1 << i
    live = _closure(0, after) & _closure(last, before)
    if not live >> last & 1:
        return -1
    order: list[int] = []
    waiting = live
    while waiting:
        ready = [node for node in range(last + 1) if waiting >> node & 1 and not before[node] & waiting]
        order += ready
        for node in ready:
            waiting &= ~(1 << node)
    if len(order) > MAX_NODES:
        return -1
    place = {node: position for position, node in enumerate(order)}
    bits = 0
    for i, j in parts.edges:
        if i in place and j in place:
            low, high = place[i], place[j]
            bits |= 1 << (high * (high - 1) // 2 + low)
    labels = sum(parts.labels[node - 1] * 3**position for position, node in enumerate(order[1:-1]))
    return cell_tables().encode_one(len(order), bits, labels)


def _closure(start: int, links: list[int]) -> int:
    """All nodes that links lead to from a start, as a bit set."""
    found = frontier = 1 << start
    while frontier:
        node = frontier.bit_length() - 1
        new = links[node] & ~found
        found |= new
        frontier = frontier & ~(1 << node) | new
    return found


def reachable(parts: Parts) -> list[int]:
    """Returns, for each node, the bit set of the nodes after it on some path, itself included."""
    after = [0] * parts.nodes
    for i, j in parts.edges:
        after[i] |= 1 << j
    return [_closure(node, after) for node in range(parts.nodes)]


def new_links(parts: Parts) -> list[Edge]:
    """Returns all ordered pairs (u, v) such that a path from u to v may be added: v does not lead back to u."""
    reach = reachable(parts)
    last = parts.nodes - 1
    return [(u, v) for u in range(last) for v in range(1, last + 1) if u != v and not reach[v] >> u & 1]


def relabelings(parts: Parts) -> list[Parts]:
    """Returns the cells with another operation on one inner node."""
    labels = parts.labels
    return [
        Parts(parts.edges, [*labels[:place], (label + step) % 3, *labels[place + 1 :]])
        for place, label in enumerate(labels)
        for step in (1, 2)
    ]


def edge_flips(parts: Parts) -> list[Parts]:
    """Returns the cells with one edge less or one more; dead nodes are still in them."""
    less = [Parts([other for other in parts.edges if other != edge], parts.labels) for edge in parts.edges]
    if len(parts.edges) == MAX_EDGES:
        return less
    present = set(parts.edges)
    return less + [Parts([*parts.edges, link], parts.labels) for link in new_links(parts) if link not in present]


def insertions(parts: Parts) -> list[Parts]:
    """Returns the cells with one more node between two nodes u > v (an edge u > v stays)."""
    return [inserted(parts, link, label) for link in insertion_links(parts) for label in range(3)]


def insertion_links(parts: Parts) -> list[Edge]:
    """Returns the pairs of nodes between which a node fits."""
    if parts.nodes == MAX_NODES or len(parts.edges) > MAX_EDGES - 2:
        return []
    return new_links(parts)


def inserted(parts: Parts, link: Edge, label: int) -> Parts:
    """Returns the cell with a node on a new path u > node > v."""
    last = parts.nodes - 1
    moved = [(i, j + 1 if j == last else j) for i, j in parts.edges]  # the new node takes the output's number
    u, v = link
    return Parts([*moved, (u, last), (last, v + 1 if v == last else v)], [*parts.labels, label])


@lru_cache(maxsize=16_384)
def _adjacency_text(nodes: int, bits: int) -> str:
    edges = {edge for bit, edge in enumerate(PAIRS) if bits >> bit & 1}
    return "/".join("".join(str(int((i, j) in edges)) for j in range(nodes)) for i in range(nodes))


@lru_cache(maxsize=1024)
def _operation_names(nodes: int, labels: int) -> tuple[str, ...]:
    return ("input", *(OPERATIONS[labels // 3**place % 3] for place in range(nodes - 2)), "output")


def cell_of(code: int) -> Cell101:
    """Returns the cell of a code."""
    nodes = code >> 29
    return Cell101(_adjacency_text(nodes, code >> 8 & 0x1FFFFF), _operation_names(nodes, code & 0xFF))


@lru_cache(maxsize=16_384)
def read_adjacency(text: str) -> tuple[int, int]:
    """Returns ``(nodes, bits)`` of matrix rows joined by ``/``.

    Raises:
        UsageError: If the text is no strictly upper-triangular matrix of zeros and ones for 2 to 7 nodes.
    """
    rows = text.strip().split("/")
    nodes = len(rows)
    if any(len(row) != nodes or set(row) - {"0", "1"} for row in rows):
        raise UsageError(
            f"'{text}' is no adjacency; write the rows of a square 0/1 matrix joined by '/', like 011/001/000"
        )
    if not 2 <= nodes <= MAX_NODES:
        raise UsageError(f"a NAS-Bench-101 cell has 2 to {MAX_NODES} nodes; '{text}' has {nodes}")
    if any(row[j] == "1" for i, row in enumerate(rows) for j in range(i + 1)):
        raise UsageError(f"'{text}' is not strictly upper-triangular; every edge must point to a later node")
    return nodes, sum(1 << bit for bit, (i, j) in enumerate(PAIRS) if j < nodes and rows[i][j] == "1")


@lru_cache(maxsize=4096)
def read_operations(operations: tuple[str, ...]) -> int:
    """Returns the number that stands for the operations of the inner nodes.

    Raises:
        UsageError: If the first is not ``input``, the last not ``output``, or another unknown.
    """
    if len(operations) < 2 or operations[0] != "input" or operations[-1] != "output":
        raise UsageError(f"operations of a cell run from 'input' to 'output'; got {', '.join(map(str, operations))}")
    for operation in operations[1:-1]:
        if operation not in OPERATIONS:
            raise unknown("operation of NAS-Bench-101", operation, OPERATIONS)
    return sum(OPERATIONS.index(operation) * 3**place for place, operation in enumerate(operations[1:-1]))


def matrix_text(adjacency: str | Iterable[Sequence[int]] | np.ndarray) -> str:
    """Returns an adjacency, given as text or as rows of numbers, as text."""
    if isinstance(adjacency, str):
        return adjacency
    return "/".join("".join(str(int(value)) for value in row) for row in adjacency)


def mixtures(first: Parts, second: Parts, coins: int) -> Iterator[Parts]:
    """Yields cells that have each edge and each operation from one of two parents.

    Both parents are laid on seven nodes, inner nodes first come first, output last.

    Args:
        first: One parent.
        second: The other.
        coins: Random bits, 26 for each mixture; as many mixtures as there are bits for.
    """
    edges = [laid_out(parent) for parent in (first, second)]
    longest = max(first.labels, second.labels, key=len)
    while coins:
        take = [coins >> bit & 1 for bit in range(26)]
        coins >>= 26
        child = [edge for bit, edge in enumerate(PAIRS) if edge in edges[take[bit]]]
        labels = [
            (first, second)[take[21 + place]].labels[place]
            if place < min(len(first.labels), len(second.labels))
            else (longest[place] if place < len(longest) else 0)
            for place in range(MAX_NODES - 2)
        ]
        yield Parts(child, labels)


def laid_out(parts: Parts) -> set[Edge]:
    """Returns the edges on seven nodes, the output last."""
    last = parts.nodes - 1
    return {(i, MAX_NODES - 1 if j == last else j) for i, j in parts.edges}


def code_of_cell(cell: Cell101) -> int:
    """Returns the code of a cell in normal form.

    Raises:
        UsageError: If the value is no cell, or not in normal form.
    """
    try:
        adjacency, operations = cell
        nodes, bits = read_adjacency(adjacency)
        labels = read_operations(operations)
    except UsageError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{cell!r} is no NAS-Bench-101 cell; space.cell(adjacency, operations) makes one") from error
    code = nodes << 29 | bits << 8 | labels
    if len(operations) != nodes or cell_tables().encode_one(nodes, bits, labels) != code:
        raise UsageError(f"{cell!r} is not in normal form; space.cell(adjacency, operations) brings it there")
    return code


def normal_cell(adjacency: str | Iterable[Sequence[int]] | np.ndarray, operations: Sequence[str]) -> Cell101:
    """Returns the normal form of a cell; see ``NASBench101.cell``."""
    text = matrix_text(adjacency)
    nodes, bits = read_adjacency(text)
    names = tuple(operations)
    if len(names) != nodes:
        raise UsageError(f"an adjacency of {nodes} nodes needs {nodes} operations; got {len(names)}")
    labels = read_operations(names)
    code = cell_tables().encode_one(nodes, bits, labels)  # knows every cell without dead nodes
    if code < 0:
        code = code_of(parts_of(nodes << 29 | bits << 8 | labels))
    if code < 0:
        raise UsageError(
            f"'{text}' is no NAS-Bench-101 cell; after pruning, a path must lead from input to output and at most "
            f"{MAX_EDGES} edges be left"
        )
    return cell_of(code)
