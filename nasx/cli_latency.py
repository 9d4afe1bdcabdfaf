"""``nasx latency``: networks to measure, measuring them on this device, a predictor from what was measured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasx.cli_networks import ShapeOption, shapes_of
from nasx.cli_options import SeedOption, TargetOption
from nasx.search_spaces.errors import NasxError, UsageError

if TYPE_CHECKING:
    from nasx.latency_table import Measured

latency = typer.Typer(
    rich_markup_mode=None,
    help="Measure networks on this device, and learn to predict how long others take.",
    no_args_is_help=True,
)


@latency.command()
def generate(
    out: Annotated[Path, typer.Option(help="The folder to write; each family gets one of its own.")],
    per_family: Annotated[int, typer.Option(help="Networks of each family.", min=1)] = 200,
    family: Annotated[
        list[str] | None, typer.Option(help="A family; repeatable.", show_default="all ten of them")
    ] = None,
    scale: Annotated[
        str, typer.Option(help="small: 64 to 224 pixels, for processors; imagenet: 224 pixels, for accelerators.")
    ] = "small",
    seed: SeedOption = 0,
    batch_size: Annotated[int, typer.Option(help="Images at once.", min=1)] = 1,
    weights: Annotated[
        bool, typer.Option("--weights", help="Store random weights in the files; some GB instead of some MB.")
    ] = False,
) -> None:
    """Write random but valid networks of ten families as ONNX."""
    from nasx.console import count_progress, screen
    from nasx.network_builder import with_weights
    from nasx.network_families import FAMILIES, random_members

    chosen = list(dict.fromkeys(family or FAMILIES))
    total, size = per_family * len(chosen), 0
    try:
        with count_progress("networks") as progress:
            members = random_members(chosen, per_family, seed=seed, scale=scale, batch_size=batch_size)
            for number, member in enumerate(members, start=1):
                folder = out / member.family
                folder.mkdir(parents=True, exist_ok=True)
                model = with_weights(member.model(), seed) if weights else member.model()
                content = model.SerializeToString()
                (folder / f"{member.name}.onnx").write_bytes(content)
                size += len(content)
                progress(number, total)
    except OSError as error:
        raise NasxError(f"{error.filename or out} cannot be written ({error.strerror or error})") from error
    what = "" if weights else ", without weights: nasx latency measure fills them in"
    screen.print(
        f"{total:,} networks of {len(chosen)} families in {out} ({size / 1e6:,.0f} MB{what})",
        soft_wrap=True,
        markup=False,
    )


@latency.command()
def measure(
    networks: Annotated[list[Path], typer.Argument(help="Folders of ONNX files, or files.")],
    out: Annotated[Path, typer.Option(help="The table, NAME.parquet; NAME_nodes.parquet comes beside it.")],
    provider: Annotated[str, typer.Option(help="Execution provider of onnxruntime.")] = "CPUExecutionProvider",
    threads: Annotated[int, typer.Option(help="Threads within an operation.", min=1)] = 1,
    warmup: Annotated[int, typer.Option(help="Runs that do not count, before those that do.", min=0)] = 5,
    runs: Annotated[int, typer.Option(help="Fewest runs that count.", min=1)] = 30,
    seconds: Annotated[float, typer.Option(help="As many more runs as fit into so many seconds.", min=0)] = 0.2,
    batch_size: Annotated[
        int | None, typer.Option(help="Images at once.", min=1, show_default="as the files say")
    ] = None,
    shape: ShapeOption = None,
    clock: Annotated[str, typer.Option(help="wall, or processor: without the time that others take.")] = "wall",
    rounds: Annotated[int, typer.Option(help="How often every network is measured.", min=1)] = 1,
    repeat_share: Annotated[float, typer.Option(help="Share of the networks measured once more.", min=0, max=1)] = 0.1,
    time_limit: Annotated[float, typer.Option(help="Seconds after which a network has failed.", min=0.1)] = 60.0,
    seed: SeedOption = 0,
    retry: Annotated[bool, typer.Option("--retry", help="Try networks again that failed before.")] = False,
) -> None:
    """Run networks on this device and write down how long they take; interrupted, the same command continues."""
    from nasx import latency_measure as measuring
    from nasx.console import count_progress

    settings = measuring.Settings(provider, threads, warmup, runs, seconds, batch_size, shapes_of(shape), clock)
    try:
        with count_progress("measured") as progress:
            measured = measuring.measure(
                networks,
                out,
                settings,
                seed=seed,
                time_limit=time_limit,
                rounds=rounds,
                repeat_share=repeat_share,
                retry=retry,
                progress=progress,
            )
    except KeyboardInterrupt:
        kept = measuring.measured_so_far(out)
        raise NasxError(
            f"interrupted; {kept:,} networks are measured and kept, type the same command again to continue"
        ) from None
    _show_measured(measured, settings.clock)


def _show_measured(measured: Measured, clock: str) -> None:
    from nasx.console import screen
    from nasx.latency_table import DRIFT_LIMIT

    times, failures = measured.latencies_ms, measured.failures
    lines = [f"{len(times):,} networks measured, {times.min():.3g} to {times.max():.3g} ms on {measured.device}"]
    middle, high = measured.repeatability
    if not math.isnan(middle):
        lines.append(
            f"measured again, a network differs by {100 * middle:.2g} % (median; 90 of 100 by less than "
            f"{100 * high:.2g} %): no prediction can be better"
        )
    lines += [f"failed: {name}: {why}" for name, why in list(failures.items())[:5]]
    if len(failures) > 5:
        lines.append(f"and {len(failures) - 5:,} more failed, see the column 'failure' and the journal")
    lines.append(f"everything is in {measured.path} and {measured.nodes.name}")
    for line in lines:
        screen.print(line, soft_wrap=True, markup=False)
    if measured.drift > DRIFT_LIMIT:
        typer.echo(
            f"nasx: the machine was not steady: the reference network's latency moved by {100 * measured.drift:.0f} %; "
            "latencies are adjusted by it, but a quiet machine gives better ones"
            + (", and so does --clock processor where one thread runs" if clock == "wall" else ""),
            err=True,
        )


@latency.command()
def fit(
    table: Annotated[str, typer.Argument(help="A table of nasx latency measure, or a benchmark of networks.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    predictor: Annotated[str, typer.Option(help="Predictor (nasx predictors).")] = "layer-costs",
    adapt: Annotated[
        str | None,
        typer.Option(help="Adapt this fitted predictor of another device; a few dozen networks are enough."),
    ] = None,
    target: TargetOption = None,
    test_share: Annotated[float, typer.Option(help="Share of the networks held out to test.", min=0, max=0.9)] = 0.1,
    seed: SeedOption = 0,
) -> None:
    """Fit a predictor of latency on measured networks, and test it on some it has not seen."""
    from nasx.console import count_progress, screen
    from nasx.latency_fit import PICTURE, fit_latency

    try:
        with count_progress("steps") as progress:
            fitted = fit_latency(
                table,
                out,
                predictor=predictor,
                target=target,
                adapt=adapt,
                test_share=test_share,
                seed=seed,
                progress=progress,
            )
    except KeyboardInterrupt:
        raise NasxError("interrupted; nothing was written") from None
    card = fitted.card
    lines = [f"{card['predictor']} fitted on {card['trained']:,} networks of {table}: {card['metric']}"]
    if "mape_percent" in card:
        lines.append(
            f"on {card['tested']:,} others: MAPE {card['mape_percent']:.2f} %, "
            f"Acc(10 %) {card['acc_10_percent']:.1f} %, Acc(5 %) {card['acc_5_percent']:.1f} %"
        )
        lines.append(f"predicted against measured: {out / PICTURE}")
    lines.append(f"to use it: nasx predict --predictor {out} model.onnx")
    for line in lines:
        screen.print(line, soft_wrap=True, markup=False)


def predict(
    things: Annotated[list[str], typer.Argument(help="ONNX files; with --space, architectures.")],
    predictor: Annotated[
        str, typer.Option(help="Folder of nasx latency fit or nasx search, or a predictor that comes fitted.")
    ],
    space: Annotated[str | None, typer.Option(help="The search space that architectures belong to.")] = None,
    shape: ShapeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs to read.")] = False,
) -> None:
    """Predict what a fitted predictor knows to predict, for ONNX networks or for architectures of a space."""
    from nasx.console import screen
    from nasx.latency_fit import open_fitted, predicted

    fitted = open_fitted(predictor)
    header = fitted.metric or "predicted"
    rows: list[dict[str, str | float]]
    if space is not None:
        from nasx.search_spaces import get_search_space

        chosen = get_search_space(space)
        values = predicted(fitted, [chosen.graph(chosen.parse(text)) for text in things], f"cells of {space}")
        rows = [{"architecture": text, header: float(value)} for text, value in zip(things, values, strict=True)]
    else:
        from nasx.cli_networks import read_with_notes

        wrong = next((text for text in things if not text.endswith(".onnx") and not Path(text).is_file()), None)
        if wrong is not None:
            raise UsageError(f"'{wrong}' is no ONNX file; architectures of a space need --space")
        graphs = [read_with_notes(Path(text), shape).graph() for text in things]
        values = predicted(fitted, graphs, "these networks")
        rows = [
            {"network": text, header: float(value), **{key: graph.attributes[key] for key in ("flops", "parameters")}}
            for text, value, graph in zip(things, values, graphs, strict=True)
        ]
    if as_json:
        import json

        typer.echo(json.dumps(rows, indent=2))
        return
    from nasx.inspect_network import show_rows

    first, *others = rows[0]
    cells = [
        (str(row[first]), f"{row[header]:.4g} {fitted.unit}".rstrip(), *(f"{int(row[key]):,}" for key in others[1:]))
        for row in rows
    ]
    name = fitted.card.get("predictor", "") or type(fitted.predictor).__name__
    label = header.removesuffix(f"_{fitted.unit}").replace("_", " ")
    show_rows(name, (first, label, *others[1:]), cells, left=1)
    if fitted.trust:
        screen.print(fitted.trust, soft_wrap=True, markup=False)


def register(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    app.add_typer(latency, name="latency")
    app.command()(predict)
