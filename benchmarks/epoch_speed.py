"""How long is an epoch of the published NAR-Former V2? Batches of whole graphs against a loop over single graphs.

    python benchmarks/epoch_speed.py --out benchmarks/results/epoch_speed.json

Both train the paper preset (8.6 million parameters, 8 cells and 8 reordered copies a step) on the same NAS-Bench-201
cells with the same losses and optimiser. The reference is the forward pass as released: a Python loop that takes every
graph out of its batch and sends it through ordinary layers alone. That both give the same scores is
checked before the clock starts. Medians of ``--steps`` steps, the two taking turns; an epoch is 98 steps (781 cells).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shlex
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nasx.predictors  # noqa: F401 - before torch: OpenMP threads then sleep between parallel sections

# isort: split
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasx.benchmark import load_benchmark
from nasx.predictors.augmentation import first_reorderings
from nasx.predictors.inputs import Inputs, encode
from nasx.predictors.losses import LOSSES, ac
from nasx.predictors.nar_former_v2 import NARFormerV2Network, network_config
from nasx.predictors.nar_former_v2_predictor import label_codes
from nasx.predictors.presets import PAPER

CELLS = 781


class NaiveGroupLinear(nn.Module):
    """Each group of channels through its own matrix, with a layer norm over its outputs."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(groups, inputs // groups, outputs // groups))
        self.bias = nn.Parameter(torch.empty(groups, 1, outputs // groups))
        self.norm = nn.LayerNorm(outputs // groups)

    def forward(self, x: Tensor) -> Tensor:
        """Maps the nodes of one graph `(N, inputs)` to `(N, outputs)`."""
        grouped = x.unflatten(1, (len(self.weight), -1)).transpose(0, 1)  # (groups, N, inputs / groups)
        return self.norm(torch.bmm(grouped, self.weight) + self.bias).transpose(0, 1).flatten(1)


class NaiveBlock(nn.Module):
    """Equations (5) to (11) for one graph."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.gate, self.query = nn.Linear(1, features), nn.Linear(features, features)
        self.aggregate, self.root = nn.Linear(features, width), nn.Linear(features, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = NaiveGroupLinear(width, 4 * width, 8), NaiveGroupLinear(4 * width, width, 8)
        self.scale = nn.Parameter(torch.full((width,), 1e-4))

    def forward(self, h: Tensor, adjacency: Tensor) -> Tensor:
        """Maps nodes `(N, features)` to `(N, width)`; `adjacency (N, N)` is symmetric."""
        h = torch.sigmoid(self.gate(adjacency.sum(1, keepdim=True))) * h
        x = torch.sigmoid(self.query(h))
        scores = (x @ x.T / math.sqrt(h.shape[1])) * adjacency
        h = self.aggregate(scores / (scores.sum(1, keepdim=True) + 1e-6) @ h) + self.root(h)
        h = F.dropout(F.relu(F.normalize(h, dim=-1)), 0.05, self.training)
        hidden = F.dropout(F.relu(self.up(self.norm(h))), 0.05, self.training)
        return h + self.scale * F.dropout(self.down(hidden), 0.05, self.training)


class NaiveNetwork(nn.Module):
    """The published accuracy predictor, one graph at a time."""

    def __init__(self, tokens: nn.Module, features: int, width: int, blocks: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.blocks = nn.ModuleList(NaiveBlock(features if k == 0 else width, width) for k in range(blocks))
        total = blocks * width
        self.hidden, self.weights = nn.Linear(total, total // 4), nn.Linear(total // 4, blocks)
        self.first, self.second, self.last = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, graphs: Inputs) -> Tensor:
        """Scores graphs `(1, B)`: a loop over the batch, as released."""
        tokens = self.tokens(graphs.codes)[0]
        scores = []
        for row in range(tokens.shape[0]):
            count = int(graphs.mask[0, row].sum())
            directed = graphs.adjacency[0, row, :count, :count]
            h, outputs = tokens[row, :count], []
            for block in self.blocks:
                h = block(h, directed + directed.T)
                outputs.append(h.mean(0))
            shares = torch.sigmoid(self.weights(F.relu(self.hidden(torch.cat(outputs)))))
            h = (shares.unsqueeze(1) * torch.stack(outputs)).sum(0)
            h = F.dropout(F.relu(self.first(h)), 0.05, self.training)
            h = F.dropout(F.relu(self.second(h)), 0.05, self.training)
            scores.append(-F.logsigmoid(self.last(h)))
        return torch.stack(scores, dim=1)


def naive_copy(network: NARFormerV2Network) -> NaiveNetwork:
    """The naive network with the weights of a batched one."""

    def copy(old: Any, new: nn.Linear) -> None:
        new.weight.copy_(old.weight[0].T)
        if old.bias is not None:
            new.bias.copy_(old.bias[0, 0])

    config = network.config
    features = network.blocks[0].root.weight.shape[1]
    naive = NaiveNetwork(network.tokens, features, config.width, config.blocks)
    with torch.no_grad():
        for old, new in zip(network.blocks, naive.blocks, strict=True):
            copy(old.enhance.gate, new.gate)
            copy(old.attention.query, new.query)
            copy(old.attention.aggregate, new.aggregate)
            copy(old.root, new.root)
            for grouped, plain in ((old.up, new.up), (old.down, new.down)):
                plain.weight.copy_(grouped.weight)
                plain.bias.copy_(grouped.bias)
            new.scale.copy_(old.scale[0, 0, 0])
        for name in ("hidden", "weights"):
            copy(getattr(network.fusion, name), getattr(naive, name))
        for name in ("first", "second", "last"):
            copy(getattr(network.head, name), getattr(naive, name))
    return naive


def step(network: nn.Module, optimizer: torch.optim.Optimizer, batch: Inputs, targets: Tensor) -> None:
    """One step of the published training: relative MSE, SR and AC losses of cells and copies."""
    scores = network(batch)
    doubled = targets.repeat(1, 2)
    loss = LOSSES["relative_mse"](scores, doubled) + 0.1 * LOSSES["sr"](scores, doubled)
    loss = (loss + 0.5 * ac(*scores.chunk(2, dim=1))).sum()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def measure(steps: int, threads: int) -> dict[str, Any]:
    """Trains both side by side, step for step; seconds of a step each."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    bench = load_benchmark("nasbench201")
    rows = np.random.default_rng(0).permutation(len(bench))[:CELLS]
    graphs, targets = bench.graphs(rows), torch.from_numpy(bench.values()[rows] / 100).float()
    network = NARFormerV2Network(
        network_config(PAPER), len(graphs.vocabulary), label_codes=label_codes(graphs.vocabulary)
    )
    naive = naive_copy(network)
    cells, copies = encode(graphs, torch.device("cpu")), encode(first_reorderings(graphs), torch.device("cpu"))
    some = cells.rows(torch.arange(64)).unsqueezed()
    network.eval(), naive.eval()
    with torch.inference_mode():
        difference = float((network(some) - naive(some)).abs().max())
    if difference > 1e-4:
        raise SystemExit(f"the two networks differ by {difference:.2g}; nothing was measured")
    network.train(), naive.train()
    steps_an_epoch = math.ceil(CELLS / PAPER.batch_size)
    contestants = {
        "batched": (network, torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)),
        "one_graph_at_a_time": (naive, torch.optim.Adam(naive.parameters(), lr=1e-4)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(steps + 3):
        chosen = torch.randperm(CELLS)[: PAPER.batch_size].unsqueeze(0)
        batch = cells.rows(chosen).joined(copies.rows(chosen))
        for name, (model, optimizer) in contestants.items():
            start = time.perf_counter()
            step(model, optimizer, batch, targets[chosen])
            if number >= 3:  # the first steps allocate
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    return {
        "threads": threads,
        "largest_difference_of_scores": difference,
        **{f"{name}_step_seconds": median for name, median in medians.items()},
        **{f"{name}_epoch_seconds": median * steps_an_epoch for name, median in medians.items()},
        "one_graph_at_a_time_over_batched": medians["one_graph_at_a_time"] / medians["batched"],
    }


def main() -> None:
    """Parses the command line, measures, writes the JSON and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    report = {
        "command": shlex.join(["python", *sys.argv]),
        "steps": arguments.steps,
        "versions": {package: version(package) for package in ("nasx", "torch")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "measurements": [measure(arguments.steps, threads) for threads in arguments.threads],
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
