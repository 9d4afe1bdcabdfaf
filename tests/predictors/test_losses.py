from __future__ import annotations

import math

import pytest
import torch

from nasx.predictors.losses import LOSSES, ac, list_mle, pairwise_hinge, pairwise_logistic, relative_mse, sr


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


@pytest.mark.parametrize("name", ["pairwise_logistic", "pairwise_hinge", "list_mle"])
def test_ranking_losses_prefer_the_right_order(name: str) -> None:
    targets = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert LOSSES[name](targets, targets) < LOSSES[name](-targets, targets)
    assert LOSSES[name](targets + 5, targets).item() == pytest.approx(LOSSES[name](targets, targets).item())


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
