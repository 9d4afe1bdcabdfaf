"""What ``nasx inspect`` shows of a network."""

from __future__ import annotations

from typing import Any, NamedTuple

from rich.table import Table

from nasx.console import screen
from nasx.search_spaces.onnx_network import Layer, OnnxNetwork


class Prediction(NamedTuple):
    """What a predictor says of the network: a metric, its value and unit, and how far it can be trusted."""

    metric: str
    value: float
    unit: str = ""
    trust: str = ""


def describe_network(network: OnnxNetwork, layers: int = 10, prediction: Prediction | None = None) -> dict[str, Any]:
    """Returns everything that is shown, as a JSON-able dictionary.

    Args:
        network: The network.
        layers: How many of its dearest layers to list.
        prediction: What a predictor says of it.
    """
    extra = {} if prediction is None else {f"predicted_{prediction.metric}": prediction.value}
    return {
        "name": network.name,
        "opset": network.opset,
        "inputs": {name: list(shape) if shape else None for name, shape in network.inputs.items()},
        "operations": len(network.layers),
        "depth": network.depth,
        "batch_size": network.batch_size,
        "flops": network.flops,
        "macs": network.macs,
        "parameters": network.parameters,
        "memory_bytes": network.memory_bytes,
        **extra,
        "operations_of_unknown_cost": network.unknown_shapes,
        "dearest_layers": [
            {
                "name": layer.name,
                "operation": layer.operation,
                "output_shape": list(layer.output_shape) if layer.output_shape is not None else None,
                "flops": layer.flops,
                "parameters": layer.parameters,
                "memory_bytes": layer.memory_bytes,
            }
            for layer in dearest(network, layers)
        ],
    }


def dearest(network: OnnxNetwork, count: int) -> list[Layer]:
    """Returns the layers with the most FLOPs; where these are equal, those that move the most memory."""
    return sorted(network.layers, key=lambda layer: (-layer.flops, -layer.memory_bytes))[:count]


def show_network(network: OnnxNetwork, layers: int = 10, prediction: Prediction | None = None) -> None:
    """Prints the network: a table on a terminal, aligned text elsewhere."""
    facts = [
        ("input", ", ".join(f"{name} {_shape(shape)}" for name, shape in network.inputs.items()) or "none"),
        ("operator set", str(network.opset)),
        ("operations", f"{len(network.layers):,}"),
        ("depth", f"{network.depth:,}"),
        ("FLOPs", f"{network.flops:,} (two for each of {network.macs:,} multiply-adds)"),
        ("parameters", f"{network.parameters:,}"),
        ("memory access", f"{network.memory_bytes:,} bytes"),
    ]
    if prediction is not None:
        trust = f" ({prediction.trust})" if prediction.trust else ""
        name = prediction.metric.removesuffix(f"_{prediction.unit}").replace("_", " ")
        facts.append((f"predicted {name}", f"{prediction.value:.4g} {prediction.unit}".rstrip() + trust))
    if network.unknown_shapes:
        facts.append(("of unknown cost", f"{network.unknown_shapes:,} operations, counted as 0"))
    chosen = dearest(network, layers)
    total = network.flops or 1
    rows = [
        (
            layer.name,
            layer.operation,
            _shape(layer.output_shape),
            _short(layer.flops),
            f"{100 * layer.flops / total:.1f} %",
            _short(layer.parameters),
            f"{_short(layer.memory_bytes)}B",
        )
        for layer in chosen
    ]
    title = f"the {len(rows)} dearest of {len(network.layers):,} operations"
    show_rows(network.name, ("", ""), facts, left=2)
    if rows:
        header = ("name", "operation", "output", "FLOPs", "share", "parameters", "memory")
        show_rows(title, header, rows, left=3)


def _shape(shape: tuple[int, ...] | None) -> str:
    return "unknown" if shape is None else "x".join(map(str, shape)) or "a number"


def _short(count: int) -> str:
    """Three figures and a unit; exact below a thousand and in ``--json``.

    >>> _short(999), _short(36_864), _short(4_718_592), _short(10**13)
    ('999 ', '36.9 k', '4.72 M', '10,000 G')
    """
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            value = count / size
            return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
    return f"{count} "


def show_rows(title: str, header: tuple[str, ...], rows: list[Any], left: int) -> None:
    """Prints rows of text: a table on a terminal, aligned text elsewhere; nothing is cut off.

    Args:
        title: The line above.
        header: Names of the columns; empty names for a table without a header.
        rows: Tuples of text.
        left: How many columns stand to the left; the others, of numbers, to the right.
    """
    if screen.is_terminal:
        table = Table(title=title, title_justify="left", show_header=any(header))
        for place, name in enumerate(header):
            table.add_column(name, justify="left" if place < left else "right", overflow="fold", no_wrap=bool(place))
        for row in rows:
            table.add_row(*row)
        screen.print(table, markup=False)
        return
    lines = [header, *rows] if any(header) else rows
    widths = [max(len(line[place]) for line in lines) for place in range(len(header))]
    screen.print(title, soft_wrap=True, markup=False)
    for line in lines:
        cells = (
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        screen.print(f"  {'  '.join(cells)}".rstrip(), soft_wrap=True, markup=False)
