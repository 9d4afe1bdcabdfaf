"""Predictor-guided proposals: good, new, functionally different, and honest about duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from nasx.search_spaces.nasbench201 import NASBench201
from nasx.strategies import STRATEGIES, guided, make_strategy
from nasx.strategies.guided import Proposal, ask_unseen, propose, unseen
from nasx.strategies.random_search import RandomSearch


def _score(cells: Sequence[tuple[str, ...]]) -> np.ndarray:
    return np.array([cell.count("nor_conv_3x3") - 0.1 * cell.count("none") for cell in cells], float)


@pytest.mark.parametrize("name", STRATEGIES)
def test_proposes_the_best_unseen(name: str, space: NASBench201, rng: np.random.Generator) -> None:
    start = space.samples(10, rng)
    seen = {space.canonical_key(cell) for cell in start}
    proposals, _ = propose(
        make_strategy(name, space, rng=rng, inner=True), _score, 6, evaluated=start, seen=seen, exploration=0.0
    )
    assert len(proposals) == 6
    assert len({proposal.key for proposal in proposals} | seen) == 6 + len(seen)
    assert all(proposal.predicted == _score([proposal.architecture])[0] for proposal in proposals)
    assert np.mean([proposal.predicted for proposal in proposals]) > max(_score(start))


def test_direction_is_respected(space: NASBench201, rng: np.random.Generator) -> None:
    strategy = make_strategy("evolution", space, rng=rng, direction="minimize", inner=True)
    proposals, _ = propose(strategy, _score, 4, evaluated=[], seen=(), exploration=0.0)
    assert max(proposal.predicted for proposal in proposals) <= 0


def test_exploration_share_is_drawn_at_random(space: NASBench201) -> None:
    def proposed(exploration: float) -> float:
        strategy = make_strategy("random", space, rng=np.random.default_rng(1), inner=True)
        proposals, _ = propose(strategy, _score, 10, evaluated=[], seen=(), exploration=exploration)
        return float(np.mean([proposal.predicted for proposal in proposals]))

    assert proposed(0.0) > proposed(0.5) > proposed(1.0)


def test_twins_of_evaluated_cells_are_counted_not_proposed(space: NASBench201, rng: np.random.Generator) -> None:
    alive = ("none", "nor_conv_3x3", "none", "none", "none", "nor_conv_3x3")
    twin = ("nor_conv_3x3", "none", "none", "none", "nor_conv_3x3", "none")
    assert space.canonical_key(alive) == space.canonical_key(twin)

    class Twin:
        def __getattr__(self, name: str) -> object:
            return getattr(space, name)

        def samples(self, n: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
            return [twin, *space.samples(n, rng)]

    proposals, avoided = unseen(Twin(), rng, 3, {space.canonical_key(alive)})  # type: ignore[arg-type]
    assert avoided >= 1
    assert twin not in [proposal.architecture for proposal in proposals]


def test_duplicates_are_told_the_known_value(space: NASBench201, rng: np.random.Generator) -> None:
    told = []

    class Stubborn:
        def __init__(self) -> None:
            self.space, self.rng, self.turn = space, rng, 0

        def ask(self, n: int) -> list[tuple[str, ...]]:
            self.turn += 1
            return [("nor_conv_3x3",) * 6] if self.turn < 3 else [("nor_conv_1x1",) * 6]

        def tell(self, architectures: list[tuple[str, ...]], values: list[float]) -> None:
            told.append((architectures, values))

    known = {space.canonical_key(("nor_conv_3x3",) * 6): 5.0}
    proposals, avoided = ask_unseen(Stubborn(), 1, known)  # type: ignore[arg-type]
    assert [proposal.architecture for proposal in proposals] == [("nor_conv_1x1",) * 6]
    assert avoided == 2
    assert told == [([("nor_conv_3x3",) * 6], [5.0])] * 2


def test_a_small_space_is_used_up_exactly(rng: np.random.Generator) -> None:
    from nasx.search_spaces.choice_space import ChoiceSpace
    from nasx.search_spaces.graph import Graph

    tiny = ChoiceSpace(
        "tiny", {"op": ["a", "b", "c"]}, lambda c: Graph.from_edges(["input", c["op"], "output"], [(0, 1), (1, 2)])
    )
    proposals, _ = unseen(tiny, rng, 10, {tiny.canonical_key(("a",))})
    assert {proposal.architecture for proposal in proposals} == {("b",), ("c",)}


@pytest.mark.parametrize("name", ["random", "evolution"])
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_many_candidates_stream_by(name: str, direction: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a shortlist far smaller than the number of candidates the same architectures are proposed."""
    from nasx.search_spaces.choice_space import ChoiceSpace
    from nasx.search_spaces.graph import Graph

    def build(chosen: dict[str, str]) -> Graph:
        labels = ["input", *chosen.values(), "output"]
        return Graph.from_edges(labels, [(node, node + 1) for node in range(len(labels) - 1)])

    space = ChoiceSpace("vast", {f"layer {i}": list("abcdefghij") for i in range(18)}, build)
    batches: list[int] = []

    def score(architectures: Sequence[tuple[str, ...]]) -> np.ndarray:
        batches.append(len(architectures))
        return np.array([sum(map(ord, architecture)) for architecture in architectures], float)

    def proposed(keep: int) -> list[Proposal]:
        monkeypatch.setattr(guided, "_SHORTLIST", keep)
        monkeypatch.setattr(RandomSearch, "inner_batch", 500)
        strategy = make_strategy(name, space, rng=np.random.default_rng(3), direction=direction, inner=True)
        evaluated = space.samples(5, np.random.default_rng(1))
        found, _ = propose(strategy, score, 6, evaluated=evaluated, seen=(), exploration=0.0, candidates=6000)
        return found

    assert proposed(20) == proposed(10**6)
    assert sum(batches) > 10_000
    assert max(batches) <= 500


def test_a_shortlist_keeps_the_best_in_the_order_they_came() -> None:
    best = guided._Shortlist(3, sign=-1.0)
    for number, value in enumerate([5.0, 1.0, 4.0, 1.0, 9.0, 2.0]):
        best.add({f"{number}": value})
    assert len(best.scores) == 6
    best.add({"6": 0.5})
    assert list(best.scores) == ["1", "3", "6"]
    assert best.ranked() == ["6", "1", "3"]
