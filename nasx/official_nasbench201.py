"""The official files of NAS-Bench-201 and of the topology part of NATS-Bench, all data sets, runs and both schedules.

What the columns mean, in the terms of the official packages ``nas-bench-201`` and ``nats-bench``:

* ``epochs``: 12 or 200, two training schedules (``hp="12"``, ``hp="200"``), each at its last epoch. ``seed``: the run,
  or ``"mean"`` of all runs of that cell, data set and schedule (``is_random=False``).
* ``training_accuracy``, ``validation_accuracy``, ``test_accuracy`` (percent) and the losses are what ``get_more_info``
  calls ``train-``, ``valid-`` and ``test-``: on ``cifar10-valid`` the sets ``x-valid`` and ``ori-test``; on
  ``cifar10``, which was trained on the validation images too, no validation and ``ori-test``; on ``cifar100`` and
  ``ImageNet16-120`` ``x-valid`` and ``x-test``, and in addition ``validation_and_test_`` (``valtest-``), both sets
  together (``ori-test``).
* ``training_seconds`` is ``train-all-time``, all epochs; v1_0 has it for 12 epochs only. v1_1 and NATS-Bench measured
  one epoch on ``cifar10-valid`` and scaled it by the number of images.
* ``flops`` (millions), ``parameters`` (millions) and ``latency`` (seconds for a batch of 256 images on the authors'
  GPU) are ``get_cost_info(hp="200")``, means over the runs. v1_0 holds latencies as measured, v1_1 and NATS-Bench
  calibrated ones. Where runs disagree on flops or parameters, ``nats-bench`` takes those of seed 888, and so does
  :func:`read_nats`; ``nas-bench-201`` and :func:`read` take the mean.

A mean that the official package refuses, because one of its runs lacks the number, is missing here.

Source: X. Dong and Y. Yang, "NAS-Bench-201", ICLR 2020; X. Dong et al., "NATS-Bench", TPAMI 2021.
"""

from __future__ import annotations

import bz2
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nasx.nasbench201_runs import COSTS, DATASETS, QUANTITIES, TARGETS, Summary, condense, summarise
from nasx.nats_archive import read_entries
from nasx.pickle_stream import load_stream
from nasx.pickle_window import Window
from nasx.search_spaces import get_search_space
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.table_file import Metric, Table
from nasx.torch_pickle import load_torch
from nasx.unpickle import PLAIN

#: Called with the bytes done and the bytes there are.
Progress = Callable[[int, int], None]

#: Last digits of the MD5 of the official files, which are part of their names.
DIGITS = {"096897": "NAS-Bench-201-v1_1", "e61699": "NAS-Bench-201-v1_0", "3ffb9": "NATS-tss-v1_0"}

_CELLS = 15_625
_AGAIN = "get the file again from its source"


def read(path: str | Path, *, progress: Progress | None = None, verify: bool = True) -> Table:
    """Reads ``NAS-Bench-201-v1_1-096897.pth`` or ``NAS-Bench-201-v1_0-e61699.pth``; rows in the official order.

    The columns are described at the top of this module; each belongs to one of the data sets ``cifar10-valid``,
    ``cifar10``, ``cifar100`` and ``ImageNet16-120``. The target is the mean validation accuracy after 200 epochs.

    The file is taken as a whole or not at all. Its MD5 must end as its name says, or as that of an official file, for
    nothing else in it tells a flipped byte from a measurement. Only plain numbers, strings and containers are read.

    Args:
        path: The file.
        progress: Called with the bytes done and all there are; the file is read twice.
        verify: Whether to compare the MD5.

    Raises:
        UsageError: There is no such file.
        NasxError: The file is damaged, cut short, of another kind, incomplete, or asks for anything but plain values.
    """
    path = _existing(path)
    size = path.stat().st_size
    if verify:
        _check_digest(path, 6, lambda done: progress and progress(done, 2 * size))
    kind = "an official file of NAS-Bench-201"
    content = load_torch(
        path,
        PLAIN,
        kind=kind,
        on_dict=condense,
        progress=lambda done: progress and progress(min(size + done, 2 * size), 2 * size),
    )
    summaries = _summaries(path, content, kind, (("less", 12), ("full", 200)), fix_costs=False)
    if progress is not None:
        progress(2 * size, 2 * size)
    return table_of(path, "nasbench201-official", content["meta_archs"], summaries)


def read_nats(path: str | Path, *, progress: Progress | None = None, verify: bool = True) -> Table:
    """Reads the topology part of NATS-Bench; rows in the official order.

    The columns are the same as those of :func:`read`.

    Args:
        path: The folder ``NATS-tss-v1_0-3ffb9-simple``, the ``.tar`` it comes in (read without unpacking), or the
            single file ``NATS-tss-v1_0-3ffb9.pickle.pbz2``.
        progress: Called with the bytes done and all there are.
        verify: Whether to compare the MD5 of the single file; the others carry checksums of their own.

    Raises:
        UsageError: There is no such folder or file.
        NasxError: A file is missing, damaged, cut short or of another kind, or asks for anything but plain values.
    """
    path = Path(path)
    if not path.exists():
        raise UsageError(f"there is no folder or file {path}")
    if path.is_file() and _begins_as_bzip2(path):
        return _read_nats_file(path, progress, verify)
    cells, summaries = None, {}
    for name, place, data in read_entries(path, progress):
        content = _load_window(place, Window(io.BytesIO(data)))
        if name == "meta":
            cells = content.get("meta_archs") if type(content) is dict else None
            if cells is None:
                raise NasxError(f"{place} is not {_NATS}: it has no list of architectures; {_AGAIN}")
        elif int(name) in summaries:
            raise NasxError(f"{path} is damaged: it holds {place.name} twice; {_AGAIN}")
        else:
            summaries[int(name)] = summarise(place, int(name), content, _NATS_SCHEDULES, fix_costs=True)
    if cells is None:
        raise NasxError(f"{path} is not complete: it holds no meta.pickle.pbz2; {_AGAIN}")
    return table_of(path, "nats-bench", cells, summaries)


_NATS = "a file of NATS-Bench"
_NATS_SCHEDULES = (("12", 12), ("200", 200))


def _begins_as_bzip2(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(3) == b"BZh"
    except OSError as error:
        raise NasxError(f"{path} could not be read ({error.strerror or error})") from error


def _read_nats_file(path: Path, progress: Progress | None, verify: bool) -> Table:
    """Reads the form with everything in one file."""
    size = path.stat().st_size
    if verify:
        _check_digest(path, 5, lambda done: progress and progress(done, 2 * size))
    with open(path, "rb") as raw, bz2.BZ2File(raw) as file:
        window = Window(file, lambda _: progress and progress(size + raw.tell(), 2 * size))  # type: ignore[arg-type]
        content = _load_window(path, window)
    summaries = _summaries(path, content, _NATS, _NATS_SCHEDULES, fix_costs=True)
    return table_of(path, "nats-bench", content["meta_archs"], summaries)


def _load_window(path: Path, window: Window) -> Any:
    content = load_stream(window, PLAIN, path=path, kind=_NATS, on_dict=condense)
    try:
        complete = not window.read(1)
    except (OSError, EOFError) as error:
        raise NasxError(f"{path} is damaged or cut short ({error}); {_AGAIN}") from error
    if not complete:
        raise NasxError(f"{path} is not {_NATS}: there is more in it than expected; {_AGAIN}")
    return content


def table_of(path: Path, name: str, cells: Any, summaries: Mapping[int, Summary]) -> Table:
    """The table of all cells.

    Args:
        path: The file, for error messages.
        name: Name of the benchmark.
        cells: Official strings, in the official order.
        summaries: Index in that order -> what was measured.

    Raises:
        NasxError: The cells are not those of the search space, or one has no measurements or those of another.
    """
    space = get_search_space("nasbench201")
    indices = _indices(path, space, cells)
    for index, cell in enumerate(cells):
        if index not in summaries:
            raise NasxError(f"{path} has no results of architecture {index} ({cell}); {_AGAIN}")
        if summaries[index].cell != cell:
            raise NasxError(
                f"{path} is damaged: the results of architecture {index} are said to be of {summaries[index].cell!r} "
                f"and of {cell!r}; {_AGAIN}"
            )
    if len(summaries) != len(cells):
        raise NasxError(f"{path} has results of {len(summaries):,} architectures, but names {len(cells):,}; {_AGAIN}")
    columns: dict[str, Any] = {}
    metrics: dict[str, Metric] = {}
    runs = sorted({run for summary in summaries.values() for run in summary.runs}, key=_order)
    if len({seed for _, _, seed in runs}) > 16:
        raise NasxError(f"{path} is damaged: it names {len({seed for _, _, seed in runs})} seeds; {_AGAIN}")
    count = len(cells)
    for dataset in DATASETS:
        measured = {
            run: np.array([summaries[row].runs.get(run, _NOTHING) for row in range(count)]).reshape(count, -1)
            for run in runs
            if run[0] == dataset
        }
        for place, (quantity, unit, direction) in enumerate(QUANTITIES):
            for (_, epochs, seed), values in measured.items():
                metric = Metric.of(quantity, unit, direction, dataset=dataset, epochs=epochs, seed=seed)
                metrics[metric.name], columns[metric.name] = metric, np.ascontiguousarray(values[:, place])
        costs = np.array([summaries[row].costs.get(dataset, _NOTHING[:3]) for row in range(count)]).reshape(count, -1)
        for place, (quantity, unit) in enumerate(COSTS):
            metric = Metric.of(quantity, unit, "minimize", dataset=dataset)
            metrics[metric.name], columns[metric.name] = metric, np.ascontiguousarray(costs[:, place])
    empty = [name for name, values in columns.items() if np.isnan(values).all()]
    for column in empty:
        del metrics[column], columns[column]
    if not columns:
        raise NasxError(f"{path} holds no measurements; {_AGAIN}")
    return Table(
        name=name,
        space=space,
        architectures=indices,
        columns=columns,
        metrics=metrics,
        target=TARGETS[0],
        licence="MIT",
        source=path.name,
        extra={
            "targets": {
                dataset: next((target for target in TARGETS if f"{dataset}/{target}" in metrics), None)
                for dataset in DATASETS
            }
        },
    )


_NOTHING = (float("nan"),) * len(QUANTITIES)


def _order(run: tuple[str, int, int | str]) -> tuple[int, int, bool, int]:
    dataset, epochs, seed = run
    return DATASETS.index(dataset), epochs, seed == "mean", seed if isinstance(seed, int) else 0


def _indices(path: Path, space: Any, cells: Any) -> np.ndarray:
    """The indices of the official strings in our space."""
    if not isinstance(cells, Sequence) or isinstance(cells, str) or not 0 < len(cells) <= _CELLS:
        raise NasxError(f"{path} is not complete: it has no list of architectures; {_AGAIN}")
    try:
        indices = space.indices([space.parse(cell) for cell in cells])
    except UsageError as error:
        raise NasxError(f"{path} is not of the search space of NAS-Bench-201 ({error}); {_AGAIN}") from error
    if len(np.unique(indices)) != len(cells):
        raise NasxError(f"{path} is damaged: it names an architecture twice; {_AGAIN}")
    if len(cells) == _CELLS and not np.array_equal(indices, np.arange(_CELLS)):  # the space counts in that order
        raise NasxError(f"{path} is damaged: its architectures are not in the official order; {_AGAIN}")
    return np.asarray(indices, dtype=np.int64)


def _summaries(
    path: Path, content: Any, kind: str, schedules: Iterable[tuple[str, int]], *, fix_costs: bool
) -> dict[int, Summary]:
    """Summaries of all architectures in the dictionary of a whole file, which is emptied on the way."""
    keys = ("meta_archs", "arch2infos", "evaluated_indexes")
    if type(content) is not dict or any(key not in content for key in keys):
        raise NasxError(f"{path} is not {kind}: it is no dictionary with {', '.join(keys)}; {_AGAIN}")
    infos = content["arch2infos"]
    if type(infos) is not dict:
        raise NasxError(f"{path} is not {kind}: it has no results of single architectures; {_AGAIN}")
    schedules = tuple(schedules)
    return {index: summarise(path, index, infos.pop(index), schedules, fix_costs=fix_costs) for index in list(infos)}


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.exists():
        raise UsageError(f"there is no file {path}")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give the file NAS-Bench-201-v1_1-096897.pth")
    return path


def _check_digest(path: Path, digits: int, progress: Callable[[int], object]) -> None:
    """Compares the end of the file's MD5 with its name, or with the official files."""
    digest, done = hashlib.md5(usedforsecurity=False), 0
    try:
        with open(path, "rb") as file:
            while chunk := file.read(4 << 20):
                digest.update(chunk)
                done += len(chunk)
                progress(done)
    except OSError as error:
        raise NasxError(f"{path} could not be read ({error.strerror or error})") from error
    found = digest.hexdigest()[-digits:]
    named = re.search(rf"-([0-9a-f]{{{digits}}})\.p", path.name)
    if found in DIGITS or (named and named[1] == found):
        return
    expected = f"its name says {named[1]}" if named else f"those of the official files in {' or '.join(DIGITS)}"
    raise NasxError(f"{path} is damaged, cut short or another file: its MD5 ends in {found}, {expected}; {_AGAIN}")
