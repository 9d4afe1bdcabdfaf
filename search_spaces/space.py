"""The contract of a search space: everything a strategy or a benchmark may ask of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Architecture: TypeAlias = Any
"""A frozen, hashable, JSON-able value (tuples, text, numbers), always in the normal form of its space."""


class SearchSpace(ABC):
    """A set of architectures, and how to move in it.

    Architectures are values in normal form: one value, one architecture of the space. Two different architectures may
    still compute the same function; then, and only then, they share their ``canonical_key``.

    A space of independent choices is best written as a ``ChoiceSpace``, which implements all of this. A space of
    another kind implements the abstract methods; ``size``, ``index`` and ``architecture`` if it can be enumerated;
    ``distributions``, ``to_params`` and ``from_params`` if Optuna samplers should work in it. The conformance test
    ``nasx.testing.check_search_space`` says what is still wrong.

    >>> from nasx.search_spaces import get_search_space
    >>> space, rng = get_search_space("nasbench-graph"), np.random.default_rng(0)
    >>> parent = space.sample(rng)
    >>> child = space.mutate(parent, rng)
    >>> space.is_valid(child), child != parent, space.parse(space.format(child)) == child
    (True, True, True)
    """

    name: str

    @property
    def inner_candidates(self) -> int | None:
        """How many architectures a predictor may score between two fits, where graphs are slow to make; None: any."""
        return None

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draws one architecture (uniformly, where the space can)."""

    @abstractmethod
    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Returns all valid architectures one change away, without repeats and without the architecture itself."""

    @abstractmethod
    def validate(self, architecture: Architecture) -> None:
        """Checks that a value is an architecture of this space.

        Raises:
            UsageError: If it is not; the message says why.
        """

    @abstractmethod
    def parse(self, text: str) -> Architecture:
        """Reads the text form of an architecture and brings it into normal form.

        Raises:
            UsageError: If the text is malformed or names no architecture of this space.
        """

    @abstractmethod
    def format(self, architecture: Architecture) -> str:
        """Returns the text form of an architecture; ``parse`` reads it back."""

    @abstractmethod
    def graph(self, architecture: Architecture) -> Graph:
        """Returns the operation graph of an architecture."""

    def from_matrix(self, adjacency: Any, operations: Sequence[str]) -> Architecture:
        """Returns the architecture that an adjacency matrix and the operations of its nodes describe.

        Only spaces whose architectures are published in that form implement this.

        Args:
            adjacency: ``(N, N)`` zeros and ones, strictly upper-triangular.
            operations: N labels.

        Raises:
            UsageError: If that is no architecture of this space.
        """
        raise UsageError(f"{self.name} does not read adjacency matrices; give the text of the architecture instead")

    @property
    def reads_matrices(self) -> bool:
        """Whether ``from_matrix`` is implemented."""
        return type(self).from_matrix is not SearchSpace.from_matrix

    def samples(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """Draws n architectures independently; repeats are possible."""
        return [self.sample(rng) for _ in range(n)]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Returns a random neighbour: valid and never the architecture itself.

        Raises:
            UsageError: If the architecture has no neighbour.
        """
        neighbours = self.neighbours(architecture)
        if not neighbours:
            raise UsageError(f"{self.format(architecture)} has no neighbour in {self.name}; it cannot be mutated")
        return neighbours[int(rng.integers(len(neighbours)))]

    def crossover(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """Returns a valid mixture of two architectures. Unless a space does better: one of the two, at random."""
        return first if rng.random() < 0.5 else second

    def is_valid(self, architecture: Architecture) -> bool:
        """Whether the value is an architecture of this space."""
        try:
            self.validate(architecture)
        except UsageError:
            return False
        return True

    def graphs(self, architectures: Sequence[Architecture]) -> GraphBatch:
        """Returns the operation graphs of many architectures as one batch."""
        return GraphBatch.from_graphs([self.graph(architecture) for architecture in architectures])

    def canonical_key(self, architecture: Architecture) -> str:
        """Returns a text that functionally equal architectures share: the canonical hash of the graph."""
        return self.graph(architecture).canonical_hash()

    def canonical_keys(self, architectures: Sequence[Architecture]) -> list[str]:
        """Returns the canonical key of each architecture."""
        return [self.canonical_key(architecture) for architecture in architectures]

    @property
    def size(self) -> int | None:
        """The number of architectures, or None where the space cannot be enumerated."""
        return None

    def index(self, architecture: Architecture) -> int:
        """Returns the position of an architecture in ``enumerate()``, 0 <= index < size.

        Raises:
            UsageError: If the architecture is invalid or the space cannot be enumerated.
        """
        self._not_enumerable()

    def architecture(self, index: int) -> Architecture:
        """Returns the architecture at a position: the inverse of ``index``.

        Raises:
            UsageError: If there is no such position or the space cannot be enumerated.
        """
        self._not_enumerable()

    def indices(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """Returns the index of each architecture, ``(n,)`` int64."""
        return np.array([self.index(architecture) for architecture in architectures], dtype=np.int64)

    def graphs_of_indices(self, indices: Sequence[int] | np.ndarray) -> GraphBatch:
        """Returns the operation graphs of the architectures at these positions."""
        return self.graphs([self.architecture(int(index)) for index in indices])

    def enumerate(self) -> Iterator[Architecture]:
        """Yields every architecture once, in index order.

        Raises:
            UsageError: If the space cannot be enumerated.
        """
        size = self.size
        if size is None:
            self._not_enumerable()
        return (self.architecture(index) for index in range(size))

    def distributions(self) -> dict[str, BaseDistribution]:
        """Returns the Optuna distributions of the parameters that describe an architecture.

        Raises:
            UsageError: If the space defines no parameters.
        """
        self._no_parameters()

    def to_params(self, architecture: Architecture) -> dict[str, Any]:
        """Returns the parameters of an architecture, one value for each of ``distributions()``."""
        self._no_parameters()

    def from_params(self, params: Mapping[str, Any]) -> Architecture:
        """Returns the architecture that parameters describe: ``from_params(to_params(a)) == a``.

        Raises:
            UsageError: If a parameter is missing or unknown, or the combination is no valid architecture.
        """
        self._no_parameters()

    def _checked_index(self, index: int) -> int:
        """The index as int, or the error that names the range."""
        size = self.size
        if size is None:
            self._not_enumerable()
        if not 0 <= index < size:
            raise UsageError(f"{self.name} has no architecture {index}; indices run from 0 to {size - 1}")
        return int(index)

    def _not_enumerable(self) -> NoReturn:
        raise UsageError(f"{self.name} cannot be enumerated, so its architectures have no index; use sample(rng)")

    def _no_parameters(self) -> NoReturn:
        raise UsageError(
            f"{self.name} defines no Optuna parameters; implement distributions, to_params and from_params, "
            "or choose a strategy that does not need them"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} '{self.name}', {self.size or 'an unknown number of'} architectures>"


def check_variety(space: SearchSpace, rng: np.random.Generator, tries: int = 20) -> None:
    """Checks that there is something to search: more than one architecture, and more than one graph.

    Args:
        space: The space.
        rng: Draws architectures.
        tries: How many are drawn at most; two different graphs are enough.

    Raises:
        UsageError: If there is not.

    >>> from nasx.search_spaces.choice_space import ChoiceSpace
    >>> space = ChoiceSpace("x", {"a": [1, 2]}, lambda chosen: Graph(["input"], [[0]]))
    >>> check_variety(space, np.random.default_rng(0))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nasx.search_spaces.errors.UsageError: the graph of x is the same for all architectures tried, like a=1 and a=2; ...
    """
    if space.size == 1:
        raise UsageError(f"{space.name} has one architecture only, so there is nothing to search; add a choice")
    drawn: dict[Architecture, None] = {}
    keys: set[str] = set()
    for _ in range(tries):
        architecture = space.sample(rng)
        try:
            keys.add(space.canonical_key(architecture))
        except Exception:  # one without a graph is no other graph
            continue
        drawn[architecture] = None
        if len(keys) > 1:
            return
    if len(drawn) > 1:
        shown = " and ".join(sorted(map(space.format, drawn))[:2])
        raise UsageError(
            f"the graph of {space.name} is the same for all architectures tried, like {shown}; "
            "let what is chosen show in its labels or edges, as a predictor sees nothing else"
        )
