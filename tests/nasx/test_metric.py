from __future__ import annotations

import numpy as np
import pytest

from nasx.metric import Metric, find_metric, infer_metric
from nasx.search_spaces.errors import UsageError


@pytest.mark.parametrize(
    ("name", "values", "unit", "direction"),
    [
        ("cifar10_test_accuracy", [93.0], "percent", "maximize"),
        ("perf", [0.9], "", "maximize"),
        ("raspi4_latency_ms", [2.0], "ms", "minimize"),
        ("eyeriss_energy_mj", [2.0], "mJ", "minimize"),
        ("cifar10_training_seconds", [2.0], "s", "minimize"),
        ("parameters_millions", [2.0], "millions", "minimize"),
        ("flops", [2.0], "", "minimize"),
        ("test-error", [2.0], "", "minimize"),
        ("ValidationLoss", [2.0], "", None),
        ("validation loss", [2.0], "", "minimize"),
        ("score", [2.0], "", None),
        ("accuracy_per_latency", [2.0], "", None),
    ],
)
def test_only_clear_names_are_understood(name: str, values: list[float], unit: str, direction: str | None) -> None:
    assert infer_metric(name, np.array(values)) == Metric(name, unit, direction)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "quantity", "epochs", "seed"),
    [
        ("validation_accuracy_4_epochs", "validation_accuracy", 4, None),
        ("accuracy_200_epochs_seed777", "accuracy", 200, 777),
        ("accuracy_200_epochs_mean", "accuracy", 200, "mean"),
        ("accuracy_seed0", "accuracy", None, 0),
        ("accuracy_seed", "accuracy_seed", None, None),
        ("seed0", "seed0", None, None),
    ],
)
def test_epochs_and_seed_are_read_off_the_name(
    name: str, quantity: str, epochs: int | None, seed: int | str | None
) -> None:
    metric = infer_metric(name, np.array([0.5]))
    assert (metric.quantity, metric.epochs, metric.seed) == (quantity, epochs, seed)


def test_a_metric_names_itself() -> None:
    for options in ({}, {"epochs": 12}, {"seed": "mean"}, {"epochs": 12, "seed": 3}):
        metric = Metric.of("loss", "", "minimize", **options)
        again = infer_metric(metric.name, np.array([0.5]))
        assert (again.quantity, again.epochs, again.seed) == ("loss", metric.epochs, metric.seed)
    assert Metric("test_accuracy", "percent").label == "test accuracy (percent)"
    assert Metric("latency_ms", "ms").label == "latency ms"
    assert infer_metric("accuracy", np.array([1.0]), "minimize").direction == "minimize"


def test_a_question_has_one_answer_or_a_list_of_those_there_are() -> None:
    each = [Metric.of("accuracy", "", None, epochs=e, seed=s) for e in (12, 200) for s in (777, "mean")]
    metrics = {metric.name: metric for metric in [*each, Metric("flops"), Metric("noise", seed=None)]}
    assert find_metric(metrics, "accuracy", epochs=200, seed="mean").name == "accuracy_200_epochs_mean"
    assert find_metric(metrics, "accuracy_12_epochs_seed777").epochs == 12
    assert find_metric(metrics, "flops").name == "flops"
    listed = r"epochs=12 with seed=777, 'mean'; epochs=200 with seed=777, 'mean'"
    with pytest.raises(UsageError, match=rf"accuracy is not one number; say which of: {listed}"):
        find_metric(metrics, "accuracy")
    with pytest.raises(UsageError, match=r"accuracy with epochs=12 is not one number.*epochs=12 with seed=777, 'mean'"):
        find_metric(metrics, "accuracy", epochs=12)
    with pytest.raises(UsageError, match=rf"there is no accuracy with epochs=90; there is: {listed}"):
        find_metric(metrics, "accuracy", epochs=90)
    with pytest.raises(UsageError, match=r"there is no flops with epochs=12; there is: no epochs with no seed"):
        find_metric(metrics, "flops", epochs=12)
    with pytest.raises(UsageError, match=r"unknown metric 'acuracy'.*did you mean 'accuracy'"):
        find_metric(metrics, "acuracy")
