"""Optuna samplers as strategies: invalid configurations, foreign results, samplers that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest

from nasx.search_spaces.choice_space import ChoiceSpace
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.strategies.optuna_sampler import OptunaSampler


def test_invalid_configurations_never_come_out(rng: np.random.Generator) -> None:
    picky = ChoiceSpace(
        "picky",
        {"a": list(range(6)), "b": list(range(6))},
        lambda c: Graph.from_edges(["input", f"{c['a']}{c['b']}", "output"], [(0, 1), (1, 2)]),
        is_valid=lambda c: c["a"] < c["b"],
    )
    strategy = OptunaSampler(picky, rng=rng)
    for _ in range(10):
        pairs = strategy.ask(3)
        assert all(a < b for a, b in pairs)
        strategy.tell(pairs, [float(b - a) for a, b in pairs])


def test_results_nobody_asked_for_are_learned_from(space: NASBench201) -> None:
    def convolutions(known: bool) -> float:
        strategy = OptunaSampler(space, rng=np.random.default_rng(5))
        if known:
            cells = space.samples(200, np.random.default_rng(6))
            strategy.warm_start(cells, [float(cell.count("nor_conv_3x3")) for cell in cells])
        return float(np.mean([cell.count("nor_conv_3x3") for cell in strategy.ask(10)]))

    assert convolutions(known=True) > convolutions(known=False) + 1


def test_a_sampler_that_needs_more_than_a_seed_is_one_sentence(space: NASBench201, rng: np.random.Generator) -> None:
    with pytest.raises(UsageError, match="try TPESampler"):
        OptunaSampler(space, rng=rng, sampler="GridSampler")
