"""NNLQP as it is published: a text file of latencies beside a folder of ONNX files without weights.

Each line of ``gt.txt`` or ``gt_stage.txt`` is ``ID PATH BATCH LATENCY_MS FAMILY PLATFORM [train|test]``, separated by
spaces; the path is relative to the text file. A network is a path and a batch size; each platform is a metric. The
stages are not read: in ``gt_stage.txt`` the last 200 networks of a family test, as under the split ``in-domain``.

Source: Liu et al., NNLQP, ICPP 2022; the layout is that of the repository ModelTC/NNLQP, ``gt_stage.txt`` that of
NAR-Former V2 (yuny220/NAR-Former-V2).
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nasx.network_reader import table_of
from nasx.nnlqp_networks import packed, read_files
from nasx.search_spaces.cache import UNFINISHED, cached_arrays
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.packed_graphs import PackedGraphs
from nasx.table_file import Table

FILES = ("gt_stage.txt", "gt.txt")
FOLDERS = ("unseen_structure", "multi_platform")
PART = 200  # networks that are read and kept together
FEW = 50  # so many networks are read before other processes have started

#: Number of a platform in the file -> the name its authors give it (README.md and demo.py of ModelTC/NNLQP).
PLATFORMS = {
    1: "gpu-gtx1660-trt7.1-fp32", 2: "cpu-openppl-fp32", 9: "hi3559A-nnie11-int8", 10: "gpu-T4-trt7.1-fp32",
    12: "gpu-T4-trt7.1-int8", 13: "gpu-P4-trt7.1-fp32", 14: "gpu-P4-trt7.1-int8", 16: "hi3519A-nnie12-int8",
    18: "atlas300-acl-fp16", 23: "mul270-neuware-int8",
}  # fmt: skip


class Measurement(NamedTuple):
    """One line: file of the network, batch size, latency, family, platform."""

    path: str
    batch_size: int
    latency_ms: float
    family: str
    platform: int


def metric_name(platform: int) -> str:
    """The column of a platform.

    >>> metric_name(1), metric_name(99)
    ('gpu_gtx1660_trt7_1_fp32_latency_ms', 'platform_99_latency_ms')
    """
    name = PLATFORMS.get(platform, f"platform_{platform}")
    return "".join(sign if sign.isalnum() else "_" for sign in name.lower()) + "_latency_ms"


def read(path: Path, progress: Callable[[int, int], None] | None = None) -> Table:
    """Reads a folder of NNLQP; files that cannot be read as networks are reported in one sentence and left out.

    Networks are read by all cores and kept in the cache folder part by part: called again after it was interrupted,
    it reads the others only. ``official.import_file`` deletes the parts once the table is stored.

    Args:
        path: The folder with ``gt_stage.txt`` or ``gt.txt`` (the first one, if it has both), that file itself, or the
            folder above it.
        progress: Called as ``progress(networks_read, networks)``.

    Raises:
        UsageError: There is no such file, or a line of it is malformed.
        NasxError: None of the networks can be read, or the package onnx is missing.
    """
    from joblib import cpu_count

    from nasx.search_spaces.onnx_file import onnx_package
    from nasx.workers import InlineExecutor, ProcessWorkers

    onnx_package()
    file = _ground_truth(Path(path))
    rows = read_lines(file)
    networks = list(dict.fromkeys((row.path, row.batch_size) for row in rows))
    families = {(row.path, row.batch_size): row.family for row in rows}
    parts = []
    with InlineExecutor() if len(networks) < FEW else ProcessWorkers(cpu_count()) as executor:
        for first in range(0, len(networks), PART):
            part = networks[first : first + PART]
            report = None if progress is None else partial(_report, progress, first, len(networks))
            read_part = partial(read_files, file.parent, part, executor, report)
            parts.append(cached_arrays(f"{UNFINISHED}/nnlqp/{_fingerprint(file.parent, part)}", read_part))
            if progress is not None:
                progress(first + len(part), len(networks))
    readable = np.concatenate([part["read"] for part in parts])
    known = [network for network, read in zip(networks, readable, strict=True) if read]
    failed = [str(sentence) for part in parts for sentence in part["failed"]]
    if not known:
        raise NasxError(f"none of the {len(networks):,} networks in {file} can be read; the first: {failed[0]}")
    if failed:
        warnings.warn(
            f"{len(failed):,} of {len(networks):,} networks in {file} cannot be read and are left out; the first: "
            f"{failed[0]}",
            stacklevel=2,
        )
    place = {network: row for row, network in enumerate(known)}
    columns = {metric_name(platform): np.full(len(known), np.nan) for platform in sorted({r.platform for r in rows})}
    for row in rows:
        if (where := place.get((row.path, row.batch_size))) is not None:
            columns[metric_name(row.platform)][where] = row.latency_ms
    columns = {name: values for name, values in columns.items() if np.isfinite(values).any()}
    several = len({name for name, _ in known}) < len(known)
    names = [f"{Path(name).stem}@{size}" if several else Path(name).stem for name, size in known]
    if len(set(names)) < len(names):
        names = [f"{name}@{size}" for name, size in known]
    graphs = PackedGraphs.concatenate([packed(part) for part in parts if part["read"].any()])
    return table_of("nnlqp", names, graphs, columns, [families[n] for n in known], source=str(file))


def _report(progress: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _fingerprint(folder: Path, networks: list[tuple[str, int]]) -> str:
    """Changes with the networks and with their files: one that was missing is looked for again."""
    digest = hashlib.sha256()
    for name, batch_size in networks:
        path = (folder / name).resolve()
        found = path.stat() if path.is_file() else None
        digest.update(f"{path} {batch_size} {found and (found.st_size, found.st_mtime_ns)}\n".encode())
    return digest.hexdigest()[:32]


def read_lines(file: Path) -> list[Measurement]:
    """The measurements of a ground-truth file.

    Raises:
        UsageError: A line is malformed, or there is none.
    """
    rows = []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is no text file") from error
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        try:
            _, path, batch, latency, family, platform, *stage = words
            if len(stage) > 1:
                raise ValueError
            rows.append(Measurement(path, int(batch), float(latency), family, int(platform)))
        except ValueError:
            raise UsageError(
                f"line {number} of {file} is not 'ID PATH BATCH LATENCY_MS FAMILY PLATFORM [train|test]': '{line[:80]}'"
                "; the file may be cut short"
            ) from None
    if not rows:
        raise UsageError(f"{file} is empty")
    return rows


def _ground_truth(path: Path) -> Path:
    if path.is_file():
        return path
    folders = [path, *(path / name for name in FOLDERS)]
    found = next((folder / name for folder in folders for name in FILES if (folder / name).is_file()), None)
    if found is None:
        raise UsageError(
            f"{path} has no {' or '.join(FILES)}: give the folder '{FOLDERS[0]}' or '{FOLDERS[1]}' of NNLQP's dataset"
        )
    return found
