"""NAS-Bench-201: 15,625 cells with four nodes and an operation on each of six edges.

Source: X. Dong and Y. Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR
2020. The official index is the order of ``CellStructure.gen_all`` after ``random.seed(88); random.shuffle`` (xautodl).
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.choice_space import ChoiceSpace
from nasx.search_spaces.errors import UsageError, unknown
from nasx.search_spaces.graph import Graph

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ("0>1", "0>2", "1>2", "0>3", "1>3", "2>3")  # source > target, in the order of the official string
VOCABULARY = ("input", *OPERATIONS, "output")
ORDERS = ("lexicographic", "official")

_INPUTS = [edge for edge, name in enumerate(EDGES) if name[0] == "0"]
_OUTPUTS = [edge for edge, name in enumerate(EDGES) if name[2] == "3"]


def _adjacency() -> np.ndarray:
    """Nodes: input, the six edges of the cell, output. An edge feeds the edges that start where it ends."""
    matrix = np.zeros((8, 8), dtype=bool)
    matrix[0, [1 + edge for edge in _INPUTS]] = True
    matrix[[1 + edge for edge in _OUTPUTS], 7] = True
    for (i, first), (j, second) in itertools.product(enumerate(EDGES), repeat=2):
        matrix[1 + i, 1 + j] = first[2] == second[0]
    return matrix


ADJACENCY = _adjacency()


class NASBench201(ChoiceSpace):
    """The cells of NAS-Bench-201.

    An architecture is the tuple of six operation names on the edges 0>1, 0>2, 1>2, 0>3, 1>3, 2>3. Its text form is
    the official string. Its graph has eight nodes, input, the six edges, output, and the same adjacency for every
    cell; ``none`` stays a node there, ``Graph.pruned`` drops it.

    Args:
        order: What ``index`` counts: ``"lexicographic"`` order of the tuples, or the ``"official"`` index.

    Raises:
        UsageError: If the order is neither.

    >>> space = NASBench201(order="official")
    >>> space.format(space.architecture(0))
    '|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|'
    >>> space.parse("|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|")
    ('none', 'none', 'none', 'nor_conv_3x3', 'none', 'none')
    >>> space.graph(space.architecture(0)).num_nodes, space.size
    (8, 15625)
    """

    def __init__(self, order: str = "lexicographic") -> None:
        if order not in ORDERS:
            raise unknown("order of NAS-Bench-201", order, ORDERS)
        super().__init__("nasbench201", dict.fromkeys(EDGES, OPERATIONS), _build)
        self.order = order
        self._keys_of_cells: dict[tuple[str, ...], str] = {}

    def parse(self, text: str) -> tuple[str, ...]:
        """Reads an official string, ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``.

        Raises:
            UsageError: If the text has another shape or names an unknown operation.
        """
        cleaned = "".join(str(text).split())
        found = _PATTERN.fullmatch(cleaned)
        if not found:
            raise UsageError(
                f"'{text}' is no NAS-Bench-201 cell; write |op~0|+|op~0|op~1|+|op~0|op~1|op~2| "
                f"with operations {', '.join(OPERATIONS)}"
            )
        for operation in found.groups():
            if operation not in OPERATIONS:
                raise unknown("operation of NAS-Bench-201", operation, OPERATIONS)
        return found.groups()

    def format(self, architecture: Sequence[Any]) -> str:
        """Returns the official string."""
        self.validate(tuple(architecture))
        a, b, c, d, e, f = architecture
        return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"

    def from_matrix(self, adjacency: Any, operations: Sequence[str]) -> tuple[Any, ...]:
        """Reads the eight-node graph: input, the six operations in the order of the official string, output.

        Raises:
            UsageError: If it has another shape or other edges, or an operation is unknown.
        """
        matrix, names = np.asarray(adjacency), tuple(operations)
        if matrix.shape != ADJACENCY.shape or not np.array_equal(matrix != 0, ADJACENCY) or len(names) != 8:
            raise UsageError(
                "that is no NAS-Bench-201 cell: its graph has 8 nodes (input, the six edges of the cell as nodes in "
                "the order of the official string, output) and always the same edges; write the official string instead"
            )
        cell = names[1:-1]
        self.validate(cell)
        return cell

    def graphs(self, architectures: Sequence[Sequence[Any]]) -> GraphBatch:
        """Returns the graphs, ``(B, 8)`` nodes, codes into input, the five operations, output."""
        return _batch(self._codes(architectures))

    def graphs_of_indices(self, indices: Sequence[int] | np.ndarray) -> GraphBatch:
        """Returns the graphs of the cells at these positions."""
        numbers = np.asarray(indices, dtype=np.int64)
        if numbers.size and (numbers.min() < 0 or numbers.max() >= self._combinations):
            self._checked_index(int(numbers.min() if numbers.min() < 0 else numbers.max()))
        if self.order == "official":
            numbers = official_order()[0][numbers]
        return _batch(numbers[:, None] // 5 ** np.arange(5, -1, -1) % 5)

    def canonical_key(self, architecture: Sequence[Any]) -> str:
        """Returns the canonical hash of the pruned graph; computed once a cell."""
        cell = tuple(architecture)
        key = self._keys_of_cells.get(cell)
        if key is None:
            key = self._keys_of_cells[cell] = self.graph(cell).canonical_hash()
        return key

    def index(self, architecture: Sequence[Any]) -> int:
        """Returns the position in the chosen order."""
        number = super().index(tuple(architecture))
        return int(official_order()[1][number]) if self.order == "official" else number

    def indices(self, architectures: Sequence[Sequence[Any]]) -> np.ndarray:
        """Returns the positions of many cells, ``(n,)`` int64."""
        numbers = self._codes(architectures) @ 5 ** np.arange(5, -1, -1)
        return official_order()[1][numbers] if self.order == "official" else numbers

    def architecture(self, index: int) -> tuple[Any, ...]:
        """Returns the cell at a position in the chosen order."""
        number = self._checked_index(index)
        return self._combination(int(official_order()[0][number]) if self.order == "official" else number)

    def enumerate(self):  # type: ignore[no-untyped-def]
        """Yields every cell once, in the chosen order."""
        return (self.architecture(index) for index in range(self._combinations))

    def _codes(self, architectures: Sequence[Sequence[Any]]) -> np.ndarray:
        """Codes 0..4 of the operations, ``(n, 6)`` int64."""
        code = _CODE
        try:
            rows = [[code[operation] for operation in cell] for cell in architectures]
            codes = np.array(rows, dtype=np.int64).reshape(len(rows), 6)
        except (KeyError, ValueError, TypeError):
            for cell in architectures:
                self.validate(tuple(cell))  # raises for the first that is wrong
            raise
        return codes


_CODE = {operation: code for code, operation in enumerate(OPERATIONS)}
_PATTERN = re.compile(r"\|([^|~+]+)~0\|\+\|([^|~+]+)~0\|([^|~+]+)~1\|\+\|([^|~+]+)~0\|([^|~+]+)~1\|([^|~+]+)~2\|")


@lru_cache(maxsize=1)
def official_order() -> tuple[np.ndarray, np.ndarray]:
    """Returns (lexicographic number of each official index, official index of each lexicographic number).

    ``gen_all`` lists the operations of node 1, then for each following node runs through its operations for each
    of the cells before: in the order of the official string, that is lexicographic order.
    """
    numbers = list(range(len(OPERATIONS) ** len(EDGES)))
    random.Random(88).shuffle(numbers)
    lexicographic = np.array(numbers, dtype=np.int64)
    return lexicographic, np.argsort(lexicographic)


def _build(chosen: Mapping[str, Any]) -> Graph:
    return Graph.trusted(("input", *chosen.values(), "output"), ADJACENCY)


def _batch(codes: np.ndarray) -> GraphBatch:
    operations = np.zeros((len(codes), 8), dtype=np.int16)
    operations[:, 1:7] = codes + 1
    operations[:, 7] = len(VOCABULARY) - 1
    adjacency = np.broadcast_to(ADJACENCY, (len(codes), 8, 8))
    return GraphBatch(operations, adjacency, np.full(len(codes), 8), VOCABULARY)
