"""What the README says can be typed, works when typed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_a_space_of_your_own_in_twenty_lines() -> None:
    (block,) = [block for block in BLOCKS if "ChoiceSpace" in block]
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["result"].best == ("conv5", "conv3", True)
    assert names["result"].evaluations == 12


def test_the_python_lines_use_only_what_exists() -> None:
    import nasx

    used = {name for block in BLOCKS for name in re.findall(r"\bnasx\.(\w+)", block)}
    assert used >= {"search", "evaluate", "load_benchmark"}
    assert all(hasattr(nasx, name) for name in used)
