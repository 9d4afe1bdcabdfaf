"""Executors of other machines: a Dask cluster, and Slurm through submitit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nasx.search_spaces.errors import NasxError, UsageError, unknown

_ANY_CLUSTER = (
    "cpus_per_task", "gpus_per_node", "mem_gb", "name", "nodes", "stderr_to_stdout", "tasks_per_node", "timeout_min",
)  # fmt: skip
"""The settings that submitit knows for clusters of every kind; all others are Slurm's own."""


@contextmanager
def dask_executor(address: str, patience: float = 10.0) -> Iterator[tuple[Executor, int]]:
    """An executor on a Dask cluster, and how many evaluations it can run at once (the threads of its workers).

    Args:
        address: The scheduler's address, such as ``tcp://10.0.0.1:8786``.
        patience: Seconds to wait for it.

    Raises:
        UsageError: If the extra is not installed.
        NasxError: If no scheduler answers there.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError("a Dask cluster needs the package distributed; type: pip install 'nasx[dask]'") from error
    try:
        client = Client(address, timeout=patience)
    except (OSError, ValueError, TimeoutError) as error:
        raise NasxError(f"no Dask scheduler answers at '{address}': {str(error) or type(error).__name__}") from error
    try:
        workers = sum(client.ncores().values())
        if not workers:
            raise NasxError(f"the Dask cluster at '{address}' has no workers; start some: dask worker {address}")
        yield client.get_executor(pure=False), workers  # two evaluations of the same are two evaluations
    finally:
        client.close()


def slurm_settings(text: str) -> dict[str, Any]:
    """Reads ``partition=gpu,timeout_min=60,gpus_per_node=1``: names as submitit and Slurm have them.

    >>> slurm_settings("partition=gpu,timeout_min=60")
    {'slurm_partition': 'gpu', 'timeout_min': 60}

    Raises:
        UsageError: If it is written otherwise.
    """
    settings: dict[str, Any] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name or not value:
            raise UsageError(f"'{part}' is no setting; write --slurm partition=NAME,timeout_min=60,cpus_per_task=4")
        whole = int(value) if value.isdigit() else value
        settings[name if name in _ANY_CLUSTER or name == "cluster" else f"slurm_{name}"] = whole
    return settings


class SubmititExecutor(Executor):
    """Slurm, as :mod:`concurrent.futures` has it: a job an evaluation, submitted through submitit.

    Args:
        folder: Where submitit keeps the jobs' files; shared by all nodes.
        settings: As :func:`slurm_settings` reads them; ``cluster`` ``"local"`` or ``"debug"`` instead of Slurm.
        poll: Seconds between two looks at the jobs.

    Raises:
        UsageError: If the extra is not installed or a setting is not understood.
        NasxError: If there is no Slurm here.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], poll: float = 1.0) -> None:
        try:
            import submitit
        except ImportError as error:
            raise UsageError("Slurm needs the package submitit; type: pip install 'nasx[slurm]'") from error
        settings = dict(settings)
        cluster = settings.pop("cluster", "slurm")
        if cluster not in ("slurm", "local", "debug"):
            raise unknown("cluster", cluster, ["slurm", "local", "debug"])
        try:
            self._executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
            self._executor.update_parameters(name="nasx", **settings)
        except (RuntimeError, FileNotFoundError) as error:
            raise NasxError(f"jobs cannot be submitted to Slurm here: {error}") from error
        except (AssertionError, NameError, TypeError, ValueError) as error:
            raise UsageError(f"--slurm is not understood: {error}") from error
        self._jobs: dict[Future[Any], Any] = {}
        self._lock, self._poll, self._closed = threading.Lock(), poll, False
        threading.Thread(target=self._watch, name="nasx-submitit", daemon=True).start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submits one job."""
        future: Future[Any] = Future()
        job = self._executor.submit(fn, *args, **kwargs)
        with self._lock:
            self._jobs[future] = job
        return future

    def _watch(self) -> None:
        while not self._closed:
            with self._lock:
                jobs = list(self._jobs.items())
            for future, job in jobs:
                if future.cancelled():
                    job.cancel()
                elif job.done():
                    _settle(future, job)
                else:
                    continue
                with self._lock:
                    del self._jobs[future]
            time.sleep(self._poll)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Lets go; jobs that are not done are cancelled if asked for."""
        self._closed = True
        if cancel_futures:
            for job in self._jobs.values():
                job.cancel()


def _settle(future: Future[Any], job: Any) -> None:
    """Hands the outcome of a job on."""
    try:
        future.set_result(job.result())
    except Exception as error:
        cause = getattr(error, "original_exception", None)  # what the function itself raised, of submitit's FailedJob
        said = [line for line in str(error).splitlines() if line.strip()]
        future.set_exception(
            cause if isinstance(cause, NasxError) else NasxError(f"the job failed: {said[-1] if said else error!r}")
        )
