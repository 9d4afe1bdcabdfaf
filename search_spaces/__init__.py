"""nasx.search_spaces: what can be searched, as graphs of operations.

``get_search_space("nasbench201")`` returns a space; ``available()`` lists them; ``register_search_space`` adds one.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from nasx.search_spaces.batch import GraphBatch, as_batch
from nasx.search_spaces.choice_space import ChoiceSpace
from nasx.search_spaces.configspace import from_configspace
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.packed_graphs import PackedGraphs
from nasx.search_spaces.plugins import Plugins, made
from nasx.search_spaces.space import Architecture, SearchSpace

__all__ = [
    "SPACES",
    "Architecture",
    "ChoiceSpace",
    "Graph",
    "GraphBatch",
    "NasxError",
    "PackedGraphs",
    "SearchSpace",
    "UsageError",
    "as_batch",
    "available",
    "from_configspace",
    "get_search_space",
    "register_search_space",
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


PLUGINS = Plugins("search space", "nasx.search_spaces", SPACES)
"""Spaces that others have added; see :mod:`nasx.search_spaces.plugins`."""


def register_search_space(
    name: str, factory: Callable[[], SearchSpace] | SearchSpace | str, line: str | None = None
) -> None:
    """Makes a space of your own known by name to everything in this program.

    Args:
        name: The name; registering it again replaces what it stood for.
        factory: A class or function that makes the space without arguments, a space, or the address of one of these:
            ``"my_package.my_module:MySpace"``, imported when it is first needed.
        line: What it is, in one line; by default the first line of its documentation.

    Raises:
        UsageError: If the name belongs to a space of nasx itself, or is none.

    >>> register_search_space("switches", lambda: ChoiceSpace("switches", {"a": [0, 1], "b": [0, 1]}, Graph.from_edges))
    >>> get_search_space("switches").size
    4
    >>> PLUGINS.unregister("switches")
    """
    PLUGINS.register(name, factory, line)


def get_search_space(name: str) -> SearchSpace:
    """Returns the search space of that name.

    Args:
        name: The name of a space (``available()`` lists them), or where to import one of your own from:
            ``"my_package.my_module:MySpace"``, a class or function without arguments or a space.

    Raises:
        UsageError: If there is none, and the message lists the names; or a space of your own cannot be made.

    >>> get_search_space("nasbench201").size
    15625
    """
    if name not in SPACES:
        return made(PLUGINS.find(name), SearchSpace, "search space", name)  # type: ignore[type-abstract]
    entry = SPACES[name]
    space: SearchSpace = getattr(import_module(entry.module), entry.factory)(**entry.arguments)
    return space


def available() -> list[tuple[str, str]]:
    """Returns ``(name, one line about it)`` of every space; the line of a plug-in says where it comes from.

    >>> [name for name, _ in available()]
    ['nasbench101', 'nasbench201', 'nasbench-graph', 'nasbench-graph-proteins']
    """
    return [*((name, entry.summary) for name, entry in SPACES.items()), *PLUGINS.listing()]
