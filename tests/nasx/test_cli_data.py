"""``nasx data``: what it prints, and one sentence with an exit code for every mistake."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from nasx import official, tables
from nasx.cli import main
from nasx.search_spaces import get_search_space
from nasx.search_spaces.errors import NasxError


def nasx(*arguments: object) -> int:
    """Runs the command line; returns its exit code."""
    sys.argv = ["nasx", "data", *map(str, arguments)]
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A table of the user's own."""
    space = get_search_space("nasbench201")
    rows = [f"{space.format(space.architecture(index))},{index}" for index in range(5)]
    path = tmp_path / "own.csv"
    path.write_text("\n".join(["architecture,score", *rows]))
    return path


def test_list_says_what_there_is_and_how_to_get_the_rest(
    toy: Any, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    official.import_file("toy", toy.write(tmp_path))
    tables.import_table("own", own, "nasbench201")
    assert nasx("list") == 0
    text = capsys.readouterr().out
    for name in ("nasbench201", "nasbench-graph", *official.NAMES, "toy", "own"):
        assert f"\n{name} " in f"\n{text}"
    assert "to get it, type: nasx data get nasbench101 (499 MB), or with the file at hand:" in text
    assert "NAS-Bench-201-v1_1-096897.pth (4.7 GB) in a browser from https://drive.google.com/" in text
    assert "present, 50 rows, 0.0 MB, CC0, source https://example.org/toy" in text


def test_list_as_json(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert nasx("list", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == [row["name"] for row in official.listing()]


def test_get_shows_the_licence_and_imports(toy: Any, site: Any, capsys: pytest.CaptureFixture[str]) -> None:
    site.body = toy.content()
    assert nasx("get", "toy", "--url", site.url) == 0
    screen = capsys.readouterr()
    assert f"toy-v1.bin (1 kB), licence CC0, from {site.url}" in screen.out
    assert "official page: https://example.org/toy" in screen.out
    assert "toy: 50 architectures of nasbench201" in screen.out
    assert "one to be chosen with --dataset: cifar10, cifar100" in screen.out
    assert screen.err == ""  # no progress bar where there is no terminal
    assert nasx("get", "toy", "--url", site.url) == 0
    assert "'toy' is already here" in capsys.readouterr().out
    assert len(site.asked) == 1
    assert nasx("get", "toy", "--url", site.url, "--replace") == 0
    assert len(site.asked) == 2


def test_get_of_an_embedded_benchmark(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from nasx.embedded import Package

    assert nasx("get", "nasbench-graph") == 0
    assert "comes with the package PyPI nas-bench-graph" in capsys.readouterr().out
    monkeypatch.setattr(Package, "path", lambda self, dataset: None)
    assert nasx("get", "nasbench-graph") == 2
    assert "type: pip install nas-bench-graph" in capsys.readouterr().err


def test_get_that_a_program_cannot_do_prints_the_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert nasx("get", "nats-bench") == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "https://drive.google.com/drive/folders/1zjB6wMANiKwB2A1yil2hQ8H_qyeSe2yt" in message
    assert message.endswith("type: nasx data import nats-bench NATS-tss-v1_0-3ffb9-simple.tar\n")


def test_ctrl_c_keeps_what_was_downloaded(
    toy: Any, site: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(official, "get", interrupted)
    assert nasx("get", "toy") == 1
    assert "type the same command again to continue" in capsys.readouterr().err


def test_import_of_an_official_file(toy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = toy.write(tmp_path)
    assert nasx("import", "toy", path) == 0
    assert "toy: 50 architectures" in capsys.readouterr().out
    assert nasx("import", "toy", path) == 2
    assert "--replace" in capsys.readouterr().err
    assert nasx("import", "toy", path, "--replace", "--space", "nasbench201") == 0
    assert nasx("import", "toy", toy.write(tmp_path, rows=9), "--replace") == 1
    assert "--unverified" in capsys.readouterr().err
    assert nasx("import", "toy", path, "--replace", "--unverified") == 0
    assert len(tables.open_table("toy")) == 9


def test_import_of_a_table_of_ones_own(toy: Any, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nasx("import", "own", own, "--space", "nasbench201", "--direction", "score=minimize") == 0
    assert "own: 5 architectures of nasbench201; score" in capsys.readouterr().out
    assert tables.open_table("own").metrics["score"].direction == "minimize"


MISTAKES = [
    (["get", "nasbench10"], 2, "did you mean 'nasbench101'"),
    (["get", "own"], 2, "known: nasbench101"),
    (["get", "toy", "--url", "ftp://host/x"], 2, "begins with https://"),
    (["get", "nats-bench", "--url", "https://host/x"], 2, "no published checksum"),
    (["import", "own", "{own}"], 2, "(--space): nasbench101"),
    (["import", "own", "{own}", "--space", "nasbench201", "--direction", "score"], 2, "not METRIC=maximize"),
    (["import", "own", "{own}", "--space", "nasbench201", "--unverified"], 2, "--unverified is for an official"),
    (["import", "own", "missing.csv", "--space", "nasbench201"], 2, "there is no file missing.csv"),
    (["import", "toy", "{own}"], 2, "another name, such as 'toy-mine'"),
    (["import", "toy", "x.bin", "--space", "nasbench101"], 2, "leave --space and --direction out"),
    (["import", "toy", "x.bin", "--direction", "a=maximize"], 2, "leave --space and --direction out"),
    (["import", "toy", "x.bin"], 2, "there is no file x.bin; type: nasx data get toy"),
    (["import", "mine", "nasbench_full.tfrecord"], 2, "type: nasx data import nasbench101-full nasbench_full.tfrecord"),
    (["import", "nasbench201", "NAS.pth"], 2, "imported by its official name"),
    (["import", "nasbench101", "nasbench_full.tfrecord"], 2, "is the file of 'nasbench101-full'"),
    (["describe", "nasbench202"], 2, "did you mean 'nasbench201'"),
    (["noise", "nasbench202"], 2, "did you mean 'nasbench201'"),
    (["noise", "nasbench201", "--dataset", "cifar1"], 2, "cifar10"),
    (["take"], 2, "take"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "words"), MISTAKES, ids=lambda value: " ".join(value) if isinstance(value, list) else None
)
def test_mistakes_are_one_sentence(
    arguments: list[str],
    code: int,
    words: str,
    toy: Any,
    own: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert nasx(*(argument.format(own=own) for argument in arguments)) == code
    screen = capsys.readouterr()
    assert words in screen.err
    assert "Traceback" not in screen.err
    assert list((tmp_path / "here").iterdir()) == []
    assert not tables.imported()


class Report:
    """Stands in for what describe and noise_ceiling return."""

    def __init__(self, subject: Any) -> None:
        self.subject = subject

    def __str__(self) -> str:
        return f"report on {type(self.subject).__name__} {self.subject.name}, {len(self.subject)} rows"

    def save(self, folder: Path) -> None:
        Path(folder).mkdir(parents=True)
        (Path(folder) / "report.txt").write_text(str(self))


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, function in (("describe", "describe"), ("noise", "noise_ceiling")):
        fake = types.ModuleType(f"nasx.{module}")
        setattr(fake, function, Report)
        monkeypatch.setitem(sys.modules, f"nasx.{module}", fake)


def test_describe_prints_and_writes(
    reports: None, toy: Any, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    official.import_file("toy", toy.write(tmp_path))
    assert nasx("describe", "toy") == 0
    assert capsys.readouterr().out == "report on Table toy, 50 rows\n"  # all data sets, to be compared
    assert nasx("describe", "toy", "--dataset", "cifar100", "--out", tmp_path / "out") == 0
    assert "report on TabularBenchmark toy, 50 rows\n" in capsys.readouterr().out
    assert (tmp_path / "out" / "report.txt").exists()
    assert nasx("describe", own, "--space", "nasbench201") == 0
    assert "report on TabularBenchmark own.csv, 5 rows\n" in capsys.readouterr().out


def test_noise_prints(reports: None, toy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    official.import_file("toy", toy.write(tmp_path))
    code = nasx("noise", "toy", "--dataset", "cifar10", "--rank-against", "test_accuracy_200_epochs_seed777")
    assert code == 0
    assert capsys.readouterr().out == "report on TabularBenchmark toy, 50 rows\n"


def test_describe_and_noise_of_several_data_sets(toy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    official.import_file("toy", toy.write(tmp_path))
    assert nasx("describe", "toy", "--out", tmp_path / "out") == 0
    text = capsys.readouterr().out
    assert "cifar10/test_accuracy_200_epochs_mean" in text
    assert "cifar100/test_accuracy_200_epochs_mean" in text
    assert list((tmp_path / "out").glob("*.png"))
    assert nasx("noise", "toy") == 2
    assert "choose one with dataset= (--dataset): cifar10, cifar100" in capsys.readouterr().err
    assert nasx("noise", "toy", "--dataset", "cifar10") == 0
    assert "test_accuracy_200_epochs_mean" in capsys.readouterr().out


def test_an_official_benchmark_is_used_by_its_name(toy: Any, tmp_path: Path) -> None:
    from nasx import load_benchmark

    official.import_file("toy", toy.write(tmp_path))
    bench = load_benchmark("toy", dataset="cifar100")
    assert bench.query(bench.architectures([3])[0], "test_accuracy", epochs=200, seed="mean") == pytest.approx(32.1)
    with pytest.raises(NasxError, match="cifar10"):
        load_benchmark("toy", dataset="mnist")


def test_nasbench101_from_the_server_to_the_answer(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nasx import load_benchmark
    from tests.nasx.miniature_nasbench101 import runs_of, write

    monkeypatch.setenv("NASX_DATA", str(tmp_path / "cache"))
    runs = list(runs_of([5, 17, 400_000]))
    site.body = write(tmp_path / "file", runs).read_bytes()
    site.cuts = [len(site.body) // 2]
    entry = dataclasses.replace(
        official.official("nasbench101"), rows=3, url=site.url, sha256=hashlib.sha256(site.body).hexdigest()
    )
    monkeypatch.setitem(official.OFFICIAL, "nasbench101", entry)
    assert nasx("get", "nasbench101") == 0
    assert "nasbench101: 3 architectures of nasbench101, 33 columns" in capsys.readouterr().out
    assert len(site.asked) == 2
    bench = load_benchmark("nasbench101")
    answer = bench.query(bench.architectures([1])[0], "test_accuracy", epochs=108, seed=1)
    assert answer == pytest.approx(runs[4].evaluations[2][-1])


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_nats_bench_from_the_file_to_the_answer(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nasx import load_benchmark
    from tests.nasx.miniature_nasbench201 import nats_contents, write_nats, write_tar

    monkeypatch.setenv("NASX_DATA", str(tmp_path / "cache"))
    path = write_nats(tmp_path, nats_contents(8))
    path = write_tar(tmp_path, path) if kind == "tar" else path
    assert nasx("import", "nats-bench", path) == 1
    assert "holds 8 of the 15,625 architectures" in capsys.readouterr().err
    assert nasx("import", "nats-bench", path, "--unverified") == 0
    assert "cifar10-valid, cifar10, cifar100, ImageNet16-120" in capsys.readouterr().out
    for dataset in ("cifar10-valid", "cifar10", "ImageNet16-120"):
        bench = load_benchmark("nats-bench", dataset=dataset)
        assert len(bench) == 8
        assert 0 <= bench.query(bench.formatted([0])[0], "test_accuracy", epochs=200, seed="mean") <= 100
    (tmp_path / "cache").rename(tmp_path / "done")
    file = tmp_path / "NATS-tss-v1_0-3ffb9-simple" / "000003.pickle.pbz2"
    file.write_bytes(file.read_bytes()[:-9])
    if kind == "folder":
        assert nasx("import", "nats-bench", path, "--unverified") == 1
        assert "000003.pickle.pbz2" in capsys.readouterr().err
        assert not (tmp_path / "cache" / "tables").exists()


def test_help_needs_no_heavy_import() -> None:
    script = (
        "import sys; sys.argv = ['nasx', 'data', '--help']\n"
        "from nasx.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'pandas', 'optuna', 'sklearn', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
