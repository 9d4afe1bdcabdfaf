from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nasx.predictors.inputs import Inputs
from nasx.predictors.trainer import TrainingConfig, learning_rate_factor, train


class Scale(nn.Module):
    """A score a member: its weight times the number of nodes."""

    def __init__(self, members: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(members, 1))

    def forward(self, graphs: Inputs) -> Tensor:
        return self.weight * graphs.mask.sum(-1)


CONFIG = TrainingConfig(
    losses={"mse": 1.0}, consistency=0.0, epochs=60, batch_size=4, learning_rate=0.1, schedule="cosine"
)
MASK = torch.tensor([[1.0, 0, 0], [1, 1, 0], [1, 1, 1]]).repeat(3, 1)
GRAPHS = Inputs(torch.zeros(9, 3, dtype=torch.long), torch.zeros(9, 3, 3), MASK)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_training_finds_the_minimum(optimizer: str) -> None:
    torch.manual_seed(0)
    network = Scale(members=2)
    config = TrainingConfig(**{**CONFIG.__dict__, "optimizer": optimizer})
    train(network, GRAPHS, None, 0.5 * MASK.sum(-1), config, members=2)
    torch.testing.assert_close(network.weight.detach(), torch.full((2, 1), 0.5), atol=0.02, rtol=0)
    assert not network.training


def test_the_best_validated_state_is_kept() -> None:
    torch.manual_seed(0)
    network = Scale()
    config = TrainingConfig(**{**CONFIG.__dict__, "validate_every": 1})
    train(network, GRAPHS, None, 0.5 * MASK.sum(-1), config, validate=lambda: -abs(network.weight.item() - 0.2))
    assert network.weight.item() == pytest.approx(0.2, abs=0.1)


def test_few_graphs_still_get_enough_steps_and_progress_is_reported() -> None:
    seen: list[tuple[int, int]] = []
    config = TrainingConfig(**{**CONFIG.__dict__, "epochs": 2, "min_steps": 10})
    train(Scale(), GRAPHS, None, MASK.sum(-1), config, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(3, 12), (6, 12), (9, 12), (12, 12)]


def test_many_graphs_get_no_more_steps_than_allowed() -> None:
    seen: list[tuple[int, int]] = []
    config = TrainingConfig(**{**CONFIG.__dict__, "epochs": 60, "max_steps": 7})
    train(Scale(), GRAPHS, None, MASK.sum(-1), config, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(3, 9), (6, 9), (9, 9)]


def test_copies_pull_scores_together() -> None:
    """A copy with one node less: the consistency term wants both scores equal, so the weight shrinks."""
    copies = GRAPHS._replace(mask=MASK.roll(1, dims=0))
    weights = []
    for consistency in (0.01, 100.0):
        torch.manual_seed(0)
        network = Scale()
        config = TrainingConfig(**{**CONFIG.__dict__, "consistency": consistency})
        train(network, GRAPHS, copies, MASK.sum(-1), config)
        weights.append(abs(network.weight.item()))
    assert weights[1] < 0.5 * weights[0]


def test_schedules_rise_and_fall() -> None:
    for schedule, end in (("linear", 0.0), ("cosine", 0.0), ("constant", 1.0)):
        config = TrainingConfig(warmup=0.1, schedule=schedule)  # type: ignore[arg-type]
        factors = [learning_rate_factor(step, 100, config) for step in range(101)]
        assert factors[0] == 0
        assert factors[10] == 1
        assert factors[100] == pytest.approx(end, abs=1e-9)
        assert max(factors) == 1
