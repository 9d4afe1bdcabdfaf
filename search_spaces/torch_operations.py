"""The operators of torch by their ONNX names, and what their arguments say: windows, sizes, numbers.

``torch.export`` writes networks in the operators of ATen (``aten::conv2d``). They are renamed to the ONNX operator that
does the same, so that one predictor reads networks of both origins. Those without a counterpart keep their own name in
capitals (``aten::cumsum``: ``Cumsum``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nasx.search_spaces.onnx_costs import Shape, multiply_adds

VIEWS = frozenset({
    "_to_copy", "_unsafe_view", "alias", "clone", "contiguous", "detach", "expand", "expand_as", "flatten",
    "lift_fresh_copy", "movedim", "mT", "numpy_T", "permute", "ravel", "reshape", "squeeze", "swapaxes", "t", "to",
    "transpose", "type_as", "unflatten", "unsqueeze", "view", "view_as",
})  # fmt: skip
"""Operators that only arrange the same numbers anew; they are no nodes."""
DROPOUTS = frozenset({"alpha_dropout", "dropout", "feature_alpha_dropout", "feature_dropout", "native_dropout"})
RECURRENT = {"gru": "GRU", "lstm": "LSTM", "rnn_relu": "RNN", "rnn_tanh": "RNN"}
_CONVOLUTIONS = {"conv1d": 1, "conv2d": 2, "conv3d": 3, "convolution": 0, "_convolution": 0}
_POOLS = {
    **{f"max_pool{n}d{end}": "MaxPool" for n in (1, 2, 3) for end in ("", "_with_indices")},
    **{f"avg_pool{n}d": "AveragePool" for n in (1, 2, 3)},
}
_NAMES: Mapping[str, str] = {
    **dict.fromkeys(_CONVOLUTIONS, "Conv"),
    **{f"conv_transpose{n}d": "ConvTranspose" for n in (1, 2, 3)},
    **_POOLS,
    **RECURRENT,
    **dict.fromkeys(DROPOUTS, "Dropout"),
    **dict.fromkeys(("mm", "bmm", "matmul", "baddbmm", "dot", "mv"), "MatMul"),
    **dict.fromkeys(
        ("batch_norm", "native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"),
        "BatchNormalization",
    ),
    **dict.fromkeys(("layer_norm", "native_layer_norm"), "LayerNormalization"),
    **dict.fromkeys(("group_norm", "native_group_norm"), "GroupNormalization"),
    **dict.fromkeys(("hardtanh", "relu6", "clamp", "clamp_min", "clamp_max"), "Clip"),
    **dict.fromkeys(("cat", "concat", "stack", "hstack", "vstack"), "Concat"),
    **dict.fromkeys(("embedding", "select", "index", "index_select", "take_along_dim"), "Gather"),
    **dict.fromkeys(("split", "split_with_sizes", "chunk", "unbind", "tensor_split"), "Split"),
    **dict.fromkeys(("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d"), "Pad"),
    **dict.fromkeys(("softmax", "_softmax", "_safe_softmax"), "Softmax"),
    **dict.fromkeys(("log_softmax", "_log_softmax"), "LogSoftmax"),
    **dict.fromkeys(("amax", "max"), "ReduceMax"),
    **dict.fromkeys(("amin", "min"), "ReduceMin"),
    "addmm": "Gemm", "mean": "ReduceMean", "sum": "ReduceSum", "prod": "ReduceProd",
    "instance_norm": "InstanceNormalization", "rms_norm": "RMSNormalization", "prelu": "PRelu", "silu": "Silu",
    "hardswish": "HardSwish", "hardsigmoid": "HardSigmoid", "leaky_relu": "LeakyRelu", "log_sigmoid": "LogSigmoid",
    "scaled_dot_product_attention": "Attention", "pixel_shuffle": "DepthToSpace", "roll": "Roll",
}  # fmt: skip
_NUMBERS = ("p", "negative_slope", "alpha", "beta", "lambd", "min", "max", "min_val", "max_val", "threshold",
            "other", "exponent")  # fmt: skip


def operation_name(name: str, values: Mapping[str, Any], output: Shape | None) -> str:
    """Returns the ONNX name of an operator of ATen.

    Args:
        name: Its name without ``aten::``, and without the ``_`` of one that works in place.
        values: Its arguments by name; tensors stand for their shapes.
        output: Shape of its first result.

    >>> operation_name("conv2d", {}, (1, 8, 4, 4)), operation_name("linear", {"input": (1, 5, 3)}, (1, 5, 2))
    ('Conv', 'MatMul')
    >>> operation_name("adaptive_avg_pool2d", {}, (1, 8, 1, 1)), operation_name("log_sigmoid_forward", {}, None)
    ('GlobalAveragePool', 'LogSigmoidForward')
    """
    if name == "linear":
        return "Gemm" if len(values["input"]) == 2 else "MatMul"
    if name.startswith("adaptive_"):
        kind = "AveragePool" if "avg" in name else "MaxPool"
        rank = int(name[-2]) if name[-2].isdigit() else 2
        return f"Global{kind}" if output is not None and math.prod(output[-rank:]) == 1 else kind
    if name in ("convolution", "_convolution") and values.get("transposed"):
        return "ConvTranspose"
    if name.startswith(("upsample_", "_upsample_")):
        return "Resize"
    return _NAMES.get(name) or "".join(part.capitalize() for part in name.strip("_").split("_"))


def operation_macs(name: str, operation: str, values: Mapping[str, Any], output: Shape | None) -> int | None:
    """Returns the multiply-adds of an operator; arguments as :func:`operation_name`; None where it is not known.

    >>> operation_macs("linear", "MatMul", {"input": (1, 5, 3), "weight": (2, 3)}, (1, 5, 2))
    30
    """
    if name in RECURRENT:
        shape, weights = values["input"], values.get("params", ())
        return math.prod(shape[:2]) * sum(math.prod(weight) for weight in weights if len(weight) == 2)
    if name in ("addmm", "baddbmm"):
        factors = (values.get("mat1", values.get("batch1")), values.get("mat2", values.get("batch2")))
        return multiply_adds("MatMul", factors, [output], {})
    if name == "einsum":
        return multiply_adds("Einsum", values["tensors"], [output], {"equation": values["equation"]})
    if name == "bilinear":
        return math.prod(output or ()) * math.prod(values["weight"][1:])
    kind = "MatMul" if operation == "Gemm" else operation
    return multiply_adds(kind, [value for value in values.values() if isinstance(value, tuple)], [output], {})


def operation_window(name: str, operation: str, values: Mapping[str, Any]) -> dict[str, list[int]]:
    """Returns kernel, strides, dilations, pads and group as an ONNX operator would say them; {} where there are none.

    >>> operation_window("avg_pool2d", "AveragePool", {"input": (1, 8, 9, 9), "kernel_size": [3, 3], "stride": []})
    {'kernel_shape': [3, 3], 'strides': [3, 3], 'dilations': [1, 1], 'pads': [0, 0, 0, 0], 'group': 1}
    """
    if operation in ("Conv", "ConvTranspose"):
        kernel = list(values["weight"][2:])
    elif name in _POOLS:
        kernel = _several(values["kernel_size"], int(name.partition("d")[0][-1]))
    else:
        return {}
    rank = len(kernel)
    dilations = _several(values.get("dilation", 1), rank)
    padding = values.get("padding", 0)
    if isinstance(padding, str):
        whole = [width * (size - 1) if padding == "same" else 0 for width, size in zip(dilations, kernel, strict=True)]
        pads = [extra // 2 for extra in whole] + [extra - extra // 2 for extra in whole]
    else:
        pads = _several(padding, rank) * 2
    strides = _several(values.get("stride") or (kernel if name in _POOLS else 1), rank)
    return {
        "kernel_shape": kernel,
        "strides": strides,
        "dilations": dilations,
        "pads": pads,
        "group": values.get("groups", 1),
    }


def detailed_label(name: str, operation: str, values: Mapping[str, Any], output: Shape | None) -> str:
    """Returns the operation with everything a person would choose: kernel, stride, groups, width, heads, rates.

    >>> chosen = {"input": (1, 8, 9, 9), "weight": (8, 1, 3, 3), "stride": [2, 2], "groups": 8}
    >>> detailed_label("conv2d", "Conv", chosen, (1, 8, 5, 5))
    'Conv3x3/2dw-8'
    >>> detailed_label("dropout", "Dropout", {"input": (1, 8), "p": 0.2}, (1, 8))
    'Dropout0.2'
    """
    window = operation_window(name, operation, values)
    text = operation
    if window:
        text += "x".join(map(str, window["kernel_shape"]))
        for mark, numbers in (("/", window["strides"]), ("d", window["dilations"])):
            if set(numbers) != {1}:
                text += mark + "x".join(map(str, numbers if len(set(numbers)) > 1 else numbers[:1]))
        groups: Any = window["group"]
        if groups > 1:
            text += "dw" if groups == values["input"][1] else f"g{groups}"
    if name in RECURRENT:
        return f"{text}-{values['params'][1][1]}x{values['num_layers']}" + ("b" if values.get("bidirectional") else "")
    if name == "scaled_dot_product_attention":
        heads = values["query"][1] if len(values["query"]) == 4 else 1
        return f"{text}-{heads}h" + ("causal" if values.get("is_causal") else "")
    if name == "group_norm":
        return f"{text}-{values['num_groups']}"
    if isinstance(values.get("weight"), tuple) and len(values["weight"]) > 1 and output:
        return f"{text}-{output[1] if window else output[-1]}"
    keys = [key for key in _NUMBERS if key != "alpha" or name not in ("add", "sub")]
    numbers = [values[key] for key in keys if _is_number(values.get(key))]
    if isinstance(values.get("approximate"), str) and values["approximate"] != "none":
        text += values["approximate"].capitalize()
    return text + "..".join(f"{number:g}" for number in numbers)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _several(value: Any, rank: int) -> list[int]:
    """One number a dimension, of one number or a list of one or all."""
    values = list(value) if isinstance(value, Sequence) else [value]
    return values * rank if len(values) == 1 else values
