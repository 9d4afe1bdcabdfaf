"""Single cells: edits keep to directed acyclic graphs of at most seven nodes and nine edges."""

from __future__ import annotations

import numpy as np

from nasx.search_spaces import nasbench101_cell as edits
from nasx.search_spaces.nasbench101_cell import Parts, code_of, parts_of
from nasx.search_spaces.nasbench101_tables import cell_tables


def is_acyclic(parts: Parts) -> bool:
    reach = edits.reachable(parts)
    return not any(reach[j] >> i & 1 for i, j in parts.edges)


def test_edits_stay_acyclic_and_within_the_limits() -> None:
    codes = cell_tables().codes
    for code in codes[np.random.default_rng(0).integers(len(codes), size=100)].tolist():
        parts = parts_of(code)
        assert code_of(parts) == code
        for variant in [*edits.relabelings(parts), *edits.edge_flips(parts), *edits.insertions(parts)]:
            assert is_acyclic(variant)
            assert variant.nodes <= 7
            assert len(variant.edges) <= 9
            assert not {0} & {j for _, j in variant.edges}
            assert not {variant.nodes - 1} & {i for i, _ in variant.edges}


def test_an_edge_may_point_against_the_numbering() -> None:
    """Two chains side by side may be joined in both directions."""
    parts = Parts([(0, 1), (0, 2), (1, 3), (2, 3)], [0, 1])
    links = set(edits.new_links(parts))
    assert {(1, 2), (2, 1)} <= links
    assert (3, 1) not in links
    assert (1, 0) not in links


def test_insertion_puts_a_node_on_a_new_path() -> None:
    assert edits.inserted(Parts([(0, 1)], []), (0, 1), 2) == Parts([(0, 2), (0, 1), (1, 2)], [2])


def test_mixtures_take_everything_from_one_parent_or_the_other() -> None:
    one = Parts([(0, 1), (1, 2)], [2])
    other = Parts([(0, 1), (1, 2), (2, 3)], [0, 1])
    first, second = edits.mixtures(one, other, (2**26 - 1) << 26 | 1 << 21)  # the second one takes all from `other`
    assert code_of(second) == code_of(other)
    assert first.labels[:2] == [0, 1]
    assert code_of(Parts(first.edges, [2, *first.labels[1:]])) == code_of(one)
