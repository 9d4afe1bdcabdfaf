"""Latency as a sum over layers, whose rates (`roofline`) a small network gives.

It reads a layer's attributes and which operations come just before and after it: what a compiler fuses. An operation
never seen is read as the average one.

Shapes: E ensemble members, B graphs, N nodes, V operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasx.predictors.fitted_network import Links, TorchConfig
from nasx.predictors.inputs import Inputs
from nasx.predictors.layers import Linear
from nasx.predictors.preset_predictor import PresetPredictor
from nasx.predictors.roofline import RATES, Roofline
from nasx.search_spaces.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class LayerCostsConfig(TorchConfig):
    """The network and its training."""

    width: int = 128
    layers: int = 2
    """Hidden layers."""
    dropout: float = 0.0

    @property
    def links(self) -> Links:
        """A layer's attributes say what is around it."""
        return "none"

    def __post_init__(self) -> None:
        """Checks what the single fields cannot."""
        if self.node_attributes != "log":
            raise UsageError("layer-costs reads attributes of nodes as logarithms; leave node_attributes='log'")


class LayerCostsNetwork(nn.Module):
    """Attributes to rates of layers to positive scores.

    >>> config = LayerCostsConfig(members=2, width=16, node_attributes="log")
    >>> network = LayerCostsNetwork(config, operations=3, node_features=5)
    >>> codes, mask, nodes, sizes = (torch.zeros(1, 4, 7, *shape) for shape in ((), (), (5,), (2,)))
    >>> network(Inputs(codes.long(), torch.zeros(1, 4, 0, 0), mask, nodes, sizes=sizes)).shape
    torch.Size([2, 4])
    """

    def __init__(self, config: LayerCostsConfig, operations: int, node_features: int) -> None:
        super().__init__()
        self.config, self.operations = config, operations
        members, width, features = config.members, config.width, operations + node_features
        sizes = [features, *[width] * config.layers]
        self.hidden = nn.ModuleList(Linear(members, before, after) for before, after in pairwise(sizes))
        self.roofline = Roofline(members, width)
        self.direct = Linear(members, features, RATES)
        for value in self.direct.parameters():
            nn.init.zeros_(value)

    def forward(self, graphs: Inputs) -> Tensor:
        """Scores graphs: `(E, B)`."""
        assert graphs.nodes is not None
        one_hot = F.one_hot(graphs.codes, self.operations).to(graphs.nodes.dtype)
        x = torch.cat([one_hot, graphs.nodes], dim=-1).expand(self.config.members, -1, -1, -1)
        h = x
        for layer in self.hidden:
            h = F.dropout(F.silu(layer(h)), self.config.dropout, self.training)
        return self.roofline(h, graphs, self.direct(x))  # type: ignore[no-any-return]


DEFAULT = LayerCostsConfig(
    node_attributes="log",
    losses={"relative_log": 1.0},
    consistency=0.0,
    target_scaling="geometric",
    optimizer="adamw",
    learning_rate=4e-3,
    weight_decay=0.01,
    schedule="cosine",
    epochs=40,
    min_steps=2000,
    batch_size=32,
)


class LayerCosts(PresetPredictor):
    """Latency as a sum of what the layers cost; reads whole networks whose nodes have attributes.

    Targets should be positive (latency, energy, memory): they are learned by their relative errors.

    Args:
        preset: "default".
        options: Fields of the preset's configuration to change, for example `{"epochs": 80, "members": 3}`.
        loss: A name of `loss_table.LOSS_TABLE`; None is the preset's own, the logarithm of the ratio.
        as_written: Changes nothing: whole networks are read as they are.
        seed: Of the initialisation and the order of the graphs.
        direction: Which end of the targets is the good one; only losses that favour the top use it.
        device: "auto", "cpu", "cuda" or another name that torch knows.

    >>> from nasx.search_spaces.graph import Graph
    >>> graphs = [Graph(["Conv"], [[0]], None, [[macs, 1e6]], ["macs", "memory_bytes"]) for macs in (1e7, 1e8, 1e9)]
    >>> predictor = LayerCosts(options={"width": 8, "min_steps": 200}).fit(graphs, [1.0, 2.0, 11.0])
    >>> [int(rank) for rank in predictor.predict(graphs).argsort()]
    [0, 1, 2]
    """

    presets: ClassVar[Mapping[str, LayerCostsConfig]] = {"default": DEFAULT}

    def _build(self, config: LayerCostsConfig, vocabulary: tuple[str, ...], inputs: Inputs) -> nn.Module:
        assert inputs.nodes is not None
        return LayerCostsNetwork(config, len(vocabulary), inputs.nodes.shape[-1])

    def _finish(self, network: nn.Module, graphs: Any) -> None:
        """Gives an operation that no training graph has the average name: the seen ones, each as often as it occurs."""
        assert isinstance(network, LayerCostsNetwork)
        counts = np.bincount(graphs.operations, minlength=network.operations)
        device = network.roofline.constant.device
        shares = torch.tensor(counts / counts.sum(), dtype=torch.float32, device=device)
        unseen = torch.tensor(np.flatnonzero(counts == 0), device=device)
        with torch.no_grad():
            for layer in (network.hidden[0], network.direct):
                assert isinstance(layer, Linear)
                length = layer.weight.shape[1]
                # names of the operation itself first; of those before and after it last
                for first in (0, length - 2 * network.operations, length - network.operations):
                    names = layer.weight[:, first : first + network.operations]  # (E, V, d)
                    names[:, unseen] = shares @ names[:, None]
