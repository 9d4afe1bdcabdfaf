"""NAR-Former V2 as a predictor: presets of the network with fit, predict, save and load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import nn

from nasx.predictors.fitted_network import CELL_FEATURES
from nasx.predictors.inputs import Inputs
from nasx.predictors.layer_encoding import one_hot_length
from nasx.predictors.nar_former_v2 import NARFormerV2Network, network_config
from nasx.predictors.preset_predictor import PresetPredictor
from nasx.predictors.presets import PRESETS, NARFormerV2Config
from nasx.search_spaces.tokenizer import PUBLISHED_LABELS, frequency_encoding


class NARFormerV2(PresetPredictor):
    """NAR-Former V2 (Yi et al., NeurIPS 2023).

    Args:
        preset: "default" (quick, for few measurements), "paper" (as published for cells, hours on a CPU) or
            "paper-networks" (as published for the latency of whole networks, for graphs without attributes); for whole
            networks with attributes "network" (quick) or "network-paper" (as published).
        options: Fields of the preset's configuration to change, for example `{"epochs": 20, "width": 128}`.
        loss: A name of `loss_table.LOSS_TABLE`, for example "ranknet" or "list_mle"; None is the preset's own.
        as_written: Read the dead parts of cells as well, whatever the options say: for latency and energy.
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

    presets: ClassVar[Mapping[str, NARFormerV2Config]] = PRESETS
    reads: ClassVar[frozenset[str]] = frozenset(CELL_FEATURES)

    def _build(self, config: NARFormerV2Config, vocabulary: tuple[str, ...], inputs: Inputs) -> nn.Module:
        network = network_config(config)
        codes = label_codes(vocabulary) if network.tokens == "frequency" else None
        nodes, summary = (0 if part is None else part.shape[-1] for part in (inputs.nodes, inputs.summary))
        whole = config.node_attributes != "none" and network.tokens == "one_hot"
        operations = one_hot_length(vocabulary) if whole else len(vocabulary)
        return NARFormerV2Network(network, operations, nodes, summary, codes)


def label_codes(vocabulary: tuple[str, ...], frequencies: int = 32) -> torch.Tensor:
    """The published operation tokens: f_PE of the operation's number with L frequencies (published: 32), `(V, 2L)`.

    Operations of NAS-Bench-101 and NAS-Bench-201 have their published numbers; those of other spaces are numbered in
    the order of the vocabulary.
    """
    order = next((labels for labels in PUBLISHED_LABELS.values() if set(vocabulary) <= set(labels)), vocabulary)
    return torch.from_numpy(frequency_encoding([order.index(operation) for operation in vocabulary], frequencies))
