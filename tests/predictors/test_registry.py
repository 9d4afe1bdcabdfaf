from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

import nasx.predictors
from nasx.predictors import PREDICTORS, available, make_predictor
from nasx.predictors.base import Predictor
from nasx.predictors.presets import PRESETS
from nasx.search_spaces.errors import UsageError


@pytest.mark.parametrize("name", PREDICTORS)
def test_every_registered_predictor_can_be_made(name: str) -> None:
    predictor = make_predictor(name, seed=3, direction="minimize")
    assert isinstance(predictor, Predictor)
    assert predictor.get_params()["seed"] == 3
    assert dict(available())[name]
    assert getattr(nasx.predictors, type(predictor).__name__) is type(predictor)


def test_presets_and_aliases() -> None:
    assert make_predictor("nar-former-v2:paper").get_params()["preset"] == "paper"
    assert make_predictor("nar-former-v2-paper").get_params()["preset"] == "paper"
    assert type(make_predictor("random-forest")) is type(make_predictor("trees"))


@pytest.mark.parametrize("name", [name for name, entry in PREDICTORS.items() if not entry.params])
def test_every_preset_is_listed(name: str) -> None:
    presets = PRESETS if name == "nar-former-v2" else getattr(make_predictor(name), "presets", {})
    line = dict(available())[name]
    assert [preset for preset in presets if preset != "default" and f":{preset}" not in line] == []


def test_settings_follow_a_name() -> None:
    predictor = make_predictor("nn-former:paper,epochs=3,siblings=graph,special_tokens=false,device=cpu")
    assert predictor.get_params()["options"] == {"epochs": 3, "siblings": "graph", "special_tokens": False}
    assert predictor.get_params()["device"] == "cpu"
    assert make_predictor("random-forest,trees=7").get_params()["trees"] == 7
    assert make_predictor("nasx.predictors.baselines:TreeEnsemble,trees=8").get_params()["trees"] == 8


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("nar-former", {}, "did you mean 'nar-former-v2'"),
        ("trees:paper", {}, "no presets"),
        ("trees", {"tree": 3}, "did you mean 'trees'"),
        ("nar-former-v2:papre", {}, "did you mean 'paper'"),
        ("nar-former-v2", {"options": {"epoch": 3}}, "did you mean 'epochs'"),
        ("nar-former-v2", {"options": {"epochs": "many"}}, "of another kind"),
        ("nar-former-v2", {"options": {"epochs": 0}}, "at least 1"),
        ("nar-former-v2", {"options": {"pruned": 1}}, "of another kind"),
        ("nar-former-v2", {"options": {"schedule": "cosinus"}}, "did you mean 'cosine'"),
        ("nar-former-v2", {"options": {"losses": {"listmle": 1.0}}}, "did you mean 'list_mle'"),
        ("nar-former-v2", {"device": "abacus"}, "not available"),
        ("nar-former-v2:paper,epoch=3", {}, "did you mean 'epochs'"),
        ("nar-former-v2,fast", {}, "write name,field=value"),
        ("trees,tree=3", {}, "did you mean 'trees'"),
        ("trees,trees=0", {}, "'trees' of TreeEnsemble must be at least 1; got 0"),
        ("trees,trees=many", {}, "is 200 by default; 'many' is of another kind"),
        ("kind-costs,trees=-1", {}, "'trees' of KindCosts must be at least 0"),
        ("trees,max_features=1.5", {}, "max_features is a share"),
        ("trees,seed=-1", {}, "'seed' of TreeEnsemble must be at least 0"),
        ("nar-former-v2,options=3", {}, "'options' of NARFormerV2 is None by default; 3 is of another kind"),
        ("nar-former-v2,learning_rate=-1", {}, "'learning_rate' must be at least 0"),
        ("nar-former-v2", {"options": {"learning_rate": math.nan}}, "'learning_rate' must be finite"),
        ("nar-former-v2,dropout=1", {}, "must be below 1"),
        ("nar-former-v2", {"options": {"losses": {}}}, "'losses' is empty"),
        ("nar-former-v2", {"options": {"losses": {"sr": "much"}}}, "weight of loss 'sr'"),
    ],
)
def test_wrong_names_are_explained(name: str, params: dict[str, object], message: str, graphs, targets) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=message):
        make_predictor(name, **params).fit(graphs, targets)


def test_a_share_of_one_is_all_features(graphs, targets) -> None:  # type: ignore[no-untyped-def]
    whole, share = (make_predictor("trees", trees=5, max_features=one).fit(graphs, targets) for one in (1, 1.0))
    assert np.array_equal(whole.predict(graphs), share.predict(graphs))


def test_importing_the_registry_is_light() -> None:
    code = "import sys, nasx.predictors as p; p.available(); print({'torch', 'sklearn', 'scipy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
