"""TNASP: a plain Transformer that knows the graph through its Laplacian.

S. Lu et al.: "TNASP: A Transformer-based NAS Predictor with a Self-evolution Framework", NeurIPS 2021. The sizes and
the training are those of its authors' next release (PINAT, github.com/ShunLu91/PINAT); the self-evolution is left out.

Shapes: E ensemble members, B graphs, N nodes, d channels. A is the directed adjacency, A_ij = 1 for i -> j.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasx.predictors.attention import FeedForward, MultiHeadAttention, real_pairs
from nasx.predictors.fitted_network import TorchConfig
from nasx.predictors.inputs import Inputs
from nasx.predictors.layers import Embedding, LayerNorm, Linear
from nasx.predictors.preset_predictor import PresetPredictor


@dataclass(frozen=True, kw_only=True)
class TNASPConfig(TorchConfig):
    """The network and its training; the defaults of the network are the published ones."""

    blocks: int = 3
    width: int = 80
    heads: int = 4
    head_width: int = 64
    inner: int = 512
    """Width of the feed-forward's hidden layer."""
    positions: int = 16
    """Columns of the Laplacian that are read; edges to nodes further back are seen from their other end only."""
    dropout: float = 0.1


class TNASPNetwork(nn.Module):
    """Tokens with Laplacian positions, Transformer encoder, mean over nodes, head: graphs to scores.

    `H_0 = E[operation] + W_p L`, with the Laplacian `L = diag(A 1) - A`, a row a node.

    >>> network = TNASPNetwork(TNASPConfig(members=2, blocks=1, width=16), operations=3)
    >>> graphs = Inputs(torch.tensor([[[0, 1, 2]]]), torch.ones(1, 1, 3, 3).triu(1), torch.ones(1, 1, 3))
    >>> network(graphs).shape
    torch.Size([2, 1])
    """

    def __init__(self, config: TNASPConfig, operations: int) -> None:
        super().__init__()
        members, width = config.members, config.width
        self.positions = config.positions
        self.tokens = Embedding(members, operations, width)
        self.places = Linear(members, config.positions, width)
        self.first_norm = LayerNorm(members, width)
        self.blocks = nn.ModuleList(EncoderBlock(config) for _ in range(config.blocks))
        self.first = Linear(members, width, width, bias=False)
        self.last = Linear(members, width, 1, bias=False)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, graphs: Inputs) -> Tensor:
        """Scores graphs: `(E, B)`."""
        places = fitted_to(laplacian(graphs.adjacency), self.positions)
        h = self.tokens(graphs.codes)
        h = self.first_norm(self.dropout(h + self.places(places.expand(len(h), -1, -1, -1))))
        allowed = real_pairs(graphs.mask)
        for block in self.blocks:
            h = block(h, allowed)
        pooled = (h * graphs.mask.unsqueeze(-1)).sum(2) / graphs.mask.sum(-1, keepdim=True)
        return self.last(self.dropout(self.first(pooled))).squeeze(-1)


class EncoderBlock(nn.Module):
    """Post-norm encoder layer: `H' = LN(H + MHA(H))`, `H'' = LN(H' + FFN(H'))`."""

    def __init__(self, config: TNASPConfig) -> None:
        super().__init__()
        members, width = config.members, config.width
        self.attention = MultiHeadAttention(members, width, config.heads, config.head_width)
        self.attention_norm = LayerNorm(members, width)
        self.feed_forward = FeedForward(members, width, config.inner)
        self.feed_forward_norm = LayerNorm(members, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, h: Tensor, allowed: Tensor) -> Tensor:
        """Maps nodes `(E, B, N, d)`; attention where `allowed (., B, 1, N, N)`."""
        h = self.attention_norm(h + self.dropout(self.attention(h, h, allowed)))
        return self.feed_forward_norm(h + self.dropout(self.feed_forward(h)))


def laplacian(adjacency: Tensor) -> Tensor:
    """`L = diag(A 1) - A`, `(..., N, N)`.

    >>> laplacian(torch.tensor([[0.0, 1.0], [0.0, 0.0]])).tolist()
    [[1.0, -1.0], [0.0, 0.0]]
    """
    return torch.diag_embed(adjacency.sum(-1)) - adjacency


def fitted_to(rows: Tensor, columns: int) -> Tensor:
    """Rows `(..., N)` with exactly so many columns: cut, or filled up with zeros."""
    return F.pad(rows[..., :columns], (0, max(0, columns - rows.shape[-1])))


PAPER = TNASPConfig(
    losses={"mse": 1.0},
    consistency=0.0,
    target_scaling="standard",
    optimizer="adamw",
    learning_rate=1e-4,
    weight_decay=1e-3,
    warmup=0.0,
    schedule="cosine",
    epochs=300,
    batch_size=10,
)
DEFAULT = TNASPConfig(
    pruned=True,
    members=2,
    width=48,
    head_width=12,
    inner=192,
    losses={"pairwise_logistic": 1.0},
    consistency=0.0,
    target_scaling="standard",
    optimizer="adamw",
    learning_rate=2e-3,
    weight_decay=0.05,
    schedule="cosine",
    epochs=75,
    min_steps=200,
    max_steps=1000,
    batch_size=128,
)


class TNASP(PresetPredictor):
    """TNASP (Lu et al., NeurIPS 2021): a Transformer with Laplacian positions.

    Presets: "default" (small, ranking loss); "paper" (3 blocks of 80, MSE, batches of 10, 300 epochs; its weight decay
    is decoupled here).

    Args:
        preset: "default" or "paper".
        options: Fields of the preset's configuration to change, for example `{"blocks": 6}`.
        loss: A name of `loss_table.LOSS_TABLE`; None is the preset's own.
        as_written: Read the dead parts of cells as well, whatever the options say: for latency and energy.
        seed: Of the initialisation, the order of the graphs and the dropout.
        direction: Which end of the targets is the good one; only losses that favour the top use it.
        device: "auto", "cpu", "cuda" or another name that torch knows.

    >>> from nasx.search_spaces.graph import Graph
    >>> chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    >>> graphs = [Graph(["input", operation, "output"], chain) for operation in ("conv", "pool", "skip")]
    >>> predictor = TNASP(options={"width": 8, "min_steps": 60}).fit(graphs, [94.0, 91.0, 90.0])
    >>> [int(rank) for rank in predictor.predict(graphs).argsort()]
    [2, 1, 0]
    """

    presets: ClassVar[Mapping[str, TNASPConfig]] = {"default": DEFAULT, "paper": PAPER}

    def _build(self, config: TNASPConfig, vocabulary: tuple[str, ...], inputs: Inputs) -> nn.Module:
        return TNASPNetwork(config, len(vocabulary))
