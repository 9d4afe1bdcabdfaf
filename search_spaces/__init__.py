"""nasx.search_spaces: what can be searched, as graphs of operations.

``get_search_space("nasbench201")`` returns a space; ``available()`` lists them.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from nasx.search_spaces.batch import GraphBatch, as_batch
from nasx.search_spaces.choice_space import ChoiceSpace
from nasx.search_spaces.errors import NasxError, UsageError, unknown
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.space import Architecture, SearchSpace

__all__ = [
    "SPACES",
    "Architecture",
    "ChoiceSpace",
    "Graph",
    "GraphBatch",
    "NasxError",
    "SearchSpace",
    "UsageError",
    "as_batch",
    "available",
    "get_search_space",
]


class SpaceEntry(NamedTuple):
    """Where a space is defined, how it is made, and what it is in one line."""

    module: str
    factory: str
    arguments: dict[str, object]
    summary: str


SPACES: dict[str, SpaceEntry] = {
    "nasbench101": SpaceEntry(
        "nasx.search_spaces.nasbench101",
        "NASBench101",
        {},
        "423,624 convolutional cells: up to 7 nodes, up to 9 edges, three operations on the nodes",
    ),
    "nasbench201": SpaceEntry(
        "nasx.search_spaces.nasbench201",
        "NASBench201",
        {"order": "official"},
        "15,625 convolutional cells: five operations on six edges",
    ),
    "nasbench-graph": SpaceEntry(
        "nasx.search_spaces.nasbench_graph",
        "NASBenchGraph",
        {},
        "26,206 graph neural networks: four layers, nine operations, nine ways to connect them",
    ),
    "nasbench-graph-proteins": SpaceEntry(
        "nasx.search_spaces.nasbench_graph",
        "NASBenchGraph",
        {"proteins": True},
        "the part of nasbench-graph that was trained on the data set proteins: five operations",
    ),
}


def get_search_space(name: str) -> SearchSpace:
    """Returns the search space of that name.

    Raises:
        UsageError: If there is none; the message lists the names.

    >>> get_search_space("nasbench201").size
    15625
    """
    if name not in SPACES:
        raise unknown("search space", name, SPACES)
    entry = SPACES[name]
    space: SearchSpace = getattr(import_module(entry.module), entry.factory)(**entry.arguments)
    return space


def available() -> list[tuple[str, str]]:
    """Returns ``(name, one line about it)`` of every space.

    >>> [name for name, _ in available()]
    ['nasbench101', 'nasbench201', 'nasbench-graph', 'nasbench-graph-proteins']
    """
    return [(name, entry.summary) for name, entry in SPACES.items()]
