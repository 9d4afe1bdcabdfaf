"""Random search: the baseline every other strategy has to beat."""

from __future__ import annotations

from collections.abc import Hashable

from nasx.strategies.base import Strategy


class RandomSearch(Strategy):
    """Draws architectures independently from the space's own distribution.

    Against a predictor it becomes the plainest predictor-guided search there is: score a large random sample, evaluate
    its best (Wen et al., "Neural Predictor for Neural Architecture Search", ECCV 2020, https://arxiv.org/abs/1912.00848).

    >>> import numpy as np
    >>> from nasx.search_spaces.nasbench201 import NASBench201
    >>> strategy = RandomSearch(NASBench201(), rng=np.random.default_rng(0))
    >>> len(strategy.ask(3))
    3
    """

    inner_candidates = 10_000
    inner_batch = 10_000

    def ask(self, n: int = 1) -> list[Hashable]:
        """Samples ``n`` architectures."""
        return list(self.space.samples(n, self.rng))
