"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

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


@pytest.fixture(scope="session")
def models() -> Iterator[Any]:
    """torchvision's model definitions; its compiled operators are not needed and may not fit the installed torch."""
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for _ in range(20):
        try:
            yield import_module("torchvision").models
            return
        except ImportError:
            pytest.skip("needs torchvision's model definitions: pip install torchvision")
        except RuntimeError as error:  # "operator torchvision::nms does not exist"
            missing = str(error).partition("torchvision::")[2].split(" ")[0]
            if not missing:
                raise
            library.define(f"{missing}(Tensor input) -> Tensor")
    raise AssertionError("torchvision cannot be imported")
