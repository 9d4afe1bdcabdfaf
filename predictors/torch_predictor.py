"""What predictors that are torch networks share: encoding, fitting, scoring, saving."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from nasx.predictors.augmentation import first_reorderings
from nasx.predictors.base import Direction, Predictor, Progress
from nasx.predictors.features import Array, node_features, summary_features
from nasx.predictors.inputs import Inputs, encode
from nasx.predictors.losses import LOSSES, RANKING_LOSSES
from nasx.predictors.scaling import Scaling, ScoreMap, TargetScaler
from nasx.predictors.trainer import TrainingConfig, train
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import UsageError, unknown
from numpy.typing import NDArray
from scipy.stats import kendalltau
from torch import nn


@dataclass(frozen=True, kw_only=True)
class TorchConfig(TrainingConfig):
    """Training, and how graphs and targets reach the network."""

    members: int = 1
    pruned: bool = False
    """Read graphs without their dead parts, so that functionally equal cells look equal."""
    copies: Literal["reordered", "same"] = "reordered"
    """What the consistency term compares a graph with: its first other topological order (published), or itself
    under another dropout."""
    node_features: bool = False
    """Join each node's token with where it stands: depth, numbers of paths (`features.node_features`)."""
    summary_features: bool = False
    """Join the graph's representation with counts, depths and walks (`features.summary_features`)."""
    target_scaling: Scaling = "unit"


class TorchPredictor(Predictor):
    """Base of torch predictors: a subclass names its configuration and builds its network."""

    seed: int
    direction: Direction
    device: str

    @property
    @abstractmethod
    def config(self) -> TorchConfig:
        """The full configuration, from the constructor's parameters."""

    @abstractmethod
    def _build(self, config: TorchConfig, vocabulary: tuple[str, ...], inputs: Inputs) -> nn.Module:
        """A fresh network that maps `Inputs` of `(E, b)` graphs, shaped as the given ones, to scores `(E, b)`."""

    _network: nn.Module | None = None
    _config: TorchConfig
    _vocabulary: tuple[str, ...]
    _scaler: TargetScaler
    _score_map: ScoreMap
    _summary_scaler: tuple[Array, Array] | None

    @property
    def fitted(self) -> bool:
        """Whether there is a trained network."""
        return self._network is not None

    def _fit(
        self,
        graphs: GraphBatch,
        targets: NDArray[np.float64],
        validation: tuple[GraphBatch, NDArray[np.float64]] | None,
        progress: Progress | None,
    ) -> None:
        fitting = object.__new__(type(self))  # an interrupted fit must not leave a half-changed predictor behind
        fitting.__dict__.update(self.__dict__)
        device = resolve_device(self.device)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(self.seed)
            fitting._fit_network(graphs, targets, validation, progress, device)
        self.__dict__.update(fitting.__dict__)

    def _fit_network(
        self,
        graphs: GraphBatch,
        targets: NDArray[np.float64],
        validation: tuple[GraphBatch, NDArray[np.float64]] | None,
        progress: Progress | None,
        device: torch.device,
    ) -> None:
        config = self._config = self.config
        self._vocabulary = graphs.vocabulary
        graphs = self._readable(graphs)
        self._summary_scaler = None
        if config.summary_features:
            summaries = summary_features(graphs)
            self._summary_scaler = summaries.mean(axis=0), summaries.std(axis=0)
        self._scaler = TargetScaler.of(targets, config.target_scaling)
        scaled = self._scaler.scaled(targets)
        inputs = self._inputs(graphs, device)
        self._network = self._build(config, self._vocabulary, inputs).to(device)
        copies = None
        if config.consistency:
            copies = self._inputs(first_reorderings(graphs), device) if config.copies == "reordered" else inputs

        def validate() -> float:
            assert validation is not None
            scores = self._scores(self._readable(validation[0])).mean(axis=0)
            tau = kendalltau(scores, validation[1]).statistic
            return -1.0 if np.isnan(tau) else float(tau)

        train(
            self._network,
            inputs,
            copies,
            torch.from_numpy(scaled).to(device, torch.float32),
            config,
            members=config.members,
            direction=self.direction,
            validate=None if validation is None else validate,
            progress=progress,
        )
        self._score_map = ScoreMap.identity(config.members)
        if ranks(config):
            self._score_map = ScoreMap.of(self._scores(graphs), scaled)

    def _predict(self, graphs: GraphBatch) -> NDArray[np.floating[Any]]:
        return self._scaler.unscaled(self._score_map(self._scores(self._readable(graphs))))

    def _readable(self, graphs: GraphBatch) -> GraphBatch:
        """The graphs as the network reads them: pruned if so configured, in the vocabulary of the training graphs."""
        return (graphs.pruned() if self._config.pruned else graphs).recode(self._vocabulary)

    def _inputs(self, graphs: GraphBatch, device: torch.device) -> Inputs:
        nodes = node_features(graphs) if self._config.node_features else None
        summary = None
        if self._summary_scaler is not None:
            mean, deviation = self._summary_scaler
            summary = (summary_features(graphs) - mean) / np.where(deviation > 1e-6, deviation, 1)
            summary = np.where(deviation > 1e-6, summary.clip(-5, 5), 0)  # what never varied says nothing
        return encode(graphs, device, nodes, summary)

    def _scores(self, graphs: GraphBatch) -> NDArray[np.float32]:
        """The members' scores `(E, B)` of readable graphs, graphs of one size side by side to save padding."""
        assert self._network is not None
        device = next(self._network.parameters()).device
        self._network.eval()
        scores = np.empty((self._config.members, len(graphs)), dtype=np.float32)
        with torch.inference_mode():
            for rows in _chunks(graphs.num_nodes, nodes_a_chunk=4096):
                inputs = self._inputs(graphs[rows], device).unsqueezed()
                scores[:, rows] = self._network(inputs).cpu().numpy()
        return scores

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        assert self._network is not None
        tensors = {f"network.{key}": value.cpu().numpy() for key, value in self._network.state_dict().items()}
        if self._summary_scaler is not None:
            tensors |= dict(zip(("summary.mean", "summary.deviation"), self._summary_scaler, strict=True))
        state = {
            "config": dataclasses.asdict(self._config),
            "vocabulary": list(self._vocabulary),
            "scaler": dataclasses.asdict(self._scaler),
            "score_map": self._score_map.to_dict(),
        }
        return state, tensors

    def _restore(self, state: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
        self._config = type(self.config)(**state["config"])
        self._vocabulary = tuple(state["vocabulary"])
        self._scaler = TargetScaler(**state["scaler"])
        self._score_map = ScoreMap(**state["score_map"])
        self._summary_scaler = None
        if self._config.summary_features:
            self._summary_scaler = tensors["summary.mean"], tensors["summary.deviation"]
        blank = GraphBatch([[0]], [[[False]]], [1], self._vocabulary)
        network = self._build(self._config, self._vocabulary, self._inputs(blank, torch.device("cpu")))
        weights = {key.removeprefix("network."): torch.from_numpy(tensors[key].copy()) for key in tensors}
        network.load_state_dict({key: weights[key] for key in network.state_dict()})
        self._network = network.to(resolve_device(self.device)).eval()


def ranks(config: TorchConfig) -> bool:
    """Whether a loss fixes only the order of scores, so that their scale must be found afterwards."""
    return not RANKING_LOSSES.isdisjoint(config.losses)


def _chunks(num_nodes: NDArray[np.integer[Any]], nodes_a_chunk: int) -> Iterator[NDArray[np.intp]]:
    """Row numbers in chunks of graphs of one size, so that nothing is padded and a chunk stays in the cache."""
    for count in np.unique(num_nodes):
        rows = np.flatnonzero(num_nodes == count)
        yield from np.array_split(rows, -(-len(rows) * int(count) // nodes_a_chunk))


def resolve_device(device: str) -> torch.device:
    """The device of a name; "auto" is the best one present.

    Raises:
        UsageError: If torch does not know the name or the device is not there.

    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device '{device}' is not available here; use auto, cpu or cuda") from error
    return torch.device(device)


def with_options(config: TorchConfig, options: Mapping[str, Any] | None) -> Any:
    """A configuration with some fields changed.

    Raises:
        UsageError: If a field or a loss does not exist.
    """
    known = {field.name for field in dataclasses.fields(config)}
    for name in options or {}:
        if name not in known:
            raise unknown("option", name, known)
    changed = dataclasses.replace(config, **(options or {}))
    for name in changed.losses:
        if name not in LOSSES:
            raise unknown("loss", name, LOSSES)
    return changed
