"""NAR-Former V2: a transformer whose attention is held to the edges of the graph.

Y. Yi, H. Zhang, R. Xiao, N. Wang, X. Wang: "NAR-Former V2: Rethinking Transformer for Universal Neural Network
Representation Learning", NeurIPS 2023; equation numbers are the paper's. Where the released code
(github.com/yuny220/NAR-Former-V2) does more than the paper says, the code is followed and a comment says so.

Shapes: E ensemble members, B graphs, N nodes, d channels. Graphs of a batch are padded to N nodes and masked, so that
all of them, in all members, are computed at once; the numbers are those of one graph at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasx.predictors.edges import EdgeList, node_sums
from nasx.predictors.inputs import Inputs
from nasx.predictors.layers import Dropout, Embedding, GroupLinear, LayerNorm, Linear, lecun_initialisation
from nasx.predictors.roofline import Roofline
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.tokenizer import frequency_encoding


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """The network's switches; the defaults are the published accuracy predictor."""

    members: int = 1
    """Networks computed side by side and averaged (an ensemble); published: 1."""
    blocks: int = 6
    width: int = 512
    groups: int = 8
    """Groups of the feed-forward; 1 makes it an ordinary one."""
    group_norm: bool = True
    """Layer norm inside the group-linear maps (released code)."""
    ratio: int = 4
    """Width of the feed-forward's hidden layer over `width`."""
    layer_scale: float = 1e-4
    """First value of the factor on the feed-forward's branch (released code)."""
    dropout: float = 0.05
    shared_dropout: bool = False
    """Drop a channel in all nodes of a graph together: as good, and N times fewer random numbers."""
    tokens: Literal["frequency", "learned", "one_hot"] = "frequency"
    """f_PE of label and position (published for cells), one learned vector an operation, or a one at its place in the
    vocabulary (published for whole networks)."""
    directions: Literal["symmetric", "both"] = "symmetric"
    """Attend along edges whatever their direction (published), or separately to successors and predecessors."""
    attention: Literal["graph", "global"] = "graph"
    """Attend along edges (9), or to all nodes of the graph: the published comparison (table 6 of the paper)."""
    enhanced: bool = True
    """Type-aware enhancement (11) before the attention; without: a row of the published ablation (table 5)."""
    unit_norm: bool = True
    """Divide nodes by their L2 norm (published), or by their root mean square, sqrt(width) times less."""
    readout: Literal["mean", "sum", "roofline"] = "mean"
    """How the nodes of a block's output become one vector before the blocks are fused; "roofline": the last block's
    nodes give rates of layers, whose costs are added up in place of a head (`roofline`)."""
    readout_gain: float = 1.0
    """Factor on that vector: sums of hundreds of nodes are too large to start from."""
    fused: bool = True
    """Fuse the outputs of all blocks (published for cells), or read the last one only (for whole networks)."""
    initialisation: Literal["published", "lecun"] = "published"
    """How linear maps start; "lecun": outputs as large as inputs, no biases."""
    neighbour_gain: float = 1.0
    """Factor on the first values of W_a in equation (10): an average over neighbours is smaller than the root term."""
    places: Literal["joined", "added"] = "joined"
    """Node features p join the token t as they are, [t; p], or mapped: t + W_p p + b_p."""
    feed_forward_dropout: bool = True
    """Dropout in and after the feed-forward (published), not only before it."""
    summary_width: int = 0
    """Width of the features of the whole graph inside the head; 0: `width`."""
    summary_layers: int = 1
    """Layers those features go through before they join the representation; published latency model: 1."""
    head_width: int = 0
    """Width of the head's hidden layers; 0 (published): `width`."""
    head_dropout: float = 0.05
    head_input_dropout: bool = False
    """Dropout on the head's input too, not only between its layers (published)."""
    positive: bool = True
    """Head ends in a positive function (published); needed by relative errors."""
    positive_function: Literal["logsigmoid", "squareplus"] = "logsigmoid"
    """-logsigmoid(y) (published), or (y + sqrt(y^2 + 4)) / 2 = exp(asinh(y / 2)), whose logarithm flattens nowhere."""

    def __post_init__(self) -> None:
        """Checks what the single fields cannot."""
        if self.width % self.groups:
            raise UsageError(f"width {self.width} is not a multiple of the number of groups, {self.groups}")


class NARFormerV2Network(nn.Module):
    """Tokens, blocks, hierarchical fusion and head: graphs to scores.

    Args:
        config: The network's switches.
        operations: Number V of operations.
        node_features: Number of features that join each token.
        summary_features: Number of whole-graph features that join the representation before the head.
        label_codes: f_PE of the operations' labels, `(V, C)`, where `config.tokens` is "frequency".

    >>> from nasx.predictors.inputs import Inputs
    >>> network = NARFormerV2Network(NetworkConfig(members=2, blocks=2, width=16, tokens="learned"), operations=3)
    >>> graphs = Inputs(torch.tensor([[[0, 1, 2]]]), torch.ones(1, 1, 3, 3).triu(1), torch.ones(1, 1, 3))
    >>> network(graphs).shape
    torch.Size([2, 1])
    """

    def __init__(
        self,
        config: NetworkConfig,
        operations: int,
        node_features: int = 0,
        summary_features: int = 0,
        label_codes: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        members, width = config.members, config.width
        self.tokens: nn.Module
        if config.tokens == "frequency":
            assert label_codes is not None
            self.tokens = FrequencyTokens(label_codes)
            features = 2 * label_codes.shape[1]
        elif config.tokens == "one_hot":
            self.tokens = OneHotTokens(operations)
            features = operations
        else:
            self.tokens = Embedding(members, operations, width)
            features = width
        self.places: Linear | None = None
        if config.places == "added" and node_features:
            self.places = Linear(members, node_features, features)
        else:
            features += node_features
        self.blocks = nn.ModuleList(Block(config, features if k == 0 else width) for k in range(config.blocks))
        self.fusion = Fusion(members, config.blocks, width) if config.fused else None
        roofline = config.readout == "roofline"
        self.head = Roofline(members, width) if roofline else Head(config, summary_features)
        if config.initialisation == "lecun":
            lecun_initialisation(self)
        with torch.no_grad():
            for layer in self.modules():
                if isinstance(layer, GraphAttention):
                    layer.aggregate.weight.mul_(config.neighbour_gain)
                if isinstance(layer, Roofline):
                    layer.rates.weight.zero_()  # layers begin with equal rates

    def forward(self, graphs: Inputs) -> Tensor:
        """Scores graphs: `(E, B)`."""
        h = self.tokens(graphs.codes)
        h = h.expand(self.config.members, *h.shape[1:])
        if graphs.nodes is not None:
            nodes = graphs.nodes.expand(len(h), -1, -1, -1)
            h = torch.cat([h, nodes], dim=-1) if self.places is None else h + self.places(nodes)
        counts = node_sums(graphs.mask.unsqueeze(-1), graphs)
        outputs = []
        pairs = graphs.adjacency
        if self.config.attention == "global":
            pairs = graphs.mask.unsqueeze(-1) * graphs.mask.unsqueeze(-2)
        for block in self.blocks:
            h = block(h, graphs.adjacency, pairs)
            pooled = node_sums(h, graphs)  # (E, B, d)
            outputs.append(pooled / counts if self.config.readout == "mean" else pooled)
        if isinstance(self.head, Roofline):
            return self.head(h, graphs)  # type: ignore[no-any-return]
        fused = outputs[-1] if self.fusion is None else self.fusion(torch.stack(outputs, dim=-2))
        return self.head(fused, graphs.summary)


class FrequencyTokens(nn.Module):
    """Token of a node: f_PE(operation label) joined with f_PE(position in the graph), both of one length."""

    def __init__(self, label_codes: Tensor) -> None:
        super().__init__()
        self.label_codes: Tensor
        self.register_buffer("label_codes", label_codes)

    def forward(self, codes: Tensor) -> Tensor:
        """Maps operation codes `(1, B, N)` to tokens `(1, B, N, 2C)`."""
        positions = frequency_encoding(np.arange(codes.shape[-1]), self.label_codes.shape[1] // 2)
        labels = self.label_codes[codes]
        return torch.cat([labels, torch.from_numpy(positions).to(labels).expand_as(labels)], dim=-1)


class OneHotTokens(nn.Module):
    """Token of a node: a one at the place of its operation.

    >>> OneHotTokens(3)(torch.tensor([[2, 0]])).tolist()
    [[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]]
    """

    def __init__(self, operations: int) -> None:
        super().__init__()
        self.operations = operations

    def forward(self, codes: Tensor) -> Tensor:
        """Maps operation codes `(...)` to `(..., V)`."""
        return F.one_hot(codes, self.operations).to(torch.get_default_dtype())


class Block(nn.Module):
    """One graph-aided transformer block.

    H~ = TAEnhance(H, D)                           (5)
    H^ = L2(GraphAttn(H~, A) + W_r H~)             (6)
    H' = GFFN(LN(H^)) + H^                         (7)
    The released code adds ReLU and dropout after (6) and a learned factor (layer scale) on GFFN in (7).
    """

    def __init__(self, config: NetworkConfig, features: int) -> None:
        super().__init__()
        self.config = config
        members, width = config.members, config.width
        self.enhance = TAEnhance(config, features) if config.enhanced else None
        self.attention = GraphAttention(config, features)
        self.root = Linear(members, features, width, bias=False)
        self.norm = LayerNorm(members, width)
        self.up = GroupLinear(members, width, width * config.ratio, config.groups, config.group_norm)
        self.down = GroupLinear(members, width * config.ratio, width, config.groups, config.group_norm)
        self.scale = nn.Parameter(torch.full((members, 1, 1, width), float(config.layer_scale)))
        self.dropout = Dropout(config.dropout, config.shared_dropout)

    def forward(self, h: Tensor, adjacency: Tensor, pairs: Tensor) -> Tensor:
        """Maps nodes `(E, B, N, d_in)` to `(E, B, N, width)`.

        `adjacency (., B, N, N)` is upper-triangular; `pairs` are the same edges, or all pairs of nodes.
        """
        if self.enhance is not None:
            h = self.enhance(h, adjacency)
        h = self.attention(h, pairs) + self.root(h)
        h = F.normalize(h, dim=-1)
        if not self.config.unit_norm:
            h = h * math.sqrt(h.shape[-1])
        h = self.dropout(F.relu(h, inplace=True))
        hidden = F.relu(self.up(self.norm(h)), inplace=True)  # new memory takes longer
        if not self.config.feed_forward_dropout:
            return torch.addcmul(h, self.scale, self.down(hidden))
        return torch.addcmul(h, self.scale, self.dropout(self.down(self.dropout(hidden))))


class TAEnhance(nn.Module):
    """Type-aware enhancement: TAEnhance(H, D) = sigmoid(W_d D + b_d) * H (11); D counts the edges of each node."""

    def __init__(self, config: NetworkConfig, features: int) -> None:
        super().__init__()
        self.directed = config.directions == "both"
        self.gate = Linear(config.members, 2 if self.directed else 1, features)

    def forward(self, h: Tensor, adjacency: Tensor) -> Tensor:
        """Gates nodes `(E, B, N, d)` by their numbers of edges, in and out told apart if edges are directed."""
        degrees = torch.stack([adjacency.sum(-1), adjacency.sum(-2)], dim=-1)  # (., B, N, 2): out, in
        if not self.directed:
            degrees = degrees.sum(-1, keepdim=True)
        return torch.sigmoid(self.gate(degrees.expand(len(self.gate.weight), -1, -1, -1))) * h


class GraphAttention(nn.Module):
    """Graph-aided attention, one head, sigmoid instead of softmax, no self-attention.

    X = sigmoid(W_q H~ + b_q)                      (8)
    S = (X X^T / sqrt(d)) * A                      (9)
    Z = W_a (Norm(S) H~) + b_a                     (10), Norm divides each row by its sum
    With directed edges, (9) and (10) are computed for A (successors) and for A^T (predecessors), and the two added.
    """

    def __init__(self, config: NetworkConfig, features: int) -> None:
        super().__init__()
        self.directed = config.directions == "both"
        self.query = Linear(config.members, features, features)
        self.aggregate = Linear(config.members, features * (2 if self.directed else 1), config.width)

    def forward(self, h: Tensor, adjacency: Tensor | EdgeList) -> Tensor:
        """Aggregates neighbours of nodes `(E, B, N, d)` along `adjacency (., B, N, N)`; gives `(E, B, N, width)`."""
        x = torch.sigmoid(self.query(h))
        if isinstance(adjacency, EdgeList):
            return self.aggregate(adjacency.attention(x, h, self.directed))  # type: ignore[no-any-return]
        scores = x @ x.transpose(-1, -2) / math.sqrt(h.shape[-1])  # (E, B, N, N)
        backward = adjacency.transpose(-1, -2)
        if self.directed:
            z = torch.cat([_normalise(scores * adjacency) @ h, _normalise(scores * backward) @ h], dim=-1)
        else:
            z = _normalise(scores * (adjacency + backward)) @ h
        return self.aggregate(z)


def _normalise(scores: Tensor) -> Tensor:
    """Norm of equation (10); the small number (released code) only matters for a node without neighbours."""
    return scores / (scores.sum(-1, keepdim=True) + 1e-6)


class Fusion(nn.Module):
    """Hierarchical fusion: a sum of the blocks' outputs with weights computed from all of them.

    w = sigmoid(W_2 relu(W_1 [h_1; ...; h_K])),  h = sum_k w_k h_k  (section 3.3; released code).
    """

    def __init__(self, members: int, blocks: int, width: int) -> None:
        super().__init__()
        total = blocks * width
        self.hidden = Linear(members, total, total // 4, bias_bound=1 / math.sqrt(total // 4))
        self.weights = Linear(members, total // 4, blocks, bias_bound=1 / math.sqrt(blocks))

    def forward(self, outputs: Tensor) -> Tensor:
        """Fuses `(E, B, K, d)` to `(E, B, d)`."""
        weights = torch.sigmoid(self.weights(F.relu(self.hidden(outputs.flatten(-2)))))
        return (weights.unsqueeze(-1) * outputs).sum(-2)


class Head(nn.Module):
    """Prediction head: y = -logsigmoid(FC(relu(FC(relu(FC(h))))))  (12).

    Features of the whole graph, where there are any, join h through linear maps and ReLU, as the static features of
    the published latency model do through one.
    """

    def __init__(self, config: NetworkConfig, summary_features: int) -> None:
        super().__init__()
        members, width = config.members, config.width
        inner = config.head_width or width
        self.gain, self.positive, self.function = config.readout_gain, config.positive, config.positive_function
        wide = (config.summary_width or width) if summary_features else 0
        self.summary = Linear(members, summary_features, wide) if summary_features else None
        deeper = config.summary_layers - 1 if summary_features else 0
        self.deeper = nn.ModuleList(Linear(members, wide, wide) for _ in range(deeper))
        self.first = Linear(members, width + wide, inner)
        self.second = Linear(members, inner, inner)
        self.last = Linear(members, inner, 1, bias_bound=1.0)
        self.dropout = nn.Dropout(config.head_dropout)
        self.drops_input = config.head_input_dropout

    def forward(self, h: Tensor, summary: Tensor | None) -> Tensor:
        """Maps representations `(E, B, d)` and summaries `(., B, F)` to scores `(E, B)`."""
        h = self.gain * h
        if self.summary is not None:
            assert summary is not None
            s = F.relu(self.summary(summary.expand(len(h), -1, -1)))
            for layer in self.deeper:
                s = F.relu(layer(self.dropout(s)))
            h = torch.cat([h, s], dim=-1)
        if self.drops_input:
            h = self.dropout(h)
        h = self.dropout(F.relu(self.first(h)))
        h = self.dropout(F.relu(self.second(h)))
        y = self.last(h).squeeze(-1)
        if not self.positive:
            return y
        return -F.logsigmoid(y) if self.function == "logsigmoid" else torch.exp(torch.asinh(y / 2))


def network_config(config: object) -> NetworkConfig:
    """The network's part of a larger configuration that has fields of the same names."""
    return NetworkConfig(**{field.name: getattr(config, field.name) for field in fields(NetworkConfig)})
