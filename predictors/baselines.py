"""Baselines from scikit-learn over the features of graphs: an ensemble of trees, and a Gaussian process."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from nasx.predictors.base import Direction, Predictor, Progress
from nasx.predictors.features import FeatureExtractor
from nasx.predictors.scaling import TargetScaler
from nasx.search_spaces.batch import GraphBatch
from numpy.typing import NDArray


class FeatureBaseline(Predictor):
    """Base of predictors that fit a scikit-learn regressor to feature vectors.

    What is saved is the training graphs and targets, not the fitted regressor (scikit-learn can only pickle those):
    loading fits again, which takes a second or two and gives the same predictions with the same scikit-learn.
    """

    chunk = 16384  # graphs whose features are in memory at once

    _regressor: Any = None
    _extractor: FeatureExtractor
    _scaler: TargetScaler
    _training: tuple[GraphBatch, NDArray[np.float64]]

    @property
    def fitted(self) -> bool:
        """Whether there is a fitted regressor."""
        return self._regressor is not None

    @abstractmethod
    def _make_regressor(self, samples: int) -> Any:
        """A fresh scikit-learn regressor."""

    def _fit(
        self,
        graphs: GraphBatch,
        targets: NDArray[np.float64],
        validation: tuple[GraphBatch, NDArray[np.float64]] | None,
        progress: Progress | None,
    ) -> None:
        extractor = FeatureExtractor.of(graphs)
        scaler = TargetScaler.of(targets, "standard")
        regressor = self._make_regressor(len(graphs)).fit(extractor(graphs), scaler.scaled(targets))
        self._extractor, self._scaler, self._regressor = extractor, scaler, regressor
        self._training = graphs, targets

    def _predict(self, graphs: GraphBatch) -> NDArray[np.floating[Any]]:
        parts = [graphs[start : start + self.chunk] for start in range(0, len(graphs), self.chunk)]
        return self._scaler.unscaled(np.concatenate([self._regressor.predict(self._extractor(p)) for p in parts]))

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        graphs, targets = self._training
        tensors = {
            "operations": graphs.operations,
            "adjacency": graphs.adjacency,
            "num_nodes": graphs.num_nodes,
            "targets": targets,
        }
        return {"vocabulary": list(graphs.vocabulary)}, tensors

    def _restore(self, state: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
        vocabulary = tuple(state["vocabulary"])
        graphs = GraphBatch(tensors["operations"], tensors["adjacency"], tensors["num_nodes"], vocabulary)
        self._fit(graphs, tensors["targets"], None, None)


class TreeEnsemble(FeatureBaseline):
    """Extremely randomised trees (Geurts et al. 2006) over counts, walks and paths.

    Args:
        trees: Number of trees.
        max_features: Share of the features each split looks at.
        min_samples_leaf: Fewest training graphs in a leaf.
        seed: Of the trees.
        direction: Which end of the targets is the good one; trees do not use it.

    >>> from nasx.search_spaces.graph import Graph
    >>> chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    >>> graphs = [Graph(["input", operation, "output"], chain) for operation in ("conv", "pool", "skip")]
    >>> TreeEnsemble(trees=10).fit(graphs, [94.0, 91.0, 90.0]).predict(graphs[:1])
    array([94.])
    """

    def __init__(
        self,
        trees: int = 200,
        max_features: float = 0.5,
        min_samples_leaf: int = 1,
        seed: int = 0,
        direction: Direction = "maximize",
    ) -> None:
        self.trees = trees
        self.max_features = max_features
        self.min_samples_leaf = min_samples_leaf
        self.seed = seed
        self.direction = direction

    def _make_regressor(self, samples: int) -> Any:
        from sklearn.ensemble import ExtraTreesRegressor

        return ExtraTreesRegressor(
            self.trees,
            max_features=self.max_features,
            min_samples_leaf=self.min_samples_leaf,
            random_state=self.seed,
        )


class GaussianProcess(FeatureBaseline):
    """Gaussian process with a Matern 5/2 kernel and noise over standardised counts, walks and paths.

    Args:
        restarts: Times the kernel's parameters are searched for again from random starts.
        seed: Of the restarts.
        direction: Which end of the targets is the good one; the process does not use it.

    Fitting takes time cubic in the number of graphs: about a thousand is comfortable.

    >>> from nasx.search_spaces.graph import Graph
    >>> chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    >>> graphs = [Graph(["input", operation, "output"], chain) for operation in ("conv", "pool", "skip")]
    >>> bool(np.isfinite(GaussianProcess().fit(graphs, [94.0, 91.0, 90.0]).predict(graphs)).all())
    True
    """

    def __init__(self, restarts: int = 0, seed: int = 0, direction: Direction = "maximize") -> None:
        self.restarts = restarts
        self.seed = seed
        self.direction = direction

    def _make_regressor(self, samples: int) -> Any:
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        kernel = ConstantKernel(1.0) * Matern(10.0, (0.1, 1e4), nu=2.5) + WhiteKernel(0.1, (1e-4, 10.0))
        process = GaussianProcessRegressor(kernel, n_restarts_optimizer=self.restarts, random_state=self.seed)
        return make_pipeline(StandardScaler(), process)
