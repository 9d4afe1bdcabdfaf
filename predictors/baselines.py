"""Baselines from scikit-learn over the features of graphs: an ensemble of trees, and a Gaussian process."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nasx.predictors.base import Columns, Direction, Predictor, Progress
from nasx.predictors.features import Array, FeatureExtractor
from nasx.predictors.network_features import NetworkFeatures
from nasx.predictors.scaling import MonotoneMap, normal_scores
from nasx.search_spaces.batch import GraphBatch, as_batch
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.packed_graphs import PackedGraphs, as_packed

LARGE_CELL = 64
"""Packed graphs without attributes of their nodes are read as cells up to so many nodes."""
Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]


class FeatureBaseline(Predictor):
    """Base of predictors that fit a scikit-learn regressor to feature vectors.

    Graphs whose nodes have attributes are whole networks: their features are what their layers cost
    (`network_features`), and positive targets, latencies over orders of magnitude, are learned as logarithms.

    What is saved is the training graphs (of whole networks the features) and targets, not the fitted regressor
    (scikit-learn can only pickle those): loading fits again, which takes a second or two and gives the same predictions
    with the same scikit-learn.
    """

    chunk = 16384  # graphs whose features are in memory at once
    as_written = False  # whether dead parts of cells are read too

    _regressor: Any = None
    _extractor: FeatureExtractor | NetworkFeatures
    _curve: Curve | None
    _training: tuple[GraphBatch | Array, NDArray[np.float64]]

    @property
    def reads_packed(self) -> bool:
        """It does read packed graphs."""
        return True

    @property
    def fitted(self) -> bool:
        """Whether there is a fitted regressor."""
        return self._regressor is not None

    @abstractmethod
    def _make_regressor(self) -> Any:
        """A fresh scikit-learn regressor."""

    def _learned(self, targets: NDArray[np.float64]) -> tuple[NDArray[np.float64], Curve | None]:
        """What the regressor learns in place of the targets, and the way back."""
        return targets, None

    def _fit(
        self,
        graphs: Columns,
        targets: NDArray[np.float64],
        validation: tuple[Columns, NDArray[np.float64]] | None,
        progress: Progress | None,
    ) -> None:
        if is_whole(graphs):
            packed = as_packed(graphs)
            networks = NetworkFeatures.of(packed)
            self._fit_features(networks, networks(packed), targets, None)
        else:
            batch = as_batch(graphs)
            cells = FeatureExtractor.of(batch, as_written=self.as_written)
            self._fit_features(cells, cells(batch), targets, batch)

    def _fit_features(
        self,
        extractor: FeatureExtractor | NetworkFeatures,
        features: Array,
        targets: NDArray[np.float64],
        cells: GraphBatch | None,
    ) -> None:
        if cells is None and (targets > 0).all():
            learned, curve = np.log(targets), _exp
        else:
            learned, curve = self._learned(targets)  # type: ignore[assignment]
        regressor = self._make_regressor()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # kernels at the edge of their bounds, for example: no harm, much noise
            regressor.fit(features, learned)
        self._extractor, self._curve, self._regressor = extractor, curve, regressor
        self._training = features if cells is None else cells, targets

    def _features(self, graphs: Columns) -> Array:
        """Features of a part of the graphs, as the regressor learned them."""
        if isinstance(self._extractor, FeatureExtractor):
            return self._extractor(as_batch(graphs))
        if not is_whole(graphs):
            raise UsageError(
                f"this {type(self).__name__} was fitted to whole networks; these graphs do not say what nodes cost "
                "(attributes such as macs, output_1)"
            )
        return self._extractor(as_packed(graphs))

    def _chunks(self, graphs: Columns) -> list[Columns]:
        return [graphs[start : start + self.chunk] for start in range(0, len(graphs), self.chunk)]

    def _predict(self, graphs: Columns) -> NDArray[np.floating[Any]]:
        values = np.concatenate([self._regressor.predict(self._features(part)) for part in self._chunks(graphs)])
        return values if self._curve is None else self._curve(values)

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        graphs, targets = self._training
        if isinstance(self._extractor, NetworkFeatures):
            return {"networks": self._extractor.state()}, {"features": graphs, "targets": targets}  # type: ignore[dict-item]
        assert isinstance(graphs, GraphBatch)
        tensors = {
            "operations": graphs.operations,
            "adjacency": graphs.adjacency,
            "num_nodes": graphs.num_nodes,
            "targets": targets,
        }
        return {"vocabulary": list(graphs.vocabulary)}, tensors

    def _restore(self, state: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
        if "networks" in state:
            extractor = NetworkFeatures.from_state(state["networks"])
            self._fit_features(extractor, tensors["features"], tensors["targets"], None)
            return
        vocabulary = tuple(state["vocabulary"])
        graphs = GraphBatch(tensors["operations"], tensors["adjacency"], tensors["num_nodes"], vocabulary)
        self._fit(graphs, tensors["targets"], None, None)


def is_whole(graphs: Columns) -> bool:
    """Whether graphs are whole networks: their nodes have attributes, or they are packed and large."""
    if graphs.node_attributes is not None:
        return True
    return isinstance(graphs, PackedGraphs) and graphs.max_nodes > LARGE_CELL


def _exp(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(np.asarray(values, dtype=np.float64))


class TreeEnsemble(FeatureBaseline):
    """Extremely randomised trees (Geurts et al. 2006) over counts, walks and paths.

    Args:
        trees: Number of trees.
        max_features: Share of the features each split looks at, at most 1.
        min_samples_leaf: Fewest training graphs in a leaf.
        as_written: Read the dead parts of cells as well, and what stands where: for latency and energy.
        seed: Of the trees.
        direction: Which end of the targets is the good one; trees do not use it.

    >>> from nasx.search_spaces.graph import Graph
    >>> chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    >>> graphs = [Graph(["input", operation, "output"], chain) for operation in ("conv", "pool", "skip")]
    >>> TreeEnsemble(trees=10).fit(graphs, [94.0, 91.0, 90.0]).predict(graphs[:1])
    array([94.])
    """

    least: ClassVar[Mapping[str, float]] = {"seed": 0, "trees": 1, "min_samples_leaf": 1}

    def __init__(
        self,
        trees: int = 200,
        max_features: float = 0.5,
        min_samples_leaf: int = 1,
        as_written: bool = False,
        seed: int = 0,
        direction: Direction = "maximize",
    ) -> None:
        self.trees = trees
        self.max_features = max_features
        self.min_samples_leaf = min_samples_leaf
        self.as_written = as_written
        self.seed = seed
        self.direction = direction

    def _make_regressor(self) -> Any:
        from sklearn.ensemble import ExtraTreesRegressor

        if not 0 < self.max_features <= 1:
            raise UsageError(f"max_features is a share, more than 0 and at most 1; got {self.max_features}")
        return ExtraTreesRegressor(
            self.trees,
            max_features=float(self.max_features),  # a whole 1 would be one feature
            min_samples_leaf=self.min_samples_leaf,
            random_state=self.seed,
            n_jobs=1,  # threads of a surrounding joblib backend would add the trees up in any order
        )


class GaussianProcess(FeatureBaseline):
    """Gaussian process over counts, walks and paths: a linear and a Matern 5/2 kernel, and noise.

    It learns the normal scores of the targets (van der Waerden), since accuracies have a long lower tail. It also says
    how sure it is: `predict_distribution`.

    Args:
        restarts: Times the kernel's parameters are searched for again from random starts.
        as_written: Read the dead parts of cells as well, and what stands where: for latency and energy.
        seed: Of the restarts.
        direction: Which end of the targets is the good one; the process does not use it.

    Fitting takes time cubic in the number of graphs: about a thousand is comfortable.

    >>> from nasx.search_spaces.graph import Graph
    >>> chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    >>> graphs = [Graph(["input", operation, "output"], chain) for operation in ("conv", "pool", "skip")]
    >>> process = GaussianProcess().fit(graphs, [94.0, 91.0, 90.0])
    >>> process.predict(graphs).argsort().tolist()
    [2, 1, 0]
    >>> values, deviations = process.predict_distribution(graphs)
    >>> bool((deviations > 0).all())
    True
    """

    least: ClassVar[Mapping[str, float]] = {"seed": 0, "restarts": 0}

    def __init__(
        self, restarts: int = 0, as_written: bool = False, seed: int = 0, direction: Direction = "maximize"
    ) -> None:
        self.restarts = restarts
        self.as_written = as_written
        self.seed = seed
        self.direction = direction

    def _learned(self, targets: NDArray[np.float64]) -> tuple[NDArray[np.float64], Curve | None]:
        scores = normal_scores(targets)
        return scores, MonotoneMap.between(scores, targets)

    @property
    def knows_uncertainty(self) -> bool:
        """It does."""
        return True

    def _deviations(self, graphs: Columns, values: NDArray[np.float64]) -> NDArray[np.floating[Any]]:
        """Half the way between one deviation below and one above in the normal scores, in which it is normal."""
        assert self._curve is not None
        pairs = [self._regressor.predict(self._features(part), return_std=True) for part in self._chunks(graphs)]
        means, deviations = (np.concatenate(column) for column in zip(*pairs, strict=True))
        return (self._curve(means + deviations) - self._curve(means - deviations)) / 2

    def _make_regressor(self) -> Any:
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer, StandardScaler

        kernel = ConstantKernel(1.0, (1e-2, 1e3)) * Matern(1.0, (0.05, 50.0), nu=2.5)
        kernel += ConstantKernel(1.0, (1e-3, 1e3)) * DotProduct(1.0, "fixed") + WhiteKernel(0.1, (1e-3, 2.0))
        process = GaussianProcessRegressor(kernel, n_restarts_optimizer=self.restarts, random_state=self.seed)
        return make_pipeline(StandardScaler(), FunctionTransformer(_of_length_one), process)


def _of_length_one(features: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Standardised features, cut at four deviations, divided so that a typical vector has length 1."""
    return np.clip(features, -4, 4) / np.sqrt(features.shape[1])
