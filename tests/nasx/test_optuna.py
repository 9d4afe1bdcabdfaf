"""A predictor as an Optuna sampler, in the studies people have."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

import nasx
from nasx.optuna import PredictorSampler, suggest_architecture
from nasx.predictors import make_predictor
from nasx.search_spaces import get_search_space
from nasx.search_spaces.errors import UsageError

SPACE = get_search_space("nasbench201")
TREES = make_predictor("trees", trees=20)
QUICK: dict[str, Any] = {"predictor": TREES, "n_startup_trials": 8, "refit_every": 4, "candidates": 300}
optuna.logging.set_verbosity(optuna.logging.WARNING)


def worth(cell: Any) -> float:
    return cell.count("nor_conv_3x3") + 0.5 * cell.count("nor_conv_1x1") - cell.count("none")


def objective(trial: optuna.Trial) -> float:
    return worth(suggest_architecture(trial, SPACE))


def study_of(**options: Any) -> optuna.Study:
    return optuna.create_study(direction="maximize", sampler=PredictorSampler(SPACE, **{**QUICK, "seed": 0, **options}))


def values(study: optuna.Study) -> list[Any]:
    return [trial.value for trial in study.trials]


def test_it_finds_more_than_chance() -> None:
    found, chance = [], []
    for seed in range(3):
        study = study_of(seed=seed)
        study.optimize(objective, n_trials=40)
        found.append(study.best_value)
        rng = np.random.default_rng(seed)
        chance.append(max(worth(SPACE.sample(rng)) for _ in range(40)))
    assert np.mean(found) > np.mean(chance) + 0.5


def test_a_minimised_objective_through_suggest_categorical() -> None:
    def loss(trial: optuna.Trial) -> float:
        cell = [trial.suggest_categorical(name, d.choices) for name, d in SPACE.distributions().items()]  # type: ignore[attr-defined]
        return -worth(cell)

    study = optuna.create_study(sampler=PredictorSampler(SPACE, **QUICK, seed=0))
    study.optimize(loss, n_trials=40)
    assert study.best_value <= -4.5


def test_ask_and_tell_with_the_parameters_of_the_space() -> None:
    study = study_of()
    for _ in range(15):
        trial = study.ask(SPACE.distributions())
        study.tell(trial, worth(SPACE.from_params(trial.params)))
    assert len(study.trials) == 15


def test_every_trial_says_which_architecture_it_is_and_what_was_predicted() -> None:
    study = study_of(exploration=0.3)
    study.optimize(objective, n_trials=20)
    for trial in study.trials:
        assert trial.user_attrs["architecture"] == SPACE.format(SPACE.from_params(trial.params))
        assert ("predicted" in trial.user_attrs) == (trial.number >= 8)
    keys = [SPACE.canonical_key(SPACE.from_params(trial.params)) for trial in study.trials]
    assert len(set(keys)) == len(keys)  # no function is evaluated twice


def test_the_same_seed_gives_the_same_study() -> None:
    first, second, other = study_of(), study_of(), study_of(seed=1)
    for study in (first, second, other):
        study.optimize(objective, n_trials=16)
    assert values(first) == values(second) != values(other)


def test_several_jobs_share_a_study() -> None:
    study = study_of()
    study.optimize(objective, n_trials=32, n_jobs=4)
    assert Counter(trial.state for trial in study.trials) == {TrialState.COMPLETE: 32}
    assert len({trial.user_attrs["architecture"] for trial in study.trials}) == 32


def test_running_trials_are_known_and_not_proposed_again() -> None:
    study = study_of(exploration=0.0)
    study.optimize(objective, n_trials=10)
    open_trials = [study.ask(SPACE.distributions()) for _ in range(12)]  # three fits' worth, nobody answers
    cells = [SPACE.from_params(trial.params) for trial in open_trials]
    assert len({SPACE.canonical_key(cell) for cell in cells}) == 12
    for trial, cell in zip(open_trials, cells, strict=True):
        study.tell(trial, worth(cell))
    study.optimize(objective, n_trials=4)
    assert len(study.trials) == 26


def test_failed_and_pruned_trials() -> None:
    def troubled(trial: optuna.Trial) -> float:
        value = objective(trial)
        if trial.number % 5 == 1:
            raise RuntimeError("out of memory")
        if trial.number % 5 == 2:
            return float("nan")
        if trial.number % 5 == 3:
            trial.report(value / 2, step=0)
            raise optuna.TrialPruned
        if trial.number % 5 == 4:
            raise optuna.TrialPruned  # without having reported anything
        return value

    study = study_of()
    study.optimize(troubled, n_trials=45, catch=(RuntimeError,))
    states = Counter(trial.state for trial in study.trials)
    assert states == {TrialState.COMPLETE: 9, TrialState.FAIL: 18, TrialState.PRUNED: 18}
    assert any("predicted" in trial.user_attrs for trial in study.trials)
    assert len({trial.user_attrs["architecture"] for trial in study.trials}) == 45


def test_a_pruned_trial_is_never_better_than_the_median_of_complete_ones() -> None:
    from nasx.optuna import _Record, _targets

    def record(number: int, state: TrialState, value: float) -> _Record:
        return _Record(number, (), "", state, (value,))

    results = [record(0, TrialState.COMPLETE, 1), record(1, TrialState.COMPLETE, 3), record(2, TrialState.PRUNED, 9)]
    for direction, expected in (("maximize", [1, 3, 2]), ("minimize", [1, 3, 9])):
        targets, end = _targets(optuna.create_study(direction=direction), results, np.random.default_rng(0))
        assert (targets.tolist(), end) == (expected, direction)


def test_enqueued_and_fixed_parameters_are_used_and_recorded() -> None:
    study = study_of()
    best = ("nor_conv_3x3",) * 6
    study.enqueue_trial(SPACE.to_params(best))
    study.enqueue_trial({"0>1": "none"})
    study.optimize(objective, n_trials=2)
    assert study.trials[0].value == 6
    for trial in study.trials:
        assert trial.user_attrs["architecture"] == SPACE.format(SPACE.from_params(trial.params))
    assert study.trials[1].params["0>1"] == "none"


def test_other_parameters_are_left_to_another_sampler() -> None:
    def with_rate(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
        return objective(trial) - abs(np.log10(rate) + 2)

    study = study_of(independent_sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(with_rate, n_trials=20)
    assert all(1e-4 <= trial.params["learning_rate"] <= 1e-1 for trial in study.trials)
    assert study.best_value > 2


def test_several_objectives() -> None:
    def both(trial: optuna.Trial) -> tuple[float, float]:
        cell = suggest_architecture(trial, SPACE)
        return worth(cell), float(sum(operation.startswith("nor_conv") for operation in cell))

    sampler = PredictorSampler(SPACE, **QUICK, seed=0)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    study.optimize(both, n_trials=40)
    front = {tuple(trial.values) for trial in study.best_trials}
    assert len(front) >= 3
    assert any("predicted" in trial.user_attrs for trial in study.trials)


def test_a_conditional_space_is_searched_and_exhausted() -> None:
    def build(chosen: dict[str, Any]) -> nasx.Graph:
        labels = ["input", *(str(value) for value in chosen.values()), "output"]
        return nasx.Graph.from_edges(labels, [(i, i + 1) for i in range(len(labels) - 1)])

    choices: dict[str, Any] = {"depth": range(1, 3), "first": ["a", "b"], "second": ["c", "d"], "only": ["one"]}
    space = nasx.ChoiceSpace("tiny", choices, build, conditions={"second": {"depth": [2]}})
    study = optuna.create_study(
        sampler=PredictorSampler(space, predictor=TREES, n_startup_trials=3, refit_every=1, seed=0)
    )
    study.optimize(lambda trial: float(len(space.choice(suggest_architecture(trial, space)))), n_trials=9)
    assert len({trial.user_attrs["architecture"] for trial in study.trials}) == space.size == 6
    assert len(study.trials) == 9  # where nothing new is left, trials go on


def test_a_study_continues_in_a_storage(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    for _ in range(2):
        study = optuna.create_study(
            storage=url,
            study_name="cells",
            direction="maximize",
            sampler=PredictorSampler(SPACE, **{**QUICK, "n_startup_trials": 3}, seed=0),
            load_if_exists=True,
        )
        study.optimize(objective, n_trials=4)
    assert len({trial.user_attrs["architecture"] for trial in study.trials}) == 8


WORKER = """
import sys, optuna, nasx, nasx.optuna
space = nasx.get_search_space("nasbench201")
backend = optuna.storages.journal.JournalFileBackend(sys.argv[1])
sampler = nasx.optuna.PredictorSampler(
    space, predictor=nasx.make_predictor("trees", trees=20), n_startup_trials=8, refit_every=4, candidates=300, seed=0
)
study = optuna.create_study(
    storage=optuna.storages.JournalStorage(backend), study_name="s", sampler=sampler, direction="maximize",
    load_if_exists=True,
)
study.optimize(lambda trial: float(nasx.optuna.suggest_architecture(trial, space).count("nor_conv_3x3")), n_trials=15)
"""


@pytest.mark.slow
def test_several_processes_share_a_study(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKER, str(tmp_path / "journal.log")]
    workers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for worker in workers:
        _, error = worker.communicate(timeout=300)
        assert worker.returncode == 0, error
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal.log"))
    study = optuna.load_study(study_name="s", storage=optuna.storages.JournalStorage(backend))
    assert Counter(trial.state for trial in study.trials) == {TrialState.COMPLETE: 30}
    assert len({SPACE.canonical_key(SPACE.parse(trial.user_attrs["architecture"])) for trial in study.trials}) == 30
    assert any("predicted" in trial.user_attrs for trial in study.trials)


def test_pruners_and_callbacks_work() -> None:
    def steps(trial: optuna.Trial) -> float:
        value = objective(trial)
        for step in range(3):
            trial.report(value * (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return 3 * value

    heard: list[int] = []
    sampler = PredictorSampler(SPACE, **QUICK, seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=optuna.pruners.MedianPruner(3))
    study.optimize(steps, n_trials=24, callbacks=[lambda study, trial: heard.append(trial.number)])
    assert heard == list(range(24))
    states = Counter(trial.state for trial in study.trials)
    assert states[TrialState.PRUNED] > 0
    assert states[TrialState.COMPLETE] > 4
    assert any("predicted" in trial.user_attrs for trial in study.trials)


def test_a_space_with_configurations_without_a_graph() -> None:
    def build(chosen: dict[str, Any]) -> nasx.Graph:
        if chosen["a"] == chosen["b"]:
            raise ValueError("equal")
        return nasx.Graph([f"{chosen['a']}-{chosen['b']}"], [[0]])

    space = nasx.ChoiceSpace("picky", {"a": list(range(5)), "b": list(range(5))}, build)
    sampler = PredictorSampler(space, **{**QUICK, "n_startup_trials": 4}, seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial({"a": 1, "b": 1})
    study.optimize(lambda trial: suggest_architecture(trial, space)[0], n_trials=15, catch=(UsageError,))
    assert Counter(trial.state for trial in study.trials) == {TrialState.COMPLETE: 14, TrialState.FAIL: 1}
    assert len({tuple(trial.params.values()) for trial in study.trials}) == 15


def test_it_travels_to_other_processes_with_what_it_knows() -> None:
    study = study_of()
    study.optimize(objective, n_trials=10)
    for twin in (pickle.loads(pickle.dumps(study.sampler)), copy.deepcopy(study.sampler)):
        study.sampler = twin
        study.optimize(objective, n_trials=2)
    assert len(study.trials) == 14


def test_trials_of_another_space_are_passed_over() -> None:
    study = study_of()
    study.add_trial(optuna.create_trial(value=99.0, user_attrs={"architecture": "something else"}))
    study.optimize(objective, n_trials=12)
    assert len(study.trials) == 13


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        ("nasbench201", {"predictor": "nar-former"}, "unknown predictor"),
        ("nasbench201", {"predictor": "trees", "strategy": "evolve"}, "unknown strategy"),
        ("nasbench202", {"predictor": "trees"}, "did you mean 'nasbench201'"),
        ("nasbench201", {"predictor": "trees", "refit_every": 0}, "must be at least 1"),
        ("nasbench201", {"predictor": "trees", "exploration": 2.0}, "outside 0 to 1"),
    ],
)
def test_wrong_arguments_are_one_sentence(space: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PredictorSampler(space, **options)


def test_the_module_shadows_nothing_and_is_imported_late() -> None:
    code = (
        "import sys, nasx; assert 'optuna' not in sys.modules; nasx.optuna.PredictorSampler; import optuna;"
        "print(optuna.create_study is not None, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"
