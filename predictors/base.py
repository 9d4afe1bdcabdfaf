"""The contract every predictor keeps: an estimator over graphs with fit, predict, get_params, save and load."""

from __future__ import annotations

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasx.predictors.parameters import check_parameters
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import NasxError, UsageError, unknown
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.packed_graphs import PackedGraphs, as_graphs

Columns = GraphBatch | PackedGraphs
Graphs = Columns | Sequence[Graph]
Direction = Literal["maximize", "minimize"]
Progress = Callable[[int, int], None]
"""Called as `progress(steps_done, steps_in_all)` while a predictor is being fitted."""

FORMAT = "nasx-predictor"
FORMAT_VERSION = 1

MOST_PADDED = 2**28
"""Entries of adjacency matrices that a predictor of padded graphs is given at once."""
GRAPHS_AT_ONCE = 2**16
"""Graphs that a predictor of padded graphs is asked for at once: what it computes of them takes memory."""
NODES_A_BUCKET = 2**15
"""Nodes of packed graphs that a predictor of padded graphs is asked for at once."""


class Predictor(ABC):
    """An estimator over graphs of operations.

    Subclasses take explicit constructor parameters, store each unchanged under its own name (so that
    `sklearn.base.clone` works) and write `_fit`, `_predict`, `_state` and `_restore`. Everything a caller can do
    wrongly is checked here once. Larger predictions always mean larger targets; `direction` only says which end of
    the targets is the good one.

    A parameter `as_written`, where a class has it, makes it read the parts of cells that compute nothing as well: a
    device spends time and energy on them. Whoever predicts what a device needs sets it (`nasx.pareto_search` does).

    A class whose `reads_packed` is true is given packed graphs as they are, `PackedGraphs`; others get them padded.
    """

    seed: int
    direction: Direction
    least: ClassVar[Mapping[str, float]] = {"seed": 0}
    """Smallest sensible values of parameters; kinds are compared with the constructor's annotations anyway."""

    @property
    def reads_packed(self) -> bool:
        """Whether `_fit` and `_predict` are given packed graphs as they are, and not padded."""
        return False

    def fit(
        self,
        graphs: Graphs,
        targets: ArrayLike,
        *,
        validation: tuple[Graphs, ArrayLike] | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learns from measured graphs; an interrupted fit leaves the predictor as it was.

        Args:
            graphs: The B graphs that were measured.
            targets: Their measured values `(B,)`, finite, in any unit.
            validation: Optional (graphs, targets) by which a model that trains in steps chooses its best step.
            progress: Called as `progress(steps_done, steps_in_all)` now and then.

        Returns:
            The predictor itself.

        Raises:
            UsageError: If there are no graphs, the numbers of graphs and targets differ, a target is not finite, or a
                parameter of the predictor makes no sense.
        """
        check_direction(self.direction)
        check_parameters(self, self.least)
        held_out = None
        if validation is not None:
            held_out = self._read(*check_measured(*validation, what="validation graphs"))
        self._fit(*self._read(*check_measured(graphs, targets)), held_out, progress)
        return self

    def _read(self, graphs: Columns, targets: NDArray[np.float64]) -> tuple[Any, NDArray[np.float64]]:
        """Measured graphs in a form that `_fit` reads."""
        if self.reads_packed or isinstance(graphs, GraphBatch):
            return graphs, targets
        if len(graphs) * graphs.max_nodes**2 > MOST_PADDED:
            raise UsageError(
                f"{type(self).__name__} pads {len(graphs):,} graphs to {graphs.max_nodes:,} nodes, which "
                "takes too much memory; use a predictor of whole networks, such as nar-former-v2:network or lightgbm"
            )
        return graphs.dense(), targets

    def predict(self, graphs: Graphs) -> NDArray[np.float64]:
        """Predicts the values of graphs.

        Args:
            graphs: B graphs; none is fine.

        Returns:
            Predicted values `(B,)` on the scale of the training targets.

        Raises:
            UsageError: If the predictor is not fitted, or a graph has an operation that it was not fitted with.
        """
        if not self.fitted:
            raise UsageError(f"this {type(self).__name__} is not fitted yet; call fit(graphs, targets) first")
        if len(graphs) == 0:
            return np.zeros(0)
        columns = as_graphs(graphs)
        if self.reads_packed or (isinstance(columns, GraphBatch) and len(columns) <= GRAPHS_AT_ONCE):
            return np.asarray(self._predict(columns), dtype=np.float64)  # type: ignore[arg-type]
        if isinstance(columns, GraphBatch):
            parts = (columns[first : first + GRAPHS_AT_ONCE] for first in range(0, len(columns), GRAPHS_AT_ONCE))
            return np.concatenate([np.asarray(self._predict(part), dtype=np.float64) for part in parts])
        values = np.empty(len(columns))
        for rows in columns.buckets(NODES_A_BUCKET):
            values[rows] = self._predict(columns[rows].dense())
        return values

    @property
    def knows_uncertainty(self) -> bool:
        """Whether `predict_distribution` has an answer."""
        return False

    def predict_distribution(self, graphs: Graphs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predicts the values of graphs, and how far off a measured value may be.

        Args:
            graphs: B graphs; none is fine.

        Returns:
            Predicted values `(B,)`, as `predict` gives them, and standard deviations `(B,)` of a measurement around
            them, noise included, both on the scale of the training targets.

        Raises:
            UsageError: If the predictor does not know how sure it is, is not fitted, or a graph has an operation that
                it was not fitted with.
        """
        if not self.knows_uncertainty:
            raise UsageError(
                f"{type(self).__name__} does not know how sure it is; use nar-former-v2 or gaussian-process"
            )
        values = self.predict(graphs)
        if len(values) == 0:
            return values, np.zeros(0)
        columns = as_graphs(graphs)
        if not self.reads_packed and isinstance(columns, PackedGraphs):
            columns = columns.dense()
        return values, np.asarray(self._deviations(columns, values), dtype=np.float64)  # type: ignore[arg-type]

    def _deviations(self, graphs: Any, values: NDArray[np.float64]) -> NDArray[np.floating[Any]]:
        """Standard deviations `(B,)` of measurements around the predicted values."""
        raise NotImplementedError

    @property
    @abstractmethod
    def fitted(self) -> bool:
        """Whether `fit` has been called (or a fitted predictor was loaded)."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor parameters and their values, as scikit-learn asks for them."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params: Any) -> Self:
        """Changes constructor parameters; they take effect at the next fit.

        Raises:
            UsageError: If a parameter does not exist.
        """
        known = self._parameter_names()
        for name, value in params.items():
            if name not in known:
                raise unknown(f"parameter of {type(self).__name__}", name, known)
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:
        """Says to scikit-learn that this is a regressor, so that its cross-validation and searches take it."""
        from sklearn.utils import RegressorTags, Tags, TargetTags

        return Tags("regressor", TargetTags(required=True), regressor_tags=RegressorTags())

    def save(self, folder: str | Path) -> Path:
        """Writes the fitted predictor as `predictor.json` and `weights.safetensors` into a folder (made if missing).

        Raises:
            UsageError: If the predictor is not fitted.
        """
        from safetensors.numpy import save_file

        if not self.fitted:
            raise UsageError(f"this {type(self).__name__} is not fitted yet; there is nothing to save")
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        state, tensors = self._state()
        document = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "class": type(self).__name__,
            "params": self.get_params(),
            "state": state,
        }
        save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, folder / "weights.safetensors")
        (folder / "predictor.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Reads a predictor that `save` wrote; nothing in the files is ever executed.

        Called on `Predictor` it finds the class among the registered predictors; called on a class of your own it
        expects a file of that class.

        Raises:
            NasxError: If the files are missing, cut short, of a newer format or not a predictor.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        folder = Path(folder)
        document = _read_document(folder / "predictor.json")
        kind = cls._class_named(document["class"], folder)
        try:
            tensors = load_file(folder / "weights.safetensors")
            predictor = kind(**document["params"])
            predictor._restore(document["state"], tensors)
        except FileNotFoundError as error:
            raise NasxError(f"{folder} has no weights.safetensors; save the predictor again") from error
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, IndexError, AttributeError) as error:
            raise NasxError(f"the predictor in {folder} is damaged or incomplete; save it again ({error})") from error
        return predictor

    @abstractmethod
    def _fit(
        self,
        graphs: GraphBatch,
        targets: NDArray[np.float64],
        validation: tuple[GraphBatch, NDArray[np.float64]] | None,
        progress: Progress | None,
    ) -> None:
        """Learns from checked data; assigns fitted attributes only at the very end."""

    @abstractmethod
    def _predict(self, graphs: GraphBatch) -> NDArray[np.floating[Any]]:
        """Predicts at least one graph."""

    @abstractmethod
    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What was learned: a JSON-able part and named arrays."""

    @abstractmethod
    def _restore(self, state: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
        """Takes back what `_state` gave."""

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    @classmethod
    def _class_named(cls, name: object, folder: Path) -> type[Self]:
        """The class a saved predictor belongs to: this one, or a registered subclass of it."""
        from nasx.predictors import registered_classes

        if name == cls.__name__:
            return cls
        for kind in registered_classes():
            if kind.__name__ == name and issubclass(kind, cls):
                return kind
        raise NasxError(f"{folder} holds a predictor of class '{name}', which {cls.__name__}.load does not know")

    def __repr__(self) -> str:
        params = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({params})"


def check_measured(graphs: Graphs, targets: ArrayLike, what: str = "graphs") -> tuple[Columns, NDArray[np.float64]]:
    """Checks measured graphs and their targets.

    Returns:
        The graphs as a batch, or packed, and the targets as float64 `(B,)`.

    Raises:
        UsageError: If there are none, their numbers differ, or a target is not a finite number.
    """
    try:
        values = np.asarray(targets, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError("targets must be numbers, one a graph") from error
    if values.ndim != 1 or len(values) != len(graphs):
        raise UsageError(f"{len(graphs)} {what} but targets of shape {values.shape}; give one number a graph")
    if len(values) == 0:
        raise UsageError(f"there are no {what} to fit on; give at least one")
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise UsageError(
            f"{bad.size} of {len(values)} targets are not finite (the first is {values[bad[0]]} at position {bad[0]}); "
            "leave failed measurements out"
        )
    return as_graphs(graphs), values


def check_direction(direction: object) -> None:
    """Raises UsageError unless the direction is "maximize" or "minimize"."""
    if direction not in ("maximize", "minimize"):
        raise unknown("direction", direction, ["maximize", "minimize"])


def _read_document(path: Path) -> dict[str, Any]:
    """Reads and checks `predictor.json`."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NasxError(f"{path.parent} holds no saved predictor (predictor.json is missing)") from error
    except (OSError, ValueError) as error:
        raise NasxError(f"{path} cannot be read as JSON; save the predictor again ({error})") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise NasxError(f"{path} is not a saved nasx predictor")
    version = document.get("version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise NasxError(f"{path} has format version {version}, this nasx reads up to {FORMAT_VERSION}; upgrade nasx")
    if not {"class", "params", "state"} <= document.keys() or not isinstance(document["params"], dict):
        raise NasxError(f"{path} is incomplete; save the predictor again")
    return document
