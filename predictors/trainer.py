"""The training loop of torch predictors, to be read in one sitting."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from nasx.predictors.base import Direction, Progress
from nasx.predictors.inputs import Inputs
from nasx.predictors.losses import LOSSES, ac


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a network is trained; the defaults are the published schedule of NAR-Former V2."""

    losses: Mapping[str, float] = field(default_factory=lambda: {"relative_mse": 1.0, "sr": 0.1})
    """Weights of the loss terms (names of `losses.LOSSES`) that are added."""
    consistency: float = 0.5
    """Weight of the distance between a graph's score and its copy's; 0 trains without copies."""
    epochs: int = 1000
    min_steps: int = 0
    """Few graphs make short epochs: epochs are added until there are this many steps."""
    max_steps: int = 0
    """Many graphs are learnt by heart: no more epochs than it takes to make this many steps; 0: no such limit."""
    batch_size: int = 8
    """Graphs a step and member, copies not counted."""
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    warmup: float = 0.1
    """Share of the steps in which the learning rate rises from 0."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate falls to 0 afterwards."""
    validate_every: int = 10
    """Epochs between two looks at the validation graphs, if there are any."""


def train(
    network: nn.Module,
    graphs: Inputs,
    copies: Inputs | None,
    targets: Tensor,
    config: TrainingConfig,
    *,
    members: int = 1,
    direction: Direction = "maximize",
    validate: Callable[[], float] | None = None,
    progress: Progress | None = None,
) -> None:
    """Trains a network in place; every member sees every graph once an epoch, each in an order of its own.

    Args:
        network: Maps `Inputs` of `(E, b)` graphs to scores `(E, b)`.
        graphs: The n training graphs.
        copies: The same graphs written differently, or None.
        targets: Their targets `(n,)`.
        config: Losses, optimiser, schedule.
        members: Number E of networks computed side by side.
        direction: Which end of the targets is the good one, for losses that care more about that end.
        validate: Gives the quality of the network as it is; the best state seen is kept. None keeps the last.
        progress: Called as `progress(steps_done, steps_in_all)` after each epoch.

    Randomness (order, dropout, SR pairs) is torch's; call it inside `torch.random.fork_rng` after a seed.
    """
    count = len(targets)
    steps_an_epoch = math.ceil(count / config.batch_size)
    epochs = max(config.epochs, math.ceil(config.min_steps / steps_an_epoch))
    if config.max_steps:
        epochs = min(epochs, math.ceil(config.max_steps / steps_an_epoch))
    steps = epochs * steps_an_epoch
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    optimizer = kinds[config.optimizer](_parameter_groups(network, config), lr=config.learning_rate, fused=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, steps, config))
    sign = 1.0 if direction == "maximize" else -1.0
    best_quality, best_state = -math.inf, None
    for epoch in range(epochs):
        network.train()
        orders = torch.rand(members, count, device=targets.device).argsort(dim=-1)  # (E, n)
        for rows in orders.tensor_split(steps_an_epoch, dim=-1):  # equal parts: a small rest would be all noise
            batch = graphs.rows(rows)
            if copies is not None:
                batch = batch.joined(copies.rows(rows))
            loss = _loss(network(batch), targets[rows], config, sign).sum()  # members do not share parameters
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            scheduler.step()
        last = epoch == epochs - 1
        if validate is not None and ((epoch + 1) % config.validate_every == 0 or last):
            network.eval()
            quality = validate()
            if quality > best_quality:
                best_quality = quality
                best_state = {name: value.clone() for name, value in network.state_dict().items()}
        if progress is not None:
            progress((epoch + 1) * steps_an_epoch, steps)
    if best_state is not None:
        network.load_state_dict(best_state)
    network.eval()


def _loss(scores: Tensor, targets: Tensor, config: TrainingConfig, sign: float) -> Tensor:
    """The weighted sum of the terms for each member, `(E,)`; rows past the targets' are those of the copies."""
    total = scores.new_zeros(len(scores))
    if scores.shape[1] > targets.shape[1]:
        total = config.consistency * ac(*scores.chunk(2, dim=1))
        targets = targets.repeat(1, 2)
    for name, weight in config.losses.items():
        total = total + weight * LOSSES[name](sign * scores, sign * targets)
    return total


def learning_rate_factor(step: int, steps: int, config: TrainingConfig) -> float:
    """The share of the full learning rate at a step: a linear rise, then the schedule's fall.

    >>> config = TrainingConfig(warmup=0.5)
    >>> [learning_rate_factor(step, 4, config) for step in range(5)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    rise = config.warmup * steps
    if step < rise:
        return step / rise
    done = (step - rise) / max(steps - rise, 1)
    return {"linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2, "constant": 1.0}[config.schedule]


def _parameter_groups(network: nn.Module, config: TrainingConfig) -> list[dict[str, object]]:
    """Weight decay is for matrices; biases, norms and layer scales go without."""
    decayed = [p for name, p in network.named_parameters() if name.endswith("weight") and p.dim() > 2]
    others = [p for name, p in network.named_parameters() if not (name.endswith("weight") and p.dim() > 2)]
    groups: list[dict[str, object]] = [{"params": decayed, "weight_decay": config.weight_decay}]
    return [*groups, {"params": others, "weight_decay": 0.0}]
