from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nasx.predictors.inputs import Inputs, encode
from nasx.predictors.nn_former import (
    BGIFFN,
    DESCRIBED,
    PAPER,
    NNFormer,
    NNFormerConfig,
    NNFormerNetwork,
    sibling_masks,
    special_pairs,
)
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.testing import check_predictor

CPU = torch.device("cpu")


def norm(layer: torch.nn.Module, x: Tensor, e: int) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], layer.weight[e], layer.bias[e])


def one_graph_at_a_time(network: NNFormerNetwork, codes: Tensor, adjacency: Tensor, e: int) -> Tensor:
    """The published forward pass of one graph, node by node where masks and edges are concerned."""
    config, count = network.config, len(codes)
    h = network.tokens.weight[e, codes]
    special: list[int] = []
    if config.special_tokens:
        h = torch.cat([network.class_token[e, 0], h, network.depths.weight[e, count - 1][None]])
        special = [0, count + 1]
    edges = F.pad(adjacency, (1, 1, 1, 1)) if special else adjacency
    total = len(h)

    def neighbours(i: int, j: int) -> bool:
        joined = bool(special) and config.siblings == "through_special" and (i in special or j in special)
        return bool(edges[i, j]) or joined

    def allowed(mask: int, i: int, j: int) -> bool:
        if i == j or (special and (i in special or j in special)):
            return True
        ways = [
            neighbours(i, j),
            neighbours(j, i),
            any(neighbours(k, i) and neighbours(k, j) for k in range(total)),
            any(neighbours(i, k) and neighbours(j, k) for k in range(total)),
        ]
        return ways[mask]

    h = norm(network.first_norm, h, e)
    for block in network.blocks:
        x, asma = norm(block.attention_norm, h, e), block.attention
        size, heads = config.width // config.heads, []
        for head in range(config.heads):
            part = slice(head * size, (head + 1) * size)
            query, key, value = ((x @ m.weight[e])[:, part] for m in (asma.query, asma.key, asma.value))
            rows = []
            for i in range(total):
                seen = [j for j in range(total) if allowed(head * 4 // config.heads, i, j)]
                weights = (query[i] @ key[seen].T / math.sqrt(size)).softmax(-1)
                rows.append(weights @ value[seen])
            heads.append(torch.stack(rows))
        h = h + torch.cat(heads, dim=1) @ asma.out.weight[e]
        x, ffn = norm(block.feed_forward_norm, h, e), block.feed_forward
        onward, back = (x @ ffn.graph.weight[e]).chunk(2, dim=1)
        around = []
        for i in range(total):
            successors = sum((onward[j] for j in range(total) if edges[i, j]), torch.zeros_like(onward[0]))
            predecessors = sum((back[j] for j in range(total) if edges[j, i]), torch.zeros_like(back[0]))
            around.append(torch.cat([successors, predecessors]))
        h = h + torch.relu(x @ ffn.own.weight[e] + torch.stack(around)) @ ffn.down.weight[e]
    h = norm(network.norm, h, e)
    pooled = h[0] if special else h.mean(0)
    return (pooled @ network.head.weight[e] + network.head.bias[e, 0] + config.offset)[0]


@pytest.mark.parametrize(("special", "siblings"), [(True, "through_special"), (True, "graph"), (False, "graph")])
@pytest.mark.parametrize("heads", [4, 8])
def test_batched_equals_one_graph_at_a_time(special: bool, siblings: str, heads: int, graphs: GraphBatch) -> None:
    torch.manual_seed(0)
    config = NNFormerConfig(
        members=2,
        blocks=2,
        width=16,
        heads=heads,
        special_tokens=special,
        siblings=siblings,  # type: ignore[arg-type]
    )
    network = NNFormerNetwork(config, len(graphs.vocabulary)).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    inputs = encode(graphs, CPU)
    inputs = inputs._replace(adjacency=inputs.adjacency.double(), mask=inputs.mask.double())
    scores = network(inputs.unsqueezed())
    for row, graph in enumerate(graphs):
        codes = torch.from_numpy(graphs.operations[row, : graph.num_nodes].astype(np.int64))
        for e in range(2):
            expected = one_graph_at_a_time(network, codes, torch.tensor(graph.adjacency).double(), e)
            assert scores[e, row].item() == pytest.approx(expected.item(), rel=1e-6)


def test_special_tokens_make_the_published_sibling_masks_full() -> None:
    """As released, both sibling heads attend globally; with the graph's own siblings they do not."""
    chain = torch.ones(4, 4).triu(1) * torch.ones(4, 4).tril(1)
    padded, special = F.pad(chain, (1, 1, 1, 1)), special_pairs(torch.ones(6))
    released = sibling_masks(torch.maximum(padded, special.float()))
    assert released[2:].all()
    assert not released[:2].all(dim=-1).all()
    assert not sibling_masks(padded)[2:, 1:-1, 1:-1].triu(1).any()  # nobody has a sibling in a chain


def test_bgiffn_sums_over_both_directions() -> None:
    """Of a graph 0 -> 1, node 0 gets the first half of node 1, node 1 the second half of node 0."""
    layer = BGIFFN(1, 2, 4)
    with torch.no_grad():
        layer.own.weight.zero_()
        layer.graph.weight.copy_(torch.tensor([[[1.0, 0, 3, 0], [0, 2, 0, 4]]]))
        layer.down.weight.copy_(torch.tensor([[[1.0, 0], [0, 1], [10, 0], [0, 10]]]))
    x = torch.tensor([[[[1.0, 1.0], [5.0, 7.0]]]])
    y = layer(x, torch.tensor([[[[0.0, 1.0], [0.0, 0.0]]]]))
    assert y[0, 0].tolist() == [[5.0, 14.0], [30.0, 40.0]]


def test_paper_preset_has_the_published_size() -> None:
    """12 blocks, width 160, four heads, one-hot operations and depths in 32 numbers: 4,934,081 parameters."""
    network = NNFormerNetwork(PAPER, operations=32)
    assert sum(parameter.numel() for parameter in network.parameters()) == 4_934_081


def test_presets_are_as_published() -> None:
    assert (PAPER.blocks, PAPER.width, PAPER.heads, PAPER.ratio, PAPER.dropout) == (12, 160, 4, 4, 0.1)
    assert (PAPER.losses, PAPER.consistency, PAPER.copies) == ({"mse": 1.0, "sr": 0.2}, 1.0, "same")
    assert (PAPER.pruned, PAPER.batch_size, PAPER.epochs) == (True, 128, 3000)
    assert (PAPER.optimizer, PAPER.learning_rate, PAPER.weight_decay) == ("adamw", 1e-4, 0.01)
    assert (PAPER.siblings, DESCRIBED.siblings) == ("through_special", "graph")
    assert {**PAPER.__dict__, "siblings": "graph"} == DESCRIBED.__dict__


@pytest.mark.slow
def test_the_contract_is_kept() -> None:
    check_predictor(NNFormer(options={"members": 2, "width": 16, "blocks": 1, "min_steps": 50, "epochs": 1}))


@pytest.mark.slow
def test_the_contract_is_kept_with_features() -> None:
    options = {"width": 16, "blocks": 1, "min_steps": 50, "epochs": 1}
    predictor = NNFormer("features", options)
    check_predictor(predictor)
    assert predictor.knows_uncertainty


def test_features_of_a_cell_reach_its_score() -> None:
    torch.manual_seed(0)
    network = NNFormerNetwork(NNFormerConfig(members=2, blocks=1, width=8), 3, 5, 4).eval()
    graphs = Inputs(
        torch.tensor([[[0, 1, 2]]]), torch.ones(1, 1, 3, 3).triu(1), torch.ones(1, 1, 3), torch.zeros(1, 1, 3, 5)
    )
    low, high = graphs._replace(summary=torch.zeros(1, 1, 4)), graphs._replace(summary=torch.ones(1, 1, 4))
    assert network(low).shape == (2, 1)
    assert (network(low) != network(high)).all()
    assert (network(low) != network(low._replace(nodes=torch.ones(1, 1, 3, 5)))).all()


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["paper", "described"])
def test_published_presets_learn(preset: str, graphs: GraphBatch, targets: np.ndarray) -> None:
    options = {"width": 16, "blocks": 2, "epochs": 60, "learning_rate": 3e-3}
    predictions = NNFormer(preset, options).fit(graphs, targets).predict(graphs)
    assert np.corrcoef(predictions, targets)[0, 1] > 0.5


def test_sizes_never_trained_on_look_like_the_nearest(graphs: GraphBatch, targets: np.ndarray) -> None:
    predictor = NNFormer(options={"width": 8, "blocks": 1, "min_steps": 2, "epochs": 1}).fit(graphs, targets)
    depths, largest = predictor.network.depths.weight, int(graphs.pruned().num_nodes.max())
    assert torch.equal(depths[:, largest], depths[:, largest - 1])
    large = Graph(["input", *["conv"] * 60, "output"], np.eye(62, k=1, dtype=bool))
    assert np.isfinite(predictor.predict([large])).all()


def test_heads_come_in_fours() -> None:
    with pytest.raises(UsageError, match="fours"):
        NNFormerConfig(heads=6, width=192)


def test_padding_does_not_change_a_score() -> None:
    torch.manual_seed(0)
    network = NNFormerNetwork(NNFormerConfig(blocks=2, width=16), 3).eval()
    small = Inputs(torch.tensor([[[0, 1, 2]]]), torch.ones(1, 1, 3, 3).triu(1), torch.ones(1, 1, 3))
    padded = Inputs(*(F.pad(part, (0, 2, 0, 2) if part.dim() == 4 else (0, 2)) for part in small[:3]))
    torch.testing.assert_close(network(padded), network(small))
