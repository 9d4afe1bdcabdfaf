"""The next candidate: a queue that is renewed now and then, pending evaluations taken into account."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nasx.candidates import RankedCandidates, StrategyCandidates
from nasx.guide import Guide
from nasx.predictors import make_predictor
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.store import Evaluation

SPACE = NASBench201()


class Spy(Guide):
    """Notes what was fitted."""

    def __init__(self) -> None:
        super().__init__(SPACE, "random", "maximize", 0, None, candidates=200, exploration=0.25)
        self.fits: list[tuple[int, list[Any]]] = []

    def fit(self, predictor: Any, index: int, history: Any, also: Any = ()) -> Any:
        self.fits.append((len(history), list(also)))
        return super().fit(predictor, index, history, also)


def ranked(guide: Guide, **changes: Any) -> RankedCandidates:
    settings = {"initial": 6, "batch": 4, "slots": 2, "background": False, "shared": False} | changes
    return RankedCandidates(guide, make_predictor("trees", trees=10), **settings)


def evaluated(proposal: Any, value: float = math.nan) -> Evaluation:
    number = proposal.architecture.count("nor_conv_3x3") if math.isnan(value) else value
    return Evaluation(0, proposal.architecture, proposal.key, math.nan, float(number))


def pending(proposal: Any) -> Any:
    predicted = proposal.predicted if math.isfinite(proposal.predicted) else None
    text = SPACE.format(proposal.architecture)
    return SimpleNamespace(user_attrs={"key": proposal.key, "architecture": text, "predicted": predicted})


def test_pending_evaluations_enter_the_fit_with_their_predictions() -> None:
    guide = Spy()
    source = ranked(guide)
    history, waiting = [], []
    for _ in range(6):
        found = source.next(history, waiting)
        assert found is not None
        assert found[1] == 0
        history.append(evaluated(found[0]))
    first, second = source.next(history, []), None
    assert first is not None
    assert guide.fits == [(6, [])]
    waiting = [pending(first[0])]
    for _ in range(4):
        second = source.next(history, waiting)
        assert second is not None
        history.append(evaluated(second[0]))
    third = source.next(history, waiting)
    assert third is not None
    size, also = guide.fits[1]
    assert size == 10  # four results later
    assert also == [(first[0].architecture, pytest.approx(first[0].predicted))]
    assert (first[1], third[1]) == (1, 2)


def test_nothing_known_or_pending_is_proposed() -> None:
    guide = Spy()
    source = ranked(guide)
    history: list[Evaluation] = []
    waiting: list[Any] = []
    keys: set[str] = set()
    for turn in range(40):
        found = source.next(history, waiting)
        assert found is not None
        assert found[0].key not in keys
        keys.add(found[0].key)
        waiting.append(pending(found[0]))
        if turn % 2:
            done = waiting.pop(0)
            architecture = SPACE.parse(done.user_attrs["architecture"])
            history.append(Evaluation(0, architecture, done.user_attrs["key"], math.nan, 1.0 + len(history) % 3))


def test_an_empty_queue_is_ranked_anew_without_a_fit_that_would_learn_nothing() -> None:
    guide = Spy()
    source = ranked(guide)
    history = [evaluated(found[0]) for found in [source.next([], [])] if found]
    while len(history) < 6:
        found = source.next(history, [])
        assert found is not None
        history.append(evaluated(found[0]))
    waiting = []
    for _ in range(15):  # more than a queue of batch + slots
        found = source.next(history, waiting)
        assert found is not None
        waiting.append(pending(found[0]))
    assert len(guide.fits) == 1


def test_random_candidates_are_spread_over_the_queue() -> None:
    guide = Spy()
    source = ranked(guide, batch=16, slots=4)
    rng = np.random.default_rng(0)
    proposals = guide.random(rng, 20, ())[0]
    mixed = source._mixed(list(proposals), 1)
    assert sorted(p.key for p in mixed) == sorted(p.key for p in proposals)
    places = [mixed.index(proposal) for proposal in proposals[-5:]]
    assert min(places) < 10
    best = [proposal for proposal in mixed if proposal in proposals[:15]]
    assert best == proposals[:15]


def test_processes_of_one_search_share_the_initial_sample_and_begin_at_different_places() -> None:
    one, other = Spy(), Spy()
    one.salt, other.salt = 1, 2
    first, second = ranked(one, shared=True, initial=12), ranked(other, shared=True, initial=12)
    assert {p.key for p in first._first} == {p.key for p in second._first}
    history: list[Evaluation] = []
    order = []
    for source in (first, second):
        order.append([found[0].key for found in (source.next(history, []) for _ in range(6)) if found])
    assert order[0] != order[1]


def test_a_strategy_is_told_everything_once_and_lied_to_about_the_pending() -> None:
    guide = Guide(SPACE, "evolution", "maximize", 0, None)
    source = StrategyCandidates(guide)
    told: list[tuple[Any, float]] = []
    tell = source._strategy.tell

    def spy(architectures: Any, values: Any) -> None:
        told.extend(zip(architectures, values, strict=True))
        tell(architectures, values)

    source._strategy.tell = spy  # type: ignore[method-assign]
    history, waiting = [], []
    for number in range(30):
        found = source.next(history, waiting)
        assert found is not None
        history.append(evaluated(found[0], 1.0 + number % 2))
    source.next(history, waiting)
    assert [value for architecture, value in told][:30].count(1.0) >= 10
    assert {architecture for architecture, _ in told} >= {evaluation.architecture for evaluation in history}
