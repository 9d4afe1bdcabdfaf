"""NNLP: two GraphSAGE layers, a sum over the nodes, a small head.

L. Liu et al.: "NNLQP: A Multi-Platform Neural Network Latency Query and Prediction System with An Evolving Database",
ICPP 2022 (github.com/ModelTC/NNLQP); NAR-Former V2's latency model descends from it.

Shapes: E ensemble members, B graphs, N nodes, d channels. A is the directed adjacency, A_ij = 1 for i -> j.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasx.predictors.edges import EdgeList, node_sums
from nasx.predictors.fitted_network import Links, TorchConfig
from nasx.predictors.inputs import Inputs
from nasx.predictors.layer_encoding import one_hot_length
from nasx.predictors.layers import Dropout, Embedding, Linear
from nasx.predictors.nar_former_v2 import OneHotTokens
from nasx.predictors.preset_predictor import PresetPredictor


@dataclass(frozen=True, kw_only=True)
class NNLPConfig(TorchConfig):
    """The network and its training; the defaults of the network are the published ones."""

    layers: int = 2
    width: int = 512
    directions: Literal["symmetric", "both"] = "symmetric"
    """Average neighbours whatever the edge's direction, or successors and predecessors separately."""
    readout: Literal["sum", "mean"] = "sum"
    dropout: float = 0.05
    tokens: Literal["learned", "one_hot"] = "learned"
    """One learned vector an operation, or a one at its place in the vocabulary, followed by the attributes of the node
    (published)."""
    positive: bool = False
    """Predictions are softplus of the head's, so positive; published: the head's own."""

    @property
    def links(self) -> Links:
        """Lists of edges."""
        return "edges"


class NNLPNetwork(nn.Module):
    """Tokens, GraphSAGE layers, readout and head: graphs to scores.

    Whole-graph features, where there are any, join the sum of the nodes through a linear map, as the published static
    features do. The head is `FC(relu(FC(relu(FC(h)))))`.

    Args:
        config: The network's switches.
        operations: Number V of operations, or how long the one-hot operation is.
        summary_features: Number of whole-graph features.
        node_features: Number of features that follow the operation in a node's token.

    >>> network = NNLPNetwork(NNLPConfig(members=2, width=16), operations=3)
    >>> graphs = Inputs(torch.tensor([[[0, 1, 2]]]), torch.ones(1, 1, 3, 3).triu(1), torch.ones(1, 1, 3))
    >>> network(graphs).shape
    torch.Size([2, 1])
    """

    def __init__(self, config: NNLPConfig, operations: int, summary_features: int = 0, node_features: int = 0) -> None:
        super().__init__()
        self.config = config
        members, width = config.members, config.width
        learned = config.tokens == "learned"
        self.tokens = Embedding(members, operations, width) if learned else OneHotTokens(operations)
        features = (width if learned else operations) + node_features
        self.layers = nn.ModuleList(SAGELayer(config, width if k else features) for k in range(config.layers))
        self.summary = Linear(members, summary_features, width) if summary_features else None
        self.first = Linear(members, width * (2 if summary_features else 1), width)
        self.second = Linear(members, width, width)
        self.last = Linear(members, width, 1)
        self.dropout = Dropout(config.dropout)

    def forward(self, graphs: Inputs) -> Tensor:
        """Scores graphs: `(E, B)`."""
        h = self.tokens(graphs.codes)
        if graphs.nodes is not None:
            h = torch.cat([h, graphs.nodes.expand(len(h), -1, -1, -1)], dim=-1)
        h = h.expand(self.config.members, -1, -1, -1)
        for layer in self.layers:
            h = self.dropout(F.relu(layer(h, graphs.adjacency)))
        pooled = node_sums(h, graphs)
        if self.config.readout == "mean":
            pooled = pooled / node_sums(graphs.mask.unsqueeze(-1), graphs)
        if self.summary is not None:
            assert graphs.summary is not None
            summary = self.summary(graphs.summary.expand(len(h), -1, -1))
            pooled = torch.cat([pooled, F.relu(self.dropout(summary))], dim=-1)
        pooled = self.dropout(F.relu(self.first(pooled)))
        pooled = self.dropout(F.relu(self.second(pooled)))
        score = self.last(pooled).squeeze(-1)
        return F.softplus(score) if self.config.positive else score


class SAGELayer(nn.Module):
    """GraphSAGE (Hamilton et al. 2017): `h_i' = L2(W_n mean_{j in N(i)} h_j + b + W_r h_i)`.

    A node without neighbours has the mean zero. In both directions, successors and predecessors have a W_n each.
    """

    def __init__(self, config: NNLPConfig, features: int) -> None:
        super().__init__()
        self.directed = config.directions == "both"
        self.neighbours = Linear(config.members, features * (2 if self.directed else 1), config.width)
        self.root = Linear(config.members, features, config.width, bias=False)

    def forward(self, h: Tensor, adjacency: Tensor | EdgeList) -> Tensor:
        """Maps nodes `(E, B, N, d)` along `adjacency (., B, N, N)`."""
        if isinstance(adjacency, EdgeList):
            means = adjacency.means(h, self.directed)
        else:
            backward = adjacency.transpose(-1, -2)
            ways = [adjacency, backward] if self.directed else [adjacency + backward]
            means = torch.cat([(way / way.sum(-1, keepdim=True).clamp_min(1)) @ h for way in ways], dim=-1)
        return F.normalize(self.neighbours(means) + self.root(h), dim=-1)


PAPER = NNLPConfig(
    losses={"relative_mse": 1.0},
    consistency=0.0,
    learning_rate=1e-3,
    warmup=0.0,
    epochs=50,
    batch_size=16,
)
DEFAULT = NNLPConfig(
    pruned=True,
    members=3,
    layers=3,
    width=64,
    directions="both",
    losses={"pairwise_logistic": 1.0},
    consistency=0.0,
    target_scaling="standard",
    optimizer="adamw",
    learning_rate=3e-3,
    weight_decay=0.05,
    schedule="cosine",
    epochs=75,
    min_steps=200,
    max_steps=1000,
    batch_size=128,
)


NETWORK = dataclasses.replace(
    PAPER, tokens="one_hot", node_attributes="nnlp", target_scaling="geometric", schedule="constant"
)
"""As published for latencies: tokens of 44 numbers, four static ones. Targets are divided by their geometric mean, so
that it does not matter whether they are in seconds or milliseconds."""


class NNLP(PresetPredictor):
    """NNLP (Liu et al., ICPP 2022): GraphSAGE layers.

    Presets: "default" (small, both directions, ranking loss); "paper" (2 layers of 512, relative MSE, 50 epochs);
    "network" (the same with attributes of layers: the published predictor of latencies of whole networks).

    Args:
        preset: "default", "paper" or "network".
        options: Fields of the preset's configuration to change, for example `{"layers": 4}`.
        loss: A name of `loss_table.LOSS_TABLE`; None is the preset's own.
        as_written: Read the dead parts of cells as well, whatever the options say: for latency and energy.
        seed: Of the initialisation, the order of the graphs and the dropout.
        direction: Which end of the targets is the good one; only losses that favour the top use it.
        device: "auto", "cpu", "cuda" or another name that torch knows.

    >>> from nasx.search_spaces.graph import Graph
    >>> chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    >>> graphs = [Graph(["input", operation, "output"], chain) for operation in ("conv", "pool", "skip")]
    >>> predictor = NNLP(options={"width": 8, "min_steps": 60}).fit(graphs, [94.0, 91.0, 90.0])
    >>> [int(rank) for rank in predictor.predict(graphs).argsort()]
    [2, 1, 0]
    """

    presets: ClassVar[Mapping[str, NNLPConfig]] = {"default": DEFAULT, "paper": PAPER, "network": NETWORK}
    reads: ClassVar[frozenset[str]] = frozenset({"summary_features"})

    def _build(self, config: NNLPConfig, vocabulary: tuple[str, ...], inputs: Inputs) -> nn.Module:
        summary = 0 if inputs.summary is None else inputs.summary.shape[-1]
        nodes = 0 if inputs.nodes is None else inputs.nodes.shape[-1]
        length = one_hot_length(vocabulary) if config.tokens == "one_hot" else len(vocabulary)
        return NNLPNetwork(config, length, summary, nodes)
