"""NAS-Bench-101: 423,624 cells of up to seven nodes and nine edges, an operation on each inner node.

Source: C. Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019; pruning, validity
and hash as in google-research/nasbench (model_spec.py, graph_util.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from nasx.search_spaces import nasbench101_cell as edits
from nasx.search_spaces.batch import GraphBatch, as_batch
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.nasbench101_arrays import decode, encode_graphs, encode_text
from nasx.search_spaces.nasbench101_cell import Cell101, cell_of, code_of, code_of_cell, parts_of
from nasx.search_spaces.nasbench101_hash import all_module_hashes, hash_of_code, hashes_of_codes
from nasx.search_spaces.nasbench101_tables import MAX_NODES, OPERATIONS, PAIRS, cell_tables
from nasx.search_spaces.space import SearchSpace

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

BULK = 10_000  # cells from which on hashing all at once pays
ATTEMPTS = 20  # random edits tried before all neighbours are listed
_HASH = re.compile(r"[0-9a-f]{32}")


class NASBench101(SearchSpace):
    """The cells of NAS-Bench-101.

    An architecture is a ``Cell101`` in normal form; ``cell`` makes it of any specification, pruned or not. Neighbours
    are the cells with another operation on one node, one edge less or more (nodes that are then on no path from
    input to output go), or one more node on a new path between two nodes. The canonical key is the official MD5 hash.

    The text form is ``rows joined by '/';operations joined by ','``; ``parse`` takes the official hash as well. The
    index counts cells in the order of their codes (``nasbench101_tables``). The first use in a process makes the
    tables of all cells, half a second.

    >>> space = NASBench101()
    >>> cell = space.cell([[0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]],
    ...                   ["input", "maxpool3x3", "conv3x3-bn-relu", "output"])
    >>> space.format(cell)
    '010/001/000;input,conv3x3-bn-relu,output'
    >>> space.module_hash(cell)
    'b49ac8c578b4561d79ac7087988f1c61'
    >>> space.size, space.index(cell)
    (423624, 1)
    """

    def __init__(self) -> None:
        self.name = "nasbench101"

    def cell(self, adjacency: str | Iterable[Sequence[int]] | np.ndarray, operations: Sequence[str]) -> Cell101:
        """Returns the normal form of a cell.

        Args:
            adjacency: ``(N, N)`` strictly upper-triangular zeros and ones, or its rows joined by ``/``; N <= 7.
            operations: N labels, ``input`` first and ``output`` last.

        Raises:
            UsageError: If that is no cell of the benchmark.
        """
        return edits.normal_cell(adjacency, operations)

    def from_matrix(self, adjacency: Any, operations: Sequence[str]) -> Cell101:
        """Returns the normal form of a cell; see ``cell``."""
        return self.cell(adjacency, operations)

    def sample(self, rng: np.random.Generator) -> Cell101:
        """Draws one cell uniformly from all cells."""
        codes = cell_tables().codes
        return cell_of(int(codes[int(rng.integers(len(codes)))]))

    def samples(self, n: int, rng: np.random.Generator) -> list[Cell101]:
        """Draws n cells independently and uniformly; repeats are possible."""
        codes = cell_tables().codes
        return [cell_of(code) for code in codes[rng.integers(len(codes), size=n)].tolist()]

    def mutate(self, architecture: Cell101, rng: np.random.Generator) -> Cell101:
        """Makes a random edit: first its kind is drawn, then the edit.

        The kinds are those of ``neighbours``, and moving an edge: most cells have nine edges, the most allowed, so
        that adding one means to remove another.
        """
        code = code_of_cell(architecture)
        parts = parts_of(code)
        for _ in range(ATTEMPTS):
            mutant = code_of(_random_edit(parts, rng))
            if mutant not in (-1, code):
                return cell_of(mutant)
        return super().mutate(architecture, rng)

    def crossover(self, first: Cell101, second: Cell101, rng: np.random.Generator) -> Cell101:
        """Takes each edge and each operation from one of the two; returns the first if no mixture was valid."""
        coins = int.from_bytes(rng.bytes(26 * ATTEMPTS // 8), "little")
        for child in edits.mixtures(parts_of(code_of_cell(first)), parts_of(code_of_cell(second)), coins):
            code = code_of(child)
            if code >= 0:
                return cell_of(code)
        return first

    def neighbours(self, architecture: Cell101) -> list[Cell101]:
        """Returns all cells one operation, one edge or one new node away."""
        own = code_of_cell(architecture)
        parts = parts_of(own)
        variants = [*edits.relabelings(parts), *edits.edge_flips(parts), *edits.insertions(parts)]
        codes = dict.fromkeys(code_of(variant) for variant in variants)
        return [cell_of(code) for code in codes if code not in (-1, own)]

    def validate(self, architecture: Cell101) -> None:
        """Checks that the value is a ``Cell101`` in normal form.

        Raises:
            UsageError: If it is not.
        """
        code_of_cell(architecture)

    def parse(self, text: str) -> Cell101:
        """Reads ``rows;operations`` or an official hash.

        The first hash ever read takes some twenty seconds: all cells are hashed then, and kept in the cache folder.

        Raises:
            UsageError: If the text is neither, or names no cell of the benchmark.
        """
        text = str(text).strip()
        if _HASH.fullmatch(text):
            return self.architecture(int(self.indices_of_hashes([text])[0]))
        rows, semicolon, names = text.partition(";")
        if not semicolon:
            raise UsageError(
                f"'{text}' is no NAS-Bench-101 cell; write its hash, or rows and operations like "
                "'011/001/000;input,maxpool3x3,output'"
            )
        return self.cell(rows, [name.strip() for name in names.split(",")])

    def format(self, architecture: Cell101) -> str:
        """Returns ``rows joined by '/';operations joined by ','``."""
        code_of_cell(architecture)
        return f"{architecture.adjacency};{','.join(architecture.operations)}"

    def graph(self, architecture: Cell101) -> Graph:
        """Returns the cell as a graph, its own nodes."""
        code_of_cell(architecture)
        return Graph.trusted(architecture.operations, _matrix(architecture.adjacency))

    def graphs(self, architectures: Sequence[Cell101]) -> GraphBatch:
        """Returns the graphs, ``(B, 7)`` nodes, codes into input, the three operations, output."""
        return decode(self._codes(architectures))

    def graphs_of_indices(self, indices: Sequence[int] | np.ndarray) -> GraphBatch:
        """Returns the graphs of the cells at these positions; all of them in a second."""
        numbers = np.asarray(indices, dtype=np.int64)
        for edge in (numbers.min(), numbers.max()) if numbers.size else ():
            self._checked_index(int(edge))
        return decode(cell_tables().codes[numbers])

    def module_hash(self, architecture: Cell101) -> str:
        """Returns the official MD5 hash of a cell."""
        return hash_of_code(code_of_cell(architecture))

    def module_hashes(self) -> np.ndarray:
        """Returns the hashes of all cells in index order, ``(423624,)`` of 32 bytes; see ``parse`` for the time."""
        return all_module_hashes()

    def canonical_key(self, architecture: Cell101) -> str:
        """Returns the official MD5 hash of a cell."""
        return self.module_hash(architecture)

    def canonical_keys(self, architectures: Sequence[Cell101]) -> list[str]:
        """Returns the official MD5 hash of each cell; thousands of them at once where there are so many."""
        if len(architectures) < BULK:
            return [self.module_hash(cell) for cell in architectures]
        return hashes_of_codes(self._codes(architectures)).astype("U32").tolist()

    @property
    def size(self) -> int:
        """423,624."""
        return len(cell_tables().codes)

    def index(self, architecture: Cell101) -> int:
        """Returns the position among all cells."""
        return int(np.searchsorted(cell_tables().codes, code_of_cell(architecture)))

    def indices(self, architectures: Sequence[Cell101]) -> np.ndarray:
        """Returns the positions of many cells, ``(n,)`` int64."""
        return np.searchsorted(cell_tables().codes, self._codes(architectures))

    def architecture(self, index: int) -> Cell101:
        """Returns the cell at a position."""
        return cell_of(int(cell_tables().codes[self._checked_index(index)]))

    def enumerate(self) -> Iterator[Cell101]:
        """Yields every cell once, in index order."""
        return (cell_of(code) for code in cell_tables().codes.tolist())

    def indices_of_graphs(self, graphs: GraphBatch | Sequence[Graph]) -> np.ndarray:
        """Returns the index of each graph, ``(B,)`` int64; nodes may be numbered in any topological order.

        Raises:
            UsageError: If one of them is no cell; the message names its row.
        """
        return np.searchsorted(cell_tables().codes, self.codes(graphs))

    def indices_of_text(self, adjacency: Sequence[str], operations: Sequence[str]) -> np.ndarray:
        """Returns the index of each cell of a table, ``(B,)`` int64; a second for all 423,624.

        Args:
            adjacency: Rows of each matrix joined by ``/``.
            operations: Operations of each cell joined by ``,``.

        Raises:
            UsageError: If one of them is no cell; the message names its row.
        """
        return np.searchsorted(cell_tables().codes, encode_text(adjacency, operations))

    def indices_of_hashes(self, hashes: Sequence[str]) -> np.ndarray:
        """Returns the index of each official hash, ``(B,)`` int64.

        Raises:
            UsageError: If a hash belongs to no cell.
        """
        order, known = _sorted_hashes()
        wanted = np.array([str(text).strip() for text in hashes], dtype="S32")
        place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        missing = known[place] != wanted
        if missing.any():
            row = int(np.argmax(missing))
            raise UsageError(f"no NAS-Bench-101 cell has the hash '{hashes[row]}'")
        return order[place]

    def codes(self, graphs: GraphBatch | Sequence[Graph]) -> np.ndarray:
        """Returns the code of each graph, ``(B,)`` int64, equal for isomorphic graphs.

        Raises:
            UsageError: If one of them is no cell; the message names its row.
        """
        return encode_graphs(as_batch(graphs))

    def distributions(self) -> dict[str, BaseDistribution]:
        """Returns 21 edges (0 or 1) and five operations on seven nodes, as Optuna categorical distributions."""
        from optuna.distributions import CategoricalDistribution

        edges: dict[str, BaseDistribution] = {_edge(i, j): CategoricalDistribution((0, 1)) for i, j in PAIRS}
        return edges | {f"operation_{node}": CategoricalDistribution(OPERATIONS) for node in range(1, MAX_NODES - 1)}

    def to_params(self, architecture: Cell101) -> dict[str, Any]:
        """Returns the cell laid on seven nodes, its output last; nodes it does not have are not connected."""
        parts = parts_of(code_of_cell(architecture))
        present = edits.laid_out(parts)
        labels = parts.labels + [0] * (MAX_NODES - parts.nodes)
        params: dict[str, Any] = {_edge(i, j): int((i, j) in present) for i, j in PAIRS}
        return params | {f"operation_{place + 1}": OPERATIONS[label] for place, label in enumerate(labels)}

    def from_params(self, params: Mapping[str, Any]) -> Cell101:
        """Returns the pruned cell.

        Raises:
            UsageError: If a parameter is missing, or no cell of at most nine edges is left after pruning.
        """
        needed = [*(_edge(i, j) for i, j in PAIRS), *(f"operation_{node}" for node in range(1, MAX_NODES - 1))]
        missing = [key for key in needed if key not in params]
        if missing:
            raise UsageError(
                f"{', '.join(missing)} not chosen; a NAS-Bench-101 cell needs all {len(needed)} parameters"
            )
        matrix = np.zeros((MAX_NODES, MAX_NODES), dtype=int)
        for i, j in PAIRS:
            matrix[i, j] = params[_edge(i, j)]
        return self.cell(matrix, ["input", *(params[key] for key in needed[len(PAIRS) :]), "output"])

    def _codes(self, cells: Sequence[Cell101]) -> np.ndarray:
        return np.array([code_of_cell(cell) for cell in cells], dtype=np.int64)


def _edge(i: int, j: int) -> str:
    return f"edge_{i}_{j}"


def _random_edit(parts: edits.Parts, rng: np.random.Generator) -> edits.Parts:
    """Another operation, an edge less or more, an edge moved, or a new node; the kind is drawn first."""
    links = edits.insertion_links(parts)
    kinds = ["edge", "move"] + ["operation"] * bool(parts.labels) + ["node"] * bool(links)
    kind = kinds[int(rng.integers(len(kinds)))]
    if kind == "node":
        return edits.inserted(parts, links[int(rng.integers(len(links)))], int(rng.integers(3)))
    if kind == "move":
        place = int(rng.integers(len(parts.edges)))
        rest = edits.Parts(parts.edges[:place] + parts.edges[place + 1 :], parts.labels)
        links = [link for link in edits.new_links(rest) if link not in parts.edges]
        return edits.Parts([*rest.edges, links[int(rng.integers(len(links)))]], parts.labels) if links else rest
    variants = edits.relabelings(parts) if kind == "operation" else edits.edge_flips(parts)
    return variants[int(rng.integers(len(variants)))]


@lru_cache(maxsize=16_384)
def _matrix(adjacency: str) -> np.ndarray:
    return np.array([[value == "1" for value in row] for row in adjacency.split("/")])


@lru_cache(maxsize=1)
def _sorted_hashes() -> tuple[np.ndarray, np.ndarray]:
    """Index of each hash in sorted order, and the sorted hashes."""
    hashes = all_module_hashes()
    order = np.argsort(hashes)
    return order, hashes[order]
