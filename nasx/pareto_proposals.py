"""Which candidates to evaluate when there are several goals: the largest expected gain in hypervolume, one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasx.hypervolume import expected_gain, free_boxes
from nasx.strategies.dominance import non_dominated
from nasx.strategies.goals import Goals

Floats = NDArray[np.float64]

_NORMAL = 1.4826
"""Standard deviations in the median absolute deviation of a normal distribution."""


@dataclass(frozen=True)
class Forecast:
    """What predictors say of c candidates.

    Attributes:
        values: ``(c, k)`` the expected values of the k goals; NaN where nobody can tell.
        deviations: ``(c, k)`` standard deviations of measurements around them.
    """

    values: Floats
    deviations: Floats

    def chances(self, goals: Goals) -> Floats:
        """The probability ``(c,)`` that a candidate keeps all limits, goals taken as independent."""
        from scipy.special import ndtr

        chances = np.ones(len(self.values))
        for place, goal in enumerate(goals.all):
            if goal.limit is not None:
                room = goal.sign * (goal.limit - self.values[:, place])
                spread = self.deviations[:, place]
                sure = spread <= 0
                chances *= np.where(sure, room >= 0, ndtr(room / np.where(sure, 1.0, spread)))
        return chances


def usual_errors(measured: Floats, predicted: Floats) -> Floats:
    """How far off earlier predictions were, ``(k,)``: the deviation to expect of the next ones.

    The median absolute error in the units of a standard deviation; half the spread of the values where fewer than five
    architectures were predicted before they were measured.

    Args:
        measured: ``(n, k)`` values, without failed evaluations.
        predicted: ``(n, k)`` what was predicted before; NaN where nothing was.

    >>> usual_errors(np.arange(6.0)[:, None], np.arange(6.0)[:, None] + 0.1).round(4).tolist()
    [0.1483]
    """
    known = ~np.isnan(predicted).any(axis=1)
    if known.sum() < 5:
        middle = np.median(measured, axis=0)
        return np.asarray(0.5 * _NORMAL * np.median(np.abs(measured - middle), axis=0))
    return np.asarray(_NORMAL * np.median(np.abs(measured[known] - predicted[known]), axis=0))


def choose(
    forecast: Forecast,
    goals: Goals,
    measured: Floats,
    reference: Floats,
    n: int,
    acceptable: Callable[[int], bool],
) -> list[int]:
    """Chooses candidates one after the other, each by what it is expected to add to those before it.

    A candidate is worth its expected gain in hypervolume, times its chance to keep the limits. What is chosen counts
    from then on as measured with its expected values, so that the next one goes elsewhere on the front. As long as
    nothing that was measured keeps the limits, the chance to keep them counts alone.

    Args:
        forecast: What is expected of the c candidates.
        goals: What is wanted.
        measured: ``(n, k)`` what is known already, without failed evaluations.
        reference: ``(m,)`` losses beyond which nothing is worth anything.
        n: How many to choose.
        acceptable: Whether a candidate may be chosen; asked once for each, best first.

    Returns:
        Their places among the candidates; fewer than ``n`` where no more are acceptable.

    >>> goals = Goals.of({"accuracy": "maximize", "latency_ms": "minimize"})
    >>> forecast = Forecast(np.array([[90.0, 5.0], [94.0, 9.0], [94.0, 8.9]]), np.zeros((3, 2)))
    >>> choose(forecast, goals, np.array([[92.0, 7.0]]), np.array([-80.0, 10.0]), 2, lambda place: True)
    [0, 2]
    """
    losses = goals.losses(forecast.values)
    places = [place for place, goal in enumerate(goals.all) if goal.optimised]
    deviations = forecast.deviations[:, places]
    violations, chances = goals.violations(forecast.values), forecast.chances(goals)
    kept = goals.losses(measured)[goals.violations(measured) <= 0]
    front = kept[non_dominated(kept)]
    open_ = np.asarray(~np.isnan(forecast.values).any(axis=1))
    chosen: list[int] = []
    while len(chosen) < n and open_.any():
        left = np.flatnonzero(open_)
        worth = chances[left]
        if len(front) or not goals.limited:
            worth = worth * expected_gain(losses[left], deviations[left], free_boxes(front, reference))
        taken = None
        for place in left[np.lexsort((violations[left], -worth))].tolist():
            open_[place] = False
            if acceptable(place):
                taken = place
                break
        if taken is None:
            break
        chosen.append(taken)
        if violations[taken] <= 0:
            front = np.vstack([front, losses[taken]])
            front = front[non_dominated(front)]
    return chosen
