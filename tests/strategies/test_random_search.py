"""Random search draws from the space's own distribution and from nothing else."""

from __future__ import annotations

import numpy as np

from nasx.search_spaces.nasbench201 import NASBench201
from nasx.strategies.random_search import RandomSearch


def test_it_is_the_space_own_sample_and_learns_nothing(space: NASBench201) -> None:
    strategy = RandomSearch(space, rng=np.random.default_rng(7))
    strategy.tell([space.architecture(0)], [1.0])
    assert strategy.ask(5) == list(space.samples(5, np.random.default_rng(7)))
