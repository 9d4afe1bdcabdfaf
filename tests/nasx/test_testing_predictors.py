"""The conformance test of predictors: what it says of the mistakes authors make."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nasx.predictors.baselines import FeatureBaseline
from nasx.testing import check_predictor


class Linear(FeatureBaseline):
    def __init__(self, strength: float = 1.0, seed: int = 0, direction: Any = "maximize") -> None:
        self.strength, self.seed, self.direction = strength, seed, direction

    def _make_regressor(self) -> Any:
        return make_pipeline(StandardScaler(), Ridge(self.strength))


class Unseeded(Linear):
    def __init__(self, strength: float = 1.0) -> None:
        super().__init__(strength)


class Renamed(Linear):
    def __init__(self, alpha: float = 1.0, seed: int = 0, direction: Any = "maximize") -> None:
        super().__init__(alpha, seed, direction)


class Nothing(Linear):
    def _make_regressor(self) -> Any:
        return None


class Silent(Linear):
    def fit(self, *arguments: Any, **options: Any) -> Any:
        super().fit(*arguments, **options)


class Upside(Linear):
    def predict(self, graphs: Any) -> Any:
        return -super().predict(graphs)


class Listed(Linear):
    def predict(self, graphs: Any) -> Any:
        return super().predict(graphs).tolist()


class Small(Linear):
    def predict(self, graphs: Any) -> Any:
        return super().predict(graphs) / 1000


@pytest.mark.parametrize(
    ("predictor", "message"),
    [
        (Unseeded(), r"the constructor must take seed and direction; write Unseeded.__init__\(self, ..., seed=0"),
        (Renamed(), "the constructor of Renamed must keep 'alpha' under the same name: self.alpha = alpha"),
        (Nothing(), "fit of Nothing raised AttributeError: 'NoneType'"),
        (Silent(), "fit must return the predictor itself"),
        (Upside(), "predictions fall where targets rise"),
        (Listed(), "predict must give a numpy array; it gives a list"),
        (Small(), r"predictions run from .* to .*, targets from .*; predict on the scale of the targets"),
        (Linear, r"takes a predictor, not its class; call it: Linear\(\)"),
        (Ridge(), r"a predictor is an object of a subclass of Predictor; got Ridge\(\)"),
    ],
)
def test_mistakes_are_one_sentence(predictor: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_predictor(predictor)


def test_a_right_one_passes() -> None:
    check_predictor(Linear())
