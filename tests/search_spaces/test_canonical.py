"""The canonical order of graphs that invite an explosion."""

from __future__ import annotations

import time

import numpy as np
import pytest

from nasx.search_spaces.canonical import canonical_order, live_nodes


def parallel_branches(width: int, depth: int) -> tuple[list[str], list[tuple[int, int]]]:
    """Equal chains from input to output."""
    inner = width * depth
    edges = [(0, 1 + branch) for branch in range(width)]
    edges += [(node, node + width) for node in range(1, 1 + inner - width)]
    edges += [(1 + inner - width + branch, inner + 1) for branch in range(width)]
    return ["input", *["a"] * inner, "output"], sorted(edges)


def test_live_nodes_keeps_first_and_last() -> None:
    assert live_nodes(["none"], []) == [0]
    assert live_nodes(["input", "a", "output"], [(0, 1)]) == [0, 2]
    assert live_nodes(["none", "a", "none"], [(0, 1), (1, 2)]) == [0, 1, 2]


def test_unconnected_ends_keep_their_order() -> None:
    assert canonical_order(["output", "input"], []) == [0, 1]


@pytest.mark.parametrize(("width", "depth"), [(200, 1), (30, 2), (12, 8)])
def test_interchangeable_parts_do_not_explode(width: int, depth: int) -> None:
    operations, edges = parallel_branches(width, depth)
    start = time.perf_counter()
    order = canonical_order(operations, edges)
    assert sorted(order) == list(range(len(operations)))
    assert time.perf_counter() - start < 20  # factorial growth would never end; the time itself is not the point


def test_many_modules_of_equal_branches() -> None:
    """A chain of 40 modules of two equal branches: 2^40 symmetries."""
    operations, edges, end = ["input"], [], 0
    for _ in range(40):
        first = end + 1
        operations += ["a", "a", "b", "b", "join"]
        edges += [(end, first), (end, first + 1), (first, first + 2), (first + 1, first + 3)]
        edges += [(first + 2, first + 4), (first + 3, first + 4)]
        end = first + 4
    order = canonical_order(operations, sorted(edges))
    assert all(order[source] < order[target] for source, target in edges)


def test_graphs_that_refinement_cannot_tell_apart() -> None:
    """Two hexagons against one ring of twelve, between input and output: every node sees the same."""

    def ring_layers(lengths: list[int]) -> tuple[list[str], list[tuple[int, int]]]:
        half = sum(lengths) // 2
        edges = [(0, 1 + k) for k in range(half)] + [(1 + half + k, 1 + 2 * half) for k in range(half)]
        start = 0
        for length in lengths:
            for k in range(length // 2):
                edges.append((1 + start + k, 1 + half + start + k))
                edges.append((1 + start + k, 1 + half + start + (k + 1) % (length // 2)))
            start += length // 2
        return ["input", *["a"] * (2 * half), "output"], sorted(edges)

    def form(operations: list[str], edges: list[tuple[int, int]]) -> list[tuple[int, int]]:
        order = canonical_order(operations, edges)
        return sorted((order[u], order[v]) for u, v in edges)

    one, two = ring_layers([12]), ring_layers([6, 6])
    assert form(*one) != form(*two)
    rng = np.random.default_rng(0)
    for operations, edges in (one, two):
        upper, lower = 1 + rng.permutation(6), 7 + rng.permutation(6)
        place = [0, *upper.tolist(), *lower.tolist(), 13]
        assert form(operations, sorted((place[u], place[v]) for u, v in edges)) == form(operations, edges)
