"""Damaged, foreign and incomplete files of NAS-Bench-201 and NATS-Bench, and fuzz tests."""

from __future__ import annotations

import bz2
import os
import pickle
import random
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasx.nasbench201_runs import condense
from nasx.official_nasbench201 import read, read_nats
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.table_file import Table
from tests.nasx import miniature_nasbench201 as miniature
from tests.nasx.miniature_nasbench201 import FORMS, contents_of, write_form

COUNT = 8


class Evil:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("pickled-code-was-run",)


def write(folder: Path, form: str, infos: dict[str, Any] | None = None) -> Path:
    return write_form(folder, form, contents_of(form, COUNT) if infos is None else infos)


def read_form(path: Path, form: str) -> Table:
    return (read_nats if form.startswith("nats") else read)(path)


@pytest.mark.parametrize("form", FORMS)
def test_foreign_classes_are_refused_by_name(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    infos = contents_of(form, COUNT)
    next(iter(infos["arch2infos"][7].values()))["arch_str"] = Evil()
    with pytest.raises(NasxError, match=r"(posix|nt)\.mkdir"):
        read_form(write(tmp_path, form, infos), form)
    assert not (tmp_path / "pickled-code-was-run").exists()


def test_weights_are_refused(tmp_path: Path) -> None:
    import torch

    infos = miniature.contents(2)
    infos["arch2infos"][0]["full"]["all_results"]["cifar10", 777]["net_state_dict"] = {"w": torch.zeros(3)}
    for legacy in (True, False):
        with pytest.raises(NasxError, match=r"objects outside itself|torch"):
            read(miniature.write_pth(tmp_path, infos, legacy=legacy))


@pytest.mark.parametrize("form", FORMS)
def test_cut_short(form: str, tmp_path: Path) -> None:
    path = write(tmp_path, form)
    if path.is_dir():
        path = path / "000003.pickle.pbz2"
    whole = path.read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 20_000, len(whole) - 1):
        if form == "nats-tar" and length == len(whole) - 1:
            continue  # the last block of an archive is padding
        path.write_bytes(whole[: max(length, 0)])
        with pytest.raises(NasxError, match=r"damaged|cut short|not complete|has no results"):
            read_form(path.parent if form == "nats" else path, form)


@pytest.mark.parametrize("form", FORMS)
def test_wrong_file_under_the_right_name(form: str, tmp_path: Path) -> None:
    names = {"v": "NAS-Bench-201-v1_1-096897.pth", "n": "NATS-tss-v1_0-3ffb9-simple.tar"}
    path = tmp_path / names[form[0]]
    for content in (b"<html>Too many requests</html>", b"", pickle.dumps({"cell": 1}), os.urandom(5000)):
        path.write_bytes(content)
        with pytest.raises(NasxError, match="get the file again"):
            read_form(path, form)


@pytest.mark.parametrize("form", ["v1_1", "v1_1-zip", "nats-file"])
def test_the_right_digits_do_not_make_it_the_right_file(form: str, tmp_path: Path) -> None:
    suffix, digits = (".pickle.pbz2", 5) if form == "nats-file" else (".pth", 6)
    stem = "NATS-tss-v1_0" if form == "nats-file" else "NAS-Bench-201-v1_1"
    for content in (b"", b"PK\x03\x04", b"BZh9", b"hello", pickle.dumps(1, 2), pickle.dumps(0x1950A86A20F9469CFC6C, 2)):
        (tmp_path / "other").write_bytes(bz2.compress(content) if form == "nats-file" else content)
        path = miniature.named_by_digest(tmp_path / "other", stem, digits, suffix)
        with pytest.raises(NasxError, match="get the file again"):
            read_form(path, form)


def test_another_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other", "w") as archive:
        archive.writestr("model/code.py", "x = 1")
    with pytest.raises(NasxError, match=r"data\.pkl"):
        read(miniature.named_by_digest(tmp_path / "other", "NAS-Bench-201-v1_1", 6, ".pth"))


def test_a_renamed_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "v1_1")
    with pytest.raises(NasxError, match=r"MD5 ends in .* 096897 or e61699"):
        read(path.rename(tmp_path / "table.pth"))


def test_missing_files(tmp_path: Path) -> None:
    for reader in (read, read_nats):
        with pytest.raises(UsageError, match="there is no"):
            reader(tmp_path / "absent.pth")
    with pytest.raises(UsageError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(NasxError, match=r"holds no meta\.pickle\.pbz2"):
        read_nats(tmp_path)


@pytest.mark.parametrize("form", ["nats", "nats-tar"])
@pytest.mark.parametrize("missing", ["000004.pickle.pbz2", "meta.pickle.pbz2"])
def test_one_file_missing(form: str, missing: str, tmp_path: Path) -> None:
    path = write(tmp_path, "nats")
    (path / missing).unlink()
    if form == "nats-tar":
        path = miniature.write_tar(tmp_path, path)
    message = "holds no meta" if missing.startswith("meta") else r"no results of architecture 4 \(\|"
    with pytest.raises(NasxError, match=message):
        read_nats(path)


def test_files_that_were_swapped(tmp_path: Path) -> None:
    path = write(tmp_path, "nats")
    shutil.copy(path / "000004.pickle.pbz2", path / "000005.pickle.pbz2")
    with pytest.raises(NasxError, match=r"000005\.pickle\.pbz2.*architecture 5.*architecture 4"):
        read_nats(path)


def test_other_files_in_the_folder_do_not_matter(tmp_path: Path) -> None:
    path = write(tmp_path, "nats")
    (path / "README.txt").write_text("hello")
    assert len(read_nats(path)) == COUNT


def mutated(whole: bytes, rng: random.Random) -> bytes:
    """One to three bytes changed, dropped or inserted, or the end cut off."""
    content = bytearray(whole)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(content))
        kind = rng.randrange(8)
        if kind == 0:
            del content[place]
        elif kind == 1:
            content.insert(place, rng.randrange(256))
        elif kind == 2 and rng.random() < 0.2:
            del content[place:]
        else:
            content[place] ^= 1 << rng.randrange(8)
        if not content:
            break
    return bytes(content)


def same(one: Table, other: Table) -> bool:
    return one.metrics == other.metrics and all(
        np.array_equal(values, other.columns[name], equal_nan=True) for name, values in one.columns.items()
    )


@pytest.mark.parametrize("form", ["v1_1", "v1_1-zip", "nats-file"])
def test_a_damaged_file_is_never_believed(form: str, tmp_path: Path) -> None:
    """The checksum in the name finds every mutation, whatever it hits."""
    infos = miniature.nats_contents(1) if form == "nats-file" else miniature.contents(1)
    path, rng = write(tmp_path, form, infos), random.Random(1)
    whole = path.read_bytes()
    for _ in range(1000):
        path.write_bytes(content := mutated(whole, rng))
        if content != whole:
            with pytest.raises(NasxError):
                read_form(path, form)


@pytest.mark.parametrize("form", ["v1_1", "v1_1-zip"])
def test_damage_that_the_name_agrees_with(form: str, tmp_path: Path) -> None:
    """With a forged name there is a table or a sentence; the archive's own checksum still finds changed numbers."""
    path, rng = write(tmp_path, form, short(miniature.contents(2))), random.Random(2)
    whole, table = path.read_bytes(), read(path)
    outcomes = {"table": 0, "sentence": 0}
    for _ in range(1500):
        (tmp_path / "mutated").write_bytes(mutated(whole, rng))
        forged = miniature.named_by_digest(tmp_path / "mutated", "NAS-Bench-201-v1_1", 6, ".pth")
        try:
            found = read(forged)
            outcomes["table"] += 1
            assert form == "v1_1" or same(found, table)
        except NasxError:
            outcomes["sentence"] += 1
        forged.unlink()
    assert outcomes["sentence"] > 100


def short(infos: dict[str, Any]) -> dict[str, Any]:
    """The same with few training runs, so that mutations hit structure more often than learning curves."""
    for info in infos["arch2infos"].values():
        for state in info.values():
            for result in state["all_results"].values():
                condense(result)
                result["train_times"] = None
    return infos


def test_damaged_entries_of_a_folder_are_never_believed(tmp_path: Path) -> None:
    path, rng = write(tmp_path, "nats", short(miniature.nats_contents(2))), random.Random(3)
    table = read_nats(path)
    for _ in range(500):
        file = path / rng.choice(["meta.pickle.pbz2", "000000.pickle.pbz2", "000001.pickle.pbz2"])
        whole = file.read_bytes()
        file.write_bytes(mutated(whole, rng))
        message = ""
        try:
            assert same(read_nats(path), table)  # a byte that does not matter
        except NasxError as error:
            message = str(error)
        assert not message or file.name in message
        file.write_bytes(whole)


def test_damaged_archives_are_never_believed(tmp_path: Path) -> None:
    path, rng = write(tmp_path, "nats-tar", short(miniature.nats_contents(2))), random.Random(4)
    whole, table = path.read_bytes(), read_nats(path)
    for _ in range(500):
        path.write_bytes(mutated(whole, rng))
        try:
            assert same(read_nats(path), table)
        except NasxError:
            continue


def test_an_entry_too_large_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "nats")
    (path / "000001.pickle.pbz2").write_bytes(bz2.compress(bytes(70 << 20)))
    with pytest.raises(NasxError, match=r"000001\.pickle\.pbz2"):
        read_nats(path)
