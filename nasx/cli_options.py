"""Options that several commands of the command line share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

BenchmarkOption = Annotated[str, typer.Option(help="Name of a benchmark (nasx data list), or a .csv / .parquet table.")]
DatasetOption = Annotated[str | None, typer.Option(help="Data set, where the benchmark has several.")]
TargetOption = Annotated[str | None, typer.Option(help="Metric to optimise or train on; the benchmark's by default.")]
RankOption = Annotated[str | None, typer.Option(help="Metric to rank against; the target by default.")]
SpaceOption = Annotated[str | None, typer.Option(help="Search space of a table given by its path.")]
SearchSpaceOption = Annotated[
    str | None,
    typer.Option(
        help="Search space (nasx spaces, or my_module:MySpace) of a table given by its path, or of --objective."
    ),
]
OutOption = Annotated[Path | None, typer.Option(help="Folder for everything written down.")]
SeedOption = Annotated[int, typer.Option(help="Seed of all randomness.", min=0)]
