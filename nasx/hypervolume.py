"""How much a front is worth, and how much more it could be worth with one more architecture.

The hypervolume of a front is the volume between its points and a reference point that they all beat (Zitzler and
Thiele, 1999). With losses, smaller is better in every objective:

    HV(F) = volume of { z : f <= z <= reference for some f in F }

What no point dominates is cut into disjoint boxes ``(l, u)`` below the reference. An outcome ``y`` adds
``sum over boxes of prod_j (max(u_j - y_j, 0) - max(l_j - y_j, 0))``. If its objectives are independent normal variables
(mu_j, sigma_j), the expectation of each factor is a difference of two expected improvements, and so

    EHVI = sum over boxes of prod_j (psi_j(u_j) - psi_j(l_j)),     psi_j(a) = E[max(a - Y_j, 0)]

exactly, for any number of objectives (Couckuyt, Deschrijver and Dhaene, "Fast calculation of multiobjective
probability of improvement and expected improvement criteria for Pareto optimization", J. Global Optimization, 2014).
With one objective it is the expected improvement, with sigma = 0 the plain gain in hypervolume.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasx.acquisition import expected_improvement
from nasx.strategies.dominance import non_dominated

Floats = NDArray[np.float64]
Boxes = tuple[Floats, Floats]

_CELLS_AT_ONCE = 4_000_000


def hypervolume(losses: ArrayLike, reference: ArrayLike) -> float:
    """The volume that points dominate below a reference point; exact for any number of objectives.

    Args:
        losses: ``(n, m)``, smaller is better; rows with NaN and rows that do not beat the reference add nothing.
        reference: ``(m,)``.

    >>> hypervolume([[1.0, 2.0], [2.0, 1.0]], [3.0, 3.0])
    3.0
    >>> hypervolume([[0.0, 0.0, 0.0], [4.0, 4.0, 4.0]], [1.0, 1.0, 2.0])
    2.0
    """
    bound = np.asarray(reference, dtype=np.float64)
    points = np.asarray(losses, dtype=np.float64).reshape(-1, len(bound))
    points = points[(points < bound).all(axis=1)]
    return _volume(points[non_dominated(points)], bound)


def hypervolume_curve(losses: Floats, reference: Floats) -> Floats:
    """The hypervolume after each of n evaluations ``(n,)``; rows with NaN (failed, or beyond a limit) add nothing.

    >>> hypervolume_curve(np.array([[2.0, 2.0], [np.nan, 0.0], [1.0, 2.0]]), np.array([3.0, 3.0])).tolist()
    [1.0, 1.0, 2.0]
    """
    curve = np.zeros(len(losses))
    front, volume = np.zeros((0, len(reference))), 0.0
    for row, point in enumerate(losses):
        if (point < reference).all() and not (front <= point).all(axis=1).any():
            front = np.vstack([front[~(point <= front).all(axis=1)], point])
            volume = _volume(front, reference)
        curve[row] = volume
    return curve


def free_boxes(front: Floats, reference: Floats) -> Boxes:
    """Cuts what no point of a front dominates into disjoint boxes.

    Args:
        front: ``(n, m)`` losses; none is fine.
        reference: ``(m,)``; the boxes end there.

    Returns:
        Lower corners (``-inf`` where a box is open) and upper corners ``(b, m)``. b is n + 1 for two objectives and
        grows with n squared for three.

    >>> lower, upper = free_boxes(np.array([[1.0, 2.0]]), np.array([3.0, 3.0]))
    >>> lower.tolist(), upper.tolist()
    ([[-inf, -inf], [-inf, 2.0]], [[3.0, 2.0], [1.0, 3.0]])
    """
    if len(reference) == 1:
        return np.full((1, 1), -np.inf), np.min([*front[:, 0], reference[0]]).reshape(1, 1)
    last = front[:, -1]
    levels = np.unique(last[last < reference[-1]])
    edges = np.concatenate([[-np.inf], levels, reference[-1:]])
    lowers, uppers = [], []
    for low, high in pairwise(edges):
        below = front[last <= low, :-1]
        lower, upper = free_boxes(below[non_dominated(below)], reference[:-1])
        lowers.append(np.column_stack([lower, np.full(len(lower), low)]))
        uppers.append(np.column_stack([upper, np.full(len(upper), high)]))
    return np.concatenate(lowers), np.concatenate(uppers)


def expected_gain(values: Floats, deviations: Floats, boxes: Boxes) -> Floats:
    """The expected gain in hypervolume of each candidate.

    Args:
        values: ``(c, m)`` expected losses.
        deviations: ``(c, m)`` standard deviations around them; 0 where a value is certain.
        boxes: What :func:`free_boxes` gives.

    Returns:
        ``(c,)``, never negative.

    >>> boxes = free_boxes(np.array([[1.0, 2.0]]), np.array([3.0, 3.0]))
    >>> candidates = np.array([[2.0, 1.0], [2.0, 2.5]])
    >>> expected_gain(candidates, np.zeros((2, 2)), boxes).tolist()
    [1.0, 0.0]
    >>> expected_gain(candidates, np.full((2, 2), 0.5), boxes).round(3).tolist()
    [1.013, 0.044]
    """
    lower, upper = boxes
    columns = []
    for objective in range(values.shape[1]):
        # Boxes share their edges: each is looked at once.
        edges, places = np.unique(np.concatenate([lower[:, objective], upper[:, objective]]), return_inverse=True)
        columns.append((edges, *np.split(places.ravel(), 2)))
    gains = np.zeros(len(values))
    step = max(1, _CELLS_AT_ONCE // max(1, len(lower)))
    for start in range(0, len(values), step):
        part = slice(start, start + step)
        product: Floats | None = None
        for objective, (edges, low, high) in enumerate(columns):
            psi = np.zeros((len(values[part]), len(edges)))
            finite = np.isfinite(edges)
            psi[:, finite] = expected_improvement(
                edges[finite] - values[part, objective, None], deviations[part, objective, None]
            )
            factor = psi[:, high] - psi[:, low]
            product = factor if product is None else product * factor
        assert product is not None
        gains[part] = product.sum(axis=1)
    return np.maximum(gains, 0.0)


def _volume(points: Floats, reference: Floats) -> float:
    """The hypervolume of points that all beat the reference, by slices of the last objective."""
    if len(points) == 0:
        return 0.0
    if len(reference) == 1:
        return float(reference[0] - points.min())
    if len(reference) == 2:
        first, second = points[np.lexsort((points[:, 1], points[:, 0]))].T
        widths = np.diff(first, append=reference[0])
        return float(widths @ (reference[1] - np.minimum.accumulate(second)))
    last = points[:, -1]
    levels = np.unique(last)
    thickness = np.diff(levels, append=reference[-1])
    return float(
        sum(
            thick * _volume(points[last <= level, :-1], reference[:-1])
            for level, thick in zip(levels, thickness, strict=True)
        )
    )
