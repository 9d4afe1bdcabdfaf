"""What optuna-dashboard shows of a run: every trial's architecture, prediction and drawing, and pictures of the best.

https://optuna-dashboard.readthedocs.io
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasx.search_spaces.errors import NasxError, UsageError

if TYPE_CHECKING:
    import optuna

    from nasx.search_spaces.graph import Graph
    from nasx.search_spaces.space import SearchSpace

_WIDTH = 90  # characters of a drawing in a note
_PRAISED = 3


def dashboard_package() -> Any:
    """The package optuna_dashboard.

    Raises:
        NasxError: If it is not installed; the sentence says how to.
    """
    try:
        import optuna_dashboard
    except ImportError as error:
        raise NasxError('this needs the package optuna-dashboard; type: pip install "nasx[dashboard]"') from error
    return optuna_dashboard


def annotate(study: optuna.Study, space: SearchSpace, pictures: Path | None = None) -> int:
    """Writes a note for every trial that has none yet, and one for the study with its best architectures.

    Args:
        study: The study of a run.
        space: Its search space.
        pictures: Folder of pictures of the best, to be given to the dashboard as its artifacts; None for notes alone.

    Returns:
        How many trials were new.

    Raises:
        NasxError: If optuna-dashboard is not installed, or the folder cannot be written.
    """
    import optuna

    package = dashboard_package()
    written = 0
    for trial in study.get_trials(deepcopy=False):
        if "architecture" not in trial.user_attrs:
            continue
        here = optuna.trial.Trial(study, trial._trial_id)
        if package.get_note(here):
            continue
        text = str(trial.user_attrs["architecture"])
        try:
            graph = space.graph(space.parse(text))
        except UsageError:
            continue  # of another space
        package.save_note(here, note(text, graph, trial.user_attrs.get("predicted")))
        written += 1
    if pictures is not None:
        _praise(study, space, pictures)
    return written


def _praise(study: optuna.Study, space: SearchSpace, pictures: Path) -> None:
    """The note of the study: its best architectures (the first of a front), each as text and as a picture."""
    package = dashboard_package()
    try:
        best = [trial for trial in study.best_trials if "architecture" in trial.user_attrs][:_PRAISED]
    except (RuntimeError, ValueError):
        return  # nothing succeeded yet
    heading = f"## The best of {study.study_name}: " + ", ".join(f"trial {trial.number}" for trial in best)
    if not best or package.get_note(study).startswith(heading + "\n"):
        return
    parts = [heading, ""]
    for trial in best:
        text = str(trial.user_attrs["architecture"])
        try:
            graph = space.graph(space.parse(text))
        except UsageError:
            continue
        name = _picture(study, trial.number, graph, pictures)
        values = ", ".join(_number(value) for value in trial.values)
        parts += [f"`{text}`: **{values}**", "", f"![picture](/artifacts/{study._study_id}/{name})", ""]
    package.save_note(study, "\n".join(parts))


def note(architecture: str, graph: Graph, predicted: Any) -> str:
    """Returns the note of a trial, in Markdown.

    Args:
        architecture: Its architecture as text.
        graph: The graph of it.
        predicted: What the predictor expected: a number, one for each objective, or None.
    """
    from nasx.drawing_sketch import sketch
    from nasx.drawing_text import text

    if isinstance(predicted, dict):
        expected = ", ".join(f"{name} **{_number(value)}**" for name, value in predicted.items())
    else:
        expected = f"**{_number(predicted)}**"
    lines = [f"`{architecture}`", "", f"predicted before it was evaluated: {expected}", ""]
    return "\n".join([*lines, "```text", text(sketch(graph), width=_WIDTH), "```", ""])


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else "nothing"


def _picture(study: optuna.Study, number: int, graph: Graph, folder: Path) -> str:
    """Puts a picture among the artifacts of a study; returns what it is called there."""
    from optuna.artifacts import FileSystemArtifactStore, upload_artifact

    from nasx.drawing import draw

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            # finished trials take no artifacts, a study does
            return upload_artifact(
                artifact_store=FileSystemArtifactStore(folder),
                file_path=str(draw(graph, Path(scratch) / f"trial-{number}.svg")),
                study_or_trial=study,
                mimetype="image/svg+xml",
            )
    except OSError as error:
        raise NasxError(f"the pictures cannot be written to {folder}: {error.strerror or error}") from error
