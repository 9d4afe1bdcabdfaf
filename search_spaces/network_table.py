"""A fixed list of named networks as a search space: what a table of measured networks is about.

Whole networks measured by others come without a rule that makes new ones. Such a space can be sampled, enumerated,
ranked and scored; it cannot be mutated, and it holds nothing but the networks of its table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from nasx.search_spaces.errors import UsageError, unknown
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.packed_graphs import PackedGraphs
from nasx.search_spaces.space import SearchSpace


class NetworkTable(SearchSpace):
    """Networks that are known by name.

    Args:
        names: B names, all different; the architectures of this space.
        graphs: Their B graphs.
        families: The family of each network, for example ``"resnet"``; None where nobody said.

    Raises:
        UsageError: If the numbers differ or a name is given twice.

    >>> graphs = PackedGraphs.from_graphs([Graph([op, "output"], [[0, 1], [0, 0]]) for op in ("conv", "pool")])
    >>> space = NetworkTable(["a", "b"], graphs, families=["x", "x"])
    >>> space.parse("b"), space.index("b"), space.graph("b").operations, space.size
    ('b', 1, ('pool', 'output'), 2)
    """

    name = "networks"

    def __init__(self, names: Sequence[str], graphs: PackedGraphs, families: Sequence[str] | None = None) -> None:
        self.names = tuple(str(name) for name in names)
        self._row = {name: row for row, name in enumerate(self.names)}
        if len(self._row) < len(self.names):
            twice = next(name for row, name in enumerate(self.names) if self._row[name] != row)
            raise UsageError(f"two networks are called '{twice}'; every network needs a name of its own")
        if len(graphs) != len(self.names) or (families is not None and len(families) != len(self.names)):
            raise UsageError(f"{len(self.names)} names need as many graphs and families; got {len(graphs)} graphs")
        self._graphs = graphs
        self.families = None if families is None else tuple(str(family) for family in families)

    def sample(self, rng: np.random.Generator) -> str:
        """Draws one of the networks, each as likely as any other."""
        return self.names[int(rng.integers(len(self.names)))]

    def neighbours(self, architecture: str) -> list[str]:
        """Nothing: a list of networks says of no two that they are close."""
        self.validate(architecture)
        return []

    def validate(self, architecture: str) -> None:
        """Raises UsageError unless a network is called so."""
        if architecture not in self._row:
            raise unknown("network", architecture, self.names)

    def parse(self, text: str) -> str:
        """The name, if there is such a network."""
        name = text.strip()
        self.validate(name)
        return name

    def format(self, architecture: str) -> str:
        """The name."""
        return architecture

    def graph(self, architecture: str) -> Graph:
        """The operation graph of a network."""
        return self._graphs[self.index(architecture)]

    def graphs(self, architectures: Sequence[str]) -> PackedGraphs:  # type: ignore[override]
        """The operation graphs of many networks, without padding."""
        return self.graphs_of_indices(self.indices(architectures))

    def graphs_of_indices(self, indices: Sequence[int] | np.ndarray) -> PackedGraphs:  # type: ignore[override]
        """The operation graphs of the networks in these rows; all of them are handed out as they are."""
        rows = np.asarray(indices, dtype=np.int64)
        if len(rows) == len(self.names) and bool((rows == np.arange(len(rows))).all()):
            return self._graphs
        return self._graphs[rows]

    def canonical_key(self, architecture: str) -> str:
        """A text that networks share that are written alike, operation by operation, in the same order.

        Whole networks are compared as they are written: a canonical order of hundreds of operations takes too long.
        """
        return self.canonical_keys([architecture])[0]

    def canonical_keys(self, architectures: Sequence[str]) -> list[str]:
        """The canonical key of each network."""
        graphs = self.graphs(architectures)
        start = hashlib.blake2b(json.dumps([graphs.vocabulary, graphs.node_attribute_names]).encode(), digest_size=16)
        node_ends, edge_ends = np.cumsum(graphs.num_nodes), np.cumsum(graphs.num_edges)
        keys = []
        for row, (node_end, edge_end) in enumerate(zip(node_ends.tolist(), edge_ends.tolist(), strict=True)):
            nodes = slice(node_end - int(graphs.num_nodes[row]), node_end)
            digest = start.copy()
            digest.update(graphs.operations[nodes].tobytes())
            digest.update(b"|" + graphs.edges[edge_end - int(graphs.num_edges[row]) : edge_end].tobytes())
            if graphs.node_attributes is not None:
                digest.update(graphs.node_attributes[nodes].tobytes())
            keys.append(digest.hexdigest())
        return keys

    @property
    def size(self) -> int:
        """The number of networks."""
        return len(self.names)

    def index(self, architecture: str) -> int:
        """The row of a network."""
        self.validate(architecture)
        return self._row[architecture]

    def architecture(self, index: int) -> str:
        """The network in a row."""
        return self.names[self._checked_index(index)]

    def __reduce__(self) -> tuple[type[NetworkTable], tuple[object, ...]]:
        return NetworkTable, (self.names, self._graphs, self.families)


def families_of(space: SearchSpace) -> np.ndarray:
    """The family of every network of a table, (n,) text.

    Raises:
        UsageError: If the space is not a table of networks, or nobody said their families.
    """
    families = getattr(space, "families", None)
    if families is None:
        raise UsageError(
            f"the architectures of '{space.name}' belong to no families; a table of networks with a column 'family' "
            "has them (docs/data.md)"
        )
    return np.asarray(families)
