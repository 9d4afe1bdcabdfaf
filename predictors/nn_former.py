"""NN-Former: attention held to neighbours and siblings, and a feed-forward that looks along the edges both ways.

R. Xu et al.: "NN-Former: Rethinking Graph Structure in Neural Architecture Representation", CVPR 2025
(arXiv 2507.00880), and its released code (github.com/XuRuihan/NNFormer), which is followed.

Shapes: E ensemble members, B graphs, N nodes, d channels, H heads. A is the directed adjacency, A_ij = 1 for i -> j.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasx.predictors.attention import MultiHeadAttention
from nasx.predictors.edges import EdgeList, Pairs, node_sums
from nasx.predictors.fitted_network import Links, TorchConfig
from nasx.predictors.inputs import Inputs
from nasx.predictors.layers import Embedding, LayerNorm, Linear
from nasx.predictors.nar_former_v2 import Head, network_config
from nasx.predictors.preset_predictor import PresetPredictor
from nasx.predictors.presets import DEFAULT as NAR_FORMER_V2
from nasx.predictors.roofline import Roofline
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import UsageError

SIZES = 32
"""Numbers of nodes that the depth token tells apart; larger graphs look like ones of this size."""


@dataclass(frozen=True, kw_only=True)
class NNFormerConfig(TorchConfig):
    """The network and its training; the defaults of the network are the published ones."""

    blocks: int = 12
    width: int = 160
    heads: int = 4
    """A multiple of 4: a quarter of the heads for each mask."""
    ratio: int = 4
    """Width of the feed-forward's hidden layer over `width`."""
    dropout: float = 0.1
    special_tokens: bool = True
    """A class token, which is read out, and a depth token: everyone sees them and they see everyone (released code).
    Without them the mean of the nodes is read out."""
    siblings: Literal["through_special", "graph"] = "through_special"
    """Released code: special tokens are common neighbours, so that all nodes are siblings and half of the heads attend
    globally. "graph": only what has a common neighbour in the graph itself, as the paper describes."""
    offset: float = 0.5
    """Added to the output (released code)."""
    readout: Literal["linear", "roofline"] = "linear"
    """A linear map of the class token or the nodes' mean; or, for latencies of whole networks, costs of the layers
    added up (`roofline`). Cells' own features, where they are read, join the class token or the mean through the small
    head of the default NAR-Former V2."""

    @property
    def links(self) -> Links:
        """Lists of edges, unless class and depth token are nodes of the graph."""
        return "dense" if self.special_tokens else "edges"

    def __post_init__(self) -> None:
        """Checks what the single fields cannot."""
        if self.heads % 4 or self.width % self.heads:
            raise UsageError(
                f"NN-Former needs heads in fours and a width that is a multiple of them; got {self.heads} heads and "
                f"width {self.width}"
            )


class NNFormerNetwork(nn.Module):
    """Tokens, pre-norm blocks and readout: graphs to scores.

    >>> network = NNFormerNetwork(NNFormerConfig(members=2, blocks=2, width=16), operations=3)
    >>> graphs = Inputs(torch.tensor([[[0, 1, 2]]]), torch.ones(1, 1, 3, 3).triu(1), torch.ones(1, 1, 3))
    >>> network(graphs).shape
    torch.Size([2, 1])
    """

    def __init__(
        self, config: NNFormerConfig, operations: int, node_features: int = 0, summary_features: int = 0
    ) -> None:
        super().__init__()
        self.config = config
        members, width = config.members, config.width
        self.attributes = Linear(members, node_features, width, bias=False) if node_features else None
        self.tokens = Embedding(members, operations, width)  # one-hot times a matrix, as released
        if config.special_tokens:
            self.depths = Embedding(members, SIZES, width)  # likewise
            self.class_token = nn.Parameter(0.02 * torch.randn(members, 1, 1, width))
        self.first_norm = LayerNorm(members, width)
        self.blocks = nn.ModuleList(NNFormerBlock(config) for _ in range(config.blocks))
        self.norm = LayerNorm(members, width)
        self.head: nn.Module
        if config.readout == "roofline":
            self.head = Roofline(members, width)
        elif summary_features:
            head = dataclasses.replace(network_config(NAR_FORMER_V2), members=members, width=width, groups=1)
            self.head = Head(head, summary_features)
        else:
            self.head = Linear(members, width, 1)

    def forward(self, graphs: Inputs) -> Tensor:
        """Scores graphs: `(E, B)`."""
        h, adjacency, mask = self.tokens(graphs.codes), graphs.adjacency, graphs.mask
        if self.attributes is not None:
            assert graphs.nodes is not None
            h = h + self.attributes(graphs.nodes.expand(self.config.members, -1, -1, -1))
        allowed: Tensor | Pairs
        if isinstance(adjacency, EdgeList):
            allowed = adjacency.sibling_pairs()
        elif not self.config.special_tokens:
            allowed = sibling_masks(adjacency)
        else:
            sizes = mask.sum(-1, keepdim=True).long().clamp_max(SIZES) - 1
            first = self.class_token.expand(-1, h.shape[1], -1, -1)
            h = torch.cat([first, h, self.depths(sizes)], dim=2)
            mask = F.pad(mask, (1, 1), value=1.0)
            adjacency = F.pad(adjacency, (1, 1, 1, 1))  # the feed-forward knows no edges of theirs
            special = special_pairs(mask)
            if self.config.siblings == "graph":
                allowed = sibling_masks(adjacency) | special.unsqueeze(-3)
            else:
                allowed = sibling_masks(torch.maximum(adjacency, special.to(adjacency.dtype)))
        if (times := self.config.heads // 4) > 1:
            if isinstance(allowed, Pairs):
                allowed = allowed.repeated(times)
            else:
                allowed = allowed.repeat_interleave(times, dim=-3)
        h = self.first_norm(h)
        for block in self.blocks:
            h = block(h, adjacency, allowed)
        h = self.norm(h)
        if self.config.readout == "roofline":
            return self.head(h, graphs)  # type: ignore[no-any-return]
        if self.config.special_tokens:
            pooled = h[:, :, 0]
        else:
            pooled = node_sums(h, graphs) / node_sums(mask.unsqueeze(-1), graphs)
        if isinstance(self.head, Head):
            return self.head(pooled, graphs.summary)  # type: ignore[no-any-return]
        return self.head(pooled).squeeze(-1) + self.config.offset


class NNFormerBlock(nn.Module):
    """`H' = H + ASMA(LN(H))`, `H'' = H' + BGIFFN(LN(H'))`."""

    def __init__(self, config: NNFormerConfig) -> None:
        super().__init__()
        members, width = config.members, config.width
        self.attention_norm = LayerNorm(members, width)
        self.attention = MultiHeadAttention(members, width, config.heads)  # ASMA with `sibling_masks`
        self.feed_forward_norm = LayerNorm(members, width)
        self.feed_forward = BGIFFN(members, width, width * config.ratio, config.dropout)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, h: Tensor, adjacency: Tensor | EdgeList, allowed: Tensor | Pairs) -> Tensor:
        """Maps nodes `(E, B, N, d)`; `adjacency (., B, N, N)`, attention where `allowed (., B, H, N, N)`."""
        x = self.attention_norm(h)
        h = h + self.dropout(self.attention(x, x, allowed))
        return h + self.dropout(self.feed_forward(self.feed_forward_norm(h), adjacency))


class BGIFFN(nn.Module):
    """Bidirectional graph-isomorphism feed-forward.

    `BGIFFN(X) = W_2 relu(W_1 X + [A (W_g X)_1 ; A^T (W_g X)_2])`: W_g X is split in halves, one summed over the
    successors of a node, the other over its predecessors. No biases; dropout after the ReLU.

    >>> BGIFFN(2, 8, 16)(torch.zeros(2, 5, 6, 8), torch.zeros(1, 5, 6, 6)).shape
    torch.Size([2, 5, 6, 8])
    """

    def __init__(self, members: int, width: int, inner: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.own = Linear(members, width, inner, bias=False)
        self.graph = Linear(members, width, inner, bias=False)
        self.down = Linear(members, inner, width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, adjacency: Tensor | EdgeList) -> Tensor:
        """Maps nodes `(E, B, N, d)` along `adjacency (., B, N, N)`."""
        onward, back = self.graph(x).chunk(2, dim=-1)
        if isinstance(adjacency, EdgeList):
            around = adjacency.neighbour_sums(onward, back)
        else:
            around = torch.cat([adjacency @ onward, adjacency.transpose(-1, -2) @ back], dim=-1)
        return self.down(self.dropout(F.relu(self.own(x) + around)))


def sibling_masks(adjacency: Tensor) -> Tensor:
    """The four masks of adjacency-sibling multi-head attention (ASMA), true where a node may look: `(., B, 4, N, N)`.

    Successors A, predecessors A^T, nodes with a common predecessor A^T A, nodes with a common successor A A^T; every
    node also looks at itself.

    >>> fork = torch.tensor([[0.0, 1, 1], [0, 0, 0], [0, 0, 0]])
    >>> sibling_masks(fork)[2].int().tolist()
    [[1, 0, 0], [0, 1, 1], [0, 1, 1]]
    """
    backward = adjacency.transpose(-1, -2)
    masks = torch.stack([adjacency, backward, backward @ adjacency, adjacency @ backward], dim=-3)
    return (masks > 0) | torch.eye(adjacency.shape[-1], dtype=torch.bool, device=adjacency.device)


def special_pairs(mask: Tensor) -> Tensor:
    """Where one of two real tokens is the first or the last, `(., B, N, N)`.

    >>> special_pairs(torch.ones(4))[1].tolist()
    [True, False, False, True]
    """
    real, special = mask.bool(), torch.zeros_like(mask, dtype=torch.bool)
    special[..., 0] = special[..., -1] = True
    return real.unsqueeze(-1) & real.unsqueeze(-2) & (special.unsqueeze(-1) | special.unsqueeze(-2))


PAPER = NNFormerConfig(
    pruned=True,
    losses={"mse": 1.0, "sr": 0.2},
    consistency=1.0,
    copies="same",
    optimizer="adamw",
    learning_rate=1e-4,
    weight_decay=0.01,
    schedule="cosine",
    epochs=3000,
    batch_size=128,
)
DESCRIBED = dataclasses.replace(PAPER, siblings="graph")
NETWORK = NNFormerConfig(
    node_attributes="log",
    blocks=2,
    width=64,
    dropout=0.0,
    special_tokens=False,
    siblings="graph",
    readout="roofline",
    losses={"relative_log": 1.0},
    consistency=0.0,
    target_scaling="geometric",
    optimizer="adamw",
    learning_rate=3e-3,
    weight_decay=0.01,
    schedule="cosine",
    epochs=40,
    min_steps=1000,
    batch_size=32,
)
"""Attributes, readout and training of nar-former-v2:network; this configuration is ours."""

DEFAULT = NNFormerConfig(
    pruned=True,
    members=2,
    blocks=3,
    width=48,
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
FEATURES = dataclasses.replace(
    DEFAULT,
    node_features=True,
    summary_features=True,
    walk_features=True,
    signal_features=True,
    process_vote=True,
)


class NNFormer(PresetPredictor):
    """NN-Former (Xu et al., CVPR 2025).

    Presets: "default" (small, ranking loss, quick on a CPU); "features" (the same with the features of graphs and the
    Gaussian process of nar-former-v2, twice its time); "paper" (the released configuration: 4.9 million
    parameters, class and depth token, hours on a CPU; without its moving average of the weights, and its learning
    rate falls to 0 instead of a tenth); "described" (the same with sibling masks of the graph alone, as the paper
    describes them: the released ones are full); "network" (latencies of whole networks: two narrow blocks with those
    masks; attributes and costs of layers and training are those of nar-former-v2:network).

    Args:
        preset: "default", "features", "paper", "described" or "network".
        options: Fields of the preset's configuration to change, for example `{"blocks": 6}`.
        loss: A name of `loss_table.LOSS_TABLE`; None is the preset's own.
        as_written: Read the dead parts of cells as well, whatever the options say: for latency and energy.
        seed: Of the initialisation, the order of the graphs and the dropout.
        direction: Which end of the targets is the good one; only losses that favour the top use it.
        device: "auto", "cpu", "cuda" or another name that torch knows.

    >>> from nasx.search_spaces.graph import Graph
    >>> chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    >>> graphs = [Graph(["input", operation, "output"], chain) for operation in ("conv", "pool", "skip")]
    >>> predictor = NNFormer(options={"width": 8, "min_steps": 60}).fit(graphs, [94.0, 91.0, 90.0])
    >>> [int(rank) for rank in predictor.predict(graphs).argsort()]
    [2, 1, 0]
    """

    presets: ClassVar[Mapping[str, NNFormerConfig]] = {
        "default": DEFAULT,
        "features": FEATURES,
        "paper": PAPER,
        "described": DESCRIBED,
        "network": NETWORK,
    }

    reads: ClassVar[frozenset[str]] = frozenset(
        {"node_features", "summary_features", "walk_features", "signal_features"}
    )

    def _build(self, config: NNFormerConfig, vocabulary: tuple[str, ...], inputs: Inputs) -> nn.Module:
        nodes, summary = (0 if part is None else part.shape[-1] for part in (inputs.nodes, inputs.summary))
        if config.node_attributes != "none":
            summary = 0
        return NNFormerNetwork(config, len(vocabulary), nodes, summary)

    def _finish(self, network: Any, graphs: GraphBatch) -> None:
        """Unseen operations look like the average of the seen, unseen sizes like the nearest seen."""
        super()._finish(network, graphs)
        if network.config.special_tokens:
            seen = np.unique(np.minimum(graphs.num_nodes, SIZES)) - 1
            nearest = seen[np.abs(np.arange(SIZES)[:, None] - seen).argmin(axis=1)]
            with torch.no_grad():
                network.depths.weight.copy_(
                    network.depths.weight[:, torch.from_numpy(nearest).to(network.depths.weight.device)]
                )
