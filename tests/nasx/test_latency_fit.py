"""From a table to a predictor and back to numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nasx.latency_fit import fit_latency, open_fitted, predicted
from nasx.predictors import make_predictor
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.graph import Graph


def write_table(folder: Path, count: int = 30) -> Path:
    """Chains of 1 to 6 convolutions; each takes 2 ms, a third of the networks was not measured."""
    rows, nodes = ["network,family,latency_ms"], ["network,node,operation,input0,macs"]
    for number in range(count):
        depth = 1 + number % 6
        latency = "" if number % 3 == 2 else 2.0 * depth
        rows.append(f"n{number},chain,{latency}")
        nodes += [f"n{number},{place},Conv,{place - 1},1000" for place in range(depth)]
    (folder / "t.csv").write_text("\n".join(rows) + "\n")
    (folder / "t_nodes.csv").write_text("\n".join(nodes) + "\n")
    return folder / "t.csv"


def chain(depth: int) -> Graph:
    labels = ["input", *["Conv"] * depth, "output"]
    macs = np.array([[0.0], *[[1000.0]] * depth, [0.0]])
    return Graph(labels, np.eye(depth + 2, k=1), {"macs": 1000.0 * depth}, macs, ["macs"])


def test_a_table_becomes_a_predictor(tmp_path: Path) -> None:
    table = write_table(tmp_path)
    fitted = fit_latency(table, tmp_path / "run", predictor="trees", test_share=0.2, seed=1)
    card = json.loads((tmp_path / "run" / "latency.json").read_text())
    assert card == fitted.card
    assert (card["metric"], card["unit"], card["trained"], card["tested"]) == ("latency_ms", "ms", 16, 4)
    assert card["mape_percent"] < 20
    assert (tmp_path / "run" / "latency.png").stat().st_size > 1000
    again = open_fitted(tmp_path / "run")
    graphs = [chain(2), chain(5)]
    values = predicted(again, graphs, "chains")
    np.testing.assert_allclose(values, fitted.predict(graphs))
    assert again.trust == f"off by {card['mape_percent']:.3g} % on average on 4 networks not trained on"
    with pytest.raises(UsageError, match="holds a predictor already"):
        fit_latency(table, tmp_path / "run", predictor="trees")


def test_all_networks_may_train(tmp_path: Path) -> None:
    fitted = fit_latency(write_table(tmp_path), tmp_path / "run", predictor="trees", test_share=0)
    assert fitted.card["trained"] == 20
    assert fitted.trust == ""
    assert not (tmp_path / "run" / "latency.png").exists()


def test_any_saved_predictor_can_be_opened(tmp_path: Path) -> None:
    predictor = make_predictor("trees", trees=5).fit([chain(1), chain(3)], [1.0, 3.0])
    predictor.save(tmp_path / "plain")
    predictor.save(tmp_path / "search" / "predictor")
    for folder in ("plain", "search"):
        fitted = open_fitted(tmp_path / folder)
        assert (fitted.metric, fitted.unit, fitted.trust) == ("", "", "")
        assert np.isfinite(fitted.predict([chain(2)])).all()
    with pytest.raises(UsageError, match=r"this predictor cannot read cells: .* do not say what nodes cost"):
        predicted(fitted, [Graph(["input", "pool", "output"], np.eye(3, k=1))], "cells")


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    table = write_table(tmp_path)
    for options, message in (
        ({"predictor": "oracle"}, "unknown predictor 'oracle'"),
        ({"target": "energy_mj"}, "energy_mj"),
        ({"test_share": 1.0}, "--test-share must be at least 0 and less than 1"),
        ({"test_share": 0.95}, "too few to fit on"),
    ):
        with pytest.raises(UsageError, match=message):
            fit_latency(table, tmp_path / "run", **{"predictor": "trees", **options})  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match="unknown fitted predictor"):
        open_fitted(tmp_path / "gone")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "latency.json").write_text("{")
    with pytest.raises(NasxError, match=r"latency.json is damaged; fit the predictor again"):
        open_fitted(tmp_path / "broken")
