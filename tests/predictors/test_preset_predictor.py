from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from nasx.predictors import PREDICTORS, load_predictor, make_predictor
from nasx.predictors.preset_predictor import PresetPredictor
from nasx.predictors.torch_predictor import TorchPredictor
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.nasbench201 import NASBench201

NETWORKS = [name for name in PREDICTORS if isinstance(make_predictor(name), TorchPredictor)]
PRESETS = [
    f"{name}:{preset}"
    for name in NETWORKS
    if isinstance(made := make_predictor(name), PresetPredictor)
    for preset in made.presets
]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_takes_the_same_parameters(name: str) -> None:
    given = {"loss": "list_mle", "seed": 3, "direction": "minimize", "device": "cpu", "options": {"epochs": 2}}
    given["as_written"] = True
    predictor = clone(make_predictor(name, **given))
    assert given.items() <= predictor.get_params().items()
    assert (predictor.config.losses, predictor.config.epochs) == ({"list_mle": 1.0}, 2)
    assert not predictor.config.pruned


@pytest.mark.parametrize("name", [name for name in NETWORKS if make_predictor(name).config.pruned])
def test_as_written_tells_dead_parts_apart(name: str, tmp_path: Path) -> None:
    space = NASBench201()
    bare = ("nor_conv_3x3", "none", "none", "nor_conv_3x3", "none", "none")
    twins = space.graphs([bare, (*bare[:2], "nor_conv_3x3", *bare[3:]), (*bare[:2], "avg_pool_3x3", *bare[3:])])
    assert len({graph.canonical_hash() for graph in twins}) == 1
    cells = GraphBatch.concatenate([twins, space.graphs(space.samples(20, np.random.default_rng(0)))])
    for as_written, different in ((False, 1), (True, 3)):
        predictor = make_predictor(name, as_written=as_written, options={"epochs": 1, "min_steps": 2})
        predictor.fit(cells, np.arange(23.0))
        network = predictor._fitted  # type: ignore[attr-defined]
        assert np.unique(network.scores(network.readable(twins)), axis=1).shape[1] == different
        if predictor.knows_uncertainty:
            assert len(set(predictor.predict_distribution(twins)[1].tolist())) == different
    assert load_predictor(predictor.save(tmp_path)).predict(twins).tolist() == predictor.predict(twins).tolist()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_scores_graphs(name: str, graphs: GraphBatch, targets: np.ndarray) -> None:
    quick = {"epochs": 1, "min_steps": 1}
    size = {"blocks": 1} if "blocks" in make_predictor(name).config.__dict__ else {"layers": 1}
    predictor = make_predictor(name, options=quick | size).fit(graphs, targets)
    assert np.isfinite(predictor.predict(graphs)).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_operations_that_no_training_graph_has_look_average(name: str, graphs: GraphBatch, targets: np.ndarray) -> None:
    wide = graphs.recode([*graphs.vocabulary, "new", "newer"])
    chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    size = {"blocks": 1} if "blocks" in make_predictor(name).config.__dict__ else {"layers": 1}
    options = {"epochs": 1, "min_steps": 2, **size}
    predictions = (
        make_predictor(name, options=options)
        .fit(wide, targets)
        .predict([Graph(["input", operation, "output"], chain) for operation in ("new", "newer")])
    )
    assert np.isfinite(predictions).all()
    if name not in ("nar-former-v1", "nar-former-v2-paper"):  # these read fixed codes of the labels
        assert predictions[0] == pytest.approx(predictions[1])


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("nn-former:papre", {}, "did you mean 'paper'"),
        ("gcn", {"loss": "list_mel"}, "did you mean 'list_mle'"),
        ("tnasp", {"options": {"layers": 3}}, "unknown option 'layers'"),
        ("gates", {"options": {"node_features": True}}, "does not read node_features"),
        ("nar-former-v1", {"options": {"heads": 5}}, "not a multiple"),
    ],
)
def test_what_does_not_exist_is_explained(
    name: str, params: dict[str, object], message: str, graphs: GraphBatch, targets: np.ndarray
) -> None:
    with pytest.raises(UsageError, match=message):
        make_predictor(name, **params).fit(graphs, targets)


def test_an_interrupted_fit_changes_nothing(graphs: GraphBatch, targets: np.ndarray) -> None:
    predictor = make_predictor("nnlp", options={"width": 8, "min_steps": 3, "epochs": 1}).fit(graphs, targets)
    before = predictor.predict(graphs)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predictor.fit(graphs, -targets, progress=interrupt)
    assert np.array_equal(predictor.predict(graphs), before)
