"""Optuna's own tests of samplers, where this version of Optuna ships them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nasx.optuna import PredictorSampler
from nasx.predictors import make_predictor
from nasx.search_spaces import get_search_space

suite = pytest.importorskip("optuna.testing.pytest_samplers", reason="this Optuna does not ship its sampler tests")


class TestPredictorSampler(
    suite.BasicSamplerTestCase, suite.RelativeSamplerTestCase, suite.MultiObjectiveSamplerTestCase
):
    """The sampler proposes cells all along, beside the parameters of Optuna's objectives."""

    @pytest.fixture
    def sampler(self) -> Callable[[], PredictorSampler]:
        space, trees = get_search_space("nasbench201"), make_predictor("trees", trees=5)
        return lambda: PredictorSampler(
            space, predictor=trees, strategy="random", n_startup_trials=2, refit_every=3, candidates=50
        )
