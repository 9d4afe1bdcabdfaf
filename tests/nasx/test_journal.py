"""Journals of whole lines: a torn one is mended, a full disk leaves nothing half-written, many may write."""

from __future__ import annotations

import resource
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import optuna

from nasx.journal import open_journal


def add(path: Path, count: int) -> None:
    study = optuna.create_study(storage=open_journal(path), study_name="ours", load_if_exists=True)
    for number in range(count):
        study.add_trial(optuna.trial.create_trial(value=float(number)))


def count(path: Path) -> int:
    return len(optuna.load_study(study_name="ours", storage=open_journal(path)).trials)


def test_half_a_line_is_cut_off_by_whoever_writes_next(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    add(path, 3)
    first = open_journal(path)
    with path.open("ab") as file:
        file.write(b'{"op_code": 4, "half a li')
    assert count(path) == 3
    add(path, 2)
    assert count(path) == 5
    assert len(first.get_all_trials(0)) == 5  # a reader that was there all the time agrees
    path.write_bytes(b"x" * 200_000)  # not one whole line
    assert open_journal(tmp_path / "other.log") is not None


def test_many_writers(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    add(path, 0)
    threads = [threading.Thread(target=add, args=(path, 10)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(path) == 40


_FULL = """
    import resource, sys
    from nasx.search_loop import search
    from nasx.search_spaces.errors import NasxError

    limit = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        search("nasbench201", lambda cell: cell.count("none"), predictor=None, strategy="random", budget=30,
               storage=sys.argv[1])
    except NasxError as error:
        print(f"{type(error).__name__}: {error}")
"""


def test_a_full_disk_is_one_sentence_and_the_search_goes_on_when_there_is_room(tmp_path: Path) -> None:
    from nasx.search_loop import search

    path = tmp_path / "journal.log"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_FULL), path, "10000"], capture_output=True, text=True, check=False
    )
    assert done.stdout == f"StorageLost: the journal {path} cannot be written: File too large; make room\n", done.stderr
    assert path.read_bytes().endswith(b"\n")
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    options = {"predictor": None, "strategy": "random", "budget": 30}
    resumed = search("nasbench201", lambda c: c.count("none"), storage=path, resume=True, **options)  # type: ignore[arg-type]
    undisturbed = search("nasbench201", lambda c: c.count("none"), **options)  # type: ignore[arg-type]
    assert resumed.history.equals(undisturbed.history)
