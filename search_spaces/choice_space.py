"""Spaces of named choices: the 20-line way to plug in a space."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from nasx.search_spaces.conditions import ConditionalChoices
from nasx.search_spaces.errors import UsageError, unknown
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.options import Scalar, check_choices, distribution_of
from nasx.search_spaces.space import SearchSpace

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Choices: TypeAlias = tuple[Scalar, ...]

ENUMERATION_LIMIT = 1_000_000  # combinations tried to count the valid ones of a constrained space
REJECTION_LIMIT = 1_000  # draws before a constrained space is called too tight to sample


class ChoiceSpace(SearchSpace):
    """A space in which an architecture is one value for each of some named choices.

    An architecture is the tuple of chosen values, in the order of the choices. Its text form is
    ``name=value,name=value``. Two architectures are neighbours when they differ in one choice.

    A choice with a condition exists only where earlier choices have certain values. Elsewhere its value is None, and it
    is left out of the text form and of ``{choice: value}``. Where a change brings choices into being, they take their
    first option in ``neighbours`` and a random one in ``mutate``.

    Args:
        name: The name of the space.
        choices: For every choice its options: text, numbers, booleans or None. A ``range`` is a choice of whole
            numbers, which Optuna samplers know to be ordered.
        build: Makes the operation graph of ``{choice: value}``.
        is_valid: Says whether a combination ``{choice: value}`` is allowed; all are, by default.
        conditions: For a choice that does not always exist, when it does: ``{"kernel_2": {"depth": [2, 3]}}``.

    Raises:
        UsageError: If there are no choices, a choice has no options or the same option twice, a name or option could
            not be told apart in the text form, or a condition names what is not there.

    >>> def build(chosen):
    ...     labels = ["input"] + [chosen["operation"]] * chosen["depth"] + ["output"]
    ...     return Graph.from_edges(labels, [(i, i + 1) for i in range(len(labels) - 1)])
    >>> space = ChoiceSpace("chain", {"depth": [1, 2, 3], "operation": ["conv", "pool"]}, build)
    >>> space.size, space.architecture(3), space.format((2, "pool"))
    (6, (2, 'pool'), 'depth=2,operation=pool')
    >>> space.neighbours((2, "pool"))
    [(1, 'pool'), (3, 'pool'), (2, 'conv')]
    >>> space.graph(space.parse("operation=conv,depth=2"))
    Graph(input, conv, conv, output; 0>1 1>2 2>3)

    A second operation only where there is a second layer:

    >>> space = ChoiceSpace(
    ...     "layers", {"depth": range(1, 3), "first": ["conv", "pool"], "second": ["conv", "pool"]}, build,
    ...     conditions={"second": {"depth": [2]}},
    ... )
    >>> space.size, space.format((1, "pool", None)), space.choice((1, "pool", None))
    (6, 'depth=1,first=pool', {'depth': 1, 'first': 'pool'})
    >>> space.neighbours((1, "pool", None))
    [(2, 'pool', 'conv'), (1, 'conv', None)]
    """

    def __init__(
        self,
        name: str,
        choices: Mapping[str, Sequence[Scalar]],
        build: Callable[[dict[str, Any]], Graph],
        *,
        is_valid: Callable[[dict[str, Any]], bool] | None = None,
        conditions: Mapping[str, Mapping[str, Sequence[Scalar]]] | None = None,
    ) -> None:
        self.name = name
        self.choices: dict[str, tuple[Scalar, ...]] = {key: tuple(options) for key, options in choices.items()}
        self._build = build
        self._allows = is_valid
        check_choices(self.choices)
        self._integers = {key: options for key, options in choices.items() if isinstance(options, range)}
        self._tree = ConditionalChoices(self.choices, conditions) if conditions else None
        self._keys = tuple(self.choices)
        self._options = tuple(self.choices.values())
        self._position = tuple({option: place for place, option in enumerate(options)} for options in self._options)
        self._written = tuple({str(option): option for option in options} for options in self._options)
        self._lengths = np.array([len(options) for options in self._options])
        # one entry a (choice, other option): the moves a mutation draws from
        self._moves = [(place, step) for place, options in enumerate(self._options) for step in range(1, len(options))]
        self._combinations = self._tree.count if self._tree else math.prod(len(options) for options in self._options)
        self._valid: np.ndarray | None = None

    def choice(self, architecture: Choices) -> dict[str, Any]:
        """Returns the architecture as ``{choice: value}``, without the choices that do not exist in it."""
        if self._tree is None:
            return dict(zip(self._keys, architecture, strict=True))
        return {
            key: value
            for key, value, conditional in zip(self._keys, architecture, self._tree.conditional, strict=True)
            if value is not None or not conditional
        }

    def changes(self, first: Choices, second: Choices) -> int:
        """Returns how many of the choices that exist in both architectures differ."""
        one, other = self.choice(first), self.choice(second)
        return sum(one[key] != other[key] for key in one.keys() & other.keys())

    def sample(self, rng: np.random.Generator) -> Choices:
        """Draws one architecture uniformly.

        Raises:
            UsageError: If the space allows so few combinations that none was found.
        """
        for _ in range(REJECTION_LIMIT):
            if self._tree is not None:
                architecture = self._tree.draw(rng)
            elif self._combinations < 2**63:
                architecture = self._combination(int(rng.integers(self._combinations)))
            else:
                places = rng.integers(self._lengths).tolist()
                architecture = tuple([options[place] for options, place in zip(self._options, places, strict=True)])
            if self._allowed(architecture):
                return architecture
        size = self.size
        if not size:
            raise UsageError(
                f"none of {REJECTION_LIMIT} random combinations of {self.name} was valid; "
                "describe the space by choices that are more often allowed together"
            )
        return self.architecture(int(rng.integers(size)))

    def samples(self, n: int, rng: np.random.Generator) -> list[Choices]:
        """Draws n architectures independently and uniformly; repeats are possible."""
        if self._allows is not None or self._tree is not None:
            return [self.sample(rng) for _ in range(n)]
        places = rng.integers(self._lengths, size=(n, len(self._lengths)))
        columns = [
            [options[place] for place in column]
            for options, column in zip(self._options, places.T.tolist(), strict=True)
        ]
        return list(zip(*columns, strict=True))

    def mutate(self, architecture: Choices, rng: np.random.Generator) -> Choices:
        """Changes one choice, uniformly over all one-choice variants that are valid.

        A constrained space may leave an architecture without such a variant; then another architecture is drawn.

        Raises:
            UsageError: If the space has only this one architecture.
        """
        moves = self._moves
        if self._tree is not None:
            moves = [move for move in moves if self._has(architecture, move[0])]
        if moves:
            for _ in range(4):
                mutant = self._moved(architecture, *moves[int(rng.integers(len(moves)))])
                if self._tree is not None:
                    mutant = self._tree.settled(mutant, lambda place: self._random_option(place, rng))
                if self._allowed(mutant):
                    return mutant
        variants = self.neighbours(architecture)
        if variants:
            return variants[int(rng.integers(len(variants)))]
        for _ in range(REJECTION_LIMIT):
            other = self.sample(rng)
            if other != architecture:
                return other
        raise UsageError(f"{self.name} has only one architecture; it cannot be mutated")

    def crossover(self, first: Choices, second: Choices, rng: np.random.Generator) -> Choices:
        """Takes every choice from one of the two at random; returns the first if no valid mixture was found."""
        count = len(self._keys)
        for _ in range(REJECTION_LIMIT if self._allows else 1):
            # one bit a choice
            coins = int(rng.integers(1 << count)) if count < 63 else int.from_bytes(rng.bytes(count // 8 + 1), "little")
            child = tuple([b if coins >> bit & 1 else a for bit, (a, b) in enumerate(zip(first, second, strict=True))])
            if self._tree is not None:
                child = self._tree.settled(child, lambda place: self._inherited(place, first, second, rng))
            if self._allowed(child):
                return child
        return first

    def neighbours(self, architecture: Choices) -> list[Choices]:
        """Returns all valid architectures that differ in exactly one choice."""
        variants: list[Choices] = []
        for place, options in enumerate(self._options):
            if not self._has(architecture, place):
                continue
            before, after = architecture[:place], architecture[place + 1 :]
            variants += [(*before, option, *after) for option in options if option != architecture[place]]
        if self._tree is not None:
            variants = [self._tree.settled(variant, lambda place: self._options[place][0]) for variant in variants]
        return [variant for variant in variants if self._allowed(variant)]

    def validate(self, architecture: Choices) -> None:
        """Checks that the value is a tuple with an option of each choice, and an allowed combination.

        Raises:
            UsageError: If it is not.
        """
        if not isinstance(architecture, tuple) or len(architecture) != len(self._keys):
            raise UsageError(
                f"an architecture of {self.name} is a tuple of {len(self._keys)} values "
                f"({', '.join(self._keys)}); got {architecture!r}"
            )
        for place, (key, options, value) in enumerate(zip(self._keys, self._options, architecture, strict=True)):
            if self._tree is not None and not self._tree.exists(place, architecture):
                if value is not None:
                    raise self._without(key)
                continue
            if not any(value == option and type(value) is type(option) for option in options):
                raise unknown(f"value of {key} in {self.name}", value, map(str, options))
        if not self._allowed(architecture):
            raise UsageError(f"the combination {self._plain(architecture)} is not allowed in {self.name}")

    def parse(self, text: str) -> Choices:
        """Reads ``name=value,name=value``, in any order of names.

        Raises:
            UsageError: If a name or value is unknown, a name is missing or repeated, or the combination not allowed.
        """
        chosen: dict[str, Scalar] = {}
        for part in str(text).split(","):
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals:
                raise UsageError(f"'{part}' is no choice; architectures of {self.name} are written {self._example()}")
            if key not in self.choices:
                raise unknown(f"choice of {self.name}", key, self._keys)
            if key in chosen:
                raise UsageError(f"'{key}' is chosen twice in '{text}'")
            written = self._written[self._keys.index(key)]
            if value not in written:
                raise unknown(f"value of {key} in {self.name}", value, written)
            chosen[key] = written[value]
        architecture = self.from_params(chosen)
        for key in chosen.keys() - self.choice(architecture).keys():
            raise self._without(key)
        return architecture

    def format(self, architecture: Choices) -> str:
        """Returns ``name=value,name=value`` in the order of the choices."""
        self.validate(architecture)
        return self._plain(architecture)

    def graph(self, architecture: Choices) -> Graph:
        """Returns the graph that the ``build`` function makes of the choices.

        Raises:
            UsageError: If the function fails (a cycle, for example) or returns something else; the message names the
                configuration.
        """
        try:
            graph = self._build(self.choice(architecture))
        except Exception as error:  # whatever a user's function raises
            said = str(error) if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
            raise UsageError(
                f"the graph function of {self.name} fails for {self._plain(architecture)}: {said}"
            ) from error
        if not isinstance(graph, Graph):
            raise UsageError(
                f"the graph function of {self.name} returned {graph!r:.80} for {self._plain(architecture)}; "
                "it must return a nasx.Graph"
            )
        return graph

    @property
    def size(self) -> int | None:
        """The number of valid combinations; None for a constrained space with too many of them to count."""
        if self._allows is None:
            return self._combinations
        valid = self._valid_combinations()
        return None if valid is None else len(valid)

    def index(self, architecture: Choices) -> int:
        """Returns the position in lexicographic order, the last choice running fastest."""
        self.validate(architecture)
        number = 0
        if self._tree is not None:
            number = self._tree.number(architecture)
        else:
            for position, options, value in zip(self._position, self._options, architecture, strict=True):
                number = number * len(options) + position[value]
        if self._allows is None:
            return number
        valid = self._valid_combinations()
        if valid is None:
            self._not_enumerable()
        return int(np.searchsorted(valid, number))

    def architecture(self, index: int) -> Choices:
        """Returns the architecture at a position in lexicographic order."""
        number = self._checked_index(index)
        if self._allows is not None:
            valid = self._valid_combinations()
            assert valid is not None
            number = int(valid[number])
        return self._combination(number)

    def enumerate(self) -> Iterator[Choices]:
        """Yields every architecture once, in lexicographic order."""
        if self.size is None:
            self._not_enumerable()
        return (combination for combination in self._all() if self._allowed(combination))

    def distributions(self) -> dict[str, BaseDistribution]:
        """Returns one Optuna distribution a choice: an ``IntDistribution`` of a range, else a categorical one."""
        return {key: distribution_of(self._integers.get(key, options)) for key, options in self.choices.items()}

    def to_params(self, architecture: Choices) -> dict[str, Any]:
        """Returns ``{choice: value}`` of all choices; the first option of those that do not exist."""
        self.validate(architecture)
        chosen = self.choice(architecture)
        return {key: chosen.get(key, options[0]) for key, options in self.choices.items()}

    def from_params(self, params: Mapping[str, Any]) -> Choices:
        """Returns the architecture with these values; those of choices that do not exist are passed over.

        Raises:
            UsageError: If a choice is missing or unknown, or the combination is not allowed.
        """
        for key in params:
            if key not in self.choices:
                raise unknown(f"choice of {self.name}", key, self._keys)
        values: list[Any] = []
        missing = []
        for place, (key, options, position) in enumerate(zip(self._keys, self._options, self._position, strict=True)):
            value = params.get(key)
            if self._tree is not None and not self._tree.exists(place, values):
                value = None
            elif key not in params:
                missing.append(key)
            elif isinstance(value, Hashable) and value in position:
                value = options[position[value]]
            values.append(value)
        if missing:
            raise UsageError(f"{', '.join(missing)} not chosen; an architecture of {self.name} needs every choice")
        architecture = tuple(values)
        self.validate(architecture)
        return architecture

    def _allowed(self, architecture: Choices) -> bool:
        return self._allows is None or bool(self._allows(self.choice(architecture)))

    def _moved(self, architecture: Choices, place: int, step: int) -> Choices:
        options = self._options[place]
        other = options[(self._position[place][architecture[place]] + step) % len(options)]
        return (*architecture[:place], other, *architecture[place + 1 :])

    def _has(self, architecture: Choices, place: int) -> bool:
        return self._tree is None or not self._tree.conditional[place] or architecture[place] is not None

    def _random_option(self, place: int, rng: np.random.Generator) -> Scalar:
        return self._options[place][int(rng.integers(len(self._options[place])))]

    def _inherited(self, place: int, first: Choices, second: Choices, rng: np.random.Generator) -> Scalar:
        """The value that one of two parents has; a random one where the choice exists in neither."""
        values = [parent[place] for parent in (first, second) if parent[place] is not None]
        return values[0] if values else self._random_option(place, rng)

    def _without(self, key: str) -> UsageError:
        assert self._tree is not None
        return UsageError(f"{key} exists in {self.name} only where {self._tree.reason(key)}; leave it out")

    def _all(self) -> Iterator[Choices]:
        return iter(self._tree) if self._tree is not None else itertools.product(*self._options)

    def _combination(self, number: int) -> Choices:
        if self._tree is not None:
            return self._tree.configuration(number)
        values = []
        for options in reversed(self._options):
            number, place = divmod(number, len(options))
            values.append(options[place])
        return tuple(reversed(values))

    def _valid_combinations(self) -> np.ndarray | None:
        """Sorted numbers of the allowed combinations, found once; None if there are too many to try."""
        if self._valid is None and self._combinations <= ENUMERATION_LIMIT:
            allowed = [self._allowed(combination) for combination in self._all()]
            self._valid = np.flatnonzero(allowed)
        return self._valid

    def _plain(self, architecture: Choices) -> str:
        return ",".join(f"{key}={value}" for key, value in self.choice(architecture).items())

    def _example(self) -> str:
        return f"like '{self._plain(self._combination(0))}'"
