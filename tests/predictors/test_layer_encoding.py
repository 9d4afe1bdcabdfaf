"""Attributes of nodes as numbers of order one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nasx.predictors.layer_encoding import LayerEncoder, one_hot_length
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.packed_graphs import PackedGraphs

NAMES = ["kernel_height", "macs", "output_1"]


def chain(*rows: tuple[float, float, float], **attributes: float) -> Graph:
    count = len(rows)
    return Graph(["Conv", *["Relu"] * (count - 1)], np.eye(count, k=1), attributes, rows, NAMES)


@pytest.fixture
def packed() -> PackedGraphs:
    bare = Graph(["Conv", "Relu"], [[0, 1], [0, 0]])
    return PackedGraphs.from_graphs([chain((3, 900, 8), (0, 0, 8), flops=2e9, batch_size=4.0), bare])


def test_published_token_and_static_features(packed: PackedGraphs) -> None:
    encoder = LayerEncoder.of("published", packed)
    nodes, whole = encoder.nodes(packed), encoder.whole(packed)
    assert nodes.shape[1] + one_hot_length(packed.vocabulary) == 152
    assert whole.shape == (2, 40)
    waves = [10000 ** (-k / 5) for k in range(5)]
    expected = [f(3 * w) for w in waves for f in (math.sin, math.cos)]
    assert np.allclose(nodes[0, :10], expected, atol=1e-6)  # kernel
    assert np.allclose(nodes[0, 10:80], 0)  # nothing else of the window is known
    assert np.allclose(nodes[1, :80], 0)  # a ReLU has no window
    assert np.allclose(nodes[0, 90:100], [f(8 * w) for w in waves for f in (math.sin, math.cos)], atol=1e-6)
    assert np.allclose(whole[0, 10:20], [f(2 * w) for w in waves for f in (math.sin, math.cos)], atol=1e-6)
    assert not nodes[2:].any()  # no attributes at all


def test_nnlp_token(packed: PackedGraphs) -> None:
    encoder = LayerEncoder.of("nnlp", packed)
    assert encoder.nodes(packed).shape[1] + one_hot_length(packed.vocabulary) == 44
    assert encoder.nodes(packed)[0, 0] == 3
    assert encoder.whole(packed)[0].tolist() == [4, 2, 0, 0]


def test_logarithms_are_standardised_and_stay_inside_what_was_seen() -> None:
    seen = PackedGraphs.from_graphs([chain((3, 10.0**k, 8)) for k in range(3, 8)])
    encoder = LayerEncoder.of("log", seen)
    macs = encoder.nodes(seen)[:, 0]
    assert abs(macs.mean()) < 1e-6
    assert abs(macs.std() - 1) < 1e-5
    beyond = PackedGraphs.from_graphs([chain((3, 1e15, 8)), chain((3, 0, 8))])
    assert np.allclose(encoder.nodes(beyond)[:, 0], [macs.max(), macs.min()])
    assert np.isclose(encoder.sizes(beyond)[0, 0], 1e15 / encoder.scales[2][0])  # type: ignore[index]


def test_neighbours_are_counted_up_to_two() -> None:
    fork = Graph(["Conv", "Relu", "Relu", "Relu"], [[0, 1, 1, 1], *[[0] * 4] * 3], None, [[1.0]] * 4, ["macs"])
    packed = PackedGraphs.from_graphs([fork])
    around = LayerEncoder.of("log", packed).nodes(packed)[:, -4:]
    assert around.tolist() == [[0, 0, 0, 2], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]


def test_state(packed: PackedGraphs) -> None:
    for kind in ("published", "nnlp", "log"):
        encoder = LayerEncoder.of(kind, packed)  # type: ignore[arg-type]
        again = LayerEncoder.from_state(*encoder.state())  # type: ignore[arg-type]
        assert np.isfinite(encoder.nodes(packed)).all()
        assert np.array_equal(again.nodes(packed), encoder.nodes(packed))
        assert np.array_equal(again.whole(packed), encoder.whole(packed))
