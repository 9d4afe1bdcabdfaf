"""The measured data set that comes with nasx."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import nasx
from nasx.latency_facts import read_facts
from nasx.search_spaces.network_table import families_of

NAME = "latency-xeon-1thread"
FILE = Path(nasx.__file__).parent / "measured" / f"{NAME}.parquet"


def test_it_opens_out_of_the_box() -> None:
    benchmark = nasx.load_benchmark(NAME)
    assert (len(benchmark), benchmark.target, benchmark.direction) == (2_000, "latency_ms", "minimize")
    families = families_of(benchmark.space)
    assert set(Counter(families.tolist()).values()) == {200}
    values = benchmark.values()
    assert np.isfinite(values).all()
    assert 0.5 < values.min() < values.max() < 40
    graphs = benchmark.graphs()
    for family in np.unique(families):
        rows = families == family
        assert np.corrcoef(np.log(values[rows]), np.log(graphs.attributes["macs"][rows]))[0, 1] > 0.8


def test_its_card_is_in_the_file() -> None:
    facts = read_facts(FILE)
    assert facts["settings"]["threads"] == 1
    assert facts["machine"]["onnxruntime"] == "1.31.1"
    assert facts["licence"] == "Apache-2.0"
    assert 0 < facts["repeatability"][0] < facts["repeatability"][1]


def test_networks_are_those_that_the_generator_writes() -> None:
    pytest.importorskip("onnx", reason="needs the package onnx: pip install 'nasx[onnx]'")
    from nasx.network_families import random_members

    benchmark = nasx.load_benchmark(NAME)
    for member in random_members(["alexnet", "resnet", "nasbench201"], 2, seed=0):
        name = f"{member.family}/{member.name}"
        assert benchmark.space.graph(name) == nasx.read_onnx(member.model())
