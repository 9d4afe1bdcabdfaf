from __future__ import annotations

import math

import pytest
import torch

from nasx.predictors.losses import (
    LOSSES,
    RANKING_LOSSES,
    ac,
    approx_ndcg,
    list_mle,
    pairwise_hinge,
    pairwise_logistic,
    rank_mse,
    relative_mae,
    relative_mse,
    sr,
    top_heavy,
)


@pytest.mark.parametrize("name", LOSSES)
def test_leading_dimensions_are_independent(name: str) -> None:
    torch.manual_seed(0)
    scores, targets = torch.randn(3, 6), torch.rand(3, 6) + 0.5
    torch.manual_seed(1)
    together = LOSSES[name](scores, targets)
    assert together.shape == (3,)
    for member in range(3):
        torch.manual_seed(1)
        assert LOSSES[name](scores[member], targets[member]).item() == pytest.approx(together[member].item(), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_one_graph_and_equal_targets_are_finite(name: str) -> None:
    for count in (1, 4):
        scores = torch.randn(2, count, requires_grad=True)
        loss = LOSSES[name](scores, torch.ones(2, count)).sum()
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("name", sorted(RANKING_LOSSES - {"rank_mse"}))
def test_ranking_losses_prefer_the_right_order(name: str) -> None:
    targets = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert LOSSES[name](targets, targets) < LOSSES[name](-targets, targets)
    assert LOSSES[name](targets + 5, targets).item() == pytest.approx(LOSSES[name](targets, targets).item(), abs=1e-6)


def test_pairwise_losses_by_hand() -> None:
    scores, targets = torch.tensor([0.0, 1.0, 5.0]), torch.tensor([3.0, 2.0, 2.0])  # two pairs: 0 over 1, 0 over 2
    expected = (math.log1p(math.exp(1)) + math.log1p(math.exp(5))) / 2
    assert pairwise_logistic(scores, targets).item() == pytest.approx(expected)
    assert pairwise_hinge(scores, targets, margin=0.5).item() == pytest.approx((1.5 + 5.5) / 2)


def test_list_mle_is_the_plackett_luce_likelihood() -> None:
    scores, targets = torch.tensor([0.3, -1.0, 2.0]), torch.tensor([2.0, 3.0, 1.0])
    a, b, c = scores[[1, 0, 2]].exp()  # best first
    likelihood = a / (a + b + c) * b / (b + c)
    assert list_mle(scores, targets).item() == pytest.approx(-math.log(likelihood) / 3)


def test_published_terms_by_hand() -> None:
    assert relative_mse(torch.tensor([0.8, 0.5]), torch.tensor([0.8, 1.0])).item() == pytest.approx(0.125)
    assert ac(torch.tensor([0.1, 0.5]), torch.tensor([0.3, 0.5])).item() == pytest.approx(0.1)
    torch.manual_seed(3)
    order = torch.randperm(5)
    scores, targets = torch.rand(5), torch.rand(5)
    torch.manual_seed(3)
    expected = ((scores - scores[order]) - (targets - targets[order])).abs().mean()
    assert sr(scores, targets).item() == pytest.approx(expected.item())


def test_relative_absolute_error_by_hand() -> None:
    assert relative_mae(torch.tensor([0.8, 0.5]), torch.tensor([0.8, 1.0])).item() == pytest.approx(0.25)


def test_ranks_by_hand() -> None:
    targets = torch.tensor([90.0, 10.0, 93.0, 90.0])  # shares below: 1/4 + 2/8, 1/8, 3/4 + 1/8, 1/4 + 2/8
    ranks = math.sqrt(12) * (torch.tensor([0.5, 0.125, 0.875, 0.5]) - 0.5)
    assert rank_mse(ranks, targets).item() == pytest.approx(0, abs=1e-12)
    assert rank_mse(ranks + 2, targets).item() == pytest.approx(4)
    assert rank_mse(ranks, targets.square()).item() == pytest.approx(0, abs=1e-12)  # the order is all that counts


def naive_ndcg(scores: list[float], targets: list[float], levels: float = 4.0) -> float:
    """1 - approximate NDCG with loops."""
    count, total = len(scores), 0.0
    gains = [
        2 ** (levels * (sum(b < a for b in targets) + sum(b == a for b in targets) / 2) / count) - 1 for a in targets
    ]
    for i in range(count):
        rank = 1 + sum(1 / (1 + math.exp(-(scores[j] - scores[i]))) for j in range(count) if j != i)
        total += gains[i] / math.log2(1 + rank)
    ideal = sum(gain / math.log2(2 + place) for place, gain in enumerate(sorted(gains, reverse=True)))
    return 1 - total / ideal


def test_approximate_ndcg_is_its_formula() -> None:
    scores, targets = [0.3, -1.0, 2.0, 0.1], [2.0, 3.0, 1.0, 2.0]
    found = approx_ndcg(torch.tensor(scores), torch.tensor(targets)).item()
    assert found == pytest.approx(naive_ndcg(scores, targets), abs=1e-6)


def test_approximate_ndcg_of_sure_scores_is_ndcg() -> None:
    """Far apart scores have whole ranks: the loss is one minus the NDCG of the order, and 0 for the true one."""
    targets = torch.tensor([1.0, 2.0, 3.0])
    gains = torch.exp2(4 * torch.tensor([1 / 6, 3 / 6, 5 / 6])) - 1
    discounts = 1 / torch.log2(torch.tensor([2.0, 3.0, 4.0]))
    swapped = (gains * discounts[[2, 0, 1]]).sum() / (gains * discounts[[2, 1, 0]]).sum()  # 2 first, then 3, then 1
    assert approx_ndcg(torch.tensor([0.0, 200.0, 100.0]), targets).item() == pytest.approx(1 - swapped.item(), abs=1e-6)
    assert approx_ndcg(100 * targets, targets).item() == pytest.approx(0, abs=1e-6)


def test_top_heavy_is_its_formula() -> None:
    scores, targets = [0.3, -1.0, 2.0, 0.1], [2.0, 3.0, 1.0, 2.0]
    total = weights = 0.0
    for i, better in enumerate(targets):
        weight = 1 / math.log2(2 + sum(other > better for other in targets))
        for j, worse in enumerate(targets):
            if better > worse:
                total += weight * math.log1p(math.exp(scores[j] - scores[i]))
                weights += weight
    assert top_heavy(torch.tensor(scores), torch.tensor(targets)).item() == pytest.approx(total / weights)


@pytest.mark.parametrize("name", ["approx_ndcg", "top_heavy"])
def test_mistakes_at_the_top_cost_most(name: str) -> None:
    targets = torch.arange(6.0)
    top, bottom = torch.tensor([0.0, 1, 2, 3, 5, 4]), torch.tensor([1.0, 0, 2, 3, 4, 5])
    assert LOSSES[name](top, targets) > LOSSES[name](bottom, targets) > LOSSES[name](targets, targets)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"sr"}))
def test_gradients_point_to_the_targets(name: str) -> None:
    """From equal scores, a small step against the gradient orders them as the targets are."""
    targets = torch.tensor([0.4, 1.0, 0.2, 0.8])
    scores = torch.zeros(4, requires_grad=True)
    LOSSES[name](scores, targets).backward()
    step = -scores.grad
    best, worst = targets.argmax(), targets.argmin()
    if name.startswith("relative"):  # all scores rise; each target counts by its inverse
        assert (step > 0).all()
    else:
        assert step[best] > step[worst]
        assert step[best] > 0
    with torch.no_grad():
        assert LOSSES[name](scores + 1e-3 * step, targets) < LOSSES[name](scores, targets)


def test_gradient_of_the_sequence_ranking_loss_brings_differences_closer() -> None:
    targets, scores = torch.tensor([0.2, 0.9]), torch.zeros(2, requires_grad=True)
    torch.manual_seed(1)
    assert torch.randperm(2).tolist() == [1, 0]
    torch.manual_seed(1)
    sr(scores, targets).backward()
    assert scores.grad[0] > 0 > scores.grad[1]


def test_gradient_of_the_consistency_loss_brings_copies_together() -> None:
    scores, partners = torch.tensor([1.0], requires_grad=True), torch.tensor([2.0], requires_grad=True)
    ac(scores, partners).sum().backward()
    assert scores.grad.item() < 0 < partners.grad.item()
