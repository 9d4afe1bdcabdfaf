"""The official hash, one cell at a time and all at once."""

from __future__ import annotations

import numpy as np
import pytest

from nasx.search_spaces import nasbench101_hash as module
from nasx.search_spaces.cache import cache_dir
from nasx.search_spaces.nasbench101_hash import hash_of_code, hashes_of_codes
from nasx.search_spaces.nasbench101_tables import CellTables, cell_tables


def test_many_hashes_are_the_hashes_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 120)
    codes = cell_tables().codes
    some = np.concatenate([codes[:100], codes[np.random.default_rng(0).integers(len(codes), size=100)]])
    assert hashes_of_codes(some).astype("U32").tolist() == [hash_of_code(code) for code in some.tolist()]


def test_hashes_are_kept_and_a_foreign_file_is_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    tables = cell_tables()
    few = CellTables(tables.topology, tables.numbering, tables.group, tables.smallest, tables.codes[:300])
    monkeypatch.setattr(module, "cell_tables", lambda: few)
    monkeypatch.setenv("NASX_DATA", str(tmp_path))
    uncached = module.all_module_hashes.__wrapped__
    expected = hashes_of_codes(few.codes)
    assert np.array_equal(uncached(), expected)
    file = cache_dir() / "nasbench101-hashes-1.npz"
    assert file.exists()
    calls = []
    monkeypatch.setattr(module, "hashes_of_codes", lambda codes: calls.append(len(codes)) or hashes_of_codes(codes))
    assert np.array_equal(uncached(), expected)
    assert calls == [50]  # the probes only: the rest came from the file
    np.savez(file, hashes=expected[::-1])
    assert np.array_equal(uncached(), expected)
    file.write_bytes(b"not ours")
    assert np.array_equal(uncached(), expected)
