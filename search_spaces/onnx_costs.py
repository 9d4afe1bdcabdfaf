"""What an ONNX operation costs: multiply-adds from shapes alone, kernels and strides as numbers.

A multiply-add is one product and its addition in a convolution, a matrix product or a recurrent cell; biases, norms,
activations and pooling count nothing. FLOPs are two a multiply-add. This is the count of
``torch.utils.flop_counter.FlopCounterMode``; papers that write FLOPs and mean multiply-adds give half of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Shape = tuple[int, ...]
FLOPS_PER_MAC = 2

VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"})  # no data moves
WINDOWED = frozenset({
    "AveragePool", "Conv", "ConvInteger", "ConvTranspose", "DeformConv", "LpPool", "MaxPool", "MaxUnpool",
    "QLinearConv",
})  # fmt: skip
COSTLY = frozenset({
    "Attention", "Conv", "ConvInteger", "ConvTranspose", "DeformConv", "Einsum", "GRU", "Gemm", "LSTM", "MatMul",
    "MatMulInteger", "QLinearConv", "QLinearMatMul", "RNN",
})  # fmt: skip


def multiply_adds(
    operation: str,
    inputs: Sequence[Shape | None],
    outputs: Sequence[Shape | None],
    attributes: Mapping[str, Any],
) -> int | None:
    """Returns the multiply-adds of one operation; 0 for the cheap ones, None where a shape it needs is not known.

    Args:
        operation: The ONNX operator.
        inputs: Shapes of its inputs, weights included, in the operator's order; None for an unknown or absent one.
        outputs: Shapes of its outputs.
        attributes: The operator's attributes.

    >>> multiply_adds("Conv", [(1, 16, 32, 32), (32, 16, 3, 3)], [(1, 32, 32, 32)], {})
    4718592
    >>> multiply_adds("Relu", [(1, 16, 32, 32)], [(1, 16, 32, 32)], {})
    0
    """
    if operation not in COSTLY:
        return 0
    try:
        return _count(operation, inputs, outputs, attributes)
    except (TypeError, ValueError, IndexError, KeyError):  # a shape that is not known, or does not fit
        return None


def _count(operation: str, inputs: Sequence[Any], outputs: Sequence[Any], attributes: Mapping[str, Any]) -> int:
    if operation in ("Conv", "ConvInteger", "DeformConv"):
        return math.prod(outputs[0]) * math.prod(inputs[1][1:])
    if operation == "QLinearConv":
        return math.prod(outputs[0]) * math.prod(inputs[3][1:])
    if operation == "ConvTranspose":
        return math.prod(inputs[0]) * math.prod(inputs[1][1:])
    if operation == "Gemm":
        return math.prod(outputs[0]) * inputs[0][0 if attributes.get("transA") else 1]
    if operation in ("MatMul", "MatMulInteger", "QLinearMatMul"):
        return math.prod(outputs[0]) * inputs[0][-1]
    if operation == "Einsum":
        return _einsum(attributes["equation"], inputs, outputs[0])
    if operation == "Attention":
        return _attention(inputs, outputs[0], attributes)
    steps, batch = inputs[0][:2] if not attributes.get("layout") else inputs[0][1::-1]
    return steps * batch * (math.prod(inputs[1]) + math.prod(inputs[2]))


def _einsum(equation: str, inputs: Sequence[Any], output: Shape) -> int:
    if len(inputs) < 2:
        return 0
    sizes: dict[str, int] = {}
    widest: Shape = ()
    for term, shape in zip(equation.replace(" ", "").split("->")[0].split(","), inputs, strict=True):
        before, dots, after = term.partition("...")
        sizes.update(zip(before, shape, strict=False))
        sizes.update(zip(reversed(after), reversed(shape), strict=False))
        if dots:
            extra = shape[len(before) : len(shape) - len(after)]
            widest = max(widest, extra, key=math.prod)
    return math.prod(sizes.values()) * math.prod(widest)


def _attention(inputs: Sequence[Any], output: Shape, attributes: Mapping[str, Any]) -> int:
    """Queries against keys, then the weights against values; ``(B, heads, T, d)`` or ``(B, T, heads * d)``."""
    query, key = inputs[0], inputs[1]
    if len(query) == 4:
        return math.prod(query) * key[2] + math.prod(output) * key[2]
    return math.prod(query) * key[1] + math.prod(output) * key[1]


def window(
    operation: str, inputs: Sequence[Shape | None], outputs: Sequence[Shape | None], attributes: Mapping[str, Any]
) -> dict[str, float]:
    """Returns kernel, stride, padding, dilation and groups of a convolution or pooling; nothing for the rest.

    Of windows of one dimension the width is 1, of three dimensions the last two are given.

    >>> window("MaxPool", [(1, 8, 9, 9)], [(1, 8, 4, 4)], {"kernel_shape": [3, 3], "strides": [2, 2]})["stride_width"]
    2.0
    """
    if operation not in WINDOWED:
        return {}
    weights = inputs[3 if operation == "QLinearConv" else 1] if len(inputs) > 1 else None
    kernel = attributes.get("kernel_shape") or (weights[2:] if weights and "Pool" not in operation else ())
    rank = len(kernel)
    strides = attributes.get("strides") or [1] * rank
    dilations = attributes.get("dilations") or [1] * rank
    pads = attributes.get("pads") or [0] * 2 * rank
    if not rank or [len(strides), len(dilations), len(pads)] != [rank, rank, 2 * rank]:
        return {}
    mode = attributes.get("auto_pad", "NOTSET")
    sizes, results = (shapes[0] if shapes else None for shapes in (inputs, outputs))
    same = mode in ("SAME_UPPER", "SAME_LOWER") and operation != "ConvTranspose"
    if same and sizes and results and len(sizes) == len(results) == rank + 2:
        total = [
            max((after - 1) * stride + (width - 1) * dilation + 1 - before, 0)
            for before, after, stride, width, dilation in zip(
                sizes[2:], results[2:], strides, kernel, dilations, strict=True
            )
        ]
        small, large = [extra // 2 for extra in total], [extra - extra // 2 for extra in total]
        pads = small + large if mode == "SAME_UPPER" else large + small
    numbers: dict[str, float] = {}
    for name, values, missing in (
        ("kernel", kernel, 1),
        ("stride", strides, 1),
        ("dilation", dilations, 1),
        ("pad_begin", pads[:rank], 0),
        ("pad_end", pads[rank:], 0),
    ):
        height, width = (*values, missing) if rank == 1 else values[-2:]
        numbers[f"{name}_height"], numbers[f"{name}_width"] = float(height), float(width)
    numbers["groups"] = float(attributes.get("group", 1))
    return numbers
