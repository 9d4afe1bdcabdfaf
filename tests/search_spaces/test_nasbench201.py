"""NAS-Bench-201: official strings, official order, graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.nasbench201 import EDGES, OPERATIONS, NASBench201
from nasx.testing import check_search_space

CELL = ("nor_conv_3x3", "nor_conv_1x1", "none", "skip_connect", "avg_pool_3x3", "nor_conv_3x3")
TEXT = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"


@pytest.mark.parametrize("order", ["lexicographic", "official"])
def test_conformance(order: str) -> None:
    check_search_space(NASBench201(order=order), samples=20)


@pytest.mark.data
def test_official_order(shared_data: Path) -> None:
    import pandas as pd

    table = pd.read_parquet(shared_data / "nasbench201.parquet", columns=["architecture"])
    space = NASBench201(order="official")
    assert [space.format(cell) for cell in space.enumerate()] == table["architecture"].to_list()


def test_official_order_starts_as_published() -> None:
    space = NASBench201(order="official")
    assert space.format(space.architecture(0)).startswith("|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+")
    assert set(space.enumerate()) == set(NASBench201().enumerate())


def test_text_form() -> None:
    space = NASBench201()
    assert space.format(CELL) == TEXT
    assert space.parse(f" {TEXT} ") == CELL
    for text in ("", TEXT[:-1], TEXT.replace("~2", "~1"), TEXT + "+|none~0|"):
        with pytest.raises(UsageError, match="is no NAS-Bench-201 cell; write"):
            space.parse(text)
    with pytest.raises(UsageError, match="unknown operation of NAS-Bench-201 'nor_conv_5x5'"):
        space.parse(TEXT.replace("nor_conv_1x1", "nor_conv_5x5"))
    with pytest.raises(UsageError, match="a tuple of 6 values"):
        space.format(CELL[:5])


def test_graph_has_the_edges_as_nodes() -> None:
    graph = NASBench201().graph(CELL)
    assert graph.operations == ("input", *CELL, "output")
    name = dict(enumerate(["input", *EDGES, "output"]))
    links = {(name[u], name[v]) for u, v in graph.edges}
    assert links == {
        ("input", "0>1"),
        ("input", "0>2"),
        ("input", "0>3"),
        ("0>1", "1>2"),
        ("0>1", "1>3"),
        ("0>2", "2>3"),
        ("1>2", "2>3"),
        ("0>3", "output"),
        ("1>3", "output"),
        ("2>3", "output"),
    }


def test_pruned_sizes_and_classes_of_all_cells() -> None:
    """Node counts and the number of graph classes as counted independently for NN-Former's preparation."""
    space = NASBench201()
    pruned = space.graphs_of_indices(range(15_625)).pruned()
    assert np.bincount(pruned.num_nodes).tolist() == [0, 0, 341, 1364, 928, 3776, 1024, 4096, 4096]
    distinct, _ = pruned.distinct()
    assert len({graph.canonical_hash() for graph in distinct}) == 8765


def test_functional_twins_share_their_key_but_stay_two_architectures() -> None:
    space = NASBench201()
    conv, none = "nor_conv_3x3", "none"
    direct = (none, none, none, conv, none, none)
    with_dead_end = (none, none, conv, conv, none, none)
    assert direct != with_dead_end
    assert space.canonical_key(direct) == space.canonical_key(with_dead_end)
    assert space.canonical_key(direct) != space.canonical_key((none, none, none, "nor_conv_1x1", none, none))


def test_indices_check_what_they_get() -> None:
    space = NASBench201()
    assert space.indices([]).shape == (0,)
    assert len(space.graphs([])) == 0
    with pytest.raises(UsageError, match="unknown value of 0>3"):
        space.indices([CELL, (*CELL[:3], "conv", *CELL[4:])])
    with pytest.raises(UsageError, match="a tuple of 6 values"):
        space.graphs([CELL[:3]])
    with pytest.raises(UsageError, match="indices run from 0 to 15624"):
        space.graphs_of_indices([0, 15_625])


def test_unknown_order() -> None:
    with pytest.raises(UsageError, match="known: lexicographic, official"):
        NASBench201(order="random")


def test_lexicographic_order_counts_the_last_edge_fastest() -> None:
    space = NASBench201()
    assert space.architecture(1) == (*["none"] * 5, OPERATIONS[1])
    assert space.index(("skip_connect", *["none"] * 5)) == 5**5
