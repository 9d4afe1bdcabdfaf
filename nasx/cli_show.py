"""``nasx show``: a cell or network as a picture, or drawn in characters on the terminal."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasx.search_spaces.errors import UsageError

if TYPE_CHECKING:
    from nasx.drawing_sketch import Sketch
    from nasx.search_spaces.graph import Graph

_READ_BY_DEFAULT = ("nasbench201", "nasbench101", "nasbench-graph")


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command()(show)


def show(
    architecture: Annotated[str, typer.Argument(help="An architecture as text of its space, or an .onnx file.")],
    space: Annotated[
        str | None,
        typer.Option(help="Its search space (nasx spaces, or my_module:MySpace).", show_default="a benchmark's"),
    ] = None,
    out: Annotated[
        list[Path] | None, typer.Option("--out", "-o", help="Picture to write: .png, .svg or .dot; repeatable.")
    ] = None,
    condense: Annotated[
        bool | None,
        typer.Option(help="Stack what follows each other, draw once what repeats.", show_default="in large networks"),
    ] = None,
    dead: Annotated[bool, typer.Option("--dead", help="Draw operations without influence on the output, too.")] = False,
) -> None:
    """Draw a cell or a network: on the terminal, or as PNG, SVG or Graphviz DOT."""
    from nasx.console import screen
    from nasx.drawing import draw
    from nasx.drawing_sketch import sketch

    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        graph = _graph(architecture, space)
    for note in notes:
        typer.echo(f"nasx: {note.message}", err=True)
    if out:
        for path in out:
            screen.print(str(draw(graph, path, condense=condense, dead=dead)), soft_wrap=True, markup=False)
        return
    _show(sketch(graph, condense=condense, dead=dead), graph)


def _graph(architecture: str, space: str | None) -> Graph:
    from nasx.drawing import graph_of

    if space is not None or architecture.endswith(".onnx"):
        return graph_of(architecture, space)
    for name in _READ_BY_DEFAULT:
        try:
            return graph_of(architecture, name)
        except UsageError:
            continue
    raise UsageError(
        f"'{architecture}' is no architecture of {', '.join(_READ_BY_DEFAULT)}, and no .onnx file; "
        "say which space it is of with --space (nasx spaces, or my_module:MySpace)"
    )


def _show(drawn: Sketch, graph: Graph) -> None:
    from rich.text import Text

    from nasx.console import screen
    from nasx.drawing import COLOURS
    from nasx.drawing_text import text

    picture = Text(text(drawn, width=screen.width if screen.is_terminal else 160), no_wrap=True)
    for line in {line for box in drawn.boxes for line in box.lines if line.family != "end"}:
        picture.highlight_words([line.text], f"bold {COLOURS[line.family]}")
    screen.print(picture, soft_wrap=True)
    gone = graph.num_nodes - graph.pruned().num_nodes
    if gone and not any(box.dead for box in drawn.boxes):
        screen.print(f"not drawn: {gone} without influence on the output (--dead draws them)", soft_wrap=True)
