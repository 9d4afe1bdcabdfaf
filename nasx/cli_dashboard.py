"""``nasx dashboard``: a run in the browser, while it goes on or afterwards."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasx.search_spaces.errors import NasxError, UsageError

if TYPE_CHECKING:
    import optuna

    from nasx.search_spaces.space import SearchSpace

_DEFAULTS = dict.fromkeys(("dataset", "target", "rank_against", "space", "direction", "objective", "benchmark"))
_SECONDS = 5.0


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command()(dashboard)


def dashboard(
    run: Annotated[Path, typer.Argument(help="Folder of a run of nasx search.")],
    storage: Annotated[str | None, typer.Option(help="Its storage, where the URL has a password.")] = None,
    host: Annotated[str, typer.Option(help="Who may look: localhost, or 0.0.0.0 for everybody.")] = "localhost",
    port: Annotated[int, typer.Option(help="Port of the page.", min=1, max=65535)] = 8080,
    serve: Annotated[bool, typer.Option(help="Start the page, or only write notes and pictures.")] = True,
) -> None:
    """Show a run in optuna-dashboard, with the architecture, prediction and drawing of every trial."""
    from nasx.console import screen
    from nasx.dashboard import annotate, dashboard_package

    package = dashboard_package()
    study, space = _study(run, storage)
    pictures = run / "artifacts"
    count = annotate(study, space, pictures)
    if not serve:
        screen.print(f"notes of {count} trials written; optuna-dashboard shows them", soft_wrap=True)
        return
    stop = threading.Event()

    def keep_up() -> None:
        while not stop.wait(_SECONDS):
            annotate(study, space, pictures)

    threading.Thread(target=keep_up, daemon=True).start()
    screen.print(f"http://{host}:{port} shows {run}; Ctrl-C ends it", soft_wrap=True)
    try:
        from optuna.artifacts import FileSystemArtifactStore

        package.run_server(study._storage, host=host, port=port, artifact_store=FileSystemArtifactStore(pictures))
    except OSError as error:
        raise NasxError(
            f"port {port} of {host} cannot be used: {error.strerror or error}; choose another --port"
        ) from error
    finally:
        stop.set()


def _study(run: Path, storage: str | None) -> tuple[optuna.Study, SearchSpace]:
    """The study of a run folder, and its search space."""
    import optuna

    from nasx import runs
    from nasx.cli_subject import subject_of
    from nasx.storages import open_storage

    options: dict[str, Any] = {**_DEFAULTS, **runs.read_options(run)}
    where = storage or options.get("storage")
    name = options.get("study") or ("nasx" if where is None else run.name)
    try:
        study = optuna.load_study(study_name=name, storage=open_storage(where or run / runs.JOURNAL))
    except KeyError as error:
        raise UsageError(f"the storage holds no study '{name}'; give the storage of the run with --storage") from error
    return study, subject_of(options, ()).space
