"""What torch predictors with named presets share: the constructor, and operations that no training graph has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from nasx.predictors.base import Direction
from nasx.predictors.fitted_network import CELL_FEATURES, TorchConfig
from nasx.predictors.layers import Embedding
from nasx.predictors.loss_table import with_loss
from nasx.predictors.torch_predictor import TorchPredictor, with_options
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import UsageError, unknown


class PresetPredictor(TorchPredictor):
    """Base of torch predictors: a subclass gives `presets` and `_build`, its network.

    Args:
        preset: Name of a configuration: "default" is quick on a CPU, "paper" is as published.
        options: Fields of the preset's configuration to change, for example `{"epochs": 20}`.
        loss: A name of `loss_table.LOSS_TABLE`, for example "ranknet" or "list_mle"; None is the preset's own.
        as_written: Read the dead parts of cells as well, whatever the options say: for latency and energy.
        seed: Of the initialisation, the order of the graphs and the dropout.
        direction: Which end of the targets is the good one; only losses that favour the top use it.
        device: "auto", "cpu", "cuda" or another name that torch knows.

    Raises:
        UsageError: At fit, if preset, option, loss or device do not exist.
    """

    presets: ClassVar[Mapping[str, TorchConfig]]
    reads: ClassVar[frozenset[str]] = frozenset()
    """Which of the extra features (names of `CELL_FEATURES`) the network reads."""

    def __init__(
        self,
        preset: str = "default",
        options: Mapping[str, Any] | None = None,
        loss: str | None = None,
        as_written: bool = False,
        seed: int = 0,
        direction: Direction = "maximize",
        device: str = "auto",
    ) -> None:
        self.preset = preset
        self.options = options
        self.loss = loss
        self.as_written = as_written
        self.seed = seed
        self.direction = direction
        self.device = device

    @property
    def config(self) -> Any:
        """The preset with the loss and the options put in."""
        if self.preset not in self.presets:
            raise unknown(f"preset of {type(self).__name__}", self.preset, self.presets)
        config = with_options(with_loss(self.presets[self.preset], self.loss), self.options, as_written=self.as_written)
        for name in CELL_FEATURES:
            if getattr(config, name) and name not in self.reads:
                raise UsageError(f"{type(self).__name__} does not read {name}; leave the option '{name}' off")
        return config

    def _finish(self, network: nn.Module, graphs: GraphBatch) -> None:
        """Lets an operation that no training graph has look like the average of those that they have."""
        tokens = getattr(network, "tokens", None)
        if isinstance(tokens, Embedding):
            seen = np.isin(np.arange(len(graphs.vocabulary)), graphs.operations)
            with torch.no_grad():
                tokens.weight[:, ~seen] = tokens.weight[:, seen].mean(dim=1, keepdim=True)
