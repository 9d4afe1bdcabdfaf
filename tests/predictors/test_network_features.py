"""What layers cost, added up kind by kind."""

from __future__ import annotations

import numpy as np
import pytest

from nasx.predictors.network_features import NetworkFeatures, graph_cost, layer_kinds
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.packed_graphs import PackedGraphs

NAMES = ("groups", "kernel_height", "macs", "output_1")


def network(*layers: tuple[str, float, float, float, float], **attributes: float) -> Graph:
    operations, table = [layer[0] for layer in layers], [layer[1:] for layer in layers]
    return Graph(operations, np.eye(len(layers), k=1), attributes, table, NAMES)


FIRST = network(("Conv", 1, 3, 100, 8), ("Conv", 8, 3, 10, 8), ("Conv", 1, 3, 50, 4), ("Relu", 0, 0, 0, 4))
SECOND = network(("Conv", 1, 5, 7, 2), flops=20.0)


def test_costs_are_added_up_by_kind() -> None:
    packed = PackedGraphs.from_graphs([FIRST])
    features = NetworkFeatures.of(packed)
    assert features.kinds == ("Conv 3", "Conv 3 grouped", "Relu")
    row = features(packed)[0]
    assert row.shape == (7 + 5 * 3,)
    assert row[5:10].tolist() == [4, 3, 2, 1, 1]
    assert np.allclose(np.expm1(row[10:13]), [150, 10, 0], rtol=1e-5)
    assert np.allclose(np.expm1(row[19:22]), [12, 8, 4], rtol=1e-5)


def test_an_unseen_kind_counts_as_its_operation_and_an_unseen_operation_is_named() -> None:
    features = NetworkFeatures.of(PackedGraphs.from_graphs([FIRST]))
    assert features(PackedGraphs.from_graphs([SECOND]))[0, 7:10].tolist() == [1, 0, 0]
    with pytest.raises(UsageError, match="unknown operation Gelu"):
        features(PackedGraphs.from_graphs([network(("Gelu", 0, 0, 0, 1))]))


def test_whole_costs_come_from_the_graph_or_its_nodes() -> None:
    packed = PackedGraphs.from_graphs([FIRST, SECOND, Graph(["Relu"], [[0]])])
    assert graph_cost(packed, "flops")[:2].tolist() == [320.0, 20.0]
    assert graph_cost(packed, "macs")[:2].tolist() == [160.0, 7.0]
    assert np.isnan(graph_cost(packed, "flops")[2])
    assert np.isnan(graph_cost(packed, "parameters")).all()


def test_kinds_know_their_nodes() -> None:
    names, which = layer_kinds(PackedGraphs.from_graphs([FIRST, SECOND]))
    assert [names[place] for place in which] == ["Conv 3", "Conv 3 grouped", "Conv 3", "Relu", "Conv 5"]


def test_features_survive_being_saved() -> None:
    packed = PackedGraphs.from_graphs([FIRST, SECOND])
    features = NetworkFeatures.of(packed)
    assert np.array_equal(NetworkFeatures.from_state(features.state())(packed), features(packed))
