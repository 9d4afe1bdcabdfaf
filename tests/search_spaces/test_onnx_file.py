"""Models that cannot be read say why, in one sentence; open shapes and missing weights."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the package onnx: pip install 'nasx[onnx]'")

from nasx.search_spaces.errors import NasxError, UsageError  # noqa: E402
from nasx.search_spaces.onnx_file import MAX_NODES, onnx_package  # noqa: E402
from nasx.search_spaces.onnx_network import read_network, read_onnx  # noqa: E402

helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT


def model_of(nodes: list[Any], inputs: dict[str, Any], outputs: list[str], opset: int = 17, **arrays: Any) -> Any:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def relu(source: str = "x", target: str = "y") -> Any:
    return helper.make_node("Relu", [source], [target])


def chain(count: int) -> Any:
    return model_of([relu(f"v{i}", f"v{i + 1}") for i in range(count)], {"v0": [1, 4]}, [f"v{count}"])


def one_sentence(error: BaseException) -> None:
    text = str(error)
    assert "\n" not in text
    assert len(text) < 320


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (model_of([], {}, []), "no operations"),
        (model_of([], {"x": [1]}, []), "inputs but no operations"),
        (model_of([relu()], {"x": [1]}, ["y"], opset=999), r"operator set 999.*pip install --upgrade onnx"),
        (model_of([relu()], {"x": [1]}, ["y"], opset=8), "operator set 8, and 9 to .* are read"),
        (model_of([relu("y", "z"), relu("z", "y")], {"x": [1]}, ["y"]), "it has a cycle, at a node of type Relu"),
        (model_of([relu("q")], {"x": [1]}, ["y"]), "reads 'q', which nothing makes"),
        (model_of([relu(), relu()], {"x": [1]}, ["y"]), "the value 'y' is made twice"),
        (chain(MAX_NODES + 1), f"{MAX_NODES + 1:,} operations; networks of up to {MAX_NODES:,}"),
        (chain(100_000), "100,000 operations"),
        (model_of([relu("w")], {"x": [1]}, ["y"], w=np.zeros(3, np.float32)), "constants only"),
    ],
)  # fmt: skip
def test_what_is_no_network_is_explained(model: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        read_onnx(model)
    one_sentence(raised.value)
    onnx.save(model, tmp_path / "bad.onnx")
    with pytest.raises(UsageError, match=r"bad\.onnx"):
        read_onnx(tmp_path / "bad.onnx")


@pytest.mark.parametrize("content", [b"", b"hello, world\n", b"\x08\x08PK\x03\x04", bytes(range(256)), b"{}"])
def test_other_files_are_no_models(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"other\.onnx' is (not an|no) ONNX") as raised:
        read_onnx(path)
    one_sentence(raised.value)


def test_a_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "short.onnx"
    whole = model_of([relu()], {"x": [1]}, ["y"]).SerializeToString()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(UsageError) as raised:
            read_onnx(path)
        one_sentence(raised.value)


def test_damaged_files_are_refused_or_read(tmp_path: Path) -> None:
    """Every byte of a model replaced: either it can still be read, or one sentence says why not."""
    arrays = {"w": np.zeros((2, 3, 3, 3), np.float32), "to": np.array([2, -1])}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"], kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
        helper.make_node("Shape", ["h"], ["s"]),
        helper.make_node("Reshape", ["h", "to"], ["r"]),
        helper.make_node("Expand", ["r", "s"], ["y"]),
    ]
    whole = model_of(nodes, {"x": [1, 3, 8, 8]}, ["y"], **arrays).SerializeToString()
    path = tmp_path / "damaged.onnx"
    rng = np.random.default_rng(0)
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + rng.bytes(1) + whole[place + 1 :])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                read_onnx(path)
            except NasxError as error:
                one_sentence(error)


@pytest.mark.parametrize("name", ["nothing.onnx", "."])
def test_a_missing_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        read_onnx(tmp_path / name)


def test_an_operator_set_must_be_named() -> None:
    model = model_of([relu()], {"x": [1]}, ["y"])
    del model.opset_import[:]
    with pytest.raises(UsageError, match="does not say which"):
        read_onnx(model)


def test_onnx_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(NasxError, match=r"pip install 'nasx\[onnx\]'"):
        onnx_package()


def dynamic() -> Any:
    convolution = helper.make_node("Conv", ["x", "w"], ["h"], kernel_shape=[3, 3])
    return model_of(
        [convolution, relu("h")], {"x": ["n", 3, "side", None]}, ["y"], w=np.zeros((4, 3, 3, 3), np.float32)
    )


def test_open_shapes_are_asked_for_and_taken() -> None:
    with pytest.raises(UsageError, match=r"--shape x=1,3,224,224") as raised:
        read_onnx(dynamic())
    assert "(n, 3, side, ?)" in str(raised.value)
    one_sentence(raised.value)
    network = read_network(dynamic(), shapes={"x": (2, 3, 10, 12)})
    assert [layer.output_shape for layer in network.layers] == [(2, 4, 8, 10)] * 2
    assert network.batch_size == 2
    assert read_network(dynamic(), shapes={"x": [1, 3, 10, 12]}).macs * 2 == network.macs


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"X": (1, 3, 8, 8)}, "unknown input of 'net' 'X'; known: x"),
        ({"x": (1, 3, 8)}, "does not fit"),
        ({"x": (1, 4, 8, 8)}, r"shape \(n, 3, side, \?\), which \[1, 4, 8, 8\] does not fit"),
        ({"x": (0, 3, 8, 8)}, "at least 1"),
    ],
)
def test_wrong_shapes_are_explained(shapes: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_onnx(dynamic(), shapes=shapes)


def test_symbols_recorded_inside_the_file_take_the_given_size() -> None:
    model = dynamic()
    model.graph.value_info.append(helper.make_tensor_value_info("h", FLOAT, ["n", 4, "side - 2", None]))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", FLOAT, ["n", 4, "side - 2", "other"]))
    network = read_network(model, shapes={"x": (1, 3, 6, 7)})
    assert [layer.output_shape for layer in network.layers] == [(1, 4, 4, 5)] * 2


def test_an_input_without_rank() -> None:
    with pytest.raises(UsageError, match="open shape unknown"):
        read_onnx(model_of([relu()], {"x": None}, ["y"]))
    assert read_network(model_of([relu()], {"x": None}, ["y"]), shapes={"x": (3,)}).layers[0].output_shape == (3,)


def external(tmp_path: Path, *, size: int) -> Path:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Reshape", ["h", "to"], ["y"])]
    arrays = {"w": np.zeros((4, size), np.float32), "to": np.array([2 * size, 1])}
    path = tmp_path / "net.onnx"
    model = model_of(nodes, {"x": [2, 4]}, ["y"], **arrays)
    onnx.save(model, path, save_as_external_data=True, location="net.data", size_threshold=0)
    return path


def test_weights_in_another_file_are_needed_only_where_shapes_depend_on_them(tmp_path: Path) -> None:
    path = external(tmp_path, size=1000)
    network = read_network(path)
    assert [layer.output_shape for layer in network.layers] == [(2, 1000), (2000, 1)]
    assert network.parameters == 4000
    (tmp_path / "net.data").unlink()
    with pytest.raises(
        NasxError, match=r"the shape of 'y' in 'net.onnx' depends on values kept in 'net.data'"
    ) as raised:
        read_network(path)
    one_sentence(raised.value)
    model = onnx.load(path, load_external_data=False)
    del model.graph.node[1:]
    model.graph.output[0].name = "h"
    onnx.save(model, path)
    assert read_network(path).macs == 8000
