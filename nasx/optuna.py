"""A predictor in anyone's Optuna study: ``optuna.create_study(sampler=nasx.optuna.PredictorSampler(space))``.

(Not the package ``optuna``, which this module imports and extends.)
"""

from __future__ import annotations

import math
import threading
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from nasx.buildable import Buildable
from nasx.optuna_claims import claim, mark
from nasx.search_loop import fresh_predictor
from nasx.search_spaces import get_search_space
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.space import SearchSpace
from nasx.strategies import make_strategy, strategy_class
from nasx.strategies.base import Direction
from nasx.strategies.guided import Proposal, propose, unseen

if TYPE_CHECKING:
    from optuna.study import Study

    from nasx.predictors.base import Predictor

__all__ = ["PredictorSampler", "suggest_architecture"]

ARCHITECTURE = "architecture"
PREDICTED = "predicted"
_TRIES = 20  # proposals that may have been taken by others


def suggest_architecture(trial: optuna.trial.BaseTrial, space: SearchSpace | str) -> Any:
    """Asks a trial for all parameters of a space and returns the architecture that they describe.

    Args:
        trial: The trial, of a study with any sampler.
        space: The search space, or its name.

    Raises:
        UsageError: If the space has no parameters, or the values describe no architecture.

    >>> edges = get_search_space("nasbench201").distributions()
    >>> suggest_architecture(optuna.trial.FixedTrial(dict.fromkeys(edges, "skip_connect")), "nasbench201")[:2]
    ('skip_connect', 'skip_connect')
    """
    space = get_search_space(space) if isinstance(space, str) else space
    params: dict[str, Any] = {}
    for name, distribution in space.distributions().items():
        if isinstance(distribution, IntDistribution):
            params[name] = trial.suggest_int(
                name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
            )
        elif isinstance(distribution, FloatDistribution):
            params[name] = trial.suggest_float(
                name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
            )
        else:
            assert isinstance(distribution, CategoricalDistribution)
            params[name] = trial.suggest_categorical(name, distribution.choices)
    return space.from_params(params)


@dataclass(frozen=True)
class _Record:
    """What a trial of the study says about an architecture; values are None where there is no result (yet)."""

    number: int
    architecture: Hashable
    key: str
    state: TrialState
    values: tuple[float, ...] | None


@dataclass
class _Memory:
    """What the sampler remembers of one study."""

    known: dict[int, tuple[Hashable, str] | None] = field(default_factory=dict)
    queue: list[Proposal] = field(default_factory=list)
    fitted_on: int = 0
    scorer: _Scorer | None = None


class PredictorSampler(BaseSampler):
    """An Optuna sampler that fits a predictor on the study and proposes what the predictor thinks best.

    The first trials are random. From then on a predictor is fitted on all results every now and then, a strategy
    searches the space against it, and its best finds are the next trials. Architectures that compute the same function
    are proposed once. Pruned trials count with their last reported value, though never as better than the median of
    complete ones; failed ones are not repeated. Running trials count with the mean of what is known (constant liar),
    so that several workers do not crowd together; they see each other through the study's storage, and none takes an
    architecture that another has taken, be it at the same moment.

    In a study with several objectives every fit weighs them anew at random (augmented Tchebycheff scalarisation;
    Knowles, "ParEGO", IEEE Transactions on Evolutionary Computation 10(1), 2006), so that the Pareto front is covered
    over time.

    The objective asks for the parameters of the space by ``trial.suggest_*`` (with the space's own distributions) or
    all at once by :func:`suggest_architecture`. Parameters that are not of the space, such as a learning rate, are left
    to another sampler; the predictor does not see them. Every trial carries the user attributes ``architecture`` (text)
    and, once there is a predictor, ``predicted``.

    Args:
        space: The search space, or its name.
        predictor: A predictor, or its name.
        strategy: The name of the strategy that searches against the predictor.
        n_startup_trials: Number of results before the first fit; until then trials are random.
        refit_every: Number of trials between two fits.
        exploration: Share of random trials later on, between 0 and 1.
        candidates: How many architectures the predictor scores between two fits; the strategy's own number by default.
        constant_liar: Whether running trials count.
        seed: Makes trials reproducible where they run one after another; a random one by default.
        independent_sampler: Samples parameters that are not of the space; TPE by default.

    Raises:
        UsageError: If a name is unknown, a number makes no sense, or the space has no Optuna parameters.

    >>> space = get_search_space("nasbench201")
    >>> sampler = PredictorSampler(space, predictor="trees", n_startup_trials=10, candidates=300, seed=0)
    >>> study = optuna.create_study(direction="maximize", sampler=sampler)
    >>> study.optimize(lambda trial: suggest_architecture(trial, space).count("nor_conv_3x3"), n_trials=30)
    >>> study.best_value >= 4
    True
    """

    def __init__(
        self,
        space: SearchSpace | str,
        *,
        predictor: str | Predictor = "nar-former-v2",
        strategy: str = "evolution",
        n_startup_trials: int = 20,
        refit_every: int = 10,
        exploration: float = 0.1,
        candidates: int | None = None,
        constant_liar: bool = True,
        seed: int | None = None,
        independent_sampler: BaseSampler | None = None,
    ) -> None:
        if n_startup_trials < 1 or refit_every < 1 or (candidates is not None and candidates < 1):
            raise UsageError("n_startup_trials, refit_every and candidates must be at least 1")
        if not 0 <= exploration <= 1:
            raise UsageError(f"an exploration share of {exploration} is outside 0 to 1")
        strategy_class(strategy)
        fresh_predictor(predictor)
        self.space = get_search_space(space) if isinstance(space, str) else space
        self.predictor, self.strategy = predictor, strategy
        self.n_startup_trials, self.refit_every = n_startup_trials, refit_every
        self.exploration, self.candidates, self.constant_liar = exploration, candidates, constant_liar
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else int(seed)
        self._independent = independent_sampler or optuna.samplers.TPESampler(seed=seed)
        self._distributions = self.space.distributions()
        self._buildable = Buildable(self.space)
        self._memories: dict[str, _Memory] = {}
        self._lock = threading.RLock()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Returns the distributions of the space."""
        return {name: single for name, single in self._distributions.items() if not single.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Returns the parameters of the next architecture."""
        with self._lock:
            proposal = self._claimed(study, trial)
        params = self.space.to_params(proposal.architecture)
        return {
            name: params[name]
            if self._distributions.get(name) == distribution
            else self._independent.sample_independent(study, trial, name, distribution)
            for name, distribution in search_space.items()
        }

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Leaves a parameter that is not of the space to the other sampler."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Tells the other sampler."""
        self._independent.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Sets the attributes right where other values were used than proposed (enqueued or fixed ones)."""
        used = self._from_params(trial.params)
        if used is not None and trial.user_attrs.get(ARCHITECTURE) != self.space.format(used):
            self._note(study, trial, Proposal(used, ""))
        self._independent.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Does nothing for the space: what is proposed depends on the seed and the trial's number only."""
        self._independent.reseed_rng()

    def _claimed(self, study: Study, trial: FrozenTrial) -> Proposal:
        """The next proposal that no other process has taken in the meantime."""
        for _ in range(_TRIES):
            proposal = self._next(study, trial)
            self._note(study, trial, proposal)
            if not proposal.key or claim(study, trial, proposal.key):
                return proposal
        mark(study, trial, proposal.key, sure=True)  # the space is used up; it is evaluated again
        return proposal

    def _next(self, study: Study, trial: FrozenTrial) -> Proposal:
        enqueued = self._from_params(trial.system_attrs.get("fixed_params", {}))
        if enqueued is not None:
            return Proposal(enqueued, "")
        memory = self._memories.setdefault(study.study_name, _Memory())
        records = [record for record in self._records(study, memory) if record.number != trial.number]
        seen = {record.key for record in records}
        results = [record for record in records if record.values is not None]
        rng = np.random.default_rng([self._seed, trial.number])
        if len(results) < max(2, self.n_startup_trials):
            return self._random(rng, seen, None)
        memory.queue = [proposal for proposal in memory.queue if proposal.key not in seen]
        if not memory.queue or len(results) >= memory.fitted_on + self.refit_every:
            self._refill(study, memory, records, results, seen, rng)
        if not memory.queue or rng.random() < self.exploration:
            return self._random(rng, seen, memory.scorer)
        return memory.queue.pop(0)

    def _refill(
        self,
        study: Study,
        memory: _Memory,
        records: list[_Record],
        results: list[_Record],
        seen: set[str],
        rng: np.random.Generator,
    ) -> None:
        """Fits the predictor and lets the strategy search against it."""
        targets, direction = _targets(study, results, rng)
        architectures = [record.architecture for record in results]
        if self.constant_liar:
            running = [record.architecture for record in records if record.state == TrialState.RUNNING]
            architectures += running
            targets = np.append(targets, np.full(len(running), targets.mean()))
        fresh = fresh_predictor(self.predictor, seed=int(rng.integers(2**31)), direction=direction)
        memory.scorer = _Scorer(self.space, fresh, architectures, targets, direction, self._seed)
        memory.fitted_on = len(results)
        memory.queue, _ = propose(
            make_strategy(self.strategy, self.space, rng=rng, direction=direction, inner=True),
            memory.scorer,
            self.refit_every,
            evaluated=architectures,
            seen=seen,
            exploration=0.0,
            candidates=self.candidates,
            allowed=self._buildable,
        )

    def _random(self, rng: np.random.Generator, seen: set[str], scorer: _Scorer | None) -> Proposal:
        """A random architecture that is new; any one where none is left."""
        found, _ = unseen(self.space, rng, 1, seen, self._buildable)
        proposal = found[0] if found else Proposal(self.space.sample(rng), "")
        if scorer is None:
            return proposal
        return Proposal(proposal.architecture, proposal.key, float(scorer([proposal.architecture])[0]))

    def _records(self, study: Study, memory: _Memory) -> list[_Record]:
        """What every trial of the study, in whichever process it runs, says about an architecture of the space."""
        records = []
        for trial in study.get_trials(deepcopy=False):
            if trial.number in memory.known:
                known = memory.known[trial.number]
            else:
                architecture = self._architecture(trial)
                known = None
                if architecture is not None and self._buildable(architecture):
                    known = architecture, self.space.canonical_key(architecture)
                if trial.state.is_finished():
                    memory.known[trial.number] = known
            if known is not None:
                records.append(_Record(trial.number, *known, trial.state, _values(trial)))
        return records

    def _architecture(self, trial: FrozenTrial) -> Hashable | None:
        """The architecture of a trial, from its parameters or, before it has any, from its attribute."""
        params = trial.params or trial.system_attrs.get("fixed_params", {})
        if (found := self._from_params(params)) is not None:
            return found
        try:
            return self.space.parse(trial.user_attrs[ARCHITECTURE])  # type: ignore[no-any-return]
        except (KeyError, UsageError):
            return None

    def _from_params(self, params: Mapping[str, Any]) -> Hashable | None:
        """The architecture that parameters describe, whatever else is among them; None if they describe none."""
        try:
            return self.space.from_params(  # type: ignore[no-any-return]
                {name: params[name] for name in self._distributions if name in params}
            )
        except UsageError:
            return None

    def _note(self, study: Study, trial: FrozenTrial, proposal: Proposal) -> None:
        predicted = float(proposal.predicted) if math.isfinite(proposal.predicted) else None
        attributes = {ARCHITECTURE: self.space.format(proposal.architecture), PREDICTED: predicted}
        for name, value in attributes.items():
            if value is not None or name in trial.user_attrs:
                study._storage.set_trial_user_attr(trial._trial_id, name, value)

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the lock, which does not travel to other processes."""
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Makes a new lock."""
        self.__dict__.update(state)
        self._lock = threading.RLock()


class _Scorer:
    """A predictor fitted on architectures, as a function of architectures."""

    def __init__(
        self,
        space: SearchSpace,
        predictor: Predictor,
        architectures: Sequence[Hashable],
        targets: NDArray[np.float64],
        direction: Direction,
        seed: int,
    ) -> None:
        self._buildable, self._worst = Buildable(space), -math.inf if direction == "maximize" else math.inf
        graphs = space.graphs(architectures)
        count = min(256, space.inner_candidates or 256)
        some = self._buildable.graphs(space.samples(count, np.random.default_rng(seed)))[0]
        self._known = sorted({*graphs.vocabulary, *some.vocabulary})  # so that it can tell them apart when they turn up
        self._predictor = predictor.fit(graphs.recode(self._known), targets)

    def __call__(self, architectures: Sequence[Hashable]) -> NDArray[np.float64]:
        """Predicted values ``(n,)``; the worst for operations never met or without a graph."""
        scores = np.full(len(architectures), self._worst)
        graphs, places = self._buildable.graphs(architectures)
        alien = [code for code, operation in enumerate(graphs.vocabulary) if operation not in self._known]
        readable = np.flatnonzero(~np.isin(graphs.operations, alien).any(axis=1))
        scores[places[readable]] = self._predictor.predict(graphs[readable])
        return scores


def _values(trial: FrozenTrial) -> tuple[float, ...] | None:
    """The result of a trial; of a pruned one its last reported value."""
    if trial.state == TrialState.COMPLETE:
        values = tuple(trial.values)
    elif trial.state == TrialState.PRUNED and trial.last_step is not None:
        values = (trial.intermediate_values[trial.last_step],)
    else:
        return None
    return values if all(map(math.isfinite, values)) else None


def _targets(
    study: Study, results: Sequence[_Record], rng: np.random.Generator
) -> tuple[NDArray[np.float64], Direction]:
    """One number a result, ``(n,)``, and which end of it is good."""
    signs = np.array([1.0 if d == optuna.study.StudyDirection.MAXIMIZE else -1.0 for d in study.directions])
    values = np.array([record.values for record in results], dtype=np.float64)
    if len(signs) > 1:
        values = values * signs
        span = np.ptp(values, axis=0)
        weighted = rng.dirichlet(np.ones(len(signs))) * (values - values.min(axis=0)) / np.where(span > 0, span, 1.0)
        return weighted.min(axis=1) + 0.05 * weighted.sum(axis=1), "maximize"
    targets, direction = values[:, 0], "maximize" if signs[0] > 0 else "minimize"
    pruned = np.array([record.state == TrialState.PRUNED for record in results])
    if pruned.any() and not pruned.all():
        worse = np.minimum if direction == "maximize" else np.maximum
        targets = np.where(pruned, worse(targets, np.median(targets[~pruned])), targets)
    return targets, direction  # type: ignore[return-value]
