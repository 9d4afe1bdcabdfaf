from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasx.evaluation_report import EvaluationReport, Key
from nasx.published import PUBLISHED, published
from nasx.report import compare, write_report
from nasx.search_spaces.errors import NasxError, UsageError


def write(folder: Path, benchmark: str = "mine", dataset: str | None = None, **changes: Any) -> Path:
    """An evaluation of two predictors, as ``nasx evaluate --out`` leaves it."""
    described = {
        "benchmark": benchmark,
        "dataset": dataset,
        "space": "nasbench201",
        "target": "validation_accuracy",
        "rank_against": "test_accuracy",
        "train_sizes": [78, 781],
        "noise_ceiling": None,
        **changes,
    }
    del described["noise_ceiling"]
    report = EvaluationReport({"benchmarks": {benchmark: described}, "protocol": "prefix", "seeds": [0]})
    rng = np.random.default_rng(0)
    for size in described["train_sizes"]:
        for number, predictor in enumerate(("trees", "gcn_x")):
            for repeat in range(3):
                row = Key(benchmark, predictor, size, 0, repeat)._asdict()
                row |= {"kendall_tau": 0.5 + 0.1 * number + size / 10_000 + repeat / 100, "fit_seconds": 1.5}
                report.add({**row, "test_rows": 50}, (rng.random(50), rng.random(50)))
    return report.save(folder)


def test_one_table_of_several_folders(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", train_sizes=[156])
    (comparison,) = compare([tmp_path / "a", tmp_path / "b"])
    assert comparison.title == "mine: validation_accuracy learnt, test_accuracy ranked; split prefix"
    heading, trees, gcn, *literature = comparison.table()
    assert heading == ["predictor", "78", "156", "781", "fit at the largest, s"]
    assert trees == ["trees", "0.518 ± 0.010", "0.526 ± 0.010", "0.588 ± 0.010", "1.5"]
    assert gcn[0] == "gcn_x"
    assert ["NAR-Former V2, published", "", "", "0.874", ""] in literature
    assert not any("1,563" in row for row in literature)


def test_published_figures_stand_only_beside_the_same_benchmark(tmp_path: Path) -> None:
    for number, (benchmark, dataset) in enumerate([("nasbench201", "cifar10"), ("mine", "cifar100")]):
        (comparison,) = compare([write(tmp_path / str(number), benchmark, dataset)])
        assert comparison.published == ()


def test_the_files_of_a_report(tmp_path: Path) -> None:
    files = write_report([write(tmp_path / "a"), write(tmp_path / "c", "nasbench201")], tmp_path / "report")
    assert [path.name for path in files] == [
        *("report.md", "report.tex", "report.csv"),
        *("learning-curve-1.png", "scatter-1.png", "learning-curve-2.png", "scatter-2.png"),
    ]
    assert all(path.stat().st_size > 100 for path in files)
    markdown, latex = files[0].read_text(), files[1].read_text()
    assert "| trees | 0.518 ± 0.010 | 0.588 ± 0.010 | 1.5 |" in markdown
    assert "intervals.](learning-curve-1.png)" in markdown
    assert markdown.count("Published figures are of the protocol `prefix`") == 1
    assert r"gcn\_x & 0.618 $\pm$ 0.010 & 0.688 $\pm$ 0.010 & 1.5 \\" in latex


def test_folders_that_hold_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no evaluation"):
        compare([tmp_path])
    with pytest.raises(UsageError, match="at least one folder"):
        compare([])
    folder = write(tmp_path / "a")
    (folder / "evaluation.csv").unlink()
    with pytest.raises(UsageError, match="no finished repeat"):
        compare([folder])
    (folder / "config.json").write_text("{}")
    with pytest.raises(NasxError, match="damaged"):
        compare([folder])
    (tmp_path / "file").write_text("")
    with pytest.raises(NasxError, match="could not be written"):
        write_report([write(tmp_path / "b")], tmp_path / "file")


def test_published_figures_are_possible_and_named_once() -> None:
    assert all(0 < row.kendall_tau < 1 for row in PUBLISHED)
    keys = [(row.space, row.predictor, row.train_size) for row in PUBLISHED]
    assert len(set(keys)) == len(keys)
    assert {row.space for row in published("nasbench101")} == {"nasbench101"}
