"""Spaces written for the package ConfigSpace, as spaces of choices: ``nasx.search_spaces.from_configspace``.

(Not the package ``ConfigSpace``, which this module reads with and does not extend.)
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasx.search_spaces.choice_space import ChoiceSpace
from nasx.search_spaces.conditions import Condition
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.options import Scalar

LARGEST_RANGE = 1_000  # whole numbers that are options one by one
ALTERNATIVES = 64  # of one condition
_COMPARE = {"EQ": operator.eq, "NEQ": operator.ne, "LT": operator.lt, "GT": operator.gt}
_SIZES = {"EQ": operator.eq, "LT": operator.lt, "GT": operator.gt, "LE": operator.le, "GE": operator.ge}


def from_configspace(
    source: Any,
    build: Callable[[dict[str, Any]], Any],
    *,
    levels: int | None = None,
    name: str | None = None,
    example: Any = None,
    graph: Callable[[dict[str, Any]], Graph] | None = None,
) -> ChoiceSpace:
    """Makes a space of choices of a ConfigSpace.

    Categorical and ordinal parameters, constants and whole numbers are taken over with their options; conditions and
    forbidden clauses hold as there. Priors, weights and logarithmic scales are not: every configuration is as likely
    as any other. Floats have infinitely many values: each becomes a choice of ``levels`` evenly spaced ones (evenly in
    the logarithm where it is on a logarithmic scale), bounds included, and so do ranges of more than a thousand whole
    numbers.

    Args:
        source: A ``ConfigSpace.ConfigurationSpace``, or the path of one written by its ``to_json``.
        build: Makes the operation graph, or a torch module, of ``{parameter: value}``; see :class:`ChoiceSpace`.
        levels: How many values of a float are options, at least 2.
        name: Name of the space; by default its own.
        example: What a module is called with; see :class:`ChoiceSpace`.
        graph: Makes the graph where ``build`` makes a module; see :class:`ChoiceSpace`.

    Raises:
        UsageError: If the file cannot be read, or the space has something that no list of choices has.
        NasxError: If the package ConfigSpace is not installed.

    >>> ConfigSpace = configspace_package()
    >>> source = ConfigSpace.ConfigurationSpace(space={"kind": ["conv", "pool"], "kernel": (1, 5)})
    >>> source.add(ConfigSpace.EqualsCondition(source["kernel"], source["kind"], "conv"))
    >>> space = from_configspace(source, lambda chosen: Graph([str(chosen)], [[0]]), name="layers")
    >>> space.size, space.parse("kind=pool"), space.choices["kernel"]
    (6, ('pool', None), (1, 2, 3, 4, 5))
    """
    if levels is not None and levels < 2:
        raise UsageError(f"levels={levels} are too few values of a float; at least 2, its bounds")
    document = _document(source)
    title = name or document.get("name") or "configspace"
    parameters = {entry["name"]: entry for entry in document["hyperparameters"]}
    choices = {key: _options(entry, levels, title) for key, entry in parameters.items()}
    order = {key: tuple(choices[key]) for key, entry in parameters.items() if entry["type"] == "ordinal"}
    rules: dict[str, list[Condition]] = {}
    for condition in document["conditions"]:
        child = condition["child"]
        found = _alternatives(condition, choices, order)
        rules[child] = _both(rules[child], found, child) if child in rules else found
    for child, alternatives in rules.items():
        if not alternatives:
            raise UsageError(f"the condition of '{child}' in {title} holds for no configuration; leave '{child}' out")
    clauses = [_Clause.read(clause) for clause in document["forbiddens"]]
    allowed = _Allowed(tuple(clauses), order) if clauses else None
    # a choice comes after those that its condition asks for
    ordered: dict[str, Sequence[Scalar]] = {}
    while len(ordered) < len(choices):
        for key, options in choices.items():
            asked = {parent for condition in rules.get(key, ()) for parent in condition}
            if key not in ordered and asked <= ordered.keys():
                ordered[key] = options
    return ChoiceSpace(title, ordered, build, is_valid=allowed, conditions=rules or None, example=example, graph=graph)


def configspace_package() -> Any:
    """Returns the package ``ConfigSpace``, imported when first needed.

    Raises:
        NasxError: If it is not installed.
    """
    try:
        import ConfigSpace
    except ImportError as error:
        raise NasxError("such spaces need the package ConfigSpace; type: pip install 'nasx[configspace]'") from error
    return ConfigSpace


def _document(source: Any) -> dict[str, Any]:
    """The space as ConfigSpace itself writes it, whatever version wrote the file."""
    package = configspace_package()
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.is_file():
            raise UsageError(f"there is no file '{path}'; give the path of a ConfigSpace written by to_json")
        try:
            source = package.ConfigurationSpace.from_json(path)
        except Exception as error:  # its reader raises whatever it stumbles over
            raise UsageError(
                f"'{path}' is no ConfigSpace that ConfigSpace {package.__version__} reads "
                f"({type(error).__name__}: {str(error)[:80]}); write it with to_json"
            ) from error
    if not isinstance(source, package.ConfigurationSpace):
        raise UsageError(
            f"a ConfigSpace.ConfigurationSpace or the path of its JSON file is expected; got {source!r:.80}"
        )
    document: dict[str, Any] = source.to_serialized_dict()
    if not document["hyperparameters"]:
        raise UsageError("the ConfigSpace has no parameters, so there is nothing to choose")
    return document


def _options(entry: Mapping[str, Any], levels: int | None, title: str) -> Sequence[Scalar]:
    """The options of a parameter."""
    kind, key = str(entry["type"]), entry["name"]
    if kind == "constant":
        return [_plain(entry["value"])]
    if kind in ("categorical", "ordinal"):
        return [_plain(option) for option in entry["choices" if kind == "categorical" else "sequence"]]
    if not kind.endswith(("_int", "_float")) or entry.get("lower") is None or entry.get("upper") is None:
        raise UsageError(f"parameter '{key}' of {title} is of the kind '{kind}', which nasx cannot read as a choice")
    low, high, whole = entry["lower"], entry["upper"], kind.endswith("_int")
    if whole and high - low < LARGEST_RANGE:
        return range(int(low), int(high) + 1)
    if levels is None:
        what = f"a range of {high - low + 1:,} whole numbers" if whole else "a float"
        raise UsageError(f"parameter '{key}' of {title} is {what}; say how many values to try, such as levels=10")
    steps = [place / (levels - 1) for place in range(levels)]
    if entry.get("log"):
        values = [math.exp(math.log(low) + step * (math.log(high) - math.log(low))) for step in steps]
    else:
        values = [low + step * (high - low) for step in steps]
    if whole:
        return sorted({round(value) for value in values})
    return list(dict.fromkeys([float(low), *(float(f"{value:.6g}") for value in values[1:-1]), float(high)]))


def _plain(value: Any) -> Any:
    """A number or text of Python's own, not of numpy's."""
    return value.item() if hasattr(value, "item") else value


def _place(value: Any, order: Sequence[Any] | None) -> Any:
    """What is compared: the place of an ordinal's value, the number itself of others."""
    return value if order is None else list(order).index(value)


def _alternatives(
    condition: Mapping[str, Any], choices: Mapping[str, Sequence[Scalar]], order: Mapping[str, Sequence[Any]]
) -> list[Condition]:
    """A condition as conditions of which one is enough, each the values that some choices must all have."""
    kind, child = condition["type"], condition["child"]
    if kind in ("AND", "OR"):
        parts = [_alternatives(part, choices, order) for part in condition["conditions"]]
        if kind == "OR":
            return [one for part in parts for one in part]
        found: list[Condition] = [{}]
        for part in parts:
            found = _both(found, part, child)
        return found
    parent = condition["parent"]
    options = choices[parent]
    if kind == "IN":
        wanted = [_plain(value) for value in condition["values"]]
        values = [option for option in options if option in wanted]
    else:
        ranks = order.get(parent) if kind in ("LT", "GT") else None
        limit = _place(_plain(condition["value"]), ranks)
        values = [option for option in options if _COMPARE[kind](_place(option, ranks), limit)]
    return [{parent: values}] if values else []


def _both(first: Sequence[Condition], second: Sequence[Condition], child: str) -> list[Condition]:
    """Alternatives that hold where one of the first and one of the second holds."""
    found: list[Condition] = []
    for one, other in itertools.product(first, second):
        joined = {**one, **other}
        for parent in one.keys() & other.keys():
            joined[parent] = [value for value in one[parent] if value in other[parent]]
        if all(joined.values()):
            found.append(joined)
    if len(found) > ALTERNATIVES:
        raise UsageError(f"the condition of '{child}' has more than {ALTERNATIVES} alternatives; write a simpler one")
    return found


@dataclass(frozen=True)
class _Clause:
    """What is forbidden: a value, one of several, a relation of two parameters, or several of these at once."""

    kind: str
    names: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()
    parts: tuple[_Clause, ...] = ()

    @classmethod
    def read(cls, clause: Mapping[str, Any]) -> _Clause:
        kind = clause["type"]
        if kind in ("AND", "OR"):
            return cls(kind, parts=tuple(cls.read(part) for part in clause["clauses"]))
        if kind in ("EQUALS", "IN"):
            values = clause["values"] if kind == "IN" else [clause["value"]]
            return cls("IN", (clause["name"],), tuple(_plain(value) for value in values))
        if kind.startswith("CLAUSE_"):
            return cls(kind, (clause["name"],), (_plain(clause["value"]),))
        if not kind.startswith("RELATION_"):
            raise UsageError(
                f"a forbidden clause of the kind '{kind}' cannot be read; write it as an is_valid function"
            )
        return cls(kind, (clause["left"], clause["right"]))

    def holds(self, chosen: Mapping[str, Any], order: Mapping[str, tuple[Any, ...]]) -> bool:
        """Whether it is fulfilled; never where a parameter of it does not exist."""
        if self.kind in ("AND", "OR"):
            return (all if self.kind == "AND" else any)(part.holds(chosen, order) for part in self.parts)
        if any(name not in chosen for name in self.names):
            return False
        if self.kind == "IN":
            return chosen[self.names[0]] in self.values
        given = [chosen[name] for name in self.names] + list(self.values)
        if self.kind.startswith("CLAUSE_"):  # an ordinal is compared with a value by place, with another by value
            given = [_place(value, order.get(self.names[0])) for value in given]
        return bool(_SIZES[self.kind.rpartition("_")[2]](*given))


@dataclass(frozen=True)
class _Allowed:
    """Says whether a configuration is free of everything forbidden; a class, so that spaces can be sent to workers."""

    clauses: tuple[_Clause, ...]
    order: Mapping[str, tuple[Any, ...]]

    def __call__(self, chosen: dict[str, Any]) -> bool:
        return not any(clause.holds(chosen, self.order) for clause in self.clauses)
