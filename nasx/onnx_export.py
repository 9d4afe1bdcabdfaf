"""A torch module written as ONNX, operation by operation, nothing fused: what it costs is what the file says.

Written here and not by ``torch.onnx``, whose exporters fuse batch normalisations into convolutions, merge equal
weights, and so change the number of parameters; they also need further packages. The modules of
``nasx.cell_networks`` and others of the same parts can be written.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from nasx.cell_networks import Truncate, Zero
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.onnx_file import onnx_package

OPSET = 17
IR_VERSION = 8
INPUT, OUTPUT = "images", "logits"


def to_onnx(network: nn.Module, input_shape: tuple[int, ...]) -> Any:
    """Returns a network, as it is evaluated (not trained), as an ``onnx.ModelProto`` of operator set 17.

    Args:
        network: A module of convolutions, batch normalisations, pooling, ReLU, linear layers, sums, concatenations.
        input_shape: ``(B, 3, H, W)``.

    Raises:
        UsageError: If it has a part that is not known here.
        NasxError: If the package onnx is not installed.

    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    >>> [node.op_type for node in to_onnx(network, (1, 3, 8, 8)).graph.node]
    ['Conv', 'Relu']
    """
    return _Writer(network, input_shape).model()


def save_onnx(network: nn.Module, path: str | Path, input_shape: tuple[int, ...]) -> Path:
    """Writes a network to a file, whole or not at all; arguments and errors as ``to_onnx``."""
    target = Path(path)
    content = to_onnx(network, input_shape).SerializeToString()
    if not target.parent.is_dir():
        raise UsageError(f"the folder '{target.parent}' does not exist; make it first")
    if target.is_dir():
        raise UsageError(f"'{target}' is a folder; give the name of a file, such as {target / 'best.onnx'}")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise NasxError(f"'{target}' could not be written: {error.strerror or error}") from error
    return target


class _Tracer(fx.Tracer):
    """Looks into modules down to those that have an ONNX operation of their own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether the module is written as a whole."""
        return type(m) in _MODULES


class _Writer:
    def __init__(self, network: nn.Module, input_shape: tuple[int, ...]) -> None:
        self.onnx = onnx_package()
        self.network, self.input_shape = network, input_shape
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.values: dict[fx.Node, str] = {}

    def model(self) -> Any:
        graph = _Tracer().trace(self.network)
        result = ""
        for step in graph.nodes:
            if step.op == "placeholder":
                self.values[step] = INPUT
            elif step.op == "output":
                result = self.values[step.args[0]]
            elif step.op == "call_module":
                module = self.network.get_submodule(step.target)
                self.values[step] = _MODULES[type(module)](self, module, step)
            else:
                self.values[step] = self.function(step)
        self.nodes.append(self.onnx.helper.make_node("Identity", [result], [OUTPUT]))
        self.rename_last()
        training, shape = self.network.training, self.input_shape
        try:
            with torch.no_grad():
                sizes = tuple(self.network.eval()(torch.zeros(shape)).shape)
        finally:
            self.network.train(training)
        helper, kind = self.onnx.helper, self.onnx.TensorProto.FLOAT
        return helper.make_model(
            helper.make_graph(
                self.nodes,
                type(self.network).__name__,
                [helper.make_tensor_value_info(INPUT, kind, shape)],
                [helper.make_tensor_value_info(OUTPUT, kind, sizes)],
                list(self.constants.values()),
            ),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="nasx",
        )

    def rename_last(self) -> None:
        """Gives the result its name without an operation of its own, where one operation makes it."""
        value = self.nodes[-1].input[0]
        maker = next((node for node in self.nodes[:-1] if value in node.output), None)
        if maker is None:
            return
        self.nodes.pop()
        for node in self.nodes:
            node.input[:] = [OUTPUT if name == value else name for name in node.input]
        maker.output[:] = [OUTPUT if name == value else name for name in maker.output]

    def add(self, kind: str, step: fx.Node, inputs: list[str], **attributes: Any) -> str:
        """Appends an operation named after the traced step."""
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [step.name], name=step.name, **attributes))
        return step.name

    def constant(self, name: str, value: torch.Tensor) -> str:
        """Stores a tensor once."""
        if name not in self.constants:
            self.constants[name] = self.onnx.numpy_helper.from_array(value.detach().cpu().numpy(), name)
        return name

    def source(self, step: fx.Node, place: int = 0) -> str:
        """The value that an argument of a step stands for."""
        given = step.args[place]
        if not isinstance(given, fx.Node):
            raise UsageError(f"'{step.name}' takes a constant where an ONNX operation is expected")
        return self.values[given]

    def function(self, step: fx.Node) -> str:
        name = getattr(step.target, "__name__", str(step.target))
        if step.target in (operator.add, torch.add):
            return self.add("Add", step, [self.source(step, 0), self.source(step, 1)])
        if step.target is torch.cat:
            axis = step.kwargs.get("dim", step.args[1] if len(step.args) > 1 else 0)
            return self.add("Concat", step, [self.values[part] for part in step.args[0]], axis=axis)  # type: ignore
        if step.target is torch.flatten:
            return self.add("Flatten", step, [self.source(step)], axis=step.args[1])
        raise UsageError(f"a network that calls '{name}' cannot be written as ONNX here; use torch.onnx.export")


def _convolution(writer: _Writer, module: Any, step: fx.Node) -> str:
    inputs = [writer.source(step), writer.constant(f"{step.target}.weight", module.weight)]
    if module.bias is not None:
        inputs.append(writer.constant(f"{step.target}.bias", module.bias))
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        raise UsageError(f"the padding of '{step.target}' cannot be written as ONNX here; use torch.onnx.export")
    return writer.add(
        "Conv",
        step,
        inputs,
        kernel_shape=module.kernel_size,
        strides=module.stride,
        pads=[*module.padding, *module.padding],
        dilations=module.dilation,
        group=module.groups,
    )


def _normalisation(writer: _Writer, module: Any, step: fx.Node) -> str:
    if module.weight is None or module.running_mean is None:
        raise UsageError(f"the normalisation '{step.target}' without weights or statistics cannot be written as ONNX")
    parts = ("weight", "bias", "running_mean", "running_var")
    stored = [writer.constant(f"{step.target}.{part}", getattr(module, part)) for part in parts]
    return writer.add("BatchNormalization", step, [writer.source(step), *stored], epsilon=module.eps)


def _linear(writer: _Writer, module: Any, step: fx.Node) -> str:
    inputs = [writer.source(step), writer.constant(f"{step.target}.weight", module.weight)]
    if module.bias is not None:
        inputs.append(writer.constant(f"{step.target}.bias", module.bias))
    return writer.add("Gemm", step, inputs, transB=1)


def _pooling(writer: _Writer, module: Any, step: fx.Node) -> str:
    dilated = isinstance(module, nn.MaxPool2d) and module.dilation not in (1, (1, 1))
    if module.ceil_mode or dilated or getattr(module, "divisor_override", None):
        raise UsageError(f"the pooling '{step.target}' cannot be written as ONNX here; use torch.onnx.export")
    kernel, stride, padding = (
        value if isinstance(value, tuple) else (value, value)
        for value in (module.kernel_size, module.stride, module.padding)
    )
    options: dict[str, Any] = {"kernel_shape": kernel, "strides": stride, "pads": [*padding, *padding]}
    if isinstance(module, nn.MaxPool2d):
        return writer.add("MaxPool", step, [writer.source(step)], **options)
    options["count_include_pad"] = int(module.count_include_pad)
    return writer.add("AveragePool", step, [writer.source(step)], **options)


def _global_pooling(writer: _Writer, module: Any, step: fx.Node) -> str:
    if module.output_size not in (1, (1, 1)):
        raise UsageError(f"the pooling '{step.target}' to {module.output_size} cannot be written as ONNX here")
    return writer.add("GlobalAveragePool", step, [writer.source(step)])


def _truncation(writer: _Writer, module: Any, step: fx.Node) -> str:
    bounds = {"from_0": 0, f"to_{module.channels}": module.channels, "axis_1": 1}
    names = [writer.constant(name, torch.tensor([value])) for name, value in bounds.items()]
    return writer.add("Slice", step, [writer.source(step), *names])


_MODULES: dict[type, Callable[[_Writer, Any, fx.Node], str]] = {
    Truncate: _truncation,
    Zero: lambda writer, _, step: writer.add(
        "Mul", step, [writer.source(step), writer.constant("zero", torch.tensor(0.0))]
    ),
    nn.AdaptiveAvgPool2d: _global_pooling,
    nn.AvgPool2d: _pooling,
    nn.BatchNorm2d: _normalisation,
    nn.Conv2d: _convolution,
    nn.Identity: lambda writer, _, step: writer.source(step),
    nn.Linear: _linear,
    nn.MaxPool2d: _pooling,
    nn.ReLU: lambda writer, _, step: writer.add("Relu", step, [writer.source(step)]),
}
