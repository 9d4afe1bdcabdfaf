"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real benchmark tables, or a skip that says where to put them."""
    folder = Path(os.environ.get("NASX_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (folder / "nasbench201.parquet").exists():
        pytest.skip(f"the real benchmark tables are not at {folder}; set NASX_TEST_DATA to their folder")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests never touch the user's own cache folder."""
    os.environ["NASX_DATA"] = str(tmp_path_factory.mktemp("nasx-data"))
