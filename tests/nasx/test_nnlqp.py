from __future__ import annotations

import shutil
from concurrent.futures import Executor, Future
from pathlib import Path

import numpy as np
import pytest
from pebble import ProcessExpired
from typer.testing import CliRunner

from nasx import nnlqp, official
from nasx.benchmark import load_benchmark
from nasx.cli import app
from nasx.nnlqp import read, read_lines
from nasx.nnlqp_networks import read_files
from nasx.search_spaces.cache import cache_dir
from nasx.search_spaces.errors import NasxError, UsageError

onnx = pytest.importorskip("onnx")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASX_DATA", str(tmp_path / "cache"))


def network(path: Path, channels: int) -> None:
    """A network without weights, as NNLQP keeps them: initializers with sizes and no data."""
    import onnx.parser

    path.parent.mkdir(parents=True, exist_ok=True)
    model = onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["": 11]>
        net (float[1, 3, 8, 8] x) => (float[1, {channels}, 8, 8] y)
        <float[{channels}, 3, 1, 1] w = {{{", ".join(["0"] * 3 * channels)}}}> {{ h = Conv(x, w) y = Relu(h) }}""")
    model.graph.initializer[0].ClearField("float_data")
    model.graph.initializer[0].ClearField("raw_data")
    onnx.save(model, path)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two families of three networks in the published layout."""
    folder, lines = tmp_path / "dataset" / "unseen_structure", []
    for family, directory in (("alexnet", "nnmeter_alexnet"), ("vgg16", "vgg16")):
        for number in range(3):
            name = f"onnx/{directory}/{directory}_transform_{number:04d}.onnx"
            network(folder / name, 4 + number)
            lines.append(f"{len(lines) + 1:05d} {name} 1 {len(lines) + 1.5} {family} 1")
    (folder / "gt.txt").write_text("\n".join(lines) + "\n")
    stages = [f"{line} {'test' if number % 3 == 2 else 'train'}" for number, line in enumerate(lines)]
    (folder / "gt_stage.txt").write_text("\n".join(stages) + "\n")
    return folder


def test_the_published_layout_is_a_benchmark(dataset: Path) -> None:
    table = read(dataset.parent)
    assert list(table.metrics) == ["gpu_gtx1660_trt7_1_fp32_latency_ms"]
    assert table.space.families == ("alexnet",) * 3 + ("vgg16",) * 3
    assert table.space.names[0] == "nnmeter_alexnet_transform_0000"
    assert table.columns["gpu_gtx1660_trt7_1_fp32_latency_ms"].tolist() == [1.5, 2.5, 3.5, 4.5, 5.5, 6.5]
    graph = table.space.graph("vgg16_transform_0002")
    assert graph.operations == ("input", "Conv", "Relu", "output")
    assert graph.attributes["macs"] == 8 * 8 * 3 * 6


def test_several_platforms_and_batch_sizes(dataset: Path) -> None:
    name = "onnx/vgg16/vgg16_transform_0000.onnx"
    (dataset / "gt_stage.txt").unlink()
    lines = [f"1 {name} 8 4.5 vgg16 2 train", f"2 {name} 8 5.5 vgg16 23 test", f"3 {name} 1 1.5 vgg16 99 train"]
    (dataset / "gt.txt").write_text("\n".join(lines))
    table = read(dataset / "gt.txt")
    assert table.space.names == ("vgg16_transform_0000@8", "vgg16_transform_0000@1")
    eight, one = table.space.graphs(table.space.names)
    assert eight.attributes["batch_size"] == 8
    assert eight.attributes["macs"] == 8 * one.attributes["macs"]
    assert np.array_equal(table.columns["mul270_neuware_int8_latency_ms"], [5.5, np.nan], equal_nan=True)
    assert np.array_equal(table.columns["platform_99_latency_ms"], [np.nan, 1.5], equal_nan=True)


def test_networks_that_cannot_be_read_are_counted_and_left_out(dataset: Path) -> None:
    folder = dataset / "onnx" / "vgg16"
    (folder / "vgg16_transform_0001.onnx").unlink()
    (folder / "vgg16_transform_0002.onnx").write_bytes(b"no network")
    seen = []
    with pytest.warns(
        UserWarning, match=r"2 of 6 networks in .* cannot be read and are left out; the first: onnx/vgg16"
    ):
        table = read(dataset, progress=lambda done, total: seen.append((done, total)))
    assert len(table) == 4
    assert seen[-1] == (6, 6)


@pytest.mark.parametrize("latency", ["0", "-3", "nan"])
def test_a_latency_that_cannot_be(dataset: Path, latency: str) -> None:
    text = (dataset / "gt_stage.txt").read_text().replace(" 1 1.5 ", f" 1 {latency} ")
    (dataset / "gt_stage.txt").write_text(text)
    if latency == "nan":
        table = read(dataset)
    else:
        with pytest.warns(UserWarning, match=r"1 measurement of 0"):
            table = read(dataset)
    assert table.missing == {"gpu_gtx1660_trt7_1_fp32_latency_ms": 1}


def test_wrong_files_are_explained(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no gt_stage.txt or gt.txt: give the folder 'unseen_structure'"):
        read(tmp_path / "dataset" / "unseen_structure" / "onnx")
    file = dataset / "gt_stage.txt"
    file.write_text(file.read_text()[:-30])
    with pytest.raises(UsageError, match=r"line 6 of .* is not 'ID PATH BATCH LATENCY_MS FAMILY PLATFORM"):
        read_lines(file)
    file.write_text("\n")
    with pytest.raises(UsageError, match=r"is empty"):
        read_lines(file)
    (dataset / "gt_stage.txt").write_text("1 onnx/none.onnx 1 2.0 vgg16 1 train\n")
    with pytest.raises(NasxError, match=r"none of the 1 networks"):
        read(dataset)


def test_an_interrupted_import_goes_on_where_it_was(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nnlqp, "PART", 2)

    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read(dataset, progress=interrupt)
    asked: list[list[tuple[str, int]]] = []
    monkeypatch.setattr(
        nnlqp, "read_files", lambda folder, part, *rest: asked.append(part) or read_files(folder, part, *rest)
    )
    table = official.import_file("nnlqp", dataset)
    assert [len(part) for part in asked] == [2, 2]
    assert len(table) == 6
    assert not list(cache_dir().glob("unfinished/*"))
    whole = official.import_file("nnlqp", dataset, replace=True)
    assert [len(part) for part in asked] == [2, 2, 2, 2, 2]
    assert list(whole.space.graphs(whole.space.names)) == list(table.space.graphs(table.space.names))


def test_a_file_that_was_missing_is_looked_for_again(dataset: Path, tmp_path: Path) -> None:
    networks = dataset / "onnx"
    networks.rename(tmp_path / "elsewhere")
    with pytest.raises(NasxError, match="none of the 6 networks"):
        read(dataset)
    (tmp_path / "elsewhere").rename(networks)
    assert len(read(dataset)) == 6
    (networks / "vgg16" / "vgg16_transform_0000.onnx").write_bytes(b"damaged meanwhile")
    with pytest.warns(UserWarning, match="1 of 6 networks"):
        assert len(read(dataset)) == 5


def test_many_networks_are_read_by_several_processes(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = read(dataset)
    shutil.rmtree(cache_dir())
    monkeypatch.setattr(nnlqp, "FEW", 1)
    together = read(dataset)
    assert list(together.space.graphs(alone.space.names)) == list(alone.space.graphs(alone.space.names))


def test_a_network_that_ends_its_reader_is_left_out(dataset: Path) -> None:
    class Broken(Executor):
        def submit(self, fn, /, folder, name, batch_size):  # type: ignore[no-untyped-def]
            future: Future[object] = Future()
            if "alexnet" in name:
                future.set_exception(ProcessExpired("Abnormal termination"))
            else:
                future.set_result(fn(folder, name, batch_size))
            return future

    names = [row.path for row in read_lines(dataset / "gt.txt")]
    found = read_files(dataset, [(name, 1) for name in names], Broken())
    assert found["read"].tolist() == [False] * 3 + [True] * 3
    assert all("the process that read it ended" in sentence for sentence in found["failed"])


def test_from_the_command_line(dataset: Path) -> None:
    result = CliRunner().invoke(app, ["data", "import", "nnlqp", str(dataset)])
    assert result.exit_code == 0, result.output
    assert "nnlqp: 6 architectures of networks; gpu_gtx1660_trt7_1_fp32_latency_ms" in result.output
    assert len(load_benchmark("nnlqp").graphs()) == 6
