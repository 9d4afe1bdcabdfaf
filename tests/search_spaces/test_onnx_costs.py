"""Multiply-adds and windows of single operations, counted by hand."""

from __future__ import annotations

import pytest

from nasx.search_spaces.onnx_costs import multiply_adds, window


@pytest.mark.parametrize(
    ("operation", "inputs", "output", "attributes", "expected"),
    [
        ("Conv", [(2, 8, 5, 5), (6, 4, 3, 3)], (2, 6, 5, 5), {"group": 2}, 2 * 6 * 25 * 4 * 9),
        ("ConvTranspose", [(1, 4, 5, 5), (4, 6, 2, 2)], (1, 6, 10, 10), {}, 4 * 25 * 6 * 4),
        ("ConvInteger", [(1, 1, 4, 4), (1, 1, 2, 2)], (1, 1, 3, 3), {}, 36),
        ("QLinearConv", [(1, 3, 4, 4), (), (), (5, 3, 1, 1), (), ()], (1, 5, 4, 4), {}, 240),
        ("Gemm", [(2, 3), (5, 3), (5,)], (2, 5), {"transB": 1}, 30),
        ("Gemm", [(3, 2), (3, 5)], (2, 5), {"transA": 1}, 30),
        ("MatMul", [(4, 2, 3), (3, 5)], (4, 2, 5), {}, 120),
        ("Einsum", [(4, 2, 3), (4, 3, 5)], (4, 2, 5), {"equation": "bij, bjk -> bik"}, 120),
        ("Einsum", [(4, 2, 3), (3, 5)], (4, 2, 5), {"equation": "...ij,jk->...ik"}, 120),
        ("Einsum", [(4, 4)], (4,), {"equation": "ii->i"}, 0),
        ("LSTM", [(7, 2, 3), (1, 20, 3), (1, 20, 5)], (7, 1, 2, 5), {}, 7 * 2 * (60 + 100)),
        ("GRU", [(2, 7, 3), (2, 15, 3), (2, 15, 5)], (2, 7, 2, 5), {"layout": 1}, 7 * 2 * (90 + 150)),
        ("Attention", [(1, 2, 5, 4), (1, 2, 6, 4), (1, 2, 6, 3)], (1, 2, 5, 3), {}, 2 * 5 * 6 * (4 + 3)),
        ("Attention", [(1, 5, 8), (1, 6, 8), (1, 6, 6)], (1, 5, 6), {"q_num_heads": 2}, 5 * 6 * (8 + 6)),
        ("Relu", [(2, 3)], (2, 3), {}, 0),
        ("Conv", [(1, 3, 4, 4), None], (1, 2, 4, 4), {}, None),
        ("MatMul", [None, (3, 5)], (2, 5), {}, None),
        ("Gemm", [(2, 3), (3, 5)], None, {}, None),
    ],
)
def test_multiply_adds(operation: str, inputs: list, output: tuple, attributes: dict, expected: int | None) -> None:
    assert multiply_adds(operation, inputs, [output], attributes) == expected


def test_windows() -> None:
    plain = window("Conv", [(1, 4, 9, 9), (8, 4, 5, 3)], [(1, 8, 5, 7)], {})
    assert (plain["kernel_height"], plain["kernel_width"], plain["stride_height"], plain["groups"]) == (5, 3, 1, 1)
    given = {"kernel_shape": [3, 3], "strides": [2, 1], "pads": [0, 1, 2, 3], "dilations": [1, 2], "group": 4}
    full = window("Conv", [(1, 4, 9, 9), (8, 1, 3, 3)], [(1, 8, 5, 9)], given)
    pads = [full[f"pad_{end}_{side}"] for end in ("begin", "end") for side in ("height", "width")]
    assert pads == [0, 1, 2, 3]
    assert (full["stride_height"], full["stride_width"], full["dilation_width"], full["groups"]) == (2, 1, 2, 4)
    assert window("Relu", [(1, 2)], [(1, 2)], {}) == {}
    assert window("Conv", [(1, 4, 9, 9), None], [None], {}) == {}


def test_windows_of_other_dimensions() -> None:
    line = window("Conv", [(1, 4, 9), (8, 4, 5)], [(1, 8, 5)], {"pads": [1, 2]})
    assert (line["kernel_height"], line["kernel_width"]) == (5, 1)
    assert (line["pad_begin_height"], line["pad_end_height"], line["pad_begin_width"]) == (1, 2, 0)
    solid = window("MaxPool", [(1, 4, 9, 9, 9)], [(1, 4, 3, 3, 3)], {"kernel_shape": [1, 2, 3], "strides": [3, 3, 3]})
    assert (solid["kernel_height"], solid["kernel_width"]) == (2, 3)


@pytest.mark.parametrize(("mode", "begin", "end"), [("SAME_UPPER", 0, 1), ("SAME_LOWER", 1, 0), ("VALID", 0, 0)])
def test_automatic_padding(mode: str, begin: int, end: int) -> None:
    result = 4 if mode != "VALID" else 3
    attributes = {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": mode}
    numbers = window("MaxPool", [(1, 2, 8, 8)], [(1, 2, result, result)], attributes)
    assert (numbers["pad_begin_height"], numbers["pad_end_height"]) == (begin, end)
