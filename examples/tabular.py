"""Which network for a table? A space of MLPs and ResNets, searched with real training.

The data are scikit-learn's diabetes set: 442 patients, ten measurements, and the progression of the disease a year
later. A quarter of the patients is put aside before anything else. Each network is trained on the rest, in three folds;
what is minimised is its error on the fold it has not seen. Only the winner, and two plain models beside it, meet the
patients that were put aside.

    python tabular.py          # in this folder; under two minutes on one CPU core
    python tabular.py --quick  # a few tiny trainings, to see it run. Or on the command line:
    nasx search --space tabular:TabularSpace --objective tabular:validation_error --direction minimize --budget 30

The ResNet block is that of Gorishniy et al., "Revisiting Deep Learning Models for Tabular Data", NeurIPS 2021
(https://arxiv.org/abs/2106.11959): x + Linear(Dropout(activation(Linear(norm(x))))).
"""

from __future__ import annotations

import argparse
import functools
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, train_test_split
from torch import nn

import nasx

FOLDS, EPOCHS = 3, 40
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}
NORMS = {"none": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


class TabularSpace(nasx.ChoiceSpace):
    """MLPs and ResNets for tables: depth, width, activation, normalisation, dropout."""

    def __init__(self) -> None:
        super().__init__(
            "tabular",
            {
                "kind": ["mlp", "resnet"],
                "depth": range(1, 5),
                "width": [16, 32, 64, 128],
                "expansion": [1, 2],
                "activation": list(ACTIVATIONS),
                "norm": list(NORMS),
                "dropout": [0.0, 0.2, 0.5],
            },
            operations_of,
            conditions={"expansion": {"kind": ["resnet"]}},
        )


def operations_of(chosen: dict[str, Any]) -> nasx.Graph:
    """The network as a graph of operations: a chain, and in a ResNet an edge around every block."""
    labels, edges = ["input"], []

    def then(label: str) -> None:
        labels.append(label)
        edges.append((len(labels) - 2, len(labels) - 1))

    residual = chosen["kind"] == "resnet"
    inner = chosen["width"] * chosen.get("expansion", 1)
    if residual:
        then(f"linear{chosen['width']}")
    for _ in range(chosen["depth"]):
        before = len(labels) - 1
        if chosen["norm"] != "none" and residual:
            then(f"norm_{chosen['norm']}")
        then(f"linear{inner}")
        if chosen["norm"] != "none" and not residual:
            then(f"norm_{chosen['norm']}")
        then(chosen["activation"])
        if chosen["dropout"]:
            then(f"dropout{chosen['dropout']}")
        if residual:
            then(f"linear{chosen['width']}")
            then("add")
            edges.append((before, len(labels) - 1))
    then("output")
    return nasx.Graph.from_edges(labels, edges)


class Block(nn.Module):
    """A part of a network, with its input added to its output."""

    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Computes ``x + inside(x)``, ``(B, width)``."""
        return x + self.inside(x)  # type: ignore[no-any-return]


def network_of(chosen: dict[str, Any], inputs: int) -> nn.Module:
    """The network itself, as a torch module ``(B, inputs) -> (B, 1)``."""
    activation, norm = ACTIVATIONS[chosen["activation"]], NORMS[chosen["norm"]]
    width, dropout = chosen["width"], nn.Dropout(chosen["dropout"])
    if chosen["kind"] == "mlp":
        sizes = [inputs] + [width] * chosen["depth"]
        layers: list[nn.Module] = []
        for size in sizes[:-1]:
            layers += [nn.Linear(size, width), norm(width), activation(), dropout]
        return nn.Sequential(*layers, nn.Linear(width, 1))
    inner = width * chosen["expansion"]
    blocks = [
        Block(nn.Sequential(norm(width), nn.Linear(width, inner), activation(), dropout, nn.Linear(inner, width)))
        for _ in range(chosen["depth"])
    ]
    return nn.Sequential(nn.Linear(inputs, width), *blocks, nn.Linear(width, 1))


@functools.cache
def patients() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Measurements and progression of the patients to search with, and of those put aside."""
    x, y = load_diabetes(return_X_y=True)
    x, aside, y, aside_y = train_test_split(x, y, test_size=0.25, random_state=0)
    return x, y, aside, aside_y


def train(chosen: dict[str, Any], x: np.ndarray, y: np.ndarray, *, epochs: int, seed: int) -> Any:
    """Trains a network and returns it as a function ``(n, inputs) -> (n,)`` in the unit of ``y``."""
    torch.manual_seed(seed)
    means, scales, middle, spread = x.mean(axis=0), x.std(axis=0), y.mean(), y.std()
    features = torch.tensor((x - means) / scales, dtype=torch.float32)
    targets = torch.tensor((y - middle) / spread, dtype=torch.float32)
    model = network_of(chosen, x.shape[1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    for _ in range(epochs):
        for rows in torch.randperm(len(features)).split(64):
            if len(rows) > 1:  # batch normalisation needs two
                loss = nn.functional.mse_loss(model(features[rows]).squeeze(1), targets[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    model.eval()

    def predict(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return model(torch.tensor((x - means) / scales, dtype=torch.float32)).squeeze(1).numpy() * spread + middle

    return predict


def rmse(predicted: np.ndarray, true: np.ndarray) -> float:
    """Root of the mean squared error, in the unit of the values."""
    return float(np.sqrt(np.mean((predicted - true) ** 2)))


def validation_error(architecture: Any, *, epochs: int = EPOCHS) -> float:
    """The objective: the error (RMSE) on the fold not trained on, mean of three folds."""
    chosen = TabularSpace().choice(architecture)
    x, y, _, _ = patients()
    folds = KFold(FOLDS, shuffle=True, random_state=0).split(x)
    errors = [rmse(train(chosen, x[a], y[a], epochs=epochs, seed=k)(x[b]), y[b]) for k, (a, b) in enumerate(folds)]
    return float(np.mean(errors))


def main(
    budget: int = 30, initial: int = 15, epochs: int = EPOCHS, predictor: str = "nar-former-v2"
) -> dict[str, float]:
    """Searches, and compares the winner with two plain models on the patients put aside."""
    torch.set_num_threads(1)  # networks this small are quickest on one core
    space = TabularSpace()
    result = nasx.search(
        space,
        functools.partial(validation_error, epochs=epochs),
        direction="minimize",
        predictor=predictor,
        budget=budget,
        initial=initial,
        batch=5,
        seed=0,
    )
    x, y, aside, aside_y = patients()
    plain = space.parse("kind=mlp,depth=2,width=64,activation=relu,norm=none,dropout=0.0")

    def error_aside(architecture: Any) -> float:
        models = [train(space.choice(architecture), x, y, epochs=epochs, seed=seed) for seed in range(5)]
        return rmse(np.mean([model(aside) for model in models], axis=0), aside_y)

    errors = {
        "searched": error_aside(result.best),
        "plain MLP": error_aside(plain),
        "ridge regression": rmse(RidgeCV(np.logspace(-3, 2, 20)).fit(x, y).predict(aside), aside_y),
    }
    print(f"{result.evaluations} of {space.size} networks trained in {result.total_seconds:.0f} s")
    print(f"best: {space.format(result.best)}, validation error {result.best_value:.2f}")
    print(f"      (the plain MLP: {validation_error(plain, epochs=epochs):.2f})")
    for name, error in errors.items():
        print(f"{name:17} error on the patients put aside {error:.2f}")
    return errors


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Search a network for a table.")
    parser.add_argument("--budget", type=int, default=30, help="networks that are trained")
    parser.add_argument("--quick", action="store_true", help="a few tiny trainings")
    arguments = parser.parse_args()
    if arguments.quick:
        main(budget=6, initial=3, epochs=3, predictor="trees")
    else:
        main(budget=arguments.budget, initial=min(15, arguments.budget))
