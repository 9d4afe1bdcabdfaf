"""Which rows of a benchmark train, validate and test a predictor.

The tau of two papers can be compared only if they were measured on the same split. A protocol is therefore an object
with a name, and what it draws has a fingerprint that goes into every row of a report:

- :class:`Prefix`, as in the papers: the first rows train, the next ones validate, and *all* rows test, those trained on
  among them. To compare with published figures.
- :class:`Uniform`, the honest default: drawn at random, nothing is on both sides.
- :class:`ByFunction`, the strictest: as ``Uniform``, and no test architecture computes the same function as one trained
  on.

The names for the command line are ``prefix``, ``uniform``, ``uniform-stratified`` and ``by-function``, and of tables of
whole networks those of :mod:`nasx.family_splits`.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasx.search_spaces.errors import UsageError, unknown

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of a benchmark: ``train``, ``validation`` and ``test``, each (n,) int64 and sorted.

    Attributes:
        protocol: Name of the protocol that drew it.
        train: Rows whose values the predictor is fitted on.
        validation: Rows it may look at while fitting (empty unless asked for).
        test: Rows it is judged on.
        source: Where a predictor of another metric is adapted, the rows whose values of that metric it learnt first.
    """

    protocol: str
    train: Rows
    validation: Rows
    test: Rows
    source: Rows | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Protocol and a hash of all three sets of rows: equal exactly where the split is, on every machine.

        >>> Split("uniform", np.array([0, 2]), np.array([], int), np.array([1, 3])).fingerprint
        'uniform-eefc0bf2aedf'
        """
        digest = hashlib.sha256(self.protocol.encode())
        for rows in (self.train, self.validation, self.test, *(() if self.source is None else (self.source,))):
            digest.update(b"|%d|" % len(rows))
            digest.update(np.ascontiguousarray(rows, dtype="<i8").data)
        return f"{self.protocol}-{digest.hexdigest()[:12]}"

    def sampled(self, test_size: int, rng: np.random.Generator) -> Split:
        """The split with that many of its test rows, drawn at random; with all of them where there are no more.

        >>> split = Split("uniform", np.array([0]), np.array([], int), np.arange(1, 9))
        >>> len(split.sampled(3, np.random.default_rng(0)).test), len(split.sampled(9, np.random.default_rng(0)).test)
        (3, 8)
        """
        return replace(self, test=np.sort(rng.permutation(self.test)[:test_size]))


class Protocol(ABC):
    """How rows are divided.

    Attributes:
        name: The name it goes by on the command line and in reports.
        validation_size: How many rows validate.
        tests_on: What the test rows are, in words.
        needs_order: Whether the rows must come in the official order of the benchmark.
        needs_groups: Whether ``split`` must be given the groups of the rows (see :func:`nasx.twins.function_groups`).
        needs_families: Whether these groups are the families of networks (see :mod:`nasx.family_splits`).
    """

    name: str
    validation_size: int
    tests_on = "unseen architectures"
    needs_order = False
    needs_groups = False
    needs_families = False

    @property
    def label(self) -> str:
        """The name, and the number of rows that validate where there are any."""
        return self.name + (f", {self.validation_size} for validation" if self.validation_size else "")

    @abstractmethod
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
        """Divides rows.

        Args:
            rows: Rows that have a training value, in the official order where the protocol needs it.
            train_size: How many of them train.
            rng: The source of randomness.
            test_rows: Rows that have a value to be judged by; ``rows`` if not given.
            values: (N,) training value of every row of the benchmark; read by protocols that stratify.
            groups: (N,) group of every row of the benchmark; read by protocols that keep groups together.

        Raises:
            UsageError: There are not that many rows, or fewer than two would be left to test on.
        """


@dataclass(frozen=True)
class Prefix(Protocol):
    """The papers' protocol: the first rows train, the next validate, all rows test, training rows included.

    The rows are taken in the official order of the benchmark (the index of the official NAS-Bench-201 file, the hash
    order of the NAS-Bench-101 file), which must not depend on quality. Nothing is drawn.

    Source: the released code of NAR-Former V2 (Yi et al., NeurIPS 2023) and TNASP (Lu et al., NeurIPS 2021).

    >>> split = Prefix(validation_size=2).split(range(10), 3, np.random.default_rng(0))
    >>> split.train, split.validation, len(split.test)
    (array([0, 1, 2]), array([3, 4]), 10)
    """

    validation_size: int = 200
    name = "prefix"
    needs_order = True
    tests_on = "all architectures, those trained on among them"

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
        """Takes rows from the front; see :meth:`Protocol.split`."""
        rows, test = _checked(rows, train_size, self.validation_size, test_rows)
        return _split(self.name, rows, train_size, self.validation_size, test, len(rows))


@dataclass(frozen=True)
class Uniform(Protocol):
    """Drawn uniformly without replacement; everything else is the test.

    Args:
        validation_size: How many rows validate.
        stratified: Whether every part takes its share of each quantile of the training values: whatever the quantiles,
            the share is right to within one row.

    >>> split = Uniform().split(range(10), 3, np.random.default_rng(0))
    >>> len(split.train), len(split.test), set(split.train) & set(split.test)
    (3, 7, set())
    """

    validation_size: int = 0
    stratified: bool = False

    #: Quantiles that a stratified draw balances.
    STRATA = 10

    @property
    def name(self) -> str:  # type: ignore[override]
        """``uniform`` or ``uniform-stratified``."""
        return "uniform-stratified" if self.stratified else "uniform"

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
        """Draws at random; see :meth:`Protocol.split`."""
        rows, test = _checked(rows, train_size, self.validation_size, test_rows)
        if self.stratified:
            if values is None:
                raise UsageError("a stratified split needs the training values of the rows: split(..., values=...)")
            order = _stratified(rows, np.asarray(values, dtype=np.float64)[rows], self.STRATA, rng)
        else:
            order = rng.permutation(rows)
        drawn = order[: train_size + self.validation_size]
        return _split(self.name, drawn, train_size, self.validation_size, test[~np.isin(test, drawn)], len(rows))


@dataclass(frozen=True)
class ByFunction(Protocol):
    """Drawn uniformly, and functionally equal architectures are never on two sides.

    The training rows are those that :class:`Uniform` draws from the same generator; what is functionally equal to one
    of them is neither validated nor tested on. The two protocols side by side show what twins gave away.

    >>> split = ByFunction().split(range(6), 2, np.random.default_rng(0), groups=[0, 0, 1, 1, 2, 2])
    >>> split.train, split.test
    (array([2, 3]), array([0, 1, 4, 5]))
    """

    validation_size: int = 0
    name = "by-function"
    needs_groups = True
    tests_on = "architectures functionally different from those trained on"

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
        """Draws at random and drops twins; see :meth:`Protocol.split`."""
        rows, test = _checked(rows, train_size, self.validation_size, test_rows)
        if groups is None:
            raise UsageError("a split by function needs the group of each row: split(..., groups=...)")
        group = np.asarray(groups)
        order = rng.permutation(rows)
        train = order[:train_size]
        apart = order[train_size:]
        apart = apart[~np.isin(group[apart], group[train])]
        if len(apart) < self.validation_size:
            raise UsageError(
                f"{self.validation_size} validation rows were asked for, but only {len(apart)} architectures are "
                f"functionally different from the {train_size} training rows"
            )
        drawn = np.concatenate([train, apart[: self.validation_size]])
        test = test[~np.isin(group[test], group[drawn])]
        return _split(self.name, drawn, train_size, self.validation_size, test, len(rows))


def _by_family(name: str) -> Protocol:
    from nasx import family_splits

    return getattr(family_splits, name)()  # type: ignore[no-any-return]


PROTOCOLS: dict[str, Callable[[], Protocol]] = {
    "prefix": Prefix,
    "uniform": Uniform,
    "uniform-stratified": lambda: Uniform(stratified=True),
    "by-function": ByFunction,
    "in-domain": lambda: _by_family("InDomain"),
    "leave-one-family-out": lambda: _by_family("LeaveOneFamilyOut"),
}


def get_protocol(name: str | Protocol, *, validation_size: int | None = None) -> Protocol:
    """The protocol of that name; an object is returned as it is.

    Args:
        name: A name of :data:`PROTOCOLS`.
        validation_size: How many rows validate; by default the protocol's own (200 for ``prefix``, else none).

    Raises:
        UsageError: There is no such protocol, or the size is negative.

    >>> get_protocol("prefix"), get_protocol("uniform", validation_size=50)
    (Prefix(validation_size=200), Uniform(validation_size=50, stratified=False))
    """
    if isinstance(name, str):
        if name not in PROTOCOLS:
            raise unknown("split", name, PROTOCOLS)
        protocol = PROTOCOLS[name]()
    else:
        protocol = name
    if validation_size is None:
        return protocol
    if validation_size < 0:
        raise UsageError(f"the number of validation rows must be at least 0, not {validation_size}")
    return replace(protocol, validation_size=validation_size)  # type: ignore[type-var]


def uniform(
    rows: ArrayLike,
    train_size: int,
    rng: np.random.Generator,
    *,
    validation_size: int = 0,
    test_rows: ArrayLike | None = None,
) -> Split:
    """Short for ``Uniform(validation_size).split(...)``."""
    return Uniform(validation_size).split(rows, train_size, rng, test_rows=test_rows)


def _checked(rows: ArrayLike, train_size: int, validation_size: int, test_rows: ArrayLike | None) -> tuple[Rows, Rows]:
    """Rows to draw from and rows to test on; raises where there are too few."""
    rows = np.asarray(rows, dtype=np.int64)
    if train_size < 1 or validation_size < 0:
        raise UsageError(f"a split needs at least 1 training row, not {train_size} (validation: {validation_size})")
    if train_size + validation_size > len(rows):
        wanted = f"{train_size} training rows" + (f" and {validation_size} for validation" if validation_size else "")
        raise UsageError(f"{wanted} were asked for, but only {len(rows)} architectures have the training metric")
    return rows, rows if test_rows is None else np.asarray(test_rows, dtype=np.int64)


def _split(protocol: str, drawn: Rows, train_size: int, validation_size: int, test: Rows, total: int) -> Split:
    if len(test) < 2:
        raise UsageError(
            f"{train_size} training rows leave {len(test)} of {total} architectures to test on; "
            "at least 2 are needed: choose a smaller training size"
        )
    train, validation = drawn[:train_size], drawn[train_size : train_size + validation_size]
    return Split(protocol, np.sort(train), np.sort(validation), np.sort(test))


def _stratified(rows: Rows, values: NDArray[np.float64], strata: int, rng: np.random.Generator) -> Rows:
    """Rows in an order of which every beginning takes its share of each quantile.

    Within a stratum the order is random; row i of m stands at place (i + u) / m, u drawn once a stratum, and the
    rows are sorted by their place.
    """
    order = rng.permutation(len(rows))
    by_value = order[np.argsort(values[order], kind="stable")]
    place = np.empty(len(rows))
    for stratum in np.array_split(by_value, min(strata, len(rows))):
        place[rng.permutation(stratum)] = (np.arange(len(stratum)) + rng.random()) / len(stratum)
    return rows[np.argsort(place, kind="stable")]
