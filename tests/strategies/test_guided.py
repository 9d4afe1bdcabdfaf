"""Predictor-guided proposals: good, new, functionally different, and honest about duplicates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from nasx.search_spaces.nasbench201 import NASBench201
from nasx.strategies import STRATEGIES, make_strategy
from nasx.strategies.guided import ask_unseen, propose, unseen


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
