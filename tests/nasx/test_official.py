"""Official benchmarks: what is known of them, importing and fetching them, and what is left after a failure."""

from __future__ import annotations

import dataclasses
import errno
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasx import official, tables
from nasx.search_spaces import SPACES
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.network_table import NetworkTable
from tests.nasx.miniature_nasbench201 import contents, write_pth

ENTRIES = list(official.OFFICIAL.values())


def stored(cache: Path) -> set[str]:
    return {path.name for path in (cache / "tables").iterdir()} if (cache / "tables").exists() else set()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_entry_says_all_it_should(entry: official.Official) -> None:
    assert entry.space in {*SPACES, NetworkTable.name}
    assert entry.rows > 15_000
    assert entry.licence
    assert entry.source.startswith("https://")
    assert bool(entry.url) != bool(entry.pages)  # fetched by program, or by a person
    assert not entry.url or re.fullmatch("[0-9a-f]{64}", entry.sha256 or "")
    assert all(page.startswith("https://") for page in entry.pages)
    assert f"nasx data import {entry.name} {entry.file}" in entry.how
    assert all(official.of_file(f"some/folder/{name}") is entry for name in entry.files)
    assert str(official.absent(entry.name)).endswith(entry.how)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_reader_exists(entry: official.Official) -> None:
    assert callable(official._reader(entry))


def test_unknown_names() -> None:
    with pytest.raises(UsageError, match="did you mean 'nasbench101'"):
        official.official("nasbench1O1")
    assert official.of_file("mine.pth") is None


def test_import_keeps_the_table_under_its_official_name(toy: Any, tmp_path: Path) -> None:
    stages: list[tuple[str, int, int]] = []
    table = official.import_file("toy", toy.write(tmp_path), progress=lambda *stage: stages.append(stage))
    assert (table.name, table.licence, table.source) == ("toy", "CC0", "https://example.org/toy")
    assert table.extra == {"version": 1, "file": "toy-v1.bin", "verified": True}
    assert [stage for stage, _, _ in stages] == ["checking", "reading"]
    opened = tables.open_table("toy")
    assert len(opened) == 50
    for name, values in table.columns.items():
        assert np.array_equal(opened.columns[name], values)


def test_a_table_is_replaced_only_when_asked(toy: Any, tmp_path: Path) -> None:
    path = toy.write(tmp_path)
    official.import_file("toy", path)
    with pytest.raises(UsageError, match="--replace"):
        official.import_file("toy", path)
    official.import_file("toy", path, replace=True)


def test_a_file_that_is_not_the_published_one(toy: Any, tmp_path: Path) -> None:
    path = toy.write(tmp_path, rows=20)
    with pytest.raises(NasxError, match=r"is not the published toy-v1.bin: its SHA-256 is .* \(--unverified\)"):
        official.import_file("toy", path)
    assert stored(tmp_path / "cache") == set()
    table = official.import_file("toy", path, unverified=True)
    assert len(table) == 20
    assert table.extra["verified"] is False


def test_a_file_without_checksum_must_at_least_be_complete(
    toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = dataclasses.replace(official.OFFICIAL["toy"], sha256=None)
    monkeypatch.setitem(official.OFFICIAL, "toy", entry)
    with pytest.raises(NasxError, match="holds 49 of the 50 architectures"):
        official.import_file("toy", toy.write(tmp_path, rows=49))
    official.import_file("toy", toy.write(tmp_path))


def test_a_table_of_another_space(toy: Any, tmp_path: Path) -> None:
    with pytest.raises(NasxError, match="belongs to the space 'nasbench-graph', not to 'nasbench201'"):
        official.import_file("toy", toy.write(tmp_path, space="nasbench-graph"), unverified=True)


def test_a_damaged_file_leaves_nothing(toy: Any, tmp_path: Path) -> None:
    path = toy.write(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(NasxError, match="is no toy"):
        official.import_file("toy", path, unverified=True)
    assert stored(tmp_path / "cache") == set()


def test_paths_that_cannot_be_meant(toy: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file .*missing.bin; type: nasx data get toy"):
        official.import_file("toy", tmp_path / "missing.bin")
    with pytest.raises(UsageError, match="another name, such as 'toy-mine'"):
        official.import_file("toy", tmp_path / "mine.CSV")
    with pytest.raises(UsageError, match="is the file of 'nasbench101-full', not of 'toy'"):
        official.import_file("toy", tmp_path / "nasbench_full.tfrecord")
    with pytest.raises(UsageError, match=r"is a folder; 'toy' is read from toy-v1.bin"):
        official.import_file("toy", tmp_path)
    toy.write(tmp_path)
    with pytest.raises(UsageError, match=f"is a folder; type: nasx data import toy {tmp_path / 'toy-v1.bin'}"):
        official.import_file("toy", tmp_path)


def test_a_full_disk_leaves_what_was_there(toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = toy.write(tmp_path)
    official.import_file("toy", path)
    before = (tables.imported()["toy"]).read_bytes()

    def full(source: Any, target: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(NasxError, match="No space left on device"):
            official.import_file("toy", path, replace=True)
    assert tables.imported()["toy"].read_bytes() == before
    assert stored(tmp_path / "cache") == {tables.imported()["toy"].name}


def test_get_fetches_checks_and_imports(toy: Any, site: Any, tmp_path: Path) -> None:
    site.body, site.cuts = toy.content(), [100]
    stages: list[str] = []
    table = official.get("toy", url=site.url, progress=lambda stage, done, total: stages.append(stage))
    assert len(table) == 50
    assert list(dict.fromkeys(stages)) == ["downloading", "checking", "reading"]
    assert list(official.download_folder().iterdir()) == []
    official.get("toy", url=site.url, replace=True, keep=True)
    assert [path.name for path in official.download_folder().iterdir()] == ["toy-v1.bin"]
    asked = len(site.asked)
    official.get("toy", url=site.url, replace=True)  # the kept file is used
    assert len(site.asked) == asked
    with pytest.raises(UsageError, match="--replace"):
        official.get("toy", url=site.url)


def test_get_keeps_the_file_when_it_cannot_be_imported(
    toy: Any, site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.body = toy.content()
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["toy_reader"], "read", lambda path, progress=None: toy.read(path / "nothing"))
        with pytest.raises(OSError, match="nothing"):
            official.get("toy", url=site.url)
    official.get("toy", url=site.url)
    assert len(site.asked) == 1


def test_get_of_wrong_bytes_imports_nothing(toy: Any, site: Any, tmp_path: Path) -> None:
    site.body = toy.content(rows=20)
    with pytest.raises(NasxError, match=r"SHA-256 .* \(a file you have already: nasx data import toy toy-v1.bin\)"):
        official.get("toy", url=site.url)
    assert stored(tmp_path / "cache") == set()
    assert list(official.download_folder().iterdir()) == []


@pytest.mark.parametrize("name", ["nasbench201-official", "nats-bench"])
def test_what_a_program_cannot_fetch_is_explained(name: str) -> None:
    with pytest.raises(NasxError, match=rf"web drive.*download N.* from https://.*type: nasx data import {name} N"):
        official.get(name)
    with pytest.raises(UsageError, match="no published checksum"):
        official.get(name, url="https://example.org/file")


def test_listing(toy: Any, tmp_path: Path) -> None:
    names = [row["name"] for row in official.listing()]
    assert names[:2] == ["nasbench201", "nasbench-graph"]  # embedded, then official
    assert [name for name in names[2:] if name in official.OFFICIAL] == list(official.OFFICIAL)
    assert "latency-xeon-1thread" in names[2:]  # a table that comes with nasx
    row = next(row for row in official.listing() if row["name"] == "toy")
    assert row["present"].startswith("absent: type: nasx data get toy")
    assert set(row) == {"name", "contents", "rows", "size", "licence", "source", "present"}

    official.import_file("toy", toy.write(tmp_path))
    (tmp_path / "mine.csv").write_text("architecture,accuracy\n0,1\n".replace("0,", f"{_cell()},"))
    tables.import_table("mine", tmp_path / "mine.csv", "nasbench201")
    rows = {row["name"]: row for row in official.listing()}
    assert list(rows)[-1] == "mine"
    assert (rows["toy"]["rows"], rows["toy"]["present"]) == (50, "present")

    official.import_file("toy", toy.write(tmp_path, rows=7), replace=True, unverified=True)
    row = next(row for row in official.listing() if row["name"] == "toy")
    assert (row["rows"], row["present"]) == (7, "present, imported with --unverified")

    tables.imported()["toy"].write_bytes(b"damaged")
    row = next(row for row in official.listing() if row["name"] == "toy")
    assert row["present"].startswith("damaged: type: nasx data get toy")


def _cell() -> str:
    from nasx.search_spaces import get_search_space

    space = get_search_space("nasbench201")
    return space.format(space.architecture(0))


IMPORTS_FOREVER = """
import itertools, sys, types
import numpy as np
from nasx import official
from nasx.metric import Metric
from nasx.search_spaces import get_search_space
from nasx.table_file import Table

round_ = itertools.count(int(sys.argv[2]))
space = get_search_space("nasbench201")

def read(path, progress=None):
    metrics = {f"m{i}": Metric(f"m{i}") for i in range(30)}
    columns = {name: np.full(15625, next(round_) if name == "m0" else 0.0) for name in metrics}
    columns = {name: columns["m0"] for name in columns}
    return Table("x", space, np.arange(15625), columns, metrics)

sys.modules["reader"] = types.ModuleType("reader")
sys.modules["reader"].read = read
official.OFFICIAL["toy"] = official.Official("toy", "", "nasbench201", 15625, ("toy",), "", "", "", "reader:read")
while True:
    official.import_file("toy", sys.argv[1], replace=True)
    print("stored", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs signals of Unix")
def test_killed_imports_leave_a_whole_table_and_two_at_once_do_not_mix(tmp_path: Path, toy: Any) -> None:
    path = toy.write(tmp_path)
    rng = np.random.default_rng(0)
    for _ in range(2):
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", IMPORTS_FOREVER, str(path), str(start)], stdout=subprocess.PIPE, text=True
            )
            for start in (1, 1_000_000)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "stored\n"
        for process in processes:
            time.sleep(rng.uniform(0, 0.05))
            process.kill()
            process.communicate()
        table = tables.open_table("toy")
        assert len({float(values[0]) for values in table.columns.values()}) == 1  # all columns of one import
        assert all((values == values[0]).all() for values in table.columns.values())  # and their checksums agree


def test_what_killed_imports_left_is_swept_up(toy: Any, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "tables"
    folder.mkdir(parents=True)
    old, young = folder / ".toy.safetensors.1-ab", folder / ".toy.safetensors.2-cd"
    for left in (old, young):
        left.write_bytes(b"half")
    os.utime(old, (0, 0))
    official.import_file("toy", toy.write(tmp_path))
    assert not old.exists()
    assert young.exists()  # perhaps of an import that is running
    assert list(tables.imported()) == ["toy"]


def test_unverified_takes_a_file_whose_name_says_another_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("NASX_DATA", str(tmp_path / "cache"))
    written = write_pth(tmp_path, contents(2))
    renamed = written.rename(tmp_path / "NAS-Bench-201-v1_1-096897.pth")
    with pytest.raises(NasxError, match="MD5 ends in"):
        official.import_file("nasbench201-official", renamed)
    table = official.import_file("nasbench201-official", renamed, unverified=True)
    assert len(table) == 2
    assert table.extra["verified"] is False
