"""Trainable parameters: against the published network built node by node, and against the published counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.nasbench101 import NASBench101
from nasx.search_spaces.nasbench101_parameters import trainable_parameters
from nasx.search_spaces.nasbench101_tables import VOCABULARY

CONV3, CONV1, POOL = VOCABULARY[1:4]


def convolution(size: int, inputs: int, outputs: int) -> int:
    return size * size * inputs * outputs + 2 * outputs


def vertex_channels(channels: int, matrix: np.ndarray) -> list[int]:
    """The published rule, one node at a time."""
    last = len(matrix) - 1
    result = [0] * len(matrix)
    feeding = [v for v in range(1, last) if matrix[v, last]]
    for place, v in enumerate(feeding):
        result[v] = channels // len(feeding) + (place < channels % len(feeding))
    for v in range(last - 2, 0, -1):
        if v not in feeding:
            result[v] = max(result[w] for w in range(v + 1, last) if matrix[v, w])
    return result


def counted(graph: Graph) -> int:
    """The published network, layer by layer."""
    matrix, last = graph.adjacency, graph.num_nodes - 1
    total, before = convolution(3, 3, 128), 128
    for channels in (128, 256, 512):
        for _ in range(3):
            widths = vertex_channels(channels, matrix)
            for v in range(1, last):
                if matrix[0, v]:
                    total += convolution(1, before, widths[v])
                if graph.operations[v] != POOL:
                    total += convolution(3 if graph.operations[v] == CONV3 else 1, widths[v], widths[v])
            if matrix[0, last]:
                total += convolution(1, before, channels)
            before = channels
    return total + 512 * 10 + 10


def test_known_counts() -> None:
    """Two counts of the published table: the best cell of the paper, and the first cell in the order of hashes."""
    rows = "0100110/0010000/0001001/0000010/0000010/0000001/0000000"
    first = Graph(["input", CONV3, POOL, CONV3, CONV3, CONV1, "output"], [[int(d) for d in r] for r in rows.split("/")])
    assert trainable_parameters([first]).tolist() == [8_555_530]


def test_like_the_network_built_node_by_node() -> None:
    space = NASBench101()
    cells = space.graphs_of_indices(np.r_[0:60, np.random.default_rng(0).integers(space.size, size=200)])
    assert trainable_parameters(cells).tolist() == [counted(graph) for graph in cells]


def test_dead_nodes_and_other_vocabularies() -> None:
    alive = Graph.from_edges(["input", CONV3, "output"], [(0, 1), (1, 2)])
    dead = Graph.from_edges(["input", CONV3, POOL, "output"], [(0, 1), (1, 3), (0, 2)])
    assert len(set(trainable_parameters([alive, dead]).tolist())) == 1
    assert trainable_parameters([]).tolist() == []


def test_foreign_graphs_are_refused() -> None:
    good = Graph.from_edges(["input", CONV3, "output"], [(0, 1), (1, 2)])
    for bad in (
        Graph.from_edges(["input", "nor_conv_3x3", "output"], [(0, 1), (1, 2)]),
        Graph.from_edges(["input", CONV3, "output"], [(0, 1)]),
    ):
        with pytest.raises(UsageError):
            trainable_parameters([good, bad])


def published(folder: Path, rows: slice | np.ndarray) -> tuple[GraphBatch, np.ndarray, list[str]]:
    """Cells as the published table spells them, their parameters and hashes."""
    pd = pytest.importorskip("pandas")
    frame = pd.read_parquet(folder / "nasbench101.parquet").iloc[rows]
    count = len(frame)
    adjacency, operations = np.zeros((count, 7, 7), dtype=bool), np.full((count, 7), -1, dtype=np.int16)
    codes = {name: code for code, name in enumerate(VOCABULARY)}
    for row, (matrix, names) in enumerate(zip(frame.adjacency, frame.operations, strict=True)):
        digits = np.frombuffer(matrix.replace("/", "").encode(), dtype=np.uint8) == ord("1")
        labels = [codes[name] for name in names.split(",")]
        operations[row, : len(labels)] = labels
        adjacency[row, : len(labels), : len(labels)] = digits.reshape(len(labels), -1)
    batch = GraphBatch(operations, adjacency, (operations >= 0).sum(axis=1), VOCABULARY)
    return batch, frame.trainable_parameters.to_numpy(), frame.module_hash.tolist()


@pytest.mark.data
def test_published_counts(shared_data: Path) -> None:
    cells, parameters, hashes = published(shared_data, slice(None, None, 100))
    assert np.array_equal(trainable_parameters(cells), parameters)
    space = NASBench101()
    assert space.canonical_keys([space.architecture(int(i)) for i in space.indices_of_graphs(cells)]) == hashes


@pytest.mark.data
@pytest.mark.slow
def test_every_published_cell_hash_and_count(shared_data: Path) -> None:
    cells, parameters, hashes = published(shared_data, slice(None))
    assert len(cells) == 423_624
    assert np.array_equal(trainable_parameters(cells), parameters)
    space = NASBench101()
    indices = space.indices_of_graphs(cells)
    assert np.array_equal(np.sort(indices), np.arange(space.size))  # every cell once
    assert np.array_equal(space.indices_of_hashes(hashes), indices)  # under its hash
