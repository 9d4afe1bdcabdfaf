"""Functional twins: architectures that compute the same function, and were nevertheless trained apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from nasx.benchmark import Benchmark

Groups = NDArray[np.int64]


def function_groups(benchmark: Benchmark) -> Groups:
    """The functional class of every row, (n,) int64: equal numbers where ``space.canonical_key`` is equal.

    The cells of NAS-Bench-101 are different functions already (their canonical key is the official hash, one a cell),
    so that their index serves as well and nothing is hashed.

    >>> from nasx.benchmark import load_benchmark
    >>> groups = function_groups(load_benchmark("nasbench-graph", dataset="proteins"))
    >>> len(groups), int(groups.max()) + 1
    (2021, 2021)
    """
    from nasx.search_spaces.batch import GraphBatch
    from nasx.search_spaces.nasbench101 import NASBench101

    space = benchmark.space
    if isinstance(space, NASBench101):
        cells = benchmark.graphs()
        assert isinstance(cells, GraphBatch)
        keys = space.indices_of_graphs(cells)
    else:
        keys = np.array(space.canonical_keys(benchmark.architectures()))
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)


def random_pairs(groups: Groups, rng: np.random.Generator) -> tuple[Groups, Groups]:
    """Two different rows of each class that has two, drawn at random: two vectors of positions in ``groups``.

    >>> first, second = random_pairs(np.array([7, 3, 7, 3, 5]), np.random.default_rng(0))
    >>> [sorted(pair) for pair in zip(first.tolist(), second.tolist())]
    [[1, 3], [0, 2]]
    """
    order = rng.permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    same = groups[order][1:] == groups[order][:-1]
    first = np.flatnonzero(same & ~np.concatenate([[False], same])[: len(same)]) if len(same) else np.zeros(0, int)
    return order[first], order[first + 1]


def sizes_of(groups: Groups) -> Groups:
    """How many rows each row's class has, itself included, (n,) int64."""
    return np.bincount(groups)[groups] if len(groups) else groups
