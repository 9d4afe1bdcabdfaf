"""From the few numbers a person writes down about a layer to those that an ONNX file gives of it.

Tables of networks say ``kernel``, ``in_channels`` or ``out_size``; the attributes of a node of an ONNX network are
``kernel_height``, ``output_1``, ``macs`` ... (see :mod:`nasx.search_spaces.onnx_network`). Turned into these, a network
of a table and one of a file look the same to a predictor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nasx.search_spaces.onnx_costs import VIEWS, WINDOWED

Numbers = NDArray[np.float64]

#: What tables call an operation -> the ONNX operator.
OPERATORS = {
    "add": "Add", "avgpool": "AveragePool", "batchnorm": "BatchNormalization", "bn": "BatchNormalization",
    "clip": "Clip", "concat": "Concat", "conv": "Conv", "conv2d": "Conv", "depthwise_conv": "Conv",
    "dropout": "Dropout", "dwconv": "Conv", "fc": "Gemm", "flatten": "Flatten", "gap": "GlobalAveragePool",
    "gelu": "Gelu", "global_avgpool": "GlobalAveragePool", "hardsigmoid": "HardSigmoid", "hardswish": "HardSwish",
    "hsigmoid": "HardSigmoid", "hswish": "HardSwish", "linear": "Gemm", "matmul": "MatMul", "maxpool": "MaxPool",
    "mul": "Mul", "relu": "Relu", "relu6": "Clip", "reshape": "Reshape", "sigmoid": "Sigmoid", "softmax": "Softmax",
    "split": "Split", "transpose": "Transpose",
}  # fmt: skip
_DEPTHWISE = ("dwconv", "depthwise_conv")
_BYTES = 4  # of a float32

#: Columns that :func:`onnx_numbers` turns into others.
CONSUMED = frozenset({
    "kernel", "stride", "dilation", "in_channels", "out_channels", "in_size", "out_size", "batch_size",
})  # fmt: skip


def onnx_numbers(
    labels: Sequence[str],
    codes: NDArray[np.integer],
    columns: Mapping[str, Numbers],
    edges: NDArray[np.int64],
    batch_size: Numbers | float = 1.0,
) -> dict[str, Numbers]:
    """The attributes of layers under the names they have in ONNX networks, as far as they can be worked out.

    What a column gives already (``macs``, ``kernel_height`` ...) is taken as it is.

    Args:
        labels: Names of operations, as in the table.
        codes: ``(n,)`` which of them each layer is.
        columns: What is known of each layer, ``(n,)``: ``kernel``, ``stride``, ``dilation``, ``groups``,
            ``in_channels``, ``out_channels``, ``in_size`` and ``out_size`` (height and width), or any of the result.
        edges: ``(E, 2)`` layers that are read, and the layers that read them; a source of -1 is the network's input.
        batch_size: Images at once, of each layer.

    >>> columns = {"kernel": [3.0], "stride": [2.0], "in_channels": [3.0], "out_channels": [8.0],
    ...            "in_size": [32.0], "out_size": [16.0]}
    >>> columns = {name: np.array(values) for name, values in columns.items()}
    >>> numbers = onnx_numbers(["conv"], np.array([0]), columns, np.array([[-1, 0]]))
    >>> [int(numbers[name][0]) for name in ("kernel_width", "pad_end_height", "output_2", "macs", "parameters")]
    [3, 1, 16, 55296, 216]
    """
    known = dict(columns)
    names = [OPERATORS.get(label.lower(), label) for label in labels]
    is_window = _those(codes, [name in WINDOWED for name in names])
    _sides(known, is_window)
    _groups(known, is_window, _those(codes, [label.lower() in _DEPTHWISE for label in labels]))
    dense = _those(codes, [name in ("Gemm", "MatMul") for name in names])
    batch = np.broadcast_to(np.asarray(batch_size, dtype=np.float64), codes.shape)
    _outputs(known, dense, batch)
    _pads(known, is_window)
    conv, norm = (_those(codes, [name == other for name in names]) for other in ("Conv", "BatchNormalization"))
    _costs(known, conv, dense, norm)
    if "memory_bytes" not in known and {"output_0", "output_1", "output_2", "output_3", "parameters"} <= known.keys():
        moved = _moved(known, edges, batch)
        known["memory_bytes"] = np.where(_those(codes, [name in VIEWS for name in names]), 0.0, moved)
    return {name: values for name, values in known.items() if name not in CONSUMED}


def _those(codes: NDArray[np.integer], wanted: list[bool]) -> NDArray[np.bool_]:
    """Which layers have one of these operations."""
    return np.array(wanted, dtype=bool)[codes]


def _sides(known: dict[str, Numbers], is_window: NDArray[np.bool_]) -> None:
    """Height and width from one number; 0 where the operation has no window."""
    for name, missing in (("kernel", None), ("stride", 1.0), ("dilation", 1.0)):
        given = known.get(name, None if missing is None else np.full(len(is_window), missing))
        for side in ("height", "width"):
            if given is not None and "kernel" in known:
                known.setdefault(f"{name}_{side}", np.where(is_window, given, 0.0))


def _groups(known: dict[str, Numbers], is_window: NDArray[np.bool_], depthwise: NDArray[np.bool_]) -> None:
    if "groups" not in known and "in_channels" in known:
        known["groups"] = np.where(is_window, np.where(depthwise, known["in_channels"], 1.0), 0.0)


def _outputs(known: dict[str, Numbers], dense: NDArray[np.bool_], batch: Numbers) -> None:
    """``(batch, channels, height, width)``; of a matrix product ``(batch, channels)``."""
    if "output_1" in known or "out_channels" not in known:
        return
    size = np.where(dense, 0.0, known.get("out_size", np.zeros(len(dense))))
    known |= {"output_0": batch.copy(), "output_1": known["out_channels"], "output_2": size, "output_3": size}


def _pads(known: dict[str, Numbers], is_window: NDArray[np.bool_]) -> None:
    """What must have been padded for the output to have its size; the odd row at the end."""
    if "pad_begin_height" in known or not {"kernel_height", "in_size", "output_2"} <= known.keys():
        return
    for side, output in (("height", "output_2"), ("width", "output_3")):
        span = (known[f"kernel_{side}"] - 1) * known[f"dilation_{side}"] + 1
        total = np.maximum((known[output] - 1) * known[f"stride_{side}"] + span - known["in_size"], 0)
        total = np.where(is_window, total, 0.0)
        known[f"pad_begin_{side}"], known[f"pad_end_{side}"] = np.floor(total / 2), np.ceil(total / 2)


def _costs(
    known: dict[str, Numbers], conv: NDArray[np.bool_], dense: NDArray[np.bool_], norm: NDArray[np.bool_]
) -> None:
    """Multiply-adds and parameters of convolutions, matrix products and batch normalisations; biases not counted."""
    if not {"in_channels", "output_1", "output_2", "groups", "kernel_height"} <= known.keys():
        return
    window = known["in_channels"] / np.maximum(known["groups"], 1) * known["kernel_height"] * known["kernel_width"]
    weights = np.where(conv, known["output_1"] * window, 0.0)
    side = np.maximum(known.get("in_size", np.ones(len(conv))), 1)
    weights = np.where(dense, known["output_1"] * known["in_channels"] * side**2, weights)
    places = np.where(conv, known["output_2"] * known["output_3"], 1.0)
    known.setdefault("macs", weights * places * known["output_0"])
    known.setdefault("parameters", weights + np.where(norm, 2 * known["output_1"], 0.0))


def _moved(known: dict[str, Numbers], edges: NDArray[np.int64], batch: Numbers) -> Numbers:
    """Bytes read and written: every input, the weights, the output."""
    sizes = [np.maximum(known[f"output_{place}"], 1) for place in range(4)]
    elements = sizes[0] * sizes[1] * sizes[2] * sizes[3]
    first = batch * known.get("in_channels", np.zeros(len(batch))) * known.get("in_size", np.zeros(len(batch))) ** 2
    source, target = edges[:, 0], edges[:, 1]
    read = np.where(source < 0, first[target], elements[np.maximum(source, 0)])
    inputs = np.bincount(target, weights=read, minlength=len(batch))
    return _BYTES * (inputs + known["parameters"] + elements)
