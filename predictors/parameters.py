"""Checks of what users set: parameters of predictors' constructors, and options of their presets."""

from __future__ import annotations

import inspect
import math
from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from nasx.search_spaces.errors import UsageError, unknown


def check_parameters(estimator: Any) -> None:
    """Compares the parameters of an estimator with what its constructor says of them: annotations and defaults.

    Raises:
        UsageError: If one is of another kind, not finite, negative, or 0 where the default is not.
    """
    for name, (default, hint) in _constructor(type(estimator)).items():  # type: ignore[arg-type]
        check_value(f"parameter '{name}' of {type(estimator).__name__}", default, hint, getattr(estimator, name))


def check_value(what: str, default: Any, hint: Any, value: Any) -> None:
    """Checks one value.

    Args:
        what: What it is called in the sentence that says what is wrong.
        default: The value it replaces; numbers are at least 0, counts at least 1, if this one is.
        hint: Its annotation.
        value: The value.

    Raises:
        UsageError: If it is of another kind, not finite, or too small.

    >>> check_value("option 'epochs'", 75, int, 30)
    >>> check_value("option 'epochs'", 75, int, 0)
    Traceback (most recent call last):
    nasx.search_spaces.errors.UsageError: option 'epochs' must be at least 1; got 0
    """
    if get_origin(hint) is Literal and value not in get_args(hint):
        raise unknown(f"value of {what}", value, get_args(hint))
    if not _fits(value, hint):
        raise UsageError(f"{what} is {default!r} by default; {value!r} is of another kind")
    if _is_number(value, Real) and _is_number(default, Real):
        if not math.isfinite(value):
            raise UsageError(f"{what} must be finite; got {value}")
        least = int(default > 0 and isinstance(default, Integral))
        if default >= 0 and value < least:
            raise UsageError(f"{what} must be at least {least}; got {value}")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotation's kind; a whole number may stand for a float, a truth value may not."""
    kind = get_origin(hint) or hint
    if kind in (Union, UnionType):
        return any(_fits(value, each) for each in get_args(hint))
    if kind is None or kind is NoneType:
        return value is None
    if kind in (int, float):
        return _is_number(value, Integral if kind is int else Real)
    try:
        return kind is Any or isinstance(value, kind)
    except TypeError:  # a protocol, a variable: nothing that could be compared
        return True


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
