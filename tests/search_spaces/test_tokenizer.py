"""Tokens: the published encoding, number by number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.nasbench101 import NASBench101
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.search_spaces.tokenizer import PUBLISHED_LABELS, Tokenizer, frequency_encoding


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10), st.integers(1, 12), st.sampled_from(["nerf", "trans"]), st.sampled_from(["linear", "log"]))
def test_encoding_is_the_formula(x: int, frequencies: int, mode: str, spacing: str) -> None:
    top = frequencies - 1
    expected = []
    for k in range(frequencies):
        if mode == "trans":
            angle = x / 10000 ** (k / frequencies)
        elif spacing == "log":
            angle = math.pi * x * 2**k
        else:
            angle = math.pi * x * (1 + (2**top - 1) * (k / top if top else 0))
        expected += [math.sin(angle), math.cos(angle)]
    found = frequency_encoding(x, frequencies, mode, spacing)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-2)  # single precision of angles up to 6e4


def test_published_labels_are_nearly_orthogonal() -> None:
    """Measured on the released code: cosines between the labels 0..7 lie within 0.21."""
    codes = frequency_encoding(range(8), 32).astype(np.float64)
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    assert np.abs(codes @ codes.T - np.eye(8)).max() == pytest.approx(0.21, abs=0.005)


def test_published_token_of_nasbench201() -> None:
    space = NASBench201()
    graphs = space.graphs_of_indices([0, 7, 15_624])
    tokens = Tokenizer(PUBLISHED_LABELS["nasbench201"])(graphs)
    assert tokens.features.shape == (3, 8, 128)
    assert tokens.mask.all()
    assert np.array_equal(tokens.adjacency, graphs.adjacency)
    labels = {
        "input": 0,
        "nor_conv_1x1": 1,
        "nor_conv_3x3": 2,
        "avg_pool_3x3": 3,
        "skip_connect": 4,
        "none": 5,
        "output": 6,
    }
    for row, graph in enumerate(graphs):
        for node, operation in enumerate(graph.operations):
            expected = [*frequency_encoding(labels[operation], 32), *frequency_encoding(node, 32)]
            assert tokens.features[row, node].tolist() == [float(value) for value in expected]


def test_padding_is_zero() -> None:
    graphs = NASBench101().graphs_of_indices([0, 423_623])
    tokens = Tokenizer(PUBLISHED_LABELS["nasbench101"], frequencies=4, position_frequencies=2)(graphs)
    assert tokens.features.shape == (2, 7, 12)
    assert not tokens.features[0, 2:].any()
    assert tokens.mask.sum(axis=1).tolist() == [2, 7]


def test_other_codings() -> None:
    graphs = [
        Graph(["input", "b", "output"], [[0, 1, 0], [0, 0, 1], [0, 0, 0]]),
        Graph(["input", "output"], [[0, 1], [0, 0]]),
    ]
    order = ["output", "input", "a", "b"]
    one_hot = Tokenizer(order, coding="one_hot", position_frequencies=0)
    assert one_hot(graphs).features[0].tolist() == [[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]]
    assert one_hot.width == 4
    codes = Tokenizer(order, coding="codes")
    assert codes(graphs).features.tolist() == [[1, 3, 0], [1, 0, 0]]
    assert codes.width == 1
    assert len(codes([]).features) == 0


def test_wrong_arguments_are_explained() -> None:
    with pytest.raises(UsageError, match="known: codes, frequency, one_hot"):
        Tokenizer(["a"], coding="learned")
    with pytest.raises(UsageError, match="listed twice"):
        Tokenizer(["a", "a"])
    with pytest.raises(UsageError, match="unknown mode"):
        frequency_encoding(1, 4, mode="fourier")
    with pytest.raises(UsageError, match="unknown spacing"):
        frequency_encoding(1, 4, spacing="cubic")
    with pytest.raises(UsageError, match="at least one frequency"):
        frequency_encoding(1, 0)
    with pytest.raises(UsageError, match="unknown operation b; known: a"):
        Tokenizer(["a"])([Graph(["b"], [[0]])])
