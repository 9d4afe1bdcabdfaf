"""A predictor of one device (data set, metric), adapted to another one with a few measurements.

The first predictor has learnt much about networks from many measurements elsewhere; what is left to learn is how the
new device differs. Ten measurements tell how much faster it is; fifty also tell which kinds of layers it likes better:
see :mod:`nasx.predictors.residual_process`.

Whole networks are corrected in the logarithm, as latencies differ by factors; other targets as normal scores, as
accuracies have a long lower tail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nasx.predictors.base import Columns, Direction, Predictor, Progress
from nasx.predictors.baselines import is_whole
from nasx.predictors.features import FeatureExtractor
from nasx.predictors.network_features import NetworkFeatures
from nasx.predictors.residual_process import Floats, ResidualProcess
from nasx.predictors.scaling import MonotoneMap, normal_scores
from nasx.search_spaces.batch import GraphBatch, as_batch
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.packed_graphs import as_packed


class Adapted(Predictor):
    """A fitted predictor, corrected by a few measurements of something related.

    Args:
        source: The folder of the predictor that is adapted (`Predictor.save`); `Adapted.of` takes a predictor itself.
        seed: Not used: nothing is drawn.
        direction: Which end of the targets is the good one; the correction does not use it.

    Raises:
        UsageError: At fit, if there is no fitted predictor to adapt.

    >>> from nasx.predictors.baselines import TreeEnsemble
    >>> from nasx.search_spaces.graph import Graph
    >>> chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    >>> graphs = [Graph(["input", operation, "output"], chain) for operation in ("conv", "pool", "skip")]
    >>> slow = TreeEnsemble(trees=10).fit(graphs, [40.0, 20.0, 10.0])
    >>> fast = Adapted.of(slow).fit(graphs[::2], [20.0, 5.0])
    >>> [round(float(value)) for value in fast.predict(graphs[1:2])]
    [10]
    """

    _learnt: Predictor | None = None
    _process: ResidualProcess | None = None
    _extractor: FeatureExtractor | NetworkFeatures
    _maps: tuple[MonotoneMap, MonotoneMap] | None

    def __init__(self, source: str = "", seed: int = 0, direction: Direction = "maximize") -> None:
        self.source = source
        self.seed = seed
        self.direction = direction

    @classmethod
    def of(cls, learnt: Predictor, seed: int = 0, direction: Direction = "maximize") -> Self:
        """Adapts a fitted predictor.

        Raises:
            UsageError: It is not fitted.
        """
        if not learnt.fitted:
            raise UsageError(f"this {type(learnt).__name__} is not fitted yet; fit it first, then adapt it")
        adapted = cls(seed=seed, direction=direction)
        adapted._learnt = learnt
        return adapted

    def __sklearn_clone__(self) -> Self:
        """An unfitted copy that adapts the same predictor."""
        copy = type(self)(**self.get_params())
        copy._learnt = self._learnt
        return copy

    @property
    def reads_packed(self) -> bool:
        """It passes graphs on to predictors that do what they need with them."""
        return True

    @property
    def fitted(self) -> bool:
        """Whether there are measurements to correct by."""
        return self._process is not None

    def _fit(
        self,
        graphs: Columns,
        targets: NDArray[np.float64],
        validation: tuple[Columns, NDArray[np.float64]] | None,
        progress: Progress | None,
    ) -> None:
        learnt = self._learnt
        if learnt is None:
            if not self.source:
                raise UsageError(
                    "there is no predictor to adapt: give Adapted.of(predictor), or the folder of one as source="
                )
            learnt = Predictor.load(Path(self.source))
        first = learnt.predict(graphs)
        if is_whole(graphs):
            self._extractor = NetworkFeatures.of(as_packed(graphs))
        else:
            self._extractor = FeatureExtractor.of(as_batch(graphs))
        maps = None
        if not (is_whole(graphs) and (targets > 0).all() and (first > 0).all()):
            scores = normal_scores(targets)
            maps = MonotoneMap.between(first, normal_scores(first)), MonotoneMap.between(scores, targets)
            process = ResidualProcess.of(maps[0](first), self._features(graphs), scores)
        else:
            process = ResidualProcess.of(np.log(first), self._features(graphs), np.log(targets))
        self._learnt, self._maps, self._process = learnt, maps, process

    def _predict(self, graphs: Columns) -> NDArray[np.floating[Any]]:
        assert self._learnt is not None
        assert self._process is not None
        first = self._learnt.predict(graphs)
        if self._maps is not None:
            return self._maps[1](self._corrected(graphs, self._maps[0](first)))
        tiny = np.finfo(np.float64).tiny
        return np.exp(self._corrected(graphs, np.log(np.maximum(first, tiny))))

    def _corrected(self, graphs: Columns, first: Floats, chunk: int = 8192) -> Floats:
        assert self._process is not None
        starts = range(0, len(graphs), chunk)
        parts = [(graphs[start : start + chunk], first[start : start + chunk]) for start in starts]
        return np.concatenate([self._process(values, self._features(part)) for part, values in parts])

    def _features(self, graphs: Columns) -> NDArray[np.floating[Any]]:
        if isinstance(self._extractor, FeatureExtractor):
            return self._cell_features(self._extractor, as_batch(graphs))
        packed, known = as_packed(graphs), self._extractor.vocabulary
        new = tuple(word for word in packed.vocabulary if word not in known)
        return replace(self._extractor, vocabulary=(*known, *new))(packed)  # of a new operation only the whole counts

    def _cell_features(self, extractor: FeatureExtractor, cells: GraphBatch) -> NDArray[np.floating[Any]]:
        """Features of cells; NaN of those with an operation that no measured cell has."""
        new = [code for code, word in enumerate(cells.vocabulary) if word not in extractor.vocabulary]
        known = ~np.isin(cells.operations, new).any(axis=1)
        table = np.full((len(cells), int(extractor.columns.sum())), np.nan)
        if known.any():
            table[known] = extractor(cells[np.flatnonzero(known)])
        return table

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        assert self._learnt is not None
        assert self._process is not None
        state, tensors = self._learnt._state()
        inner = {"class": type(self._learnt).__name__, "params": self._learnt.get_params(), "state": state}
        if isinstance(self._extractor, NetworkFeatures):
            features: dict[str, Any] = {"networks": self._extractor.state()}
            arrays: dict[str, NDArray[Any]] = {}
        else:
            features = {"cells": list(self._extractor.vocabulary), "path_length": self._extractor.path_length}
            arrays = {"paths": self._extractor.paths, "columns": self._extractor.columns}
        maps = None if self._maps is None else [{"x": curve.x, "y": curve.y} for curve in self._maps]
        arrays |= {f"process.{name}": values for name, values in self._process.state().items()}
        arrays |= {f"learnt.{name}": values for name, values in tensors.items()}
        return {"learnt": inner, "features": features, "maps": maps}, arrays

    def _restore(self, state: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
        def under(prefix: str) -> dict[str, NDArray[Any]]:
            return {name.removeprefix(prefix): values for name, values in tensors.items() if name.startswith(prefix)}

        inner, features = state["learnt"], state["features"]
        learnt: Predictor = Predictor._class_named(inner["class"], Path("the folder"))(**inner["params"])  # type: ignore[type-abstract]
        learnt._restore(inner["state"], under("learnt."))
        if "networks" in features:
            self._extractor = NetworkFeatures.from_state(features["networks"])
        else:
            words = tuple(features["cells"])
            self._extractor = FeatureExtractor(words, tensors["paths"], tensors["columns"], features["path_length"])
        maps = state["maps"]
        self._maps = None if maps is None else (MonotoneMap(**maps[0]), MonotoneMap(**maps[1]))
        self._learnt, self._process = learnt, ResidualProcess.from_state(under("process."))
