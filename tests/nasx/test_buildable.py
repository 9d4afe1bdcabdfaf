"""Spaces of which some configurations give no graph: passed over, counted, never evaluated."""

from __future__ import annotations

from typing import Any

import pytest

from nasx.buildable import Buildable
from nasx.predictors import make_predictor
from nasx.search_loop import search
from nasx.search_spaces.choice_space import ChoiceSpace
from nasx.search_spaces.errors import NasxError
from nasx.search_spaces.graph import Graph


def build(chosen: dict[str, Any]) -> Graph:
    if chosen["depth"] == 3:
        raise ZeroDivisionError("no such layer")
    edges = [(0, 1), (1, 0), (1, 2), (2, 3)] if chosen["depth"] == 2 else [(0, 1), (1, 2), (2, 3)]
    return Graph.from_edges(["input", chosen["first"], chosen["second"], "output"], edges)


CHOICES = {"depth": [0, 2, 3], "first": list("abcdef"), "second": ["p", "q", "r"]}
# 18 configurations with a graph, 18 that raise, 18 with a cycle; the space looks after them, or leaves it to the search
CAREFUL = ChoiceSpace("careful", CHOICES, build)


class Careless(ChoiceSpace):
    def graph(self, architecture: tuple[Any, ...]) -> Graph:
        return build(self.choice(architecture))


SPACE = Careless("fragile", CHOICES, build)


@pytest.mark.parametrize("predictor", [None, "trees"])
@pytest.mark.parametrize("strategy", ["random", "evolution"])
@pytest.mark.parametrize(("space", "shared"), [(SPACE, False), (SPACE, True), (CAREFUL, False)])
def test_a_search_passes_them_over(predictor: str | None, strategy: str, space: ChoiceSpace, shared: bool) -> None:
    asked = []

    def objective(architecture: tuple[Any, ...]) -> float:
        asked.append(architecture)
        return "abcdef".index(architecture[1])

    guess = None if predictor is None else make_predictor("trees", trees=5)
    result = search(
        space, objective, predictor=guess, strategy=strategy, budget=14, initial=6, batch=4, candidates=100,
        shared=shared,
    )  # fmt: skip
    assert result.evaluations == 14
    assert result.failed == 0
    assert {architecture[0] for architecture in asked} == {0}
    assert result.skipped > 0
    assert result.summary()["skipped"] == result.skipped


def test_graphs_of_those_that_have_one() -> None:
    buildable = Buildable(SPACE)
    batch, places = buildable.graphs([(2, "a", "p"), (0, "b", "q"), (3, "a", "p"), (0, "c", "r")])
    assert places.tolist() == [1, 3]
    assert len(batch) == 2
    assert buildable.skipped == 2
    assert "ZeroDivisionError" in str(buildable.first) or "cycle" in str(buildable.first)
    with pytest.raises(NasxError, match="none of 1 configurations of fragile gives a graph"):
        buildable.graphs([(3, "a", "p")])


def test_what_is_not_allowed_is_not_counted() -> None:
    buildable = Buildable(SPACE, lambda architecture: architecture[0] == 0)
    assert buildable((0, "a", "p"))
    assert not buildable((3, "a", "p"))
    assert buildable.skipped == 0
