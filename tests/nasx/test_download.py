"""Downloads against a server on this machine that cuts connections, ignores ranges and serves wrong bytes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nasx import download as module
from nasx.download import download, file_sha256
from nasx.search_spaces.errors import NasxError, UsageError

BODY = bytes(range(256)) * 4096 * 3  # 3 MiB
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def _body(site: Any) -> None:
    site.body = BODY


def fetch(site: Any, folder: Path, **options: Any) -> Path:
    options = {"sha256": SHA256, "pause": 0.001, "timeout": 10.0, **options}
    return download(site.url, folder / "file.bin", **options)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_fetches_checks_and_leaves_nothing_else(site: Any, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = fetch(site, tmp_path / "new" / "folder", progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == BODY
    assert names(path.parent) == {"file.bin"}
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)


def test_a_file_that_is_there_is_not_fetched_again(site: Any, tmp_path: Path) -> None:
    fetch(site, tmp_path)
    fetch(site, tmp_path)
    assert len(site.asked) == 1
    (tmp_path / "file.bin").write_bytes(BODY[:-1])  # unless it is damaged
    assert fetch(site, tmp_path).read_bytes() == BODY
    assert len(site.asked) == 2


def test_a_cut_connection_is_taken_up_where_it_broke_off(site: Any, tmp_path: Path) -> None:
    site.cuts = [1_000_000, 500_000]
    assert fetch(site, tmp_path).read_bytes() == BODY
    assert [headers.get("Range") for headers in site.asked] == [None, "bytes=1000000-", "bytes=1500000-"]
    assert site.asked[1]["If-Range"] == '"first"'
    assert names(tmp_path) == {"file.bin"}


def test_a_later_call_continues(site: Any, tmp_path: Path) -> None:
    site.cuts = [700_000]
    with pytest.raises(
        NasxError, match=r"broke off after 0\.7 of 3\.1 MB.*0\.7 MB are kept.*type the same command again"
    ):
        fetch(site, tmp_path, attempts=1)
    assert names(tmp_path) == {"file.bin.part", "file.bin.part.json"}
    assert fetch(site, tmp_path).read_bytes() == BODY
    assert site.asked[-1]["Range"] == "bytes=700000-"
    assert names(tmp_path) == {"file.bin"}


def test_a_complete_part_is_not_asked_for_again(site: Any, tmp_path: Path) -> None:
    fetch(site, tmp_path)
    (tmp_path / "file.bin").rename(tmp_path / "file.bin.part")
    state = {"url": site.url, "validator": '"first"', "total": len(BODY)}
    (tmp_path / "file.bin.part.json").write_text(json.dumps(state))
    fetch(site, tmp_path)
    assert len(site.asked) == 1


def test_a_server_without_ranges_starts_again(site: Any, tmp_path: Path) -> None:
    site.ranges, site.cuts = False, [1_000_000]
    assert fetch(site, tmp_path).read_bytes() == BODY


def test_a_file_that_changed_meanwhile_starts_again(site: Any, tmp_path: Path) -> None:
    site.body, site.etag, site.cuts = b"old" * 1_000_000, '"old"', [1_000_000]
    with pytest.raises(NasxError):
        fetch(site, tmp_path, attempts=1)
    site.body, site.etag = BODY, '"new"'
    assert fetch(site, tmp_path).read_bytes() == BODY


def test_a_file_that_became_shorter_starts_again(site: Any, tmp_path: Path) -> None:
    site.etag, site.cuts = "", [2_000_000]  # no ETag: the range is answered with "there is nothing there"
    with pytest.raises(NasxError):
        fetch(site, tmp_path, attempts=1)
    site.body = BODY[:1_000_000]
    assert fetch(site, tmp_path, sha256=hashlib.sha256(site.body).hexdigest()).read_bytes() == site.body
    assert site.asked[1]["Range"] == "bytes=2000000-"


def test_the_wrong_part_of_the_file_is_not_appended(site: Any, tmp_path: Path) -> None:
    site.wrong_part, site.cuts = True, [1_000_000]
    assert fetch(site, tmp_path).read_bytes() == BODY


def test_without_checksum_and_etag_nothing_is_continued(site: Any, tmp_path: Path) -> None:
    site.etag, site.cuts = "", [1_000_000]
    assert fetch(site, tmp_path, sha256=None).read_bytes() == BODY
    assert "Range" not in site.asked[1]


def test_a_server_that_says_no_length(site: Any, tmp_path: Path) -> None:
    site.length = False
    assert fetch(site, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("damage", ["", "not json", "[1, 2]", '{"url": 3}', '{"total": "x"}'])
def test_a_damaged_note_beside_the_part_starts_again(site: Any, tmp_path: Path, damage: str) -> None:
    (tmp_path / "file.bin.part").write_bytes(b"something else")
    (tmp_path / "file.bin.part.json").write_text(damage)
    assert fetch(site, tmp_path).read_bytes() == BODY


def test_wrong_bytes_are_deleted(site: Any, tmp_path: Path) -> None:
    site.body = BODY[:-1] + b"x"
    with pytest.raises(NasxError, match=f"not the published file: its SHA-256 is .*, not {SHA256}; it was deleted"):
        fetch(site, tmp_path)
    assert names(tmp_path) == set()


def test_a_part_damaged_on_this_disk_is_noticed(site: Any, tmp_path: Path) -> None:
    site.cuts = [1_000_000]
    with pytest.raises(NasxError):
        fetch(site, tmp_path, attempts=1)
    part = tmp_path / "file.bin.part"
    part.write_bytes(b"x" + part.read_bytes()[1:])
    with pytest.raises(NasxError, match="SHA-256"):
        fetch(site, tmp_path)
    assert fetch(site, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("status", [404, 403, 410])
def test_an_answer_that_is_no_file_is_final(site: Any, tmp_path: Path, status: int) -> None:
    site.statuses = [status] * 9
    with pytest.raises(NasxError, match=f"the server answers {status}"):
        fetch(site, tmp_path)
    assert len(site.asked) == 1
    assert names(tmp_path) == set()


def test_a_busy_server_is_asked_again_a_few_times(site: Any, tmp_path: Path) -> None:
    site.statuses = [503, 429]
    assert fetch(site, tmp_path).read_bytes() == BODY
    site.statuses, site.asked = [503] * 9, []
    with pytest.raises(NasxError, match="the server answers 503"):
        fetch(site, tmp_path / "other")
    assert len(site.asked) == 5


def test_an_empty_answer_is_an_error(site: Any, tmp_path: Path) -> None:
    site.body = b""
    with pytest.raises(NasxError, match="the server sent nothing"):
        fetch(site, tmp_path)


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(NasxError, match=r"could not be fetched \(no connection: .*type the same command again"):
        download("http://127.0.0.1:9/file.bin", tmp_path / "file.bin", pause=0.001)
    assert names(tmp_path) == set()


def test_a_server_that_falls_silent(site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.socket() as mute:  # accepts and never answers
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(NasxError, match=r"broke off: .*timed out|no connection: .*timed out"):
            download(
                f"http://127.0.0.1:{mute.getsockname()[1]}/x", tmp_path / "x", timeout=0.05, pause=0.001, attempts=2
            )


@pytest.mark.parametrize("url", ["ftp://host/file", "file:///etc/passwd", "nasbench101", "http://"])
def test_other_addresses_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be fetched"):
        download(url, tmp_path / "file")


def test_a_full_disk_keeps_what_is_there(site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = 0

    def full(file: Any, block: bytes) -> None:
        nonlocal written
        if written > 1_000_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        file.write(block)
        written += len(block)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_write_all", full)
        with pytest.raises(NasxError, match=r"the disk is full.*make room"):
            fetch(site, tmp_path)
    assert names(tmp_path) == {"file.bin.part", "file.bin.part.json"}
    assert fetch(site, tmp_path).read_bytes() == BODY
    assert site.asked[-1]["Range"] == f"bytes={written}-"


def test_too_little_room_is_said_before_a_byte_is_fetched(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1_000_000})())
    with pytest.raises(NasxError, match=r"3 MB more are needed in .* and 1 MB are free"):
        fetch(site, tmp_path)


def test_a_folder_that_cannot_be_written(site: Any, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(NasxError, match="could not be written"):
        fetch(site, tmp_path / "taken")


@pytest.mark.skipif(os.name == "nt", reason="needs file locks of Unix")
def test_two_downloads_at_once(site: Any, tmp_path: Path) -> None:
    with module._locked(tmp_path / "file.bin.part"), pytest.raises(NasxError, match="another process is fetching"):
        fetch(site, tmp_path)
    assert fetch(site, tmp_path).read_bytes() == BODY


@pytest.mark.skipif(os.name == "nt", reason="needs signals of Unix")
def test_a_killed_download_continues(site: Any, tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom nasx.download import download\n"
        "download(sys.argv[1], sys.argv[2], sha256=sys.argv[3], progress=lambda done, total: time.sleep(0.05))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, site.url, str(tmp_path / "file.bin"), SHA256])
    part = tmp_path / "file.bin.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not (tmp_path / "file.bin").exists()
    there = part.stat().st_size
    assert fetch(site, tmp_path).read_bytes() == BODY
    assert site.asked[-1].get("Range") == f"bytes={there}-"


def test_checksum_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(BODY)
    seen: list[tuple[int, int]] = []
    assert file_sha256(path, lambda done, total: seen.append((done, total))) == SHA256
    assert seen[-1] == (len(BODY), len(BODY))
    with pytest.raises(NasxError, match="could not be read"):
        file_sha256(tmp_path / "missing")
