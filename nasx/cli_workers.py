"""The options of ``nasx search`` that say who evaluates: worker processes, a cluster, other processes of one study."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from nasx.search_spaces.errors import UsageError

WorkersOption = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        help="Evaluations at once, each in a process of its own; on a cluster, jobs.",
        show_default="one after the other",
    ),
]
TimeoutOption = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(help="Seconds after which an evaluation is given up, recorded as failed.", show_default="none"),
]
StudyOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Share this study in --storage with every process that is started with the same command."),
]
DaskOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Evaluate on the Dask cluster of the scheduler at this address (tcp://...)."),
]
SlurmOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Evaluate as Slurm jobs: partition=NAME,timeout_min=60,... (needs --workers)."),
]
HeartbeatOption = Annotated[
    float,
    typer.Option(help="Seconds between signs of life in a shared --study; after six missing ones a worker is dead."),
]

FLAGS = ("workers", "timeout", "study", "dask", "slurm")


def check_workers(options: Mapping[str, Any]) -> None:
    """Refuses options that do not fit together, before anything is written.

    Raises:
        UsageError: With what does fit.
    """
    if options["study"] is not None and options["storage"] is None:
        raise UsageError("--study needs a --storage that all processes reach: postgresql://..., or /shared/journal.log")
    if options["dask"] is not None and options["slurm"] is not None:
        raise UsageError("evaluations run on --dask or on --slurm, not on both")
    if options["slurm"] is not None and options["workers"] is None:
        raise UsageError("--slurm needs --workers: how many jobs are to be submitted at once")
    if options["heartbeat"] <= 0:
        raise UsageError(f"a heartbeat of {options['heartbeat']:g} s is none; type a number of seconds")
    if options["workers"] is not None and options["workers"] < 1:
        raise UsageError(f"{options['workers']} workers evaluate nothing; type at least 1")
    if options["timeout"] is not None and not options["timeout"] > 0:
        raise UsageError(f"a timeout of {options['timeout']:g} seconds leaves no time to evaluate; type a larger one")


@contextmanager
def workers_of(options: Mapping[str, Any], folder: Path) -> Iterator[dict[str, Any]]:
    """The arguments of :func:`nasx.search` that these options ask for.

    Args:
        options: The options of the command.
        folder: The run folder; jobs keep their files in it.
    """
    found: dict[str, Any] = {name: options[name] for name in ("workers", "timeout", "heartbeat")}
    found["shared"] = options["study"] is not None
    if options["dask"] is not None:
        from nasx.executors import dask_executor

        with dask_executor(options["dask"]) as (executor, slots):
            yield {**found, "executor": executor, "workers": options["workers"] or slots}
    elif options["slurm"] is not None:
        from nasx.executors import SubmititExecutor, slurm_settings

        slurm = SubmititExecutor(folder / "slurm", slurm_settings(options["slurm"]))
        try:
            yield {**found, "executor": slurm}
        finally:
            slurm.shutdown(cancel_futures=True)
    else:
        yield found


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Makes SIGTERM, by which clusters and init systems end a process, do what Ctrl-C does."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not in the main thread, where no signal arrives
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
