"""Who is better when there are several objectives: non-dominated sorting and crowding distance.

All functions take losses ``(n, m)``: one row an architecture, one column an objective, smaller is better. A row
dominates another if it is nowhere larger and somewhere smaller (Deb et al., "A Fast and Elitist Multiobjective Genetic
Algorithm: NSGA-II", IEEE Transactions on Evolutionary Computation 6(2), 2002).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def non_dominated(losses: Floats) -> NDArray[np.bool_]:
    """Which rows no other row dominates, ``(n,)``; equal rows are kept together, rows with NaN never.

    Rows are visited by the sum of their ranks, so that those that dominate many come first: time grows with
    ``n`` times the length of the front, and a million rows are no problem.

    >>> non_dominated(np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 3.0], [2.0, 2.0], [np.nan, 0.0]])).tolist()
    [True, True, False, True, False]
    """
    known = np.flatnonzero(~np.isnan(losses).any(axis=1))
    points = losses[known]
    ranks = np.zeros(len(points), dtype=np.int64)
    for column in points.T:
        ranks += np.unique(column, return_inverse=True)[1]  # equal values, equal ranks: who dominates has a smaller sum
    left = np.argsort(ranks, kind="stable")
    chosen = np.zeros(len(losses), dtype=bool)
    while len(left):
        first = points[left[0]]
        equal = (points[left] == first).all(axis=1)
        chosen[known[left[equal]]] = True
        left = left[(points[left] < first).any(axis=1)]
    return chosen


def front_numbers(losses: Floats, violations: Floats | None = None) -> NDArray[np.int64]:
    """The front each row belongs to, ``(n,)``: 0 is dominated by none, 1 only by rows of front 0, and so on.

    Args:
        losses: ``(n, m)``.
        violations: ``(n,)`` by how much each row breaks its limits; rows that break none come before all that do, and
            those are sorted by how much (constrained domination, section VI of the paper). None: nobody breaks any.

    >>> losses = np.array([[1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [0.0, 0.0]])
    >>> front_numbers(losses, violations=np.array([0.0, 0.0, 0.0, 0.5])).tolist()
    [0, 0, 1, 2]
    """
    beats = _dominates(losses)
    if violations is not None:
        fine = violations <= 0
        beats = np.where(fine[:, None] & fine[None, :], beats, violations[:, None] < violations[None, :])
    dominators = beats.sum(axis=0)
    numbers = np.full(len(losses), -1, dtype=np.int64)
    number = 0
    while (numbers < 0).any():
        front = np.flatnonzero((numbers < 0) & (dominators == 0))
        numbers[front] = number
        dominators = dominators - beats[front].sum(axis=0)
        number += 1
    return numbers


def crowding_distance(losses: Floats) -> Floats:
    """How much room each row of one front has around it, ``(n,)``: the ends have infinitely much.

    The sum over the objectives of the distance between its two neighbours, as a share of the front's extent.

    >>> crowding_distance(np.array([[0.0, 4.0], [1.0, 3.0], [4.0, 0.0]])).tolist()
    [inf, 2.0, inf]
    """
    rows, objectives = losses.shape
    distance = np.zeros(rows)
    if rows == 0:
        return distance
    for objective in range(objectives):
        order = np.argsort(losses[:, objective], kind="stable")
        values = losses[order, objective]
        extent = values[-1] - values[0]
        distance[order[[0, -1]]] = np.inf
        if extent > 0:
            distance[order[1:-1]] += (values[2:] - values[:-2]) / extent
    return distance


def survival_order(
    losses: Floats, violations: Floats | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Who survives first: by front, and within a front by room.

    Returns:
        The rows in order of survival ``(n,)``, the front of each row ``(n,)`` and its crowding distance ``(n,)``.

    >>> survival_order(np.array([[3.0, 3.0], [0.0, 4.0], [1.0, 3.0], [4.0, 0.0], [1.1, 2.9]]))[0].tolist()
    [1, 3, 4, 2, 0]
    """
    fronts = front_numbers(losses, violations)
    room = np.zeros(len(losses))
    for number in range(fronts.max(initial=-1) + 1):
        members = np.flatnonzero(fronts == number)
        room[members] = crowding_distance(losses[members])
    return np.lexsort((-room, fronts)), fronts, room


def _dominates(losses: Floats) -> NDArray[np.bool_]:
    """``(n, n)``: whether row i dominates row j."""
    nowhere_larger = np.ones((len(losses), len(losses)), dtype=bool)
    somewhere_smaller = np.zeros_like(nowhere_larger)
    for column in losses.T:
        nowhere_larger &= column[:, None] <= column[None, :]
        somewhere_smaller |= column[:, None] < column[None, :]
    return nowhere_larger & somewhere_smaller
