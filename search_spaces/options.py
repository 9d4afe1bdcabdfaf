"""The options of named choices: what they may be, and what Optuna calls them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from nasx.search_spaces.errors import UsageError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Scalar: TypeAlias = str | int | float | bool | None


def distribution_of(options: tuple[Scalar, ...] | range) -> BaseDistribution:
    """Returns the Optuna distribution of a choice: an ``IntDistribution`` of a range, else a categorical one.

    >>> distribution_of(range(2, 9, 2))
    IntDistribution(high=8, log=False, low=2, step=2)
    """
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if isinstance(options, range):
        return IntDistribution(min(options), max(options), step=abs(options.step) if len(options) > 1 else 1)
    return CategoricalDistribution(options)


def check_choices(choices: Mapping[str, tuple[Scalar, ...]]) -> None:
    """Checks that every choice has options that can be told apart, in memory and in writing.

    Raises:
        UsageError: If it has not.
    """
    if not choices:
        raise UsageError("a choice space needs at least one choice, like {'depth': [1, 2, 3]}")
    for key, options in choices.items():
        if not isinstance(key, str) or not key or any(mark in key for mark in ",=") or key != key.strip():
            raise UsageError(f"a choice needs a name without ',', '=' and outer blanks; got {key!r}")
        if not options:
            raise UsageError(f"choice '{key}' has no options")
        for option in options:
            if not isinstance(option, str | int | float | bool | None):
                raise UsageError(f"options are text, numbers, booleans or None; choice '{key}' has {option!r}")
            if "," in str(option) or str(option) != str(option).strip():
                raise UsageError(f"option {option!r} of '{key}' holds a ',' or outer blanks; it could not be parsed")
        if len(set(options)) < len(options) or len({str(option) for option in options}) < len(options):
            raise UsageError(f"choice '{key}' has an option twice (equal, or written the same): {list(options)}")
