"""The builder: shapes, what is counted, weights that are filled in."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the package onnx: pip install 'nasx[onnx]'")

from nasx.network_builder import NetworkBuilder, with_weights  # noqa: E402
from nasx.search_spaces.errors import UsageError  # noqa: E402
from nasx.search_spaces.onnx_network import read_network  # noqa: E402


def small(**options: bool) -> tuple[NetworkBuilder, object]:
    net = NetworkBuilder(20, **options)  # type: ignore[arg-type]
    features = net.conv(net.input, 8, 3, stride=2, activation="relu6")
    features = net.squeeze_excite(net.conv(features, 8, 3, groups=8, activation="silu"), 4, "relu", "hardsigmoid")
    features = net.join(features, net.average_pool(features, 3, 1, padding=1))
    features = net.max_pool(features, 3, 2, round_up=True)
    features = net.norm_relu(net.add(features, features))
    result = net.linear(net.flatten(net.mean(features)), 5, "hardswish")
    return net, net.model(result, "small", {"a": "b"})


@pytest.mark.parametrize("folded", [False, True])
def test_shapes_and_counts_agree_with_onnx(folded: bool) -> None:
    net, model = small(folded=folded)
    onnx.checker.check_model(model, full_check=True)
    network = read_network(model)
    assert network.macs == net.macs
    assert network.parameters == net.parameters - 16 * folded  # a folded norm leaves one number a channel, not two
    pooled = next(layer for layer in network.layers if layer.operation == "MaxPool")
    assert pooled.output_shape == (1, 16, 5, 5)


@pytest.mark.parametrize(
    ("size", "padding", "round_up"), [(7, 0, True), (8, 0, True), (8, 1, True), (5, 1, True), (8, 0, False)]
)
def test_rounded_up_windows_are_those_of_onnx(size: int, padding: int, round_up: bool) -> None:
    net = NetworkBuilder(size)
    pooled = net.max_pool(net.input, 3, 2, padding=padding, round_up=round_up)
    model = net.model(net.flatten(pooled), "pool")
    read = read_network(model).layers[0].output_shape
    assert read == (1, 3, pooled.height, pooled.width)


def test_weights_are_filled_in_and_results_stay_finite() -> None:
    runtime = pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")
    _, model = small()
    filled = with_weights(model, seed=1)
    assert not [node for node in filled.graph.node if node.op_type == "ConstantOfShape"]
    assert [node for node in model.graph.node if node.op_type == "ConstantOfShape"]  # the model given is as it was
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in filled.graph.initializer}
    assert sum(value.size for value in stored.values() if value.ndim > 1) > 300
    assert all(value.std() > 0 for value in stored.values() if value.ndim > 1 and value.size > 1)
    images = np.random.default_rng(0).standard_normal((1, 3, 20, 20)).astype(np.float32)
    results = [
        runtime.InferenceSession(with_weights(model, seed).SerializeToString()).run(None, {"images": images})[0]
        for seed in (1, 1, 2)
    ]
    assert np.isfinite(results[0]).all()
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])
    assert with_weights(filled) is filled


def test_only_weights_are_filled_in() -> None:
    """A generated tensor that no weight is made of, a mask for example, keeps its values."""
    text = """<ir_version: 8, opset_import: ["": 17]> net (float[2, 3] x) => (float[2, 3] y)
        <int64[2] shape = {2, 3}> { mask = ConstantOfShape (shape)  y = Add (x, mask) }"""
    model = onnx.parser.parse_model(text)
    assert with_weights(model) is model


def test_what_does_not_fit_is_said() -> None:
    net = NetworkBuilder(4)
    with pytest.raises(UsageError, match="a window of 7 does not fit into 4 pixels"):
        net.conv(net.input, 8, 7, padding=0)
    with pytest.raises(UsageError, match="no activation 'tanh'"):
        net.activate(net.input, "tanh")
