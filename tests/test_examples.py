"""The examples run, with tiny budgets."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_tabular_space_keeps_the_contract_and_its_graphs_are_its_networks() -> None:
    import torch

    from nasx.testing import check_search_space

    example = runpy.run_path(str(EXAMPLES / "tabular.py"))
    space = example["TabularSpace"]()
    check_search_space(space, samples=10)
    for architecture in space.samples(30, np.random.default_rng(0)):
        chosen = space.choice(architecture)
        network = example["network_of"](chosen, inputs=10).eval()
        assert network(torch.zeros(2, 10)).shape == (2, 1)
        labels = space.graph(architecture).operations
        linear = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
        assert len(linear) == sum(label.startswith("linear") for label in labels) + 1  # the last one is "output"
        assert labels.count("add") == (chosen["depth"] if chosen["kind"] == "resnet" else 0)


@pytest.mark.slow
def test_the_tabular_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example = runpy.run_path(str(EXAMPLES / "tabular.py"))
    errors = example["main"](budget=6, initial=3, epochs=3, predictor="trees")
    assert set(errors) == {"searched", "plain MLP", "ridge regression"}
    assert all(np.isfinite(error) for error in errors.values())
    assert "6 of 1296 networks trained" in capsys.readouterr().out
