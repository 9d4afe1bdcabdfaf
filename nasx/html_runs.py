"""Search runs read back from their folders, and sorted: one subject, several settings, several seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasx.runs import CONFIG
from nasx.search_spaces import get_search_space
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.graph import Graph

if TYPE_CHECKING:
    import pandas as pd

_SUBJECT = ("benchmark", "dataset", "target", "objective", "space", "direction", "objectives", "limit", "limits")
#: Options that do not change what a search does, only where it is written and which of its repeats it is.
_NOT_A_SETTING = {
    "seed", "storage", "study", "study_name", "compare", "dask", "slurm", "timeout", "heartbeat", "out", "resume",
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A finished search as its folder holds it.

    Attributes:
        folder: The folder.
        config: Command, options, versions, machine.
        summary: The account in numbers.
        history: One row an evaluation.
        baseline: The same of the search without a predictor beside it, or None.
        ranking: Predicted and true values of the whole benchmark, or None.
        pareto: The front that was found, for several objectives, else None.
        graph: The graph of the best architecture, or None where it cannot be had.
    """

    folder: Path
    config: dict[str, Any]
    summary: dict[str, Any]
    history: pd.DataFrame
    baseline: pd.DataFrame | None
    ranking: pd.DataFrame | None
    pareto: pd.DataFrame | None
    graph: Graph | None

    @property
    def options(self) -> dict[str, Any]:
        """The options of the command."""
        return dict(self.config["options"])

    @property
    def metric(self) -> str:
        """What was optimised, with its unit where that is known."""
        return str(self.summary.get("metric") or self.options.get("target") or "value")

    @property
    def maximised(self) -> bool:
        """Whether larger is better; runs of older versions tell by their curves."""
        if "direction" in self.summary:
            return bool(self.summary["direction"] == "maximize")
        best = self.history["best_so_far"].dropna()
        return len(best) < 2 or best.iloc[-1] >= best.iloc[0]

    @property
    def curve(self) -> np.ndarray:
        """The best value, or the hypervolume, after each evaluation."""
        column = "best_so_far" if self.pareto is None else "hypervolume_so_far"
        return self.history[column].to_numpy(float)

    def graph_of(self, text: str) -> Graph | None:
        """The graph of another architecture of the run, where its space is one that everybody has."""
        return _graph(self.summary, self.config, text)


@dataclass(frozen=True)
class Setting:
    """Runs that differ in nothing but their seed.

    Attributes:
        label: What it is called in tables and pictures.
        runs: The runs, by seed.
    """

    label: str
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Subject:
    """Everything that was searched for the same.

    Attributes:
        title: What was searched.
        settings: The settings, in the order in which they were given.
    """

    title: str
    settings: tuple[Setting, ...]

    @property
    def runs(self) -> list[Run]:
        """All runs."""
        return [run for setting in self.settings for run in setting.runs]

    @property
    def best(self) -> Run:
        """The run with the best value or the largest hypervolume; the first of equals."""
        sign = 1 if self.runs[0].pareto is not None or self.runs[0].maximised else -1
        return max(self.runs, key=lambda run: sign * run.curve[-1])


def is_search_run(folder: Path) -> bool:
    """Whether a folder was written by ``nasx search``, finished or not."""
    try:
        return "options" in json.loads((folder / CONFIG).read_text())
    except (OSError, ValueError, TypeError):
        return False


def read_run(folder: str | Path) -> Run:
    """Reads a finished search.

    Raises:
        UsageError: The folder holds no run, or one that is not finished.
        NasxError: A file is damaged.
    """
    import pandas as pd

    folder = Path(folder)
    if not is_search_run(folder):
        raise UsageError(f"{folder} holds no run; type the folder of one that nasx search has written")
    if not (folder / "summary.json").exists():
        raise UsageError(f"the run in {folder} is not finished; continue it with: nasx search --resume {folder}")
    try:
        config = json.loads((folder / CONFIG).read_text())
        summary = json.loads((folder / "summary.json").read_text())
        history = pd.read_csv(folder / "history.csv")
        run = Run(
            folder=folder,
            config=config,
            summary=summary,
            history=history,
            baseline=_read(folder / "history-without-predictor.csv", pd.read_csv),
            ranking=_read(folder / "ranking.parquet", pd.read_parquet),
            pareto=_read(folder / "pareto.csv", pd.read_csv),
            graph=_best(folder, summary, config),
        )
        if not len(run.curve) or not np.isfinite(run.curve[-1]):
            raise ValueError("no evaluation succeeded")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NasxError(f"the run in {folder} is damaged ({error}); nasx search --resume {folder} mends it") from error
    return run


def subjects_of(folders: Sequence[str | Path]) -> list[Subject]:
    """Reads runs and sorts them into subjects and settings."""
    by_subject: dict[str, dict[str, list[Run]]] = {}
    titles: dict[str, str] = {}
    for folder in dict.fromkeys(Path(folder).resolve() for folder in folders):
        run = read_run(folder)
        options = run.options
        subject = json.dumps([*(str(options.get(name)) for name in _SUBJECT), run.pareto is None])
        setting = json.dumps(
            {key: value for key, value in options.items() if key not in _NOT_A_SETTING and value is not None},
            sort_keys=True,
            default=str,
        )
        by_subject.setdefault(subject, {}).setdefault(setting, []).append(run)
        titles.setdefault(subject, _title(run))
    return [
        Subject(titles[subject], tuple(_settings([sorted(runs, key=_seed) for runs in settings.values()])))
        for subject, settings in by_subject.items()
    ]


def _settings(groups: list[list[Run]]) -> list[Setting]:
    """Settings by short names; where two would share one, by the options in which they differ."""
    names = [_name(runs[0].options) for runs in groups]
    settings = []
    for name, runs in zip(names, groups, strict=True):
        rivals = [other[0].options for other, called in zip(groups, names, strict=True) if called == name]
        mine = runs[0].options
        differing = sorted(
            option
            for option in {key for rival in rivals for key in rival}
            if option not in _NOT_A_SETTING and any(rival.get(option) != mine.get(option) for rival in rivals)
        )
        extra = ", ".join(f"{option.replace('_', ' ')} {mine.get(option)}" for option in differing)
        settings.append(Setting(f"{name}, {extra}" if extra else name, tuple(runs)))
    return settings


def _name(options: dict[str, Any]) -> str:
    strategy, predictor = options.get("strategy") or "search", options.get("predictor")
    return f"{strategy} alone" if predictor in (None, "none") else f"{strategy} with {predictor}"


def _title(run: Run) -> str:
    options = run.options
    objectives = options.get("objective") or []
    functions = [name for name in ([objectives] if isinstance(objectives, str) else objectives) if ":" in str(name)]
    subject = ", ".join(functions) or options.get("benchmark") or "a search"
    if functions and options.get("space"):
        subject = f"{subject} on {options['space']}"
    if options.get("dataset"):
        subject = f"{subject}, {options['dataset']}"
    metric = ", ".join(run.summary.get("objectives", ())) if run.pareto is not None else run.metric
    return f"{subject}: {metric}" if metric != "value" else str(subject)


def _seed(run: Run) -> int:
    seed = run.options.get("seed")
    return seed if isinstance(seed, int) else 0


def _read(path: Path, reader: Any) -> pd.DataFrame | None:
    return reader(path) if path.exists() else None


def _best(folder: Path, summary: dict[str, Any], config: dict[str, Any]) -> Graph | None:
    if (folder / "best.json").exists():
        return Graph.from_dict(json.loads((folder / "best.json").read_text())["graph"])
    text = summary.get("best_architecture")
    return _graph(summary, config, text) if text else None


def _graph(summary: dict[str, Any], config: dict[str, Any], text: str) -> Graph | None:
    """The graph of an architecture in a registered space; code that a run folder names is never imported."""
    options = config["options"]
    for name in (summary.get("space"), options.get("space"), options.get("benchmark")):
        if isinstance(name, str) and ":" not in name:
            try:
                space = get_search_space(name)
                return space.graph(space.parse(text))
            except NasxError:
                continue
    return None
