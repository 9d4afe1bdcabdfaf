"""NAS-Bench-101: validity, hashes, index, edits and tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasx.search_spaces import nasbench101 as module
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.nasbench101 import NASBench101
from nasx.search_spaces.nasbench101_cell import Cell101
from nasx.testing import check_search_space

CONV3, CONV1, POOL = "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"


@pytest.fixture(scope="module")
def space() -> NASBench101:
    return NASBench101()


def test_conformance(space: NASBench101) -> None:
    check_search_space(space, samples=20)


def test_size_is_the_published_one(space: NASBench101) -> None:
    assert space.size == 423_624
    assert sum(1 for _ in space.enumerate()) == 423_624


def test_normal_form_prunes_and_forgets_the_order_of_nodes(space: NASBench101) -> None:
    operations = ["input", CONV3, CONV1, POOL, "output"]
    one = space.cell("01100/00001/00001/00000/00000", operations)
    other = space.cell([[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]], ["input", CONV1, CONV3, "output"])
    assert one == other
    assert one.operations == ("input", CONV1, CONV3, "output") or one.operations == ("input", CONV3, CONV1, "output")


def test_official_hash_of_a_published_cell(space: NASBench101) -> None:
    cell = space.cell(
        "0100110/0010000/0001001/0000010/0000010/0000001/0000000", ["input", CONV3, POOL, CONV3, CONV3, CONV1, "output"]
    )
    assert space.module_hash(cell) == "00005c142e6f48ac74fdcf73e3439874"
    assert space.canonical_key(cell) == space.module_hash(cell)


@pytest.mark.data
def test_hashes_of_the_benchmark(shared_data: Path, space: NASBench101) -> None:
    import pandas as pd

    table = pd.read_parquet(
        shared_data / "nasbench101.parquet", columns=["module_hash", "adjacency", "operations"]
    ).sample(2000, random_state=0)
    indices = space.indices_of_text(table["adjacency"].to_list(), table["operations"].to_list())
    assert len(set(indices.tolist())) == 2000
    assert [space.module_hash(space.architecture(int(index))) for index in indices] == table["module_hash"].to_list()
    assert space.indices_of_graphs(space.graphs_of_indices(indices)).tolist() == indices.tolist()


def test_indices_of_hashes(space: NASBench101, monkeypatch: pytest.MonkeyPatch) -> None:
    places = np.array([5, 70_000, 423_623])
    hashes = np.array([space.module_hash(space.architecture(int(place))) for place in places], dtype="S32")
    order = np.argsort(hashes)
    monkeypatch.setattr(module, "_sorted_hashes", lambda: (places[order], hashes[order]))
    texts = hashes.astype("U32").tolist()
    assert space.indices_of_hashes(texts).tolist() == places.tolist()
    assert space.parse(texts[1]) == space.architecture(70_000)
    with pytest.raises(UsageError, match="no NAS-Bench-101 cell has the hash 'ffff"):
        space.indices_of_hashes([texts[0], "f" * 32])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "write its hash, or rows and operations"),
        ("011/001/000", "write its hash, or rows and operations"),
        ("011/001;input,output", "is no adjacency"),
        ("01x/001/000;input,maxpool3x3,output", "is no adjacency"),
        ("0;input", "has 2 to 7 nodes"),
        ("011/101/000;input,maxpool3x3,output", "not strictly upper-triangular"),
        ("011/001/000;input,output", "needs 3 operations; got 2"),
        ("011/001/000;input,maxpool,output", "unknown operation of NAS-Bench-101 'maxpool'.*'maxpool3x3'"),
        ("011/001/000;input,output,maxpool3x3", "run from 'input' to 'output'"),
        ("010/000/000;input,maxpool3x3,output", "a path must lead from input to output"),
        ("01111/00111/00011/00001/00000;input,maxpool3x3,maxpool3x3,maxpool3x3,output", "at most 9 edges"),
    ],
)
def test_what_is_no_cell_is_explained(space: NASBench101, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        space.parse(text)


def test_only_normal_forms_are_architectures(space: NASBench101) -> None:
    other_order = Cell101("0110/0001/0001/0000", ("input", CONV1, CONV3, "output"))
    assert space.is_valid(other_order) != space.is_valid(
        other_order._replace(operations=("input", CONV3, CONV1, "output"))
    )
    unpruned = Cell101("011/000/000", ("input", CONV1, "output"))
    with pytest.raises(UsageError, match=r"not in normal form; space\.cell"):
        space.validate(unpruned)
    with pytest.raises(UsageError, match=r"is no NAS-Bench-101 cell; space\.cell"):
        space.validate(3)


def test_tables_name_the_row_that_is_wrong(space: NASBench101) -> None:
    good = "011/001/000", f"input,{POOL},output"
    assert space.indices_of_text([good[0]], [good[1]]).tolist() == [space.index(space.parse(";".join(good)))]
    unpruned = "0110/0001/0000/0000", f"input,{POOL},{CONV1},output"
    assert space.indices_of_text([unpruned[0]], [unpruned[1]]).tolist() == [
        space.index(space.parse(f"010/001/000;input,{POOL},output"))
    ]
    for adjacency, operations, message in (
        ("011/000", good[1], "row 1: '011/000' is no adjacency"),
        (good[0], "input,pool,output", "row 1: unknown operation"),
        (good[0], "input,output", "row 1: an adjacency of 3 nodes needs 3 operations"),
        ("010/000/000", good[1], "row 1: .*a path must lead"),
    ):
        with pytest.raises(UsageError, match=message):
            space.indices_of_text([good[0], adjacency], [good[1], operations])
    assert space.indices_of_text([], []).shape == (0,)


def test_graphs_that_are_no_cells_name_their_row(space: NASBench101) -> None:
    good = space.graph(space.architecture(100))
    unconnected = Graph(["input", "output"], [[0, 0], [0, 0]])
    mislabelled = Graph(["input", "output", "output"], [[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    wide = Graph.from_edges(["input", *[POOL] * 6, "output"], [(k, k + 1) for k in range(7)])
    for bad in (unconnected, mislabelled, wide, Graph(["input"], [[0]])):
        with pytest.raises(UsageError, match=r"row 1: .* is no NAS-Bench-101 cell"):
            space.indices_of_graphs([good, bad])
    with pytest.raises(UsageError, match="unknown operation conv"):
        space.indices_of_graphs([Graph(["input", "conv", "output"], [[0, 1, 0], [0, 0, 1], [0, 0, 0]])])


def test_sampling_is_uniform_over_cells(space: NASBench101) -> None:
    rng = np.random.default_rng(0)
    indices = space.indices(space.samples(4000, rng))
    counts = np.histogram(indices, bins=8, range=(0, space.size))[0]
    assert counts.min() > 400
    sizes = np.bincount([len(cell.operations) for cell in space.samples(2000, rng)], minlength=8)
    assert sizes[7] > 1500  # 85 % of the cells have seven nodes


def test_mutation_reaches_smaller_and_larger_cells(space: NASBench101) -> None:
    rng = np.random.default_rng(0)
    cell = space.cell("0110/0001/0001/0000", ["input", CONV1, CONV3, "output"])
    sizes = {len(space.mutate(cell, rng).operations) for _ in range(100)}
    assert sizes == {3, 4, 5}
    smallest = space.architecture(0)
    assert smallest.operations == ("input", "output")
    assert {len(space.mutate(smallest, rng).operations) for _ in range(10)} == {3}


def test_neighbours_of_the_smallest_cell(space: NASBench101) -> None:
    found = {space.format(cell) for cell in space.neighbours(space.architecture(0))}
    assert found == {f"011/001/000;input,{operation},output" for operation in (CONV3, CONV1, POOL)}


def test_crossover_of_equal_parents_is_the_parent(space: NASBench101) -> None:
    rng = np.random.default_rng(0)
    for cell in space.samples(20, rng):
        assert space.crossover(cell, cell, rng) == cell


def test_parameters_of_no_cell(space: NASBench101) -> None:
    params = space.to_params(space.architecture(1000))
    with pytest.raises(UsageError, match="a path must lead"):
        space.from_params({key: 0 if key.startswith("edge") else value for key, value in params.items()})
    with pytest.raises(UsageError, match="edge_0_1 not chosen"):
        space.from_params({key: value for key, value in params.items() if key != "edge_0_1"})


def test_many_keys_at_once_are_the_keys_of_each(space: NASBench101, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = space.samples(30, np.random.default_rng(0))
    one_by_one = space.canonical_keys(cells)
    monkeypatch.setattr(module, "BULK", 1)
    assert space.canonical_keys(cells) == one_by_one
