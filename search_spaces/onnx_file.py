"""An ONNX file, opened and made ready: functions inlined, nodes in order, every shape that can be known worked out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nasx.search_spaces.errors import NasxError, UsageError, unknown
from nasx.search_spaces.onnx_values import BIG, complete_shapes, is_static

OLDEST_OPSET = 9
MAX_NODES = 10_000

Shapes = Mapping[str, Sequence[int]]


def onnx_package() -> Any:
    """Returns the package ``onnx``, imported when first needed.

    Raises:
        NasxError: If it is not installed.
    """
    try:
        import onnx
        import onnx.external_data_helper
        import onnx.inliner
        import onnx.parser
        import onnx.reference
        import onnx.shape_inference
    except ImportError as error:
        raise NasxError("ONNX files need the package onnx; type: pip install 'nasx[onnx]'") from error
    return onnx


def open_onnx(source: Any, shapes: Shapes | None = None) -> tuple[Any, str]:
    """Reads a model and works its shapes out. The weights are not needed: they may be missing, or all zero.

    Args:
        source: Path of a file, or a model made by the package ``onnx`` (which is left as it is).
        shapes: Sizes of the inputs that the model leaves open, for example ``{"x": (1, 3, 224, 224)}``.

    Returns:
        The model, nodes in topological order and shapes filled in, and a name for messages.

    Raises:
        UsageError: If it is no ONNX model, cannot be used as a graph, or leaves a shape open.
        NasxError: If onnx is not installed, or shapes need weights that are missing.
    """
    onnx = onnx_package()
    model, name, folder = _load(onnx, source)
    if not model.graph.node and not model.graph.input:
        raise UsageError(f"'{name}' is no ONNX model, or an empty one: it has no operations")
    if not model.graph.node:
        raise UsageError(f"'{name}' is an empty graph: it has inputs but no operations")
    _check_opset(onnx, model, name)
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    if len(model.graph.node) > MAX_NODES:
        raise UsageError(
            f"'{name}' has {len(model.graph.node):,} operations; networks of up to {MAX_NODES:,} can be read"
        )
    _check_parts(onnx, model.graph, name)
    _sort(model.graph, name)
    missing = _strip_weights(onnx, model.graph, folder)
    _bind(model.graph, shapes or {}, name)
    try:
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # the checker has no error class of its own for every case
        raise UsageError(f"the shapes of '{name}' cannot be worked out: {_first_line(error)}") from error
    blind = _shapeless(model.graph)
    if blind:
        complete_shapes(onnx, model)
        blind = _shapeless(model.graph)
    if missing and blind:
        raise NasxError(
            f"the shape of '{blind}' in '{name}' depends on values kept in '{missing}', which is not there; "
            "put that file beside the model"
        )
    return model, name


def static_shape(value: Any) -> tuple[int, ...] | None:
    """Returns the shape of an ONNX value, or None where a size is not known."""
    return tuple(size.dim_value for size in value.type.tensor_type.shape.dim) if is_static(value.type) else None


def subgraphs(node: Any) -> Iterator[Any]:
    """Yields the graphs that a control-flow node holds."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def node_inputs(node: Any) -> list[str]:
    """Returns the values a node reads, those that its subgraphs take from outside included."""
    names = [name for name in node.input if name]
    for graph in subgraphs(node):
        inside = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
        for inner in graph.node:
            names += [name for name in node_inputs(inner) if name not in inside]
            inside.update(inner.output)
        names += [value.name for value in graph.output if value.name not in inside]
    return list(dict.fromkeys(names))


def _load(onnx: Any, source: Any) -> tuple[Any, str, Path]:
    if isinstance(source, onnx.ModelProto):
        model = onnx.ModelProto()
        model.CopyFrom(source)
        return model, source.graph.name or "the model", Path()
    path = Path(source)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError):
        raise UsageError(f"there is no file {path}; give the path of an ONNX file") from None
    except OSError:
        raise
    except Exception as error:  # protobuf's implementations raise different classes
        raise UsageError(f"'{path}' is not an ONNX file, or a truncated one") from error
    return model, path.name, path.parent


def _check_opset(onnx: Any, model: Any, name: str) -> None:
    newest = onnx.defs.onnx_opset_version()
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), None)
    if opset is None:
        if model.opset_import:
            return  # operators of other domains only
        raise UsageError(f"'{name}' does not say which ONNX operator set it uses; it is not a whole ONNX model")
    if opset > newest:
        raise UsageError(
            f"'{name}' uses operator set {opset}, and the installed onnx {onnx.__version__} knows up to {newest}; "
            "type: pip install --upgrade onnx"
        )
    if opset < OLDEST_OPSET:
        raise UsageError(
            f"'{name}' uses operator set {opset}, and {OLDEST_OPSET} to {newest} are read; "
            "convert it with onnx.version_converter, or export it again"
        )


def _check_parts(onnx: Any, graph: Any, name: str) -> None:
    """Refuses what no tool writes: tensors and operations that are damaged."""
    kinds = set(onnx.TensorProto.DataType.values()) - {onnx.TensorProto.UNDEFINED}
    for tensor in [*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer)]:
        if tensor.data_type not in kinds or any(size < 0 for size in tensor.dims):
            raise UsageError(
                f"'{name}' is no valid graph: the stored tensor '{tensor.name}' has no valid type or shape"
            )
    for node in graph.node:
        if not any(node.output):
            raise UsageError(f"'{name}' is no valid graph: {_label(node)} makes nothing")


def _sort(graph: Any, name: str) -> None:
    """Puts the nodes into topological order where a careless tool did not."""
    known = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    known |= {tensor.values.name for tensor in graph.sparse_initializer}
    maker: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for output in node.output:
            if output and (output in maker or output in known):
                raise UsageError(f"'{name}' is no valid graph: the value '{output}' is made twice")
            if output:
                maker[output] = index
    needs: list[set[int]] = []
    readers: list[list[int]] = [[] for _ in graph.node]
    for index, node in enumerate(graph.node):
        given = node_inputs(node)
        lost = next((value for value in given if value not in maker and value not in known), None)
        if lost is not None:
            raise UsageError(f"'{name}' is no valid graph: {_label(node)} reads '{lost}', which nothing makes")
        needs.append({maker[value] for value in given if value in maker})
        for source in needs[-1]:
            readers[source].append(index)
    if all(source < index for index, sources in enumerate(needs) for source in sources):
        return
    waiting = [len(sources) for sources in needs]
    order = [index for index, count in enumerate(waiting) if not count]
    for index in order:
        for reader in readers[index]:
            waiting[reader] -= 1
            if not waiting[reader]:
                order.append(reader)
    if len(order) < len(needs):
        stuck = next(index for index, count in enumerate(waiting) if count)
        raise UsageError(f"'{name}' is no valid graph: it has a cycle, at {_label(graph.node[stuck])}")
    nodes = [graph.node[index] for index in order]
    del graph.node[:]
    graph.node.extend(nodes)


def _label(node: Any) -> str:
    return f"node '{node.name}' ({node.op_type})" if node.name else f"a node of type {node.op_type}"


def _strip_weights(onnx: Any, graph: Any, folder: Path) -> str | None:
    """Empties large constants in place and fetches small external ones; returns a file of those that is missing."""
    missing = None
    for tensor in graph.initializer:
        count = 1
        for size in tensor.dims:
            count *= size
        external = tensor.data_location == onnx.TensorProto.EXTERNAL
        if count > BIG:
            for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
                tensor.ClearField(field)
            tensor.ClearField("data_location")
            tensor.ClearField("external_data")
        elif external:
            try:
                onnx.external_data_helper.load_external_data_for_tensor(tensor, str(folder))
                tensor.ClearField("data_location")
                tensor.ClearField("external_data")
            except Exception:  # a missing file, a short one, one outside the folder: all mean no values
                places = {entry.key: entry.value for entry in tensor.external_data}
                missing = missing or places.get("location", "another file")
    return missing


def _bind(graph: Any, shapes: Shapes, name: str) -> None:
    """Writes given sizes into the inputs, and the sizes that open symbols thereby get everywhere else."""
    stored = {tensor.name for tensor in graph.initializer}
    inputs = {value.name: value for value in graph.input if value.name not in stored}
    for wrong in shapes:
        if wrong not in inputs:
            raise unknown(f"input of '{name}'", wrong, inputs)
    symbols: dict[str, int] = {}
    for key, value in inputs.items():
        if not value.type.HasField("tensor_type"):
            continue
        kind = value.type.tensor_type
        ranked = kind.HasField("shape")
        wanted = shapes.get(key)
        if wanted is None:
            if not ranked or any(size.dim_value <= 0 for size in kind.shape.dim):
                raise UsageError(
                    f"input '{key}' of '{name}' has the open shape {_written(kind) if ranked else 'unknown'}; give it "
                    f"with shapes={{'{key}': ({_example(kind)})}}, or --shape {key}={_example(kind).replace(' ', '')}"
                )
            continue
        sizes = [int(size) for size in wanted]
        if any(size < 1 for size in sizes):
            raise UsageError(f"sizes of input '{key}' must be at least 1; got {sizes}")
        fixed = list(kind.shape.dim) if ranked else []
        if ranked and (
            len(fixed) != len(sizes)
            or any(old.dim_value > 0 and old.dim_value != new for old, new in zip(fixed, sizes, strict=True))
        ):
            raise UsageError(f"input '{key}' of '{name}' has the shape {_written(kind)}, which {sizes} does not fit")
        for old, new in zip(fixed, sizes, strict=False):
            if old.dim_param:
                symbols[old.dim_param] = new
        kind.shape.Clear()
        for size in sizes:
            kind.shape.dim.add().dim_value = size
    for value in [*graph.value_info, *graph.output, *inputs.values()]:
        for size in value.type.tensor_type.shape.dim if value.type.HasField("tensor_type") else ():
            if size.dim_param in symbols:
                size.dim_value = symbols[size.dim_param]
            elif size.dim_param:  # an expression such as n + 1; inference finds the number
                size.ClearField("dim_param")


def _written(kind: Any) -> str:
    sizes = [str(size.dim_value) if size.dim_value > 0 else size.dim_param or "?" for size in kind.shape.dim]
    return f"({', '.join(sizes)})"


def _example(kind: Any) -> str:
    """A guess at what the open sizes may be, for the message: batch 1, images of 224."""
    known = [size.dim_value for size in kind.shape.dim]
    guess = (1, 3, 224, 224) if len(known) in (0, 4) else (1, *[128] * (len(known) - 1))
    return ", ".join(str(size if size > 0 else other) for size, other in zip(known or guess, guess, strict=True))


def _shapeless(graph: Any) -> str | None:
    shaped = {value.name for value in [*graph.value_info, *graph.output] if static_shape(value) is not None}
    return next((name for node in graph.node for name in node.output if name and name not in shaped), None)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
