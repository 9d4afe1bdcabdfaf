from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nasx.predictors.scaling import MonotoneMap, ScoreMap, TargetScaler, normal_scores

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)


@given(numbers, st.sampled_from(["standard", "unit", "none", "geometric"]))
def test_scaling_is_undone(values: list[float], scaling: str) -> None:
    scaler = TargetScaler.of(values, scaling)  # type: ignore[arg-type]
    scaled = scaler.scaled(values)
    assert scaler.scale > 0
    assert np.allclose(scaler.unscaled(scaled), values, atol=1e-6 * (1 + np.abs(values).max()))
    if scaling == "unit":
        assert (scaled > 0).all()
        assert (scaled <= 1 + 1e-9).all()


@pytest.mark.parametrize(("values", "scale"), [([0.5, 0.94], 1.0), ([10.0, 94.4], 100.0), ([20.0, 400.0], 400.0)])
def test_published_scaling(values: list[float], scale: float) -> None:
    assert TargetScaler.of(values, "unit") == TargetScaler(0.0, scale)


def test_positive_targets_can_be_left_alone() -> None:
    assert TargetScaler.of([3.0, 250.0], "none") == TargetScaler(0.0, 1.0)
    assert TargetScaler.of([2.0, 200.0], "geometric").scaled([20.0]).tolist() == pytest.approx([1.0])
    assert (TargetScaler.of([-3.0, 250.0], "none").scaled([-3.0, 250.0]) > 0).all()


@given(numbers, numbers)
@example([0.0, 2.225073858507203e-309], [0.0, 1.0])
def test_a_monotone_map_is_increasing_and_finite(x: list[float], y: list[float]) -> None:
    count = min(len(x), len(y))
    curve = MonotoneMap.between(x[:count], y[:count])
    grid = np.linspace(min(x) - 10, max(x) + 10, 50)
    mapped = curve(grid)
    assert np.isfinite(mapped).all()
    assert (np.diff(mapped) >= -1e-6 * (1 + np.abs(y).max())).all()


def test_a_monotone_map_keeps_ranks_where_targets_are_equal() -> None:
    scores = np.linspace(-1, 1, 40)
    targets = np.r_[np.full(20, 10.0), np.linspace(80, 94, 20)]
    mapped = MonotoneMap.between(scores, targets)(scores)
    assert (np.diff(mapped) > 0).all()
    assert np.median(np.abs(mapped - targets)) < 0.1


def test_members_count_alike_whatever_their_scale() -> None:
    targets = np.array([1.0, 2.0, 3.0, 4.0])
    scores = np.stack([targets, 1000 * targets, -500 + 0.01 * targets])
    assert np.allclose(ScoreMap.of(scores, targets)(scores), targets, atol=0.01)
    assert np.allclose(ScoreMap.identity(2)(np.array([[1.0, 2.0], [3.0, 4.0]])), [2.0, 3.0])


def test_normal_scores_share_ties() -> None:
    scores = normal_scores([5.0, 1.0, 5.0, 9.0])
    assert scores[0] == scores[2]
    assert scores.argmax() == 3


def test_some_count_for_more() -> None:
    scores = np.random.default_rng(0).normal(size=(2, 50))
    targets = scores.sum(axis=0)
    once, twice = ScoreMap.of(scores, targets), ScoreMap.of(scores, targets, votes=[1, 2])
    weighted = scores[0] / scores[0].std() + 2 * scores[1] / scores[1].std()
    assert (twice(scores).argsort() == weighted.argsort()).all()
    assert (once(scores).argsort() != weighted.argsort()).any()


def test_nearly_equal_scores_do_not_blow_up_rounding() -> None:
    curve = MonotoneMap.between([0.0, 1e-7, 0.5, 1.0], [90.0, 93.0, 94.0, 95.0])
    assert curve(1e-7) - curve(0.0) < 1e-5
    assert np.all(np.diff(curve(np.linspace(-1, 2, 50))) > 0)
