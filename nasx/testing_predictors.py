"""What a predictor has to get right, one check a method; see `nasx.testing.check_predictor`."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nasx.predictors.base import Predictor
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.graph import Graph

OPERATIONS = ("conv", "pool", "skip_connect")


class PredictorCheck:
    """Tries copies of a predictor on graphs whose target is the number of convolutions on all paths.

    Args:
        predictor: An unfitted predictor.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        rng = np.random.default_rng(0)
        graphs = [random_graph(rng, int(rng.integers(3, 7))) for _ in range(36)]
        self.graphs = GraphBatch.from_graphs(graphs)
        self.targets = np.array([70.0 + 5 * graph.operations.count("conv") for graph in graphs]) + rng.normal(size=36)
        self.fitted = self.fresh()
        assert self.fitted.fit(self.graphs, self.targets) is self.fitted, "fit must return the predictor itself"
        self.predictions = self.fitted.predict(self.graphs)
        assert isinstance(self.predictions, np.ndarray), (
            f"predict must give a numpy array; it gives a {type(self.predictions).__name__}"
        )

    def fresh(self, **params: Any) -> Predictor:
        """An unfitted copy with some parameters changed."""
        return type(self.predictor)(**{**self.predictor.get_params(), **params})

    def run(self) -> None:
        """Runs every check."""
        for name in dir(self):
            if name.startswith("check_"):
                getattr(self, name)()

    def check_parameters(self) -> None:
        """Constructor parameters come back unchanged, so scikit-learn can copy the predictor."""
        from sklearn.base import clone

        copy = clone(self.predictor)
        assert copy.get_params() == self.predictor.get_params(), "a clone's get_params differ from the predictor's"
        assert {"seed", "direction"} <= copy.get_params().keys(), "the constructor must take seed and direction"
        assert copy.set_params(seed=5) is copy, "set_params must return the predictor itself"
        assert copy.get_params()["seed"] == 5, "set_params does not change what get_params returns"
        rejects("set_params of a parameter that does not exist", lambda: copy.set_params(no_such_parameter=1))

    def check_wrong_input(self) -> None:
        """What cannot be learned from is refused with a sentence."""
        few, values = self.graphs[:3], self.targets[:3]
        for what, graphs, targets in (
            ("a NaN target", few, [*values[:2], np.nan]),
            ("an infinite target", few, [*values[:2], np.inf]),
            ("fewer targets than graphs", few, values[:2]),
            ("no graphs", self.graphs[:0], []),
            ("targets that are no numbers", few, ["a", "b", "c"]),
        ):
            rejects(f"fit with {what}", lambda graphs=graphs, targets=targets: self.fresh().fit(graphs, targets))  # type: ignore[misc]
        rejects("predict before fit", lambda: self.fresh().predict(few))
        rejects("save before fit", lambda: self.fresh().save(Path(tempfile.gettempdir()) / "never"))
        rejects("an unknown direction", lambda: self.fresh(direction="up").fit(few, values))
        alien = Graph(["input", "alien_operation", "output"], [[0, 1, 0], [0, 0, 1], [0, 0, 0]])
        message = rejects("predict with an unknown operation", lambda: self.fitted.predict([alien]))
        assert "alien_operation" in message, f"the error for an unknown operation must name it; it says: {message}"

    def check_predictions(self) -> None:
        """Predictions are finite float64 on the scale of the targets and in their order."""
        from scipy.stats import kendalltau

        predictions = self.predictions
        assert predictions.shape == self.targets.shape, (
            f"predict gives shape {predictions.shape} for {len(self.graphs)}"
        )
        assert predictions.dtype == np.float64, f"predict gives {predictions.dtype}; it must be float64"
        assert np.isfinite(predictions).all(), "predict gives values that are not finite"
        tau = kendalltau(predictions, self.targets).statistic
        assert not tau < -0.3, f"predictions fall where targets rise: Kendall's tau on the training graphs is {tau:.2f}"
        assert tau > 0.3, f"Kendall's tau on the training graphs is only {tau:.2f}"
        span = np.ptp(self.targets)
        inside = (predictions > self.targets.min() - span) & (predictions < self.targets.max() + span)
        assert inside.all(), (
            f"predictions run from {predictions.min():.3g} to {predictions.max():.3g}, targets from "
            f"{self.targets.min():.3g} to {self.targets.max():.3g}; predict on the scale of the targets"
        )
        minimizing = self.fresh(direction="minimize").fit(self.graphs, self.targets).predict(self.graphs)
        tau = kendalltau(minimizing, self.targets).statistic
        assert tau > 0.3, (
            f"with direction='minimize' larger predictions must still mean larger targets; tau is {tau:.2f}"
        )

    def check_graphs(self) -> None:
        """Batches, lists, parts, no graphs and graphs larger than any seen."""
        listed = self.fitted.predict(list(self.graphs))
        assert np.allclose(listed, self.predictions, rtol=1e-4), "a list of graphs and a batch give other predictions"
        part = self.fitted.predict(self.graphs[7:12])
        assert np.allclose(part, self.predictions[7:12], rtol=1e-4), "predictions depend on the other graphs asked for"
        empty = self.fitted.predict([])
        assert empty.shape == (0,), f"predict([]) must give an empty array; got {empty!r}"
        large = random_graph(np.random.default_rng(1), 25)
        assert np.isfinite(self.fitted.predict([large])).all(), "a graph larger than any in training is not predicted"

    def check_whole_networks(self) -> None:
        """Graphs whose nodes have attributes are read, or refused with a sentence."""
        names = ("macs", "memory_bytes")
        graphs = [
            Graph(graph.operations, graph.adjacency, {"flops": 2e6}, [[1e6, 1e5]] * graph.num_nodes, names)
            for graph in self.graphs[:6]
        ]
        predictions, message = np.zeros(0), ""
        try:
            predictions = self.fresh().fit(graphs, self.targets[:6]).predict(graphs)
        except UsageError as error:
            message = str(error)
        assert "\n" not in message, "the error for graphs with node attributes must be one sentence"
        assert np.isfinite(predictions).all(), "graphs with node attributes are not predicted"

    def check_determinism(self) -> None:
        """The seed decides everything, and the global random states are left alone."""
        before = self.random_states()
        again = self.fresh().fit(self.graphs, self.targets)
        assert np.array_equal(again.predict(self.graphs), self.predictions), "the same seed gives other predictions"
        for state, new in zip(before, self.random_states(), strict=True):
            assert np.array_equal(state, new), "fit or predict changes a global random state"
        again.fit(self.graphs[:9], self.targets[:9])
        again.fit(self.graphs, self.targets)
        assert np.array_equal(again.predict(self.graphs), self.predictions), "an earlier fit changes the predictions"

    def check_little_data(self) -> None:
        """One graph, equal targets, repeated graphs, odd scales and held-out graphs are all fine."""
        five = self.graphs[:5]
        for what, graphs, targets in (
            ("one graph", self.graphs[:1], [93.0]),
            ("equal targets", five, np.full(5, 10.0)),
            ("targets of zero", five, np.zeros(5)),
            ("one graph five times", self.graphs[[0] * 5], self.targets[:5]),
            ("negative targets", five, -1e6 * self.targets[:5]),
        ):
            predictions = self.fresh().fit(graphs, targets).predict(self.graphs)
            assert np.isfinite(predictions).all(), f"after fitting {what}, predictions are not finite"
        held_out = self.graphs[5:9], self.targets[5:9]
        predictions = self.fresh().fit(five, self.targets[:5], validation=held_out).predict(five)
        assert np.isfinite(predictions).all(), "fit with validation graphs gives predictions that are not finite"

    def check_saving(self) -> None:
        """What was saved predicts the same; what is damaged, foreign or newer is refused with a sentence."""
        kind = type(self.predictor)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "predictor"
            self.fitted.save(folder)
            loaded = kind.load(folder)
            assert loaded.get_params() == self.predictor.get_params(), "load does not restore the parameters"
            restored = loaded.predict(self.graphs)
            assert np.allclose(restored, self.predictions, rtol=1e-6), "a loaded predictor predicts something else"
            document, weights = folder / "predictor.json", folder / "weights.safetensors"
            text, numbers = document.read_text(encoding="utf-8"), weights.read_bytes()
            newer = {**json.loads(text), "version": 1_000_000}
            for what, path, content in (
                ("a cut predictor.json", document, text[: len(text) // 2].encode()),
                ("a predictor.json of another program", document, b'{"hello": 1}'),
                ("a newer predictor.json", document, json.dumps(newer).encode()),
                ("cut weights", weights, numbers[: len(numbers) // 2]),
                ("empty weights", weights, b""),
            ):
                original = path.read_bytes()
                path.write_bytes(content)
                rejects(f"load with {what}", lambda: kind.load(folder), NasxError)
                path.write_bytes(original)
            rejects("load of an empty folder", lambda: kind.load(Path(name)), NasxError)

    def random_states(self) -> list[Any]:
        """The global random states of numpy and, where it is loaded, torch."""
        states: list[Any] = [np.random.get_state(legacy=False)["state"]["key"]]  # noqa: NPY002
        if "torch" in sys.modules:
            states.append(sys.modules["torch"].get_rng_state().numpy())
        return states


def check_constructor(predictor: Predictor) -> None:
    """Checks that the constructor takes seed and direction and keeps every argument under its own name."""
    import inspect

    kind = type(predictor).__name__
    names = list(inspect.signature(type(predictor)).parameters)
    for name in ("seed", "direction"):
        if name not in names:
            raise AssertionError(
                f"the constructor must take seed and direction; write {kind}.__init__(self, ..., seed=0, "
                "direction='maximize')"
            )
    for name in names:
        if not hasattr(predictor, name):
            raise AssertionError(
                f"the constructor of {kind} must keep '{name}' under the same name: self.{name} = {name}"
            )


def random_graph(rng: np.random.Generator, nodes: int) -> Graph:
    """A chain of random operations with shortcuts."""
    operations = ["input", *rng.choice(OPERATIONS, nodes - 2).tolist(), "output"]
    adjacency = np.triu(rng.random((nodes, nodes)) < 0.3, 1) | np.eye(nodes, k=1, dtype=bool)
    return Graph(operations, adjacency)


def rejects(what: str, call: Callable[[], object], kind: type[NasxError] = UsageError) -> str:
    """Checks that a call raises the error that a user reads, in one sentence; returns it."""
    raised: Exception | None = None
    try:
        call()
    except Exception as error:
        raised = error
    assert raised is not None, f"{what} is accepted; it must raise {kind.__name__}"
    assert isinstance(raised, kind), f"{what} raises {type(raised).__name__}; it must raise {kind.__name__}"
    assert "\n" not in str(raised), f"the error of {what} must be one sentence"
    return str(raised)
