"""docs/plugins.md runs as it stands: its files, its Python, its commands, in their order."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", GUIDE, flags=re.DOTALL)


def forget() -> None:
    from nasx import predictors, search_spaces, strategies

    for registry in (search_spaces.PLUGINS, predictors.PLUGINS, strategies.PLUGINS):
        registry._registered.clear()
    for name in [name for name in sys.modules if name.startswith("my_")]:
        del sys.modules[name]


@pytest.mark.slow
def test_the_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, Any] = {}
    commands = 0
    try:
        for language, block in BLOCKS:
            if language == "python" and block.startswith("# my_"):
                (tmp_path / block.split()[1]).write_text(block)
            elif language == "python":
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    exec(block, names)
            elif language == "sh":
                for line in block.strip().splitlines():
                    program, *arguments = shlex.split(line)
                    assert program == "nasx"
                    command = [sys.executable, "-P", "-m", "nasx", *arguments]
                    done = subprocess.run(command, capture_output=True, text=True, timeout=400, env=dict(os.environ))
                    assert done.returncode == 0, done.stderr
                    commands += 1
    finally:
        forget()
    assert commands == 2
    assert names["best"][0] == "pool"
    assert len(names["study"].trials) == 20
    assert (tmp_path / "found" / "summary.json").exists()
    assert "(1, 32, None, None, 'tanh') {'depth': 1, 'width_1': 32, 'activation': 'tanh'}" in capsys.readouterr().out


def test_it_names_only_what_exists() -> None:
    import nasx

    assert all(hasattr(nasx, name) for name in re.findall(r"\bnasx\.(\w+)\(", GUIDE))
    assert all((ROOT / "docs" / link).exists() for link in re.findall(r"\]\(([\w./]+)\)", GUIDE))
