"""One page about searches and evaluations: what it says, what lies beside it, and how it looks in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import nasx
from nasx.html_page import page, table
from nasx.html_report import write_html_report
from nasx.html_runs import is_search_run, read_run, subjects_of
from nasx.predictors import make_predictor
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.table_file import Metric, Table
from nasx.tabular import TabularBenchmark

SPACE = NASBench201()
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
]  # fmt: skip


def write_config(folder: Path, **options: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "command": f"nasx search --seed {options['seed']} <&>",
        "options": {"benchmark": "toy", "strategy": "evolution", "predictor": "trees", "budget": 30, **options},
        "versions": {"python": "3.11", "nasx": "0.1.0"},
        "machine": {"platform": "here"},
        "started": "2026-01-01T00:00:00",
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three runs of one subject: two seeds of one setting, one of another."""
    root = tmp_path_factory.mktemp("runs")
    rows = np.sort(np.random.default_rng(0).permutation(15625)[:400])
    cells = [SPACE.architecture(int(row)) for row in rows]
    values = np.array([cell.count("nor_conv_3x3") + 0.3 * cell.count("nor_conv_1x1") for cell in cells])
    values = values + np.random.default_rng(0).normal(scale=0.01, size=len(cells))
    metrics = {"score": Metric("score", "", "maximize")}
    truth = TabularBenchmark(Table("toy", SPACE, rows, {"score": values}, metrics))
    folders = []
    for seed in (0, 1):
        folder = write_config(root / f"run{seed}", seed=seed)
        common = {"budget": 30, "initial": 10, "seed": seed}
        result = nasx.search(SPACE, truth, predictor=make_predictor("trees", trees=20), **common)
        result.baseline = nasx.search(SPACE, truth, predictor=None, **common)
        folders.append(result.save(folder))
    alone = write_config(root / "alone", seed=0, predictor="none", strategy="random")
    folders.append(nasx.search(SPACE, truth, predictor=None, strategy="random", budget=30).save(alone))
    return folders


@pytest.fixture(scope="module")
def report(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    write_html_report(runs, out)
    return out


@pytest.fixture
def pareto(tmp_path: Path) -> Path:
    """A run with two objectives, as its folder holds it."""
    folder = write_config(tmp_path / "pareto", seed=0, benchmark="nasbench201", objective=["accuracy", "latency"])
    rng = np.random.default_rng(0)
    history = pd.DataFrame(
        {
            "round": np.repeat([0, 1], 10),
            "architecture": [SPACE.format(cell) for cell in SPACE.samples(20, rng)],
            "accuracy": rng.random(20),
            "latency": rng.random(20),
            "hypervolume_so_far": np.linspace(0.1, 0.8, 20),
            "state": "complete",
        }
    )
    history.to_csv(folder / "history.csv", index=False)
    front = history.loc[[1, 5, 7], ["architecture", "accuracy", "latency"]]
    front.to_csv(folder / "pareto.csv", index=False)
    summary = {
        "objectives": {"accuracy": "maximize", "latency": "minimize"}, "hypervolume": 0.8, "front": 3,
        "share_of_true_hypervolume": 0.95, "evaluations": 20, "total_seconds": 1.0,
        "kendall_tau": {"accuracy": 0.5, "latency": None},
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def test_runs_are_sorted_into_settings_and_seeds(runs: list[Path]) -> None:
    (subject,) = subjects_of([*runs, runs[0]])
    assert [(setting.label, len(setting.runs)) for setting in subject.settings] == [
        ("evolution with trees", 2),
        ("random alone", 1),
    ]
    assert subject.best.curve[-1] == max(run.curve[-1] for run in subject.runs)
    assert subject.best.graph is not None


def test_settings_that_share_a_name_say_how_they_differ(runs: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(runs[0], other)
    write_config(other, seed=0, batch=5)
    (subject,) = subjects_of([runs[0], other])
    assert [setting.label for setting in subject.settings] == [
        "evolution with trees, batch None",
        "evolution with trees, batch 5",
    ]


def test_the_page_says_what_was_found(runs: list[Path], report: Path) -> None:
    html = (report / "report.html").read_text()
    best = subjects_of(runs)[0].best
    assert best.summary["best_architecture"] in html
    assert f"{best.curve[-1]:.6g}" in html
    assert html.count("<svg") == 4  # the architecture, the curves, the ranking, tau
    assert "nasx search --seed 0 &lt;&amp;&gt;" in html
    assert "<script" not in html
    assert "var(--ink)" in html
    names = [f'id="{name}"' for name in re.findall(r'(?:url\(#|href="#)([\w.-]+)', html)]
    assert names
    assert all(name in html for name in names)


def test_files_beside_it(runs: list[Path], report: Path) -> None:
    assert {path.name for path in report.iterdir()} == {
        "report.html", "settings-1.csv", "settings-1.tex", "evaluations-1.csv", "best-1.dot",
        *(f"{name}-1.{end}" for name in ("best", "best-so-far", "ranking", "tau") for end in ("png", "svg")),
    }  # fmt: skip
    settings = pd.read_csv(report / "settings-1.csv")
    assert settings["setting"].tolist() == ["evolution with trees", "random alone", "evolution without predictor"]
    assert settings["runs"].tolist() == [2, 1, 2]
    found = pd.read_csv(report / "evaluations-1.csv").groupby(["setting", "seed"])["value"].max()
    assert found["evolution with trees", 1] == read_run(runs[1]).curve[-1]
    assert r"\toprule" in (report / "settings-1.tex").read_text()
    for path in report.glob("*.svg"):
        ElementTree.parse(path)


def test_the_same_runs_give_the_same_pictures(runs: list[Path], report: Path, tmp_path: Path) -> None:
    write_html_report(runs, tmp_path)
    assert (tmp_path / "best-so-far-1.svg").read_bytes() == (report / "best-so-far-1.svg").read_bytes()


def test_several_objectives(pareto: Path, runs: list[Path], tmp_path: Path) -> None:
    files = write_html_report([pareto, runs[2]], tmp_path / "report")
    html = files[0].read_text()
    assert "<h1>2 comparisons</h1>" in html
    assert "<h2>nasbench201: accuracy, latency</h2>" in html
    assert "95.0 %" in html
    assert "maximize accuracy, minimize latency." in html
    assert html.count("of 3 on the front") == 3
    assert {"front-1.svg", "front-2-1.dot"} <= {path.name for path in files}


def test_runs_of_older_versions_and_of_own_spaces(runs: list[Path], tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(runs[0], old)
    summary = json.loads((old / "summary.json").read_text())
    for name in ("space", "metric", "direction", "optimum", "ranked"):
        del summary[name]
    (old / "summary.json").write_text(json.dumps(summary))
    (old / "best.json").unlink()
    write_config(old, seed=0, benchmark="nasbench201")
    run = read_run(old)
    assert run.maximised
    assert run.graph == SPACE.graph(SPACE.parse(summary["best_architecture"]))
    write_config(old, seed=0, benchmark=None, space="os:path", objective="os:remove")
    assert read_run(old).graph is None  # code that a folder names is not imported
    files = write_html_report([old], tmp_path / "report")
    assert summary["best_architecture"] in files[0].read_text()


def test_bad_folders_are_explained(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least one folder"):
        write_html_report([], tmp_path / "report")
    with pytest.raises(UsageError, match="holds no evaluation"):
        write_html_report([tmp_path], tmp_path / "report")
    assert not is_search_run(tmp_path)
    unfinished = write_config(tmp_path / "unfinished", seed=0)
    with pytest.raises(UsageError, match="is not finished; continue it with: nasx search --resume"):
        write_html_report([unfinished], tmp_path / "report")
    damaged = tmp_path / "damaged"
    shutil.copytree(runs[0], damaged)
    for wrong in ("", "a,b\n1,2\n", "best_so_far\nmany\n"):
        (damaged / "history.csv").write_text(wrong)
        with pytest.raises(NasxError, match="is damaged"):
            write_html_report([damaged], tmp_path / "report")
    (tmp_path / "file").write_text("")
    with pytest.raises(NasxError, match="could not be written"):
        write_html_report([runs[0]], tmp_path / "file")


def test_text_of_others_stays_text() -> None:
    shown = page("<b>", [table([["a", "b"], ["<script>alert(1)</script>", '"&"']])])
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def browse(path: Path, folder: Path, *arguments: str) -> tuple[str, list[str]]:
    """Opens a page; returns what the browser made of it, and the addresses it asked for that are not its maker's."""
    if BROWSER is None:
        pytest.skip("no browser: install chromium")
    log = folder / "net.json"
    command = [BROWSER, *QUIET, f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", *arguments]
    done = subprocess.run([*command, path.as_uri()], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    asked = set(re.findall(r'"url":"((?:https?|wss?|ftp):[^"]*)"', log.read_text()))
    return done.stdout, sorted(url for url in asked if not re.match(r"https?://[\w.-]*\.google(apis)?\.com[:/]", url))


@pytest.mark.slow
def test_in_a_browser_nothing_is_asked_of_the_network(report: Path, tmp_path: Path) -> None:
    shown, asked = browse(report / "report.html", tmp_path, "--dump-dom")
    assert "How far the predictor could be trusted" in shown
    assert shown.count("</svg>") == 4
    assert asked == []
    leaking = tmp_path / "leaking.html"
    leaking.write_text('<img src="http://127.0.0.1:9/x.png">')
    assert browse(leaking, tmp_path, "--dump-dom")[1] == ["http://127.0.0.1:9/x.png"]
    # even a picture smuggled into the page is not fetched
    leaking.write_text(page("x", ['<img src="http://127.0.0.1:9/x.png">']))
    assert browse(leaking, tmp_path, "--dump-dom")[1] == []


@pytest.mark.slow
def test_in_a_browser_it_is_light_or_dark(report: Path, tmp_path: Path) -> None:
    from matplotlib.image import imread

    def looks(*arguments: str) -> np.ndarray:
        picture = tmp_path / "page.png"
        browse(report / "report.html", tmp_path, f"--screenshot={picture}", "--window-size=1000,1500", *arguments)
        return imread(picture)[..., :3]

    light, dark = looks(), looks("--force-dark-mode", "--blink-settings=preferredColorScheme=0")
    assert light.shape == dark.shape == (1500, 1000, 3)
    assert np.median(light) > 0.95
    assert np.median(dark) < 0.2
    assert light.std() > 0.05  # there is something on it
