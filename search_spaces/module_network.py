"""Any torch module as a graph of operations, traced by ``torch.export``; counted like :mod:`onnx_network`.

Torch is not imported here: whoever has a module has torch. Operations are the nodes; parameters, buffers and what is
computed from them alone are not, and neither are operators that only arrange numbers anew (reshape, transpose and so
on; see :mod:`torch_operations`). The module is read as it is used after training (``eval``).
"""

from __future__ import annotations

import logging
import math
import operator
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO
from typing import Any

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.onnx_costs import window
from nasx.search_spaces.onnx_network import OTHER, Layer, OnnxNetwork
from nasx.search_spaces.torch_operations import (
    DROPOUTS,
    VIEWS,
    detailed_label,
    operation_macs,
    operation_name,
    operation_window,
)


def is_module(value: Any) -> bool:
    """Whether a value is a ``torch.nn.Module``, asked without importing torch.

    >>> is_module("text")
    False
    """
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def read_module(module: Any, example: Any, *, detailed: bool = False) -> Graph:
    """Returns the graph of a torch module: ``input``, its operations in topological order, ``output``.

    Nodes and graph have the attributes of ``read_onnx``, and operations their ONNX names. Tracing takes some tenths of
    a second, mostly by the number of operations.

    Args:
        module: A ``torch.nn.Module``; it stays as it is.
        example: What it is called with: the shape of a float tensor, such as ``(1, 3, 32, 32)``, a tensor, or a tuple
            of tensors. The first size should be the batch.
        detailed: Whether labels say kernel, stride, groups, width, heads and rates (``Conv3x3/2-64``) and not only the
            operation (``Conv``): then predictors that read nothing but labels see them. Dropout is a node only then.

    Raises:
        UsageError: If it is no module, or cannot be called with the example, or cannot be traced.

    >>> from torch import nn
    >>> graph = read_module(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()), (1, 3, 8, 8))
    >>> graph.operations, graph.attributes["macs"], graph.attributes["parameters"]
    (('input', 'Conv', 'Relu', 'output'), 13824.0, 224.0)
    >>> read_module(nn.Conv2d(3, 8, 3, stride=2), (1, 3, 8, 8), detailed=True).operations
    ('input', 'Conv3x3/2-8', 'output')
    """
    return trace_module(module, example, detailed=detailed).graph()


def trace_module(module: Any, example: Any, *, detailed: bool = False) -> OnnxNetwork:
    """Returns a torch module with its exact costs, operation by operation; arguments and errors as ``read_module``."""
    if not is_module(module):
        raise UsageError(f"a torch.nn.Module is expected; got {module!r:.80}")
    torch, name = sys.modules["torch"], type(module).__name__
    inputs = _inputs(torch, example)
    modes = [(part, part.training) for part in module.modules()]
    logged = logging.root.manager.disable
    try:
        module.eval()
        logging.disable(logging.CRITICAL)  # torch also logs what it raises
        with torch.no_grad(), warnings.catch_warnings(), redirect_stderr(StringIO()):  # and prints it
            warnings.simplefilter("ignore")
            _call(module, name, inputs)
            program = torch.export.export(module, inputs, strict=False)
    except UsageError:
        raise
    except Exception as error:  # whatever torch.export has no way for
        raise UsageError(
            f"the module {name} works but cannot be traced by torch.export ({_first_line(error)}); "
            "write its graph by hand (graph= of a ChoiceSpace), or let no condition in forward depend on tensors"
        ) from error
    finally:
        logging.disable(logged)
        for part, training in modes:
            part.training = training
    return _Reader(program, module, name, detailed).network()


def _inputs(torch: Any, example: Any) -> tuple[Any, ...]:
    """The example as the positional arguments of the module."""
    if isinstance(example, torch.Tensor):
        return (example,)
    parts = tuple(example) if isinstance(example, Sequence) and not isinstance(example, str) else ()
    if parts and all(isinstance(part, int) and not isinstance(part, bool) and part > 0 for part in parts):
        return (torch.zeros(parts),)
    if parts and all(isinstance(part, torch.Tensor) for part in parts):
        return parts
    raise UsageError(
        "the example of a module is the shape of its input, like (1, 3, 32, 32), a tensor or a tuple of tensors; "
        f"got {example!r:.80}"
    )


def _call(module: Any, name: str, inputs: tuple[Any, ...]) -> None:
    """Calls the module, so that what it raises is told from what tracing raises."""
    try:
        module(*inputs)
    except Exception as error:
        shapes = " and ".join(str(tuple(part.shape)) for part in inputs)
        raise UsageError(
            f"the module {name} cannot be called with an input of shape {shapes}: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


class _Reader:
    """One pass over the nodes of an exported program."""

    def __init__(self, program: Any, module: Any, name: str, detailed: bool) -> None:
        self.program, self.name, self.detailed = program, name, detailed
        identity = {key: id(value) for key, value in module.named_parameters(remove_duplicate=False)}
        signature = program.graph_signature
        self.stored = {node: identity.get(key, key) for node, key in signature.inputs_to_parameters.items()}
        self.given = set(signature.user_inputs)
        self.sources: dict[Any, frozenset[int]] = {}  # which layers make a value; -1: the input; none: a constant
        self.roots: dict[Any, frozenset[Any]] = {}  # for a constant value, the parameters it is made of
        self.sizes: dict[Any, int] = {}
        self.used: set[Any] = set()
        self.layers: list[Layer] = []
        self.blind = 0

    def network(self) -> OnnxNetwork:
        inputs: dict[str, tuple[int, ...] | None] = {}
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self.sources[node] = frozenset({-1}) if node.name in self.given else frozenset()
                root = self.stored.get(node.name)
                self.roots[node] = frozenset() if root is None else frozenset({root})
                if root is not None:
                    self.sizes[root] = math.prod(node.meta["val"].shape)
                if node.name in self.given and hasattr(node.meta.get("val"), "shape"):
                    inputs[node.name] = _shape(node)
            elif node.op == "call_function":
                self.call(node)
            elif node.op == "get_attr":
                self.sources[node], self.roots[node] = frozenset(), frozenset()
        handed_out = {
            layer for node in self.program.graph.output_node().all_input_nodes for layer in self.sources.get(node, ())
        }
        if not self.layers:
            raise UsageError(f"the module {self.name} does nothing with its input: it has no operations")
        layers = [replace(layer, is_output=index in handed_out) for index, layer in enumerate(self.layers)]
        return OnnxNetwork(self.name, 0, inputs, tuple(layers), self.blind)

    def call(self, node: Any) -> None:
        """Notes what an operator reads, and adds it to the layers unless it is a constant or a view."""
        given = node.all_input_nodes
        sources: frozenset[int] = frozenset().union(*(self.sources[one] for one in given))
        self.roots[node] = self.constants(given)
        self.sources[node] = sources
        if not sources or node.target is operator.getitem or _shape(node) is None:
            return
        schema = getattr(node.target, "_schema", None)
        name = schema.name.rpartition("::")[2].removesuffix("_") if schema is not None else ""
        values = _values(node, schema) if schema is not None else {}
        idle = name in DROPOUTS and (not self.detailed or not values.get("p"))
        if name in VIEWS or idle:
            return
        self.sources[node] = frozenset({len(self.layers)})
        self.layers.append(self.layer(node, name, values, sources))

    def constants(self, nodes: Sequence[Any]) -> frozenset[Any]:
        """The parameters that those of some values which are constants are made of."""
        return frozenset().union(*(self.roots[node] for node in nodes if not self.sources[node]))

    def layer(self, node: Any, name: str, values: Mapping[str, Any], sources: frozenset[int]) -> Layer:
        """The operator as a layer, with its costs."""
        output = _shape(node)
        operation = operation_name(name, values, output) if name else OTHER
        cost = operation_macs(name, operation, values, output) if name else None
        sizes = operation_window(name, operation, values) if name else {}
        self.blind += cost is None
        new = self.constants(node.all_input_nodes) - self.used
        self.used |= new
        shapes = [value for value in values.values() if isinstance(value, tuple)]
        return Layer(
            name=node.name,
            operation=detailed_label(name, operation, values, output) if name and self.detailed else operation,
            sources=tuple(sorted(sources)),
            output_shape=output,
            window=window(operation, shapes, [output], sizes) if sizes else {},
            macs=cost or 0,
            parameters=sum(self.sizes[root] for root in new),
            memory_bytes=sum(_bytes(one) for one in [*node.all_input_nodes, node]),
            is_output=False,
        )


def _values(node: Any, schema: Any) -> dict[str, Any]:
    """The arguments of an operator by name, tensors as their shapes; what is not given has its default."""
    values: dict[str, Any] = {}
    for place, argument in enumerate(schema.arguments):
        if place < len(node.args):
            given = node.args[place]
        elif argument.name in node.kwargs:
            given = node.kwargs[argument.name]
        else:
            given = argument.default_value if argument.has_default_value() else None
        if isinstance(given, list | tuple) and given and all(hasattr(one, "all_input_nodes") for one in given):
            values[argument.name] = [_shape(one) for one in given]
        else:
            values[argument.name] = _shape(given) if hasattr(given, "all_input_nodes") else given
        if isinstance(given, tuple) and not values[argument.name]:
            values[argument.name] = list(given)
    if isinstance(values.get("self"), tuple):
        values = {"input" if key == "self" else key: value for key, value in values.items()}
    return values


def _tensors(node: Any) -> list[Any]:
    value = node.meta.get("val")
    return [one for one in (value if isinstance(value, list | tuple) else [value]) if hasattr(one, "shape")]


def _shape(node: Any) -> tuple[int, ...] | None:
    """The shape of the first tensor of a value; None where there is none."""
    tensors = _tensors(node)
    return tuple(int(size) for size in tensors[0].shape) if tensors else None


def _bytes(node: Any) -> int:
    return sum(math.prod(one.shape) * one.dtype.itemsize for one in _tensors(node))
