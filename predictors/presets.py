"""Named configurations of NAR-Former V2."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from nasx.predictors.fitted_network import Links, TorchConfig
from nasx.predictors.nar_former_v2 import NetworkConfig


@dataclass(frozen=True, kw_only=True)
class NARFormerV2Config(NetworkConfig, TorchConfig):
    """Everything about a NAR-Former V2: graphs, tokens, network, losses, training. The defaults are as published."""

    @property
    def links(self) -> Links:
        """Lists of edges, unless nodes attend to all others."""
        return "edges" if self.attention == "graph" else "dense"


PAPER = NARFormerV2Config()
"""Exactly the published accuracy predictor: 6 blocks of 512, 8,582,535 parameters; hours on a CPU."""

PAPER_NETWORKS = NARFormerV2Config(
    blocks=2,
    tokens="one_hot",
    readout="sum",
    fused=False,
    losses={"relative_mse": 1.0},
    consistency=0.0,
    target_scaling="none",
    learning_rate=1e-3,
    epochs=50,
    batch_size=16,
)
"""The published predictor of the latency of whole networks: 2 blocks of 512, the sum of the last one's nodes."""

NETWORK_PAPER = dataclasses.replace(PAPER_NETWORKS, node_attributes="published", target_scaling="geometric")
"""The same with attributes of layers: tokens of 152 numbers, static features of 40. Latencies are divided by their
geometric mean, so that it does not matter whether they are in seconds or milliseconds."""

NETWORK = NARFormerV2Config(
    node_attributes="log",
    tokens="learned",
    directions="both",
    readout="roofline",
    readout_gain=1 / 64,
    fused=False,
    blocks=2,
    width=64,
    groups=4,
    group_norm=False,
    layer_scale=0.5,
    unit_norm=False,
    dropout=0.0,
    feed_forward_dropout=False,
    places="added",
    summary_width=64,
    head_width=64,
    head_dropout=0.0,
    initialisation="lecun",
    neighbour_gain=2.0,
    positive_function="squareplus",
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
"""Quick on whole networks: attributes as logarithms, both directions, costs of the layers added up, the logarithm of
the ratio. The head is for `readout="sum"`: with the published -logsigmoid on the plain sum, some fits end at zero for
every network."""

DEFAULT = NARFormerV2Config(
    pruned=True,
    tokens="learned",
    node_features=True,
    summary_features=True,
    walk_features=True,
    signal_features=True,
    process_vote=True,
    directions="both",
    members=3,
    blocks=3,
    width=32,
    groups=4,
    group_norm=False,
    layer_scale=0.5,
    unit_norm=False,
    dropout=0.02,
    shared_dropout=True,
    feed_forward_dropout=False,
    places="added",
    summary_width=64,
    summary_layers=2,
    head_width=64,
    head_dropout=0.1,
    head_input_dropout=True,
    initialisation="lecun",
    neighbour_gain=2.0,
    positive=False,
    losses={"pairwise_logistic": 1.0},
    consistency=0.0,
    target_scaling="standard",
    optimizer="adamw",
    learning_rate=6e-3,
    weight_decay=0.05,
    schedule="cosine",
    epochs=75,
    min_steps=100,
    max_steps=550,
    batch_size=256,
)
"""Quick on a CPU and better in Kendall's tau when few architectures are measured."""

PRESETS = {
    "default": DEFAULT,
    "paper": PAPER,
    "paper-networks": PAPER_NETWORKS,
    "network": NETWORK,
    "network-paper": NETWORK_PAPER,
}
