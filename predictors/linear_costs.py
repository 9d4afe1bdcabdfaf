"""Latency as a sum of costs: the baselines FLOPs and FLOPs + MAC of NNLQP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasx.predictors.base import Columns, Direction, Predictor, Progress
from nasx.predictors.network_features import GRAPH_COSTS, graph_cost
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.packed_graphs import PackedGraphs, as_packed


class LinearCosts(Predictor):
    """`y = w_0 + sum_k w_k c_k` with costs c of the whole network and weights that are not negative.

    The weights have the least mean squared relative error of the training targets, so that small networks count as much
    as large ones; predictions are positive. `flops` is one cost, `flops-macs` (L. Liu et al., NNLQP, ICPP 2022: FLOPs
    and memory access) two.

    Args:
        costs: Names of attributes of whole graphs, joined by commas; where a graph lacks one, its nodes' are added up.
        seed: Has no effect.
        direction: Which end of the targets is the good one; has no effect.

    Raises:
        UsageError: At fit and predict, if a graph says nothing of a cost.

    >>> from nasx.search_spaces.graph import Graph
    >>> graphs = [Graph(["conv"], [[0]], {"flops": flops}) for flops in (1e6, 2e6, 4e6)]
    >>> LinearCosts().fit(graphs, [3.0, 5.0, 9.0]).predict(graphs).round(3).tolist()
    [3.0, 5.0, 9.0]
    """

    _weights: NDArray[np.float64] | None = None
    _least: float

    def __init__(self, costs: str = "flops", seed: int = 0, direction: Direction = "maximize") -> None:
        self.costs = costs
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
        self._weights, self._least = fit_nonnegative(self._costs(as_packed(graphs)), targets)

    def _predict(self, graphs: Columns) -> NDArray[np.float64]:
        assert self._weights is not None
        return np.maximum(self._costs(as_packed(graphs)) @ self._weights, self._least)

    def _costs(self, graphs: PackedGraphs) -> NDArray[np.float64]:
        """Costs and a one, `(B, C + 1)`."""
        names = [name.strip() for name in self.costs.split(",") if name.strip()]
        columns = [np.ones(len(graphs))]
        for name in names:
            column = graph_cost(graphs, name)
            unknown = np.flatnonzero(np.isnan(column))
            if len(unknown):
                known = [cost for cost in GRAPH_COSTS if not np.isnan(graph_cost(graphs, cost)).any()]
                raise UsageError(
                    f"{len(unknown)} of {len(graphs)} graphs do not say their '{name}', which {type(self).__name__} "
                    f"adds up; {'all say ' + ', '.join(known) if known else 'networks read from ONNX files do'}"
                )
            columns.append(column)
        return np.stack(columns, axis=1)

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        assert self._weights is not None
        least = self._least if np.isfinite(self._least) else None
        return {"least": least}, {"weights": self._weights}

    def _restore(self, state: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
        self._least = -np.inf if state["least"] is None else float(state["least"])
        self._weights = np.asarray(tensors["weights"], dtype=np.float64)


def fit_nonnegative(x: NDArray[np.float64], targets: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Weights `(C,)`, none negative, with the least mean squared relative error, and the least value to predict.

    Args:
        x: Costs `(B, C)`, none negative.
        targets: `(B,)`; if all are positive, so is the least value, a hundredth of the smallest.

    >>> weights, least = fit_nonnegative(np.array([[1.0, 0.0], [1.0, 2.0]]), np.array([3.0, 7.0]))
    >>> weights.round(6).tolist(), least
    ([3.0, 2.0], 0.03)
    """
    from scipy.optimize import nnls

    scale = np.maximum(x.max(axis=0), 1e-300)  # costs are 1e3 to 1e12, a constant is 1
    size = np.abs(targets)
    size = np.maximum(size, 1e-6 * size.max(initial=0.0)) if size.any() else np.ones(len(targets))
    weights, _ = nnls(x / scale / size[:, None], targets / size, maxiter=100 * x.shape[1])
    least = float(targets.min() / 100) if (targets > 0).all() else -np.inf
    return weights / scale, least
