from __future__ import annotations

import pickle

import numpy as np
import pytest

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.search_spaces.network_table import NetworkTable, families_of
from nasx.search_spaces.packed_graphs import PackedGraphs


def chain(*operations: str, kernel: float = 3.0) -> Graph:
    labels = ("input", *operations, "output")
    edges = [(node, node + 1) for node in range(len(labels) - 1)]
    return Graph.from_edges(labels, edges, {}, [[kernel]] * len(labels), ["kernel_height"])


SPACE = NetworkTable(
    ["a", "b", "twin of a"],
    PackedGraphs.from_graphs([chain("Conv", "Relu"), chain("Conv"), chain("Conv", "Relu")]),
    families=["x", "y", "x"],
)


def test_networks_are_found_by_name_and_row() -> None:
    assert SPACE.size == 3
    assert [SPACE.architecture(row) for row in range(3)] == list(SPACE.names)
    assert SPACE.index(SPACE.parse(" b ")) == 1
    assert SPACE.graph("b") == chain("Conv")
    assert [graph.num_nodes for graph in SPACE.graphs(["b", "a"])] == [3, 4]
    assert families_of(SPACE).tolist() == ["x", "y", "x"]


def test_a_sample_is_one_of_them_and_nothing_is_invented() -> None:
    rng = np.random.default_rng(0)
    assert set(SPACE.samples(50, rng)) == set(SPACE.names)
    with pytest.raises(UsageError, match="cannot be mutated"):
        SPACE.mutate("a", rng)
    assert SPACE.crossover("a", "b", rng) in ("a", "b")


def test_networks_written_alike_share_their_key() -> None:
    a, b, twin = SPACE.canonical_keys(SPACE.names)
    assert a == twin == SPACE.canonical_key("a")
    assert a != b
    other = NetworkTable(["a"], PackedGraphs.from_graphs([chain("Conv", "Relu", kernel=5)]))
    assert other.canonical_key("a") != a


def test_it_survives_a_trip_to_another_process() -> None:
    again = pickle.loads(pickle.dumps(SPACE))
    assert again.names == SPACE.names
    assert again.families == SPACE.families
    assert again.graph("a") == SPACE.graph("a")


def test_wrong_lists_are_explained() -> None:
    graphs = PackedGraphs.from_graphs([chain("Conv"), chain("Relu")])
    with pytest.raises(UsageError, match="two networks are called 'a'"):
        NetworkTable(["a", "a"], graphs)
    with pytest.raises(UsageError, match="1 names need as many graphs"):
        NetworkTable(["a"], graphs)
    with pytest.raises(UsageError, match="unknown network 'c'; known: a, b"):
        NetworkTable(["a", "b"], graphs).parse("c")
    with pytest.raises(UsageError, match="belong to no families"):
        families_of(NASBench201())
