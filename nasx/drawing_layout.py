"""Where the boxes of a drawing go: layers from top to bottom, few crossings, long edges straight.

The method of Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System Structures", IEEE
Transactions on Systems, Man, and Cybernetics 11(2), 1981: layers by longest paths, orders by barycentres, then
positions that pull connected boxes together, here by least squares in a given order (pool adjacent violators).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Edge = tuple[int, int]

_ORDER_SWEEPS = 12
_POSITION_SWEEPS = 80


@dataclass(frozen=True)
class Layout:
    """Layers, orders and positions.

    Attributes:
        layers: For each layer from the top the nodes in it, from left to right. Nodes from ``count`` on are not boxes
            but places where a long edge passes through.
        x: The centre of each node.
        routes: For each edge the nodes it leads through, from its source to its target.
    """

    layers: list[list[int]]
    x: list[float]
    routes: dict[Edge, list[int]]


def layered(count: int, edges: Sequence[Edge], widths: Sequence[float], *, gap: float, thin: float) -> Layout:
    """Lays out an acyclic graph whose edges point to later nodes.

    Args:
        count: Number of nodes.
        edges: Pairs (source, target), source < target.
        widths: Width of each node.
        gap: Least distance between two nodes of a layer.
        thin: Width of the place where a long edge passes through a layer.

    >>> layout = layered(4, [(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)], [10.0] * 4, gap=2.0, thin=1.0)
    >>> layout.layers[0], len(layout.layers), layout.routes[0, 3]
    ([0], 3, [0, 4, 3])
    """
    rank = _ranks(count, edges)
    sizes = list(widths)
    routes: dict[Edge, list[int]] = {}
    short: list[Edge] = []
    for source, target in edges:
        route = [source]
        for layer in range(rank[source] + 1, rank[target]):
            route.append(len(sizes))
            sizes.append(thin)
            rank.append(layer)
        route.append(target)
        routes[source, target] = route
        short += pairwise(route)
    layers: list[list[int]] = [[] for _ in range(max(rank, default=0) + 1)]
    for node, layer in enumerate(rank):
        layers[layer].append(node)
    before: list[list[int]] = [[] for _ in sizes]
    after: list[list[int]] = [[] for _ in sizes]
    for source, target in short:
        after[source].append(target)
        before[target].append(source)
    layers = _ordered(layers, before, after)
    x = _positions(layers, before, after, sizes, gap, count)
    _straighten(x, layers, routes, sizes, gap)
    return Layout(layers, [float(value) for value in x - x.min()], routes)


def _ranks(count: int, edges: Sequence[Edge]) -> list[int]:
    """The layer of each node: as early as possible, but half-way down where it has room on both sides."""
    first = [0] * count
    for source, target in sorted(edges):
        first[target] = max(first[target], first[source] + 1)
    depth = max(first, default=0)
    last = [depth] * count
    for source, target in sorted(edges, reverse=True):
        last[source] = min(last[source], last[target] - 1)
    sources = {source for source, _ in edges}
    rank = [early if node in sources else late for node, (early, late) in enumerate(zip(first, last, strict=True))]
    for node in range(1, count - 1):
        near = [other for edge in edges if node in edge for other in edge if other != node]
        if near and node in sources and first[node] < last[node] and all(first[o] == last[o] for o in near):
            rank[node] = (first[node] + last[node]) // 2
    return rank


def _ordered(layers: list[list[int]], before: list[list[int]], after: list[list[int]]) -> list[list[int]]:
    """Orders each layer by the mean place of its neighbours, down and up, and keeps the order with fewest crossings."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers, after)
    for sweep in range(_ORDER_SWEEPS):
        down = sweep % 2 == 0
        neighbours = before if down else after
        for index in range(1, len(layers)) if down else range(len(layers) - 2, -1, -1):
            place = {node: p for p, node in enumerate(layers[index - 1 if down else index + 1])}
            means = {
                node: float(np.mean([place[n] for n in neighbours[node]])) if neighbours[node] else float(p)
                for p, node in enumerate(layers[index])
            }
            layers[index] = sorted(layers[index], key=means.__getitem__)
        crossings = _crossings(layers, after)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
        if not fewest:
            break
    return best


def _crossings(layers: list[list[int]], after: list[list[int]]) -> int:
    total = 0
    for upper, lower in pairwise(layers):
        place = {node: p for p, node in enumerate(lower)}
        ends = np.array([t for node in upper for t in sorted(place[n] for n in after[node])])
        starts = np.array([p for p, node in enumerate(upper) for _ in after[node]])
        if len(ends) > 1:
            total += int(((starts[:, None] < starts[None]) & (ends[:, None] > ends[None])).sum())
    return total


def _positions(
    layers: list[list[int]],
    before: list[list[int]],
    after: list[list[int]],
    sizes: list[float],
    gap: float,
    count: int,
) -> np.ndarray:
    """Centres: near the mean of the neighbours, at least ``gap`` apart, in the order given."""
    x = np.zeros(len(sizes))
    for layer in layers:
        left = 0.0
        for node in layer:
            x[node] = left + sizes[node] / 2
            left += sizes[node] + gap
        x[layer] -= (left - gap) / 2
    offsets = {}
    for layer in layers:
        steps = [(sizes[a] + sizes[b]) / 2 + gap for a, b in pairwise(layer)]
        offsets[layer[0]] = np.concatenate([[0.0], np.cumsum(steps)])
    for sweep in range(_POSITION_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted, weights = [], []
            for node in layer:
                near = [*before[node], *after[node]]
                # an edge that passes through layers should be straight before anything else
                pulls = [8.0 if node >= count and other >= count else 1.0 for other in near]
                total = sum(pulls)
                wanted.append(sum(p * x[o] for p, o in zip(pulls, near, strict=True)) / total if near else x[node])
                weights.append(total or 0.1)
            shift = offsets[layer[0]]
            x[layer] = _ascending(np.array(wanted) - shift, np.array(weights)) + shift
    return x


def _straighten(
    x: np.ndarray, layers: list[list[int]], routes: dict[Edge, list[int]], sizes: list[float], gap: float
) -> None:
    """Leads every long edge straight down where its neighbours leave room for that."""
    beside = {}
    for layer in layers:
        for place, node in enumerate(layer):
            beside[node] = (layer[place - 1] if place else -1, layer[place + 1] if place + 1 < len(layer) else -1)
    for route in routes.values():
        through = route[1:-1]
        if not through:
            continue
        low, high = -np.inf, np.inf
        for node in through:
            left, right = beside[node]
            if left >= 0:
                low = max(low, x[left] + (sizes[left] + sizes[node]) / 2 + gap)
            if right >= 0:
                high = min(high, x[right] - (sizes[right] + sizes[node]) / 2 - gap)
        if low <= high:
            wanted = float(np.mean([x[route[0]], *x[through], x[route[-1]]]))
            x[through] = np.clip(wanted if len(through) == 1 else float(np.median(x[through])), low, high)


def _ascending(wanted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The ascending sequence nearest to the wanted one, weighted least squares: pool adjacent violators."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, weight in zip(wanted, weights, strict=True):
        mean, total, length = float(value), float(weight), 1
        while blocks and blocks[-1][0] > mean:
            other, more, longer = blocks.pop()
            mean, total, length = (mean * total + other * more) / (total + more), total + more, length + longer
        blocks.append((mean, total, length))
    return np.repeat([mean for mean, _, _ in blocks], [length for _, _, length in blocks])
