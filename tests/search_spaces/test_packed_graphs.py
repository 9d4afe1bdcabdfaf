"""PackedGraphs: the same graphs as a padded batch, without padding."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.packed_graphs import SPREAD, PackedGraphs, as_graphs, as_packed


def chain(length: int, *, kernel: float | None = None, **attributes: float) -> Graph:
    inner = ["conv", "pool"] * length
    operations = ["input", *inner[: length - 2], "output"]
    table = None if kernel is None else [[kernel + node] for node in range(length)]
    return Graph(operations, np.eye(length, k=1), attributes, table, ("kernel",) if table else ())


@pytest.fixture
def graphs() -> list[Graph]:
    return [chain(5, kernel=3.0, flops=7.0), chain(2), chain(9, kernel=1.0), chain(3, flops=2.0), chain(5)]


def test_graphs_come_back_as_they_went_in(graphs: list[Graph]) -> None:
    packed = PackedGraphs.from_graphs(graphs)
    assert len(packed) == 5
    assert packed.max_nodes == 9
    assert list(packed) == graphs
    assert packed[-1] == graphs[-1]
    with pytest.raises(IndexError):
        packed[5]


def test_rows_and_slices(graphs: list[Graph]) -> None:
    packed = PackedGraphs.from_graphs(graphs)
    assert list(packed[1:4]) == graphs[1:4]
    assert list(packed[np.array([4, 0, 0])]) == [graphs[4], graphs[0], graphs[0]]
    assert list(packed[packed.num_nodes > 4]) == [graphs[0], graphs[2], graphs[4]]
    assert len(packed[[]]) == 0
    assert packed[[]].dense().operations.shape == (0, 1)


def test_dense_and_back(graphs: list[Graph]) -> None:
    batch = GraphBatch.from_graphs(graphs)
    packed = PackedGraphs.from_batch(batch)
    dense = packed.dense()
    for name in ("operations", "adjacency", "num_nodes", "node_attributes"):
        assert np.array_equal(getattr(dense, name), getattr(batch, name), equal_nan=name == "node_attributes")
    assert np.array_equal(dense.attributes["flops"], batch.attributes["flops"], equal_nan=True)
    assert list(PackedGraphs.from_graphs(graphs).dense()) == graphs


def test_recode_and_concatenate(graphs: list[Graph]) -> None:
    first, second = PackedGraphs.from_graphs(graphs[:2]), PackedGraphs.from_graphs([chain(4, kernel=5.0, depth=1.0)])
    joined = PackedGraphs.concatenate([second, first])
    assert list(joined) == [chain(4, kernel=5.0, depth=1.0), *graphs[:2]]
    assert joined.recode(("output", "pool", "conv", "input"))[1] == graphs[0]
    with pytest.raises(UsageError, match="unknown operation conv; known: input, output, pool"):
        joined.recode(("input", "output", "pool"))


def test_an_operation_under_another_name_is_recognised() -> None:
    words = ("Reshape", "Flatten", "MatMul", "Sub", "Add", "Relu")
    packed = PackedGraphs.from_graphs([Graph.from_edges(words, [])])
    other_names = ("Flatten", "Flatten", "Gemm", "Add", "Add", "Relu")
    assert packed.recode(("Flatten", "Gemm", "Add", "Relu"))[0].operations == other_names
    assert packed.recode(sorted(words))[0].operations == words  # what has its own name keeps it
    with pytest.raises(UsageError, match="unknown operations Add, Sub; known: Identity, MatMul, Relu"):
        packed.recode(("Identity", "MatMul", "Relu"))


def test_global_edges_count_all_nodes(graphs: list[Graph]) -> None:
    packed = PackedGraphs.from_graphs(graphs[1:4])  # 2, 9 and 3 nodes
    assert packed.global_edges()[:3].tolist() == [[0, 1], [2, 3], [3, 4]]
    assert packed.global_edges()[-1].tolist() == [12, 13]
    assert packed.graph_of_node.tolist() == [0] * 2 + [1] * 9 + [2] * 3


def test_buckets_hold_all_graphs_with_little_padding() -> None:
    sizes = np.random.default_rng(0).integers(2, 300, 200)
    packed = PackedGraphs(np.zeros(sizes.sum()), sizes, np.zeros((0, 2)), np.zeros(200), ["a"])
    buckets = list(packed.buckets(1000))
    assert sorted(np.concatenate(buckets).tolist()) == list(range(200))
    for rows in buckets:
        assert sizes[rows].max() <= SPREAD * sizes[rows].min()
        assert sizes[rows].max() * len(rows) <= 1000
        assert (sizes[rows] ** 2).sum() > 0.5 * len(rows) * sizes[rows].max() ** 2


def test_frozen_and_copied(graphs: list[Graph]) -> None:
    packed = PackedGraphs.from_graphs(graphs)
    with pytest.raises(AttributeError, match="frozen"):
        packed.edges = packed.edges
    assert list(pickle.loads(pickle.dumps(packed))) == graphs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_nodes": [3]}, "add up to M"),
        ({"num_edges": [2]}, "add up to E"),
        ({"operations": [0, 7]}, "codes must lie in 0..0"),
        ({"edges": [[1, 0]]}, "to a later node"),
        ({"edges": [[0, 2]]}, "to a later node"),
        ({"attributes": {"flops": [1.0, 2.0]}}, "attribute 'flops' needs one number a graph"),
        ({"node_attributes": [[1.0]], "node_attribute_names": ["k"]}, "node attributes need 1 numbers a node"),
        ({"node_attributes": [[1, 2]] * 2, "node_attribute_names": ["k", "a"]}, "sorted"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], message: str) -> None:
    parts = {"operations": [0, 0], "num_nodes": [2], "edges": [[0, 1]], "num_edges": [1], "vocabulary": ["conv"]}
    with pytest.raises(UsageError, match=message):
        PackedGraphs(**{**parts, **change})  # type: ignore[arg-type]


def test_lists_are_packed_when_nodes_have_attributes(graphs: list[Graph]) -> None:
    assert isinstance(as_graphs(graphs), PackedGraphs)
    assert isinstance(as_graphs([chain(3)]), GraphBatch)
    batch = GraphBatch.from_graphs(graphs)
    assert as_graphs(batch) is batch
    assert list(as_packed(batch)) == graphs
    with pytest.raises(UsageError, match="expected graphs"):
        as_graphs([chain(3), "conv"])  # type: ignore[list-item]
    with pytest.raises(UsageError, match="expected graphs"):
        PackedGraphs.from_graphs(["conv"])  # type: ignore[list-item]
