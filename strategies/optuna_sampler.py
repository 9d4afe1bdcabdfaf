"""Any Optuna sampler as a strategy: TPE by default."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

from nasx.search_spaces.errors import UsageError, unknown
from nasx.search_spaces.space import SearchSpace
from nasx.strategies.base import Direction, Strategy

if TYPE_CHECKING:
    import optuna

_INVALID_TRIES = 20


class OptunaSampler(Strategy):
    """Asks an Optuna sampler for the space's parameters (Akiba et al., KDD 2019, https://optuna.org).

    The tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011) costs 2-14 ms a proposal and grows with the
    number of results: against a predictor it looks at hundreds of candidates where evolution looks at thousands.
    Configurations that are no architecture (a NAS-Bench-101 matrix without a path) are told as failed and drawn again;
    after twenty of them in a row a random architecture takes their place.

    Args:
        space: The search space.
        rng: The only source of randomness: it seeds the sampler.
        direction: Whether larger or smaller values are better.
        sampler: The name of a class in ``optuna.samplers``.

    >>> import numpy as np
    >>> from nasx.search_spaces.nasbench201 import NASBench201
    >>> strategy = OptunaSampler(NASBench201(), rng=np.random.default_rng(0))
    >>> cells = strategy.ask(2)
    >>> strategy.tell(cells, [90.0, 91.0])
    """

    inner_candidates = 200
    inner_batch = 20

    def __init__(
        self,
        space: SearchSpace,
        *,
        rng: np.random.Generator,
        direction: Direction = "maximize",
        sampler: str = "TPESampler",
    ) -> None:
        super().__init__(space, rng=rng, direction=direction)
        import optuna

        known = [name for name in dir(optuna.samplers) if name.endswith("Sampler") and name != "BaseSampler"]
        if sampler not in known:
            raise unknown("Optuna sampler", sampler, known)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        arguments: dict[str, Any] = {"seed": int(rng.integers(2**31))}
        try:
            instance = getattr(optuna.samplers, sampler)(**arguments)
        except (TypeError, ImportError) as error:
            raise UsageError(
                f"the Optuna sampler '{sampler}' cannot be made from a seed alone ({error}); try TPESampler"
            ) from error
        self._distributions = space.distributions()
        self._study = optuna.create_study(sampler=instance, direction="maximize")
        self._open: dict[Hashable, list[optuna.trial.Trial]] = {}

    def ask(self, n: int = 1) -> list[Hashable]:
        """Draws ``n`` architectures from the sampler."""
        return [self._ask_one() for _ in range(n)]

    def _ask_one(self) -> Hashable:
        import optuna

        for _ in range(_INVALID_TRIES):
            trial = self._study.ask(self._distributions)
            try:
                architecture = self.space.from_params(trial.params)
            except UsageError:
                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
                continue
            self._open.setdefault(architecture, []).append(trial)
            return architecture
        return self.space.sample(self.rng)

    def _learn(self, architectures: list[Hashable], fitness: list[float]) -> None:
        import optuna

        for architecture, value in zip(architectures, fitness, strict=True):
            failed = value == -math.inf
            if open_trials := self._open.get(architecture):
                trial = open_trials.pop()
                if failed:
                    self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
                else:
                    self._study.tell(trial, value)
            elif not failed:
                params = self.space.to_params(architecture)
                self._study.add_trial(
                    optuna.trial.create_trial(params=params, distributions=self._distributions, value=value)
                )
