"""Splits of whole networks by family: how latency predictors are measured.

- :class:`InDomain`: every family is known. The last tenth of each family tests, all others may train.
- :class:`LeaveOneFamilyOut`: one family after the other is new. Its networks test, those of all others may train.

Both train on all networks there are unless a size is asked for; then as many of each family as possible are drawn. Rows
that validate come from the training families only, and never from the tenth that tests.

Source: NNLQP (Liu et al., ICPP 2022) and NAR-Former V2 (Yi et al., NeurIPS 2023), tables 1 and 2: 1,800 + 200 networks
of each of ten families, and nine families of 2,000 against the tenth. The published code chooses its best epoch by the
networks that test; here it can only be chosen by rows that validate.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasx.search_spaces.errors import UsageError, unknown
from nasx.splits import Protocol, Rows, Split

TENTH = 10
ALL = "all"
"""The family of a row that is about the networks of all families together; the training size that takes all."""

Families = NDArray[np.str_]


def evenly(rows: ArrayLike, families: Families, rng: np.random.Generator) -> Rows:
    """Rows in an order of which every beginning has as many of each family as possible, drawn at random.

    Args:
        rows: Rows to be ordered.
        families: (N,) family of every row of the benchmark.
        rng: The source of randomness.

    >>> families = np.array(["a", "a", "a", "a", "b", "b"])
    >>> sorted(families[evenly(range(6), families, np.random.default_rng(0))[:4]].tolist())
    ['a', 'a', 'b', 'b']
    """
    order = rng.permutation(np.asarray(rows, dtype=np.int64))
    names, group = np.unique(families[order], return_inverse=True)
    place = np.empty(len(order), dtype=np.int64)
    for family in range(len(names)):
        members = np.flatnonzero(group == family)
        place[members] = np.arange(len(members))
    turn = rng.permutation(len(names))[group]
    return order[np.lexsort((turn, place))]


@dataclass(frozen=True)
class FamilySplit(Protocol):
    """What both have in common.

    Args:
        validation_size: How many rows validate, drawn evenly over the training families.
    """

    validation_size: int = 0
    needs_families = True

    def split(
        self,
        rows: ArrayLike,
        train_size: int,
        rng: np.random.Generator,
        *,
        test_rows: ArrayLike | None = None,
        values: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Split:
        """Divides rows; see :meth:`Protocol.split`. ``groups`` are the families of all rows.

        Raises:
            UsageError: Nobody said the families, or there are too few networks.
        """
        if groups is None:
            raise UsageError(f"the split '{self.name}' needs the family of each network: split(..., groups=...)")
        families = np.asarray(groups).astype(str)
        rows = np.asarray(rows, dtype=np.int64)
        tests = self._tests(families)
        pool = evenly(rows[~tests[rows]], families, rng)
        test = rows if test_rows is None else np.asarray(test_rows, dtype=np.int64)
        test = test[tests[test]]
        if train_size < 1 or self.validation_size < 0 or len(pool) - self.validation_size < 1:
            raise UsageError(
                f"a split needs at least 1 training row; {len(pool):,} networks may train, and {self.validation_size} "
                "are to validate"
            )
        if len(test) < 2:
            raise UsageError(f"only {len(test)} measured networks are left to test on; at least 2 are needed")
        validation, rest = pool[: self.validation_size], pool[self.validation_size :]
        return Split(self.name, np.sort(rest[:train_size]), np.sort(validation), np.sort(test))

    def most(self, rows: ArrayLike, families: Families) -> int:
        """How many of these measured rows can train: the training size that stands for all."""
        rows = np.asarray(rows, dtype=np.int64)
        each = [int((~self.fold(name)._tests(families)[rows]).sum()) for name in self.folds(families)]
        return max(0, max(each) - self.validation_size)

    @abstractmethod
    def folds(self, families: Families) -> tuple[str, ...]:
        """The families that are left out one after the other; ``("all",)`` where all are tested on at once."""

    def fold(self, family: str) -> FamilySplit:
        """The split in which this family is tested on."""
        return self

    @abstractmethod
    def _tests(self, families: Families) -> NDArray[np.bool_]:
        """Which rows of the table test."""


@dataclass(frozen=True)
class InDomain(FamilySplit):
    """The last tenth of each family of the table tests, measured on this device or not; the rest may train.

    >>> families = np.repeat(["a", "b"], 20)
    >>> split = InDomain().split(range(40), 100, np.random.default_rng(0), groups=families)
    >>> split.test.tolist(), len(split.train)
    ([18, 19, 38, 39], 36)
    """

    name = "in-domain"
    tests_on = "the last tenth of every family"

    def folds(self, families: Families) -> tuple[str, ...]:
        """One split for all families."""
        return (ALL,)

    def _tests(self, families: Families) -> NDArray[np.bool_]:
        tests = np.zeros(len(families), dtype=bool)
        for family in np.unique(families):
            members = np.flatnonzero(families == family)
            tests[members[len(members) - max(1, len(members) // TENTH) :]] = True
        return tests


@dataclass(frozen=True)
class LeaveOneFamilyOut(FamilySplit):
    """One family tests, all others may train.

    Args:
        validation_size: How many rows validate, drawn evenly over the training families.
        family: The family that tests; None: one after the other.

    >>> families = np.array(["a", "a", "b", "b", "c"])
    >>> protocol = LeaveOneFamilyOut()
    >>> split = protocol.fold("a").split(range(5), 10, np.random.default_rng(0), groups=families)
    >>> protocol.folds(families), split.train.tolist(), split.test.tolist()
    (('a', 'b', 'c'), [2, 3, 4], [0, 1])
    """

    family: str | None = None
    name = "leave-one-family-out"
    tests_on = "a family that it was not trained on"

    def folds(self, families: Families) -> tuple[str, ...]:
        """Every family, in the order of the table, or the one that was chosen."""
        known = tuple(dict.fromkeys(families.tolist()))
        if self.family is None:
            return known
        if self.family not in known:
            raise unknown("family", self.family, known)
        return (self.family,)

    def fold(self, family: str) -> LeaveOneFamilyOut:
        """The split in which this family is tested on."""
        return replace(self, family=family)

    def _tests(self, families: Families) -> NDArray[np.bool_]:
        if self.family is None:
            raise UsageError("say which family tests: LeaveOneFamilyOut().fold('resnet').split(...)")
        if self.family not in families:
            raise unknown("family", self.family, set(families.tolist()))
        return families == self.family
