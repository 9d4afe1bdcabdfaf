from __future__ import annotations

import numpy as np
import pytest

from nasx.family_splits import ALL, InDomain, LeaveOneFamilyOut, evenly
from nasx.search_spaces.errors import UsageError
from nasx.splits import get_protocol

FAMILIES = np.array(["a"] * 2000 + ["b"] * 1500 + ["c"] * 30)
ROWS = np.arange(len(FAMILIES))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def counts(rows: np.ndarray) -> list[int]:
    return [int((FAMILIES[rows] == name).sum()) for name in "abc"]


def test_in_domain_is_1800_and_200_a_family() -> None:
    protocol = get_protocol("in-domain")
    assert protocol == InDomain()
    split = protocol.split(ROWS, 10**6, rng(), groups=FAMILIES)
    assert counts(split.train) == [1800, 1350, 27]
    assert counts(split.test) == [200, 150, 3]
    assert split.test[:200].tolist() == list(range(1800, 2000))
    assert protocol.most(ROWS, FAMILIES) == 3177
    assert protocol.folds(FAMILIES) == (ALL,)


def test_the_tenth_is_that_of_the_table_whatever_was_measured() -> None:
    measured = ROWS[(ROWS < 500) | (ROWS > 1850)]
    split = InDomain().split(measured, 10**6, rng(), groups=FAMILIES)
    assert counts(split.train) == [500, 1350, 27]
    assert counts(split.test) == [149, 150, 3]


def test_one_family_is_left_out_and_all_others_train() -> None:
    protocol = get_protocol("leave-one-family-out", validation_size=90)
    assert protocol.folds(FAMILIES) == ("a", "b", "c")
    split = protocol.fold("b").split(ROWS, 10**6, rng(), groups=FAMILIES)
    assert counts(split.test) == [0, 1500, 0]
    assert counts(split.validation) == [60, 0, 30]  # as many of each as there are
    assert counts(split.train) == [1940, 0, 0]
    assert protocol.most(ROWS, FAMILIES) == 3410


@pytest.mark.parametrize("protocol", [InDomain(20), LeaveOneFamilyOut(20).fold("a")])
def test_a_size_is_drawn_evenly_and_nothing_is_on_two_sides(protocol: InDomain | LeaveOneFamilyOut) -> None:
    split = protocol.split(ROWS, 40, rng(), groups=FAMILIES)
    assert len(split.train) == 40
    assert len(split.validation) == 20
    sides = np.concatenate([split.train, split.validation, split.test])
    assert len(set(sides.tolist())) == len(sides)
    drawn = [count for count in counts(split.train) if count]
    assert max(drawn) - min(drawn) <= 3
    other = protocol.split(ROWS, 40, np.random.default_rng(1), groups=FAMILIES)
    assert split.fingerprint != other.fingerprint
    assert split.fingerprint == protocol.split(ROWS, 40, rng(), groups=FAMILIES).fingerprint


def test_every_beginning_is_even() -> None:
    order = evenly(ROWS, FAMILIES, rng())
    assert sorted(order.tolist()) == ROWS.tolist()
    assert counts(order[:30]) == [10, 10, 10]
    assert counts(order[:90]) == [30, 30, 30]
    assert counts(order[:200]) == [85, 85, 30]


def test_one_family_can_be_chosen() -> None:
    families = np.asarray(FAMILIES)
    assert LeaveOneFamilyOut(family=str(families[-1])).folds(families) == (families[-1],)
    with pytest.raises(UsageError, match="unknown family 'lenet'"):
        LeaveOneFamilyOut(family="lenet").folds(families)


def test_mistakes_are_explained() -> None:
    with pytest.raises(UsageError, match="needs the family of each network"):
        InDomain().split(ROWS, 5, rng())
    with pytest.raises(UsageError, match="say which family tests"):
        LeaveOneFamilyOut().split(ROWS, 5, rng(), groups=FAMILIES)
    with pytest.raises(UsageError, match="unknown family 'd'; known: a, b, c"):
        LeaveOneFamilyOut().fold("d").split(ROWS, 5, rng(), groups=FAMILIES)
    with pytest.raises(UsageError, match="0 networks may train"):
        LeaveOneFamilyOut().fold("a").split(ROWS[:2000], 5, rng(), groups=FAMILIES)
    with pytest.raises(UsageError, match="only 0 measured networks are left to test on"):
        LeaveOneFamilyOut().fold("c").split(ROWS[:2000], 5, rng(), groups=FAMILIES)
