"""Which nodes of an operation graph matter, and in which order they are written: the canonical form.

Two graphs get the same canonical form exactly when they are isomorphic after their dead parts are dropped. The order
is found by colour refinement (one-dimensional Weisfeiler-Leman) followed, where ties remain, by individualisation
and refinement with automorphism pruning, as in B. McKay and A. Piperno, "Practical graph isomorphism, II" (2014).
Colours start from the depth of a node, so the canonical order is a topological one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Edges = Sequence[tuple[int, int]]
Order = list[int]  # position of every node in the new order

DEAD = "none"  # the operation that passes nothing on (NAS-Bench-201 calls it so)


def live_nodes(operations: Sequence[str], edges: Edges) -> list[int]:
    """Returns the nodes on a path from the first to the last node that avoids ``none``, in ascending order.

    The first and the last node are always among them, connected or not.

    Args:
        operations: One label a node.
        edges: ``(source, target)`` with source < target, sorted.

    >>> live_nodes(["input", "conv", "none", "output"], [(0, 1), (0, 2), (1, 3), (2, 3)])
    [0, 1, 3]
    """
    last = len(operations) - 1
    allowed = [operation != DEAD for operation in operations]
    allowed[0] = allowed[last] = True
    forward = [False] * (last + 1)
    backward = [False] * (last + 1)
    forward[0] = backward[last] = True
    for source, target in edges:  # sorted by source: forward[source] is final when it is read
        if forward[source] and allowed[target]:
            forward[target] = True
    for source, target in reversed(edges):
        if backward[target] and allowed[source]:
            backward[source] = True
    if not forward[last]:
        return [0, last] if last else [0]
    return [node for node in range(last + 1) if forward[node] and backward[node]]


def canonical_order(operations: Sequence[str], edges: Edges) -> Order:
    """Returns the canonical position of every node of a graph whose nodes are all alive.

    Isomorphic graphs relabelled by their canonical positions become the same graph; the positions are a topological
    order with the first node first and the last node last.

    Args:
        operations: One label a node.
        edges: ``(source, target)`` with source < target, sorted.

    >>> canonical_order(["input", "pool", "conv", "output"], [(0, 1), (0, 2), (1, 3), (2, 3)])
    [0, 2, 1, 3]
    """
    search = _Search(operations, edges)
    return search.run()


class _Search:
    """One search for the canonical order. A colouring is a list: colour = number of nodes in the cells before."""

    def __init__(self, operations: Sequence[str], edges: Edges) -> None:
        self.edges = edges
        self.predecessors: list[list[int]] = [[] for _ in operations]
        self.successors: list[list[int]] = [[] for _ in operations]
        depth = [0] * len(operations)
        for source, target in edges:
            self.predecessors[target].append(source)
            self.successors[source].append(target)
            if depth[target] <= depth[source]:
                depth[target] = depth[source] + 1
        depth[-1] = len(operations)  # the output is last even where nothing reaches it
        self.start = _ranks(list(zip(depth, operations, strict=True)))

    def run(self) -> Order:
        colours = self.refine(self.start)
        if len(set(colours)) < len(colours):
            colours = self.refine(self.split_twins(colours))
        if len(set(colours)) < len(colours):
            colours = self.descend(colours)[0]
        return colours

    def refine(self, colours: Order) -> Order:
        """Splits cells until all nodes of a cell see the same colours before and after them."""
        while True:
            refined = colours.copy()
            changed = False
            for colour, members in _ties(colours):
                signatures = [
                    (
                        sorted([colours[u] for u in self.predecessors[v]]),
                        sorted([colours[u] for u in self.successors[v]]),
                    )
                    for v in members
                ]
                ranks = _ranks(signatures)
                for node, rank in zip(members, ranks, strict=True):
                    refined[node] = colour + rank
                changed = changed or any(ranks)
            if not changed:
                return colours
            colours = refined

    def split_twins(self, colours: Order) -> Order:
        """Numbers the nodes that share all neighbours: any order of them gives the same graph."""
        split = colours.copy()
        for colour, members in _ties(colours):
            seen: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {}
            numbers = []
            for node in members:
                neighbours = (tuple(self.predecessors[node]), tuple(self.successors[node]))
                numbers.append(seen.get(neighbours, 0))
                seen[neighbours] = numbers[-1] + 1
            for node, rank in zip(members, _ranks(numbers), strict=True):
                split[node] = colour + rank
        return split

    def descend(self, colours: Order) -> tuple[Order, Order, list[Order]]:
        """Tries every inequivalent way to break the first tie.

        Returns:
            The best discrete colouring below, the first one met, and the automorphisms found on the way.
        """
        tie = next(_ties(colours), None)
        if tie is None:
            return colours, colours, []
        colour, members = tie
        best, first, automorphisms = self.descend(self.individualise(colours, colour, members[0]))
        leaves = [first]
        explored = [members[0]]
        for node in members[1:]:
            if _reaches(node, explored, automorphisms):
                continue
            child = self.individualise(colours, colour, node)
            leaf = self.first_leaf(child)
            twin = next((known for known in leaves if self.encode(known) == self.encode(leaf)), None)
            if twin is None:
                candidate, _, found = self.descend(child)
                automorphisms.extend(found)
                leaves.append(leaf)
                explored.append(node)
                best = min(best, candidate, key=self.encode)
            else:  # the same graph twice: the map from one order to the other is an automorphism
                node_at = {position: v for v, position in enumerate(twin)}
                automorphisms.append([node_at[position] for position in leaf])
        return best, first, automorphisms

    def individualise(self, colours: Order, colour: int, node: int) -> Order:
        """Puts one node before the others of its cell, then refines."""
        split = [c + 1 if c == colour and v != node else c for v, c in enumerate(colours)]
        return self.refine(split)

    def first_leaf(self, colours: Order) -> Order:
        while (tie := next(_ties(colours), None)) is not None:
            colours = self.individualise(colours, tie[0], tie[1][0])
        return colours

    def encode(self, order: Order) -> list[tuple[int, int]]:
        return sorted([(order[source], order[target]) for source, target in self.edges])


def _ranks(keys: Sequence) -> list[int]:
    """The number of smaller keys, for every key; equal keys tie."""
    ranks = [0] * len(keys)
    rank, previous = 0, None
    for position, place in enumerate(sorted(range(len(keys)), key=keys.__getitem__)):
        if position == 0 or keys[place] != previous:
            rank, previous = position, keys[place]
        ranks[place] = rank
    return ranks


def _ties(colours: Order) -> Iterator[tuple[int, list[int]]]:
    """Yields ``(colour, members)`` of every cell with more than one node, by colour."""
    cells: dict[int, list[int]] = {}
    for node, colour in enumerate(colours):
        cells.setdefault(colour, []).append(node)
    if len(cells) == len(colours):
        return iter(())
    return iter(sorted((colour, members) for colour, members in cells.items() if len(members) > 1))


def _reaches(node: int, targets: list[int], automorphisms: list[Order]) -> bool:
    """Whether the automorphisms map the node onto one of the targets."""
    orbit = {node}
    frontier = [node]
    while frontier:
        current = frontier.pop()
        if current in targets:
            return True
        for automorphism in automorphisms:
            image = automorphism[current]
            if image not in orbit:
                orbit.add(image)
                frontier.append(image)
    return False
