"""Latency as a sum over layers with one rate for each kind of layer: the roofline as a linear model.

    y = w_0 + sum_kinds (n w_1 + macs w_2 + sqrt(macs) w_3 + bytes w_4 + parameters w_5 + outputs w_6) + totals

where n, macs, ... are those of all layers of a kind together (`network_features.layer_kinds`), totals those of all
layers, and no weight is negative. Square roots stand for layers too small to be computed at full speed. Fitted in
milliseconds, by relative errors; what it knows of a network of a new family is the kinds of its layers. What this
leaves over, a few per cent, trees learn as the logarithm of the ratio.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nasx.predictors.base import Columns, Direction, Predictor, Progress
from nasx.predictors.features import Array
from nasx.predictors.linear_costs import fit_nonnegative
from nasx.predictors.network_features import NetworkFeatures, node_column, output_elements, summed
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.packed_graphs import PackedGraphs, as_packed


class KindCosts(Predictor):
    """A non-negative linear model of what the layers of a network cost, kind by kind; reads whole networks.

    Targets should be positive (latency, energy, memory); predictions are, if they are.

    Args:
        trees: Number of extremely randomised trees that correct the linear model; 0 for the linear model alone.
        seed: Of the trees.
        direction: Which end of the targets is the good one; has no effect.

    Raises:
        UsageError: At fit and predict, if no node says what it costs.

    >>> from nasx.search_spaces.graph import Graph
    >>> graphs = [Graph(["Conv"], [[0]], None, [[macs, 1e6]], ["macs", "memory_bytes"]) for macs in (1e7, 1e8, 1e9)]
    >>> KindCosts(trees=0).fit(graphs, [1.0, 1.9, 10.9]).predict(graphs).round(2).tolist()
    [1.0, 1.9, 10.9]
    """

    least: ClassVar[Mapping[str, float]] = {"seed": 0, "trees": 0}
    _weights: NDArray[np.float64] | None = None
    _features: NetworkFeatures
    _least: float
    _regressor: Any = None
    _training: tuple[Array, NDArray[np.float64]]

    def __init__(self, trees: int = 100, seed: int = 0, direction: Direction = "maximize") -> None:
        self.trees = trees
        self.seed = seed
        self.direction = direction

    @property
    def reads_packed(self) -> bool:
        """It does read packed graphs."""
        return True

    @property
    def fitted(self) -> bool:
        """Whether there are weights."""
        return self._weights is not None

    def _fit(
        self,
        graphs: Columns,
        targets: NDArray[np.float64],
        validation: tuple[Columns, NDArray[np.float64]] | None,
        progress: Progress | None,
    ) -> None:
        packed = as_packed(graphs)
        features = NetworkFeatures.of(packed)
        sums = _sums(features, packed)
        weights, least = fit_nonnegative(sums, targets)
        described, left_over = np.zeros((0, 0), dtype=np.float32), np.zeros(0)
        if self.trees and least > 0:
            described, left_over = features(packed), np.log(targets / np.maximum(sums @ weights, least))
        self._features, self._weights, self._least = features, weights, least
        self._correct(described, left_over)

    def _correct(self, described: Array, left_over: NDArray[np.float64]) -> None:
        """Fits the trees to what the linear model leaves over, if there is anything to fit."""
        self._regressor, self._training = None, (described, left_over)
        if len(left_over):
            from sklearn.ensemble import ExtraTreesRegressor

            trees = ExtraTreesRegressor(
                self.trees, max_features=0.5, min_samples_leaf=2, random_state=self.seed, n_jobs=1
            )
            self._regressor = trees.fit(described, left_over)

    def _predict(self, graphs: Columns) -> NDArray[np.float64]:
        assert self._weights is not None
        packed = as_packed(graphs)
        values = np.maximum(_sums(self._features, packed) @ self._weights, self._least)
        if self._regressor is None:
            return values
        return values * np.exp(self._regressor.predict(self._features(packed)))

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        assert self._weights is not None
        least = self._least if np.isfinite(self._least) else None
        described, left_over = self._training
        tensors: dict[str, NDArray[Any]] = {"weights": self._weights, "described": described, "left_over": left_over}
        return {"features": self._features.state(), "least": least}, tensors

    def _restore(self, state: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
        self._features = NetworkFeatures.from_state(state["features"])
        self._least = -np.inf if state["least"] is None else float(state["least"])
        self._weights = np.asarray(tensors["weights"], dtype=np.float64)
        self._correct(tensors["described"], tensors["left_over"])


def _sums(features: NetworkFeatures, graphs: PackedGraphs) -> NDArray[np.float64]:
    """Costs kind by kind, totals, and a one: `(B, 6 K + 5)`."""
    if not {"macs", "memory_bytes", "parameters", "output_1"} & set(graphs.node_attribute_names):
        raise UsageError(
            "these graphs do not say what their nodes cost (attributes such as macs and memory_bytes); networks read "
            "from ONNX files and from node tables do"
        )
    graphs = graphs.recode(features.vocabulary)
    macs, memory = node_column(graphs, "macs"), node_column(graphs, "memory_bytes")
    parameters, outputs = node_column(graphs, "parameters"), output_elements(graphs)
    ones = np.ones(len(macs))
    own = features.sums(graphs, [ones, macs, np.sqrt(macs), memory, parameters, outputs])
    totals = [summed(graphs, values) for values in (ones, macs, memory, outputs)]
    return np.concatenate([*own, np.stack([*totals, np.ones(len(graphs))], axis=1)], axis=1)
