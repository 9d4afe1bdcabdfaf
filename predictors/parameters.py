"""Checks of what users set: parameters of predictors' constructors, and options of their presets."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from nasx.search_spaces.errors import UsageError, unknown


def check_parameters(estimator: Any, least: Mapping[str, float]) -> None:
    """Compares the parameters of an estimator with the annotations of its constructor.

    Args:
        estimator: The estimator.
        least: Parameter -> its smallest sensible value; such a parameter is finite, too.

    Raises:
        UsageError: If one is of another kind, or too small.
    """
    for name, (default, hint) in _constructor(type(estimator)).items():  # type: ignore[arg-type]
        what, value = f"parameter '{name}' of {type(estimator).__name__}", getattr(estimator, name)
        _check_kind(what, default, hint, value)
        if name in least and _is_number(value, Real):
            _check_number(what, least[name], value)


def check_option(what: str, default: Any, hint: Any, value: Any) -> None:
    """Checks the value of an option, which replaces another one.

    Args:
        what: What it is called in the sentence that says what is wrong.
        default: The value it replaces; numbers are at least 0, counts at least 1, if this one is.
        hint: Its annotation.
        value: The value.

    Raises:
        UsageError: If it is of another kind, not finite, or too small.

    >>> check_option("option 'epochs'", 75, int, 30)
    >>> check_option("option 'epochs'", 75, int, 0)
    Traceback (most recent call last):
    nasx.search_spaces.errors.UsageError: option 'epochs' must be at least 1; got 0
    """
    _check_kind(what, default, hint, value)
    if _is_number(value, Real) and _is_number(default, Real):
        counts = isinstance(default, Integral)
        _check_number(what, -math.inf if default < 0 else int(default > 0 and counts), value)


def _check_kind(what: str, default: Any, hint: Any, value: Any) -> None:
    if get_origin(hint) is Literal and value not in get_args(hint):
        raise unknown(f"value of {what}", value, map(str, get_args(hint)))
    if not _fits(value, hint):
        raise UsageError(f"{what} is {default!r} by default; {value!r} is of another kind")


def _check_number(what: str, least: float, value: float) -> None:
    if not math.isfinite(value):
        raise UsageError(f"{what} must be finite; got {value}")
    if value < least:
        raise UsageError(f"{what} must be at least {least}; got {value}")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is a number, a word, a truth value, a mapping or None if it is said to be; the rest is believed.

    A whole number may stand for a float, a truth value may not.
    """
    kind = get_origin(hint) or hint
    if kind in (Union, UnionType):
        return any(_fits(value, each) for each in get_args(hint))
    if kind is None or kind is NoneType:
        return value is None
    if kind in (int, float):
        return _is_number(value, Integral if kind is int else Real)
    return kind not in (bool, str, dict, Mapping) or isinstance(value, kind)


def _is_number(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


@cache
def _constructor(cls: type) -> dict[str, tuple[Any, Any]]:
    """Parameter -> its default and annotation, where both are known."""
    make = inspect.getattr_static(cls, "__init__")
    try:
        hints = get_type_hints(make)
    except NameError:  # a class of others, with names that only a type checker imports
        return {}
    parameters = inspect.signature(make).parameters.values()
    return {p.name: (p.default, hints[p.name]) for p in parameters if p.name in hints and p.default is not p.empty}
