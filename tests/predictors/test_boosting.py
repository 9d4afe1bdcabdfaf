from __future__ import annotations

import sys

import numpy as np
import pytest

from nasx.predictors import make_predictor
from nasx.predictors.boosting import LightGBM, XGBoost
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import UsageError
from nasx.testing import check_predictor


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_a_missing_package_is_explained_in_one_line(
    name: str, graphs: GraphBatch, targets: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    predictor = make_predictor(name)
    with pytest.raises(UsageError, match=f"type: pip install {name}") as error:
        predictor.fit(graphs, targets)
    assert "\n" not in str(error.value)
    assert not predictor.fitted


def test_lightgbm_keeps_the_contract() -> None:
    pytest.importorskip("lightgbm")
    check_predictor(LightGBM(trees=50))


def test_xgboost_keeps_the_contract() -> None:
    pytest.importorskip("xgboost")
    check_predictor(XGBoost(trees=50))
