"""What one architecture's entry in the files of NAS-Bench-201 and NATS-Bench says, reduced to what a table holds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasx.metrics import Direction
from nasx.search_spaces.errors import NasxError

#: Data set -> part of a quantity's name -> the set of images it was measured on, as the files call it.
EVALUATIONS: dict[str, dict[str, str]] = {
    "cifar10-valid": {"validation": "x-valid", "test": "ori-test"},
    "cifar10": {"test": "ori-test"},
    "cifar100": {"validation": "x-valid", "test": "x-test", "validation_and_test": "ori-test"},
    "ImageNet16-120": {"validation": "x-valid", "test": "x-test", "validation_and_test": "ori-test"},
}

DATASETS = tuple(EVALUATIONS)

_PARTS = ("validation", "test", "validation_and_test")

#: Quantity, unit and direction of what is known of a training run.
QUANTITIES: tuple[tuple[str, str, Direction], ...] = (
    ("training_accuracy", "percent", "maximize"),
    ("training_loss", "", "minimize"),
    ("training_seconds", "s", "minimize"),
    *(
        quantity
        for part in _PARTS
        for quantity in ((f"{part}_accuracy", "percent", "maximize"), (f"{part}_loss", "", "minimize"))
    ),
)

#: Quantity and unit of what is known of an architecture; of all, less is better.
COSTS = (("flops", "millions"), ("parameters", "millions"), ("latency", "s"))

#: What to optimise: the first of these that a data set has.
TARGETS = ("validation_accuracy_200_epochs_mean", "test_accuracy_200_epochs_mean")

_CURVES = ("train_acc1es", "train_acc5es", "train_losses")
_NAMES = ("x-valid", "x-test", "ori-test")
_MISSING = (float("nan"), float("nan"))


@dataclass(frozen=True, slots=True)
class Summary:
    """One architecture.

    Attributes:
        cell: Its official string.
        runs: (data set, epochs, seed or ``"mean"``) -> the values of ``QUANTITIES``, NaN where there is none.
        costs: Data set -> flops and parameters (millions), latency (seconds).
    """

    cell: str
    runs: dict[tuple[str, int, int | str], tuple[float, ...]]
    costs: dict[str, tuple[float, ...]]


def condense(state: dict[Any, Any]) -> None:
    """Keeps of a run's learning curves only the ends, in place; other dictionaries stay as they are.

    Doing it again changes nothing, so that runs may share a curve.

    Raises:
        ValueError: The run does not say how many epochs it had.
    """
    if "eval_acc1es" not in state or "train_losses" not in state:
        return
    epochs = state.get("epochs")
    if type(epochs) is not int or not 1 <= epochs <= 10_000:
        raise ValueError(f"a run of {epochs!r} epochs")
    last = epochs - 1
    for name in _CURVES:
        if type(state.get(name)) is dict:
            _keep(state[name], [last])
    times = state.get("train_times")
    if type(times) is dict and "total" not in times:
        try:
            total = sum([times[epoch] for epoch in range(epochs)])
        except KeyError:
            total = None
        times.clear()
        times["total"] = total
    ends = [f"{name}@{last}" for name in _NAMES]
    for name in ("eval_acc1es", "eval_losses"):
        if type(state[name]) is dict:
            _keep(state[name], ends)
    if type(state.get("eval_times")) is dict:
        state["eval_times"].clear()


def summarise(path: Path, index: Any, record: Any, schedules: Iterable[tuple[str, int]], *, fix_costs: bool) -> Summary:
    """Reads the entry of one architecture.

    Args:
        path: The file, for error messages.
        index: The architecture's number in the file.
        record: Name of a schedule -> state of an ``ArchResults``, its runs condensed.
        schedules: (name, number of epochs) of the schedules.
        fix_costs: Whether to take flops and parameters from seed 888 where runs disagree, as ``nats-bench`` does.

    Raises:
        NasxError: The entry is not what the official files hold.
    """
    try:
        return _summary(index, record, tuple(schedules), fix_costs)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise NasxError(
            f"{path} is damaged or of another kind: in the results of architecture {index}, {reason}; "
            "get the file again from its source"
        ) from error


def _summary(index: Any, record: Any, schedules: tuple[tuple[str, int], ...], fix_costs: bool) -> Summary:
    runs: dict[tuple[str, int, int | str], tuple[float, ...]] = {}
    costs: dict[str, tuple[float, ...]] = {}
    cells = set()
    for schedule, epochs in schedules:
        state = record[schedule]
        cells.add(state["arch_str"])
        if type(index) is not int or state["arch_index"] != index:
            raise ValueError(f"they are said to be of architecture {state['arch_index']}")
        for dataset, seeds in state["dataset_seed"].items():
            if dataset not in EVALUATIONS:
                raise ValueError(f"there is a data set {dataset!r}")
            if not seeds:
                continue
            if any(type(seed) is not int or seed < 0 for seed in seeds) or len(set(seeds)) != len(seeds):
                raise ValueError(f"the seeds on {dataset} are {seeds}")
            results = [state["all_results"][dataset, seed] for seed in seeds]
            values = [_values(dataset, epochs, result) for result in results]
            runs.update({(dataset, epochs, seed): row for seed, row in zip(seeds, values, strict=True)})
            runs[dataset, epochs, "mean"] = tuple(np.mean(values, axis=0).tolist())
            if epochs == 200:
                costs[dataset] = _costs(seeds, results, fix_costs)
    (cell,) = cells
    if not isinstance(cell, str):
        raise ValueError(f"the architecture is {cell!r}")
    return Summary(cell, runs, costs)


def _values(dataset: str, epochs: int, result: dict[str, Any]) -> tuple[float, ...]:
    """The values of ``QUANTITIES`` of one run."""
    if result["epochs"] != epochs:
        raise ValueError(f"a run on {dataset} has {result['epochs']} epochs, not {epochs}")
    last, times = epochs - 1, result["train_times"]
    values = [_accuracy(result["train_acc1es"][last]), _number(result["train_losses"][last])]
    values.append(_number(times["total"] if type(times) is dict else None))
    for part in _PARTS:
        key = f"{EVALUATIONS[dataset].get(part)}@{last}"
        values.append(_accuracy(result["eval_acc1es"].get(key)))
        values.append(_number(result["eval_losses"].get(key)))
    return tuple(values)


def _costs(seeds: list[int], results: list[dict[str, Any]], fix: bool) -> tuple[float, float, float]:
    """Flops, parameters and latency of the runs on one data set."""
    means = []
    for name in ("flop", "params"):
        values = [_number(result[name]) for result in results]
        if fix and len({f"{value:.5f}" for value in values}) > 1:
            values = [values[seeds.index(888)]] if 888 in seeds else [float("nan")]
        means.append(sum(values) / len(values))
    latencies = []
    for result in results:
        measured = result["latency"] or []
        average = sum(_number(value) for value in measured) / len(measured) if measured else -1.0
        if average > 0:
            latencies.append(average)
    return means[0], means[1], sum(latencies) / len(latencies) if latencies else float("nan")


def _keep(curve: dict[Any, Any], keys: list[Any]) -> None:
    kept = [(key, curve[key]) for key in keys if key in curve]
    curve.clear()
    curve.update(kept)


def _number(value: Any) -> float:
    if value is None:
        return float("nan")
    if type(value) not in (float, int):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _accuracy(value: Any) -> float:
    number = _number(value)
    if not (math.isnan(number) or 0 <= number <= 100.01):
        raise ValueError(f"{number} is no accuracy in percent")
    return number
