from __future__ import annotations

import numpy as np
import pytest

from nasx.search_spaces.layer_numbers import onnx_numbers
from nasx.search_spaces.onnx_network import NODE_ATTRIBUTES

LABELS = ["conv", "dwconv", "fc", "relu", "maxpool", "bn"]


def numbers(codes: list[int], edges: list[tuple[int, int]], batch: float = 1.0, **columns: list[float]) -> dict:
    plain = {name: np.array(values, dtype=np.float64) for name, values in columns.items()}
    return onnx_numbers(LABELS, np.array(codes), plain, np.array(edges).reshape(-1, 2), batch)


def test_plain_columns_give_everything_that_an_onnx_file_gives() -> None:
    found = numbers(
        [0, 3, 1], [(-1, 0), (0, 1), (1, 2)], kernel=[3, 0, 5], stride=[2, 0, 1], in_channels=[3, 8, 8],
        out_channels=[8, 8, 8], in_size=[32, 16, 16], out_size=[16, 16, 16],
    )  # fmt: skip
    assert sorted(found) == sorted(NODE_ATTRIBUTES)
    assert found["kernel_width"].tolist() == [3, 0, 5]
    assert found["groups"].tolist() == [1, 0, 8]
    assert found["pad_begin_height"].tolist() == [0, 0, 2]
    assert found["pad_end_height"].tolist() == [1, 0, 2]
    assert found["macs"].tolist() == [16 * 16 * 8 * 27, 0, 16 * 16 * 8 * 25]
    assert found["parameters"].tolist() == [216, 0, 200]
    assert found["memory_bytes"].tolist() == [4 * (3072 + 216 + 2048), 4 * 4096, 4 * (2048 + 200 + 2048)]


def test_a_matrix_product_has_two_sizes() -> None:
    found = numbers([2], [(-1, 0)], 4.0, kernel=[1], stride=[1], in_channels=[32], out_channels=[10], in_size=[2],
                    out_size=[1])  # fmt: skip
    assert [found[f"output_{place}"][0] for place in range(4)] == [4, 10, 0, 0]
    assert found["parameters"][0] == 32 * 4 * 10
    assert found["macs"][0] == 4 * 32 * 4 * 10
    assert found["kernel_height"][0] == 0


def test_what_the_table_says_is_taken() -> None:
    found = numbers([0], [(-1, 0)], kernel=[3], in_channels=[3], out_channels=[8], in_size=[8], out_size=[8],
                    macs=[5], parameters=[7], fused=[1])  # fmt: skip
    assert (found["macs"][0], found["parameters"][0], found["fused"][0]) == (5, 7, 1)


@pytest.mark.parametrize("known", [{}, {"kernel": [3.0]}, {"fused": [1.0]}])
def test_what_cannot_be_worked_out_is_left_out(known: dict[str, list[float]]) -> None:
    found = numbers([0], [(-1, 0)], **known)
    assert not {"macs", "memory_bytes", "output_0"} & found.keys()
    assert ("kernel_height" in found) == ("kernel" in known)
