"""The conformance test of strategies: what it says of the mistakes authors make."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nasx.search_spaces.nasbench201 import NASBench201
from nasx.strategies.base import Strategy
from nasx.strategies.random_search import RandomSearch
from nasx.testing import check_strategy

SPACE = NASBench201()


class Plain(Strategy):
    def ask(self, n: int = 1) -> list[Any]:
        return self.space.samples(n, self.rng)

    def _learn(self, architectures: list[Any], fitness: list[float]) -> None:
        pass


class Single(Plain):
    def ask(self, n: int = 1) -> Any:
        return self.space.sample(self.rng)


class Few(Plain):
    def ask(self, n: int = 1) -> list[Any]:
        return super().ask(1)


class Unseeded(Plain):
    def ask(self, n: int = 1) -> list[Any]:
        return self.space.samples(n, np.random.default_rng())


class Seeded(Plain):
    def ask(self, n: int = 1) -> list[Any]:
        return self.space.samples(n, np.random.default_rng(0))


class Elsewhere(Plain):
    def ask(self, n: int = 1) -> list[Any]:
        return [("conv",)] * n


class Orphan(Plain):
    def __init__(self, space: Any, *, rng: Any) -> None:
        self.space = space


class Fragile(Plain):
    def _learn(self, architectures: list[Any], fitness: list[float]) -> None:
        assert np.isfinite(fitness).all()


class Deaf(Plain):
    def tell(self, architectures: Any, values: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Single, r"ask\(5\) returned \(.*; return a list of 5 architectures"),
        (Few, r"ask\(5\) returned 1 architectures; return exactly n"),
        (Unseeded, "two runs from the same generator differ"),
        (Seeded, "runs from different generators are equal"),
        (Elsewhere, r"ask proposed \(\'conv\',\), which is not in nasbench201"),
        (Orphan, r"Orphan has no rng; its __init__ must call super\(\).__init__\(space, rng=rng\)"),
        (Fragile, "tell of Fragile raised AssertionError"),
        (Deaf, "tell accepts a different number of values"),
    ],
)
def test_mistakes_are_one_sentence(kind: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_strategy(lambda space, rng: kind(space, rng=rng), SPACE)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Plain, "check_strategy takes a function that makes the strategy, such as lambda space, rng"),
        (Plain(SPACE, rng=np.random.default_rng(0)), "check_strategy takes a function"),
        (lambda space, rng: Plain(space), "the function that makes the strategy raised TypeError"),
        (lambda space, rng: space, "the function made .*, which is no Strategy"),
    ],
)
def test_what_makes_no_strategy(make: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_strategy(make, SPACE)


def test_a_right_one_passes() -> None:
    check_strategy(lambda space, rng: RandomSearch(space, rng=rng), SPACE)
