"""Accurate and fast: MobileNet-like networks for handwritten digits, searched with real training and a stop watch.

The data are scikit-learn's digits: 1,797 images of 8 x 8 grey values. A quarter is put aside before anything else, and
a quarter of the rest is for validation. Every network is trained on what is left; what is sought are the networks of
which no other is both more accurate on the validation images and faster. The images put aside are met by these alone.

    python macro_cnn.py          # in this folder; a network takes 4 to 14 seconds of a core, a search some minutes
    python macro_cnn.py --quick  # a few tiny trainings, to see it run

The blocks are those of Sandler et al., "MobileNetV2", CVPR 2018 (https://arxiv.org/abs/1801.04381): widen, convolve
every channel by itself, narrow, and add the input where the shape is the same.
"""

from __future__ import annotations

import argparse
import functools
import time
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import nasx
from nasx.pareto_search import pareto_search

EPOCHS, BATCH = 8, 64
STAGES = (1, 2, 3)


class MacroCNN(nasx.ChoiceSpace):
    """MobileNet-like networks: depth, width, kernel and expansion of every stage."""

    def __init__(self) -> None:
        choices: dict[str, Any] = {"stages": range(1, 4), "stem": [8, 16]}
        conditions: dict[str, Any] = {}
        for stage in STAGES:
            own = {
                f"depth_{stage}": range(1, 4),
                f"width_{stage}": [8, 16, 24, 32],
                f"kernel_{stage}": [3, 5],
                f"expansion_{stage}": [1, 2, 4],
            }
            choices |= own
            if stage > 1:
                conditions |= {name: {"stages": range(stage, 4)} for name in own}
        super().__init__("macro-cnn", choices, network_of, graph=blocks_of, conditions=conditions)


def blocks_of(chosen: dict[str, Any]) -> nasx.Graph:
    """The network as the predictor sees it: a node for every block, an edge around those with a shortcut.

    Left out, with ``example=(1, 1, 8, 8)`` in its place, nasx would trace the module into some hundred nodes; that
    takes a third of a second for every candidate.
    """
    labels, edges = ["input", f"stem{chosen['stem']}"], [(0, 1)]
    width = chosen["stem"]
    for stage in range(1, chosen["stages"] + 1):
        for block in range(chosen[f"depth_{stage}"]):
            halved = "/2" if block == 0 and stage > 1 else ""
            labels.append(
                f"block{chosen[f'kernel_{stage}']}x{chosen[f'expansion_{stage}']}-{chosen[f'width_{stage}']}{halved}"
            )
            edges.append((len(labels) - 2, len(labels) - 1))
            if not halved and width == chosen[f"width_{stage}"]:
                labels.append("add")
                edges += [(len(labels) - 2, len(labels) - 1), (len(labels) - 3, len(labels) - 1)]
            width = chosen[f"width_{stage}"]
    labels.append("head")
    edges.append((len(labels) - 2, len(labels) - 1))
    return nasx.Graph.from_edges(labels, edges)


class Block(nn.Module):
    """An inverted residual block, ``(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)``."""

    def __init__(self, inputs: int, outputs: int, kernel: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.inside = nn.Sequential(
            *(convolved(inputs, inner, 1), nn.ReLU6()) if expansion > 1 else (),
            convolved(inner, inner, kernel, stride=stride, groups=inner),
            nn.ReLU6(),
            convolved(inner, outputs, 1),
        )
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Computes the block."""
        return x + self.inside(x) if self.shortcut else self.inside(x)


def convolved(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution and its normalisation."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


def network_of(chosen: dict[str, Any]) -> nn.Module:
    """The network itself, ``(B, 1, 8, 8) -> (B, 10)``."""
    width = chosen["stem"]
    layers: list[nn.Module] = [convolved(1, width, 3), nn.ReLU6()]
    for stage in range(1, chosen["stages"] + 1):
        kernel, expansion = chosen[f"kernel_{stage}"], chosen[f"expansion_{stage}"]
        for block in range(chosen[f"depth_{stage}"]):
            stride = 2 if block == 0 and stage > 1 else 1
            layers.append(Block(width, chosen[f"width_{stage}"], kernel, expansion, stride))
            width = chosen[f"width_{stage}"]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


@functools.cache
def images() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Images ``(n, 1, 8, 8)`` and digits ``(n,)`` to train on, to validate with, and put aside."""
    x, y = load_digits(return_X_y=True)
    x = x.reshape(-1, 1, 8, 8).astype(np.float32) / 16
    x, aside_x, y, aside_y = train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)
    x, check_x, y, check_y = train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)
    parts = {"training": (x, y), "validation": (check_x, check_y), "aside": (aside_x, aside_y)}
    return {name: (torch.tensor(pixels), torch.tensor(digits)) for name, (pixels, digits) in parts.items()}


def train(network: nn.Module, *, epochs: int, seed: int = 0) -> nn.Module:
    """Trains a network with AdamW and a one-cycle schedule."""
    x, y = images()["training"]
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=1e-2)
    steps = epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps)
    network.train()
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=generator)
        for rows in order[: len(x) // BATCH * BATCH].split(BATCH):
            loss = nn.functional.cross_entropy(network(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def accuracy(network: nn.Module, part: str) -> float:
    """Percent of the digits of a part that the network knows."""
    x, y = images()[part]
    with torch.no_grad():
        return 100 * (network(x).argmax(dim=1) == y).double().mean().item()


def latency_ms(network: nn.Module, *, runs: int = 60) -> float:
    """Milliseconds for one image on one core: the quickest of some runs, as other programs only ever add to it."""
    x = images()["validation"][0][:1]
    times = []
    with torch.inference_mode():
        for _ in range(10 + runs):
            start = time.perf_counter()
            network(x)
            times.append(1000 * (time.perf_counter() - start))
    return min(times[10:])


def evaluate(architecture: Any, *, epochs: int = EPOCHS) -> tuple[float, float]:
    """The two objectives: validation accuracy in percent, and latency in milliseconds."""
    torch.manual_seed(0)
    network = train(MacroCNN().network(architecture), epochs=epochs)
    return accuracy(network, "validation"), latency_ms(network)


def main(budget: int = 32, initial: int = 16, epochs: int = EPOCHS, predictor: str = "nar-former-v2") -> Any:
    """Searches, and shows what the networks of the front do with the images put aside."""
    torch.set_num_threads(1)  # networks this small are quickest on one core
    space = MacroCNN()
    start = time.perf_counter()
    result = pareto_search(
        space,
        functools.partial(evaluate, epochs=epochs),
        ["accuracy", "latency_ms"],
        directions={"accuracy": "maximize", "latency_ms": "minimize"},
        predictor=predictor,
        budget=budget,
        initial=initial,
        batch=8,
        seed=0,
    )
    print(f"{result.evaluations} of {space.size:,} networks trained in {time.perf_counter() - start:.0f} s")
    print("validation   aside   latency  network")
    for row, architecture in zip(result.values[result.front], result.best, strict=True):
        torch.manual_seed(0)
        aside = accuracy(train(space.network(architecture), epochs=epochs), "aside")
        print(f"{row[0]:8.2f} % {aside:6.2f} % {row[1]:6.2f} ms  {space.format(architecture)}")
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="MobileNet-like networks for digits: accuracy and latency.")
    parser.add_argument("--budget", type=int, default=32, help="networks that are trained")
    parser.add_argument("--quick", action="store_true", help="a few tiny trainings")
    arguments = parser.parse_args()
    if arguments.quick:
        main(budget=6, initial=4, epochs=1, predictor="trees")
    else:
        main(budget=arguments.budget, initial=min(16, arguments.budget))
