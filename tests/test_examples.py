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


def test_the_macro_space_keeps_the_contract_and_its_graphs_are_its_networks() -> None:
    import torch

    from nasx.testing import check_search_space

    example = runpy.run_path(str(EXAMPLES / "macro_cnn.py"))
    space = example["MacroCNN"]()
    check_search_space(space, samples=5)
    for architecture in space.samples(10, np.random.default_rng(0)):
        network = space.network(architecture).eval()
        assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
        blocks = [module for module in network.modules() if isinstance(module, example["Block"])]
        labels = space.graph(architecture).operations
        assert len(blocks) == sum(label.startswith("block") for label in labels)
        assert sum(block.shortcut for block in blocks) == labels.count("add")


@pytest.mark.slow
def test_the_macro_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example = runpy.run_path(str(EXAMPLES / "macro_cnn.py"))
    result = example["main"](budget=5, initial=3, epochs=1, predictor="trees")
    assert result.evaluations == 5
    assert np.isfinite(result.values).all()
    assert "5 of 757,008 networks trained" in capsys.readouterr().out


def test_the_transformers_are_causal_and_their_choices_show_in_their_graphs() -> None:
    import torch

    example = runpy.run_path(str(EXAMPLES / "char_transformer.py"))
    space = example["Transformers"]()
    text = "layers=1,width=16,heads=2,feed_forward=2,activation=gelu,norm=before,places={},tied={}"
    learned = space.parse(text.format("learned", True))
    network, pieces = (
        space.network(learned).eval(),
        torch.randint(9, (1, 12), generator=torch.Generator().manual_seed(0)),
    )
    changed = pieces.clone()
    changed[0, 8:] += 1
    with torch.no_grad():
        before, after = network(pieces), network(changed)
    assert torch.allclose(before[0, :8], after[0, :8], atol=1e-6)
    assert not torch.allclose(before[0, 8:], after[0, 8:], atol=1e-6)
    graphs = [space.graph(space.parse(text.format(p, t))) for p in ("learned", "waves", "none") for t in (True, False)]
    assert len({graph.canonical_hash() for graph in graphs}) == 6
    assert graphs[0].attributes["parameters"] == sum(value.numel() for value in network.parameters())
    assert "Attention-2hcausal" in graphs[0].operations
    sizes = {name: len(part) for name, part in example["texts"]().items()}
    assert sizes["training"] > 4_000
    assert min(sizes.values()) > 500


@pytest.mark.slow
def test_the_transformer_example_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    example = runpy.run_path(str(EXAMPLES / "char_transformer.py"))
    monkeypatch.setattr("nasx.search_spaces.choice_space.TRACED_CANDIDATES", 10)
    result = example["main"](budget=5, initial=3, steps=3)
    assert result.evaluations == 5
    assert "bits a character on the last sonnet" in capsys.readouterr().out
