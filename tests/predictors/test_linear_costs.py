"""Latency as a sum of costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasx.predictors import load_predictor, make_predictor
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.packed_graphs import PackedGraphs


def networks(count: int = 40) -> PackedGraphs:
    rng = np.random.default_rng(0)
    costs = np.exp(rng.uniform(13, 24, size=(count, 2)))
    graphs = [Graph(["Conv"], [[0]], {"flops": flops, "memory_bytes": memory}) for flops, memory in costs]
    return PackedGraphs.from_graphs(graphs)


def test_two_costs_are_found_again() -> None:
    graphs = networks()
    targets = 0.3 + 2e-9 * graphs.attributes["flops"] + 5e-8 * graphs.attributes["memory_bytes"]
    found = make_predictor("flops-macs").fit(graphs, targets).predict(graphs)
    assert np.allclose(found, targets, rtol=1e-6)
    only_flops = make_predictor("flops").fit(graphs, targets).predict(graphs)
    assert np.abs(only_flops / targets - 1).mean() > 0.1


def test_predictions_are_positive_and_weights_not_negative() -> None:
    graphs = networks()
    falling = 100 / graphs.attributes["flops"]
    predictions = make_predictor("flops").fit(graphs, falling).predict(graphs)
    assert (predictions > 0).all()
    assert np.isfinite(make_predictor("flops").fit(graphs, np.zeros(len(graphs))).predict(graphs)).all()
    assert np.isfinite(make_predictor("flops").fit(graphs[:1], [-3.0]).predict(graphs)).all()


def test_graphs_without_costs_are_refused() -> None:
    cell = Graph(["input", "output"], [[0, 1], [0, 0]])
    with pytest.raises(UsageError, match=r"1 of 1 graphs do not say their 'flops'.*ONNX files do"):
        make_predictor("flops").fit([cell], [1.0])
    with pytest.raises(UsageError, match=r"'parameters'.*all say flops, macs, memory_bytes"):
        make_predictor("flops", costs="parameters").fit(networks(3), [1.0, 2.0, 3.0])


def test_saving(tmp_path: Path) -> None:
    graphs = networks()
    fitted = make_predictor("flops-macs").fit(graphs, graphs.attributes["flops"] * 1e-9)
    fitted.save(tmp_path)
    assert np.array_equal(load_predictor(tmp_path).predict(graphs), fitted.predict(graphs))
