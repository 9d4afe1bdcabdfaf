"""ONNX models as graphs: what is a node, what is a constant, what is counted."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the package onnx: pip install 'nasx[onnx]'")

from nasx.search_spaces.batch import GraphBatch  # noqa: E402
from nasx.search_spaces.onnx_network import NODE_ATTRIBUTES, read_network, read_onnx  # noqa: E402

FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


def parsed(text: str, opset: int = 17, extra: str = "") -> Any:
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}{extra}]> {text}')


def stored(model: Any, **arrays: Any) -> Any:
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(a), name) for name, a in arrays.items())
    return model


def residual() -> Any:
    model = parsed("""net (float[2, 3, 8, 8] x) => (float[2, 5] y) {
        h = Conv <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (x, w, b)
        n = BatchNormalization (h, scale, bias, mean, var)
        r = Relu (n)
        s = Add (h, r)
        p = GlobalAveragePool (s)
        f = Flatten (p)
        y = Gemm <transB = 1> (f, fc, fcb)
    }""")
    channels = {name: np.ones(4, dtype=np.float32) for name in ("b", "scale", "bias", "mean", "var")}
    shapes = {"w": (4, 3, 3, 3), "fc": (5, 4), "fcb": (5,)}
    return stored(model, **channels, **{name: np.zeros(shape, np.float32) for name, shape in shapes.items()})


def test_a_small_network() -> None:
    graph = read_onnx(residual())
    operations = ("Conv", "BatchNormalization", "Relu", "Add", "GlobalAveragePool", "Flatten", "Gemm")
    assert graph.operations == ("input", *operations, "output")
    assert graph.edges == ((0, 1), (1, 2), (1, 4), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 8))
    macs = 2 * 4 * 16 * 27 + 2 * 5 * 4
    parameters = 108 + 4 + 8 + 20 + 5  # running statistics are no parameters
    feature = 2 * 4 * 16
    elements = [
        2 * 3 * 64 + 108 + 4 + feature,
        2 * feature + 16,
        2 * feature,
        3 * feature,
        feature + 8,
        0,  # a view
        8 + 20 + 5 + 10,
    ]
    assert graph.attributes == {
        "batch_size": 2, "macs": macs, "flops": 2 * macs, "parameters": parameters, "memory_bytes": 4 * sum(elements),
    }  # fmt: skip
    assert graph.node_attribute_names == tuple(sorted(NODE_ATTRIBUTES))
    assert graph.node_attributes is not None
    column = {name: graph.node_attributes[:, place] for place, name in enumerate(graph.node_attribute_names)}
    assert column["memory_bytes"].tolist() == [0, *[4 * count for count in elements], 0]
    assert column["kernel_height"].tolist() == [0, 3, 0, 0, 0, 0, 0, 0, 0]
    assert [column[f"output_{place}"][1] for place in range(4)] == [2, 4, 4, 4]
    assert [column[f"output_{place}"][0] for place in range(4)] == [2, 3, 8, 8]
    assert [column[f"output_{place}"][7] for place in range(4)] == [2, 5, 0, 0]
    assert column["parameters"].sum() == parameters
    assert graph.pruned() == graph
    batch = GraphBatch.from_graphs([graph, graph.canonical()])
    assert batch[0] == graph


def test_layers_are_named_and_depth_is_the_longest_path() -> None:
    network = read_network(residual())
    assert network.depth == 7
    assert [layer.name for layer in network.layers] == ["h", "n", "r", "s", "p", "f", "y"]
    assert network.layers[3].sources == (0, 2)
    assert network.layers[0].sources == (-1,)
    assert network.layers[-1].is_output
    assert network.layers[0].flops == 2 * network.layers[0].macs
    assert network.inputs == {"x": (2, 3, 8, 8)}
    assert network.opset == 17


def test_constants_are_no_nodes() -> None:
    """Stored weights behind Identity, Transpose or dequantisation, shape arithmetic, Constant nodes."""
    model = parsed("""net (float[2, 3, 4] x) => (float[2, 3, 5] y) {
        t = Transpose <perm = [1, 0]> (w)
        same = Identity (t)
        m = MatMul (x, same)
        s = Shape (m)
        flat = Constant <value_ints = [-1, 5]> ()
        r = Reshape (m, flat)
        z = Reshape (r, s)
        six = Constant <value_float = 6.0> ()
        c = Clip (z, , six)
        y = Add (c, shift)
    }""")
    stored(model, w=np.zeros((5, 4), np.float32), shift=np.zeros(5, np.float32))
    network = read_network(model)
    assert [layer.operation for layer in network.layers] == ["MatMul", "Reshape", "Reshape", "Clip", "Add"]
    assert network.parameters == 25
    assert network.macs == 2 * 3 * 5 * 4
    assert network.unknown_shapes == 0


def test_a_shared_weight_counts_once_and_a_weight_of_its_own_does_not_need_an_initializer() -> None:
    model = parsed("""net (float[2, 4] x) => (float[2, 4] y) {
        a = MatMul (x, w)
        b = MatMul (a, w)
        shape = Constant <value_ints = [4, 4]> ()
        light = ConstantOfShape (shape)
        y = MatMul (b, light)
    }""")
    network = read_network(stored(model, w=np.zeros((4, 4), np.float32)))
    assert [layer.parameters for layer in network.layers] == [16, 0, 16]


def test_quantised_weights_are_parameters_and_take_their_own_bytes() -> None:
    model = parsed("""net (float[2, 4] x) => (float[2, 6] y) {
        w = DequantizeLinear (q, scale, zero)
        y = MatMul (x, w)
    }""")
    stored(model, q=np.zeros((4, 6), np.int8), scale=np.float32(0.1), zero=np.int8(0))
    network = read_network(model)
    assert [layer.operation for layer in network.layers] == ["MatMul"]
    assert network.macs == 48
    integer = parsed("net (uint8[1, 1, 4, 4] x) => (int32[1, 2, 3, 3] y) { y = ConvInteger (x, w) }")
    layer = read_network(stored(integer, w=np.zeros((2, 1, 2, 2), np.uint8))).layers[0]
    assert (layer.parameters, layer.memory_bytes) == (8, 16 + 8 + 4 * 18)


def test_control_flow_and_unknown_operators_are_other_with_one_warning() -> None:
    model = parsed(
        """net (float[1, 4] x, bool c) => (float[1, 4] z) {
            y = If (c) <
                then_branch = yes () => (float[1, 4] a) { a = Relu (x) },
                else_branch = no () => (float[1, 4] b) { b = Sigmoid (x) }
            >
            w = mine.Fancy (y)
            z = Relu (w)
        }""",
        extra=', "mine": 1',
    )
    with pytest.warns(UserWarning, match=r"counted as 'other', with unknown cost: If \(1\), mine.Fancy \(1\)") as notes:
        network = read_network(model)
    assert len(notes) == 1
    assert [layer.operation for layer in network.layers] == ["other", "other", "Relu"]
    assert network.layers[0].sources == (-1,)  # its branches read x
    assert [layer.sources for layer in network.layers[1:]] == [(0,), (1,)]
    assert network.layers[1].output_shape is None
    assert network.unknown_shapes == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert read_onnx(model).num_nodes == 5


def test_functions_are_looked_into() -> None:
    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["": 17, "own": 1]>
        net (float[1, 4] x) => (float[1, 4] y) { y = own.twice (x) }
        <domain: "own", opset_import: ["": 17]>
        twice (a) => (b) { h = Relu (a) b = Sigmoid (h) }""")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_onnx(model).operations == ("input", "Relu", "Sigmoid", "output")


def test_data_dependent_shapes_are_said_to_be_unknown() -> None:
    model = parsed("net (float[4] x) => (float[2, n] z) { y = NonZero (x) f = Cast <to = 1> (y) z = MatMul (w, f) }")
    stored(model, w=np.zeros((2, 1), np.float32))
    with pytest.warns(UserWarning, match="3 operations have no known shape and count 0"):
        assert read_network(model).unknown_shapes == 3


@pytest.mark.parametrize("opset", [9, 11, 13, 18, 21, onnx.defs.onnx_opset_version()])
def test_operator_sets_from_the_ninth_to_the_newest(opset: int) -> None:
    model = parsed("net (float[1, 3, 8, 8] x) => (float[1, 4, 4, 4] y) { h = Conv(x, w) y = MaxPool"
                   "<kernel_shape = [2, 2], strides = [2, 2]> (h) }", opset)  # fmt: skip
    network = read_network(stored(model, w=np.zeros((4, 3, 1, 1), np.float32)))
    assert (network.opset, network.macs, network.parameters) == (opset, 768, 12)


def test_nodes_in_disorder_are_put_in_order() -> None:
    model = residual()
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    assert read_onnx(model).canonical() == read_onnx(residual()).canonical()


def test_the_model_given_is_left_as_it_is(tmp_path: Path) -> None:
    model = residual()
    before = model.SerializeToString()
    read_onnx(model)
    assert model.SerializeToString() == before
    onnx.save(model, tmp_path / "a.onnx")
    assert read_onnx(tmp_path / "a.onnx") == read_onnx(str(tmp_path / "a.onnx")) == read_onnx(model)


def test_reading_needs_no_torch(tmp_path: Path) -> None:
    onnx.save(residual(), tmp_path / "a.onnx")
    code = (
        "import sys, nasx.search_spaces.onnx_network as reader; assert 'onnx' not in sys.modules;"
        "reader.read_onnx(sys.argv[1]); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.onnx")], check=True)
