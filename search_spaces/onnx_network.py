"""Any ONNX network as a graph: what its layers are, how they are joined, what they cost.

Operations are the nodes. Constants are not: initializers, ``Constant`` nodes, and whatever is computed from these or
from shapes alone. Control flow and operators that onnx does not know become ``other``.

The numbers, for the whole network and for each operation:

* multiply-adds (``macs``) of convolutions, matrix products and recurrent cells; ``flops`` are two a multiply-add;
* ``parameters``: elements of the stored tensors of floating-point (or quantised) type, each tensor counted once,
  without the running statistics of batch normalisations and without single numbers (no dimension, or one element in a
  ``Constant`` node);
* ``memory_bytes``: what a run without fused operations reads and writes, each operation all of its inputs, weights
  included, and all of its outputs; operations that only change the shape move nothing.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.onnx_costs import FLOPS_PER_MAC, VIEWS, multiply_adds, window
from nasx.search_spaces.onnx_file import Shapes, node_inputs, onnx_package, open_onnx, static_shape, subgraphs

OTHER = "other"
NODE_ATTRIBUTES = (
    "kernel_height", "kernel_width", "stride_height", "stride_width", "dilation_height", "dilation_width",
    "pad_begin_height", "pad_begin_width", "pad_end_height", "pad_end_width", "groups",
    "output_0", "output_1", "output_2", "output_3", "macs", "parameters", "memory_bytes",
)  # fmt: skip
_RANDOM = frozenset({"Bernoulli", "Multinomial", "RandomNormal", "RandomUniform"})
_OF_SHAPES = frozenset({"Shape", "Size"})
_MAKES_WEIGHTS = frozenset({"ConstantOfShape"})  # how files made without weights fill them in
_TAKES_WEIGHTS = frozenset({"BatchNormalization", "Conv", "ConvTranspose", "Gemm", "MatMul"})
_QUANTISED = frozenset({"ConvInteger", "DequantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul"})
_NO_PARAMETERS = frozenset({"Resize", "Upsample", "QuantizeLinear"})  # their constants are scales


@dataclass(frozen=True)
class Layer:
    """One operation of a network.

    Attributes:
        name: Its name in the file, or that of its first output.
        operation: The ONNX operator, or ``other``.
        sources: Positions of the operations it reads, ascending; -1 is the input of the network.
        output_shape: Shape of its first output; None where it is not known.
        window: Kernel, stride, padding, dilation and groups, where it has any.
        macs: Multiply-adds.
        parameters: Parameters that no operation before it has used.
        memory_bytes: Bytes read and written.
        is_output: Whether the network hands out one of its results.
    """

    name: str
    operation: str
    sources: tuple[int, ...]
    output_shape: tuple[int, ...] | None
    window: Mapping[str, float]
    macs: int
    parameters: int
    memory_bytes: int
    is_output: bool

    @property
    def flops(self) -> int:
        """Floating-point operations: two a multiply-add."""
        return FLOPS_PER_MAC * self.macs


@dataclass(frozen=True)
class OnnxNetwork:
    """A network read from ONNX: its operations in topological order, and what it costs as a whole.

    Attributes:
        name: Name of the file.
        opset: Version of the ONNX operator set; 0 if it uses only others.
        inputs: Shapes of the inputs.
        layers: The operations.
        unknown_shapes: Number of operations whose costs or shapes are not known, and so count 0.
    """

    name: str
    opset: int
    inputs: Mapping[str, tuple[int, ...] | None]
    layers: tuple[Layer, ...]
    unknown_shapes: int

    @property
    def macs(self) -> int:
        """Multiply-adds."""
        return sum(layer.macs for layer in self.layers)

    @property
    def flops(self) -> int:
        """Floating-point operations: two a multiply-add."""
        return FLOPS_PER_MAC * self.macs

    @property
    def parameters(self) -> int:
        """Stored parameters."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def memory_bytes(self) -> int:
        """Bytes read and written by a run without fused operations."""
        return sum(layer.memory_bytes for layer in self.layers)

    @property
    def batch_size(self) -> int:
        """The first size of the first input of two dimensions or more; 1 without one."""
        return next((shape[0] for shape in self.inputs.values() if shape and len(shape) > 1), 1)

    @property
    def depth(self) -> int:
        """The number of operations on the longest path."""
        depth: list[int] = []
        for layer in self.layers:
            depth.append(1 + max((depth[source] for source in layer.sources if source >= 0), default=0))
        return max(depth, default=0)

    def graph(self) -> Graph:
        """Returns the graph: ``input``, the operations, ``output``; see ``read_onnx``."""
        size = len(self.layers) + 2
        adjacency = np.zeros((size, size), dtype=bool)
        table = np.zeros((size, len(NODE_ATTRIBUTES)))
        column = {name: place for place, name in enumerate(NODE_ATTRIBUTES)}
        for node, layer in enumerate(self.layers, start=1):
            adjacency[[source + 1 for source in layer.sources], node] = True
            adjacency[node, -1] = layer.is_output
            for name, value in layer.window.items():
                table[node, column[name]] = value
            table[node, column["output_0"] : column["output_3"] + 1] = _four_sizes(layer.output_shape)
            table[node, -3:] = layer.macs, layer.parameters, layer.memory_bytes
        table[0, column["output_0"] : column["output_3"] + 1] = _four_sizes(next(iter(self.inputs.values()), None))
        attributes = {
            "batch_size": float(self.batch_size),
            "flops": float(self.flops),
            "macs": float(self.macs),
            "parameters": float(self.parameters),
            "memory_bytes": float(self.memory_bytes),
        }
        labels = ["input", *(layer.operation for layer in self.layers), "output"]
        return Graph(labels, adjacency, attributes, table, NODE_ATTRIBUTES)


def read_onnx(path_or_model: Any, *, shapes: Shapes | None = None) -> Graph:
    """Returns the graph of an ONNX network: ``input``, its operations in topological order, ``output``.

    Nodes have the attributes ``NODE_ATTRIBUTES``: kernel, stride, dilation and padding (height and width; 0 where the
    operation has none), groups, the first three sizes of the output and the product of the rest (``output_0`` ..
    ``output_3``; 0 where there is none), macs, parameters and memory_bytes. The graph has batch_size, flops, macs,
    parameters and memory_bytes. How they are counted: see the module.

    Args:
        path_or_model: Path of a file of operator set 9 or later, or an ``onnx.ModelProto``. Weights may be missing.
        shapes: Sizes of inputs that the file leaves open, ``{"x": (1, 3, 224, 224)}``.

    Raises:
        UsageError: If it is no ONNX file, or no graph; if a shape is open; if it is too large or too new.
        NasxError: If the package onnx is not installed, or shapes depend on weights that are missing.

    >>> onnx = onnx_package()
    >>> model = onnx.parser.parse_model('''<ir_version: 8, opset_import: ["": 17]>
    ...     net (float[1, 8, 4, 4] x, float[16, 8, 1, 1] w) => (float[1, 16, 4, 4] y) { h = Conv(x, w) y = Relu(h) }''')
    >>> graph = read_onnx(model)
    >>> graph.operations, graph.attributes["macs"]
    (('input', 'Conv', 'Relu', 'output'), 2048.0)
    """
    return read_network(path_or_model, shapes=shapes).graph()


def read_network(path_or_model: Any, *, shapes: Shapes | None = None) -> OnnxNetwork:
    """Returns an ONNX network with its exact costs, operation by operation; arguments and errors as ``read_onnx``."""
    model, name = open_onnx(path_or_model, shapes)
    return _Reader(model, name).network()


class _Reader:
    """One pass over the nodes of a model whose shapes are known."""

    def __init__(self, model: Any, name: str) -> None:
        self.onnx = onnx_package()
        self.graph, self.name = model.graph, name
        self.opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
        self.shapes: dict[str, tuple[int, ...] | None] = {}
        self.kinds: dict[str, int] = {}  # element types
        self.roots: dict[str, frozenset[str]] = {}  # for each constant value, the stored tensors it is made of
        self.makers: dict[str, int] = {}  # for each other value, the layer that makes it; -1: the input
        self.generated: set[str] = set()
        self.unknown: Counter[str] = Counter()
        self.blind = 0

    def network(self) -> OnnxNetwork:
        for value in [*self.graph.value_info, *self.graph.input, *self.graph.output]:
            self.shapes[value.name] = static_shape(value)
            self.kinds[value.name] = value.type.tensor_type.elem_type
        for tensor in self.graph.initializer:
            self._store(tensor.name, tuple(tensor.dims), tensor.data_type)
        for sparse in self.graph.sparse_initializer:
            self._store(sparse.values.name, tuple(sparse.dims), sparse.values.data_type)
        inputs = [value.name for value in self.graph.input if value.name not in self.roots]
        self.makers.update(dict.fromkeys(inputs, -1))
        nodes = [node for node in self.graph.node if not self._is_constant(node)]
        parameters = self._parameters(nodes)
        handed_out = {value.name for value in self.graph.output}
        layers = [self._layer(index, node, parameters[index], handed_out) for index, node in enumerate(nodes)]
        if not layers:
            raise UsageError(f"'{self.name}' holds constants only: nothing depends on an input")
        if self.unknown:
            counts = ", ".join(f"{word} ({count})" for word, count in self.unknown.most_common())
            warnings.warn(f"'{self.name}': counted as '{OTHER}', with unknown cost: {counts}", stacklevel=4)
        elif self.blind:
            warnings.warn(f"'{self.name}': {self.blind} operations have no known shape and count 0", stacklevel=4)
        return OnnxNetwork(self.name, self.opset, {key: self.shapes[key] for key in inputs}, tuple(layers), self.blind)

    def _store(self, name: str, shape: tuple[int, ...], kind: int) -> None:
        self.shapes[name], self.kinds[name], self.roots[name] = shape, kind, frozenset({name})

    def _known(self, node: Any) -> bool:
        if node.domain not in ("", "ai.onnx") or any(True for _ in subgraphs(node)):
            return False
        try:
            self.onnx.defs.get_schema(node.op_type, self.opset, "")
        except Exception:  # onnx has a class of its own for "no such operator", in a private module
            return False
        return True

    def _is_constant(self, node: Any) -> bool:
        """Whether a node depends on constants and shapes alone; if so, remembers what it is made of."""
        given = node_inputs(node)
        of_shape = node.op_type in _OF_SHAPES and given and self.shapes.get(given[0]) is not None
        if not of_shape and not all(name in self.roots for name in given):
            return False
        if not self._known(node) or node.op_type in _RANDOM:
            return False
        made: frozenset[str] = frozenset().union(*(self.roots[name] for name in given)) if not of_shape else frozenset()
        shape = self.shapes.get(node.output[0])
        if node.op_type in _MAKES_WEIGHTS or (node.op_type == "Constant" and shape and math.prod(shape) > 1):
            made = frozenset({node.output[0]})
        if node.op_type in _MAKES_WEIGHTS:
            self.generated.add(node.output[0])
        for name in node.output:
            self.roots[name] = made
        return True

    def _parameters(self, nodes: Sequence[Any]) -> list[int]:
        """The parameters that each node is the first to use."""
        seen: set[str] = set()
        counts = []
        for node in nodes:
            statistics = set(node.input[3:5]) if node.op_type == "BatchNormalization" else set()
            new: set[str] = set()
            for name in node_inputs(node):
                if name in self.roots and name not in statistics and node.op_type not in _NO_PARAMETERS:
                    new |= {root for root in self.roots[name] if self._is_parameter(root, node.op_type)}
            counts.append(sum(math.prod(self.shapes[root] or (0,)) for root in new - seen))
            seen |= new
        return counts

    def _is_parameter(self, root: str, operation: str) -> bool:
        kind, shape = self.kinds.get(root, 0), self.shapes.get(root)
        if not shape or (root in self.generated and operation not in _TAKES_WEIGHTS):
            return False
        name = _type_name(self.onnx, kind)
        small = name in ("INT8", "UINT8", "INT4", "UINT4", "INT2", "UINT2", "INT32")
        return "FLOAT" in name or name == "DOUBLE" or (small and operation in _QUANTISED)

    def _layer(self, index: int, node: Any, parameters: int, handed_out: set[str]) -> Layer:
        helper = self.onnx.helper
        given = node_inputs(node)
        known = self._known(node)
        attributes = {entry.name: _plain(helper.get_attribute_value(entry)) for entry in node.attribute}
        inputs = [self.shapes.get(name) if name else None for name in node.input]
        outputs = [self.shapes.get(name) if name else None for name in node.output]
        cost = multiply_adds(node.op_type, inputs, outputs, attributes) if known else 0
        operation = node.op_type if known else OTHER
        if not known:
            self.unknown[f"{node.domain}.{node.op_type}".strip(".")] += 1
        if cost is None or (outputs and outputs[0] is None):
            self.blind += 1
        moved = 0
        if operation not in VIEWS:
            moved = sum(self._bytes(name) for name in {*given, *node.output} if name)
        sources = sorted({self.makers[name] for name in given if name in self.makers})
        self.makers.update(dict.fromkeys((name for name in node.output if name), index))
        return Layer(
            name=node.name or node.output[0],
            operation=operation,
            sources=tuple(sources),
            output_shape=outputs[0] if outputs else None,
            window=window(node.op_type, inputs, outputs, attributes) if known else {},
            macs=cost or 0,
            parameters=parameters,
            memory_bytes=moved,
            is_output=any(name in handed_out for name in node.output),
        )

    def _bytes(self, name: str) -> int:
        shape = self.shapes.get(name)
        if shape is None:
            return 0
        return math.ceil(math.prod(shape) * _bits(self.onnx, self.kinds.get(name, 0)) / 8)


@cache
def _bits(onnx: Any, kind: int) -> int:
    """The size of an element in a file, in bits."""
    name = _type_name(onnx, kind)
    for narrow in (2, 4):
        if name.endswith(f"INT{narrow}") or name == f"FLOAT{narrow}E2M1":
            return narrow
    try:
        return int(8 * onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize)
    except KeyError:
        return 0


@cache
def _type_name(onnx: Any, kind: int) -> str:
    """``FLOAT``, ``INT64`` and so on; UNDEFINED for what the installed onnx does not know."""
    known: dict[int, str] = {number: name for name, number in onnx.TensorProto.DataType.items()}
    return known.get(kind, "UNDEFINED")


def _plain(value: Any) -> Any:
    """Attribute values: text instead of bytes, lists instead of protobuf's own."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _four_sizes(shape: tuple[int, ...] | None) -> list[float]:
    sizes = list(shape or ())
    if len(sizes) > 4:
        sizes = [*sizes[:3], math.prod(sizes[3:])]
    return [*map(float, sizes), *[0.0] * (4 - len(sizes))]
