"""What a column of numbers means: quantity, unit, direction, and how long and from which seed it was trained."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasx.metrics import Direction, check_direction
from nasx.search_spaces.errors import UsageError, unknown

_MAXIMIZE = {
    *("accuracy", "acc", "perf", "performance", "auc", "auroc", "f1", "map", "miou", "psnr", "throughput", "top1"),
}
_MINIMIZE = {
    *("latency", "energy", "seconds", "ms", "mj", "time", "loss", "error", "perplexity", "mse", "mae", "rmse"),
    *("parameters", "params", "flops", "macs", "memory", "size"),
}
_UNITS = {"ms": "ms", "mj": "mJ", "seconds": "s", "s": "s", "millions": "millions", "percent": "percent", "mb": "MB"}
_PARTS = re.compile(r"(?P<quantity>.+?)(_(?P<epochs>\d+)_epochs)?(_(seed(?P<seed>\d+)|(?P<mean>mean)))?")


@dataclass(frozen=True)
class Metric:
    """What a column of a benchmark means.

    Attributes:
        name: Name of the column, for example ``test_accuracy_200_epochs_mean``.
        unit: Its unit (``"percent"``, ``"fraction"``, ``"ms"`` ...); empty where nobody said.
        direction: Which end is good; None where nobody said.
        quantity: What was measured, without epochs and seed: ``test_accuracy``; the name unless given.
        dataset: The data set it was measured on, where a table has several.
        epochs: Number of epochs of the training schedule, where that makes a difference.
        seed: The run, or ``"mean"`` of all runs; None where nobody said.

    >>> Metric("latency_ms", "ms", "minimize").direction
    'minimize'
    """

    name: str
    unit: str = ""
    direction: Direction | None = None
    quantity: str = ""
    dataset: str | None = None
    epochs: int | None = None
    seed: int | str | None = None

    def __post_init__(self) -> None:
        if not self.quantity:
            object.__setattr__(self, "quantity", self.name)

    @classmethod
    def of(
        cls,
        quantity: str,
        unit: str,
        direction: Direction | None,
        *,
        dataset: str | None = None,
        epochs: int | None = None,
        seed: int | str | None = None,
    ) -> Metric:
        """The metric of a quantity, under the name that says all of it.

        >>> Metric.of("test_accuracy", "percent", "maximize", dataset="cifar10", epochs=200, seed=777).name
        'cifar10/test_accuracy_200_epochs_seed777'
        """
        name = quantity if epochs is None else f"{quantity}_{epochs}_epochs"
        if seed is not None:
            name += f"_{seed}" if isinstance(seed, str) else f"_seed{seed}"
        return cls(f"{dataset}/{name}" if dataset else name, unit, direction, quantity, dataset, epochs, seed)

    @property
    def label(self) -> str:
        """Name and unit, for tables and pictures."""
        words = self.name.replace("_", " ")
        return f"{words} ({self.unit})" if self.unit and self.unit not in words.split() else words


def infer_metric(name: str, values: NDArray[Any], direction: str | None = None) -> Metric:
    """Reads quantity, epochs, seed, unit and direction off a clear column name; what is not clear is left open.

    Args:
        name: The column.
        values: (n,) its values: accuracies above 1 are percentages.
        direction: What the user said, which always wins.

    >>> metric = infer_metric("cifar10_test_accuracy_12_epochs", np.array([91.5]))
    >>> metric.quantity, metric.epochs, metric.unit, metric.direction
    ('cifar10_test_accuracy', 12, 'percent', 'maximize')
    >>> infer_metric("raspi4_latency_ms", np.array([12.0])).direction, infer_metric("score", np.array([1.0])).direction
    ('minimize', None)
    """
    words = re.split(r"[^a-z0-9]+", name.lower())
    good, bad = not _MAXIMIZE.isdisjoint(words), not _MINIMIZE.isdisjoint(words)
    guess: Direction | None = None if good == bad else ("maximize" if good else "minimize")
    unit = _UNITS.get(words[-1], "")
    if not unit and good and not bad and {"accuracy", "acc"} & set(words) and np.isfinite(values).any():
        unit = "percent" if np.nanmax(values) > 1 else "fraction"
    parts = _PARTS.fullmatch(name)
    assert parts is not None  # the quantity alone matches every name
    return Metric(
        name,
        unit,
        check_direction(direction) if direction else guess,
        quantity=parts["quantity"],
        epochs=int(parts["epochs"]) if parts["epochs"] else None,
        seed=int(parts["seed"]) if parts["seed"] else parts["mean"],
    )


def find_metric(
    metrics: Mapping[str, Metric], name: str, *, epochs: int | None = None, seed: int | str | None = None
) -> Metric:
    """The one metric that was meant, never a guess among several.

    Args:
        metrics: Name -> metric.
        name: A name, or a quantity that together with ``epochs`` and ``seed`` leaves one metric.
        epochs: Epochs of the training schedule.
        seed: A run, or ``"mean"``.

    Raises:
        UsageError: There is no such metric, or several; the message lists the combinations that exist.

    >>> of = lambda seed: Metric.of("test_accuracy", "percent", "maximize", epochs=12, seed=seed)
    >>> metrics = {metric.name: metric for metric in map(of, (777, 888, "mean"))}
    >>> find_metric(metrics, "test_accuracy", epochs=12, seed="mean").name
    'test_accuracy_12_epochs_mean'
    >>> find_metric(metrics, "test_accuracy", seed=999)
    Traceback (most recent call last):
    nasx.search_spaces.errors.UsageError: there is no test_accuracy with seed=999; \
there is: epochs=12 with seed=777, 888, 'mean'
    """
    if epochs is None and seed is None and name in metrics:
        return metrics[name]
    candidates = [metric for metric in metrics.values() if name in (metric.quantity, metric.name)]
    if not candidates:
        raise unknown("metric", name, dict.fromkeys([*metrics, *(m.quantity for m in metrics.values())]))
    asked = {key: value for key, value in (("epochs", epochs), ("seed", seed)) if value is not None}
    found = [metric for metric in candidates if all(getattr(metric, key) == value for key, value in asked.items())]
    if len(found) == 1:
        return found[0]
    said = " and ".join(f"{key}={value!r}" for key, value in asked.items())
    there = _combinations(found or candidates)
    if not found:
        raise UsageError(f"there is no {name} with {said}; there is: {there}")
    raise UsageError(f"{name}{' with ' + said if said else ''} is not one number; say which of: {there}")


def metric_of(metrics: Mapping[str, Metric], name: str) -> Metric:
    """The metric of that name, or the error that lists those that exist."""
    return find_metric(metrics, name)


def _combinations(metrics: Sequence[Metric]) -> str:
    """``epochs=12 with seed=777, 888, 'mean'; epochs=200 with ...``."""
    seeds: dict[int | None, list[int | str | None]] = {}
    for metric in metrics:
        seeds.setdefault(metric.epochs, []).append(metric.seed)
    return "; ".join(
        f"{'no epochs' if epochs is None else f'epochs={epochs}'} with {_seeds(each)}" for epochs, each in seeds.items()
    )


def _seeds(seeds: Iterable[int | str | None]) -> str:
    given = [repr(seed) for seed in seeds if seed is not None]
    return f"seed={', '.join(given)}" if given else "no seed"
