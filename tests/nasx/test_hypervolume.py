"""Hypervolume against pymoo's, its expected gain against sampling."""

from __future__ import annotations

import numpy as np
import pytest

from nasx.acquisition import expected_improvement
from nasx.hypervolume import expected_gain, free_boxes, hypervolume, hypervolume_curve
from nasx.strategies.dominance import non_dominated


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("steps", [None, 4], ids=["all-different", "many-ties"])
def test_it_is_that_of_pymoo(objectives: int, steps: int | None) -> None:
    indicators = pytest.importorskip("pymoo.indicators.hv", reason="pymoo is the oracle; pip install pymoo")
    for seed in range(5):
        points = np.random.default_rng(seed).random((25, objectives))
        points = np.round(points * steps) / steps if steps else points
        reference = np.full(objectives, 0.9)
        assert hypervolume(points, reference) == pytest.approx(float(indicators.HV(ref_point=reference)(points)))


def test_what_is_missing_or_beyond_the_reference_adds_nothing() -> None:
    assert hypervolume([[np.nan, 0.0], [2.0, 0.0], [1.0, 0.0]], [1.0, 1.0]) == 0.0
    assert hypervolume(np.zeros((0, 2)), [1.0, 1.0]) == 0.0


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_the_curve_ends_at_the_hypervolume_and_never_falls(objectives: int) -> None:
    points = np.random.default_rng(0).random((40, objectives))
    points[7] = np.nan
    reference = np.full(objectives, 0.8)
    curve = hypervolume_curve(points, reference)
    assert (np.diff(curve) >= 0).all()
    assert [curve[9], curve[-1]] == pytest.approx([hypervolume(points[:10], reference), hypervolume(points, reference)])


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_boxes_are_disjoint_and_fill_what_is_free(objectives: int) -> None:
    rng = np.random.default_rng(1)
    points = np.round(rng.random((15, objectives)) * 10) / 10
    reference = np.ones(objectives)
    lower, upper = free_boxes(points[non_dominated(points)], reference)
    probes = rng.random((2000, objectives))
    inside = ((lower <= probes[:, None]) & (probes[:, None] < upper)).all(axis=2).sum(axis=1)
    dominated = (points[None, :] <= probes[:, None]).all(axis=2).any(axis=1)
    assert (inside == ~dominated).all()


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_a_certain_gain_is_the_difference_of_hypervolumes(objectives: int) -> None:
    rng = np.random.default_rng(2)
    points, candidates = rng.random((8, objectives)), rng.random((30, objectives)) * 1.2
    reference = np.ones(objectives)
    front = points[non_dominated(points)]
    gains = expected_gain(candidates, np.zeros_like(candidates), free_boxes(front, reference))
    before = hypervolume(front, reference)
    expected = [hypervolume(np.vstack([front, candidate]), reference) - before for candidate in candidates]
    np.testing.assert_allclose(gains, expected, atol=1e-12)


@pytest.mark.parametrize("objectives", [2, 3])
def test_the_expected_gain_is_the_mean_over_samples(objectives: int) -> None:
    rng = np.random.default_rng(3)
    points, reference = rng.random((6, objectives)), np.ones(objectives)
    boxes = free_boxes(points[non_dominated(points)], reference)
    values, deviations = rng.random((5, objectives)), rng.random((5, objectives)) * 0.4
    deviations[0, 0] = 0.0
    samples = values + deviations * rng.standard_normal((40_000, 5, objectives))
    flat = samples.reshape(-1, objectives)
    gains = expected_gain(flat, np.zeros_like(flat), boxes).reshape(-1, 5)
    error = gains.std(axis=0) / 200
    assert (np.abs(expected_gain(values, deviations, boxes) - gains.mean(axis=0)) < 4 * error + 1e-9).all()


def test_with_one_objective_it_is_the_expected_improvement() -> None:
    values, deviations = np.array([[0.2], [0.9]]), np.array([[0.3], [0.1]])
    gains = expected_gain(values, deviations, free_boxes(np.array([[0.5]]), np.array([1.0])))
    np.testing.assert_allclose(gains, expected_improvement(0.5 - values[:, 0], deviations[:, 0]))
