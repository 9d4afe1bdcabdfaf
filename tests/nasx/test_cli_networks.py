"""``nasx inspect`` and ``nasx export``, as they are typed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

onnx = pytest.importorskip("onnx", reason="needs the package onnx: pip install 'nasx[onnx]'")

from nasx import cli, console  # noqa: E402
from nasx.inspect_network import dearest, describe_network, show_network  # noqa: E402
from nasx.search_spaces.errors import NasxError  # noqa: E402
from nasx.search_spaces.onnx_network import OnnxNetwork, read_network  # noqa: E402

CELL = "|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
MODEL = """<ir_version: 8, opset_import: ["": 17, "mine": 1]>
    net (float[n, 4, 8] x, float[8, 16] w) => (y) { h = MatMul (x, w) r = Relu (h) y = mine.Fancy (r) }"""


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli.app, list(arguments))


@pytest.fixture
def dynamic(tmp_path: Path) -> Path:
    path = tmp_path / "dynamic.onnx"
    model = onnx.parser.parse_model(MODEL)
    onnx.save(model, path)
    return path


def test_from_winner_to_network_and_back(tmp_path: Path) -> None:
    """The exported file costs what the benchmark says: 0.400346 million parameters, 54.96897 million FLOPs."""
    path = tmp_path / "best.onnx"
    written = run("export", CELL, "--space", "nasbench201", "--dataset", "cifar10", "-o", str(path))
    assert written.exit_code == 0, written.output
    assert "400,346 parameters, 54,968,960 multiply-adds (109,937,920 FLOPs)" in written.output
    shown = run("inspect", str(path))
    assert shown.exit_code == 0, shown.output
    for fact in (
        r"operations +265",
        r"depth +186",
        r"FLOPs +109,937,920",
        r"parameters +400,346",
        r"memory access +\d",
    ):
        assert re.search(fact, shown.output), fact
    assert "the 10 dearest of 265 operations" in shown.output
    assert len([line for line in shown.output.splitlines() if " Conv " in line]) == 10
    facts = json.loads(run("inspect", str(path), "--json", "--layers", "3").output)
    assert (facts["parameters"], facts["macs"], facts["flops"]) == (400_346, 54_968_960, 109_937_920)
    assert (facts["batch_size"], facts["inputs"], len(facts["dearest_layers"])) == (1, {"images": [1, 3, 32, 32]}, 3)


def test_other_spaces_data_sets_and_batches(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    assert run("export", CELL, "--dataset", "ImageNet16-120", "--batch-size", "4", "-o", str(path)).exit_code == 0
    assert read_network(path).inputs == {"images": (4, 3, 16, 16)}
    cell = "0100110/0010000/0001001/0000010/0000010/0000001/0000000;input,conv3x3-bn-relu,maxpool3x3,conv3x3-bn-relu,"
    done = run("export", f"{cell}conv3x3-bn-relu,conv1x1-bn-relu,output", "--space", "nasbench101", "-o", str(path))
    assert done.exit_code == 0, done.output
    assert read_network(path).parameters == 8_555_530


def test_open_shapes_are_given_and_notes_are_one_line(dynamic: Path) -> None:
    command = [sys.executable, "-m", "nasx", "inspect", str(dynamic)]
    asked = subprocess.run(command, capture_output=True, text=True)
    assert asked.returncode == 2
    assert re.fullmatch(
        r"nasx: input 'x' of 'dynamic.onnx' has the open shape \(n, 4, 8\).*--shape x=.*\n", asked.stderr
    )
    done = subprocess.run([*command, "--shape", "x=2,4,8"], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == "nasx: 'dynamic.onnx': counted as 'other', with unknown cost: mine.Fancy (1)\n"
    assert "MatMul" in done.stdout
    assert "of unknown cost  1 operations, counted as 0" in done.stdout
    assert "unknown" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("inspect", "MODEL", "--shape", "x"), "--shape 'x' is not NAME=SIZE,SIZE"),
        (("inspect", "MODEL", "--shape", "=1,2"), "is not NAME=SIZE,SIZE"),
        (("inspect", "MODEL", "--shape", "x=1,b"), "is not NAME=SIZE,SIZE"),
        (("inspect", "MODEL", "--shape", "q=1,2"), "unknown input of 'dynamic.onnx' 'q'; known: x, w"),
        (("export", CELL, "-o", "best.pt"), "'best.pt' does not end in .onnx.*type -o best.onnx"),
        (("export", CELL, "--space", "other", "-o", "a.onnx"), "unknown search space with networks"),
        (("export", CELL, "--dataset", "mnist", "-o", "a.onnx"), "unknown data set of nasbench201 'mnist'"),
        (("export", "conv", "-o", "a.onnx"), "no NAS-Bench-201 cell"),
        (("export", CELL, "-o", "nowhere/a.onnx"), "the folder 'nowhere' does not exist"),
    ],
)
def test_wrong_arguments_are_explained(dynamic: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run(*(str(dynamic) if word == "MODEL" else word for word in arguments))
    assert isinstance(done.exception, NasxError)
    assert re.search(message.replace("x, w", "w, x"), str(done.exception))


def test_a_terminal_gets_a_table(monkeypatch: pytest.MonkeyPatch, dynamic: Path) -> None:
    from rich.console import Console

    terminal = Console(force_terminal=True, width=120, record=True, highlight=False)
    monkeypatch.setattr(console, "screen", terminal)
    monkeypatch.setattr("nasx.inspect_network.screen", terminal)
    show_network(network(dynamic), 2)
    text = terminal.export_text()
    assert "┃" in text
    assert "the 2 dearest of 3 operations" in text
    assert "[1" not in text


def network(path: Path) -> OnnxNetwork:
    with pytest.warns(UserWarning, match="other"):
        return read_network(path, shapes={"x": (1, 4, 8)})


def test_the_dearest_come_first(dynamic: Path) -> None:
    read = network(dynamic)
    assert [layer.operation for layer in dearest(read, 5)] == ["MatMul", "Relu", "other"]
    assert describe_network(read, 0)["dearest_layers"] == []
    assert describe_network(read)["dearest_layers"][2]["output_shape"] is None
