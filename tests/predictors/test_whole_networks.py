"""Predictors of whole networks: sizes from 2 to thousands of nodes, missing attributes, memory, saving."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nasx.predictors import PREDICTORS, load_predictor, make_predictor
from nasx.predictors.base import Predictor
from nasx.predictors.fitted_packed import FittedPacked
from nasx.predictors.layer_costs import LayerCosts
from nasx.predictors.network_inputs import InParts, NetworkInputs
from nasx.predictors.torch_predictor import TorchPredictor
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.packed_graphs import PackedGraphs

NAMES = ("kernel_height", "macs", "memory_bytes", "output_1", "output_2")
QUICK = {"width": 16, "epochs": 2, "min_steps": 1}
TORCH = {
    "layer-costs": {**QUICK, "epochs": 25},
    "nar-former-v2:network": {**QUICK, "epochs": 15},
    "nar-former-v2:network-paper": QUICK,
    "nn-former:network": {**QUICK, "epochs": 25},
    "nnlp:network": {**QUICK, "epochs": 10},
}
OTHERS = ["flops", "flops-macs", "kind-costs", "trees", "gaussian-process", "lightgbm", "xgboost"]
CELLS_ONLY = ["nar-former-v2", "nn-former", "nar-former-v1", "tnasp", "gcn", "nnlp", "gates", "bananas"]


def network(rng: np.random.Generator, layers: int) -> Graph:
    """A chain of convolutions and ReLUs with a shortcut."""
    conv = np.arange(layers) % 2 == 0
    channels, size = 2.0 ** rng.integers(3, 8, layers), np.full(layers, 2.0 ** rng.integers(2, 6))
    kernel = np.where(conv, rng.choice([1.0, 3.0, 5.0], layers), 0)
    macs = np.where(conv, kernel**2 * channels * 16 * size**2, 0)
    table = np.stack([kernel, macs, 8 * channels * size**2, channels, size], axis=1)
    adjacency = np.eye(layers, k=1)
    adjacency[0, -1] = 1
    operations = np.where(conv, "Conv", "Relu").tolist()
    costs = {"flops": 2 * macs.sum(), "memory_bytes": table[:, 2].sum(), "batch_size": 1.0}
    return Graph(operations, adjacency, costs, table, NAMES)


@pytest.fixture(scope="module")
def networks() -> PackedGraphs:
    rng = np.random.default_rng(3)
    return PackedGraphs.from_graphs([network(rng, int(layers)) for layers in rng.integers(3, 60, 48)])


@pytest.fixture(scope="module")
def latencies(networks: PackedGraphs) -> NDArray[np.float64]:
    return np.array([1e-9 * graph.attributes["flops"] + 2e-8 * graph.attributes["memory_bytes"] for graph in networks])


@pytest.fixture(scope="module")
def fitted(networks: PackedGraphs, latencies: NDArray[np.float64]) -> Callable[[str], Predictor]:
    """Predictors fitted to the first forty networks, each once."""

    @cache
    def fit(name: str) -> Predictor:
        if name in ("lightgbm", "xgboost"):
            pytest.importorskip(name)
        options = {"options": TORCH[name]} if name in TORCH else {"trees": 20} if name == "trees" else {}
        return make_predictor(name, **options).fit(networks[:40], latencies[:40])

    return fit


@pytest.mark.parametrize("name", [*TORCH, *OTHERS])
def test_whole_networks_are_learned_scored_and_saved(
    name: str, networks: PackedGraphs, fitted: Callable[[str], Predictor], tmp_path: Path
) -> None:
    predictor = fitted(name)
    found = predictor.predict(networks)
    assert np.isfinite(found).all()
    if name != "nnlp:network":  # whose published head has no such guarantee
        assert (found > 0).all()
    assert np.allclose(predictor.predict(list(networks[[45, 2]])), found[[45, 2]], rtol=1e-4)
    assert np.allclose(predictor.predict(networks[:3].dense()), found[:3], rtol=1e-4)
    assert np.isfinite(predictor.predict([network(np.random.default_rng(0), 300)])).all()
    predictor.save(tmp_path)
    assert np.allclose(load_predictor(tmp_path).predict(networks), found, rtol=1e-6)
    if not name.startswith("flops"):
        with pytest.raises(UsageError, match="unknown operation Gelu"):
            predictor.predict([Graph(["Gelu"], [[0]], None, [[1.0]], ["macs"])])


@pytest.mark.parametrize(
    "name", ["layer-costs", "nar-former-v2:network", "nn-former:network", "trees", "flops-macs", "kind-costs"]
)
def test_targets_are_learned_by_their_relative_errors(
    name: str, networks: PackedGraphs, latencies: NDArray[np.float64], fitted: Callable[[str], Predictor]
) -> None:
    found = fitted(name).predict(networks[:40])
    assert np.median(np.abs(found / latencies[:40] - 1)) < 0.5


@pytest.mark.parametrize("name", CELLS_ONLY)
def test_predictors_of_cells_refuse_whole_networks_with_a_sentence(
    name: str, networks: PackedGraphs, latencies: NDArray[np.float64]
) -> None:
    with pytest.raises(UsageError, match="reads cells, not nodes with attributes; use layer-costs"):
        make_predictor(name).fit(networks, latencies)


def test_every_predictor_is_told_what_to_do_with_whole_networks() -> None:
    names = {name.partition(":")[0] for name in [*TORCH, *OTHERS, *CELLS_ONLY]}
    assert {*PREDICTORS} - {"nar-former-v2-paper"} <= names


def test_missing_attributes_are_no_reason_to_fail(networks: PackedGraphs, latencies: NDArray[np.float64]) -> None:
    bare = Graph(["Conv", "Relu"], [[0, 1], [0, 0]])
    mixed = PackedGraphs.concatenate([networks[:20], PackedGraphs.from_graphs([bare])])
    targets = np.append(latencies[:20], 1.0)
    for name in TORCH:
        found = make_predictor(name, options=QUICK).fit(mixed, targets).predict(mixed)
        assert np.isfinite(found).all(), name


def test_one_graph_and_targets_that_are_not_positive(networks: PackedGraphs) -> None:
    for name in ("layer-costs", "nar-former-v2:network"):
        for targets in ([3.0], [0.0], [-2.0]):
            found = make_predictor(name, options=QUICK).fit(networks[:1], targets).predict(networks[:2])
            assert np.isfinite(found).all()


@pytest.mark.parametrize("name", ["layer-costs", "nar-former-v2:network", "nnlp:network"])
def test_padding_is_bounded_and_scores_keep_their_order(
    networks: PackedGraphs, fitted: Callable[[str], Predictor], name: str
) -> None:
    import torch

    predictor = fitted(name)
    assert isinstance(predictor, TorchPredictor)
    assert isinstance(predictor._fitted, FittedPacked)
    source = dataclasses.replace(predictor._fitted.source(networks), nodes=int(networks.num_nodes.sum()) // 3)
    parts = source.rows(torch.arange(len(networks)).flip(0)[None])
    assert len(parts) > 2
    for _, inputs in parts:
        assert inputs.mask.mean() > 0.5
        assert source.links == "dense" or inputs.mask.all()
    scores = InParts(predictor.network.eval())(parts)[0].detach().numpy()
    assert np.allclose(predictor._fitted.scaler.unscaled(scores)[::-1], predictor.predict(networks), rtol=1e-4)


def test_memory_that_runs_out_means_smaller_batches_and_then_a_sentence(
    networks: PackedGraphs, latencies: NDArray[np.float64], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = NetworkInputs.rows

    def scarce(most: int):  # type: ignore[no-untyped-def]
        def limited(self, index):  # type: ignore[no-untyped-def]
            if index.shape[1] > most:
                raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")
            return rows(self, index)

        return limited

    monkeypatch.setattr(NetworkInputs, "rows", scarce(4))
    predictor = LayerCosts(options={**QUICK, "batch_size": 16})
    with pytest.warns(UserWarning, match="memory ran out: 4 instead of 16 graphs a training step"):
        predictor.fit(networks, latencies)
    before = predictor.predict(networks)
    monkeypatch.setattr(NetworkInputs, "rows", scarce(0))
    with pytest.raises(NasxError, match="memory ran out with one of the graphs a training step"):
        predictor.fit(networks, latencies)
    assert np.array_equal(predictor.predict(networks), before)


def test_an_operation_never_seen_has_the_average_name() -> None:
    def chains(words: list[str]) -> list[Graph]:
        """The same 40 chains each time, in these words."""
        names, rng = ("macs", "memory_bytes", "output_1"), np.random.default_rng(0)
        tables = 10.0 ** rng.uniform([0, 5, 1], [1, 7, 2], (40, 12, 3))
        return [Graph(rng.choice(words, 12).tolist(), np.eye(12, k=1), None, table, names) for table in tables]

    graphs = PackedGraphs.from_graphs([*chains(["Relu"]), *chains(["HardSwish"]), *chains(["Relu", "Clip"])])
    latencies = np.random.default_rng(1).uniform(1, 2, len(graphs))
    relu, unseen, mixed = np.arange(40), np.arange(40, 80), np.arange(80, 120)
    predictor = make_predictor("layer-costs", options=QUICK).fit(graphs[relu], latencies[relu])
    assert np.allclose(predictor.predict(graphs[unseen]), predictor.predict(graphs[relu]), rtol=1e-5)
    predictor = make_predictor("layer-costs", options=QUICK).fit(graphs[mixed], latencies[mixed])
    assert not np.allclose(predictor.predict(graphs[unseen]), predictor.predict(graphs[relu]), rtol=1e-5)


def test_options_for_cells_are_refused(networks: PackedGraphs, latencies: NDArray[np.float64]) -> None:
    with pytest.raises(UsageError, match="option 'summary_features' is for cells"):
        make_predictor("nar-former-v2:network", options={"summary_features": True}).fit(networks, latencies)
    with pytest.raises(UsageError, match="leave node_attributes='log'"):
        make_predictor("layer-costs", options={"node_attributes": "published"}).fit(networks, latencies)


@pytest.mark.slow
def test_two_thousand_nodes_are_scored_and_a_hundred_thousand_refused(
    fitted: Callable[[str], Predictor],
) -> None:
    large = network(np.random.default_rng(0), 2000)
    for name in TORCH:
        assert np.isfinite(fitted(name).predict([large])).all(), name
    with pytest.raises(UsageError, match="100,000 nodes; graphs of up to 20,000"):
        Graph.from_edges(["Conv"] * 100_000, [])
