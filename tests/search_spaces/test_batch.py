"""Batches of graphs: the same graphs, in columns."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasx.search_spaces import batch as module
from nasx.search_spaces.batch import GraphBatch, as_batch
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph

QUICK = settings(max_examples=40, deadline=None)


@st.composite
def graphs(draw: st.DrawFn) -> list[Graph]:
    """Lists of random graphs of one to six nodes, some with attributes, some with attributes of nodes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    made = []
    for count in draw(st.lists(st.integers(1, 6), max_size=8)):
        operations = rng.choice(["input", "a", "b", "none"], size=count).tolist()
        adjacency = np.triu(rng.random((count, count)) < 0.5, 1)
        attributes = {name: float(rng.integers(3)) for name in ("size", "depth") if rng.random() < 0.5}
        names = [name for name in ("kernel", "width", "groups") if rng.random() < 0.4]
        table = rng.integers(3, size=(count, len(names)))
        made.append(Graph(operations, adjacency, attributes, table, names))
    return made


@QUICK
@given(graphs())
def test_a_batch_is_the_sequence_of_its_graphs(given_graphs: list[Graph]) -> None:
    batch = GraphBatch.from_graphs(given_graphs)
    assert len(batch) == len(given_graphs)
    assert list(batch) == given_graphs
    assert (batch.mask.sum(axis=1) == batch.num_nodes).all()
    assert (batch.operations[~batch.mask] == -1).all()
    assert not (batch.adjacency & ~batch.mask[:, None, :]).any()
    assert list(batch[::-1]) == given_graphs[::-1]
    assert list(batch[list(range(len(batch)))]) == given_graphs
    assert list(batch[batch.num_nodes > 3]) == [graph for graph in given_graphs if graph.num_nodes > 3]
    assert list(pickle.loads(pickle.dumps(batch))) == given_graphs


@QUICK
@given(graphs(), graphs())
def test_concatenation(first: list[Graph], second: list[Graph]) -> None:
    joined = GraphBatch.concatenate([GraphBatch.from_graphs(first), GraphBatch.from_graphs(second)])
    assert list(joined) == first + second


@QUICK
@given(graphs(), st.integers(1, 3))
def test_pruning_is_the_pruning_of_each_graph(given_graphs: list[Graph], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        pruned = GraphBatch.from_graphs(given_graphs).pruned()
    assert list(pruned) == [graph.pruned() for graph in given_graphs]
    if given_graphs:
        assert pruned.max_nodes == max(graph.num_nodes for graph in pruned)


@QUICK
@given(graphs())
def test_distinct_rows(given_graphs: list[Graph]) -> None:
    distinct, inverse = GraphBatch.from_graphs(given_graphs).distinct()
    assert [distinct[int(place)] for place in inverse] == given_graphs
    assert len(set(distinct)) == len(distinct) == len(set(given_graphs))


def test_recoding() -> None:
    batch = GraphBatch.from_graphs([Graph(["input", "a"], [[0, 1], [0, 0]]), Graph(["input"], [[0]])])
    recoded = batch.recode(["input", "b", "a"])
    assert recoded.operations.tolist() == [[0, 2], [0, -1]]
    assert list(recoded) == list(batch)
    assert recoded.recode(["a", "input"]).operations.tolist() == [[1, 0], [1, -1]]  # unused words do not matter
    with pytest.raises(UsageError, match="unknown operation a; known: input, b"):
        batch.recode(["input", "b"])
    assert batch.recode(batch.vocabulary) is batch


def test_node_attributes_in_columns() -> None:
    small = Graph(["input", "a"], [[0, 1], [0, 0]], None, [[1], [2]], ["kernel"])
    large = Graph(["input", "a", "output"], np.triu(np.ones((3, 3)), 1), None, [[3], [4], [5]], ["width"])
    batch = GraphBatch.from_graphs([small, large])
    assert batch.node_attribute_names == ("kernel", "width")
    assert batch.node_attributes is not None
    assert batch.node_attributes.shape == (2, 3, 2)
    assert batch.node_attributes.dtype == np.float32
    assert batch.node_attributes[0, 2].tolist() == [0, 0]
    assert np.isnan(batch.node_attributes[0, :2, 1]).all()
    plain = GraphBatch.from_graphs([Graph(["input"], [[0]])])
    assert plain.node_attributes is None
    assert list(GraphBatch.concatenate([plain, batch])) == [plain[0], small, large]
    assert list(batch.recode(["output", "a", "input"])) == [small, large]


def test_empty_batches() -> None:
    empty = GraphBatch.from_graphs([])
    assert len(empty) == 0
    assert list(empty.pruned()) == []
    assert len(GraphBatch.concatenate([])) == 0
    assert len(empty.distinct()[0]) == 0
    one = GraphBatch.from_graphs([Graph(["input"], [[0]])])
    assert len(one[[]]) == 0


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (([[0]], [[[0, 0]]], [1], ["a"]), "a batch needs operations"),
        (([[1]], [[[0]]], [1], ["a"]), r"must lie in 0\.\.0"),
        (([[0]], [[[0]]], [2], ["a"]), r"num_nodes must lie in 1\.\.1"),
        (([[0]], [[[0]]], [1], ["a"], {"size": [1, 2]}), "one number a graph"),
        (([[0]], [[[0]]], [1], ["a"], {}, [[[1]]], ["k", "w"]), r"shape \(1, 1, 2\); got \(1, 1, 1\)"),
        (([[0]], [[[0]]], [1], ["a"], {}, None, ["k"]), "got None"),
        (([[0]], [[[0]]], [1], ["a"], {}, [[[1, 2]]], ["w", "k"]), "sorted and differ"),
    ],
)
def test_wrong_parts_are_explained(parts: tuple, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        GraphBatch(*parts)


def test_batches_are_frozen() -> None:
    with pytest.raises(AttributeError, match="frozen"):
        GraphBatch.from_graphs([]).num_nodes = np.zeros(0)


def test_as_batch() -> None:
    graph = Graph(["input"], [[0]])
    batch = as_batch([graph])
    assert as_batch(batch) is batch
    with pytest.raises(UsageError, match="expected graphs"):
        as_batch(["a"])  # type: ignore[list-item]
