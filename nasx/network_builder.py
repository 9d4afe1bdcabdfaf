"""Whole networks written as ONNX, operation by operation, without torch and without weights on disk.

A weight is a ``ConstantOfShape`` node: a complete, valid ONNX file that every tool opens, of some ten kilobytes instead
of many megabytes. ``with_weights`` puts random tensors in their place before anything is measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.onnx_file import node_inputs, onnx_package

OPSET = 17
IR_VERSION = 8


class Value(NamedTuple):
    """A feature map: its name in the file, its channels, its size."""

    name: str
    channels: int
    height: int
    width: int


class Operation(NamedTuple):
    """A node to be: protobuf is slow, and most networks that are drawn are never written."""

    operator: str
    inputs: tuple[str, ...]
    name: str
    attributes: Mapping[str, Any]


class NetworkBuilder:
    """Collects the operations of an image classifier.

    Args:
        resolution: Pixels a side of the square input.
        batch_size: Images at once.
        folded: Whether batch normalisations are folded into their convolutions, as exporters leave them.

    Attributes:
        input: The images.
        macs: Multiply-adds of the convolutions and linear layers so far.
        parameters: Trainable parameters so far.

    >>> net = NetworkBuilder(resolution=32)
    >>> features = net.conv(net.input, 16, 3, stride=2)
    >>> features.channels, features.height, net.macs, net.parameters
    (16, 16, 110592, 464)
    """

    def __init__(self, resolution: int, batch_size: int = 1, *, folded: bool = False) -> None:
        self.onnx = onnx_package()
        self.batch_size, self.folded = batch_size, folded
        self.input = Value("images", 3, resolution, resolution)
        self.macs = self.parameters = 0
        self.nodes: list[Operation] = []
        self.constants: dict[str, np.ndarray] = {}
        self.fillings: dict[float, Any] = {}

    def conv(
        self,
        source: Value,
        channels: int,
        kernel: int,
        stride: int = 1,
        *,
        padding: int | None = None,
        groups: int = 1,
        norm: bool = True,
        bias: bool = True,
        activation: str | None = "relu",
    ) -> Value:
        """A convolution, its batch normalisation (else a bias) and its activation.

        Args:
            source: What it reads.
            channels: Channels it makes.
            kernel: Size of its square window.
            stride: Stride in both directions.
            padding: Zeros on each side; half the kernel by default.
            groups: Groups of channels; as many as there are channels for a depthwise convolution.
            norm: Whether a batch normalisation follows, instead of a bias.
            bias: Whether a convolution without batch normalisation has a bias.
            activation: See ``activate``; None for none.
        """
        padding = kernel // 2 if padding is None else padding
        shape = (channels, source.channels // groups, kernel, kernel)
        inputs = [source.name, self._weight(shape)]
        if self.folded if norm else bias:
            inputs.append(self._weight((channels,), 0.0))
        height, width = (_windows(size, kernel, stride, padding) for size in source[2:])
        result = Value(
            self._node(
                "Conv",
                inputs,
                kernel_shape=[kernel] * 2,
                strides=[stride] * 2,
                pads=[padding] * 4,
                group=groups,
            ),
            channels,
            height,
            width,
        )
        self.macs += self.batch_size * math.prod(shape) * height * width
        if norm:
            result = self._norm(result)
        return self.activate(result, activation)

    def activate(self, source: Value, kind: str | None) -> Value:
        """``relu``, ``relu6``, ``hardswish``, ``hardsigmoid``, ``sigmoid`` or ``silu``; None leaves it as it is.

        Raises:
            UsageError: If it is none of these.
        """
        if kind is None:
            return source
        if kind == "relu6":
            bounds = [self._constant(name, np.float32(value)) for name, value in (("zero", 0), ("six", 6))]
            return source._replace(name=self._node("Clip", [source.name, *bounds]))
        if kind == "silu":
            gate = self._node("Sigmoid", [source.name])
            return source._replace(name=self._node("Mul", [source.name, gate]))
        operators = {"relu": "Relu", "hardswish": "HardSwish", "hardsigmoid": "HardSigmoid", "sigmoid": "Sigmoid"}
        if kind not in operators:
            raise UsageError(f"there is no activation '{kind}'; there is {', '.join([*operators, 'relu6', 'silu'])}")
        options = {"alpha": 1 / 6} if kind == "hardsigmoid" else {}
        return source._replace(name=self._node(operators[kind], [source.name], **options))

    def squeeze_excite(self, source: Value, squeezed: int, activation: str, gate: str) -> Value:
        """Channels weighed by what they hold on average (Hu et al., CVPR 2018, arXiv:1709.01507)."""
        mean = self.mean(source)
        inner = self.conv(mean, squeezed, 1, norm=False, activation=activation)
        scale = self.conv(inner, source.channels, 1, norm=False, activation=gate)
        return source._replace(name=self._node("Mul", [scale.name, source.name]))

    def max_pool(self, source: Value, kernel: int, stride: int, *, padding: int = 0, round_up: bool = False) -> Value:
        """The largest value of each window; ``round_up`` lets the last window reach over the edge."""
        height, width = (_windows(size, kernel, stride, padding, round_up) for size in source[2:])
        options: dict[str, Any] = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}
        name = self._node("MaxPool", [source.name], ceil_mode=int(round_up), **options)
        return Value(name, source.channels, height, width)

    def average_pool(self, source: Value, kernel: int, stride: int, *, padding: int = 0) -> Value:
        """The mean of each window, padding not counted."""
        height, width = (_windows(size, kernel, stride, padding) for size in source[2:])
        options: dict[str, Any] = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}
        name = self._node("AveragePool", [source.name], count_include_pad=0, **options)
        return Value(name, source.channels, height, width)

    def mean(self, source: Value) -> Value:
        """The mean over all positions."""
        return Value(self._node("GlobalAveragePool", [source.name]), source.channels, 1, 1)

    def flatten(self, source: Value) -> Value:
        """All values of an image in a row."""
        return Value(self._node("Flatten", [source.name], axis=1), math.prod(source[1:]), 1, 1)

    def linear(self, source: Value, outputs: int, activation: str | None = None) -> Value:
        """A linear layer with bias on flat features."""
        inputs = [source.name, self._weight((outputs, source.channels)), self._weight((outputs,), 0.0)]
        self.macs += self.batch_size * outputs * source.channels
        return self.activate(Value(self._node("Gemm", inputs, transB=1), outputs, 1, 1), activation)

    def add(self, first: Value, second: Value) -> Value:
        """The sum of two feature maps of one shape."""
        return first._replace(name=self._node("Add", [first.name, second.name]))

    def join(self, *parts: Value) -> Value:
        """Feature maps of one size, their channels one after the other."""
        channels = sum(part.channels for part in parts)
        return parts[0]._replace(name=self._node("Concat", [part.name for part in parts], axis=1), channels=channels)

    def norm_relu(self, source: Value) -> Value:
        """A batch normalisation that follows no convolution, and so cannot be folded into one; then ReLU."""
        return self.activate(self._norm(source, folded=False), "relu")

    def model(self, result: Value, name: str, notes: Mapping[str, str] | None = None) -> Any:
        """Returns the network as an ``onnx.ModelProto``.

        Args:
            result: What it hands out: flat features, as logits are.
            name: Its name.
            notes: Written into the file's metadata.
        """
        helper, kind = self.onnx.helper, self.onnx.TensorProto.FLOAT
        shape = [self.batch_size, *self.input[1:]]
        nodes = [helper.make_node(op, inputs, [label], name=label, **more) for op, inputs, label, more in self.nodes]
        graph = helper.make_graph(
            nodes,
            name,
            [helper.make_tensor_value_info(self.input.name, kind, shape)],
            [helper.make_tensor_value_info(result.name, kind, [self.batch_size, result.channels])],
            [self.onnx.numpy_helper.from_array(value, key) for key, value in self.constants.items()],
        )
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="nasx")
        helper.set_model_props(model, dict(notes or {}))
        return model

    def _norm(self, source: Value, folded: bool | None = None) -> Value:
        self.parameters += 2 * source.channels
        if self.folded if folded is None else folded:
            self.parameters -= source.channels  # the bias of the convolution, already counted
            return source
        parts = [self._weight((source.channels,), value, counted=False) for value in (1.0, 0.0, 0.0, 1.0)]
        return source._replace(name=self._node("BatchNormalization", [source.name, *parts], epsilon=1e-5))

    def _weight(self, shape: tuple[int, ...], value: float = 0.01, *, counted: bool = True) -> str:
        self.parameters += math.prod(shape) * counted
        size = self._constant("x".join(map(str, ("shape", *shape))), np.array(shape, dtype=np.int64))
        if value not in self.fillings:
            self.fillings[value] = self.onnx.helper.make_tensor("value", self.onnx.TensorProto.FLOAT, [1], [value])
        return self._node("ConstantOfShape", [size], value=self.fillings[value])

    def _constant(self, name: str, value: Any) -> str:
        self.constants.setdefault(name, np.asarray(value))
        return name

    def _node(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(Operation(operator, tuple(inputs), name, attributes))
        return name


def _windows(size: int, kernel: int, stride: int, padding: int, round_up: bool = False) -> int:
    """How many windows fit along a side; with ``round_up`` also the last one that begins inside."""
    room = size + 2 * padding - kernel
    if room < 0:
        raise UsageError(f"a window of {kernel} does not fit into {size} pixels; choose a larger resolution")
    count = -(-room // stride) + 1 if round_up else room // stride + 1
    return count - 1 if round_up and (count - 1) * stride >= size + padding else count


_POOL = 2**17
_TAKES_WEIGHTS = frozenset({"BatchNormalization", "Conv", "ConvTranspose", "Gemm", "MatMul"})


def with_weights(model: Any, seed: int = 0) -> Any:
    """Returns a copy of a model whose generated weights are stored tensors; a model without such is left as it is.

    Matrices and kernels become random numbers of the size that keeps signals alive (He et al. 2015); vectors keep
    their constant. Weights must be stored for a runtime to arrange them as it does those of a trained network, and
    must not be zero or tiny, or denormal numbers would slow everything down.

    Args:
        model: An ``onnx.ModelProto``.
        seed: Seed of the weights.
    """
    onnx = onnx_package()
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    taken = {name for node in model.graph.node if node.op_type in _TAKES_WEIGHTS for name in node.input[1:]}
    made = {
        node.output[0]: node
        for node in model.graph.node
        if node.op_type == "ConstantOfShape" and node.input[0] in stored and node.output[0] in taken
    }
    if not made:
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kept = [node for node in copy.graph.node if node.output[0] not in made]
    needed = {name for node in kept for name in node_inputs(node)} | {value.name for value in copy.graph.output}
    tensors = [tensor for tensor in copy.graph.initializer if tensor.name in needed]
    numbers = np.random.default_rng(seed).standard_normal(_POOL, dtype=np.float32)  # used again and again: quick
    for name, node in made.items():
        shape = tuple(int(size) for size in onnx.numpy_helper.to_array(stored[node.input[0]]))
        given = [onnx.helper.get_attribute_value(entry) for entry in node.attribute if entry.name == "value"]
        filling = onnx.numpy_helper.to_array(given[0]).reshape(()) if given else np.float32(0)
        if len(shape) > 1 and filling.dtype == np.float32:
            values: np.ndarray = np.resize(numbers, shape) * np.float32(math.sqrt(2 / max(math.prod(shape[1:]), 1)))
        else:
            values = np.full(shape, filling)
        tensors.append(onnx.numpy_helper.from_array(values, name))
    del copy.graph.node[:], copy.graph.initializer[:]
    copy.graph.node.extend(kept)
    copy.graph.initializer.extend(tensors)
    return copy
