"""The official benchmark files: what each is, where it comes from, and how it becomes a table in the cache folder.

Nothing here knows a file format; the readers are named, and imported when a file is read.

>>> print(official("nats-bench").licence, official("nats-bench").rows)
MIT 15625
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace as changed
from importlib import import_module
from pathlib import Path
from typing import Any

from nasx.embedded import NAMES as EMBEDDED
from nasx.search_spaces.cache import UNFINISHED, cache_dir
from nasx.search_spaces.errors import NasxError, UsageError, unknown
from nasx.table_file import SUFFIX, Table

_LARGE = 100_000_000  # bytes; of a smaller file only the cells in it are hashed

#: Called with what is being done, how much of it is done, and how much it is (bytes or files; 0 where unknown).
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Official:
    """An official benchmark.

    Attributes:
        name: The name it is used by.
        contents: What is inside, in one line.
        space: Name of the search space.
        rows: Number of architectures in the published file.
        files: Names of the official files, the recommended one first; a folder where ``folder`` is true.
        size: Size of the recommended file, in words: the sources round it.
        licence: Licence of the data.
        source: The official page.
        pages: Where a person downloads the file, if a program cannot.
        url: Where a program downloads it, or None.
        sha256: The published checksum, or None.
        reader: ``"module:function"``, called as ``function(path, progress=callable)``.
        folder: Whether it is a folder (or the ``.tar`` of one) rather than a file.
        digest_in_name: Whether the reader compares the file's MD5 with its name, and takes ``verify=False``.
        every_row: Whether it must hold all rows.
    """

    name: str
    contents: str
    space: str
    rows: int
    files: tuple[str, ...]
    size: str
    licence: str
    source: str
    reader: str
    pages: tuple[str, ...] = ()
    url: str | None = None
    sha256: str | None = None
    folder: bool = False
    digest_in_name: bool = False
    every_row: bool = True

    @property
    def file(self) -> str:
        """Name of the recommended file."""
        return self.files[0]

    @property
    def how(self) -> str:
        """What to do to get it, as the end of a sentence."""
        bring = f"nasx data import {self.name} {self.file}"
        if self.url:
            return f"type: nasx data get {self.name} ({self.size}), or with the file at hand: {bring}"
        return f"download {self.file} ({self.size}) in a browser from {' or '.join(self.pages)} and type: {bring}"


_NASBENCH101: dict[str, Any] = {
    "space": "nasbench101",
    "rows": 423_624,
    "licence": "Apache-2.0",
    "source": "https://github.com/google-research/nasbench",
    "reader": "nasx.official_nasbench101:read",
}
_NASBENCH201: dict[str, Any] = {"space": "nasbench201", "rows": 15_625, "licence": "MIT", "digest_in_name": True}

OFFICIAL: dict[str, Official] = {
    entry.name: entry
    for entry in (
        Official(
            name="nasbench101",
            contents="NAS-Bench-101: accuracies and training time of 108 epochs, three repeats; CIFAR-10",
            files=("nasbench_only108.tfrecord",),
            size="499 MB",
            url="https://storage.googleapis.com/nasbench/nasbench_only108.tfrecord",
            sha256="4c39c3936e36a85269881d659e44e61a245babcb72cb374eacacf75d0e5f4fd1",
            **_NASBENCH101,
        ),
        Official(
            name="nasbench101-full",
            contents="NAS-Bench-101: accuracies and training time of 4, 12, 36 and 108 epochs, three repeats; CIFAR-10",
            files=("nasbench_full.tfrecord",),
            size="1.95 GB",
            url="https://storage.googleapis.com/nasbench/nasbench_full.tfrecord",
            sha256="3d64db8180fb1b0207212f9032205064312b6907a3bbc81eabea10db2f5c7e9c",
            **_NASBENCH101,
        ),
        Official(
            name="nasbench201-official",
            contents="NAS-Bench-201: 12 and 200 epochs, every seed; CIFAR-10, CIFAR-100, ImageNet16-120",
            files=("NAS-Bench-201-v1_1-096897.pth", "NAS-Bench-201-v1_0-e61699.pth"),
            size="4.7 GB",
            source="https://github.com/D-X-Y/NAS-Bench-201",
            pages=("https://drive.google.com/file/d/16Y0UwGisiouVRxW-W5hEtbxmcHw_0hF_/view",),
            reader="nasx.official_nasbench201:read",
            **_NASBENCH201,
        ),
        Official(
            name="nats-bench",
            contents="NATS-Bench, topology: 12 and 200 epochs, every seed; CIFAR-10, CIFAR-100, ImageNet16-120",
            files=("NATS-tss-v1_0-3ffb9-simple.tar", "NATS-tss-v1_0-3ffb9-simple", "NATS-tss-v1_0-3ffb9.pickle.pbz2"),
            size="about 1 GB",
            source="https://github.com/D-X-Y/NATS-Bench",
            pages=(
                "https://drive.google.com/drive/folders/1zjB6wMANiKwB2A1yil2hQ8H_qyeSe2yt",
                "https://www.dropbox.com/sh/ceeo70u1buow681/AAC2M-SbKOxiIqpB0UCgXNxja?dl=0",
            ),
            reader="nasx.official_nasbench201:read_nats",
            folder=True,
            **_NASBENCH201,
        ),
        Official(
            name="nnlqp",
            contents="NNLQP: latencies of whole networks of ten families on a GTX 1660 (or on nine other platforms)",
            space="networks",
            rows=20_000,
            files=("unseen_structure", "multi_platform"),
            size="size not stated",
            licence="not stated by the repository",
            source="https://github.com/ModelTC/NNLQP",
            pages=("https://github.com/ModelTC/NNLQP/releases",),
            reader="nasx.nnlqp:read",
            folder=True,
            every_row=False,
        ),
    )
}

NAMES = tuple(OFFICIAL)


def official(name: str) -> Official:
    """The official benchmark of that name.

    Raises:
        UsageError: There is none.

    >>> official("nasbench101").file
    'nasbench_only108.tfrecord'
    """
    try:
        return OFFICIAL[name]
    except KeyError:
        raise unknown("official benchmark", name, OFFICIAL) from None


def of_file(path: str | Path) -> Official | None:
    """The official benchmark that a file of this name belongs to.

    >>> of_file("downloads/nasbench_full.tfrecord").name
    'nasbench101-full'
    """
    name = Path(path).name
    return next((entry for entry in OFFICIAL.values() if name in entry.files), None)


def absent(name: str) -> UsageError:
    """The error for an official benchmark that is not on this machine: it says how to get it."""
    return UsageError(f"the official benchmark '{name}' is not on this machine; {official(name).how}")


def import_file(
    name: str,
    path: str | Path,
    *,
    replace: bool = False,
    unverified: bool = False,
    progress: Progress | None = None,
) -> Table:
    """Reads an official file and keeps it as a table, so that ``load_benchmark(name)`` opens it.

    The file is compared with its published SHA-256 where there is one, and must hold all architectures.

    Args:
        name: Name of the official benchmark.
        path: The official file; for NATS-Bench its folder or ``.tar``.
        replace: Whether a table of that name may be replaced.
        unverified: Take a file that is not the published one: an extract, or one written by others.
        progress: See :data:`Progress`.

    Raises:
        UsageError: No such benchmark or file, the file of another benchmark, or the name is taken.
        NasxError: The file is damaged or not the published one, or cannot be stored.
    """
    from nasx import tables

    entry, path = official(name), Path(path).expanduser()
    tables.check_free(name, replace=replace)
    _check_path(entry, path)
    if entry.sha256 and not unverified:
        _check_sha256(entry, path, progress)
    if entry.space == "nasbench101" and path.stat().st_size > _LARGE:
        _hash_all_cells(progress)
    options = {"verify": False} if unverified and entry.digest_in_name else {}
    table = _reader(entry)(path, progress=_stage(progress, "reading"), **options)
    if table.space.name != entry.space:
        raise NasxError(f"{path} belongs to the space '{table.space.name}', not to '{entry.space}' as '{name}' does")
    if entry.every_row and len(table) != entry.rows and not unverified:
        raise NasxError(
            f"{path} holds {len(table):,} of the {entry.rows:,} architectures of '{name}': it may be cut short; get it "
            "again, or say that it is an extract with unverified=True (--unverified)"
        )
    extra = {**table.extra, "file": path.name, "verified": not unverified}
    table = changed(table, name=name, licence=entry.licence, source=entry.source, extra=extra)
    tables.check_free(name, replace=replace)  # another process may have been faster
    _sweep(tables.store(table).parent)
    shutil.rmtree(cache_dir() / UNFINISHED / name, ignore_errors=True)
    return table


def get(
    name: str,
    *,
    url: str | None = None,
    replace: bool = False,
    keep: bool = False,
    progress: Progress | None = None,
) -> Table:
    """Downloads an official benchmark, checks it and imports it; called again after a failure, it continues.

    Args:
        name: Name of the official benchmark.
        url: Another address of the same file; it must have the published SHA-256 all the same.
        replace: Whether a table of that name may be replaced.
        keep: Whether to keep the downloaded file after it was imported.
        progress: See :data:`Progress`.

    Raises:
        UsageError: No such benchmark, or the name is taken.
        NasxError: It cannot be downloaded by program (the sentence says from where and what to do), or one of the
            failures of :func:`nasx.download.download` and :func:`import_file`.
    """
    from nasx import tables
    from nasx.download import download

    entry = official(name)
    tables.check_free(name, replace=replace)
    if entry.url is None:
        if url is not None:
            raise UsageError(f"'{name}' has no published checksum to check {url} by; {entry.how}")
        raise NasxError(f"'{name}' lies on a web drive that programs cannot fetch from: {entry.how}")
    path = download_folder() / entry.file
    try:
        download(
            url or entry.url,
            path,
            sha256=entry.sha256,
            progress=_stage(progress, "downloading"),
        )
    except UsageError:
        raise
    except NasxError as error:
        raise NasxError(f"{error} (a file you have already: nasx data import {name} {entry.file})") from error
    table = import_file(name, path, replace=replace, progress=progress)
    if not keep:
        path.unlink(missing_ok=True)
    return table


def download_folder() -> Path:
    """Where downloads are kept until they are imported."""
    return cache_dir() / "downloads"


def _check_path(entry: Official, path: Path) -> None:
    if path.suffix.lower() in (".csv", ".parquet"):
        raise UsageError(
            f"'{entry.name}' is the official benchmark, read from {entry.file}; give a table of your own another name, "
            f"such as '{entry.name}-mine'"
        )
    other = of_file(path)
    if other is not None and other is not entry:
        raise UsageError(
            f"{path.name} is the file of '{other.name}', not of '{entry.name}'; type: nasx data import "
            f"{other.name} {path}"
        )
    if not path.exists():
        raise UsageError(f"there is no file {path}; {entry.how}")
    if path.is_dir() and not entry.folder:
        inside = next((path / name for name in entry.files if (path / name).is_file()), None)
        hint = (
            f"type: nasx data import {entry.name} {inside}" if inside else f"'{entry.name}' is read from {entry.file}"
        )
        raise UsageError(f"{path} is a folder; {hint}")
    if not os.access(path, os.R_OK):
        raise NasxError(f"{path} may not be read by you; change its permissions or copy it")


def _check_sha256(entry: Official, path: Path, progress: Progress | None) -> None:
    from nasx.download import file_sha256

    found = file_sha256(path, _stage(progress, "checking"))
    if found != entry.sha256:
        raise NasxError(
            f"{path} is not the published {entry.file}: its SHA-256 is {found}, not {entry.sha256}; get it again, or "
            "take it as it is with unverified=True (--unverified)"
        )


def _stage(progress: Progress | None, stage: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(stage, done, total)


def _hash_all_cells(progress: Progress | None) -> None:
    """The hashes that the file's are compared with: made once, and kept in the cache folder."""
    from nasx.search_spaces.nasbench101_hash import all_module_hashes

    if progress is not None:
        progress("hashing every cell, once", 0, 0)
    all_module_hashes()


def _sweep(folder: Path) -> None:
    """Deletes what killed imports have left behind: unfinished files, hidden, an hour old."""
    for path in folder.glob(f".*{SUFFIX}.*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > 3600:
                path.unlink()


def _reader(entry: Official) -> Callable[..., Table]:
    module, function = entry.reader.split(":")
    reader: Callable[..., Table] = getattr(import_module(module), function)
    return reader


def listing() -> list[dict[str, Any]]:
    """All benchmarks: the embedded, the official, then the user's own, each with the same keys.

    They are name, contents, rows, size, licence, source, and present: that it is, or what to do to get it.
    """
    from nasx import tables

    found = {row["name"]: row for row in tables.list_data()}
    embedded = [
        row | {"present": row["present"].replace("absent: pip", "absent: type: pip")}
        for name, row in found.items()
        if name in EMBEDDED
    ]
    own = [row for name, row in found.items() if name not in OFFICIAL and name not in EMBEDDED]
    return [*embedded, *(_listed(entry, found.get(entry.name)) for entry in OFFICIAL.values()), *own]


def _listed(entry: Official, stored: dict[str, Any] | None) -> dict[str, Any]:
    row = {key: getattr(entry, key) for key in ("name", "contents", "rows", "size", "licence", "source")}
    if stored is None:
        return row | {"present": f"absent: {entry.how}"}
    if stored["present"] != "present":
        return row | {"present": f"damaged: {entry.how}"}
    return row | {"rows": stored["rows"], "size": stored["size"], "present": _present(entry.name)}


def _present(name: str) -> str:
    from nasx import tables
    from nasx.network_store import about_networks
    from nasx.table_file import read_description

    path = tables.imported()[name]
    verified = (about_networks if path.is_dir() else read_description)(path)["extra"].get("verified")
    if verified is None:
        return "present, but a table of your own"
    return "present" if verified else "present, imported with --unverified"
