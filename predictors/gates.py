"""GATES: information flows from the input along the edges, and each operation gates what passes through it.

X. Ning, Y. Zheng, T. Zhao, Y. Wang, H. Yang: "A Generic Graph-based Neural Architecture Encoding Scheme for
Predictor-based NAS", ECCV 2020 (github.com/thu-nics/aw_nas), its form with operations on the nodes.

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
from nasx.predictors.layers import Embedding, Linear, lecun_initialisation
from nasx.predictors.preset_predictor import PresetPredictor


@dataclass(frozen=True, kw_only=True)
class GATESConfig(TorchConfig):
    """The network and its training; the defaults of the network are the published ones for NAS-Bench-101."""

    layers: int = 5
    """Edges that the information gets along: as many as the longest path should be."""
    width: int = 128
    operation_width: int = 48
    """Length of the vector of an operation."""
    readout: Literal["output", "mean"] = "output"
    """Read the information at the output node, or the mean over all nodes but the input."""
    dropout: float = 0.1
    head_width: int = 200


class GATESNetwork(nn.Module):
    """Information flow, readout and head: graphs to scores.

    `H_0` is a learned vector at the input node and zero elsewhere. A layer is
    `H_{l+1} = sigmoid(O W_o + b_o) * (A^T (H_l W_l)) + H_l W_l + b_l`, O being the vectors of the operations, with
    ReLU and dropout between layers.

    >>> network = GATESNetwork(GATESConfig(members=2, layers=2, width=16), operations=3)
    >>> graphs = Inputs(torch.tensor([[[0, 1, 2]]]), torch.ones(1, 1, 3, 3).triu(1), torch.ones(1, 1, 3))
    >>> network(graphs).shape
    torch.Size([2, 1])
    """

    def __init__(self, config: GATESConfig, operations: int) -> None:
        super().__init__()
        self.config = config
        members, width = config.members, config.width
        self.tokens = Embedding(members, operations, config.operation_width)
        self.source = nn.Parameter(torch.randn(members, 1, 1, width))
        self.layers = nn.ModuleList(InformationFlow(config) for _ in range(config.layers))
        self.hidden = Linear(members, width, config.head_width)
        self.last = Linear(members, config.head_width, 1)
        self.dropout = nn.Dropout(config.dropout)
        lecun_initialisation(self)

    def forward(self, graphs: Inputs) -> Tensor:
        """Scores graphs: `(E, B)`."""
        operations = self.tokens(graphs.codes)
        first = torch.zeros_like(graphs.mask)
        first[..., 0] = 1
        h = first.unsqueeze(-1) * self.source
        for k, layer in enumerate(self.layers):
            h = layer(h, operations, graphs.adjacency)
            if k < len(self.layers) - 1:
                h = self.dropout(F.relu(h))
        if self.config.readout == "output":
            read = graphs.mask - F.pad(graphs.mask[..., 1:], (0, 1))  # one at the last node
        else:
            read = graphs.mask - first
        pooled = (h * read.unsqueeze(-1)).sum(2) / read.sum(-1, keepdim=True).clamp_min(1)
        return self.last(self.dropout(F.relu(self.hidden(self.dropout(pooled))))).squeeze(-1)


class InformationFlow(nn.Module):
    """One layer: what arrives from the predecessors is gated by the operation and joins what was there."""

    def __init__(self, config: GATESConfig) -> None:
        super().__init__()
        self.map = Linear(config.members, config.width, config.width, bias=False)
        self.gate = Linear(config.members, config.operation_width, config.width)
        self.bias = nn.Parameter(torch.zeros(config.members, 1, 1, config.width))

    def forward(self, h: Tensor, operations: Tensor, adjacency: Tensor) -> Tensor:
        """Moves information `(E, B, N, d)` one edge on; `operations (E, B, N, d_o)`, `adjacency (., B, N, N)`."""
        mapped = self.map(h)
        return torch.sigmoid(self.gate(operations)) * (adjacency.transpose(-1, -2) @ mapped) + mapped + self.bias


PAPER = GATESConfig(
    losses={"pairwise_hinge": 1.0},
    consistency=0.0,
    target_scaling="standard",
    learning_rate=1e-3,
    warmup=0.0,
    schedule="constant",
    epochs=200,
    batch_size=512,
)
DEFAULT = GATESConfig(
    pruned=True,
    members=3,
    layers=6,
    width=64,
    operation_width=32,
    head_width=64,
    losses={"pairwise_logistic": 1.0},
    consistency=0.0,
    target_scaling="standard",
    optimizer="adamw",
    learning_rate=6e-3,
    weight_decay=0.05,
    schedule="cosine",
    epochs=75,
    min_steps=400,
    max_steps=1000,
    batch_size=128,
)


class GATES(PresetPredictor):
    """GATES (Ning et al., ECCV 2020): information flow gated by operations.

    Presets: "default" (small, quick on a CPU); "paper" (5 layers of 128, pairwise hinge loss; the training settings
    are those of its NAS-Bench-101 script as far as known).

    Args:
        preset: "default" or "paper".
        options: Fields of the preset's configuration to change, for example `{"layers": 8}`.
        loss: A name of `loss_table.LOSS_TABLE`; None is the preset's own.
        as_written: Read the dead parts of cells as well, whatever the options say: for latency and energy.
        seed: Of the initialisation, the order of the graphs and the dropout.
        direction: Which end of the targets is the good one; only losses that favour the top use it.
        device: "auto", "cpu", "cuda" or another name that torch knows.

    >>> from nasx.search_spaces.graph import Graph
    >>> chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    >>> graphs = [Graph(["input", operation, "output"], chain) for operation in ("conv", "pool", "skip")]
    >>> predictor = GATES(options={"width": 8, "min_steps": 100}).fit(graphs, [94.0, 91.0, 90.0])
    >>> [int(rank) for rank in predictor.predict(graphs).argsort()]
    [2, 1, 0]
    """

    presets: ClassVar[Mapping[str, GATESConfig]] = {"default": DEFAULT, "paper": PAPER}

    def _build(self, config: GATESConfig, vocabulary: tuple[str, ...], inputs: Inputs) -> nn.Module:
        return GATESNetwork(config, len(vocabulary))
