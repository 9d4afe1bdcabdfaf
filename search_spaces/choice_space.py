"""Spaces of named categorical choices: the 20-line way to plug in a space."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from nasx.search_spaces.errors import UsageError, unknown
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.space import SearchSpace

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Scalar: TypeAlias = str | int | float | bool | None
Choices: TypeAlias = tuple[Scalar, ...]

ENUMERATION_LIMIT = 1_000_000  # combinations tried to count the valid ones of a constrained space
REJECTION_LIMIT = 1_000  # draws before a constrained space is called too tight to sample


class ChoiceSpace(SearchSpace):
    """A space in which an architecture is one value for each of some named choices.

    An architecture is the tuple of chosen values, in the order of the choices. Its text form is
    ``name=value,name=value``. Two architectures are neighbours when they differ in one choice.

    Args:
        name: The name of the space.
        choices: For every choice its options: text, numbers, booleans or None.
        build: Makes the operation graph of ``{choice: value}``.
        is_valid: Says whether a combination ``{choice: value}`` is allowed; all are, by default.

    Raises:
        UsageError: If there are no choices, a choice has no options or the same option twice, or a name or option
            could not be told apart in the text form.

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
    """

    def __init__(
        self,
        name: str,
        choices: Mapping[str, Sequence[Scalar]],
        build: Callable[[dict[str, Any]], Graph],
        *,
        is_valid: Callable[[dict[str, Any]], bool] | None = None,
    ) -> None:
        self.name = name
        self.choices: dict[str, tuple[Scalar, ...]] = {key: tuple(options) for key, options in choices.items()}
        self._build = build
        self._allows = is_valid
        _check_choices(self.choices)
        self._keys = tuple(self.choices)
        self._options = tuple(self.choices.values())
        self._position = tuple({option: place for place, option in enumerate(options)} for options in self._options)
        self._written = tuple({str(option): option for option in options} for options in self._options)
        self._lengths = np.array([len(options) for options in self._options])
        # one entry a (choice, other option): the moves a mutation draws from
        self._moves = [(place, step) for place, options in enumerate(self._options) for step in range(1, len(options))]
        self._combinations = math.prod(len(options) for options in self._options)
        self._valid: np.ndarray | None = None

    def choice(self, architecture: Choices) -> dict[str, Any]:
        """Returns the architecture as ``{choice: value}``."""
        return dict(zip(self._keys, architecture, strict=True))

    def sample(self, rng: np.random.Generator) -> Choices:
        """Draws one architecture uniformly.

        Raises:
            UsageError: If the space allows so few combinations that none was found.
        """
        for _ in range(REJECTION_LIMIT):
            if self._combinations < 2**63:
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
        if self._allows is not None:
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
        if self._moves:
            for _ in range(4):
                mutant = self._moved(architecture, *self._moves[int(rng.integers(len(self._moves)))])
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
            if self._allowed(child):
                return child
        return first

    def neighbours(self, architecture: Choices) -> list[Choices]:
        """Returns all valid architectures that differ in exactly one choice."""
        variants: list[Choices] = []
        for place, options in enumerate(self._options):
            before, after = architecture[:place], architecture[place + 1 :]
            variants += [(*before, option, *after) for option in options if option != architecture[place]]
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
        for key, options, value in zip(self._keys, self._options, architecture, strict=True):
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
        return self.from_params(chosen)

    def format(self, architecture: Choices) -> str:
        """Returns ``name=value,name=value`` in the order of the choices."""
        self.validate(architecture)
        return self._plain(architecture)

    def graph(self, architecture: Choices) -> Graph:
        """Returns the graph that the ``build`` function makes of the choices."""
        return self._build(self.choice(architecture))

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
        return (combination for combination in itertools.product(*self._options) if self._allowed(combination))

    def distributions(self) -> dict[str, BaseDistribution]:
        """Returns one Optuna ``CategoricalDistribution`` a choice."""
        from optuna.distributions import CategoricalDistribution

        return {key: CategoricalDistribution(options) for key, options in self.choices.items()}

    def to_params(self, architecture: Choices) -> dict[str, Any]:
        """Returns ``{choice: value}``."""
        self.validate(architecture)
        return self.choice(architecture)

    def from_params(self, params: Mapping[str, Any]) -> Choices:
        """Returns the architecture with these values.

        Raises:
            UsageError: If a choice is missing or unknown, or the combination is not allowed.
        """
        for key in params:
            if key not in self.choices:
                raise unknown(f"choice of {self.name}", key, self._keys)
        missing = [key for key in self._keys if key not in params]
        if missing:
            raise UsageError(f"{', '.join(missing)} not chosen; an architecture of {self.name} needs every choice")
        values = [
            options[position[params[key]]] if params[key] in position else params[key]
            for key, options, position in zip(self._keys, self._options, self._position, strict=True)
        ]
        architecture = tuple(values)
        self.validate(architecture)
        return architecture

    def _allowed(self, architecture: Choices) -> bool:
        return self._allows is None or bool(self._allows(self.choice(architecture)))

    def _moved(self, architecture: Choices, place: int, step: int) -> Choices:
        options = self._options[place]
        other = options[(self._position[place][architecture[place]] + step) % len(options)]
        return (*architecture[:place], other, *architecture[place + 1 :])

    def _combination(self, number: int) -> Choices:
        values = []
        for options in reversed(self._options):
            number, place = divmod(number, len(options))
            values.append(options[place])
        return tuple(reversed(values))

    def _valid_combinations(self) -> np.ndarray | None:
        """Sorted numbers of the allowed combinations, found once; None if there are too many to try."""
        if self._valid is None and self._combinations <= ENUMERATION_LIMIT:
            allowed = [self._allowed(combination) for combination in itertools.product(*self._options)]
            self._valid = np.flatnonzero(allowed)
        return self._valid

    def _plain(self, architecture: Choices) -> str:
        return ",".join(f"{key}={value}" for key, value in zip(self._keys, architecture, strict=True))

    def _example(self) -> str:
        return f"like '{self._plain(self._combination(0))}'"


def _check_choices(choices: Mapping[str, tuple[Scalar, ...]]) -> None:
    """Every choice has options that can be told apart, in memory and in writing."""
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
