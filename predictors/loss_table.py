"""The losses a torch predictor can be trained with, by name: what `loss=` accepts.

>>> [name for name in LOSS_TABLE if "mse" in name]
['mse', 'relative_mse', 'rank_mse']
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nasx.search_spaces.errors import unknown


@dataclass(frozen=True)
class Recipe:
    """What a loss changes in a training configuration."""

    line: str
    """What it is, in one line."""
    terms: Mapping[str, float]
    """Weights of the terms (names of `losses.LOSSES`) that are added."""
    consistency: float = 0.0
    """Weight of the architecture-consistency term."""
    copies: str | None = None
    """What the consistency term compares a graph with; None leaves it as it is."""
    target_scaling: str | None = None
    """How targets are scaled where they were standardised before; None leaves that as it is."""


LOSS_TABLE: dict[str, Recipe] = {
    "mse": Recipe("mean squared error", {"mse": 1.0}),
    "relative_mse": Recipe("mean squared relative error", {"relative_mse": 1.0}, target_scaling="unit"),
    "relative_mae": Recipe(
        "mean absolute relative error (BANANAS, White et al. 2021)", {"relative_mae": 1.0}, target_scaling="unit"
    ),
    "relative_log": Recipe(
        "Huber loss of the logarithm of the ratio, for latencies", {"relative_log": 1.0}, target_scaling="unit"
    ),
    "rank_mse": Recipe("mean squared error on the ranks of the targets", {"rank_mse": 1.0}),
    "pairwise_logistic": Recipe("RankNet: logistic loss of each pair (Burges et al. 2005)", {"pairwise_logistic": 1.0}),
    "pairwise_hinge": Recipe("hinge loss of each pair (GATES, Ning et al. 2020)", {"pairwise_hinge": 1.0}),
    "list_mle": Recipe("ListMLE: likelihood of the whole order (Xia et al. 2008)", {"list_mle": 1.0}),
    "approx_ndcg": Recipe("smooth NDCG: the top of the order counts most (Qin et al. 2010)", {"approx_ndcg": 1.0}),
    "top_heavy": Recipe("RankNet with pairs weighed by the rank of the better one", {"top_heavy": 1.0}),
    "nar_former": Recipe(
        "relative MSE + 0.1 sequence ranking + 0.5 architecture consistency (NAR-Former V2)",
        {"relative_mse": 1.0, "sr": 0.1},
        consistency=0.5,
        copies="reordered",
        target_scaling="unit",
    ),
    "nn_former": Recipe(
        "MSE + 0.2 sequence ranking + consistency between two dropouts (NN-Former)",
        {"mse": 1.0, "sr": 0.2},
        consistency=1.0,
        copies="same",
        target_scaling="unit",
    ),
}
"""Every loss by name."""

ALIASES = {"ranknet": "pairwise_logistic", "hinge": "pairwise_hinge", "listmle": "list_mle"}


def find_loss(loss: str) -> str:
    """The name of a loss in the table, from any of its spellings.

    Raises:
        UsageError: If there is no such loss.

    >>> find_loss("RankNet"), find_loss("list-mle")
    ('pairwise_logistic', 'list_mle')
    """
    name = str(loss).lower().replace("-", "_")
    name = ALIASES.get(name, name)
    if name not in LOSS_TABLE:
        raise unknown("loss", loss, [*LOSS_TABLE, *ALIASES])
    return name


def with_loss(config: Any, loss: str | None) -> Any:
    """A training configuration with another loss; None leaves it as it is.

    Raises:
        UsageError: If there is no such loss.

    >>> from nasx.predictors.fitted_network import TorchConfig
    >>> with_loss(TorchConfig(), "ranknet").losses
    {'pairwise_logistic': 1.0}
    """
    if loss is None:
        return config
    recipe = LOSS_TABLE[find_loss(loss)]
    changes: dict[str, Any] = {"losses": dict(recipe.terms), "consistency": recipe.consistency}
    if recipe.copies is not None:
        changes["copies"] = recipe.copies
    if recipe.target_scaling is not None and config.target_scaling == "standard":
        changes["target_scaling"] = recipe.target_scaling
    return dataclasses.replace(config, **changes)
