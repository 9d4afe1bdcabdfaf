"""BANANAS: an ensemble of small perceptrons that read which paths a cell has.

C. White, W. Neiswanger, Y. Savani: "BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture
Search", AAAI 2021.

Shapes: E ensemble members, B graphs, P paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from nasx.predictors.fitted_network import TorchConfig
from nasx.predictors.inputs import Inputs
from nasx.predictors.layers import Linear, lecun_initialisation
from nasx.predictors.preset_predictor import PresetPredictor
from nasx.search_spaces.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class BANANASConfig(TorchConfig):
    """The network and its training; the defaults of the network are the published ones."""

    members: int = 5
    layers: int = 10
    width: int = 20
    dropout: float = 0.0


class BANANASNetwork(nn.Module):
    """Perceptron over the path encoding: `h_0 = p`, `h_{l+1} = relu(W_l h_l + b_l)`, `score = W h_L + b`.

    `p (B, P)` has a one for every path from the input to the output that the graph has (`features.path_encoding`).

    >>> import torch
    >>> graphs = Inputs(torch.zeros(1, 4, 2), torch.zeros(1, 4, 2, 2), torch.ones(1, 4, 2), None, torch.ones(1, 4, 6))
    >>> BANANASNetwork(BANANASConfig(), paths=6)(graphs).shape
    torch.Size([5, 4])
    """

    def __init__(self, config: BANANASConfig, paths: int) -> None:
        super().__init__()
        widths = [paths] + [config.width] * config.layers
        self.layers = nn.ModuleList(Linear(config.members, *pair) for pair in pairwise(widths))
        self.head = Linear(config.members, config.width, 1)
        self.dropout = nn.Dropout(config.dropout)
        lecun_initialisation(self)

    def forward(self, graphs: Inputs) -> Tensor:
        """Scores graphs: `(E, B)`."""
        assert graphs.summary is not None
        h = graphs.summary.expand(self.head.weight.shape[0], -1, -1)
        for layer in self.layers:
            h = self.dropout(F.relu(layer(h)))
        return self.head(h).squeeze(-1)


PAPER = BANANASConfig(
    pruned=True,
    path_features=True,
    losses={"relative_mae": 1.0},
    consistency=0.0,
    learning_rate=1e-2,
    warmup=0.0,
    schedule="constant",
    epochs=150,
    batch_size=32,
)
DEFAULT = BANANASConfig(
    pruned=True,
    path_features=True,
    layers=3,
    width=64,
    dropout=0.1,
    losses={"pairwise_logistic": 1.0},
    consistency=0.0,
    target_scaling="standard",
    optimizer="adamw",
    learning_rate=3e-3,
    weight_decay=0.1,
    schedule="cosine",
    epochs=75,
    min_steps=200,
    max_steps=1000,
    batch_size=128,
)
FEATURES = BANANASConfig(**{**DEFAULT.__dict__, "summary_features": True})


class BANANAS(PresetPredictor):
    """The predictor of BANANAS (White et al., AAAI 2021): an ensemble of perceptrons over the path encoding.

    Paths are those that the training graphs have; a `none` ends a path and a skip connection adds nothing to it.

    Presets: "default" (3 layers of 64, ranking loss); "features" (the same, and it reads counts, depths and walks
    beside the paths: `features.summary_features`); "paper" (5 networks of 10 layers of 20, relative absolute error with
    the lower bound 0).

    Args:
        preset: "default", "features" or "paper".
        options: Fields of the preset's configuration to change, for example `{"members": 10}`.
        loss: A name of `loss_table.LOSS_TABLE`; None is the preset's own.
        as_written: Read the dead parts of cells as well, whatever the options say: for latency and energy.
        seed: Of the initialisation, the order of the graphs and the dropout.
        direction: Which end of the targets is the good one; only losses that favour the top use it.
        device: "auto", "cpu", "cuda" or another name that torch knows.

    >>> from nasx.search_spaces.graph import Graph
    >>> chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    >>> graphs = [Graph(["input", operation, "output"], chain) for operation in ("conv", "pool", "skip")]
    >>> predictor = BANANAS(options={"min_steps": 100}).fit(graphs, [94.0, 91.0, 90.0])
    >>> [int(rank) for rank in predictor.predict(graphs).argsort()]
    [2, 1, 0]
    """

    presets: ClassVar[Mapping[str, BANANASConfig]] = {"default": DEFAULT, "features": FEATURES, "paper": PAPER}
    reads: ClassVar[frozenset[str]] = frozenset({"summary_features", "path_features"})

    def _build(self, config: BANANASConfig, vocabulary: tuple[str, ...], inputs: Inputs) -> nn.Module:
        if inputs.summary is None:
            raise UsageError("bananas reads paths; leave its option 'path_features' on")
        return BANANASNetwork(config, inputs.summary.shape[-1])
