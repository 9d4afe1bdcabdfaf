"""A Gaussian process on the features of whole graphs: the member of an ensemble that needs the fewest graphs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from nasx.predictors.features import Array
from nasx.predictors.scaling import normal_scores

POWER = 0.25  # of the matrix of gradients: features are told apart less than they say, since they are estimates
STEPS = 40  # of Adam, from parameters that suit standardised features
MOST_ROWS = 5000
"""More training graphs than this are not worth the time and the memory."""

VOTES = 2.0
"""How many networks of an ensemble the process counts for."""

NUMBERS = ("smooth", "linear", "noise", "length")
ROWS_FOR_PARAMETERS = 400  # three numbers and the noise do not need more


@dataclass
class FeatureProcess:
    """The mean of a Gaussian process of normal scores (van der Waerden) of targets, given features.

    `k(x, x') = a exp(-|x - x'|^2 / (2 l F)) + b x.x' / F`, and noise c for each target; a, b, c and l maximise the
    marginal likelihood of the targets (Rasmussen and Williams 2006, equations 2.25 and 5.8). The mean is
    `k(x, X) (k(X, X) + c I)^-1 y`.

    Directions of the features along which targets change count more: a first process f, on the features as they are,
    gives `M = mean over X of grad f grad f'`, and x is the features times `M^POWER`, scaled to trace F (one round of a
    recursive feature machine; Radhakrishnan, Beaglehole, Pandit, Belkin, Science 2024).

    Args:
        features: The n training rows X, about standardised, times the metric, `(n, F)`.
        weights: `(k(X, X) + c I)^-1 y`, `(n,)`.
        smooth: a.
        linear: b.
        noise: c.
        length: l.
        metric: `M^POWER`, scaled, `(F, F)`; None leaves features as they are.
        plain: The first process; None where there is no metric.

    >>> x = np.linspace(-2, 2, 20)[:, None]
    >>> process = FeatureProcess.fitted(x, np.sin(x[:, 0]))
    >>> process(torch.tensor([[-1.5], [0.0], [1.5]])).argsort().tolist()
    [0, 1, 2]
    """

    features: Array
    weights: Array
    smooth: float
    linear: float
    noise: float
    length: float
    metric: Array | None = None
    plain: FeatureProcess | None = None

    @classmethod
    def fitted(cls, features: ArrayLike, targets: ArrayLike, *, metric: bool = True) -> FeatureProcess:
        """Finds parameters and weights.

        Args:
            features: `(n, F)`, rows in random order; columns of zeros do not count.
            targets: `(n,)`; more than `MOST_ROWS` take long.
            metric: Whether to learn which directions of the features matter.
        """
        x, y = np.asarray(features, dtype=np.float64), normal_scores(targets)
        plain = cls._given(x, y)
        if not metric:
            return plain
        learned = _metric(plain._gradients(), (x != 0).any(axis=0))
        process = cls._given(x @ learned, y)
        process.metric, process.plain = learned.astype(np.float32), plain
        return process

    @classmethod
    def restored(cls, numbers: Mapping[str, float], arrays: Mapping[str, NDArray[np.float32]]) -> FeatureProcess:
        """The process whose `state` this is."""
        smooth, linear, noise, length = (numbers[name] for name in NUMBERS)
        own = cls(arrays["features"], arrays["weights"], smooth, linear, noise, length)
        if "metric" in arrays:
            smooth, linear, noise, length = (numbers[f"plain_{name}"] for name in NUMBERS)
            own.metric = arrays["metric"]
            own.plain = cls(arrays["plain_features"], arrays["plain_weights"], smooth, linear, noise, length)
        return own

    @classmethod
    def _given(cls, x: NDArray[np.float64], y: NDArray[np.float64]) -> FeatureProcess:
        """The process of the features as they are."""
        parameters = _likeliest(x[:ROWS_FOR_PARAMETERS], y[:ROWS_FOR_PARAMETERS])
        with torch.no_grad():
            kernel = _kernel(*_products(torch.from_numpy(x)), parameters)
            weights = torch.cholesky_solve(torch.from_numpy(y)[:, None], torch.linalg.cholesky(kernel))[:, 0]
        smooth, linear, noise, length = parameters.exp().tolist()
        return cls(x.astype(np.float32), weights.numpy().astype(np.float32), smooth, linear, noise, length)

    def _gradients(self) -> NDArray[np.float64]:
        """The gradient of the mean at each training row, `(n, F)`, where there is no metric."""
        x, weights = torch.from_numpy(self.features).double(), torch.from_numpy(self.weights).double()
        pulls = self._smooth(x, x, _columns(x)) * weights
        gradients = (pulls @ x - pulls.sum(1, keepdim=True) * x) / self.length + self.linear * (x.T @ weights)
        return np.asarray((gradients / _columns(x)).numpy())

    def __call__(self, features: Tensor) -> Tensor:
        """The mean for features `(B, F)` on any device: `(B,)`."""
        x, features = torch.from_numpy(self.features).to(features.device), self._mapped(features)
        count = _columns(x)
        smooth = self._smooth(features, x, count)
        weights = torch.from_numpy(self.weights).to(x)
        return smooth @ weights + (self.linear / count) * (features @ (x.T @ weights))

    def deviations(self, features: Tensor) -> Tensor:
        """The standard deviation of a target's normal score around the mean, noise included (equation 2.26): `(B,)`.

        The first process says it, if there are two: the second has seen the targets twice and is too sure.
        """
        if self.plain is not None:
            return self.plain.deviations(features)
        x = torch.from_numpy(self.features).to(features)
        count = _columns(x)
        cross = self._smooth(features, x, count) + (self.linear / count) * (features @ x.T)
        explained = torch.linalg.solve_triangular(self._factor.to(cross), cross.T, upper=False).square().sum(0)
        own = self.smooth + (self.linear / count) * features.square().sum(1) + self.noise
        return (own - explained).clamp_min(self.noise).sqrt()

    def _mapped(self, features: Tensor) -> Tensor:
        """Features times the metric."""
        return features if self.metric is None else features @ torch.from_numpy(self.metric).to(features)

    def _smooth(self, features: Tensor, x: Tensor, count: int) -> Tensor:
        squares = features.square().sum(1)[:, None] + x.square().sum(1) - 2 * (features @ x.T)
        return self.smooth * torch.exp(squares.clamp_min(0) / (-2 * self.length * count))

    @cached_property
    def _factor(self) -> Tensor:
        """The Cholesky factor of `k(X, X) + c I`."""
        parameters = torch.tensor([self.smooth, self.linear, self.noise, self.length], dtype=torch.float64).log()
        return torch.linalg.cholesky(_kernel(*_products(torch.from_numpy(self.features).double()), parameters))

    def state(self) -> tuple[dict[str, float], dict[str, NDArray[np.float32]]]:
        """A JSON-able part and named arrays, for `restored`."""
        numbers = {name: getattr(self, name) for name in NUMBERS}
        arrays = {"features": self.features, "weights": self.weights}
        if self.metric is not None and self.plain is not None:
            first, its_arrays = self.plain.state()
            numbers |= {f"plain_{name}": value for name, value in first.items()}
            arrays |= {"metric": self.metric, **{f"plain_{name}": value for name, value in its_arrays.items()}}
        return numbers, arrays


def _metric(gradients: NDArray[np.float64], varies: NDArray[np.bool_]) -> NDArray[np.float64]:
    """`M^POWER`, scaled so that its square has trace F, for the gradients of a process `(n, F)`: `(F, F)`.

    Features that do not vary stay zero; where targets change along none, all count alike.
    """
    gradients = gradients[:, varies]
    sizes, directions = np.linalg.eigh(gradients.T @ gradients / max(len(gradients), 1))
    metric = np.zeros((len(varies), len(varies)))
    if not varies.any() or sizes[-1] < 1e-12:
        np.fill_diagonal(metric, 1.0)
        return metric
    powers = np.clip(sizes, 0, None) ** POWER
    powers *= math.sqrt(len(powers) / np.square(powers).sum())
    metric[np.ix_(varies, varies)] = (directions * powers) @ directions.T
    return metric


def _columns(x: Tensor) -> int:
    """Number of features that are not zero everywhere."""
    return max(int((x != 0).any(0).sum()), 1)


def _products(x: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distances and products of all rows, `(n, n)` each, divided by the number of features."""
    x = x / math.sqrt(_columns(x))
    return torch.cdist(x, x).square(), x @ x.T


def _kernel(distances: Tensor, products: Tensor, parameters: Tensor) -> Tensor:
    """`k(X, X) + c I` for the logarithms of a, b, c and l."""
    smooth, linear, noise, length = parameters.exp().unbind()
    identity = torch.eye(len(products), dtype=products.dtype)
    return smooth * torch.exp(distances / (-2 * length)) + linear * products + (noise + 1e-4) * identity


def _likeliest(x: NDArray[np.float64], y: NDArray[np.float64]) -> Tensor:
    """The logarithms of a, b, c and l that make the targets likeliest."""
    distances, products = _products(torch.from_numpy(x))
    target = torch.from_numpy(y)
    parameters = torch.tensor([1.0, 0.1, 0.1, 1.0], dtype=torch.float64).log().requires_grad_()
    optimizer = torch.optim.Adam([parameters], lr=0.1)
    for _ in range(STEPS):
        factor = torch.linalg.cholesky(_kernel(distances, products, parameters))
        weights = torch.cholesky_solve(target[:, None], factor)[:, 0]
        optimizer.zero_grad()
        (0.5 * target @ weights + factor.diagonal().log().sum()).backward()
        optimizer.step()
    return parameters.detach()
