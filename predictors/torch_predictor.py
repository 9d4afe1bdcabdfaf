"""What predictors that are torch networks share: fitting, predicting, saving."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, get_type_hints

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nasx.predictors.augmentation import first_reorderings
from nasx.predictors.base import Direction, Predictor, Progress
from nasx.predictors.feature_process import MOST_ROWS, VOTES, FeatureProcess
from nasx.predictors.fitted_network import FittedNetwork, TorchConfig
from nasx.predictors.fitted_packed import FittedPacked
from nasx.predictors.inputs import Inputs
from nasx.predictors.losses import LOSSES, RANKING_LOSSES
from nasx.predictors.memory import halving
from nasx.predictors.network_inputs import InParts
from nasx.predictors.parameters import check_option
from nasx.predictors.scaling import MonotoneMap, ScoreMap, normal_scores
from nasx.predictors.threads import is_narrow, one_thread
from nasx.predictors.trainer import train
from nasx.search_spaces.errors import UsageError, unknown

FEW_ROWS = 500
"""So many rows of a Gaussian process are too few to be shared between threads."""


class TorchPredictor(Predictor):
    """Base of torch predictors: a subclass names its configuration and builds its network."""

    seed: int
    direction: Direction
    device: str
    _fitted: FittedNetwork | None = None

    @property
    @abstractmethod
    def config(self) -> TorchConfig:
        """The full configuration, from the constructor's parameters."""

    @abstractmethod
    def _build(self, config: Any, vocabulary: tuple[str, ...], inputs: Inputs) -> nn.Module:
        """A fresh network that maps `Inputs` of `(E, b)` graphs, shaped as the given ones, to scores `(E, b)`."""

    def _finish(self, network: nn.Module, graphs: Any) -> None:
        """Called with the trained network and its training graphs, as they were read."""

    @property
    def fitted(self) -> bool:
        """Whether there is a trained network."""
        return self._fitted is not None

    @property
    def network(self) -> nn.Module:
        """The trained network.

        Raises:
            UsageError: If there is none yet.
        """
        if self._fitted is None:
            raise UsageError(f"this {type(self).__name__} is not fitted yet; call fit(graphs, targets) first")
        return self._fitted.network

    @property
    def reads_packed(self) -> bool:
        """Whether it reads whole networks, packed and with attributes, and not cells."""
        return self.config.node_attributes != "none"  # type: ignore[no-any-return]

    def _fit(
        self,
        graphs: Any,
        targets: NDArray[np.float64],
        validation: tuple[Any, NDArray[np.float64]] | None,
        progress: Progress | None,
    ) -> None:
        config = self.config
        if not self.reads_packed and graphs.node_attributes is not None:
            raise UsageError(
                f"{type(self).__name__} with preset '{getattr(self, 'preset', 'default')}' reads cells, not nodes "
                "with attributes; use layer-costs, nar-former-v2:network, nn-former:network or nnlp:network"
            )

        def attempt(batch_size: int) -> FittedNetwork:
            smaller = dataclasses.replace(config, batch_size=batch_size)
            return self._trained(smaller, graphs, targets, validation, progress)

        self._fitted = halving(attempt, config.batch_size, "graphs a training step")

    def _trained(
        self,
        config: Any,
        graphs: Any,
        targets: NDArray[np.float64],
        validation: tuple[Any, NDArray[np.float64]] | None,
        progress: Progress | None,
    ) -> FittedNetwork:
        """A trained network and what surrounds it."""
        device = resolve_device(self.device)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(self.seed)
            kind = FittedPacked if self.reads_packed else FittedNetwork
            fitted = kind.prepared(config, graphs, targets, device, self._build)
            graphs, scaled = fitted.readable(graphs), fitted.scaler.scaled(targets)
            copies, network = None, fitted.network
            inputs: Any
            if isinstance(fitted, FittedPacked):
                inputs, network = fitted.source(graphs), InParts(network)
            else:
                inputs = fitted.inputs(graphs)
                if config.consistency:
                    copies = fitted.inputs(first_reorderings(graphs)) if config.copies == "reordered" else inputs
            with one_thread(is_narrow(network)):
                train(
                    network,
                    inputs,
                    copies,
                    torch.from_numpy(scaled).to(device, torch.float32),
                    config,
                    members=1 if self.reads_packed else config.members,  # members share the batches of whole networks
                    direction=self.direction,
                    validate=None if validation is None else lambda: fitted.quality(*validation),
                    progress=progress,
                )
            if config.process_vote and inputs.summary is not None:
                some = torch.randperm(len(targets))[:MOST_ROWS].numpy()
                features, metric = inputs.summary.cpu().numpy()[some], config.process_metric
                with one_thread(len(some) < FEW_ROWS):
                    fitted.process = FeatureProcess.fitted(features, scaled[some], metric=metric)
                fitted.normal_curve = MonotoneMap.between(normal_scores(targets[some]), targets[some])
        self._finish(fitted.network, graphs)
        if fitted.process is not None or not RANKING_LOSSES.isdisjoint(config.losses):
            votes = [1.0] * config.members + [VOTES] * (fitted.process is not None)
            fitted.score_map = ScoreMap.of(fitted.scores(graphs), scaled, votes)
        return fitted

    def _predict(self, graphs: Any) -> NDArray[np.float64]:
        assert self._fitted is not None
        return self._fitted.predict(graphs)

    @property
    def knows_uncertainty(self) -> bool:
        """Whether a Gaussian process votes: how sure the ensemble is, is what the process says."""
        config = self.config
        return config.process_vote and (config.summary_features or config.walk_features or config.signal_features)

    def _deviations(self, graphs: Any, values: NDArray[np.float64]) -> NDArray[np.float64]:
        assert self._fitted is not None
        return self._fitted.deviations(graphs, values)

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        assert self._fitted is not None
        return self._fitted.state()

    def _restore(self, state: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
        device = resolve_device(self.device)
        kind = FittedPacked if "encoder" in state else FittedNetwork
        self._fitted = kind.restored(type(self.config), state, tensors, device, self._build)


def resolve_device(device: str) -> torch.device:
    """The device of a name; "auto" is a GPU where there is one.

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


def with_options(config: TorchConfig, options: Mapping[str, Any] | None, *, as_written: bool = False) -> Any:
    """A configuration with some fields changed.

    Args:
        config: The configuration.
        options: Fields and their new values.
        as_written: Whether graphs are read with their dead parts, whatever the configuration says.

    Raises:
        UsageError: If a field, a choice or a loss does not exist, or a value is of another kind than the one it
            replaces.

    >>> with_options(TorchConfig(), {"epochs": 7}).epochs
    7
    """
    fields, hints = {field.name for field in dataclasses.fields(config)}, get_type_hints(type(config))
    hints = {name: hint for name, hint in hints.items() if name in fields}
    for name, value in (options or {}).items():
        if name not in hints:
            raise unknown("option", name, hints)
        check_option(f"option '{name}'", getattr(config, name), hints[name], value)
        if name.endswith("dropout") and hints[name] is float and value >= 1:
            raise UsageError(f"option '{name}' is a share of what is dropped and must be below 1; got {value}")
    changed = dataclasses.replace(config, **(options or {}))
    if not changed.losses:
        raise UsageError("option 'losses' is empty; name at least one loss and its weight")
    for name, weight in changed.losses.items():
        if name not in LOSSES:
            raise unknown("loss", name, LOSSES)
        check_option(f"weight of loss '{name}'", 1.0, float, weight)
    return dataclasses.replace(changed, pruned=False) if as_written else changed
