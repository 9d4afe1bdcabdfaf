"""A trained network with everything it takes to score graphs and to be saved."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau
from torch import nn

from nasx.predictors.feature_process import FeatureProcess
from nasx.predictors.features import Array, known_paths, node_features, path_encoding, summary_features
from nasx.predictors.inputs import Inputs, encode
from nasx.predictors.layer_encoding import Encoding
from nasx.predictors.memory import halving
from nasx.predictors.random_walks import visits, walk_features
from nasx.predictors.scaling import MonotoneMap, Scaling, ScoreMap, TargetScaler
from nasx.predictors.signal_features import signal_features
from nasx.predictors.threads import for_each
from nasx.predictors.trainer import TrainingConfig
from nasx.search_spaces.batch import GraphBatch

NODES_A_CHUNK = 2048  # nodes scored at once: larger chunks fall out of the processor's cache
CHUNKS_ENCODED = 4  # chunks whose features are computed together: numpy has fewer calls to make

CELL_FEATURES = ("node_features", "summary_features", "walk_features", "signal_features", "path_features")
Links = Literal["dense", "edges", "none"]
"""Edges as matrices `(B, N, N)`, as `edges.EdgeList`, or not at all."""


@dataclass(frozen=True, kw_only=True)
class TorchConfig(TrainingConfig):
    """How graphs and targets reach a network, and how it is trained."""

    members: int = 1
    pruned: bool = False
    """Read graphs without their dead parts, so that functionally equal cells look equal."""
    node_features: bool = False
    """Join each node's token with where it stands: depth, numbers of paths (`features.node_features`)."""
    summary_features: bool = False
    """Join the graph's representation with counts, depths and walks (`features.summary_features`)."""
    walk_features: bool = False
    """Join what random walks meet to both: to tokens the chances of the node (`random_walks.visits`), to the
    representation the graph's `random_walks.walk_features`."""
    signal_features: bool = False
    """Join the graph's representation with what a random network of it would do to a signal
    (`signal_features.signal_features`)."""
    path_features: bool = False
    """Join the graph's representation with a number for every path of the training graphs: 1 where it has that path."""
    process_vote: bool = False
    """Let a Gaussian process on the features of whole graphs, if there are any, vote as one more member
    (`feature_process`)."""
    process_metric: bool = True
    """Let the process learn which directions of the features matter."""
    copies: Literal["reordered", "same"] = "reordered"
    """What the consistency term compares a graph with: its first other topological order (published), or itself
    under another dropout."""
    target_scaling: Scaling = "unit"
    node_attributes: Encoding = "none"
    """How attributes of nodes and of whole networks are read (`layer_encoding`); none: graphs are cells without any."""

    @property
    def links(self) -> Links:
        """How a network reads the edges of whole networks."""
        return "dense"


Build = Callable[[TorchConfig, tuple[str, ...], Inputs], nn.Module]
"""Makes a network that maps `Inputs` of `(E, b)` graphs, shaped as the given ones, to scores `(E, b)`."""


@dataclass
class FittedNetwork:
    """A network and what surrounds it; made blank by `prepared`, trained from outside."""

    config: TorchConfig
    vocabulary: tuple[str, ...]
    scaler: TargetScaler
    score_map: ScoreMap
    summary_scaler: tuple[Array, Array] | None
    device: torch.device
    network: nn.Module = dataclasses.field(default_factory=nn.Identity)
    paths: NDArray[np.uint64] | None = None
    process: FeatureProcess | None = None
    normal_curve: MonotoneMap | None = None
    """From the process's normal scores to targets."""

    @classmethod
    def prepared(
        cls, config: TorchConfig, graphs: GraphBatch, targets: NDArray[np.float64], device: torch.device, build: Build
    ) -> FittedNetwork:
        """Learns vocabulary and scales from the training graphs and targets and builds the untrained network."""
        scaler = TargetScaler.of(targets, config.target_scaling)
        score_map = ScoreMap.identity(config.members)
        fitted = cls(config, graphs.vocabulary, scaler, score_map, None, device)
        graphs = fitted.readable(graphs)
        summaries = fitted._summaries(graphs)
        if summaries is not None:
            fitted.summary_scaler = summaries.mean(axis=0), summaries.std(axis=0)
        if config.path_features:
            fitted.paths = known_paths(graphs)
        fitted.network = build(config, fitted.vocabulary, fitted.inputs(graphs[:1])).to(device)
        return fitted

    def readable(self, graphs: GraphBatch) -> GraphBatch:
        """The graphs as the network reads them: pruned if so configured, in the vocabulary of the training graphs.

        Raises:
            UsageError: If a graph has an operation that the vocabulary lacks.
        """
        return (graphs.pruned() if self.config.pruned else graphs).recode(self.vocabulary)

    def inputs(self, graphs: GraphBatch) -> Inputs:
        """Readable graphs as tensors on the device."""
        nodes = _joined(
            node_features(graphs) if self.config.node_features else None,
            visits(graphs) if self.config.walk_features else None,
        )
        summary = self._summaries(graphs)
        if summary is not None and self.summary_scaler is not None:
            mean, deviation = self.summary_scaler
            varies = deviation > 1e-6  # what never varied in training says nothing
            summary = np.where(varies, (summary - mean) / np.where(varies, deviation, 1), 0)
            summary = summary.clip(-5, 5)
        if self.paths is not None:
            summary = _joined(summary, path_encoding(graphs, self.paths))
        return encode(graphs, self.device, nodes, summary)

    def _summaries(self, graphs: GraphBatch) -> Array | None:
        """Features of whole graphs `(B, F)` before they are scaled."""
        return _joined(
            summary_features(graphs) if self.config.summary_features else None,
            walk_features(graphs) if self.config.walk_features else None,
            signal_features(graphs) if self.config.signal_features else None,
        )

    def scores(self, graphs: GraphBatch) -> NDArray[np.float32]:
        """The members' scores `(E, B)` of readable graphs, the process's last; equal graphs are computed once."""
        distinct, place = graphs.distinct()
        members = self.config.members
        scores = np.empty((members + (self.process is not None), len(distinct)), dtype=np.float32)
        self.network.eval()

        def score_all(nodes: int) -> None:
            @torch.inference_mode()
            def score(rows: NDArray[np.intp]) -> None:
                inputs = self.inputs(distinct[rows])
                parts = -(-inputs.codes.numel() // nodes)
                for part in np.array_split(np.arange(len(rows)), min(parts, len(rows))):
                    found = self.network(inputs.rows(torch.from_numpy(part)).unsqueezed())
                    scores[:members, rows[part]] = found.cpu().numpy()
                if self.process is not None and inputs.summary is not None:
                    scores[members, rows] = self.process(inputs.summary).cpu().numpy()

            for_each(score, list(_chunks(distinct.num_nodes, nodes)), self.network, self.device)

        halving(score_all, NODES_A_CHUNK, "nodes scored together")
        return scores[:, place]

    def predict(self, graphs: GraphBatch) -> NDArray[np.float64]:
        """Predicted targets `(B,)`."""
        return self.scaler.unscaled(self.score_map(self.scores(self.readable(graphs))))

    def quality(self, graphs: GraphBatch, targets: NDArray[np.float64]) -> float:
        """Kendall's tau on held-out graphs; -1 where it is undefined."""
        scores = self.scores(self.readable(graphs))
        scores = scores / np.maximum(scores.std(axis=1, keepdims=True), 1e-9)  # no member outvotes the others
        tau = float(kendalltau(scores.mean(axis=0), targets).statistic)
        return -1.0 if np.isnan(tau) else tau

    def deviations(self, graphs: GraphBatch, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The process's standard deviations around predicted targets, `(B,)` each.

        They are of normal scores: a deviation is half the way between one below and one above there.
        """
        assert self.process is not None
        assert self.normal_curve is not None
        process, readable = self.process, self.readable(graphs)
        found = np.empty(len(readable))

        @torch.inference_mode()
        def deviate(rows: NDArray[np.intp]) -> None:
            summary = self.inputs(readable[rows]).summary
            assert summary is not None
            found[rows] = process.deviations(summary).cpu().numpy()

        for_each(deviate, list(_chunks(readable.num_nodes)), self.network, self.device)
        curve = self.normal_curve
        place = MonotoneMap(curve.y, curve.x)(values)
        return (curve(place + found) - curve(place - found)) / 2

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """A JSON-able part and named arrays."""
        tensors = {f"network.{key}": value.cpu().numpy() for key, value in self.network.state_dict().items()}
        if self.summary_scaler is not None:
            tensors |= dict(zip(("summary.mean", "summary.deviation"), self.summary_scaler, strict=True))
        if self.paths is not None:
            tensors["paths"] = self.paths
        state: dict[str, Any] = {
            "config": dataclasses.asdict(self.config),
            "vocabulary": list(self.vocabulary),
            "scaler": dataclasses.asdict(self.scaler),
            "score_map": dataclasses.asdict(self.score_map),
        }
        if self.process is not None:
            assert self.normal_curve is not None
            state["process"], arrays = self.process.state()
            state["normal_curve"] = dataclasses.asdict(self.normal_curve)
            tensors |= {f"process.{key}": value for key, value in arrays.items()}
        return state, tensors

    @classmethod
    def restored(
        cls,
        kind: type[TorchConfig],
        state: Mapping[str, Any],
        tensors: Mapping[str, NDArray[Any]],
        device: torch.device,
        build: Build,
    ) -> FittedNetwork:
        """What `state` described, its configuration being of the given kind."""
        config, vocabulary = kind(**state["config"]), tuple(state["vocabulary"])
        fitted = cls(
            config, vocabulary, TargetScaler(**state["scaler"]), ScoreMap.from_dict(state["score_map"]), None, device
        )
        if "summary.mean" in tensors:
            fitted.summary_scaler = tensors["summary.mean"], tensors["summary.deviation"]
        fitted._restore_parts(state, tensors)
        network = build(config, vocabulary, fitted._blank_inputs())
        network.load_state_dict({key: torch.from_numpy(tensors[f"network.{key}"]) for key in network.state_dict()})
        fitted.network = network.to(device).eval()
        return fitted

    def _restore_parts(self, state: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
        """Takes back what else `state` gave."""
        if self.config.path_features:
            self.paths = tensors["paths"]
        if "process" in state:
            parts = {key.removeprefix("process."): part for key, part in tensors.items() if key.startswith("process.")}
            self.process = FeatureProcess.restored(state["process"], parts)
            self.normal_curve = MonotoneMap(**state["normal_curve"])

    def _blank_inputs(self) -> Inputs:
        """Inputs of some graph, for their shape."""
        return self.inputs(GraphBatch([[0]], [[[False]]], [1], self.vocabulary))


def _joined(*arrays: Array | None) -> Array | None:
    """Arrays side by side along the last dimension, any of which may be missing."""
    present = [array for array in arrays if array is not None]
    return np.concatenate(present, axis=-1) if present else None


def _chunks(num_nodes: NDArray[np.integer[Any]], nodes: int = NODES_A_CHUNK) -> Iterator[NDArray[np.intp]]:
    """Row numbers in chunks of graphs of one size, so that nothing is padded; a few graphs are one chunk."""
    if len(num_nodes) and len(num_nodes) * num_nodes.max() <= CHUNKS_ENCODED * nodes:
        yield np.arange(len(num_nodes))
        return
    for count in np.unique(num_nodes):
        rows = np.flatnonzero(num_nodes == count)
        yield from np.array_split(rows, -(-len(rows) * int(count) // (CHUNKS_ENCODED * nodes)))
