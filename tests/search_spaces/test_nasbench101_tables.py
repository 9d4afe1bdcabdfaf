"""The tables of all NAS-Bench-101 cells, against brute force."""

from __future__ import annotations

import itertools

import numpy as np

from nasx.search_spaces.nasbench101_cell import Parts, code_of, edge_flips, insertions, parts_of
from nasx.search_spaces.nasbench101_tables import cell_tables, pack, unpack


def test_codes_are_sorted_and_come_back() -> None:
    codes = cell_tables().codes
    assert len(codes) == 423_624
    assert (np.diff(codes) > 0).all()
    assert np.array_equal(cell_tables().encode(*unpack(codes)), codes)
    assert np.array_equal(pack(*unpack(codes)), codes)


def test_cells_of_each_number_of_nodes() -> None:
    """359,082 of the published cells have seven nodes."""
    assert np.bincount(unpack(cell_tables().codes)[0])[2:].tolist() == [1, 6, 84, 2441, 62010, 359082]


def test_code_is_the_smallest_over_all_numberings() -> None:
    rng = np.random.default_rng(0)
    codes = cell_tables().codes
    for code in codes[rng.integers(len(codes), size=60)].tolist():
        edges, labels = parts_of(code)
        inner, last = len(labels), len(labels) + 1
        found = []
        for places in itertools.permutations(range(1, last)):
            place = [0, *places, last]
            moved = [(place[i], place[j]) for i, j in edges]
            if all(i < j for i, j in moved):
                bits = sum(1 << (j * (j - 1) // 2 + i) for i, j in moved)
                relabelled = sum(labels[node] * 3 ** (place[node + 1] - 1) for node in range(inner))
                found.append((inner + 2) << 29 | bits << 8 | relabelled)
        assert min(found) == code
        sample = [found[k] for k in rng.integers(len(found), size=5)]
        assert set(cell_tables().encode(*unpack(np.array(sample))).tolist()) == {code}
        assert {cell_tables().encode_one(c >> 29, c >> 8 & 0x1FFFFF, c & 0xFF) for c in sample} == {code}


def test_what_is_no_cell_has_no_code() -> None:
    unreached, too_many = Parts([(0, 2)], [0]), 2**15 - 1
    assert cell_tables().encode_one(3, 0b010, 0) == -1  # node 1 is on no path
    assert cell_tables().encode_one(6, too_many, 0) == -1
    assert code_of(unreached) == 2 << 29 | 1 << 8  # pruned to input > output
    assert code_of(Parts([(0, 1)], [0])) == -1


def test_every_topology_can_be_reached_from_every_other() -> None:
    """Edge flips and insertions connect all 2,494 shapes both ways, so that no search is locked in."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    shapes = np.unique(cell_tables().codes >> 8 << 8)
    links = []
    for place, shape in enumerate(shapes.tolist()):
        parts = parts_of(shape)
        reached = {code_of(variant) >> 8 << 8 for variant in [*edge_flips(parts), *insertions(parts)]}
        reached = {code for code in reached if code >= 0}
        links += [(place, int(np.searchsorted(shapes, code))) for code in reached]
    rows, columns = np.array(links).T
    moves = coo_matrix((np.ones(len(links)), (rows, columns)), shape=(len(shapes), len(shapes)))
    assert len(shapes) == 2494
    assert connected_components(moves, connection="strong")[0] == 1
