"""MD5 of rows, against hashlib."""

from __future__ import annotations

from hashlib import md5

import numpy as np
import pytest

from nasx.search_spaces import md5_rows as module
from nasx.search_spaces.md5_rows import md5_rows


@pytest.mark.parametrize("length", [0, 1, 55, 56, 63, 64, 65, 119, 120, 226])
def test_every_row_has_the_digest_of_hashlib(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 3)
    messages = np.random.default_rng(length).integers(256, size=(7, length), dtype=np.uint8)
    expected = [md5(row.tobytes(), usedforsecurity=False).hexdigest() for row in messages]
    assert [row.tobytes().decode() for row in md5_rows(messages)] == expected
