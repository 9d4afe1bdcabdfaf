"""Simulations in which the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nasx.metrics import kendall_tau
from nasx.noise_estimates import MOST_ROWS, ceiling_of, from_repeats, from_twins, normal_correlation, tau_of


def qualities(n: int, rng: np.random.Generator, kind: str) -> np.ndarray:
    """Expected values: normal, or crowded at the top with a long tail below, as accuracies are."""
    return rng.normal(size=n) if kind == "normal" else 94 - 6 * rng.gamma(1.5, size=n)


def spread(quality: np.ndarray, kind: str) -> np.ndarray:
    """Deviation of one run: the same everywhere, or larger where architectures are worse."""
    return np.full(len(quality), 0.3) if kind == "normal" else 0.2 + 0.08 * (94 - quality)


@pytest.mark.parametrize("kind", ["normal", "accuracies"])
@pytest.mark.parametrize("missing", [False, True])
def test_repeats_find_the_tau_of_a_perfect_predictor(kind: str, missing: bool) -> None:
    rng = np.random.default_rng(0)
    quality = qualities(6000, rng, kind)
    runs = quality + spread(quality, kind) * rng.normal(size=(3, 6000))
    if missing:
        runs[2, rng.permutation(6000)[:3000]] = np.nan
    mean = np.nanmean(runs, axis=0)
    averaged = from_repeats(list(runs))
    assert averaged is not None
    assert averaged.tau == pytest.approx(kendall_tau(quality, mean), abs=0.008)
    assert averaged.low < averaged.tau < averaged.high
    assert averaged.runs == pytest.approx(1 / np.mean([1 / 3, 1 / 2]) if missing else 3)
    single = from_repeats(list(runs), runs[0])
    assert single is not None
    assert single.tau == pytest.approx(kendall_tau(quality, runs[0]), abs=0.008)
    assert single.runs == 1
    # Neither of the numbers a reader might take for the ceiling is it.
    assert averaged.agreement < single.tau < averaged.tau


@pytest.mark.parametrize("kind", ["normal", "accuracies"])
def test_twins_find_the_tau_of_a_perfect_predictor(kind: str) -> None:
    rng = np.random.default_rng(1)
    classes = 4000
    sizes = np.where(rng.random(classes) < 0.3, rng.integers(2, 6, size=classes), 1)
    groups = np.repeat(np.arange(classes), sizes)
    quality = qualities(classes, rng, kind)[groups]
    labels = quality + spread(quality, kind) * rng.normal(size=len(quality))
    labels[::50] = np.nan
    known = ~np.isnan(labels)
    estimate = from_twins(labels, groups)
    assert estimate is not None
    truth = kendall_tau(quality[known], labels[known])
    assert estimate.tau == pytest.approx(truth, abs=0.01)
    assert estimate.low - 0.005 < truth < estimate.high + 0.005
    assert estimate.agreement < estimate.leave_one_out < estimate.tau
    assert estimate == from_twins(labels, groups)


def test_twins_carry_their_noise_to_architectures_unlike_them() -> None:
    rng = np.random.default_rng(2)
    quality = np.sort(rng.normal(size=4000))
    has_twin = rng.random(4000) < np.linspace(0.8, 0.05, 4000)
    groups = np.repeat(np.arange(4000), np.where(has_twin, 2, 1))
    values = quality[groups]
    labels = values + 0.1 * np.exp(-values / 2) * rng.normal(size=len(values))
    estimate = from_twins(labels, groups)
    assert estimate is not None
    assert estimate.tau == pytest.approx(kendall_tau(values, labels), abs=0.015)


def test_random_classes_stand_for_a_large_table() -> None:
    rng = np.random.default_rng(4)
    groups = rng.permutation(np.arange(3 * MOST_ROWS) * 2 // 3)
    quality = rng.normal(size=3 * MOST_ROWS)[groups]
    labels = quality + 0.2 * rng.normal(size=len(quality))
    estimate = from_twins(labels, groups)
    assert estimate is not None
    assert estimate.rows < MOST_ROWS
    assert estimate.tau == pytest.approx(kendall_tau(quality, labels), abs=0.01)


def test_labels_without_noise_have_no_ceiling_below_one() -> None:
    quality = np.arange(300.0)
    repeats, twins = from_repeats([quality, quality]), from_twins(np.repeat(quality, 2), np.repeat(np.arange(300), 2))
    assert repeats is not None
    assert twins is not None
    assert repeats.tau == pytest.approx(1)
    assert twins.tau == pytest.approx(1)


def test_too_little_evidence_gives_no_estimate() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=400)
    assert from_repeats([values]) is None
    assert from_repeats([values[:50], values[:50] + 1]) is None
    assert from_repeats([values, np.full(400, np.nan)]) is None
    assert from_repeats([values, -values]) is None
    assert from_twins(values, np.arange(400)) is None
    assert from_twins(np.ones(400), np.arange(400) // 2) is None
    assert from_twins(np.where(np.arange(400) % 2, values, -np.roll(values, -1)), np.arange(400) // 2) is None
    assert from_twins(np.full(400, np.nan), np.arange(400)) is None


def test_the_formulas() -> None:
    for tau in (-0.5, 0.0, 0.3, 0.91, 1.0):
        assert tau_of(normal_correlation(tau)) == pytest.approx(tau)
    assert ceiling_of(1.0) == 1.0
    assert ceiling_of(0.0) == ceiling_of(-0.2) == 0.0
    assert math.isnan(ceiling_of(math.nan))
    assert ceiling_of(0.9) < ceiling_of(0.9, 2) < ceiling_of(0.9, 3) < 1
    # The distribution-free limit: the share of misordered pairs falls by sqrt(2), and by sqrt(k) for k runs.
    assert 1 - ceiling_of(0.99, 3) == pytest.approx(0.01 / math.sqrt(6), rel=0.01)
