"""Shapes that depend on values: exporters write ``reshape(n, -1)`` as a chain of operations on the sizes of a tensor.

ONNX's own inference follows such chains only a little way. Here every node is visited once, in order: what depends on
shapes and small constants alone is computed, and the shape of what reads it is then inferred.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np

BIG = 1024  # elements; larger constants are weights, whose values say nothing about shapes


def complete_shapes(onnx: Any, model: Any) -> None:
    """Adds the shapes that standard inference left open to ``value_info``, in place.

    Args:
        onnx: The package.
        model: A model after inference, nodes in topological order.
    """
    graph = model.graph
    types = {value.name: value.type for value in [*graph.input, *graph.output, *graph.value_info]}
    values: dict[str, np.ndarray] = {}
    for tensor in graph.initializer:
        types[tensor.name] = onnx.helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims))
        if math.prod(tensor.dims) <= BIG and tensor.data_location != onnx.TensorProto.EXTERNAL:
            with contextlib.suppress(Exception):  # a damaged tensor: its values stay unknown
                values[tensor.name] = onnx.numpy_helper.to_array(tensor)
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    found: dict[str, Any] = {}
    for node in graph.node:
        if node.domain not in ("", "ai.onnx") or any(entry.HasField("g") or entry.graphs for entry in node.attribute):
            continue
        if any(name and not is_static(types.get(name)) for name in node.output):
            for name, kind in _inferred(onnx, model, node, opset, types, values).items():
                if is_static(kind):
                    types[name] = found[name] = kind
        values.update(_computed(onnx, node, opset, types, values))
    open_values = [value for value in graph.value_info if value.name in found]
    for value in open_values:
        graph.value_info.remove(value)
    outputs = {value.name: value for value in graph.output}
    for name, kind in found.items():
        if name in outputs:
            outputs[name].type.CopyFrom(kind)
        else:
            graph.value_info.append(onnx.helper.make_value_info(name, kind))


def is_static(kind: Any) -> bool:
    """Whether every size of a type is known."""
    if kind is None or not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return False
    return all(size.HasField("dim_value") for size in kind.tensor_type.shape.dim)


def _inferred(
    onnx: Any, model: Any, node: Any, opset: int, types: dict[str, Any], values: dict[str, np.ndarray]
) -> dict[str, Any]:
    """The types of the outputs of one node, as far as they follow from its inputs."""
    try:
        schema = onnx.defs.get_schema(node.op_type, opset, "")
        result: dict[str, Any] = onnx.shape_inference.infer_node_outputs(
            schema,
            node,
            {name: types[name] for name in node.input if name},
            {name: onnx.numpy_helper.from_array(values[name], name) for name in node.input if name in values},
            opset_imports=list(model.opset_import),
            ir_version=model.ir_version,
        )
    except Exception:  # an unknown operator, an unknown type, or a shape that does not follow: it stays open
        return {}
    return result


def _computed(
    onnx: Any, node: Any, opset: int, types: dict[str, Any], values: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The outputs of a node that depends on known values or on a known shape alone, if they are small."""
    if node.op_type == "Shape" and node.input and is_static(types.get(node.input[0])):
        sizes = [size.dim_value for size in types[node.input[0]].tensor_type.shape.dim]
        ends = {entry.name: entry.i for entry in node.attribute}
        return {node.output[0]: np.array(sizes[ends.get("start", 0) : ends.get("end", len(sizes))], dtype=np.int64)}
    if not all(name in values for name in node.input if name) or not _is_small(types.get(node.output[0])):
        return {}
    try:
        evaluator = onnx.reference.ReferenceEvaluator(node, opsets={"": opset})
        results = evaluator.run(None, {name: values[name] for name in node.input if name})
    except Exception:  # not everything can be evaluated; then its value stays unknown
        return {}
    return {
        name: np.asarray(result)
        for name, result in zip(node.output, results, strict=False)
        if name and isinstance(result, np.ndarray | np.generic) and np.size(result) <= BIG
    }


def _is_small(kind: Any) -> bool:
    return is_static(kind) and math.prod(size.dim_value for size in kind.tensor_type.shape.dim) <= BIG
