from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasx.search_spaces.errors import UsageError
from nasx.splits import PROTOCOLS, ByFunction, Prefix, Split, Uniform, get_protocol, uniform


@given(st.integers(4, 60), st.integers(1, 30), st.integers(0, 30), st.integers(0, 5))
def test_parts_are_disjoint_and_cover_everything(total: int, train: int, validation: int, seed: int) -> None:
    if train + validation > total - 2:
        return
    rows = np.arange(total) * 3
    split = uniform(rows, train, np.random.default_rng(seed), validation_size=validation)
    assert (len(split.train), len(split.validation)) == (train, validation)
    assert sorted([*split.train, *split.validation, *split.test]) == rows.tolist()


def test_same_seed_same_split() -> None:
    one, two, other = (uniform(range(100), 10, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(one.train, two.train)
    assert not np.array_equal(one.train, other.train)


def test_every_row_is_drawn_equally_often() -> None:
    rng = np.random.default_rng(0)
    counts = np.bincount(np.concatenate([uniform(range(20), 5, rng).train for _ in range(2000)]), minlength=20)
    assert counts.min() > 400
    assert counts.max() < 600


def test_train_on_one_metric_and_test_on_another() -> None:
    split = uniform([0, 1, 2, 3], 2, np.random.default_rng(0), test_rows=range(3, 10))
    assert set(split.train) <= {0, 1, 2, 3}
    assert set(split.test) == set(range(3, 10)) - set(split.train)


def test_too_many_rows_are_one_sentence() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="only 5 architectures"):
        uniform(range(5), 6, rng)
    with pytest.raises(UsageError, match="only 5 architectures"):
        uniform(range(5), 3, rng, validation_size=3)
    with pytest.raises(UsageError, match="leave 1 of 5"):
        uniform(range(5), 4, rng)
    with pytest.raises(UsageError, match="at least 1"):
        uniform(range(5), 0, rng)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_prefix_is_the_papers_protocol() -> None:
    split = Prefix().split(range(1000), 300, rng(), test_rows=range(990))
    assert split.train.tolist() == list(range(300))
    assert split.validation.tolist() == list(range(300, 500))
    assert split.test.tolist() == list(range(990))
    assert split.fingerprint == Prefix().split(range(1000), 300, rng(1), test_rows=range(990)).fingerprint
    with_gaps = Prefix(validation_size=1).split([5, 2, 9, 4], 2, rng())
    assert (with_gaps.train.tolist(), with_gaps.validation.tolist()) == ([2, 5], [9])


@pytest.mark.parametrize("seed", range(3))
def test_uniform_draws_the_rows_it_always_drew(seed: int) -> None:
    drawn = rng(seed).permutation(np.arange(50))[:10]
    assert Uniform().split(range(50), 10, rng(seed)).train.tolist() == sorted(drawn.tolist())
    assert uniform(range(50), 10, rng(seed)).fingerprint == Uniform().split(range(50), 10, rng(seed)).fingerprint


def test_fingerprints_of_published_evaluations_never_change() -> None:
    for repeat, known in enumerate(["uniform-9581b62c6f07", "uniform-6a2c0e7dd42f"]):
        split = Uniform().split(range(15_625), 156, np.random.default_rng([0, repeat, 156]))
        assert split.fingerprint == known
    assert Prefix().split(range(15_625), 156, rng()).fingerprint == "prefix-fa381fb11e77"


@given(st.integers(20, 200), st.integers(1, 10), st.integers(0, 5))
def test_a_stratified_draw_takes_its_share_of_each_quantile(total: int, train: int, seed: int) -> None:
    values = rng(seed).normal(size=total)
    split = Uniform(validation_size=3, stratified=True).split(range(total), train, rng(seed), values=values)
    assert sorted([*split.train, *split.validation, *split.test]) == list(range(total))
    assert (len(split.train), len(split.validation)) == (train, 3)
    strata = np.array_split(np.argsort(values), Uniform.STRATA)
    for stratum in strata:
        share = train * len(stratum) / total
        assert abs(np.isin(split.train, stratum).sum() - share) < 2


def test_a_stratified_draw_is_still_uniform() -> None:
    generator, values = rng(), np.arange(40.0)
    draws = [Uniform(stratified=True).split(range(40), 10, generator, values=values).train for _ in range(1000)]
    counts = np.bincount(np.concatenate(draws), minlength=40)
    assert counts.min() > 180
    assert counts.max() < 330


@given(st.lists(st.integers(0, 8), min_size=12, max_size=60), st.integers(1, 4), st.integers(0, 2), st.integers(0, 5))
def test_twins_are_never_on_two_sides(groups: list[int], train: int, validation: int, seed: int) -> None:
    protocol, group = ByFunction(validation_size=validation), np.array(groups)
    try:
        split = protocol.split(range(len(groups)), train, rng(seed), groups=group)
    except UsageError as error:
        assert "functionally different" in str(error) or "to test on" in str(error)  # noqa: PT017
        return
    sides = [set(group[rows]) for rows in (split.train, split.validation, split.test)]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    assert split.train.tolist() == Uniform().split(range(len(groups)), train, rng(seed)).train.tolist()


def test_without_twins_by_function_is_uniform() -> None:
    one, two = ByFunction(5).split(range(30), 9, rng(), groups=range(30)), Uniform(5).split(range(30), 9, rng())
    assert all(np.array_equal(getattr(one, part), getattr(two, part)) for part in ("train", "validation", "test"))
    assert one.fingerprint != two.fingerprint


def test_fingerprints_are_stable_and_tell_splits_apart() -> None:
    def of(train: list[int], validation: list[int], test: list[int], protocol: str = "uniform") -> str:
        return Split(protocol, *(np.array(rows, dtype=np.int64) for rows in (train, validation, test))).fingerprint

    known = of([0, 2], [], [1, 3])
    assert known == "uniform-eefc0bf2aedf"
    assert Split("uniform", *(np.array(r, dtype=np.int32) for r in ([0, 2], [], [1, 3]))).fingerprint == known
    others = [of([0], [2], [1, 3]), of([0, 2], [1], [3]), of([0, 2], [], [1]), of([], [0, 2], [1, 3])]
    assert len({known, *others, of([0, 2], [], [1, 3], "prefix")}) == 6


def test_protocols_by_name() -> None:
    for name in PROTOCOLS:
        assert get_protocol(name).name == name
        assert get_protocol(get_protocol(name)) == get_protocol(name)
    assert get_protocol("uniform", validation_size=7).label == "uniform, 7 for validation"
    assert get_protocol("prefix").label == "prefix, 200 for validation"
    assert get_protocol("by-function").label == "by-function"
    with pytest.raises(UsageError, match=r"unknown split 'prefixes'.*did you mean 'prefix'"):
        get_protocol("prefixes")
    with pytest.raises(UsageError, match="at least 0"):
        get_protocol("uniform", validation_size=-1)
    with pytest.raises(UsageError, match="values"):
        Uniform(stratified=True).split(range(9), 2, rng())
    with pytest.raises(UsageError, match="group"):
        ByFunction().split(range(9), 2, rng())
    with pytest.raises(UsageError, match="functionally different"):
        ByFunction(3).split(range(9), 2, rng(), groups=np.zeros(9))
