"""What guides a search with several goals: dead parts where a device is measured, and who is a duplicate of whom."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nasx.pareto_guide import ParetoGuide
from nasx.pareto_search import pareto_search
from nasx.predictors import make_predictor
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.store import Evaluation
from nasx.strategies.goals import Goals

SPACE = NASBench201()
TIMED = Goals.of({"accuracy": "maximize", "latency_ms": "minimize"})
COUNTED = Goals.of({"accuracy": "maximize", "size": "minimize"})
BARE = ("nor_conv_3x3", "none", "none", "nor_conv_3x3", "none", "none")
TWIN = ("nor_conv_3x3", "none", "nor_conv_3x3", "nor_conv_3x3", "none", "none")  # the same, and a dead convolution


def both(cell: tuple[str, ...]) -> tuple[float, float]:
    """Accuracy, which depends on the function only, and what a device needs for dead operations, too."""
    alive = SPACE.graph(cell).pruned().operations
    return 3.0 * alive.count("nor_conv_3x3") + alive.count("skip_connect"), 1.0 + cell.count("nor_conv_3x3")


def evaluated(cells: list[tuple[str, ...]], guide: ParetoGuide) -> list[Evaluation]:
    missing = (math.nan, math.nan)
    return [
        Evaluation(0, cell, guide.key(cell), math.nan, both(cell)[0], predictions=missing, values=both(cell))
        for cell in cells
    ]


def guide_of(goals: Goals, **options: Any) -> ParetoGuide:
    return ParetoGuide(SPACE, "nsga2", goals, 0, None, **options)


def test_twins_are_the_same_unless_a_device_is_measured() -> None:
    assert SPACE.canonical_key(BARE) == SPACE.canonical_key(TWIN)
    assert guide_of(COUNTED).key(BARE) == guide_of(COUNTED).key(TWIN)
    timed = guide_of(TIMED)
    assert timed.key(BARE) != timed.key(TWIN)
    limited = guide_of(Goals((*COUNTED.objectives, *Goals.of({"energy_mj": "minimize"}).all)))
    assert limited.key(BARE) != limited.key(TWIN)


@pytest.mark.parametrize(("goals", "reached"), [(TIMED, True), (COUNTED, False)], ids=["latency", "size"])
def test_a_faster_twin_of_what_was_evaluated_is_proposed(goals: Goals, reached: bool) -> None:
    guide = guide_of(goals, exploration=0.0, candidates=3000)
    history = evaluated([TWIN, *SPACE.samples(6, np.random.default_rng(0))], guide)
    exact = {
        name: lambda cells, column=column: np.array([both(cell)[column] for cell in cells])
        for column, name in enumerate(goals.names)
    }
    guide._look_around = lambda strategy, ask, known: dict(zip([BARE], ask([BARE]), strict=True))  # type: ignore[method-assign]
    seen = {evaluation.key for evaluation in history}
    proposals, avoided = guide.propose(exact, 1, 1, history, seen)
    assert (proposals[0].architecture == BARE) == reached
    assert avoided >= (not reached)


def test_no_worker_goes_where_another_one_is() -> None:
    guide = guide_of(COUNTED, exploration=0.0)
    values = {"near": (9.0, 3.0), "far": (4.0, 2.0)}  # both are gains, but far adds more once near is known
    near, far, busy, *first = SPACE.samples(9, np.random.default_rng(0))
    rows = {near: values["near"], far: values["far"]}
    exact = {
        name: lambda cells, column=column: np.array([rows[cell][column] for cell in cells])
        for column, name in enumerate(COUNTED.names)
    }
    guide._look_around = lambda strategy, ask, known: dict(zip([near, far], ask([near, far]), strict=True))  # type: ignore[method-assign]
    guide.reference = np.array([0.0, 12.0])
    history = evaluated(first, guide)
    missing = (math.nan, math.nan)
    history = [replace(evaluation, values=(0.0, 12.0), predictions=missing) for evaluation in history]
    proposed = [guide.propose(exact, 1, 1, history, set(), also)[0][0] for also in ((), [(busy, values["near"])])]
    assert [proposal.architecture for proposal in proposed] == [near, far]


@pytest.mark.parametrize("predictor", [None, make_predictor("trees", trees=10)], ids=["alone", "trees"])
@pytest.mark.parametrize(("name", "twins"), [("latency_ms", True), ("size", False)])
def test_a_search_evaluates_twins_only_for_a_device(predictor: Any, name: str, twins: bool) -> None:
    result = pareto_search(
        SPACE, both, ["accuracy", name], predictor=predictor, budget=60, initial=20, batch=20, candidates=500
    )
    cells = [evaluation.architecture for evaluation in result.evaluations_list]
    assert len(set(cells)) == 60
    assert (len(set(SPACE.canonical_keys(cells))) < 60) == twins


@pytest.mark.parametrize("predictor", ["trees", "gaussian-process", make_predictor("trees", trees=10)])
def test_dead_parts_are_read_for_what_a_device_needs(predictor: Any) -> None:
    guide = guide_of(TIMED)
    history = evaluated(SPACE.samples(12, np.random.default_rng(0)), guide)
    fitted = guide.fit(dict.fromkeys(TIMED.names, predictor), 1, history)
    assert fitted is not None
    assert {name: guess.as_written for name, guess in fitted.items()} == {"accuracy": False, "latency_ms": True}
    twins = SPACE.graphs([BARE, TWIN])
    assert len(set(fitted["accuracy"].predict(twins))) == 1


def test_networks_read_dead_parts_too() -> None:
    guide = guide_of(TIMED)
    history = evaluated(SPACE.samples(12, np.random.default_rng(0)), guide)
    network = make_predictor("gcn", options={"epochs": 1, "min_steps": 2})
    fitted = guide.fit(dict.fromkeys(TIMED.names, network), 1, history)
    assert fitted is not None
    assert [fitted[name].config.pruned for name in TIMED.names] == [True, False]
    assert not network.as_written  # type: ignore[attr-defined]


@pytest.mark.data
@pytest.mark.slow
def test_latencies_are_ranked_better_as_they_are_written(shared_data: Any) -> None:
    from nasx.benchmark import load_benchmark
    from nasx.metrics import kendall_tau

    bench = load_benchmark(shared_data / "nasbench201.parquet", space="nasbench201", target=None)
    latency = bench.values(metric="edgegpu_latency_ms")
    rows = np.random.default_rng(0).permutation(np.flatnonzero(np.isfinite(latency)))[:656]
    graphs = bench.graphs(rows)
    quick = {"members": 1, "epochs": 40, "min_steps": 40}
    taus = []
    for as_written in (False, True):
        predictor = make_predictor("nar-former-v2", options=quick, as_written=as_written, direction="minimize")
        predictor.fit(graphs[:156], latency[rows[:156]])
        taus.append(kendall_tau(predictor.predict(graphs[156:]), latency[rows[156:]]))
    assert taus[1] > taus[0] + 0.05
