"""Which files are measured, and what a runtime is given."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx", reason="needs the package onnx: pip install 'nasx[onnx]'")

sys.path.insert(0, str(Path(__file__).parent))
from latency_networks import tiny, write_networks  # noqa: E402

from nasx.latency_files import family_of, load_model, network_files, runnable  # noqa: E402
from nasx.network_builder import with_weights  # noqa: E402
from nasx.search_spaces.errors import NasxError, UsageError  # noqa: E402


def test_folders_and_files(tmp_path: Path) -> None:
    folder = write_networks(tmp_path / "nets" / "deep", 2).parent
    (folder / "note.txt").write_text("")
    single = tmp_path / "own.onnx"
    single.write_bytes(b"x")
    assert [file.name for file in network_files([folder, single])] == ["deep/net-00", "deep/net-01", "own"]
    first, second, _ = network_files([folder, single])
    assert first.digest() != second.digest()
    assert family_of(load_model(first.path), first.name) == "narrow"
    for places, message in (
        ([tmp_path / "gone"], "there is no file or folder"),
        ([single, single], "two files would be called 'own'"),
    ):
        with pytest.raises(UsageError, match=message):
            network_files(places)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=re.escape("holds no .onnx file; write some: nasx latency generate")):
        network_files([tmp_path / "empty"])


def test_models_with_weights_are_given_as_files(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(with_weights(tiny(8)).SerializeToString())
    assert runnable(path) == str(path)
    assert isinstance(runnable(path, batch_size=2), bytes)
    path.write_bytes(tiny(8).SerializeToString())
    assert "ConstantOfShape" not in {node.op_type for node in onnx.load_from_string(runnable(path)).graph.node}


def test_missing_weights_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    onnx.save(with_weights(tiny(8)), path, save_as_external_data=True, location="a.data", size_threshold=0)
    assert runnable(path) == str(path)
    (tmp_path / "a.data").unlink()
    with pytest.raises(NasxError, match=re.escape("kept in 'a.data', which is not there")):
        runnable(path)
