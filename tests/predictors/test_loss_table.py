from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from nasx.predictors import available_losses, make_predictor
from nasx.predictors.fitted_network import TorchConfig
from nasx.predictors.loss_table import LOSS_TABLE, with_loss
from nasx.predictors.losses import LOSSES
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import UsageError


def test_recipes_are_made_of_losses_that_exist() -> None:
    for name, recipe in LOSS_TABLE.items():
        assert set(recipe.terms) <= set(LOSSES), name
        assert recipe.line
    assert dict(available_losses()) == {name: recipe.line for name, recipe in LOSS_TABLE.items()}
    assert set(LOSSES) - {"sr"} <= set(LOSS_TABLE)  # sequence ranking alone does not fix the level of the scores


def test_published_losses() -> None:
    v2 = with_loss(TorchConfig(target_scaling="standard", consistency=0.0), "nar_former")
    assert (v2.losses, v2.consistency, v2.copies) == ({"relative_mse": 1.0, "sr": 0.1}, 0.5, "reordered")
    assert v2.target_scaling == "unit"  # a relative error needs positive targets
    nn = with_loss(TorchConfig(), "nn-former")
    assert (nn.losses, nn.consistency, nn.copies) == ({"mse": 1.0, "sr": 0.2}, 1.0, "same")


def test_no_loss_changes_nothing_and_another_leaves_the_rest() -> None:
    config = TorchConfig(target_scaling="standard", epochs=7)
    assert with_loss(config, None) is config
    changed = with_loss(config, "rank-mse")
    assert (changed.losses, changed.consistency) == ({"rank_mse": 1.0}, 0.0)
    assert (changed.target_scaling, changed.epochs) == ("standard", 7)


@pytest.mark.parametrize(("alias", "name"), [("ranknet", "pairwise_logistic"), ("hinge", "pairwise_hinge")])
def test_aliases(alias: str, name: str) -> None:
    assert with_loss(TorchConfig(), alias) == with_loss(TorchConfig(), name)


def test_unknown_losses_are_explained() -> None:
    with pytest.raises(UsageError, match="did you mean 'approx_ndcg'"):
        with_loss(TorchConfig(), "aprox_ndcg")


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSS_TABLE)
def test_a_predictor_learns_with_every_loss(loss: str, graphs: GraphBatch, targets: np.ndarray) -> None:
    options = {"members": 1, "width": 16, "min_steps": 300, "epochs": 1, "batch_size": 12, "learning_rate": 0.01}
    predictor = make_predictor("nnlp", loss=loss, options=options)
    predictions = predictor.fit(graphs, targets).predict(graphs)
    assert kendalltau(predictions, targets).statistic > 0.5
    assert abs(np.median(predictions) - np.median(targets)) < 4
    assert torch.isfinite(torch.tensor(predictions)).all()
