"""``nasx show``, as it is typed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from nasx import cli, console
from nasx.search_spaces.errors import NasxError

CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli.app, ["show", *arguments])


@pytest.mark.parametrize(
    ("architecture", "word"),
    [
        (CELL, "skip_connect"),
        ("010/001/000;input,maxpool3x3,output", "maxpool3x3"),
        ("0,0,0,1|gcn,gat,fc,gin", "gat"),
    ],
)
def test_benchmark_cells_need_no_space(architecture: str, word: str) -> None:
    shown = run(architecture)
    assert shown.exit_code == 0, shown.output
    assert f"│ {word} │" in shown.output
    assert "│ output │" in shown.output


def test_what_is_left_out_is_said() -> None:
    assert "not drawn: 1 without influence on the output" in run(CELL).output
    shown = run(CELL, "--dead")
    assert "│ none │" in shown.output
    assert "not drawn" not in shown.output


def test_pictures_are_written(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("cell.png", "cell.svg", "cell.dot")]
    shown = run(CELL, "--space", "nasbench201", *(word for path in paths for word in ("-o", str(path))))
    assert shown.output.split() == [str(path) for path in paths]
    assert all(path.stat().st_size > 300 for path in paths)


def test_colours_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(force_terminal=True, width=120, record=True, highlight=False, color_system="truecolor")
    monkeypatch.setattr(console, "screen", terminal)
    run(CELL)
    assert "\x1b[1;38;2;" in terminal.export_text(styles=True)


def test_an_onnx_file(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="needs the package onnx: pip install 'nasx[onnx]'")
    model = """<ir_version: 8, opset_import: ["": 17]>
        net (float[1, 8, 4, 4] x, float[16, 8, 3, 3] w) => (y) { h = Conv <strides = [2, 2]> (x, w) y = Relu (h) }"""
    onnx.save(onnx.parser.parse_model(model), tmp_path / "net.onnx")
    assert "│ Conv 3x3 /2 │" in run(str(tmp_path / "net.onnx")).output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("conv",), "'conv' is no architecture of nasbench201, .*say which space it is of with --space"),
        (("conv", "--space", "nasbench201"), "no NAS-Bench-201 cell"),
        ((CELL, "--space", "mine"), "unknown search space 'mine'"),
        ((CELL, "-o", "cell.gif"), "unknown format of a picture '.gif'"),
        (("nowhere.onnx",), "nowhere.onnx"),
    ],
)
def test_wrong_arguments_are_explained(arguments: tuple[str, ...], message: str) -> None:
    failed = run(*arguments)
    assert isinstance(failed.exception, NasxError | OSError)
    assert re.search(message, str(failed.exception))
