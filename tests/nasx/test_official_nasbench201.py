"""The official NAS-Bench-201 and NATS-Bench files: every number, the official packages, wrong contents."""

from __future__ import annotations

import math
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasx import nasbench201_runs
from nasx.nasbench201_runs import condense, summarise
from nasx.official_nasbench201 import read, read_nats, table_of
from nasx.search_spaces.errors import NasxError
from nasx.search_spaces.nasbench201 import OPERATIONS, official_order
from nasx.table_file import Table, read_stored, write_table
from tests.nasx import miniature_nasbench201 as miniature
from tests.nasx.miniature_nasbench201 import FORMS, contents_of, write_form

COUNT = 8
SEEDS = {12: (111, 777, "mean"), 200: (777, 888, 999, "mean")}
THEIRS = {
    "training_accuracy": "train-accuracy",
    "training_loss": "train-loss",
    "training_seconds": "train-all-time",
    "validation_accuracy": "valid-accuracy",
    "validation_loss": "valid-loss",
    "test_accuracy": "test-accuracy",
    "test_loss": "test-loss",
    "validation_and_test_accuracy": "valtest-accuracy",
    "validation_and_test_loss": "valtest-loss",
}


def write(folder: Path, form: str, infos: dict[str, Any] | None = None) -> Path:
    return write_form(folder, form, contents_of(form, COUNT) if infos is None else infos)


def read_form(path: Path, form: str) -> Table:
    return (read_nats if form.startswith("nats") else read)(path)


@pytest.fixture(scope="module", params=FORMS)
def official(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Table]:
    """A form, its miniature file, and our table of it."""
    path = write(tmp_path_factory.mktemp("official"), request.param)
    return request.param, path, read_form(path, request.param)


def names_of(dataset: str, part: str) -> str:
    return nasbench201_runs.EVALUATIONS[dataset].get(part, "")


def expected(infos: dict[str, Any], index: int, metric: Any, nats: bool) -> float:
    """The number straight from the dictionary; NaN where it has none."""
    full, less = ("200", "12") if nats else ("full", "less")
    state = infos["arch2infos"][index][less if metric.epochs == 12 else full]
    seeds = state["dataset_seed"].get(metric.dataset, [])
    chosen = seeds if metric.seed in ("mean", None) else [seed for seed in seeds if seed == metric.seed]
    runs = [state["all_results"][metric.dataset, seed] for seed in chosen]
    quantity, last = metric.quantity, (metric.epochs or 200) - 1
    if quantity in ("flops", "parameters"):
        values = [run["flop" if quantity == "flops" else "params"] for run in runs]
        if nats and len({f"{value:.5f}" for value in values}) > 1:
            values = [values[seeds.index(888)]]
    elif quantity == "latency":
        values = [sum(run["latency"]) / len(run["latency"]) for run in runs]
    elif quantity == "training_seconds":
        values = [sum(run["train_times"].values()) if run["train_times"] else math.nan for run in runs]
    else:
        part, kind = quantity.rsplit("_", 1)
        if part == "training":
            values = [run["train_acc1es" if kind == "accuracy" else "train_losses"][last] for run in runs]
        else:
            key = f"{names_of(metric.dataset, part)}@{last}"
            values = [run["eval_acc1es" if kind == "accuracy" else "eval_losses"].get(key, math.nan) for run in runs]
    return sum(values) / len(values) if values else math.nan


def test_every_number_is_the_one_in_the_file(official: tuple[str, Path, Table]) -> None:
    form, _, table = official
    infos = contents_of(form, COUNT)
    for name, metric in table.metrics.items():
        numbers = [expected(infos, row, metric, form.startswith("nats")) for row in range(COUNT)]
        np.testing.assert_allclose(table.columns[name], numbers, rtol=1e-12, err_msg=name)


def test_what_the_table_says_about_itself(official: tuple[str, Path, Table]) -> None:
    form, path, table = official
    assert table.name == ("nats-bench" if form.startswith("nats") else "nasbench201-official")
    assert (table.licence, table.source, len(table)) == ("MIT", path.name, COUNT)
    assert table.datasets == nasbench201_runs.DATASETS
    texts = [table.space.format(table.space.architecture(int(index))) for index in table.architectures]
    assert texts == miniature.architectures(COUNT)
    units = {(metric.quantity, metric.unit, metric.direction) for metric in table.metrics.values()}
    assert ("test_accuracy", "percent", "maximize") in units
    assert {("latency", "s", "minimize"), ("flops", "millions", "minimize")} <= units
    assert all(not np.isnan(values).all() for values in table.columns.values())


def test_which_numbers_there_are(official: tuple[str, Path, Table]) -> None:
    form, _, table = official
    assert "cifar10/validation_accuracy_200_epochs_mean" not in table.metrics
    assert "cifar100/validation_and_test_accuracy_200_epochs_seed999" in table.metrics
    assert "cifar10-valid/test_accuracy_12_epochs_seed111" in table.metrics
    assert ("cifar100/test_accuracy_12_epochs_mean" in table.metrics) == (form != "v1_0")
    assert ("cifar10/training_seconds_200_epochs_mean" in table.metrics) == (form != "v1_0")


def test_targets(official: tuple[str, Path, Table]) -> None:
    table = official[2]
    for dataset in table.datasets:
        quantity = "test" if dataset == "cifar10" else "validation"
        assert table.select(dataset).target == f"{quantity}_accuracy_200_epochs_mean"


def test_it_can_be_stored(official: tuple[str, Path, Table], tmp_path: Path) -> None:
    table = official[2]
    write_table(tmp_path / "table.safetensors", table)
    again = read_stored(tmp_path / "table.safetensors", table.space)
    assert again.metrics == table.metrics
    for name, values in table.columns.items():
        np.testing.assert_array_equal(again.columns[name], values)


def official_api(form: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    if form.startswith("v1"):
        package = pytest.importorskip("nas_201_api", reason="the official package nas-bench-201 is not installed")
        import torch

        monkeypatch.setattr(torch, "load", partial(torch.load, weights_only=False))  # the default since torch 2.6
        return package.NASBench201API(str(path), verbose=False)
    if form == "nats-tar":
        pytest.skip("the official package does not read the archive")
    package = pytest.importorskip("nats_bench", reason="the official package nats-bench is not installed")
    return package.create(str(path), "topology", fast_mode=path.is_dir(), verbose=False)


def answer(api: Any, row: int, metric: Any) -> float:
    """What the official package says; NaN where it refuses or has nothing."""
    hp = str(metric.epochs or 200)
    try:
        if metric.epochs is None:
            costs = api.get_cost_info(row, metric.dataset, hp=hp)
            return costs[{"flops": "flops", "parameters": "params", "latency": "latency"}[metric.quantity]]
        seed = False if metric.seed == "mean" else metric.seed
        value = api.get_more_info(row, metric.dataset, hp=hp, is_random=seed).get(THEIRS[metric.quantity])
    except (KeyError, ValueError):
        return math.nan
    return math.nan if value is None else float(value)


def test_the_official_package_agrees(official: tuple[str, Path, Table], monkeypatch: pytest.MonkeyPatch) -> None:
    form, path, table = official
    api = official_api(form, path, monkeypatch)
    assert [api[row] for row in range(COUNT)] == miniature.architectures(COUNT)
    for dataset in table.datasets:
        for name, metric in table.metrics.items():
            if metric.dataset == dataset:
                theirs = [answer(api, row, metric) for row in range(COUNT)]
                np.testing.assert_allclose(table.columns[name], theirs, rtol=1e-12, err_msg=name)


def test_the_official_package_knows_no_more(official: tuple[str, Path, Table], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not among our columns has no official answer either."""
    form, path, table = official
    api = official_api(form, path, monkeypatch)
    for dataset in nasbench201_runs.DATASETS:
        for epochs, seeds in SEEDS.items():
            for row in range(COUNT):
                for seed in seeds:
                    try:
                        hp, run = str(epochs), False if seed == "mean" else seed
                        info = api.get_more_info(row, dataset, hp=hp, is_random=run)
                    except (KeyError, ValueError):
                        continue
                    for ours, theirs in THEIRS.items():
                        if info.get(theirs) is not None:
                            suffix = "mean" if seed == "mean" else f"seed{seed}"
                            assert f"{dataset}/{ours}_{epochs}_epochs_{suffix}" in table.metrics


def test_official_find_best(official: tuple[str, Path, Table], monkeypatch: pytest.MonkeyPatch) -> None:
    form, path, table = official
    api = official_api(form, path, monkeypatch)
    for dataset, part, column in (
        ("cifar10", "valid", "cifar10-valid/validation_accuracy_200_epochs_mean"),
        ("cifar10", "test", "cifar10/test_accuracy_200_epochs_mean"),
        ("cifar100", "test", "cifar100/test_accuracy_200_epochs_mean"),
        ("ImageNet16-120", "valid", "ImageNet16-120/validation_accuracy_200_epochs_mean"),
    ):
        best, accuracy = api.find_best(dataset, part, hp="200")
        assert best == int(np.nanargmax(table.columns[column]))
        assert accuracy == pytest.approx(float(np.nanmax(table.columns[column])))


@pytest.mark.parametrize("form", FORMS)
def test_progress_grows_to_the_end(form: str, tmp_path: Path) -> None:
    path, calls = write(tmp_path, form), []
    (read_nats if form.startswith("nats") else read)(path, progress=lambda done, size: calls.append((done, size)))
    done, sizes = zip(*calls, strict=True)
    assert list(done) == sorted(done)
    assert set(sizes) == {sizes[0]}
    assert done[-1] <= sizes[0]


def test_all_cells_must_be_in_the_official_order() -> None:
    cells = miniature.architectures(15_625)
    summary = summarise(Path("file"), 0, condensed(), (("less", 12), ("full", 200)), fix_costs=False)
    summaries = {index: nasbench201_runs.Summary(cell, summary.runs, summary.costs) for index, cell in enumerate(cells)}
    table = table_of(Path("file"), "nasbench201-official", cells, summaries)
    lexicographic = [space_number(table, row) for row in (0, 1, 15_624)]
    assert lexicographic == official_order()[0][[0, 1, 15_624]].tolist()
    with pytest.raises(NasxError, match="official order"):
        table_of(Path("file"), "nasbench201-official", cells[::-1], dict(enumerate(reversed(summaries.values()))))


def space_number(table: Table, row: int) -> int:
    """Number of the cell in lexicographic order."""
    cell = table.space.architecture(int(table.architectures[row]))
    return int(sum(OPERATIONS.index(operation) * 5 ** (5 - place) for place, operation in enumerate(cell)))


def condensed() -> dict[str, Any]:
    record = miniature.contents(1)["arch2infos"][0]
    for state in record.values():
        for result in state["all_results"].values():
            condense(result)
            result["params"] = float(result["params"])  # as the unpickler makes it
    return record


def test_condensing_twice_changes_nothing() -> None:
    once = condensed()
    again = pickle.loads(pickle.dumps(once))
    for state in again.values():
        for result in state["all_results"].values():
            condense(result)
    assert again == once
    assert max(len(value) for value in once["full"]["all_results"]["cifar100", 777].values() if type(value) is dict) < 9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda infos: infos["arch2infos"].pop(3), "no results of architecture 3"),
        (lambda infos: infos["meta_archs"].pop(), "results of 8 architectures, but names 7"),
        (lambda infos: infos.pop("meta_archs"), "no dictionary with meta_archs"),
        (lambda infos: infos.update(meta_archs=["8:8:8:8:8"]), "not of the search space of NAS-Bench-201"),
        (lambda infos: infos.update(meta_archs=infos["meta_archs"][:1] * 8), "names an architecture twice"),
        (lambda infos: infos["meta_archs"].reverse(), "said to be of"),
        (lambda infos: infos["arch2infos"][5]["full"].update(arch_index=6), "architecture 5.*architecture 6"),
        (lambda infos: infos["arch2infos"][5].pop("less"), "architecture 5.*no 'less'"),
        (lambda infos: infos["arch2infos"][5]["full"]["dataset_seed"].update(svhn=[1]), "data set 'svhn'"),
        (lambda infos: infos["arch2infos"][5]["full"]["dataset_seed"].update(cifar10=[777, 777]), "seeds on cifar10"),
        (lambda infos: infos["arch2infos"][5]["full"]["all_results"].clear(), "architecture 5.*has no"),
        (lambda infos: run(infos)["eval_acc1es"].update({"ori-test@199": 1e9}), "no accuracy in percent"),
        (lambda infos: run(infos)["train_losses"].update({199: "low"}), "'low' is no number"),
        (lambda infos: run(infos).update(epochs=90), "90 epochs, not 200|has no 89"),
        (lambda infos: run(infos).update(epochs="many"), "'many' epochs"),
    ],
)
def test_wrong_contents_are_one_sentence(change: Any, message: str, tmp_path: Path) -> None:
    infos = miniature.contents(COUNT)
    change(infos)
    with pytest.raises(NasxError, match=message):
        read(miniature.write_pth(tmp_path, infos))


def run(infos: dict[str, Any]) -> dict[str, Any]:
    return infos["arch2infos"][5]["full"]["all_results"]["cifar10", 888]
