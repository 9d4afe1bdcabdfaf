"""Which rows of a benchmark train, validate and test a predictor.

A protocol is a function from the rows at hand, a size and a generator to a :class:`Split`. The only one so far is
:func:`uniform`, the honest default: drawn at random and disjoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasx.search_spaces.errors import UsageError

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Rows of a benchmark: ``train``, ``validation`` and ``test``, each sorted, (n,) int64.

    Attributes:
        protocol: Name of the protocol that drew it.
        train: Rows whose values the predictor is fitted on.
        validation: Rows it may look at while fitting (empty unless asked for).
        test: Rows it is judged on.
    """

    protocol: str
    train: Rows
    validation: Rows
    test: Rows


def uniform(
    rows: ArrayLike,
    train_size: int,
    rng: np.random.Generator,
    *,
    validation_size: int = 0,
    test_rows: ArrayLike | None = None,
) -> Split:
    """Draws training (and validation) rows uniformly without replacement; everything else is the test.

    Args:
        rows: Rows that have a training value.
        train_size: How many of them train.
        rng: The source of randomness.
        validation_size: How many others validate.
        test_rows: Rows that have a value to be judged by; ``rows`` if not given.

    Raises:
        UsageError: There are not that many rows, or fewer than two would be left to test on.

    >>> split = uniform(range(10), 3, np.random.default_rng(0))
    >>> len(split.train), len(split.test), set(split.train) & set(split.test)
    (3, 7, set())
    """
    rows = np.asarray(rows, dtype=np.int64)
    if train_size < 1 or validation_size < 0:
        raise UsageError(f"a split needs at least 1 training row, not {train_size} (validation: {validation_size})")
    if train_size + validation_size > len(rows):
        wanted = f"{train_size} training rows" + (f" and {validation_size} for validation" if validation_size else "")
        raise UsageError(f"{wanted} were asked for, but only {len(rows)} architectures have the training metric")
    drawn = rng.permutation(rows)[: train_size + validation_size]
    test = np.setdiff1d(rows if test_rows is None else np.asarray(test_rows, dtype=np.int64), drawn)
    if len(test) < 2:
        raise UsageError(
            f"{train_size} training rows leave {len(test)} of {len(rows)} architectures to test on; "
            "at least 2 are needed: choose a smaller training size"
        )
    return Split("uniform", np.sort(drawn[:train_size]), np.sort(drawn[train_size:]), test)


def train_size(size: int | str, total: int) -> int:
    """Turns ``781``, ``"781"`` or ``"5%"`` into a number of architectures.

    A percentage is of all architectures of the benchmark, rounded half up as in the literature (10 % of 15,625 is
    1,563; 0.1 % of 423,624 is 424).

    Args:
        size: A count, or a percentage ending in ``%``.
        total: The number of architectures of the benchmark.

    Raises:
        UsageError: Not a count or percentage, below 1, or not below ``total``.

    >>> train_size("5%", 15_625), train_size("0.1%", 423_624), train_size(781, 15_625)
    (781, 424, 781)
    """
    text = str(size).strip()
    try:
        if isinstance(size, bool):
            raise ValueError
        if text.endswith("%"):
            percent = float(text[:-1])
            if not np.isfinite(percent):
                raise ValueError
            count = int(np.floor(total * percent / 100 + 0.5))
        else:
            count = int(text)
    except ValueError:
        raise UsageError(
            f"'{size}' is not a training size; give a count such as 781 or a percentage such as 5%"
        ) from None
    if count < 1:
        raise UsageError(
            f"a training size must be at least 1 architecture, but '{size}' of {total:,} is {count}; "
            "give a count such as 781 or a percentage such as 5%"
        )
    if count >= total:
        raise UsageError(
            f"a training size of '{size}' leaves nothing to test on: the benchmark has {total:,} architectures; "
            "give a smaller count or percentage"
        )
    return count


def train_sizes(sizes: Sequence[int | str] | int | str, total: int) -> list[int]:
    """:func:`train_size` of each, without repeats, in the order given."""
    each = [sizes] if isinstance(sizes, int | str) else list(sizes)
    if not each:
        raise UsageError("give at least one training size, for example 781 or 5%")
    return list(dict.fromkeys(train_size(size, total) for size in each))
