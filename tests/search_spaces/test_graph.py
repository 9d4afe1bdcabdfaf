"""Graphs: validation, pruning, canonical form and hash."""

from __future__ import annotations

import itertools
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph

QUICK = settings(max_examples=60, deadline=None)
CHAIN = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]


@st.composite
def graphs(draw: st.DrawFn, max_nodes: int = 6, labels: str = "ab") -> Graph:
    """Random graphs, dead parts and all."""
    count = draw(st.integers(2, max_nodes))
    operations = ["input", *draw(st.lists(st.sampled_from([*labels, "none"]), min_size=count - 2, max_size=count - 2))]
    bits = draw(st.integers(0, 2 ** (count * (count - 1) // 2) - 1))
    adjacency = np.zeros((count, count), dtype=bool)
    adjacency[np.triu_indices(count, 1)] = [bits >> bit & 1 for bit in range(count * (count - 1) // 2)]
    return Graph([*operations, "output"], adjacency)


def relabelled(graph: Graph, order: list[int]) -> Graph:
    """The same graph, its inner nodes shuffled (then sorted topologically by ``from_edges``)."""
    place = [0, *(1 + node for node in order), graph.num_nodes - 1]
    labels = [""] * graph.num_nodes
    for node, new in enumerate(place):
        labels[new] = graph.operations[node]
    return Graph.from_edges(labels, [(place[u], place[v]) for u, v in graph.edges])


def isomorphic(one: Graph, other: Graph) -> bool:
    """Brute force over all permutations of the inner nodes of the pruned graphs."""
    one, other = one.pruned(), other.pruned()
    if one.num_nodes != other.num_nodes:
        return False
    last = one.num_nodes - 1
    for inner in itertools.permutations(range(1, last)):
        order = [0, *inner, last]
        same_labels = all(one.operations[old] == label for old, label in zip(order, other.operations, strict=True))
        if same_labels and np.array_equal(one.adjacency[np.ix_(order, order)], other.adjacency):
            return True
    return False


@pytest.mark.parametrize(
    ("operations", "adjacency", "message"),
    [
        ([], np.zeros((0, 0)), "at least one node"),
        (["input", "output"], [[0, 1]], r"shape \(2, 2\); got \(1, 2\)"),
        (["input", "output"], [[0, 2], [0, 0]], "zeros and ones"),
        (["input", "output"], [[0, np.nan], [0, 0]], "zeros and ones"),
        (["input", "output"], [[0, 0], [1, 0]], "edge 1>0 does not point to a later node"),
        (["input", "output"], [[1, 1], [0, 0]], "edge 0>0"),
        (["input", 3], [[0, 1], [0, 0]], "must be text"),
    ],
)
def test_invalid_graphs_are_explained(operations: list, adjacency: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Graph(operations, adjacency)


def test_attributes_must_be_finite() -> None:
    assert Graph(["input"], [[0]], {"size": 32}).attributes == {"size": 32.0}
    with pytest.raises(UsageError, match="attribute 'size'"):
        Graph(["input"], [[0]], {"size": float("nan")})


def test_graphs_are_frozen_hashable_and_picklable() -> None:
    matrix = np.array(CHAIN)
    graph = Graph(["input", "a", "output"], matrix, {"size": 32})
    matrix[0, 2] = 1
    assert graph.edges == ((0, 1), (1, 2))
    with pytest.raises(ValueError, match="read-only"):
        graph.adjacency[0, 2] = True
    with pytest.raises(AttributeError, match="frozen"):
        graph.operations = ("b",)
    with pytest.raises(AttributeError, match="frozen"):
        del graph.operations
    again = pickle.loads(pickle.dumps(graph))
    assert again == graph
    assert hash(again) == hash(graph)
    assert not again.adjacency.flags.writeable
    assert graph != Graph(["input", "a", "output"], CHAIN)
    assert graph != "graph"


def test_from_edges_orders_nodes_and_refuses_cycles() -> None:
    graph = Graph.from_edges(["input", "b", "a", "output"], [(0, 2), (2, 1), (1, 3), (0, 2)])
    assert graph.operations == ("input", "a", "b", "output")
    assert graph.edges == ((0, 1), (1, 2), (2, 3))
    with pytest.raises(UsageError, match="cycle through nodes 1, 2"):
        Graph.from_edges(["input", "a", "b"], [(0, 1), (1, 2), (2, 1)])
    with pytest.raises(UsageError, match="does not exist"):
        Graph.from_edges(["input"], [(0, 1)])


def test_dict_round_trip_is_json() -> None:
    graph = Graph(["input", "a", "output"], CHAIN, {"size": 32})
    assert Graph.from_dict(json.loads(json.dumps(graph.to_dict()))) == graph
    for broken in ({}, {"operations": ["a"]}, {"operations": ["a"], "edges": [[0]]}, []):
        with pytest.raises(UsageError, match="a graph is written as"):
            Graph.from_dict(broken)  # type: ignore[arg-type]


def test_pruning_drops_none_and_dead_ends() -> None:
    operations = ["input", "a", "none", "dead_end", "unreached", "output"]
    graph = Graph.from_edges(operations, [(0, 1), (0, 2), (0, 3), (1, 5), (2, 5), (4, 5)])
    assert graph.pruned() == Graph(["input", "a", "output"], CHAIN)
    nothing = Graph.from_edges(["input", "none", "output"], [(0, 1), (1, 2)])
    assert nothing.pruned() == Graph(["input", "output"], [[0, 0], [0, 0]])
    single = Graph(["none"], [[0]])
    assert single.pruned() == single.canonical() == single


@QUICK
@given(graphs(), graphs())
def test_hash_is_equal_exactly_for_isomorphic_graphs(one: Graph, other: Graph) -> None:
    same = isomorphic(one, other)
    assert (one.canonical_hash() == other.canonical_hash()) == same
    assert (one.canonical() == other.canonical()) == same


@QUICK
@given(graphs(), st.integers(0, 14), st.booleans())
def test_hash_follows_changes_of_one_edge_or_label(graph: Graph, place: int, edge: bool) -> None:
    count = graph.num_nodes
    pairs = [(i, j) for j in range(count) for i in range(j)]
    operations, adjacency = list(graph.operations), graph.adjacency.copy()
    if edge or count == 2:
        adjacency[pairs[place % len(pairs)]] ^= True
    else:
        operations[1 + place % (count - 2)] = "c"
    changed = Graph(operations, adjacency)
    assert (graph.canonical_hash() == changed.canonical_hash()) == isomorphic(graph, changed)


@QUICK
@given(graphs(max_nodes=14), st.randoms(use_true_random=False))
def test_canonical_form_does_not_depend_on_the_order_of_nodes(graph: Graph, random) -> None:  # type: ignore[no-untyped-def]
    order = list(range(graph.num_nodes - 2))
    random.shuffle(order)
    other = relabelled(graph, order)
    assert other.canonical() == graph.canonical()
    assert other.canonical_hash() == graph.canonical_hash()
    canonical = graph.canonical()
    assert canonical.canonical() == canonical
    assert canonical.num_nodes == graph.pruned().num_nodes
    assert Graph(canonical.operations, canonical.adjacency) == canonical  # valid: topological order


@QUICK
@given(st.integers(1, 4), st.integers(1, 4), st.randoms(use_true_random=False))
def test_symmetric_graphs(width: int, depth: int, random) -> None:  # type: ignore[no-untyped-def]
    """Equal branches side by side, and their copies joined crosswise: ties that refinement alone cannot break."""
    inner = width * depth
    edges = [(0, 1 + branch) for branch in range(width)]
    for level in range(depth - 1):
        for branch in range(width):
            edges.append((1 + level * width + branch, 1 + (level + 1) * width + branch))
            edges.append((1 + level * width + branch, 1 + (level + 1) * width + (branch + 1) % width))
    edges += [(1 + (depth - 1) * width + branch, inner + 1) for branch in range(width)]
    graph = Graph.from_edges(["input", *["a"] * inner, "output"], edges)
    order = list(range(inner))
    random.shuffle(order)
    assert relabelled(graph, order).canonical() == graph.canonical()


def test_hash_is_the_same_in_every_process() -> None:
    graph = Graph(["input", "a", "output"], CHAIN)
    assert graph.canonical_hash() == "920d9631c8f2818900faefe050c9ca0c"
    code = (
        "from nasx.search_spaces.graph import Graph;"
        "print(Graph(['input', 'a', 'output'], [[0, 1, 0], [0, 0, 1], [0, 0, 0]]).canonical_hash())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == graph.canonical_hash()


def test_attributes_belong_to_the_hash() -> None:
    plain, small, large = (Graph(["input"], [[0]], size and {"size": size}) for size in (None, 32, 64))
    assert len({plain.canonical_hash(), small.canonical_hash(), large.canonical_hash()}) == 3


def with_numbers(graph: Graph, columns: dict[str, list[float]]) -> Graph:
    table = np.array(list(columns.values())).T
    return Graph(graph.operations, graph.adjacency, graph.attributes, table, list(columns))


def test_node_attributes_belong_to_the_graph() -> None:
    plain = Graph(["input", "a", "output"], CHAIN, {"size": 32})
    given_table = np.array([[1.0, 2, 3], [0, -0.0, 5]]).T
    graph = Graph(plain.operations, CHAIN, {"size": 32}, given_table, ["width", "kernel"])
    given_table[:] = 9
    assert graph.node_attribute_names == ("kernel", "width")
    assert graph.node_attributes is not None
    assert graph.node_attributes.tolist() == [[0, 1], [0, 2], [5, 3]]
    assert graph.node_attributes.dtype == np.float32
    assert "nodes with kernel, width" in repr(graph)
    with pytest.raises(ValueError, match="read-only"):
        graph.node_attributes[0, 0] = 1
    same = with_numbers(plain, {"kernel": [0, 0, 5], "width": [1, 2, 3]})
    other = with_numbers(plain, {"kernel": [0, 1, 5], "width": [1, 2, 3]})
    renamed = with_numbers(plain, {"kernel": [0, 0, 5], "weight": [1, 2, 3]})
    assert graph == same
    assert hash(graph) == hash(same)
    assert len({plain, graph, other, renamed}) == 4
    assert len({one.canonical_hash() for one in (plain, graph, same, other, renamed)}) == 4
    assert pickle.loads(pickle.dumps(graph)) == graph
    assert Graph.from_dict(json.loads(json.dumps(graph.to_dict()))) == graph


@pytest.mark.parametrize(
    ("table", "names", "message"),
    [
        ([[1], [2]], ["a"], r"shape \(3, 1\).*got \(2, 1\)"),
        ([[1], [2], [3]], ["a", "b"], r"shape \(3, 2\)"),
        ([[1, 1], [2, 2], [3, 3]], ["a", "a"], "names that differ"),
        ([[1], [2], [np.nan]], ["a"], "attribute 'a' of node 2 must be a finite number; got nan"),
        ([[1], [2], [1e300]], ["a"], "finite"),
        ([["x"], ["y"], ["z"]], ["a"], "must be numbers"),
        (None, ["a"], r"shape \(3, 1\)"),
    ],
)
def test_wrong_node_attributes_are_explained(table: object, names: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Graph(["input", "a", "output"], CHAIN, None, table, names)  # type: ignore[arg-type]
    if table is not None:
        with pytest.raises(UsageError, match=message):
            Graph.from_edges(["input", "a", "output"], [(0, 1), (1, 2)], None, table, names)  # type: ignore[arg-type]
    assert Graph(["input"], [[0]], None, np.zeros((1, 0)), []).node_attributes is None


def test_broken_node_attributes_of_a_dict() -> None:
    record = {"operations": ["input", "a"], "edges": [[0, 1]], "node_attributes": {"k": [1, 2], "w": [1]}}
    with pytest.raises(UsageError, match="a graph is written as"):
        Graph.from_dict(record)
    with pytest.raises(UsageError, match="one row for each of the 2 nodes"):
        Graph.from_dict({**record, "node_attributes": {"k": [1]}})


@QUICK
@given(graphs(max_nodes=8), st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_node_attributes_follow_their_nodes(graph: Graph, seed: int, random) -> None:  # type: ignore[no-untyped-def]
    """Through new orders, pruning and canonical forms; a number that differs makes another graph."""
    numbers = np.random.default_rng(seed).integers(2, size=(graph.num_nodes, 2))
    labels = [f"{label}" for label in graph.operations]
    one = Graph(labels, graph.adjacency, None, numbers, ["a", "b"])
    order = [0, *random.sample(range(1, graph.num_nodes - 1), graph.num_nodes - 2), graph.num_nodes - 1]
    place = {node: position for position, node in enumerate(order)}
    edges = [(place[u], place[v]) for u, v in graph.edges]
    shuffled = Graph.from_edges([labels[node] for node in order], edges, None, numbers[order], ["a", "b"])
    assert shuffled.canonical() == one.canonical()
    assert shuffled.canonical_hash() == one.canonical_hash()
    words = [f"{x}{a}{b}" if x != "none" else x for x, (a, b) in zip(labels, numbers, strict=True)]
    joint = Graph(words, one.adjacency)
    canonical = one.canonical()
    assert canonical.node_attributes is not None
    words = [f"{x}{int(a)}{int(b)}" for x, (a, b) in zip(canonical.operations, canonical.node_attributes, strict=True)]
    if "none" not in (labels[0], labels[-1]):
        assert Graph(words, canonical.adjacency).canonical_hash() == joint.canonical_hash()
    pruned = one.pruned()
    assert pruned.operations == graph.pruned().operations
    assert pruned.canonical() == canonical
