"""A space and an objective that tiny searches can solve."""

from __future__ import annotations

import numpy as np
import pytest

from nasx.search_spaces.nasbench201 import NASBench201


@pytest.fixture(scope="session")
def space() -> NASBench201:
    return NASBench201()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
