"""How long networks take on this device: one after another in random order, each result durable before the next.

In turn with each of them one and the same reference network is run, see ``nasx.latency_stopwatch``: where its latency
moves, the machine has changed, not the network. A share of the networks, or all, is measured in several rounds, at
different times: the difference says how far any prediction can be trusted at best.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nasx.latency_files import NetworkFile, network_files
from nasx.latency_journal import Journal
from nasx.latency_machine import describe_machine
from nasx.latency_process import Worker
from nasx.latency_stopwatch import CLOCKS, onnxruntime_package
from nasx.latency_table import Measured, write_measured
from nasx.search_spaces.errors import UsageError, unknown

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Settings:
    """How every network of a table is measured.

    Attributes:
        provider: Execution provider of onnxruntime.
        threads: Threads within an operation.
        warmup: Runs that do not count, before those that do.
        runs: Fewest runs that count.
        seconds: As many more runs as fit into so many seconds, the reference network's included.
        batch_size: Images at once; None for what the file says.
        shapes: Shapes of inputs that files leave open.
        clock: "wall", or "processor": only time in which a processor worked on the network, whoever else wanted it; for
            one thread of the CPU, where that is the latency on a machine with nothing else to do.
    """

    provider: str = "CPUExecutionProvider"
    threads: int = 1
    warmup: int = 5
    runs: int = 30
    seconds: float = 0.2
    batch_size: int | None = None
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    clock: str = "wall"

    def __post_init__(self) -> None:
        for name, least in (
            ("threads", 1),
            ("warmup", 0),
            ("runs", 1),
            ("seconds", 0),
            ("batch_size", 1),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"--{name.replace('_', '-')} must be at least {least}; got {value}")
        if self.clock not in CLOCKS:
            raise unknown("clock", self.clock, CLOCKS)
        if self.clock == "processor" and (self.threads, self.provider) != (1, "CPUExecutionProvider"):
            raise UsageError("--clock processor counts one thread of the CPU; use --clock wall, or --threads 1 there")


def measure(
    places: Sequence[str | Path],
    out: str | Path,
    settings: Settings | None = None,
    *,
    seed: int = 0,
    time_limit: float = 60.0,
    rounds: int = 1,
    repeat_share: float = 0.1,
    retry: bool = False,
    progress: Progress | None = None,
) -> Measured:
    """Measures networks and writes the table; what was measured before into the same table is not measured again.

    Args:
        places: ONNX files, and folders of them.
        out: The table, ``NAME.parquet``; beside it come ``NAME_nodes.parquet`` and ``NAME.journal.jsonl``.
        settings: How to measure.
        seed: Seed of the order, and of the choice of those measured twice.
        time_limit: Seconds a network may take, making it ready included; then it has failed.
        rounds: How often every network is measured; raised later, the missing rounds are added.
        repeat_share: Share of the networks that is measured once more.
        retry: Whether networks that failed before are tried again.
        progress: Called as ``progress(done, total)``.

    Returns:
        What was measured, and what it says about the machine.

    Raises:
        UsageError: There are no networks, no such provider, or the table was begun with other settings.
        NasxError: onnx or onnxruntime are missing, or the disk is full.
    """
    settings = settings or Settings()
    base = table_base(out)
    providers = onnxruntime_package().get_available_providers()
    if settings.provider not in providers:
        raise unknown("execution provider of the installed onnxruntime", settings.provider, providers)
    if rounds < 1 or not 0 <= repeat_share <= 1 or time_limit <= 0:
        raise UsageError("--rounds is at least 1, --repeat-share between 0 and 1, --time-limit above 0")
    files = network_files(places)
    known = {file.name: file.digest() for file in files}
    with (
        Journal(journal_path(base), asdict(settings), describe_machine()) as journal,
        Worker(asdict(settings), time_limit) as worker,
    ):
        run = _Run(journal, worker, known, retry)
        order = [files[place] for place in np.random.default_rng(seed).permutation(len(files))]
        again = order[: round(repeat_share * len(files))]
        plan = [(file, number) for number in range(rounds) for file in order] + [(file, rounds) for file in again]
        for place, (file, number) in enumerate(plan):
            if len(run.found.get(file.name, [])) <= number and not run.failed(file):
                run.measure(file)
            if progress is not None:
                progress(place + 1, len(plan))
    return write_measured(base, files, known, journal, settings)


def table_base(out: str | Path) -> Path:
    """The path of a table without its ending.

    Raises:
        UsageError: If it has another ending than .parquet.
    """
    path = Path(out)
    if path.suffix not in ("", ".parquet") or path.is_dir():
        raise UsageError(f"the table '{path}' must be a file that ends in .parquet; type --out {path.stem}.parquet")
    return path.with_suffix("")


def journal_path(base: Path) -> Path:
    """Where the journal of a table lies."""
    return base.with_name(f"{base.name}.journal.jsonl")


def measured_so_far(out: str | Path) -> int:
    """How many networks the journal of a table holds."""
    path = journal_path(table_base(out))
    if not path.exists():
        return 0
    lines = path.read_bytes().split(b"\n")[1:-1]
    return len({json.loads(line)["network"] for line in lines})


class _Run:
    """The measuring itself, and what is done already."""

    def __init__(self, journal: Journal, worker: Worker, known: Mapping[str, str], retry: bool) -> None:
        self.journal, self.worker, self.known = journal, worker, known
        self.found: dict[str, list[dict[str, Any]]] = {}
        for record in journal.records:
            if known.get(record["network"]) == record["digest"] and not (retry and record.get("error")):
                self.found.setdefault(record["network"], []).append(record)

    def failed(self, file: NetworkFile) -> bool:
        return any(record.get("error") for record in self.found.get(file.name, []))

    def measure(self, file: NetworkFile) -> None:
        answer = self.worker.measure(file.path)
        record = {"network": file.name, "digest": self.known[file.name], **answer, "at": _now()}
        self.journal.append(record)
        self.found.setdefault(file.name, []).append(record)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
