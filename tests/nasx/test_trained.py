from __future__ import annotations

import numpy as np
import pytest

import nasx
from nasx.metrics import kendall_tau
from nasx.search_spaces.errors import UsageError
from nasx.trained import FOLDER, load_predictor, model_card, trained_predictors

NAMES = [name for name, _ in trained_predictors()]


@pytest.mark.parametrize("name", NAMES)
def test_files_are_small_and_the_card_is_whole(name: str) -> None:
    size = sum(path.stat().st_size for path in (FOLDER / name).iterdir())
    assert size < 5_000_000
    card = model_card(name)
    assert {"data", "data_licence", "licence", "split", "command", "versions", "predicts"} <= card.keys()
    assert 0 < card["kendall_tau"] < 1
    assert f"tau {card['kendall_tau']:.3f}" in card["line"]


@pytest.mark.parametrize("name", NAMES)
def test_the_card_tells_the_truth(name: str) -> None:
    card, predictor = model_card(name), load_predictor(name)
    dataset = name.rsplit("-", 2)[1]
    bench = nasx.load_benchmark(card["space"], dataset=dataset)
    unseen = np.random.default_rng(0).permutation(len(bench))[card["training_cells"] :][:1000]
    tau = kendall_tau(predictor.predict(bench.graphs(unseen)), bench.values(metric=bench.rank_against)[unseen])
    assert tau == pytest.approx(card["kendall_tau"], abs=0.03)


def test_both_embedded_benchmarks_have_one() -> None:
    assert {model_card(name)["space"] for name in NAMES} == {"nasbench201", "nasbench-graph"}


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(UsageError, match="'nar-former-v2/nasbench301'; known: nar-former-v2/"):
        load_predictor("nar-former-v2/nasbench301")
    with pytest.raises(UsageError, match="unknown fitted predictor"):
        model_card("trees")
