"""A latency predictor of one device, adapted to another with a few measured networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nasx.cli import app
from nasx.latency_fit import fit_latency, open_fitted
from nasx.predictors.adapted import Adapted
from nasx.search_spaces.errors import UsageError


def write_table(folder: Path, name: str, count: int, factor: float) -> Path:
    rows, nodes = ["network,latency_ms"], ["network,node,operation,input0,macs"]
    for number in range(count):
        depth = 1 + number % 9
        rows.append(f"n{number},{factor * depth}")
        nodes += [f"n{number},{place},Conv,{place - 1},1000" for place in range(depth)]
    (folder / f"{name}.csv").write_text("\n".join(rows) + "\n")
    (folder / f"{name}_nodes.csv").write_text("\n".join(nodes) + "\n")
    return folder / f"{name}.csv"


def test_a_few_networks_adapt_a_predictor_of_another_device(tmp_path: Path) -> None:
    many, few = write_table(tmp_path, "many", 60, 2.0), write_table(tmp_path, "few", 4, 0.5)
    fit_latency(many, tmp_path / "slow", predictor="trees", test_share=0)
    result = CliRunner().invoke(
        app, ["latency", "fit", str(few), "--out", str(tmp_path / "fast"), "--adapt", str(tmp_path / "slow"),
              "--test-share", "0"]
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    fitted = open_fitted(tmp_path / "fast")
    assert isinstance(fitted.predictor, Adapted)
    assert fitted.card["predictor"] == f"{tmp_path / 'slow'}, adapted"
    slow = open_fitted(tmp_path / "slow")
    from nasx.benchmark import load_benchmark

    graphs = load_benchmark(many).graphs()[:9]
    assert np.allclose(fitted.predict(graphs), slow.predict(graphs) / 4, rtol=0.15)


def test_there_must_be_a_predictor_to_adapt(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        fit_latency(write_table(tmp_path, "few", 4, 0.5), tmp_path / "fast", adapt=tmp_path / "nothing")
