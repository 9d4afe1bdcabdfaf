from __future__ import annotations

import numpy as np
import pytest
import torch

from nasx.predictors.bananas import BANANAS, PAPER, BANANASConfig, BANANASNetwork
from nasx.predictors.features import known_paths, path_encoding, path_hashes
from nasx.predictors.inputs import Inputs
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.testing import check_predictor


def test_the_network_is_a_perceptron_a_member() -> None:
    torch.manual_seed(0)
    network = BANANASNetwork(BANANASConfig(members=3, layers=4, width=5), paths=7).double().eval()
    paths = torch.rand(1, 6, 7).double()
    scores = network(Inputs(torch.zeros(1, 6, 2), torch.zeros(1, 6, 2, 2), torch.ones(1, 6, 2), None, paths))
    for e in range(3):
        h = paths[0]
        for layer in network.layers:
            h = torch.relu(h @ layer.weight[e] + layer.bias[e])
        torch.testing.assert_close(scores[e], (h @ network.head.weight[e] + network.head.bias[e])[:, 0])


def test_the_encoding_has_a_one_for_each_path(graphs: GraphBatch) -> None:
    paths = known_paths(graphs)
    found = path_encoding(graphs, paths)
    assert set(np.unique(found)) == {0.0, 1.0}
    rows, hashes, _ = path_hashes(graphs, 8)
    for row in range(len(graphs)):
        assert set(paths[found[row] > 0]) == set(hashes[rows == row])


def test_paths_that_no_training_graph_has_are_ignored(graphs: GraphBatch) -> None:
    paths = known_paths(graphs[:3])
    stranger = Graph(["input", *["pool"] * 9, "output"], np.eye(11, k=1, dtype=bool))
    batch = GraphBatch.from_graphs([stranger])
    assert path_encoding(batch.recode(graphs.vocabulary), paths).sum() == 0


def test_paper_preset_is_as_published() -> None:
    assert (PAPER.members, PAPER.layers, PAPER.width, PAPER.learning_rate) == (5, 10, 20, 1e-2)
    assert (PAPER.losses, PAPER.path_features) == ({"relative_mae": 1.0}, True)


def test_it_needs_paths(graphs: GraphBatch, targets: np.ndarray) -> None:
    with pytest.raises(UsageError, match="path_features"):
        BANANAS("paper", {"path_features": False}).fit(graphs, targets)


@pytest.mark.slow
def test_the_contract_is_kept() -> None:
    check_predictor(BANANAS(options={"members": 2, "width": 16, "min_steps": 100, "epochs": 1}))


@pytest.mark.slow
def test_the_paper_preset_learns(graphs: GraphBatch, targets: np.ndarray) -> None:
    predictions = BANANAS("paper").fit(graphs, targets).predict(graphs)
    assert np.corrcoef(predictions, targets)[0, 1] > 0.3
