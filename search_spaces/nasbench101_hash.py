"""The official hash of NAS-Bench-101 cells.

Source: ``hash_module`` in google-research/nasbench, nasbench/lib/graph_util.py; C. Ying et al., "NAS-Bench-101: Towards
Reproducible Neural Architecture Search", ICML 2019. Every vertex starts from its degrees and its label and takes in,
once a vertex of the graph, the hashes of its neighbours; the graph hash is the MD5 of the sorted vertex hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import md5

import numpy as np

from nasx.search_spaces.cache import Arrays, cached_arrays
from nasx.search_spaces.md5_rows import md5_rows
from nasx.search_spaces.nasbench101_tables import PAIRS, cell_tables, unpack

_CHUNK = 32_768  # cells hashed at once

Neighbours = tuple[tuple[int, ...], ...]


@lru_cache(maxsize=8192)
def _neighbours(nodes: int, bits: int) -> tuple[Neighbours, Neighbours]:
    """Predecessors and successors of every vertex."""
    edges = [edge for bit, edge in enumerate(PAIRS) if bits >> bit & 1]
    before = tuple(tuple(i for i, j in edges if j == vertex) for vertex in range(nodes))
    after = tuple(tuple(j for i, j in edges if i == vertex) for vertex in range(nodes))
    return before, after


@lru_cache(maxsize=1024)
def _first_hash(out_degree: int, in_degree: int, label: int) -> str:
    return md5(str((out_degree, in_degree, label)).encode(), usedforsecurity=False).hexdigest()


def module_hash(nodes: int, bits: int, labels: Sequence[int]) -> str:
    """Returns the official hash of one cell.

    Args:
        nodes: Number of vertices.
        bits: Edges, as in ``nasbench101_tables``.
        labels: Operation of each inner vertex: 0 conv3x3-bn-relu, 1 conv1x1-bn-relu, 2 maxpool3x3.

    >>> module_hash(2, 1, [])
    '043721b9c7fe8c5fad811d47d83132ec'
    """
    before, after = _neighbours(nodes, bits)
    hashes = [
        _first_hash(len(outgoing), len(incoming), label)
        for outgoing, incoming, label in zip(after, before, (-1, *labels, -2), strict=True)
    ]
    for _ in range(nodes):
        hashes = [
            md5(
                (
                    "".join(sorted([hashes[w] for w in incoming]))
                    + "|"
                    + "".join(sorted([hashes[w] for w in outgoing]))
                    + "|"
                    + own
                ).encode(),
                usedforsecurity=False,
            ).hexdigest()
            for incoming, outgoing, own in zip(before, after, hashes, strict=True)
        ]
    return md5(str(sorted(hashes)).encode(), usedforsecurity=False).hexdigest()


@lru_cache(maxsize=65_536)
def hash_of_code(code: int) -> str:
    """Returns the official hash of the cell that a code stands for."""
    nodes, labels = code >> 29, code & 0xFF
    return module_hash(nodes, code >> 8 & 0x1FFFFF, [labels // 3**place % 3 for place in range(nodes - 2)])


@lru_cache(maxsize=1)
def all_module_hashes() -> np.ndarray:
    """Returns the hashes of all cells in index order, ``(423624,)`` of 32 bytes each.

    Takes some twenty seconds the first time and is kept in the cache folder.
    """
    codes = cell_tables().codes
    probe = np.linspace(0, len(codes) - 1, 50).astype(np.int64)
    expected = hashes_of_codes(codes[probe])

    def compute() -> Arrays:
        return {"hashes": hashes_of_codes(codes)}

    hashes = cached_arrays("nasbench101-hashes-1", compute).get("hashes")
    if hashes is None or hashes.shape != codes.shape or not np.array_equal(hashes[probe], expected):
        hashes = compute()["hashes"]  # the file in the cache folder is not ours
    return hashes


def hashes_of_codes(codes: np.ndarray) -> np.ndarray:
    """Returns the official hashes of many cells, ``(B,)`` of 32 bytes, without a loop over cells."""
    result = np.empty(len(codes), dtype="S32")
    nodes, bits, labels = unpack(codes)
    for size in np.unique(nodes).tolist():
        rows = np.flatnonzero(nodes == size)
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            result[chunk] = _hashes_of_size(size, bits[chunk], labels[chunk])
    return result


def _hashes_of_size(nodes: int, bits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    adjacency = np.zeros((len(bits), nodes, nodes), dtype=bool)
    for bit, (i, j) in enumerate(PAIRS[: nodes * (nodes - 1) // 2]):
        adjacency[:, i, j] = bits >> bit & 1
    inner = [labels // 3**place % 3 for place in range(nodes - 2)]
    ends = np.full(len(bits), -1), np.full(len(bits), -2)
    starts = np.stack([adjacency.sum(2), adjacency.sum(1), np.stack([ends[0], *inner, ends[1]], axis=1)], axis=-1)
    distinct, which = np.unique(starts.reshape(-1, 3), axis=0, return_inverse=True)
    first = np.array([_first_hash(*start) for start in distinct.tolist()], dtype="S32")
    hashes = first[which.reshape(-1)].reshape(len(bits), nodes)
    shape = adjacency.sum(1) * 8 + adjacency.sum(2)  # vertices of equal degrees have messages of equal length
    for _ in range(nodes):
        updated = np.empty_like(hashes)
        for vertex in range(nodes):
            for degrees in np.unique(shape[:, vertex]).tolist():
                rows = np.flatnonzero(shape[:, vertex] == degrees)
                before = _sorted_neighbours(hashes[rows], adjacency[rows, :, vertex], degrees // 8)
                after = _sorted_neighbours(hashes[rows], adjacency[rows, vertex], degrees % 8)
                updated[rows, vertex] = _md5(before, b"|", after, b"|", hashes[rows, vertex])
        hashes = updated
    ordered = np.sort(hashes, axis=1)
    parts = [part for vertex in range(nodes) for part in (b"', '", ordered[:, vertex])]
    return _md5(b"['", *parts[1:], b"']")  # str() of a list of texts


def _sorted_neighbours(hashes: np.ndarray, neighbours: np.ndarray, degree: int) -> np.ndarray:
    """The hashes of each row's neighbours, sorted, ``(B, degree)``."""
    return np.sort(hashes[neighbours].reshape(len(hashes), degree), axis=1)


def _md5(*parts: np.ndarray | bytes) -> np.ndarray:
    """MD5 of the parts put one after another: arrays of 32-byte texts, or text that all rows share."""
    count = max(len(part) for part in parts if isinstance(part, np.ndarray))
    columns = [
        np.broadcast_to(np.frombuffer(part, dtype=np.uint8), (count, len(part)))
        if isinstance(part, bytes)
        else np.ascontiguousarray(part).view(np.uint8).reshape(count, -1)
        for part in parts
    ]
    return md5_rows(np.concatenate(columns, axis=1)).view("S32").reshape(count)
