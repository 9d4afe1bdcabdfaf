from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from nasx.predictors.adapted import Adapted
from nasx.predictors.base import Predictor
from nasx.predictors.baselines import TreeEnsemble
from nasx.predictors.residual_process import ResidualProcess
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.packed_graphs import PackedGraphs


def networks(count: int = 60) -> tuple[PackedGraphs, np.ndarray, np.ndarray]:
    """Chains of convolutions and activations; a slow device, and one that is fast at convolutions only."""
    rng = np.random.default_rng(0)
    graphs, slow, fast = [], [], []
    for _ in range(count):
        convs, relus = int(rng.integers(1, 8)), int(rng.integers(1, 8))
        labels = ["input", *["Conv"] * convs, *["Relu"] * relus, "output"]
        table = [[0.0, 0.0], *[[100.0, 10.0]] * convs, *[[0.0, 10.0]] * relus, [0.0, 0.0]]
        edges = [(node, node + 1) for node in range(len(labels) - 1)]
        graphs.append(Graph.from_edges(labels, edges, {}, table, ["macs", "memory_bytes"]))
        slow.append(3.0 * convs + relus)
        fast.append((0.5 * convs + relus) / 10)
    return PackedGraphs.from_graphs(graphs), np.array(slow), np.array(fast)


GRAPHS, SLOW, FAST = networks()
SOURCE = TreeEnsemble(trees=30).fit(GRAPHS[:40], SLOW[:40])


def error(predictor: Predictor) -> float:
    return float(np.mean(np.abs(predictor.predict(GRAPHS[40:]) / FAST[40:] - 1)))


def test_more_measurements_help_and_a_few_beat_none() -> None:
    few, more = (Adapted.of(SOURCE).fit(GRAPHS[:k], FAST[:k]) for k in (4, 30))
    alone = TreeEnsemble(trees=30).fit(GRAPHS[:4], FAST[:4])
    assert error(more) < min(error(few), error(alone))
    assert error(few) < error(SOURCE) / 3


def test_one_measurement_says_how_fast_the_device_is() -> None:
    adapted = Adapted.of(SOURCE).fit(GRAPHS[:1], SLOW[:1] / 50)
    ratio = adapted.predict(GRAPHS[40:]) / SOURCE.predict(GRAPHS[40:])
    assert np.allclose(ratio, ratio[0], rtol=1e-6)
    assert ratio[0] == pytest.approx(1 / 50, rel=0.1)


def test_cells_are_adapted_by_rank_and_unseen_operations_are_no_error() -> None:
    chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    cells = [Graph(["input", operation, "output"], chain) for operation in ("conv", "pool", "skip", "none")]
    source = TreeEnsemble(trees=30).fit(cells, [60.0, 40.0, 30.0, 1.0])
    adapted = Adapted.of(source).fit(cells[:3], [94.0, 90.0, 85.0])
    values = adapted.predict(cells)
    assert values[:3] == pytest.approx([94.0, 90.0, 85.0], abs=1.0)
    assert values[3] < values[2]


@pytest.mark.parametrize("whole", [True, False])
def test_it_is_saved_with_what_it_adapts(whole: bool, tmp_path: Path) -> None:
    graphs = GRAPHS if whole else [Graph(["input", *["conv", "pool"][: 1 + n % 2], "output"], np.eye(3 + n % 2, k=1))
                                   for n in range(60)]  # fmt: skip
    source = TreeEnsemble(trees=10).fit(graphs[:40], SLOW[:40])
    adapted = Adapted.of(source).fit(graphs[:12], FAST[:12])
    source.save(tmp_path / "slow")
    adapted.save(tmp_path / "fast")
    again = Predictor.load(tmp_path / "fast")
    assert np.allclose(again.predict(graphs), adapted.predict(graphs))
    from_folder = Adapted(source=str(tmp_path / "slow")).fit(graphs[:12], FAST[:12])
    assert np.allclose(from_folder.predict(graphs), adapted.predict(graphs))


def test_a_clone_adapts_the_same_predictor() -> None:
    copy = clone(Adapted.of(SOURCE).fit(GRAPHS[:5], FAST[:5]))
    assert not copy.fitted
    assert np.allclose(
        copy.fit(GRAPHS[:5], FAST[:5]).predict(GRAPHS), Adapted.of(SOURCE).fit(GRAPHS[:5], FAST[:5]).predict(GRAPHS)
    )


def test_without_a_predictor_there_is_nothing_to_adapt() -> None:
    with pytest.raises(UsageError, match=r"give Adapted.of\(predictor\)"):
        Adapted().fit(GRAPHS[:5], FAST[:5])
    with pytest.raises(UsageError, match="not fitted yet; fit it first"):
        Adapted.of(TreeEnsemble())


def test_the_correction_is_a_shift_first_and_a_function_only_if_measurements_say_so() -> None:
    rng = np.random.default_rng(1)
    first, features = rng.normal(size=40), rng.normal(size=(40, 3))
    shift = ResidualProcess.of(first[:10], features[:10], first[:10] - 3)
    assert np.abs(shift(first, features) - (first - 3)).max() < 0.05
    bent = ResidualProcess.of(first[:30], features[:30], first[:30] + features[:30, 0])
    assert np.abs(bent(first[30:], features[30:]) - first[30:] - features[30:, 0]).max() < 0.3
    assert bent.scales[2] > shift.scales[2]  # the weight of the features
    same = ResidualProcess.from_state(bent.state())
    assert np.array_equal(same(first, features), bent(first, features))
