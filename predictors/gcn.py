"""Graph convolutional networks as predictors: BRP-NAS and the Neural Predictor.

L. Dudziak et al.: "BRP-NAS: Prediction-based NAS using GCNs", NeurIPS 2020 (github.com/SamsungLabs/eagle).
W. Wen et al.: "Neural Predictor for Neural Architecture Search", ECCV 2020.

Shapes: E ensemble members, B graphs, N nodes, d channels. A is the directed adjacency, A_ij = 1 for i -> j.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasx.predictors.fitted_network import TorchConfig
from nasx.predictors.inputs import Inputs
from nasx.predictors.layers import Embedding, LayerNorm, Linear, lecun_initialisation
from nasx.predictors.preset_predictor import PresetPredictor


@dataclass(frozen=True, kw_only=True)
class GCNConfig(TorchConfig):
    """The network and its training; the defaults of the network are those of BRP-NAS."""

    layers: int = 4
    width: int = 600
    directions: Literal["forward", "both"] = "forward"
    """Sum over successors (BRP-NAS), or average what comes from successors and from predecessors (Neural Predictor)."""
    normalised: bool = False
    """Divide sums over neighbours by their number (Neural Predictor)."""
    layer_norm: bool = True
    """Layer norm before the ReLU (released BRP-NAS)."""
    readout: Literal["global", "mean"] = "global"
    """Read a global node that looks at all others, and that none looks at, or the mean of the nodes."""
    dropout: float = 0.2
    head_width: int = 0
    """Width of a hidden layer before the output; 0: none."""


class GCNNetwork(nn.Module):
    """Graph convolutions, readout, a linear output: graphs to scores.

    `H_0` is a learned vector an operation, `H_{l+1} = dropout(relu(LN((A + I) H_l W_l + b_l)))`; in both directions
    `1/2 relu(A_n H W_l^+) + 1/2 relu(A_n^T H W_l^-)`, A_n being A + I with rows divided by their sums.

    >>> network = GCNNetwork(GCNConfig(members=2, layers=2, width=16), operations=3)
    >>> graphs = Inputs(torch.tensor([[[0, 1, 2]]]), torch.ones(1, 1, 3, 3).triu(1), torch.ones(1, 1, 3))
    >>> network(graphs).shape
    torch.Size([2, 1])
    """

    def __init__(self, config: GCNConfig, operations: int) -> None:
        super().__init__()
        self.config = config
        members, width = config.members, config.width
        self.tokens = Embedding(members, operations, width)
        self.global_token = nn.Parameter(torch.randn(members, 1, 1, width))
        self.layers = nn.ModuleList(GraphConvolution(config) for _ in range(config.layers))
        self.hidden = Linear(members, width, config.head_width) if config.head_width else None
        self.head = Linear(members, config.head_width or width, 1)
        self.dropout = nn.Dropout(config.dropout)
        lecun_initialisation(self)

    def forward(self, graphs: Inputs) -> Tensor:
        """Scores graphs: `(E, B)`."""
        h, adjacency, mask = self.tokens(graphs.codes), graphs.adjacency, graphs.mask
        if self.config.readout == "global":
            h = torch.cat([self.global_token.expand(-1, h.shape[1], -1, -1), h], dim=2)
            adjacency = F.pad(adjacency, (1, 0, 1, 0))
            adjacency[..., 0, 1:] = mask
        for layer in self.layers:
            h = self.dropout(layer(h, adjacency))
        if self.config.readout == "global":
            pooled = h[:, :, 0]
        else:
            pooled = (h * mask.unsqueeze(-1)).sum(2) / mask.sum(-1, keepdim=True)
        if self.hidden is not None:
            pooled = self.dropout(F.relu(self.hidden(pooled)))
        return self.head(pooled).squeeze(-1)


class GraphConvolution(nn.Module):
    """One layer: sums over a node and its neighbours, a linear map, layer norm, ReLU."""

    def __init__(self, config: GCNConfig) -> None:
        super().__init__()
        self.normalised = config.normalised
        width, ways = config.width, 2 if config.directions == "both" else 1
        self.maps = nn.ModuleList(Linear(config.members, width, width) for _ in range(ways))
        self.norms = nn.ModuleList(LayerNorm(config.members, width) for _ in range(ways if config.layer_norm else 0))

    def forward(self, h: Tensor, adjacency: Tensor) -> Tensor:
        """Maps nodes `(E, B, N, d)` along `adjacency (., B, N, N)`."""
        own = torch.eye(adjacency.shape[-1], dtype=adjacency.dtype, device=adjacency.device)
        outputs = []
        for k, linear in enumerate(self.maps):
            weights = (adjacency if k == 0 else adjacency.transpose(-1, -2)) + own
            if self.normalised:
                weights = weights / weights.sum(-1, keepdim=True)
            y = linear(weights @ h)
            outputs.append(F.relu(self.norms[k](y) if len(self.norms) else y))
        return torch.stack(outputs).mean(0)


BRP_NAS = GCNConfig(
    losses={"mse": 1.0},
    consistency=0.0,
    target_scaling="standard",
    optimizer="adamw",
    learning_rate=3.5e-4,
    weight_decay=5e-4,
    warmup=0.0,
    schedule="cosine",
    epochs=250,
    batch_size=10,
)
NEURAL_PREDICTOR = GCNConfig(
    layers=3,
    width=144,
    directions="both",
    normalised=True,
    layer_norm=False,
    readout="mean",
    dropout=0.1,
    head_width=128,
    losses={"mse": 1.0},
    consistency=0.0,
    target_scaling="standard",
    optimizer="adamw",
    learning_rate=2e-4,
    weight_decay=1e-3,
    warmup=0.0,
    schedule="cosine",
    epochs=300,
    batch_size=10,
)
DEFAULT = GCNConfig(
    pruned=True,
    members=3,
    layers=4,
    width=64,
    directions="both",
    readout="mean",
    dropout=0.05,
    losses={"pairwise_logistic": 1.0},
    consistency=0.0,
    target_scaling="standard",
    optimizer="adamw",
    learning_rate=5e-3,
    weight_decay=0.05,
    schedule="cosine",
    epochs=75,
    min_steps=200,
    max_steps=1000,
    batch_size=128,
)


class GCN(PresetPredictor):
    """Graph convolutional network (BRP-NAS, Neural Predictor).

    Presets: "default" (small, both directions, ranking loss); "paper" (BRP-NAS: 4 layers of 600, a global node);
    "neural-predictor" (3 layers of 144, both directions). The weight decay of the published ones is decoupled here.

    Args:
        preset: "default", "paper" or "neural-predictor".
        options: Fields of the preset's configuration to change, for example `{"layers": 6}`.
        loss: A name of `loss_table.LOSS_TABLE`; None is the preset's own.
        as_written: Read the dead parts of cells as well, whatever the options say: for latency and energy.
        seed: Of the initialisation, the order of the graphs and the dropout.
        direction: Which end of the targets is the good one; only losses that favour the top use it.
        device: "auto", "cpu", "cuda" or another name that torch knows.

    >>> from nasx.search_spaces.graph import Graph
    >>> chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    >>> graphs = [Graph(["input", operation, "output"], chain) for operation in ("conv", "pool", "skip")]
    >>> predictor = GCN(options={"width": 8, "min_steps": 60}).fit(graphs, [94.0, 91.0, 90.0])
    >>> [int(rank) for rank in predictor.predict(graphs).argsort()]
    [2, 1, 0]
    """

    presets: ClassVar[Mapping[str, GCNConfig]] = {
        "default": DEFAULT,
        "paper": BRP_NAS,
        "neural-predictor": NEURAL_PREDICTOR,
    }

    def _build(self, config: GCNConfig, vocabulary: tuple[str, ...], inputs: Inputs) -> nn.Module:
        return GCNNetwork(config, len(vocabulary))
