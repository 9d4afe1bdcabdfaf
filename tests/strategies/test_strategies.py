"""Every strategy of the registry keeps the contract, learns, and is known by its name."""

from __future__ import annotations

import numpy as np
import pytest

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.strategies import STRATEGIES, available, make_strategy
from nasx.testing import check_strategy

NAMES = [*STRATEGIES, "optuna:RandomSampler"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_keeps_the_contract(name: str, direction: str, space: NASBench201) -> None:
    check_strategy(lambda space, rng: make_strategy(name, space, rng=rng, direction=direction), space)


def _best(name: str, space: NASBench201, seed: int, direction: str = "maximize") -> float:
    sign = 1 if direction == "maximize" else -1
    strategy = make_strategy(name, space, rng=np.random.default_rng(seed), direction=direction)
    best = -np.inf
    for _ in range(60):
        cells = strategy.ask(1)
        values = [sign * (cell.count("nor_conv_3x3") - cell.count("none")) for cell in cells]
        strategy.tell(cells, values)
        best = max(best, sign * values[0])
    return best


@pytest.mark.parametrize("name", ["evolution", "local-search", "tpe"])
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_learns_more_than_chance(name: str, direction: str, space: NASBench201) -> None:
    learned = np.mean([_best(name, space, seed, direction) for seed in range(5)])
    chance = np.mean([_best("random", space, seed, direction) for seed in range(5)])
    assert learned > chance + 0.5


def test_an_unknown_name_is_answered_with_what_exists(space: NASBench201, rng: np.random.Generator) -> None:
    with pytest.raises(UsageError, match="did you mean 'evolution'"):
        make_strategy("evolutoin", space, rng=rng)
    with pytest.raises(UsageError, match="TPESampler"):
        make_strategy("optuna:TPESamplr", space, rng=rng)
    with pytest.raises(UsageError, match="maximize or minimize"):
        make_strategy("random", space, rng=rng, direction="up")  # type: ignore[arg-type]


def test_available_lists_every_strategy() -> None:
    assert [name for name, _ in available()] == list(STRATEGIES)
