"""What makes a candidate worth an evaluation: its predicted value, or what could still be gained by it.

With a predicted value mu(x), the deviation sigma(x) of a measurement around it, and the best value f so far
(for maximisation; minimisation is its mirror image):

    mean       mu(x)
    ucb        mu(x) + 2 sigma(x)                                       upper confidence bound, Srinivas et al. 2010
    ei         E[max(Y - f, 0)], Y ~ Normal(mu(x), sigma(x)^2)          expected improvement, Jones et al. 1998
    thompson   one draw of Y for each candidate                         Thompson 1933
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nasx.metrics import Direction
from nasx.search_spaces.errors import unknown

ACQUISITIONS = ("mean", "ucb", "ei", "thompson")

Floats = NDArray[np.float64]


def check_acquisition(name: str) -> str:
    """Returns the name if there is such an acquisition function.

    Raises:
        UsageError: There is none.
    """
    if name not in ACQUISITIONS:
        raise unknown("acquisition", name, ACQUISITIONS)
    return name


def acquire(
    name: str,
    values: Floats,
    deviations: Floats,
    *,
    best: float,
    direction: Direction,
    rng: np.random.Generator,
    width: float = 2.0,
) -> Floats:
    """Scores candidates.

    Args:
        name: One of :data:`ACQUISITIONS`.
        values: (n,) predicted values.
        deviations: (n,) standard deviations of a measurement around them.
        best: The best value measured so far.
        direction: Which end of the values is good.
        rng: The source of randomness of ``thompson``.
        width: Deviations that ``ucb`` adds.

    Returns:
        (n,) scores on the scale of the values, the good end being the same.

    >>> options = {"best": 92.0, "direction": "maximize", "rng": np.random.default_rng(0)}
    >>> values, deviations = np.array([91.0, 90.0]), np.array([0.1, 2.0])
    >>> [int(acquire(name, values, deviations, **options).argmax()) for name in ("mean", "ucb", "ei")]
    [0, 1, 1]
    """
    check_acquisition(name)
    sign = 1.0 if direction == "maximize" else -1.0
    if name == "mean":
        return values
    if name == "ucb":
        return values + sign * width * deviations
    if name == "thompson":
        return values + deviations * rng.standard_normal(len(values))
    return best + sign * expected_improvement(sign * (values - best), deviations)


def expected_improvement(gains: Floats, deviations: Floats) -> Floats:
    """``gain Phi(z) + sigma phi(z)`` with ``z = gain / sigma``: (n,), never negative.

    >>> expected_improvement(np.array([0.0, 1.0]), np.array([1.0, 0.0])).round(4)
    array([0.3989, 1.    ])
    """
    from scipy.special import ndtr

    sure = deviations <= 0
    z = gains / np.where(sure, 1.0, deviations)
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return np.where(sure, np.maximum(gains, 0.0), np.maximum(gains * ndtr(z) + deviations * density, 0.0))
