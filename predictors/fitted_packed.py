"""A trained network that reads whole networks, with everything it takes to score them and to be saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nasx.predictors.fitted_network import CELL_FEATURES, Build, FittedNetwork, TorchConfig
from nasx.predictors.inputs import Inputs
from nasx.predictors.layer_encoding import LayerEncoder
from nasx.predictors.memory import halving
from nasx.predictors.network_inputs import NODES_A_BUCKET, NetworkInputs
from nasx.predictors.scaling import ScoreMap, TargetScaler
from nasx.predictors.threads import for_each
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.packed_graphs import PackedGraphs, as_packed


@dataclass
class FittedPacked(FittedNetwork):
    """As `FittedNetwork`, for packed graphs whose nodes have attributes."""

    encoder: LayerEncoder | None = None

    @classmethod
    def prepared(  # type: ignore[override]
        cls, config: TorchConfig, graphs: PackedGraphs, targets: NDArray[np.float64], device: torch.device, build: Build
    ) -> FittedPacked:
        """Learns vocabulary, scales and encoding from the training graphs and targets and builds the network."""
        for name in (*CELL_FEATURES, "process_vote"):
            if getattr(config, name):
                raise UsageError(
                    f"option '{name}' is for cells; leave it off, or node_attributes, the encoding of whole networks"
                )
        scaler = TargetScaler.of(targets, config.target_scaling)
        fitted = cls(config, graphs.vocabulary, scaler, ScoreMap.identity(config.members), None, device)
        graphs = fitted.readable(graphs)
        fitted.encoder = LayerEncoder.of(config.node_attributes, graphs)
        fitted.network = build(config, fitted.vocabulary, fitted.inputs(graphs[:1])).to(device)
        return fitted

    def readable(self, graphs: Any) -> PackedGraphs:  # type: ignore[override]
        """The graphs as the network reads them.

        Raises:
            UsageError: If a graph has an operation that the vocabulary lacks.
        """
        packed = as_packed(graphs)
        if self.config.pruned:
            packed = PackedGraphs.from_graphs([graph.pruned() for graph in packed])
        return packed.recode(self.vocabulary)

    def source(self, graphs: PackedGraphs) -> NetworkInputs:
        """Readable graphs, to be encoded batch by batch."""
        assert self.encoder is not None
        return NetworkInputs(graphs, self.encoder, self.device, self.config.links)

    def inputs(self, graphs: PackedGraphs) -> Inputs:  # type: ignore[override]
        """A few readable graphs as tensors `(1, B)`."""
        return self.source(graphs).inputs(graphs)

    def scores(self, graphs: PackedGraphs) -> NDArray[np.float32]:  # type: ignore[override]
        """The members' scores `(E, B)` of readable graphs, part by part."""
        scores = np.empty((self.config.members, len(graphs)), dtype=np.float32)
        source = self.source(graphs)
        self.network.eval()

        def score_all(nodes: int) -> None:
            @torch.inference_mode()
            def score(rows: NDArray[np.intp]) -> None:
                scores[:, rows] = self.network(source.inputs(graphs[rows])).cpu().numpy()

            for_each(score, source.parts(graphs, nodes), self.network, self.device)

        halving(score_all, NODES_A_BUCKET, "nodes scored together")
        return scores

    def quality(self, graphs: PackedGraphs, targets: NDArray[np.float64]) -> float:  # type: ignore[override]
        """Minus the mean absolute relative error on held-out graphs; Kendall's tau if targets are not positive."""
        if not (targets > 0).all():
            return super().quality(graphs, targets)  # type: ignore[arg-type]
        return -float(np.abs(self.predict(graphs) / targets - 1).mean())  # type: ignore[arg-type]

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """A JSON-able part and named arrays."""
        assert self.encoder is not None
        state, tensors = super().state()
        state["encoder"], arrays = self.encoder.state()
        return state, tensors | arrays

    def _restore_parts(self, state: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
        self.encoder = LayerEncoder.from_state(state["encoder"], tensors)

    def _blank_inputs(self) -> Inputs:
        return self.inputs(PackedGraphs.from_graphs([Graph([self.vocabulary[0]], [[0]])]).recode(self.vocabulary))
