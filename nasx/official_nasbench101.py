"""The official files of NAS-Bench-101, ``nasbench_only108.tfrecord`` and ``nasbench_full.tfrecord``.

A record is one training run of one cell on CIFAR-10, as JSON ``[module_hash, epochs, adjacency, operations, metrics]``:
the matrix as a row of digits, the operations joined by commas, the metrics a protobuf message ``ModelMetrics`` in
base64 (in lines of 76). It holds three evaluations: before training (not used, as in the official package), halfway
and final.

Source: C. Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019; nasbench/api.py and
nasbench/lib/model_metrics.proto in google-research/nasbench.
"""

from __future__ import annotations

import json
import math
import re
from array import array
from binascii import a2b_base64
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasx.metric import Metric
from nasx.metrics import Direction
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.nasbench101 import BULK, NASBench101
from nasx.search_spaces.nasbench101_hash import all_module_hashes, hash_of_code
from nasx.search_spaces.nasbench101_tables import cell_tables
from nasx.table_file import Table
from nasx.tfrecord import Progress, read_records

EPOCHS = (4, 12, 36, 108)
REPEATS = 3
STAGES = ("halfway_", "")
QUANTITIES = ("training_accuracy", "validation_accuracy", "test_accuracy", "training_seconds")

_FIELDS = ("current_epoch", "training_time", "train_accuracy", "validation_accuracy", "test_accuracy")
_HASH = re.compile(r"[0-9a-f]{32}")
_SMALLEST_RECORD = 64  # bytes
_TOP = 1 + 1e-6  # accuracies are single-precision
_BLOCK = 65_536  # runs sorted into the columns at once


def read(path: str | Path, *, progress: Progress | None = None) -> Table:
    """Reads an official file; rows in the order in which the cells first appear in it.

    The columns are ``QUANTITIES`` after the full training and, with ``halfway_`` in front, after half of it, for each
    length of training (108 epochs, or 4, 12, 36 and 108) and each run (``seed`` 0, 1, 2 in the order of the file, and
    their mean): accuracies as fractions, training time in seconds. ``trainable_parameters`` is of the cell. The target
    is the mean validation accuracy of the longest training, which a search may look at.

    A file is taken as a whole or not at all: every checksum is verified, every hash is compared with the hash of its
    cell, and every cell needs three runs of each length. Fewer cells than the benchmark has are accepted.

    Args:
        path: The file.
        progress: Called with the bytes read so far and the size of the file.

    Raises:
        UsageError: There is no such file.
        NasxError: It is no NAS-Bench-101 file, cut short or damaged; the message says in which record and byte.
    """
    path = Path(path)
    runs = _Runs(path)
    for number, (offset, payload) in enumerate(read_records(path, progress), 1):
        try:
            runs.add(number, offset, payload)
        except (ValueError, TypeError, RecursionError) as error:
            reason = str(error) if isinstance(error, ValueError) else "it is of another structure"
            where = f"record {number:,} (byte {offset:,})"
            raise NasxError(f"{where} of {path} is not of NAS-Bench-101: {reason}") from error
    return runs.table()


@lru_cache(maxsize=1)
def message_class() -> Any:
    """The protobuf class ``nasbench.ModelMetrics``, as in model_metrics.proto."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="model_metrics.proto", package="nasbench", syntax="proto2")
    metrics, evaluation = file.message_type.add(name="ModelMetrics"), file.message_type.add(name="EvaluationData")
    metrics.field.add(
        name="evaluation_data",
        number=1,
        label=kinds.LABEL_REPEATED,
        type=kinds.TYPE_MESSAGE,
        type_name=".nasbench.EvaluationData",
    )
    one = kinds.LABEL_OPTIONAL
    metrics.field.add(name="trainable_parameters", number=2, label=one, type=kinds.TYPE_INT32)
    metrics.field.add(name="total_time", number=3, label=one, type=kinds.TYPE_DOUBLE)
    for number, name in enumerate(_FIELDS, 1):
        evaluation.field.add(name=name, number=number, label=one, type=kinds.TYPE_DOUBLE)
    evaluation.field.add(name="checkpoint_path", number=6, label=one, type=kinds.TYPE_STRING)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("nasbench.ModelMetrics"))


@lru_cache(maxsize=1)
def _parser() -> Callable[[object], Any]:
    """From base64 to the message, or a ValueError."""
    from google.protobuf.message import DecodeError

    parse = message_class().FromString

    def parsed(text: object) -> Any:
        try:
            if not isinstance(text, str):
                raise ValueError
            return parse(a2b_base64(text.replace("\n", ""), strict_mode=True))
        except (DecodeError, ValueError):
            raise ValueError("its metrics are no message ModelMetrics in base64") from None

    return parsed


class _Length:
    """All runs of one length of training, ``(8, repeats, cells)``."""

    def __init__(self, cells: int) -> None:
        self.values = np.full((len(STAGES) * len(QUANTITIES), REPEATS, cells), np.nan)
        self.count = bytearray(cells)
        self._rows, self._repeats, self._block = array("q"), bytearray(), array("d")

    def add(self, row: int, values: tuple[float, ...]) -> None:
        self._rows.append(row)
        self._repeats.append(self.count[row])
        self._block.extend(values)
        self.count[row] += 1
        if len(self._rows) == _BLOCK:
            self.flush()

    def flush(self) -> None:
        block = np.frombuffer(self._block).reshape(-1, len(self.values))
        self.values[:, np.frombuffer(self._repeats, np.uint8), np.frombuffer(self._rows, np.int64)] = block.T
        self._rows, self._repeats, self._block = array("q"), bytearray(), array("d")


class _Runs:
    """Takes in records one by one, and makes the table of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._space = NASBench101()
        self._rows: dict[str, int] = {}  # hash -> row
        self._adjacency: list[str] = []
        self._operations: list[str] = []
        self._parameters: list[int] = []
        self._first = array("q"), array("q")  # number and offset of the first record of each row
        self._lengths: dict[int, _Length] = {}
        self._known_adjacency: dict[str, str] = {}
        self._known_operations: dict[str, str] = {}
        self._parse = _parser()
        self._limit = 0

    def add(self, number: int, offset: int, payload: bytes) -> None:
        """Takes in one run.

        Raises:
            ValueError: It is not what a record is; a TypeError or RecursionError says the same.
        """
        try:
            record = json.loads(payload)
        except ValueError:
            raise ValueError("it is not JSON") from None
        if not isinstance(record, list) or len(record) != 5:
            raise ValueError("it is no list of hash, epochs, adjacency, operations and metrics")
        module_hash, epochs, digits, names, text = record
        length = self._lengths.get(epochs)
        if length is None:
            length = self._new_length(epochs)
        adjacency = self._known_adjacency.get(digits)
        if adjacency is None:
            adjacency = self._known_adjacency[digits] = _matrix_rows(digits)
        operations = self._known_operations.setdefault(names, names)
        metrics = self._parse(text)
        values = _measured(metrics.evaluation_data)
        parameters = metrics.trainable_parameters
        row = self._rows.get(module_hash)
        if row is None:
            row = self._new_cell(module_hash, adjacency, operations, parameters)
            self._first[0].append(number)
            self._first[1].append(offset)
        elif (self._adjacency[row], self._operations[row]) != (adjacency, operations):
            raise ValueError(f"the cell {module_hash} is another one in record {self._first[0][row]:,}")
        elif self._parameters[row] != parameters:
            raise ValueError(
                f"{module_hash} has {parameters:,} parameters, but {self._parameters[row]:,} in record "
                f"{self._first[0][row]:,}"
            )
        if length.count[row] == REPEATS:
            raise ValueError(f"{module_hash} is repeated: these would be more than {REPEATS} runs of {epochs} epochs")
        length.add(row, values)

    def table(self) -> Table:
        """The table of all runs.

        Raises:
            NasxError: A hash is not that of its cell, or runs are missing.
        """
        if not self._rows:
            raise NasxError(f"{self._path} holds no record; download it again")
        indices = self._indices()
        for epochs, length in self._lengths.items():
            length.flush()
            short = np.flatnonzero(np.frombuffer(length.count, np.uint8)[: len(indices)] != REPEATS)
            if len(short):
                raise NasxError(
                    f"{self._path} is incomplete: {self._cell(int(short[0]))} has {length.count[short[0]]} runs of "
                    f"{epochs} epochs instead of {REPEATS}; download the file again"
                )
        parameters = Metric.of("trainable_parameters", "", "minimize")
        metrics, columns = {parameters.name: parameters}, {parameters.name: np.array(self._parameters, np.float64)}
        lengths = sorted(self._lengths)
        for epochs in lengths:
            values = self._lengths.pop(epochs).values[..., : len(indices)]
            for metric, column in _columns(epochs, values):
                metrics[metric.name], columns[metric.name] = metric, column
        return Table(
            name="nasbench101" if lengths == [108] else "nasbench101-full",
            space=self._space,
            architectures=indices,
            columns=columns,
            metrics=metrics,
            dataset="cifar10",
            target=Metric.of("validation_accuracy", "fraction", "maximize", epochs=lengths[-1], seed="mean").name,
            licence="Apache-2.0",
            source="https://github.com/google-research/nasbench",
        )

    def _new_length(self, epochs: object) -> _Length:
        if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs not in EPOCHS:
            raise ValueError(f"it is of {str(epochs)[:20]} epochs; known: {', '.join(map(str, EPOCHS))}")
        self._limit = self._limit or min(self._space.size, self._path.stat().st_size // _SMALLEST_RECORD + 1)
        self._lengths[epochs] = _Length(self._limit)
        return self._lengths[epochs]

    def _new_cell(self, module_hash: object, adjacency: str, operations: object, parameters: int) -> int:
        if not isinstance(module_hash, str) or not _HASH.fullmatch(module_hash):
            raise ValueError("its hash is not 32 hexadecimal digits")
        if not isinstance(operations, str):
            raise ValueError("its operations are not a text")
        row = len(self._rows)
        if row == self._limit:
            raise ValueError(f"more cells than the {self._space.size:,} of the benchmark")
        self._rows[module_hash] = row
        self._adjacency.append(adjacency)
        self._operations.append(operations)
        self._parameters.append(parameters)
        return row

    def _indices(self) -> NDArray[np.int64]:
        """The index of each cell in the space, its hash compared with the one in the file."""
        try:
            indices = self._space.indices_of_text(self._adjacency, self._operations)
        except UsageError:
            for row, cell in enumerate(zip(self._adjacency, self._operations, strict=True)):
                try:
                    self._space.indices_of_text([cell[0]], [cell[1]])
                except UsageError as error:
                    reason = str(error).removeprefix("row 0: ")
                    raise NasxError(f"{self._cell(row)} of {self._path} is none: {reason}") from error
            raise
        if len(indices) >= BULK:
            own = all_module_hashes()[indices]
        else:
            own = np.array([hash_of_code(code) for code in cell_tables().codes[indices].tolist()], dtype="S32")
        wrong = np.flatnonzero(own != np.array(list(self._rows), dtype="S32"))
        if len(wrong):
            row = int(wrong[0])
            raise NasxError(
                f"{self._cell(row)} of {self._path} has another hash, {own[row].decode()}; "
                "the file is not the official one"
            )
        return indices

    def _cell(self, row: int) -> str:
        number, offset = (each[row] for each in self._first)
        return f"the cell {list(self._rows)[row]} (record {number:,}, byte {offset:,})"


def _matrix_rows(digits: object) -> str:
    """``001000000`` -> ``001/000/000``."""
    if not isinstance(digits, str):
        raise ValueError("its adjacency is not a text")
    nodes = math.isqrt(len(digits))
    if nodes**2 != len(digits) or not digits:
        raise ValueError(f"an adjacency of {len(digits)} digits is not square")
    return "/".join(digits[start : start + nodes] for start in range(0, len(digits), nodes))


def _measured(evaluations: Any) -> tuple[float, ...]:
    """The quantities halfway, then the final ones."""
    if len(evaluations) != 3:
        raise ValueError(f"it has {len(evaluations)} evaluations instead of 3 (before training, halfway, final)")
    _, half, final = evaluations
    values = (
        half.train_accuracy,
        half.validation_accuracy,
        half.test_accuracy,
        half.training_time,
        final.train_accuracy,
        final.validation_accuracy,
        final.test_accuracy,
        final.training_time,
    )
    a, b, c, early, d, e, f, late = values
    if not (
        0 <= a <= _TOP and 0 <= b <= _TOP and 0 <= c <= _TOP and 0 <= d <= _TOP and 0 <= e <= _TOP and 0 <= f <= _TOP
    ):
        raise ValueError(f"its accuracies are not all between 0 and 1: {a}, {b}, {c}, {d}, {e}, {f}")
    if not (0 <= early < math.inf and 0 <= late < math.inf):
        raise ValueError(f"its training times are {early} s and {late} s")
    if not all(values) and not all(stage.HasField(field) for stage in (half, final) for field in _FIELDS[1:]):
        raise ValueError(f"its evaluations are not complete; they need {', '.join(_FIELDS[1:])}")
    return values


def _columns(epochs: int, values: NDArray[np.float64]) -> list[tuple[Metric, NDArray[Any]]]:
    """The columns of one length of training, from ``(8, repeats, cells)``."""
    result = []
    names = [stage + quantity for stage in STAGES for quantity in QUANTITIES]
    for name, runs in zip(names, values, strict=True):
        seconds = name.endswith("seconds")
        unit = "s" if seconds else "fraction"
        direction: Direction = "minimize" if seconds else "maximize"
        seeds: list[tuple[int | str, NDArray[Any]]] = [(seed, _compact(column)) for seed, column in enumerate(runs)]
        for seed, column in [*seeds, ("mean", runs.mean(axis=0))]:
            result.append((Metric.of(name, unit, direction, epochs=epochs, seed=seed), column))
    return result


def _compact(column: NDArray[np.float64]) -> NDArray[Any]:
    """The column as float32 where that loses nothing: the numbers were measured as float32."""
    small = column.astype(np.float32)
    return small if np.array_equal(small, column) else column.copy()
