"""``nasx inspect`` and ``nasx export``: whole networks, read from ONNX and written as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasx.search_spaces.errors import UsageError

if TYPE_CHECKING:
    from nasx.search_spaces.onnx_network import OnnxNetwork

ShapeOption = Annotated[
    list[str] | None,
    typer.Option(help="NAME=1,3,224,224: the shape of an input that a file leaves open; repeatable."),
]


def register(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    app.command()(inspect)
    app.command()(export)


def inspect(
    model: Annotated[Path, typer.Argument(help="An ONNX file.")],
    shape: ShapeOption = None,
    layers: Annotated[int, typer.Option(help="How many of the dearest layers to list.", min=0)] = 10,
    predictor: Annotated[
        str | None, typer.Option(help="Folder of nasx latency fit: say also what it predicts.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs to read.")] = False,
) -> None:
    """Say what an ONNX network is: operations, depth, FLOPs, parameters, memory access, its dearest layers."""
    from nasx.inspect_network import Prediction, describe_network, show_network

    network = read_with_notes(model, shape)
    prediction = None
    if predictor is not None:
        from nasx.latency_fit import open_fitted, predicted

        fitted = open_fitted(predictor)
        value = float(predicted(fitted, [network.graph()], f"'{model.name}'")[0])
        prediction = Prediction(fitted.metric or "value", value, fitted.unit, fitted.trust)
    if as_json:
        import json

        typer.echo(json.dumps(describe_network(network, layers, prediction), indent=2))
        return
    show_network(network, layers, prediction)


def export(
    architecture: Annotated[str, typer.Argument(help="The cell, as text of its space.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write, .onnx.")],
    space: Annotated[str, typer.Option(help="nasbench201 or nasbench101.")] = "nasbench201",
    dataset: Annotated[str, typer.Option(help="cifar10, cifar100 or ImageNet16-120.")] = "cifar10",
    batch_size: Annotated[int, typer.Option(help="Images at once.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the weights.", min=0)] = 0,
) -> None:
    """Write the network of a NAS-Bench-201 or NAS-Bench-101 cell, with random weights, as ONNX."""
    if out.suffix != ".onnx":
        raise UsageError(f"'{out}' does not end in .onnx, the only format there is; type -o {out.stem}.onnx")
    from nasx.cell_networks import DATASETS, build_network
    from nasx.console import screen
    from nasx.onnx_export import save_onnx
    from nasx.search_spaces.onnx_network import read_network

    network = build_network(architecture, space, dataset=dataset, seed=seed)
    side = DATASETS[dataset].size
    save_onnx(network, out, (batch_size, 3, side, side))
    costs = read_network(out)
    screen.print(
        f"{out}: {len(costs.layers)} operations, {costs.parameters:,} parameters, "
        f"{costs.macs:,} multiply-adds ({costs.flops:,} FLOPs)",
        soft_wrap=True,
        markup=False,
    )


def read_with_notes(model: Path, shape: list[str] | None = None) -> OnnxNetwork:
    """Reads a network; what is worth knowing about it goes to the error stream, one line each."""
    import warnings

    from nasx.search_spaces.onnx_network import read_network

    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        network = read_network(model, shapes=shapes_of(shape))
    for note in notes:
        typer.echo(f"nasx: {note.message}", err=True)
    return network


def shapes_of(shape: list[str] | None) -> dict[str, tuple[int, ...]]:
    """The shapes that ``--shape`` gives.

    Raises:
        UsageError: If one is not written as NAME=SIZE,SIZE.
    """
    return dict(_shape(text) for text in shape or [])


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, equals, sizes = text.rpartition("=")
    try:
        if not equals or not name:
            raise ValueError
        return name, tuple(int(size) for size in sizes.replace("x", ",").split(","))
    except ValueError:
        raise UsageError(f"--shape '{text}' is not NAME=SIZE,SIZE,..., like --shape x=1,3,224,224") from None
