"""Writes files in the exact format of NAS-Bench-101 from made-up runs: a few cells, or as many as the real one has.

The bytes of the protobuf message are put together by hand here, field by field, in the order and with the tags of the
published files.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nasx.search_spaces.nasbench101 import NASBench101
from nasx.search_spaces.nasbench101_parameters import trainable_parameters
from nasx.tfrecord import write_records

CHUNK = 10_000  # cells made up at once

_EVALUATION = struct.Struct("<BBBdBdBdBdBd")
_MESSAGE_END = struct.Struct("<Bd")


@dataclass(frozen=True)
class Run:
    """One record: a cell trained once. An evaluation is epoch, seconds, training, validation, test accuracy."""

    module_hash: str
    epochs: int
    adjacency: str  # a row of digits
    operations: str
    parameters: int
    evaluations: Sequence[Sequence[float]]
    total_time: float = 413.5


def runs_of(
    cells: Sequence[int] | np.ndarray, epochs: Sequence[int] = (108,), seed: int = 0, repeats: int = 3
) -> Iterator[Run]:
    """Made-up runs of these cells (indices in the space), in the order of a published file: by cell, epochs, run."""
    space, rng = NASBench101(), np.random.default_rng(seed)
    hashes = space.module_hashes() if len(cells) >= CHUNK else None  # all at once, or one by one
    for start in range(0, len(cells), CHUNK):
        chunk = np.asarray(cells[start : start + CHUNK])
        parameters = trainable_parameters(space.graphs_of_indices(chunk)).tolist()
        shape = len(chunk), len(epochs), repeats, 3
        accuracies = rng.uniform(0.09, 0.96, (*shape, 3)).astype(np.float32).tolist()
        seconds = rng.uniform(10, 5000, shape[:-1]).astype(np.float32).tolist()
        for place, index in enumerate(chunk.tolist()):
            cell = space.architecture(index)
            module_hash = space.module_hash(cell) if hashes is None else hashes[index].decode()
            adjacency, operations = cell.adjacency.replace("/", ""), ",".join(cell.operations)
            for length, epoch in enumerate(epochs):
                for repeat in range(repeats):
                    late = seconds[place][length][repeat]
                    before, half, final = accuracies[place][length][repeat]
                    evaluations = [(0.0, 0.0, *before), (epoch / 2, late / 2, *half), (float(epoch), late, *final)]
                    yield Run(module_hash, epoch, adjacency, operations, parameters[place], evaluations, 1.25 * late)


def message(run: Run) -> bytes:
    """The bytes of ``ModelMetrics``."""
    parts = []
    for epoch, seconds, training, validation, test in run.evaluations:
        parts.append(_EVALUATION.pack(10, 45, 9, epoch, 17, seconds, 25, training, 33, validation, 41, test))
    parts.append(b"\x10" + varint(run.parameters))
    parts.append(_MESSAGE_END.pack(25, run.total_time))
    return b"".join(parts)


def varint(number: int) -> bytes:
    """A non-negative number, seven bits a byte, lowest first."""
    digits = []
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


def payload(run: Run) -> bytes:
    """The JSON of one record."""
    metrics = base64.encodebytes(message(run)).decode()  # in lines of 76, as published
    return json.dumps([run.module_hash, run.epochs, run.adjacency, run.operations, metrics]).encode()


def write(path: Path, runs: Iterable[Run]) -> Path:
    """Writes the file and returns its path."""
    write_records(path, map(payload, runs))
    return path


def write_full_size(path: Path, epochs: Sequence[int] = (108,), seed: int = 0) -> Path:
    """Writes runs of all 423,624 cells in the order of their hashes, as the published files have them: half a GB."""
    return write(path, runs_of(np.argsort(NASBench101().module_hashes()), epochs, seed))
