"""Training losses of predictors: regression, ranking and consistency terms as interchangeable parts.

Every loss reads scores and targets of shape `(..., B)` and returns one number per leading index, `(...)`: a plain
`(B,)` batch gives a scalar, the `(E, B)` batch of an ensemble gives one loss a member. Larger targets are better.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Callable[[Tensor, Tensor], Tensor]


def mse(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error, `mean (s - y)^2`.

    >>> mse(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0])).item()
    2.0
    """
    return (scores - targets).square().mean(-1)


def relative_mse(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean squared relative error, `mean (s / y - 1)^2`; targets must be positive (NAR-Former V2, released code).

    >>> relative_mse(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0])).item()
    0.125
    """
    return (scores / targets - 1).square().mean(-1)


def relative_mae(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute relative error, `mean |s / y - 1|`; targets must be positive (BANANAS, lower bound 0).

    >>> relative_mae(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0])).item()
    0.25
    """
    return (scores / targets - 1).abs().mean(-1)


def relative_log(scores: Tensor, targets: Tensor, width: float = 0.05, least: float = 0.01) -> Tensor:
    """Mean Huber loss of `log (s / y)` over its width: `|log (s / y)|` but for a round tip; targets must be positive.

    A score too small by a factor costs as much as one too large by it. Below `least` times the target, where scores may
    turn negative, the logarithm goes on as a straight line.

    >>> round(relative_log(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0])).item(), 3)
    0.334
    """
    ratio = scores / targets
    logs = ratio.clamp_min(least).log() + (ratio - least).clamp_max(0) / least
    return F.huber_loss(logs, torch.zeros_like(logs), reduction="none", delta=width).mean(-1) / width


def rank_mse(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error on ranks, `mean (s_i - r_i)^2`.

    `r_i = sqrt(12) (q_i - 1/2)`, where q_i is the share of the batch's targets below y_i (equal ones count half):
    ranks with mean 0 and deviation 1, whatever the distribution of the targets.

    >>> rank_mse(torch.tensor([0.0, 0.0]), torch.tensor([7.0, 9.0])).item()
    0.75
    """
    return (scores - math.sqrt(12) * (_shares_below(targets) - 0.5)).square().mean(-1)


def sr(scores: Tensor, targets: Tensor) -> Tensor:
    """Sequence-ranking loss of NAR-Former: L1 between the differences of randomly matched pairs.

    `mean |(s_i - s_p(i)) - (y_i - y_p(i))|` with one random permutation p (from torch's current random state).

    >>> sr(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])).item()
    0.0
    """
    permutation = torch.randperm(scores.shape[-1], device=scores.device)
    score_differences = scores - scores[..., permutation]
    target_differences = targets - targets[..., permutation]
    return (score_differences - target_differences).abs().mean(-1)


def ac(scores: Tensor, partners: Tensor) -> Tensor:
    """Architecture-consistency loss of NAR-Former: mean distance between the scores of a graph and of its copy.

    Args:
        scores: Scores of the graphs, `(..., B)`.
        partners: Scores of the same graphs written differently (nodes in another order), `(..., B)`.

    Returns:
        `mean |s_i - s'_i|`, shape `(...)`.

    >>> ac(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0])).item()
    0.5
    """
    return (scores - partners).abs().mean(-1)


def pairwise_logistic(scores: Tensor, targets: Tensor) -> Tensor:
    """RankNet (Burges et al. 2005): mean of `log(1 + exp(-(s_i - s_j)))` over all pairs with y_i > y_j.

    >>> round(pairwise_logistic(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 1.0])).item(), 4)
    0.6931
    """
    return _mean_over_pairs(F.softplus(-_differences(scores)), targets)


def pairwise_hinge(scores: Tensor, targets: Tensor, margin: float = 0.1) -> Tensor:
    """Mean of `max(0, margin - (s_i - s_j))` over all pairs with y_i > y_j (GATES, Ning et al. 2020).

    >>> round(pairwise_hinge(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 1.0])).item(), 4)
    0.1
    """
    return _mean_over_pairs((margin - _differences(scores)).clamp_min(0), targets)


def list_mle(scores: Tensor, targets: Tensor) -> Tensor:
    """ListMLE (Xia et al. 2008): negative log-likelihood of the true order under Plackett-Luce, divided by B.

    `1/B sum_i [log sum_{j ranked i or below} exp s_j - s_i]`: the top of the list weighs most.

    >>> round(list_mle(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 1.0])).item(), 4)
    0.3466
    """
    order = targets.argsort(dim=-1)  # worst first, so that a running logsumexp covers "this rank or below"
    ranked = scores.gather(-1, order)
    return (ranked.logcumsumexp(-1) - ranked).mean(-1)


def approx_ndcg(scores: Tensor, targets: Tensor, temperature: float = 1.0, levels: float = 4.0) -> Tensor:
    """Approximate NDCG (Qin et al. 2010): `1 - sum_i g_i / log2(1 + rank_i) / ideal`.

    The rank is smooth, `rank_i = 1 + sum_{j != i} sigmoid((s_j - s_i) / temperature)`; the gain depends on the rank of
    the target only, `g_i = 2^(levels q_i) - 1` with q_i the share of targets below y_i. `ideal` is the sum for the
    true order.

    >>> round(approx_ndcg(torch.tensor([0.0, 50.0]), torch.tensor([1.0, 2.0])).item(), 4)
    0.0
    """
    gains = torch.exp2(levels * _shares_below(targets)) - 1
    smooth_ranks = 0.5 + torch.sigmoid(-_differences(scores) / temperature).sum(-1)  # the sum has 1/2 for j = i
    places = torch.arange(1, scores.shape[-1] + 1, dtype=scores.dtype, device=scores.device)
    ideal = (gains.sort(dim=-1, descending=True).values / torch.log2(1 + places)).sum(-1)
    return 1 - (gains / torch.log2(1 + smooth_ranks)).sum(-1) / ideal


def top_heavy(scores: Tensor, targets: Tensor) -> Tensor:
    """RankNet in which the pairs of good graphs count most: for searches, where only the top matters.

    Weighted mean of `log(1 + exp(-(s_i - s_j)))` over all pairs with y_i > y_j, with the weight
    `1 / log2(1 + rank_i)` of the better one (rank 1 is best): the discount of NDCG, as in LambdaRank.

    >>> round(top_heavy(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 1.0])).item(), 4)
    0.6931
    """
    better = (_differences(targets) > 0).to(scores.dtype)
    ranks = 1 + better.sum(-2)  # how many are better than i, plus one
    weights = better / torch.log2(1 + ranks).unsqueeze(-1)
    total = (F.softplus(-_differences(scores)) * weights).sum((-2, -1))
    return total / weights.sum((-2, -1)).clamp_min(1e-9)


LOSSES: dict[str, Loss] = {
    "mse": mse,
    "relative_mse": relative_mse,
    "relative_mae": relative_mae,
    "relative_log": relative_log,
    "rank_mse": rank_mse,
    "sr": sr,
    "pairwise_logistic": pairwise_logistic,
    "pairwise_hinge": pairwise_hinge,
    "list_mle": list_mle,
    "approx_ndcg": approx_ndcg,
    "top_heavy": top_heavy,
}
"""Loss terms a training configuration may weigh and add; `ac` joins when graphs are trained with a copy."""

RANKING_LOSSES = frozenset({"rank_mse", "pairwise_logistic", "pairwise_hinge", "list_mle", "approx_ndcg", "top_heavy"})
"""Losses that fix only the order of the scores, or learn ranks: not on the scale of the targets."""


def _differences(values: Tensor) -> Tensor:
    """All differences `v_i - v_j`: `(..., B)` to `(..., B, B)`."""
    return values.unsqueeze(-1) - values.unsqueeze(-2)


def _shares_below(targets: Tensor) -> Tensor:
    """The share of a batch's targets below each one, equal ones (itself too) counting half: `(..., B)` in (0, 1)."""
    differences = _differences(targets)
    return ((differences > 0).to(targets.dtype) + 0.5 * (differences == 0)).mean(-1)


def _mean_over_pairs(values: Tensor, targets: Tensor) -> Tensor:
    """Mean of `values (..., B, B)` over the pairs with y_i > y_j; zero where all targets are equal."""
    better = (_differences(targets) > 0).to(values.dtype)
    return (values * better).sum((-2, -1)) / better.sum((-2, -1)).clamp_min(1)
