from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nasx.cell_columns import architectures_of
from nasx.search_spaces import get_search_space
from nasx.search_spaces.errors import UsageError

SPACE_201 = get_search_space("nasbench201")
SPACE_101 = get_search_space("nasbench101")


def cells_101(count: int) -> list:
    return SPACE_101.samples(count, np.random.default_rng(0))


def test_official_strings() -> None:
    cells = [SPACE_201.architecture(index) for index in (5, 0, 15_624)]
    frame = pd.DataFrame({"architecture": [SPACE_201.format(cell) for cell in cells]})
    assert np.array_equal(architectures_of(frame, SPACE_201, "t"), [5, 0, 15_624])


def test_nasbench101_by_text_or_matrix() -> None:
    cells = cells_101(30)
    expected = SPACE_101.indices(cells)
    by_text = pd.DataFrame({"architecture": [SPACE_101.format(cell) for cell in cells]})
    by_matrix = pd.DataFrame(
        {
            "module_hash": "not looked at",
            "adjacency": [cell.adjacency for cell in cells],
            "operations": [",".join(cell.operations) for cell in cells],
        }
    )
    for frame in (by_text, by_matrix):
        assert np.array_equal(architectures_of(frame, SPACE_101, "t"), expected)


def test_nasbench101_by_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = cells_101(30)
    indices = {SPACE_101.module_hash(cell): SPACE_101.index(cell) for cell in cells}

    def look_up(hashes: list[str]) -> np.ndarray:  # in place of the table of all hashes, which takes long to make
        if unknown := set(hashes) - indices.keys():
            raise UsageError(f"no cell has the hash {unknown}")
        return np.array([indices[text] for text in hashes])

    monkeypatch.setattr(SPACE_101, "indices_of_hashes", look_up)
    frame = pd.DataFrame({"module_hash": list(indices)})
    assert np.array_equal(architectures_of(frame, SPACE_101, "t"), SPACE_101.indices(cells))
    frame.loc[7, "module_hash"] = "0" * 32
    with pytest.raises(UsageError, match=r"row 8 of t: .*0000"):
        architectures_of(frame, SPACE_101, "t")


def test_the_row_to_blame_is_named() -> None:
    good, other = (SPACE_201.format(SPACE_201.architecture(index)) for index in (0, 1))
    cases = [
        ([good, "|conv~0|"], r"row 2 of t: "),
        ([good, None], r"row 2 of t has nothing in the column 'architecture'"),
        ([good, other, good], r"rows 1 and 3 of t are the same architecture, \|"),
    ]
    for texts, message in cases:
        with pytest.raises(UsageError, match=message):
            architectures_of(pd.DataFrame({"architecture": texts}), SPACE_201, "t")


@pytest.mark.parametrize(
    ("adjacency", "operations"),
    [
        ("010/001/00", "input,conv3x3-bn-relu,output"),
        ("010/001/002", "input,conv3x3-bn-relu,output"),
        ("010/101/000", "input,conv3x3-bn-relu,output"),
        ("010/001/000", "input,output"),
        ("010/001/000", "input,conv9x9,output"),
        ("000/001/000", "input,conv3x3-bn-relu,output"),
        ("", "input,output"),
    ],
)
def test_what_is_no_cell_of_nasbench101(adjacency: str, operations: str) -> None:
    frame = pd.DataFrame({"adjacency": ["01/00", adjacency], "operations": ["input,output", operations]})
    with pytest.raises(UsageError, match=r"row 2 of t: "):
        architectures_of(frame, SPACE_101, "t")


def test_a_table_without_architectures() -> None:
    frame = pd.DataFrame({"cell": ["x"], "accuracy": [1.0]})
    with pytest.raises(UsageError, match=r"needs a column 'architecture' with .* its columns are: cell, accuracy"):
        architectures_of(frame, SPACE_201, "t")
    with pytest.raises(UsageError, match=r"or 'adjacency' and 'operations', or 'module_hash'"):
        architectures_of(frame, SPACE_101, "t")
