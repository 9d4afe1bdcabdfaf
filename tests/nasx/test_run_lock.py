"""The lock of a run folder: held by the living, not by the dead."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from nasx.run_lock import LOCK, only_run
from nasx.search_spaces.errors import NasxError

_HOLD = "import sys; from nasx.run_lock import only_run\nwith only_run(__import__('pathlib').Path(sys.argv[1])):\n    "


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    script = _HOLD + "print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with (
        pytest.raises(NasxError, match=f"is in use by process {holder.pid} on {platform.node()} since"),
        only_run(tmp_path),
    ):
        pass
    holder.kill()
    holder.communicate()
    assert (tmp_path / LOCK).exists()  # a killed process leaves its file behind
    with only_run(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    assert not (tmp_path / LOCK).exists()


def test_what_another_machine_left_is_not_judged_from_here(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text(json.dumps({"pid": 12, "host": "far-away", "since": "yesterday"}))
    with pytest.raises(NasxError, match=r"left by process 12 on far-away.*delete"), only_run(tmp_path):
        pass


def test_half_a_lock_file_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text('{"pid": 1')
    with only_run(tmp_path):
        assert (tmp_path / LOCK).exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NasxError, match="cannot be written"), only_run(tmp_path / "nowhere"):
        pass
