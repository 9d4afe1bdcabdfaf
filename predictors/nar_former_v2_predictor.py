"""NAR-Former V2 as a predictor: presets of the network with fit, predict, save and load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from nasx.predictors.base import Direction
from nasx.predictors.inputs import Inputs
from nasx.predictors.nar_former_v2 import NARFormerV2Network, network_config
from nasx.predictors.presets import PRESETS, NARFormerV2Config
from nasx.predictors.torch_predictor import TorchConfig, TorchPredictor, with_options
from nasx.search_spaces.errors import unknown
from torch import nn

PUBLISHED_LABELS = (
    ("input", "conv1x1-bn-relu", "conv3x3-bn-relu", "maxpool3x3", "output"),
    ("input", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "skip_connect", "none", "output"),
)
"""The numbers 0, 1, ... of the operations of NAS-Bench-101 and NAS-Bench-201 in the released code."""


class NARFormerV2(TorchPredictor):
    """NAR-Former V2 (Yi et al., NeurIPS 2023).

    Args:
        preset: "default" (quick, for few measurements) or "paper" (as published, hours on a CPU).
        options: Fields of the preset's configuration to change, for example `{"epochs": 20, "width": 128}`.
        seed: Of the initialisation, the order of the graphs and the dropout.
        direction: Which end of the targets is the good one; only losses that favour the top use it.
        device: "auto", "cpu", "cuda" or another name that torch knows.

    Raises:
        UsageError: At fit, if preset, option, loss or device do not exist.

    >>> from nasx.search_spaces.graph import Graph
    >>> chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    >>> graphs = [Graph(["input", operation, "output"], chain) for operation in ("conv", "pool", "skip")]
    >>> predictor = NARFormerV2(options={"width": 8, "min_steps": 30}).fit(graphs, [94.0, 91.0, 90.0])
    >>> [int(rank) for rank in predictor.predict(graphs).argsort()]
    [2, 1, 0]
    """

    def __init__(
        self,
        preset: str = "default",
        options: Mapping[str, Any] | None = None,
        seed: int = 0,
        direction: Direction = "maximize",
        device: str = "auto",
    ) -> None:
        self.preset = preset
        self.options = options
        self.seed = seed
        self.direction = direction
        self.device = device

    @property
    def config(self) -> NARFormerV2Config:
        """The preset with the options put in."""
        if self.preset not in PRESETS:
            raise unknown("preset of nar-former-v2", self.preset, PRESETS)
        return with_options(PRESETS[self.preset], self.options)  # type: ignore[no-any-return]

    def _build(self, config: TorchConfig, vocabulary: tuple[str, ...], inputs: Inputs) -> nn.Module:
        network = network_config(config)
        codes = label_codes(vocabulary) if network.tokens == "frequency" else None
        features = (0 if part is None else part.shape[-1] for part in (inputs.nodes, inputs.summary))
        return NARFormerV2Network(network, len(vocabulary), *features, label_codes=codes)


def label_codes(vocabulary: tuple[str, ...]) -> torch.Tensor:
    """The published operation tokens: f_PE of the operation's number with 32 frequencies, `(V, 64)`.

    Operations of NAS-Bench-101 and NAS-Bench-201 have their published numbers; those of other spaces are numbered in
    the order of the vocabulary.
    """
    from nasx.search_spaces.tokenizer import frequency_encoding

    order = next((labels for labels in PUBLISHED_LABELS if set(vocabulary) <= set(labels)), vocabulary)
    return torch.as_tensor(frequency_encoding([order.index(operation) for operation in vocabulary], 32))
