"""Choices that exist only where others have certain values: counted exactly, numbered, and drawn uniformly."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from nasx.search_spaces.errors import UsageError, unknown

Condition: TypeAlias = Mapping[str, Sequence[Any]]
"""Values that earlier choices must have, all of them: ``{"depth": [2, 3], "kind": ["conv"]}``."""

Values: TypeAlias = tuple[Any, ...]
"""One value a choice, in the order of the choices; None where a choice does not exist."""

STATE_LIMIT = 20_000  # partial configurations to be told apart before conditions are called too entangled
LISTED = 1_000_000  # up to here all configurations are made at once


class ConditionalChoices:
    """All configurations of choices, some of which exist only under conditions.

    Choices that no condition links are independent. Each group of linked ones is counted by dynamic programming: the
    number of ways to go on depends only on the values that later conditions still ask for. So a number is turned into a
    configuration, and back, without listing anything.

    Args:
        options: The options of every choice.
        conditions: For a choice that does not always exist: the values of earlier choices under which it does, all of
            them at once; or a list of such conditions, of which one is enough.

    Raises:
        UsageError: If a condition names what is not there, or too many values would have to be remembered.

    >>> choices = ConditionalChoices({"depth": (1, 2), "second": ("conv", "pool")}, {"second": {"depth": [2]}})
    >>> choices.count, [choices.configuration(number) for number in range(3)]
    (3, [(1, None), (2, 'conv'), (2, 'pool')])
    >>> choices.number((2, "pool"))
    2
    """

    def __init__(
        self, options: Mapping[str, Sequence[Any]], conditions: Mapping[str, Condition | Sequence[Condition]]
    ) -> None:
        self.options = [tuple(values) for values in options.values()]
        keys = list(options)
        self._asked = {key: _alternatives(key, condition) for key, condition in conditions.items()}
        _check(options, self._asked)
        # for every choice its alternative conditions, and each as (place of a choice, values it must have)
        self._rules: list[list[list[tuple[int, Sequence[Any]]]]] = [
            [
                [(keys.index(parent), tuple(values)) for parent, values in condition.items()]
                for condition in self._asked.get(key, ())
            ]
            for key in keys
        ]
        self._parents = [{parent for rule in rules for parent, _ in rule} for rules in self._rules]
        self.conditional = [bool(rules) for rules in self._rules]
        self._groups = [_Group(self, places) for places in self._linked()]
        self.count = math.prod(group.count for group in self._groups)

    def exists(self, place: int, values: Sequence[Any] | Mapping[int, Any]) -> bool:
        """Whether the choice at a place exists, given the values of all before it."""
        rules = self._rules[place]
        return not rules or any(
            all(values[parent] is not None and values[parent] in allowed for parent, allowed in rule) for rule in rules
        )

    def reason(self, key: str) -> str:
        """The condition of a choice, as it is said in a sentence."""
        return ", or ".join(
            " and ".join(f"{parent} is {' or '.join(map(str, values))}" for parent, values in condition.items())
            for condition in self._asked[key]
        )

    def settled(self, values: Sequence[Any], fill: Callable[[int], Any]) -> Values:
        """Clears choices that do not exist, and fills those that do and have no value yet."""
        result = list(values)
        for place, conditional in enumerate(self.conditional):
            if not conditional:
                continue
            if not self.exists(place, result):
                result[place] = None
            elif result[place] is None:
                result[place] = fill(place)
        return tuple(result)

    def configuration(self, number: int) -> Values:
        """The configuration of that number, 0 <= number < count."""
        values: dict[int, Any] = {}
        for group in reversed(self._groups):
            number, rest = divmod(number, group.count)
            group.choose(rest, values)
        return tuple(values[place] for place in range(len(self.options)))

    def number(self, values: Values) -> int:
        """The number of a configuration: the inverse of :meth:`configuration`."""
        number = 0
        for group in self._groups:
            number = number * group.count + group.number(values)
        return number

    def draw(self, rng: np.random.Generator) -> Values:
        """Draws a configuration uniformly."""
        values: dict[int, Any] = {}
        for group in self._groups:
            group.choose(_below(group.count, rng), values)
        return tuple(values[place] for place in range(len(self.options)))

    def __iter__(self) -> Iterator[Values]:
        """All configurations in the order of their numbers."""
        if self.count > LISTED:
            return (self.configuration(number) for number in range(self.count))
        parts = []
        for group in self._groups:
            found: list[dict[int, Any]] = [{} for _ in range(group.count)]
            for number, values in enumerate(found):
                group.choose(number, values)
            parts.append(found)
        return (
            tuple(merged[place] for place in range(len(self.options)))
            for combination in itertools.product(*parts)
            for merged in [{place: value for part in combination for place, value in part.items()}]
        )

    def _linked(self) -> list[list[int]]:
        """Groups of places that conditions link, in the order of their first members."""
        group_of = {place: [place] for place in range(len(self.options))}
        for child, parents in enumerate(self._parents):
            for parent in parents:
                if group_of[parent] is not group_of[child]:
                    merged = sorted(group_of[parent] + group_of[child])
                    group_of.update(dict.fromkeys(merged, merged))
        return [group_of[place] for place in group_of if group_of[place][0] == place]


class _Group:
    """Choices that are linked by conditions, in their order."""

    def __init__(self, choices: ConditionalChoices, places: Sequence[int]) -> None:
        self._choices, self._places = choices, places
        parents = [choices._parents[place] for place in places]
        # what must be remembered of the choices before each step: those that it or a later one asks for
        self._needed = [
            [place for place in places[:step] if any(place in asked for asked in parents[step:])]
            for step in range(len(places) + 1)
        ]
        self._ways = [dict[Values, int]() for _ in range(len(places) + 1)]
        self._ways[-1][()] = 1
        self._count_ways()
        self.count = self._ways[0][()]

    def choose(self, number: int, values: dict[int, Any]) -> None:
        """Writes the values of the configuration of that number."""
        for step, place in enumerate(self._places):
            for option in self._options(place, values):
                values[place] = option
                ways = self._ways[step + 1][self._state(step + 1, values)]
                if number < ways:
                    break
                number -= ways

    def number(self, chosen: Values) -> int:
        number = 0
        values: dict[int, Any] = {}
        for step, place in enumerate(self._places):
            for option in self._options(place, values):
                values[place] = option
                if option == chosen[place]:
                    break
                number += self._ways[step + 1][self._state(step + 1, values)]
        return number

    def _options(self, place: int, values: Mapping[int, Any]) -> Sequence[Any]:
        return self._choices.options[place] if self._choices.exists(place, values) else (None,)

    def _state(self, step: int, values: Mapping[int, Any]) -> Values:
        return tuple(values[place] for place in self._needed[step])

    def _count_ways(self) -> None:
        """Finds every state that can be reached, forwards, and the ways to go on from it, backwards."""
        reached: list[dict[Values, list[Values]]] = [{(): []}]
        for step, place in enumerate(self._places):
            following: dict[Values, list[Values]] = {}
            for state, onward in reached[-1].items():
                values = dict(zip(self._needed[step], state, strict=True))
                for option in self._options(place, values):
                    values[place] = option
                    onward.append(self._state(step + 1, values))
                    following.setdefault(onward[-1], [])
            if len(following) > STATE_LIMIT:
                raise UsageError(
                    f"the conditions depend on more than {STATE_LIMIT:,} combinations of values; "
                    "declare each conditional choice right after the choices it depends on"
                )
            reached.append(following)
        for step in reversed(range(len(self._places))):
            later = self._ways[step + 1]
            self._ways[step] = {state: sum(later[way] for way in onward) for state, onward in reached[step].items()}


def _alternatives(key: str, condition: Any) -> list[Condition]:
    """A condition, or a list of conditions of which one is enough, as a list."""
    conditions = [condition] if isinstance(condition, Mapping) else condition
    whole = isinstance(conditions, list | tuple) and all(isinstance(one, Mapping) and one for one in conditions)
    if not whole or not conditions:
        raise UsageError(f"the condition of '{key}' must look like {{'depth': [2, 3]}}; got {condition!r}")
    return list(conditions)


def _check(options: Mapping[str, Sequence[Any]], conditions: Mapping[str, Sequence[Condition]]) -> None:
    """Conditions name choices that are there, earlier ones, and options that these have."""
    keys = list(options)
    for child, alternatives in conditions.items():
        if child not in options:
            raise unknown("choice in conditions", child, keys)
        if None in options[child]:
            raise UsageError(f"choice '{child}' has a condition, so None cannot be one of its options; write 'none'")
        for parent, values in ((parent, values) for condition in alternatives for parent, values in condition.items()):
            if parent not in options:
                raise unknown(f"choice in the condition of '{child}'", parent, keys)
            if keys.index(parent) >= keys.index(child):
                raise UsageError(f"'{child}' depends on '{parent}', which must be declared before it")
            if isinstance(values, str) or not isinstance(values, Sequence | set | frozenset) or not values:
                raise UsageError(f"the condition of '{child}' needs a list of values of '{parent}'; got {values!r}")
            for value in values:
                if value not in options[parent]:
                    raise unknown(f"value of {parent} in the condition of '{child}'", value, map(str, options[parent]))


def _below(limit: int, rng: np.random.Generator) -> int:
    """A uniform number below any limit."""
    if limit < 2**63:
        return int(rng.integers(limit))
    size = limit.bit_length() // 8 + 1
    while True:
        number = int.from_bytes(rng.bytes(size), "little") >> (8 * size - limit.bit_length())
        if number < limit:
            return number
