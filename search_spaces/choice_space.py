"""Spaces of named choices: the 20-line way to plug in a space."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nasx.search_spaces.conditions import Condition
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.graph_maker import GraphMaker
from nasx.search_spaces.named_choices import Choices, NamedChoices
from nasx.search_spaces.options import Scalar

ENUMERATION_LIMIT = 1_000_000  # combinations tried to count the valid ones of a constrained space
TRACED_CANDIDATES = 200  # scored between two fits where each has to be traced first
REJECTION_LIMIT = 1_000  # draws before a constrained space is called too tight to sample


class ChoiceSpace(NamedChoices):
    """A space in which an architecture is one value for each of some named choices.

    An architecture is the tuple of chosen values, in the order of the choices. Its text form is
    ``name=value,name=value``. Two architectures are neighbours when they differ in one choice.

    A choice with a condition exists only where earlier choices have certain values. Elsewhere its value is None, and it
    is left out of the text form and of ``{choice: value}``. Where a change brings choices into being, they take their
    first option in ``neighbours`` and a random one in ``mutate``.

    A configuration whose graph function raises is passed over by ``sample``, ``mutate``, ``crossover`` and
    ``neighbours``; ``graph`` says what went wrong. Graphs are kept in memory once made (up to 64 MB of them).

    Args:
        name: The name of the space.
        choices: For every choice its options: text, numbers, booleans or None. A ``range`` is a choice of whole
            numbers, which Optuna samplers know to be ordered.
        build: Makes the operation graph of ``{choice: value}``; or a ``torch.nn.Module``, whose graph is traced
            (``nasx.read_module``), some tenths of a second each.
        is_valid: Says whether a combination ``{choice: value}`` is allowed; all are, by default.
        conditions: For a choice that does not always exist, when it does: ``{"kernel_2": {"depth": [2, 3]}}``; a list
            of such conditions means that one of them is enough.
        example: What a module is called with: the shape of its input, such as ``(1, 3, 32, 32)``, a tensor, a tuple of
            tensors, or a function that makes one of these of ``{choice: value}``.
        graph: Makes the graph where ``build`` makes a module: for searches over more candidates than can be traced.

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

    >>> def build(chosen):
    ...     labels = ["input", *(chosen[key] for key in ("first", "second") if key in chosen), "output"]
    ...     return Graph.from_edges(labels, [(i, i + 1) for i in range(len(labels) - 1)])
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
        build: Callable[[dict[str, Any]], Any],
        *,
        is_valid: Callable[[dict[str, Any]], bool] | None = None,
        conditions: Mapping[str, Condition | Sequence[Condition]] | None = None,
        example: Any = None,
        graph: Callable[[dict[str, Any]], Graph] | None = None,
    ) -> None:
        super().__init__(name, choices, conditions, is_valid)
        self._maker = GraphMaker(name, build, graph, example)
        self._lengths = np.array([len(options) for options in self._options])
        # one entry a (choice, other option): the moves a mutation draws from
        self._moves = [(place, step) for place, options in enumerate(self._options) for step in range(1, len(options))]
        self._combinations = self._tree.count if self._tree else math.prod(len(options) for options in self._options)
        self._valid: np.ndarray | None = None

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
            if self._usable(architecture):
                return architecture
        self._check_any_graph()
        size = self.size
        architecture = self.architecture(int(rng.integers(size))) if size else ()
        if not size or not self._usable(architecture):
            raise UsageError(
                f"none of {REJECTION_LIMIT} random combinations of {self.name} was valid; "
                "describe the space by choices that are more often allowed together"
            )
        return architecture

    def samples(self, n: int, rng: np.random.Generator) -> list[Choices]:
        """Draws n architectures independently and uniformly; repeats are possible."""
        if self._allows is not None or self._tree is not None:
            return [self.sample(rng) for _ in range(n)]
        places = rng.integers(self._lengths, size=(n, len(self._lengths)))
        columns = [
            [options[place] for place in column]
            for options, column in zip(self._options, places.T.tolist(), strict=True)
        ]
        drawn: list[Choices] = list(zip(*columns, strict=True))
        return [one if self._usable(one) else self.sample(rng) for one in drawn] if self._may_fail else drawn

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
                if self._usable(mutant):
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
        for _ in range(REJECTION_LIMIT if self._allows or self._may_fail else 1):
            # one bit a choice
            coins = int(rng.integers(1 << count)) if count < 63 else int.from_bytes(rng.bytes(count // 8 + 1), "little")
            child = tuple([b if coins >> bit & 1 else a for bit, (a, b) in enumerate(zip(first, second, strict=True))])
            if self._tree is not None:
                child = self._tree.settled(child, lambda place: self._inherited(place, first, second, rng))
            if self._usable(child):
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
        usable = [variant for variant in variants if self._usable(variant)]
        if not usable:
            self._check_any_graph()
        return usable

    def graph(self, architecture: Choices) -> Graph:
        """Returns the graph that the ``build`` (or ``graph``) function makes of the choices.

        Raises:
            UsageError: If the function fails (a cycle, for example) or returns something else, or the module cannot be
                traced; the message names the configuration.
        """
        return self._maker.graph(architecture, self.choice(architecture))

    def network(self, architecture: Choices) -> Any:
        """Returns what the ``build`` function makes of the choices, made anew: a ``torch.nn.Module``, for example.

        Raises:
            UsageError: If the value is no architecture, or the function fails.
        """
        self.validate(architecture)
        return self._maker.network(self.choice(architecture))

    @property
    def failures(self) -> dict[Any, str]:
        """The architectures met so far of which the graph function made no graph, and why."""
        return self._maker.failures

    def forget(self) -> None:
        """Makes every graph anew when it is asked for next."""
        self._maker.forget()

    @property
    def inner_candidates(self) -> int | None:
        """How many architectures a search may score between two fits: few where each has to be traced."""
        return TRACED_CANDIDATES if self._maker.traced else None

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

    def from_params(self, params: Mapping[str, Any]) -> Choices:
        """Returns the architecture with these values; those of choices that do not exist are passed over.

        Raises:
            UsageError: If a choice is missing or unknown, the combination is not allowed, or it has no graph.
        """
        architecture = super().from_params(params)
        if not self._usable(architecture):
            self.graph(architecture)  # which says why not
        return architecture

    @property
    def _may_fail(self) -> bool:
        return type(self).graph is ChoiceSpace.graph  # a subclass with a graph of its own answers for it

    def _usable(self, architecture: Choices) -> bool:
        """Whether a combination is allowed and has a graph."""
        if not self._allowed(architecture):
            return False
        return not self._may_fail or self._maker.has_graph(architecture, self.choice(architecture))

    def _check_any_graph(self) -> None:
        """Raises what the graph function said, where it has failed and never worked."""
        if not self._maker.worked:
            for architecture in self.failures:
                self.graph(architecture)

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
