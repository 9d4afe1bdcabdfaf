"""All cells of NAS-Bench-101 as numbers: enumeration, normal form and decoding without a loop over cells.

A cell of n <= 7 nodes is ``(n, bits, labels)``: its edges as a bit set (edge i>j is bit j(j-1)/2 + i, whatever n is)
and the operations of its inner nodes as a number with base-3 digits (node 1 is the lowest digit). Its *code* is the
smallest such triple over all ways to number the inner nodes that keep every edge pointing forward, packed into one
int64; isomorphic cells share it. Finding it takes table look-ups only:

* ``topology[n, bits]``: the smallest bits over all numberings (-1 where a node is off every path from input to
  output, or there are more than nine edges), and ``numbering[n, bits]`` that gives them;
* what is left are the automorphisms of that topology, a subgroup of the permutations of five nodes; ``smallest[group,
  labels]`` is the smallest labels under them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

MAX_NODES = 7
MAX_EDGES = 9
OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
VOCABULARY = ("input", *OPERATIONS, "output")

PAIRS = [(i, j) for j in range(MAX_NODES) for i in range(j)]  # edge of bit 0, 1, ...; those below n come first
NUMBERINGS = np.array(list(itertools.permutations(range(5))))  # (120, 5): new place of each inner node
NUM_LABELS = 3**5

_POWERS = 3 ** np.arange(5)
_OFFSETS = np.array([0, 0, 0, 2, 10, 74, 1098, 33866, 2131018])  # where (n, bits = 0) is in the tables


def _pairs(nodes: int) -> int:
    return nodes * (nodes - 1) // 2


@dataclass(frozen=True)
class CellTables:
    """The look-up tables and the sorted codes of all cells.

    >>> tables = cell_tables()
    >>> len(tables.codes), tables.encode_one(2, 1, 0) == int(tables.codes[0])
    (423624, True)
    """

    topology: np.ndarray
    numbering: np.ndarray
    group: np.ndarray
    smallest: np.ndarray
    codes: np.ndarray

    def encode(self, nodes: np.ndarray, bits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Returns the code of each cell, -1 for those that are no cells of the benchmark.

        Args:
            nodes: ``(B,)`` 2..7.
            bits: ``(B,)`` edges.
            labels: ``(B,)`` operations, 0..242.
        """
        place = _OFFSETS[nodes] + bits
        topology = self.topology[place].astype(np.int64)
        moved = relabelled()[self.numbering[place], labels]
        smallest = self.smallest[self.group[_OFFSETS[nodes] + topology], moved]
        return np.where(topology < 0, -1, pack(nodes, topology, smallest))

    def encode_one(self, nodes: int, bits: int, labels: int) -> int:
        """Returns the code of one cell, or -1."""
        place = int(_OFFSETS[nodes]) + bits
        topology = int(self.topology[place])
        if topology < 0:
            return -1
        moved = relabelled()[self.numbering[place], labels]
        smallest = self.smallest[self.group[_OFFSETS[nodes] + topology], moved]
        return int(nodes << 29 | topology << 8 | int(smallest))


def pack(nodes: np.ndarray, bits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns ``(n, bits, labels)`` as one int64 that sorts like the triple."""
    return nodes.astype(np.int64) << 29 | bits.astype(np.int64) << 8 | labels.astype(np.int64)


def unpack(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns nodes, bits and labels of codes."""
    return codes >> 29, codes >> 8 & 0x1FFFFF, codes & 0xFF


@lru_cache(maxsize=1)
def relabelled() -> np.ndarray:
    """Returns ``(120, 243)``: the labels after the inner nodes got new places."""
    digits = np.arange(NUM_LABELS)[:, None] // _POWERS % 3
    return np.stack([digits @ _POWERS[numbering] for numbering in NUMBERINGS]).astype(np.int16)


@lru_cache(maxsize=1)
def cell_tables() -> CellTables:
    """Returns the tables, made in half a second the first time they are asked for in a process."""
    topology = np.full(_OFFSETS[-1], -1, dtype=np.int32)
    numbering = np.zeros(_OFFSETS[-1], dtype=np.uint8)
    keeps: dict[int, np.ndarray] = {}
    for nodes in range(2, MAX_NODES + 1):
        bits = _connected(nodes)
        best, chosen = bits.copy(), np.zeros(len(bits), dtype=np.uint8)
        for number, moved in _renumbered(nodes, bits):
            better = (moved >= 0) & (moved < best)
            best[better] = moved[better]
            chosen[better] = number
        topology[_OFFSETS[nodes] + bits] = best
        numbering[_OFFSETS[nodes] + bits] = chosen
        shapes = np.unique(best)
        keeps[nodes] = np.zeros((len(shapes), len(NUMBERINGS)), dtype=bool)
        for number, moved in _renumbered(nodes, shapes):
            keeps[nodes][:, number] = moved == shapes
    groups, members = np.unique(np.concatenate(list(keeps.values())), axis=0, return_inverse=True)
    smallest = np.stack([relabelled()[group].min(axis=0) for group in groups])
    group = np.zeros(_OFFSETS[-1], dtype=np.int16)
    codes = []
    start = 0
    for nodes, rows in keeps.items():
        shapes = np.unique(topology[_OFFSETS[nodes] : _OFFSETS[nodes + 1]])[1:]  # without the -1
        own = members.reshape(-1)[start : start + len(rows)]
        start += len(rows)
        group[_OFFSETS[nodes] + shapes] = own
        labels = np.arange(3 ** (nodes - 2))
        shape, label = np.nonzero(smallest[own][:, labels] == labels)
        codes.append(pack(np.full(len(shape), nodes), shapes[shape], label))
    return CellTables(topology, numbering, group, smallest, np.sort(np.concatenate(codes)))


def _connected(nodes: int) -> np.ndarray:
    """All edge sets of at most nine edges in which every node is on a path from input to output."""
    bits = np.arange(2 ** _pairs(nodes), dtype=np.int32)
    count = np.zeros(len(bits), dtype=np.int8)
    for bit in range(_pairs(nodes)):
        count += (bits >> bit & 1).astype(np.int8)
    keep = count <= MAX_EDGES
    for node in range(nodes):  # in topological order a predecessor each is enough to be reached, likewise backwards
        before = sum(1 << bit for bit, (_, j) in enumerate(PAIRS[: _pairs(nodes)]) if j == node)
        after = sum(1 << bit for bit, (i, _) in enumerate(PAIRS[: _pairs(nodes)]) if i == node)
        if node > 0:
            keep &= (bits & before) != 0
        if node < nodes - 1:
            keep &= (bits & after) != 0
    return bits[keep]


def _renumbered(nodes: int, bits: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yields, for every numbering of the inner nodes, its number and the bits after it (-1 where an edge turns)."""
    inner = nodes - 2
    for number, places in enumerate(NUMBERINGS.tolist()):
        if places[inner:] != list(range(inner, 5)):
            continue
        new = [0, *(1 + place for place in places[:inner]), nodes - 1]
        turned = 0
        tables = np.zeros((3, 128), dtype=np.int32)  # seven bits at a time
        for bit, (i, j) in enumerate(PAIRS[: _pairs(nodes)]):
            if new[i] > new[j]:
                turned |= 1 << bit
            else:
                low, high = new[i], new[j]
                tables[bit // 7] |= (np.arange(128) >> bit % 7 & 1) << (high * (high - 1) // 2 + low)
        moved = tables[0][bits & 127] | tables[1][bits >> 7 & 127] | tables[2][bits >> 14]
        yield number, np.where(bits & turned, -1, moved)
