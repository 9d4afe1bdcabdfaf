"""Shapes that depend on values follow chains of operations on sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the package onnx: pip install 'nasx[onnx]'")

from nasx.search_spaces.onnx_network import read_network  # noqa: E402
from nasx.search_spaces.onnx_values import complete_shapes, is_static  # noqa: E402

CHAIN = """<ir_version: 8, opset_import: ["": 17]> net (float[2, 6, 4, 5] x) => (y) {
    s = Shape (x)
    n = Slice (s, zero, two)
    product = ReduceProd <keepdims = 1> (n)
    half = Div (product, two)
    float_half = Cast <to = 1> (half)
    ceiling = Ceil (float_half)
    back = Cast <to = 7> (ceiling)
    to = Concat <axis = 0> (back, minus)
    flat = Reshape (x, to)
    y = MatMul (flat, w)
}"""


def chain() -> Any:
    model = onnx.parser.parse_model(CHAIN)
    arrays = {"zero": [0], "two": [2], "minus": [-1]}
    tensors = [onnx.numpy_helper.from_array(np.array(value), name) for name, value in arrays.items()]
    model.graph.initializer.extend([*tensors, onnx.numpy_helper.from_array(np.zeros((40, 3), np.float32), "w")])
    return model


def test_a_chain_of_sizes() -> None:
    network = read_network(chain())
    assert [layer.operation for layer in network.layers] == ["Reshape", "MatMul"]
    assert [layer.output_shape for layer in network.layers] == [(6, 40), (6, 3)]
    assert network.macs == 6 * 40 * 3
    assert network.unknown_shapes == 0


def test_shapes_are_added_once_and_outputs_get_theirs() -> None:
    model = onnx.shape_inference.infer_shapes(chain(), data_prop=True)
    assert not is_static(model.graph.output[0].type)
    complete_shapes(onnx, model)
    assert is_static(model.graph.output[0].type)
    names = [value.name for value in model.graph.value_info]
    assert len(names) == len(set(names))
    before = model.SerializeToString()
    complete_shapes(onnx, model)
    assert model.SerializeToString() == before


def test_what_depends_on_data_stays_open() -> None:
    model = chain()
    model.graph.node[0].CopyFrom(onnx.helper.make_node("NonZero", ["x"], ["s"]))
    model = onnx.shape_inference.infer_shapes(model)
    complete_shapes(onnx, model)
    assert not is_static(model.graph.output[0].type)
