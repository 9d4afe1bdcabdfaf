"""Writing a graph differently: the same nodes and edges in another topological order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from nasx.search_spaces.batch import GraphBatch


def first_reorderings(graphs: GraphBatch, attempts: int = 1000) -> GraphBatch:
    """Gives each graph its first other topological order, or the graph itself where all orders read the same.

    As in NAR-Former (V1 and V2): permutations of the inner nodes in lexicographic order, the first that keeps the
    adjacency upper-triangular and changes operations or adjacency; the first and the last node stay.

    Args:
        graphs: B graphs.
        attempts: Give up on a graph after so many orders (a long chain of twins has factorially many).

    Returns:
        B graphs with the same padding and vocabulary.
    """
    operations, adjacency = graphs.operations.copy(), graphs.adjacency.copy()
    for row, count in enumerate(graphs.num_nodes):
        ops, adj = operations[row, :count], adjacency[row, :count, :count]
        for order in islice(topological_orders(adj), attempts):
            new_ops, new_adj = ops[order], adj[np.ix_(order, order)]
            if (new_ops != ops).any() or (new_adj != adj).any():
                operations[row, :count], adjacency[row, :count, :count] = new_ops, new_adj
                break
    return GraphBatch(operations, adjacency, graphs.num_nodes, graphs.vocabulary)


def topological_orders(adjacency: NDArray[np.bool_]) -> Iterator[NDArray[np.intp]]:
    """All topological orders that keep the first and the last node in place, in lexicographic order.

    Args:
        adjacency: Strictly upper-triangular `(N, N)`.

    >>> diamond = np.array([[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]], dtype=bool)
    >>> [order.tolist() for order in topological_orders(diamond)]
    [[0, 1, 2, 3], [0, 2, 1, 3]]
    """
    count = len(adjacency)
    if count < 3:
        yield np.arange(count)
        return
    predecessors = [frozenset(np.flatnonzero(adjacency[:, node]).tolist()) - {0} for node in range(count)]
    # Depth-first without recursion: each level keeps the nodes it has yet to try at its position.
    order: list[int] = []
    waiting = [iter([node for node in range(1, count - 1) if not predecessors[node]])]
    while waiting:
        node = next(waiting[-1], None)
        if node is None:
            waiting.pop()
            if order:
                order.pop()
            continue
        order.append(node)
        if len(order) == count - 2:
            yield np.array([0, *order, count - 1])
            order.pop()
            continue
        placed = set(order)
        ready = [n for n in range(1, count - 1) if n not in placed and predecessors[n] <= placed]
        waiting.append(iter(ready))
