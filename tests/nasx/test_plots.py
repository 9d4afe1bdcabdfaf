"""The pictures are drawn, also where little is known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nasx.latency_plots import draw_errors
from nasx.plots import draw_description, draw_ranking, draw_search

PNG = b"\x89PNG\r\n"


@pytest.mark.parametrize("optimum", [94.0, None])
def test_search_picture(tmp_path: Path, optimum: float | None) -> None:
    curves = {"with": np.array([math.nan, 90.0, 93.0]), "without": np.array([89.0, 89.0, 90.0])}
    draw_search(tmp_path / "search.png", curves, optimum=optimum, metric="accuracy (percent)", title="a search")
    assert (tmp_path / "search.png").read_bytes().startswith(PNG)


def test_a_search_of_one_evaluation(tmp_path: Path) -> None:
    draw_search(tmp_path / "search.png", {"with": np.array([1.0])}, optimum=None, metric="value", title="short")
    assert (tmp_path / "search.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("rows", [0, 1, 50])
def test_ranking_picture(tmp_path: Path, rows: int) -> None:
    rng = np.random.default_rng(0)
    ranking = pd.DataFrame({"predicted": rng.random(rows), "true": rng.random(rows), "trained": rng.random(rows) < 0.2})
    tau = 0.8 if rows > 1 else math.nan
    draw_ranking(tmp_path / "ranking.png", ranking, tau=tau, metric="accuracy", title="nasbench201")
    assert (tmp_path / "ranking.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("count", [1, 3, 16])
def test_description_picture(tmp_path: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    names = [f"metric_{number}" for number in range(count)]
    samples = {name: rng.random(0 if name == "metric_1" else 30) for name in names}
    tau = rng.uniform(-1, 1, (count, count))
    tau[0, -1] = math.nan
    draw_description(tmp_path / "d.png", samples, units=dict.fromkeys(names, "s"), metrics=names, tau=tau, title="toy")
    assert (tmp_path / "d.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("widest", [3.0, 4000.0])
def test_errors_picture_with_predictions_that_cannot_be(tmp_path: Path, widest: float) -> None:
    pairs = {
        "good": (np.array([1.0, 2.1, widest]), np.array([1.0, 2.0, widest])),
        "line": (np.array([-1.0, 0.0, 1e9, 5.0]), np.array([1.0, 2.0, 3.0, math.nan])),
    }
    draw_errors(tmp_path / "errors.png", pairs, metric="latency_ms", title="two predictors")
    assert (tmp_path / "errors.png").read_bytes().startswith(PNG)
    draw_errors(tmp_path / "errors.svg", pairs, metric="latency_ms")
    picture = (tmp_path / "errors.svg").read_text()
    assert "MAPE 1.7 %, Acc(10 %) 100 %" in picture
    assert picture.count("predicted latency_ms; the band is 10 %") == 1
