"""The three commands from nothing to a predictor for this machine, as they are typed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

pytest.importorskip("onnx", reason="needs the package onnx: pip install 'nasx[onnx]'")

from nasx import cli
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.onnx_network import read_network

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"


def run(*arguments: str | Path) -> str:
    done = CliRunner().invoke(cli.app, [str(word) for word in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.slow
def test_from_nothing_to_a_predictor(tmp_path: Path) -> None:
    """Generate, measure, fit; then the prediction for a network that was exported from a cell."""
    pytest.importorskip("onnxruntime", reason="needs the package onnxruntime: pip install 'nasx[latency]'")
    nets, table, folder = tmp_path / "nets", tmp_path / "mine.parquet", tmp_path / "run"
    families = ("--family", "nasbench201", "--family", "squeezenet")
    said = run("latency", "generate", "--out", nets, "--per-family", "3", *families)
    assert said.startswith(f"6 networks of 2 families in {nets} (0 MB, without weights")
    best = nets / "exported" / "best.onnx"
    best.parent.mkdir()
    run("export", CELL, "--dataset", "ImageNet16-120", "-o", best)
    quick = ("--runs", "2", "--warmup", "0", "--seconds", "0.01", "--repeat-share", "0.5")
    said = run("latency", "measure", nets, "--out", table, *quick)
    assert "7 networks measured" in said
    assert "measured again, a network differs by" in said
    assert f"everything is in {table} and mine_nodes.parquet" in said
    said = run("latency", "fit", table, "--out", folder, "--predictor", "trees", "--test-share", "0.3")
    assert "trees fitted on 5 networks" in said
    assert "on 2 others: MAPE" in said
    assert f"nasx predict --predictor {folder} model.onnx" in said
    rows = json.loads(
        run("predict", "--predictor", folder, best, nets / "squeezenet" / "squeezenet-0001.onnx", "--json")
    )
    assert [row["network"] for row in rows] == [str(best), str(nets / "squeezenet" / "squeezenet-0001.onnx")]
    assert all(row["latency_ms"] > 0 for row in rows)
    assert rows[0]["flops"] == read_network(best).flops
    shown = run("predict", "--predictor", folder, best)
    assert f"{best}  {rows[0]['latency_ms']:.4g} ms" in shown
    shown = run("inspect", best, "--predictor", folder, "--layers", "0")
    assert f"predicted latency  {rows[0]['latency_ms']:.4g} ms (off by" in shown
    facts = json.loads(run("inspect", best, "--predictor", folder, "--json"))
    assert facts["predicted_latency_ms"] == pytest.approx(rows[0]["latency_ms"])
    with pytest.raises(UsageError, match="this predictor cannot read cells of nasbench201"):
        run("predict", "--predictor", folder, "--space", "nasbench201", CELL)


def test_architectures_of_a_space() -> None:
    fitted = "nar-former-v2/nasbench201-cifar10-781"
    (row,) = json.loads(run("predict", "--predictor", fitted, "--space", "nasbench201", CELL, "--json"))
    assert row["architecture"] == CELL
    assert 0 < row["predicted"] < 100
    with pytest.raises(UsageError, match="is no ONNX file; architectures of a space need --space"):
        run("predict", "--predictor", fitted, CELL)


def test_weights_can_be_stored(tmp_path: Path) -> None:
    options = ("--per-family", "1", "--family", "nasbench201")
    run("latency", "generate", "--out", tmp_path / "light", *options)
    said = run("latency", "generate", "--out", tmp_path / "heavy", *options, "--weights")
    assert "without weights" not in said
    light, heavy = (tmp_path / kind / "nasbench201" / "nasbench201-0000.onnx" for kind in ("light", "heavy"))
    assert heavy.stat().st_size > 4 * read_network(heavy).parameters
    assert light.stat().st_size < heavy.stat().st_size
    assert read_network(light).graph() == read_network(heavy).graph()


def test_wrong_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, message in (
        (("latency", "generate", "--out", tmp_path, "--family", "lenet"), "unknown family of networks 'lenet'"),
        (("latency", "generate", "--out", tmp_path, "--scale", "huge"), "unknown scale 'huge'"),
        (("latency", "fit", tmp_path / "gone.parquet", "--out", tmp_path / "run"), "gone.parquet"),
        (("predict", "--predictor", tmp_path / "gone", "a.onnx"), "unknown fitted predictor"),
    ):
        with pytest.raises(NasxError, match=message):
            run(*arguments)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(NasxError, match=r"needs the package onnxruntime; type: pip install 'nasx\[latency\]'"):
        run("latency", "measure", tmp_path, "--out", tmp_path / "t.parquet")


def test_interrupted_says_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nasx import latency_measure

    def interrupted(*_: Any, **__: Any) -> None:
        (tmp_path / "t.journal.jsonl").write_text('{}\n{"network": "a"}\n{"network": "a"}\n{"network": "b"}\n{"net')
        raise KeyboardInterrupt

    monkeypatch.setattr(latency_measure, "measure", interrupted)
    with pytest.raises(NasxError, match="interrupted; 2 networks are measured and kept, type the same command again"):
        run("latency", "measure", tmp_path, "--out", tmp_path / "t.parquet")
