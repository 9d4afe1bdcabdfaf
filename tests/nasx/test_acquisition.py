from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nasx.acquisition import ACQUISITIONS, acquire, expected_improvement
from nasx.search_loop import search
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.nasbench201 import NASBench201


def options(**changes: Any) -> dict[str, Any]:
    return {"best": 2.0, "direction": "maximize", "rng": np.random.default_rng(0), **changes}


def test_minimising_is_the_mirror_image() -> None:
    values, deviations = np.array([1.0, 2.5, 3.0]), np.array([1.0, 0.2, 0.0])
    for name in ("mean", "ucb", "ei"):
        up = acquire(name, values, deviations, **options())
        down = acquire(name, -values, deviations, **options(best=-2.0, direction="minimize"))
        np.testing.assert_allclose(down, -up)


def test_expected_improvement_is_the_mean_of_what_is_gained() -> None:
    draws = np.random.default_rng(0).normal(-0.5, 2.0, 400_000)
    (found,) = expected_improvement(np.array([-0.5]), np.array([2.0]))
    assert found == pytest.approx(np.maximum(draws, 0).mean(), rel=0.01)
    assert expected_improvement(np.array([-1.0, 3.0]), np.zeros(2)).tolist() == [0.0, 3.0]


def test_thompson_draws_with_the_deviation() -> None:
    drawn = acquire("thompson", np.full(20_000, 5.0), np.full(20_000, 3.0), **options())
    assert drawn.mean() == pytest.approx(5, abs=0.1)
    assert drawn.std() == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize("name", ACQUISITIONS)
def test_searches_write_down_the_expected_value(name: str) -> None:
    settings: dict[str, Any] = {"predictor": "gaussian-process", "budget": 30, "initial": 15, "batch": 5, "seed": 0}
    result = search(NASBench201(), lambda cell: cell.count("nor_conv_3x3"), acquisition=name, **settings)
    again = search(NASBench201(), lambda cell: cell.count("nor_conv_3x3"), acquisition=name, **settings)
    assert result.history.equals(again.history)
    assert result.best_value >= 5
    predicted = result.history["predicted"].dropna()
    assert len(predicted) == 15
    assert predicted.between(-2, 8).all()


def test_misuse_is_explained() -> None:
    with pytest.raises(UsageError, match="unknown acquisition 'pi'; known: ei, mean, thompson, ucb"):
        search(NASBench201(), len, acquisition="pi", budget=30)
    with pytest.raises(UsageError, match="which 'trees' does not know; use nar-former-v2 or gaussian-process"):
        search(NASBench201(), len, predictor="trees", acquisition="ei", budget=30)
