from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasx.predictors import load_predictor, make_predictor
from nasx.predictors.base import Direction, Predictor, check_measured
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.testing import check_predictor


class Edges(Predictor):
    """A predictor of a user's own: a line through the number of edges."""

    def __init__(self, seed: int = 0, direction: Direction = "maximize") -> None:
        self.seed = seed
        self.direction = direction
        self.line: list[float] | None = None

    @property
    def fitted(self) -> bool:
        return self.line is not None

    def _features(self, graphs: GraphBatch) -> np.ndarray:
        known = {"input", "conv", "pool", "skip_connect", "output"}
        graphs.recode(sorted(known))
        return (graphs.operations == graphs.vocabulary.index("conv")).sum(axis=1)  # type: ignore[no-any-return]

    def _fit(self, graphs: GraphBatch, targets: np.ndarray, validation: Any, progress: Any) -> None:
        x = self._features(graphs)
        slope = float(np.cov(x, targets)[0, 1] / x.var()) if x.std() else 0.0
        self.line = [slope, float(targets.mean() - slope * x.mean())]

    def _predict(self, graphs: GraphBatch) -> np.ndarray:
        assert self.line is not None
        return self.line[0] * self._features(graphs) + self.line[1]

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return {}, {"line": np.array(self.line)}

    def _restore(self, state: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
        self.line = [float(number) for number in tensors["line"]]


def test_a_predictor_of_ones_own_passes_the_conformance_test() -> None:
    check_predictor(Edges())


def test_the_conformance_test_finds_faults() -> None:
    class Forgetful(Edges):
        def _restore(self, state: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
            self.line = [0.0, 0.0]

    class Moody(Edges):
        def _predict(self, graphs: GraphBatch) -> np.ndarray:
            return super()._predict(graphs) + np.random.normal(size=len(graphs))  # noqa: NPY002

    with pytest.raises(AssertionError, match="loaded"):
        check_predictor(Forgetful())
    with pytest.raises(AssertionError, match=r"seed|depend|state|list"):
        check_predictor(Moody())


def test_load_finds_registered_classes_only(tmp_path: Path, graphs: GraphBatch, targets: np.ndarray) -> None:
    make_predictor("trees", trees=5).fit(graphs, targets).save(tmp_path / "trees")
    Edges().fit(graphs, targets).save(tmp_path / "edges")
    assert type(load_predictor(tmp_path / "trees")).__name__ == "TreeEnsemble"
    assert isinstance(Edges.load(tmp_path / "edges"), Edges)
    with pytest.raises(NasxError, match="Edges"):
        load_predictor(tmp_path / "edges")
    with pytest.raises(NasxError, match="TreeEnsemble"):
        Edges.load(tmp_path / "trees")


def test_many_graphs_are_predicted_in_parts(
    graphs: GraphBatch, targets: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Edges().fit(graphs, targets)
    whole, sizes = predictor.predict(graphs), []
    ask = predictor._predict
    monkeypatch.setattr("nasx.predictors.base.GRAPHS_AT_ONCE", 7)
    monkeypatch.setattr(predictor, "_predict", lambda part: (sizes.append(len(part)), ask(part))[1])
    assert np.array_equal(predictor.predict(graphs), whole)
    assert sizes == [7, 7, 7, 3]


def test_bad_targets_are_explained(graphs: GraphBatch) -> None:
    values = np.ones(24)
    values[[3, 9]] = np.nan, np.inf
    with pytest.raises(UsageError, match=r"2 of 24 targets are not finite.*position 3"):
        check_measured(graphs, values)
    with pytest.raises(UsageError, match=r"24 graphs but targets of shape \(24, 1\)"):
        check_measured(graphs, np.ones((24, 1)))


def test_repr_shows_the_parameters() -> None:
    assert repr(Edges(seed=3)) == "Edges(seed=3, direction='maximize')"
