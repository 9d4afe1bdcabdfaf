from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nasx import tables
from nasx.benchmark import load_benchmark
from nasx.network_reader import node_table_of, read_networks
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.network_table import NetworkTable
from nasx.search_spaces.onnx_network import NODE_ATTRIBUTES, read_onnx
from nasx.search_spaces.packed_graphs import PackedGraphs

NETWORKS = {
    "network": [10, 11, 12],
    "name": ["one", "two", "three"],
    "family": ["chain", "chain", "fork"],
    "cpu_latency_ms": [1.5, 2.5, 3.5],
    "resolution": [8, 8, 8],
}
ROWS = [  # network, node, operation, in, out, kernel, stride, in_size, out_size, input0, input1
    (10, 0, "conv", 3, 4, 3, 1, 8, 8, -1, -2),
    (10, 1, "relu", 4, 4, 0, 0, 8, 8, 0, -2),
    (11, 0, "conv", 3, 4, 3, 2, 8, 4, -1, -2),
    (12, 0, "conv", 3, 4, 1, 1, 8, 8, -1, -2),
    (12, 1, "conv", 3, 4, 3, 1, 8, 8, -1, -2),
    (12, 2, "add", 4, 4, 0, 0, 8, 8, 0, 1),
]
COLUMNS = (
    "network", "node", "operation", "in_channels", "out_channels", "kernel", "stride", "in_size", "out_size", "input0",
    "input1",
)  # fmt: skip


def frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.DataFrame(NETWORKS), pd.DataFrame(ROWS, columns=COLUMNS)


def write(folder: Path, networks: pd.DataFrame, nodes: pd.DataFrame, suffix: str = ".parquet") -> Path:
    for name, frame in (("nets", networks), ("nets_nodes", nodes)):
        path = folder / f"{name}{suffix}"
        frame.to_parquet(path) if suffix == ".parquet" else frame.to_csv(path, index=False)
    return folder / f"nets{suffix}"


def read(folder: Path, networks: pd.DataFrame | None = None, nodes: pd.DataFrame | None = None, **options: Any) -> Any:
    plain = frames()
    return read_networks(write(folder, plain[0] if networks is None else networks, plain[1] if nodes is None else nodes,
                               **options))  # fmt: skip


def graphs_of(table: Any) -> PackedGraphs:
    assert isinstance(table.space, NetworkTable)
    return table.space.graphs(table.space.names)


@pytest.mark.parametrize("suffix", tables.SUFFIXES)
def test_a_table_of_networks_is_a_benchmark(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path, *frames(), suffix)
    bench = load_benchmark(path)
    assert (bench.name, bench.target, bench.direction, len(bench)) == (path.name, "cpu_latency_ms", "minimize", 3)
    assert bench.metrics["cpu_latency_ms"].unit == "ms"
    assert bench.query("two") == 2.5
    assert bench.formatted() == ["one", "two", "three"]
    assert bench.optimum() == ("one", 1.5)
    graphs = bench.graphs([2, 0])
    assert isinstance(graphs, PackedGraphs)
    assert graphs[0].operations == ("input", "Conv", "Conv", "Add", "output")
    assert graphs[0].edges == ((0, 1), (0, 2), (1, 3), (2, 3), (3, 4))
    assert graphs[1].operations == ("input", "Conv", "Relu", "output")


def test_attributes_are_those_of_onnx_networks(tmp_path: Path) -> None:
    graph = graphs_of(read(tmp_path))[0]
    assert graph.node_attribute_names == tuple(sorted(NODE_ATTRIBUTES))
    assert graph.node_attributes is not None
    conv = dict(zip(graph.node_attribute_names, graph.node_attributes[1].tolist(), strict=True))
    assert (conv["kernel_height"], conv["pad_begin_width"], conv["macs"], conv["parameters"]) == (3, 1, 6912, 108)
    start = dict(zip(graph.node_attribute_names, graph.node_attributes[0].tolist(), strict=True))
    assert [start[f"output_{place}"] for place in range(4)] == [1, 3, 8, 8]
    assert graph.attributes["macs"] == 6912
    assert graph.attributes["flops"] == 2 * 6912
    assert graph.attributes["resolution"] == 8
    assert graph.attributes["batch_size"] == 1


def test_the_same_network_as_table_and_as_onnx_file(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    import onnx.numpy_helper
    import onnx.parser

    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["": 17]>
        net (float[1, 3, 8, 8] x, float[4, 3, 3, 3] w, float[5, 64] v) => (float[1, 5] y) {
            a = Conv<strides = [2, 2], pads = [0, 0, 1, 1]>(x, w) b = Relu(a) c = Flatten(b) y = Gemm<transB = 1>(c, v)
        }""")
    for value in list(model.graph.input)[1:]:  # weights
        sizes = [size.dim_value for size in value.type.tensor_type.shape.dim]
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(sizes, np.float32), value.name))
        model.graph.input.remove(value)
    networks = pd.DataFrame({"network": ["n"], "latency_ms": [1.0]})
    rows = [
        ("n", 0, "conv", 3, 4, 3, 2, 8, 4, -1, -2),
        ("n", 1, "relu", 4, 4, 0, 0, 4, 4, 0, -2),
        ("n", 2, "flatten", 4, 64, 0, 0, 4, 0, 1, -2),
        ("n", 3, "fc", 4, 5, 1, 1, 4, 1, 2, -2),
    ]
    ours = graphs_of(read(tmp_path, networks, pd.DataFrame(rows, columns=COLUMNS)))[0]
    assert ours == read_onnx(model)


def test_inputs_as_lists_or_text_and_networks_in_any_order(tmp_path: Path) -> None:
    plain = graphs_of(read(tmp_path))
    networks, nodes = frames()
    pairs = nodes[["input0", "input1"]].to_numpy().tolist()
    listed = nodes.drop(columns=["input0", "input1"]).assign(inputs=[[n for n in pair if n >= 0] for pair in pairs])
    shuffled = listed.sample(frac=1, random_state=0)
    texts = listed.assign(inputs=[" ".join(map(str, row)) for row in listed["inputs"]])
    for other in (listed, shuffled, texts):
        assert list(graphs_of(read(tmp_path, networks, other))) == list(plain)
    assert list(graphs_of(read(tmp_path, networks, texts, suffix=".csv"))) == list(plain)


def test_layers_written_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    networks, nodes = frames()
    number = {0: 7, 1: 3, 2: 1}  # the sum comes first in the file
    fork = nodes[nodes.network == 12].copy()
    fork["node"] = fork["node"].map(number)
    fork[["input0", "input1"]] = fork[["input0", "input1"]].replace(number)
    mixed = pd.concat([nodes[nodes.network != 12], fork])
    graph = graphs_of(read(tmp_path, networks, mixed))[2]
    assert graph.operations == ("input", "Conv", "Conv", "Add", "output")
    assert graph.edges == ((0, 1), (0, 2), (1, 3), (2, 3), (3, 4))


def test_own_input_and_output_nodes_are_kept(tmp_path: Path) -> None:
    networks = pd.DataFrame({"network": ["a"], "latency_ms": [1.0]})
    nodes = pd.DataFrame(
        {"network": ["a"] * 4, "node": range(4), "operation": ["Input", "Conv", "Relu", "output"],
         "input0": [np.nan, 0, 1, 2]}
    )  # fmt: skip
    graph = graphs_of(read(tmp_path, networks, nodes))[0]
    assert graph.operations == ("input", "Conv", "Relu", "output")
    assert graph.edges == ((0, 1), (1, 2), (2, 3))


@pytest.mark.parametrize("values", [[0.0, 2.5, 3.5], [-1.0, 2.5, 3.5], [np.inf, 2.5, 3.5]])
def test_a_latency_that_cannot_be_is_ignored_with_a_sentence(tmp_path: Path, values: list[float]) -> None:
    networks, nodes = frames()
    with pytest.warns(UserWarning, match=r"1 measurement of 0, less than 0 or infinity is ignored"):
        table = read(tmp_path, networks.assign(cpu_latency_ms=values), nodes)
    assert table.missing == {"cpu_latency_ms": 1}


def test_an_empty_latency_is_missing(tmp_path: Path) -> None:
    networks, nodes = frames()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = read(tmp_path, networks.assign(cpu_latency_ms=[np.nan, 2.5, 3.5]), nodes)
    assert "cpu_latency_ms (1 missing)" in str(table)


def changed(column: str, row: int, value: Any) -> pd.DataFrame:
    nodes = frames()[1]
    nodes[column] = nodes[column].astype(object)
    nodes.loc[row, column] = value
    return nodes.infer_objects()


@pytest.mark.parametrize(
    ("nodes", "sentence"),
    [
        (changed("input0", 1, 9), "node 1 of network '10' in nets_nodes.parquet reads node 9, which does not exist"),
        (changed("input0", 0, 1), r"network '10' in nets_nodes.parquet has a cycle through nodes"),
        (changed("input0", 1, 1), r"network '10' in nets_nodes.parquet has a cycle through nodes 1"),
        (changed("node", 1, 0), "has node 0 of network '10' twice"),
        (changed("network", 2, 99), "has layers of network '99', which the table of networks does not have"),
        (frames()[1][:-3], "network '12' is an empty graph: nets_nodes.parquet has no row of it; it may be cut short"),
        (frames()[1].drop(columns="operation"), "needs a column 'operation'"),
        (frames()[1].drop(columns=["input0", "input1"]), "needs columns 'input0', 'input1' ... or a column 'inputs'"),
        (changed("node", 1, 0.5), "column 'node', row 2 of nets_nodes.parquet: '0.5' is no whole number"),
        (changed("operation", 1, None), "column 'operation', row 2 of nets_nodes.parquet is empty"),
    ],
)
def test_wrong_layers_are_explained(tmp_path: Path, nodes: pd.DataFrame, sentence: str) -> None:
    networks = frames()[0]
    named = networks.drop(columns="network").assign(model_id=networks["network"])
    nodes = nodes.rename(columns={"network": "model_id"})
    with pytest.raises(UsageError, match=sentence):
        read(tmp_path, named, nodes)


def test_fewer_nodes_than_announced(tmp_path: Path) -> None:
    networks, nodes = frames()
    with pytest.raises(UsageError, match=r"network '12' should have 3 nodes, but nets_nodes.parquet has 2"):
        read(tmp_path, networks.assign(nodes=[2, 1, 3]), nodes[:-1])


def test_a_hundred_thousand_nodes(tmp_path: Path) -> None:
    count = 100_000
    nodes = pd.DataFrame({"network": "a", "node": range(count), "operation": "Relu", "input0": range(-1, count - 1)})
    with pytest.raises(UsageError, match=r"network 'a' has 100,000 layers; networks of up to"):
        read(tmp_path, pd.DataFrame({"network": ["a"], "latency_ms": [1.0]}), nodes)


@pytest.mark.parametrize("suffix", tables.SUFFIXES)
def test_a_truncated_file(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path, *frames(), suffix)
    half = path.with_name(f"nets_nodes{suffix}")
    half.write_bytes(half.read_bytes()[:-40])
    with pytest.raises(NasxError, match=r"cut short") as caught:
        read_networks(path)
    assert "\n" not in str(caught.value)


def test_wrong_networks_are_explained(tmp_path: Path) -> None:
    networks, nodes = frames()
    for wrong, sentence in (
        (networks.assign(name=["one", "one", "two"]), "has 'one' twice"),
        (networks.drop(columns=["network", "name"]), "needs a column 'network'"),
        (networks.drop(columns="cpu_latency_ms"), "has no column of measurements, such as latency_ms"),
        (networks.assign(family=["a", None, "b"]), "column 'family', row 2"),
    ):
        with pytest.raises(UsageError, match=sentence):
            read(tmp_path, wrong, nodes)


def test_half_a_table_is_explained(tmp_path: Path) -> None:
    path = write(tmp_path, *frames())
    with pytest.raises(UsageError, match=r"give that one"):
        load_benchmark(tmp_path / "nets_nodes.parquet")
    (tmp_path / "nets_nodes.parquet").unlink()
    assert node_table_of(path) is None
    with pytest.raises(UsageError, match=r"it needs nets_nodes.parquet beside it"):
        load_benchmark(path)


@pytest.mark.data
@pytest.mark.slow
def test_the_real_networks(shared_data: Path) -> None:
    bench = load_benchmark(shared_data / "whole_networks.parquet", target="cortex_a76_cpu_latency_ms")
    graphs = bench.graphs()
    assert len(bench) == 23_500
    assert len(graphs.operations) == 3_620_502 + 2 * 23_500
    parts = sum(graphs.attributes[f"{kind}_macs"] for kind in ("conv", "dwconv", "fc"))
    assert np.allclose(graphs.attributes["macs"], parts, rtol=1e-6)
    assert bench.direction_of("adreno_640_gpu_latency_ms") == "minimize"
    assert int(np.isnan(bench.values(metric="adreno_640_gpu_latency_ms")).sum()) == 2_004
