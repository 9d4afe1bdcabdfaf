"""Configurations that give no graph: passed over and counted, they cost no evaluation."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import NasxError
from nasx.search_spaces.space import SearchSpace


class Buildable:
    """Says which architectures may be proposed: those that are allowed and have a graph.

    Args:
        space: The search space; its graph function may fail (a cycle, an exception) for some architectures.
        allowed: Says which of the others may be proposed; None allows all.

    >>> from nasx.search_spaces.choice_space import ChoiceSpace
    >>> from nasx.search_spaces.graph import Graph
    >>> def build(chosen):
    ...     return Graph.from_edges(["input", "conv", "output"], [(0, 1), (1, chosen["to"])])
    >>> buildable = Buildable(ChoiceSpace("chain", {"to": [1, 2]}, build))
    >>> buildable((1,)), buildable((2,)), buildable.skipped
    (False, True, 1)
    """

    def __init__(self, space: SearchSpace, allowed: Callable[[Hashable], bool] | None = None) -> None:
        self.space, self._allowed = space, allowed
        self._broken: set[Hashable] = set()
        #: What the first failure said; None before there is one.
        self.first: str | None = None

    @property
    def skipped(self) -> int:
        """How many different configurations gave no graph so far."""
        return len(self._broken)

    def __call__(self, architecture: Hashable) -> bool:
        """Whether an architecture may be proposed."""
        if architecture in self._broken or (self._allowed is not None and not self._allowed(architecture)):
            return False
        try:
            self.space.canonical_key(architecture)
        except Exception as error:  # whatever a user's graph function raises
            self._note(architecture, error)
            return False
        return True

    def graphs(self, architectures: Sequence[Hashable]) -> tuple[GraphBatch, np.ndarray]:
        """The graphs of those that have one, and their places ``(n,)`` in the sequence.

        Raises:
            NasxError: If none has one.
        """
        try:
            return self.space.graphs(architectures), np.arange(len(architectures))
        except Exception:
            whole = [place for place, architecture in enumerate(architectures) if self._has_graph(architecture)]
        if not whole:
            raise NasxError(
                f"none of {len(architectures)} configurations of {self.space.name} gives a graph; "
                f"the first one said: {self.first}"
            )
        return self.space.graphs([architectures[place] for place in whole]), np.array(whole)

    def _has_graph(self, architecture: Hashable) -> bool:
        if architecture in self._broken:
            return False
        try:
            self.space.graph(architecture)
        except Exception as error:
            self._note(architecture, error)
            return False
        return True

    def _note(self, architecture: Hashable, error: Exception) -> None:
        self._broken.add(architecture)
        if self.first is None:
            self.first = str(error) or type(error).__name__
