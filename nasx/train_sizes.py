"""How many architectures train a predictor: counts, or percentages of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nasx.search_spaces.errors import UsageError


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
