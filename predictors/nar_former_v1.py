"""NAR-Former: a Transformer over a sequence of tokens that say where each operation gets its inputs.

Y. Yi, H. Zhang, W. Hu, N. Wang, X. Wang: "NAR-Former: Neural Architecture Representation Learning towards Holistic
Attributes Prediction", CVPR 2023, and its released code (github.com/yuny220/NAR-Former), which is followed.

Shapes: E ensemble members, B graphs, N nodes, T = N + 2 tokens, d channels, C numbers of one encoding f_PE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasx.predictors.attention import FeedForward, MultiHeadAttention, real_pairs
from nasx.predictors.fitted_network import TorchConfig
from nasx.predictors.inputs import Inputs
from nasx.predictors.layers import LayerNorm, Linear
from nasx.predictors.nar_former_v2_predictor import label_codes
from nasx.predictors.preset_predictor import PresetPredictor
from nasx.search_spaces.tokenizer import frequency_encoding

END = 1e5
"""What the end token encodes in place of an operation and positions (released code)."""
NO_SOURCE = -1
"""The source position of a node without predecessors."""


@dataclass(frozen=True, kw_only=True)
class NARFormerConfig(TorchConfig):
    """The network and its training; the defaults of the network are the published ones."""

    blocks: int = 6
    frequencies: int = 32
    """L of each of the three encodings f_PE in a token, which has 6 L numbers."""
    heads: int = 6
    """Must divide the width of a token."""
    ratio: int = 4
    """Width of the feed-forwards' hidden layer over the tokens'."""
    dropout: float = 0.1
    bounded: bool = True
    """Output through a sigmoid (published), for targets in (0, 1)."""


class NARFormerNetwork(nn.Module):
    """Token sequence, pre-norm blocks, multi-stage fusion, output: graphs to scores.

    >>> codes = torch.from_numpy(frequency_encoding([0, 1, 2], 4))
    >>> network = NARFormerNetwork(NARFormerConfig(members=2, blocks=1, heads=4), codes)
    >>> graphs = Inputs(torch.tensor([[[0, 1, 2]]]), torch.ones(1, 1, 3, 3).triu(1), torch.ones(1, 1, 3))
    >>> network(graphs).shape
    torch.Size([2, 1])
    """

    def __init__(self, config: NARFormerConfig, label_codes: Tensor) -> None:
        super().__init__()
        self.config = config
        members, width = config.members, 3 * label_codes.shape[1]
        self.label_codes: Tensor
        self.register_buffer("label_codes", label_codes)
        self.depth = Linear(members, width, width)
        self.blocks = nn.ModuleList(EncoderBlock(config, width) for _ in range(config.blocks))
        self.stages = nn.ModuleList(FusionStage(config, width, queries) for queries in (4, 2, 1))
        self.norm = LayerNorm(members, width)
        self.head = Linear(members, width, 1)

    def forward(self, graphs: Inputs) -> Tensor:
        """Scores graphs: `(E, B)`."""
        tokens = source_tokens(graphs, self.label_codes)  # (., B, N + 1, 3C): the nodes, then the end
        sizes = graphs.mask.sum(-1).long()
        table = torch.from_numpy(frequency_encoding(np.arange(graphs.mask.shape[-1] + 1), tokens.shape[-1] // 2))
        depth = table.to(tokens)[sizes].unsqueeze(-2)
        members = self.config.members
        depth = F.relu(self.depth(depth.expand(members, -1, -1, -1)))
        h = torch.cat([depth, tokens.expand(members, -1, -1, -1)], dim=2)
        mask = F.pad(graphs.mask, (1, 1), value=1.0)
        allowed = real_pairs(mask)
        for block in self.blocks:
            h = block(h, allowed)
        allowed = mask.bool()[..., None, None, :]
        for stage in self.stages:
            h = stage(h, allowed)
            allowed = torch.ones_like(allowed[..., :1])
        y = self.head(self.norm(h[:, :, -1])).squeeze(-1)
        return torch.sigmoid(y) if self.config.bounded else y


class EncoderBlock(nn.Module):
    """`H' = H + MHSA(LN(H))`, `H'' = H' + FFN(LN(H'))`."""

    def __init__(self, config: NARFormerConfig, width: int) -> None:
        super().__init__()
        members = config.members
        self.attention_norm = LayerNorm(members, width)
        self.attention = MultiHeadAttention(members, width, config.heads)
        self.feed_forward_norm = LayerNorm(members, width)
        self.feed_forward = FeedForward(members, width, config.ratio * width, config.dropout)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, h: Tensor, allowed: Tensor) -> Tensor:
        """Maps tokens `(E, B, T, d)`; attention where `allowed (., B, 1, T, T)`."""
        x = self.attention_norm(h)
        h = h + self.dropout(self.attention(x, x, allowed))
        return h + self.dropout(self.feed_forward(self.feed_forward_norm(h)))


class FusionStage(nn.Module):
    """One stage of multi-stage fusion: a few learned queries read all tokens.

    `Z = Q + MHA(LN(Q), LN(H))`, `Z' = Z + FFN(LN(Z))`; stages of 4, 2 and 1 queries end in one vector.
    """

    def __init__(self, config: NARFormerConfig, width: int, queries: int) -> None:
        super().__init__()
        members = config.members
        self.queries = nn.Parameter(0.02 * torch.randn(members, 1, queries, width))
        self.query_norm = LayerNorm(members, width)
        self.token_norm = LayerNorm(members, width)
        self.attention = MultiHeadAttention(members, width, config.heads)
        self.feed_forward_norm = LayerNorm(members, width)
        self.feed_forward = FeedForward(members, width, config.ratio * width, config.dropout)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, h: Tensor, allowed: Tensor) -> Tensor:
        """Fuses tokens `(E, B, T, d)`, those where `allowed (., B, 1, 1, T)`, into `(E, B, queries, d)`."""
        queries = self.queries.expand(-1, h.shape[1], -1, -1)
        z = queries + self.dropout(self.attention(self.query_norm(queries), self.token_norm(h), allowed))
        return z + self.dropout(self.feed_forward(self.feed_forward_norm(z)))


def source_tokens(graphs: Inputs, label_codes: Tensor) -> Tensor:
    """Tokens of the nodes, `[f_PE(operation), f_PE(position), sum of f_PE(source) over predecessors]`, and the end.

    A node without predecessors has the source -1; the end token has 100,000 in all three places.

    Args:
        graphs: B graphs of N nodes.
        label_codes: f_PE of the operations' labels `(V, C)`.

    Returns:
        Tokens `(., B, N + 1, 3C)`.
    """
    count, frequencies = graphs.mask.shape[-1], label_codes.shape[1] // 2
    numbers = np.array([*range(count), NO_SOURCE, END])
    codes = torch.from_numpy(frequency_encoding(numbers, frequencies)).to(label_codes)
    positions, no_source, end = codes[:count], codes[count], codes[count + 1]
    sources = graphs.adjacency.transpose(-1, -2) @ positions
    orphan = (graphs.adjacency.sum(-2) == 0).unsqueeze(-1)
    sources = torch.where(orphan, no_source, sources)
    nodes = torch.cat([label_codes[graphs.codes], positions.expand_as(sources), sources], dim=-1)
    return torch.cat([nodes, end.repeat(3).expand(*nodes.shape[:-2], 1, -1)], dim=-2)


PAPER = NARFormerConfig(
    losses={"mse": 1.0, "sr": 0.1},
    consistency=0.5,
    optimizer="adamw",
    learning_rate=1e-4,
    weight_decay=0.01,
    epochs=4000,
    batch_size=128,
)
DEFAULT = NARFormerConfig(
    pruned=True,
    frequencies=12,
    blocks=3,
    heads=4,
    ratio=2,
    bounded=False,
    losses={"pairwise_logistic": 1.0},
    consistency=0.0,
    target_scaling="standard",
    optimizer="adamw",
    learning_rate=2e-3,
    weight_decay=0.05,
    schedule="cosine",
    epochs=60,
    min_steps=200,
    max_steps=1000,
    batch_size=128,
)


class NARFormer(PresetPredictor):
    """NAR-Former (Yi et al., CVPR 2023), the first version: token sequence and multi-stage fusion.

    Presets: "default" (3 blocks of 72, ranking loss, quick on a CPU); "paper" (6 blocks, MSE with sequence ranking and
    architecture consistency, 4000 epochs; without its moving average of the weights).

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
    >>> predictor = NARFormer(options={"blocks": 1, "min_steps": 60}).fit(graphs, [94.0, 91.0, 90.0])
    >>> [int(rank) for rank in predictor.predict(graphs).argsort()]
    [2, 1, 0]
    """

    presets: ClassVar[Mapping[str, NARFormerConfig]] = {"default": DEFAULT, "paper": PAPER}

    def _build(self, config: NARFormerConfig, vocabulary: tuple[str, ...], inputs: Inputs) -> nn.Module:
        return NARFormerNetwork(config, label_codes(vocabulary, config.frequencies))
