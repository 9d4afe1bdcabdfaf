"""Tables of the user's own: read, checked against the search space, and kept under a name.

A table is a CSV or Parquet file with a column ``architecture`` (the official string of the space) and any columns of
numbers. A table of NAS-Bench-101 may instead have ``adjacency`` and ``operations`` (rows of the matrix joined by ``/``,
operations joined by ``,``), or ``module_hash``. An empty cell is a missing measurement; everything else that is not a
number is an error that names its column and row. Rows are counted from 1, without the header.

A table of whole networks brings its search space along: see :mod:`nasx.network_reader`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasx import embedded
from nasx.cell_columns import ARCHITECTURE_COLUMNS, architectures_of
from nasx.metric import infer_metric
from nasx.search_spaces import SPACES, get_search_space
from nasx.search_spaces.cache import cache_dir
from nasx.search_spaces.errors import NasxError, UsageError, unknown
from nasx.search_spaces.network_table import NetworkTable
from nasx.search_spaces.space import SearchSpace
from nasx.table_file import SUFFIX, Table, read_description, read_stored, write_table

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".parquet")
NETWORKS_SUFFIX = ".networks"

_NO_METRICS = ARCHITECTURE_COLUMNS | {"index", "Unnamed: 0", "__index_level_0__"}


def read_table(
    path: str | Path,
    space: SearchSpace | str | None,
    *,
    name: str | None = None,
    directions: Mapping[str, str] | None = None,
) -> Table:
    """Reads and checks a table; its rows keep their order.

    Args:
        path: A ``.csv`` or ``.parquet`` file; of a table of whole networks also its folder.
        space: The search space its architectures belong to, as object or name; a table of whole networks has its own.
        name: What to call it; by default the name of the file, ending included.
        directions: Metric name -> ``"maximize"`` or ``"minimize"``, where the column's name does not tell.

    Raises:
        UsageError: The file does not exist, or its contents are wrong: the sentence says what, and in which row.
        NasxError: The file cannot be read as what its ending says.
    """
    path = Path(path)
    if space is None:
        from nasx.network_reader import expected, node_table_of, read_networks

        if node_table_of(path) is not None:
            return read_networks(path, name=name, directions=directions)
        if not path.exists():
            raise UsageError(f"there is no file {path}")
        raise UsageError(
            f"say which search space the table belongs to, with space= (--space): {', '.join(SPACES)}; or, if {path} "
            f"is a table of whole networks, {expected(path)}"
        )
    space = get_search_space(space) if isinstance(space, str) else space
    frame = read_frame(path)
    if frame.empty:
        raise UsageError(f"{path} has no rows")
    architectures = architectures_of(frame, space, path.name)
    columns = {str(c): numbers_of(frame[c], str(c), path.name) for c in frame.columns if str(c) not in _NO_METRICS}
    if not columns:
        raise UsageError(f"{path} has no metric columns; next to the architecture it needs at least one of numbers")
    table = Table(
        name=name or path.name,
        space=space,
        architectures=architectures,
        columns=columns,
        metrics={metric: infer_metric(metric, values) for metric, values in columns.items()},
        licence="your own",
        source=path.name,
    )
    return table.with_directions(directions or {})


def import_table(
    name: str,
    path: str | Path,
    space: SearchSpace | str | None,
    *,
    directions: Mapping[str, str] | None = None,
    replace: bool = False,
) -> Table:
    """Reads and checks a table and keeps it in the cache folder, so that ``load_benchmark(name)`` opens it.

    Args:
        name: Letters, digits, ``.``, ``_`` and ``-``.
        path: A ``.csv`` or ``.parquet`` file; of a table of whole networks also its folder.
        space: The search space its architectures belong to; a table of whole networks has its own.
        directions: As for :func:`read_table`.
        replace: Whether a table of that name may be replaced.

    Returns:
        The table; printed, it says what was imported and what is missing.

    Raises:
        UsageError: The name is taken or not possible, or the table is wrong.
        NasxError: The table cannot be read or stored.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name.lower().endswith(SUFFIXES):
        raise UsageError(
            f"'{name}' cannot be the name of a table; use letters, digits, '.', '_' and '-', no file ending"
        )
    if name in embedded.NAMES or name in shipped():
        raise UsageError(f"'{name}' is the name of an embedded benchmark; choose another, such as '{name}-mine'")
    from nasx import official

    if name in official.NAMES:
        raise UsageError(f"'{name}' is the name of an official benchmark; choose another, such as '{name}-mine'")
    check_free(name, replace=replace)
    table = changed(read_table(path, space, directions=directions), name=name)
    if isinstance(space, str) and space not in SPACES:
        table = changed(table, extra={**table.extra, "address": space})  # so that it opens without space=
    store(table)
    return table


def check_free(name: str, *, replace: bool) -> None:
    """Checks that no table of that name would be lost.

    Raises:
        UsageError: There is one, and nobody said that it may be replaced.
    """
    if name in imported() and not replace:
        raise UsageError(f"a table '{name}' exists; choose another name, or replace it with replace=True (--replace)")


def store(table: Table) -> Path:
    """Keeps a table in the cache folder under its own name, as a whole or not at all.

    Raises:
        NasxError: The folder cannot be written.
    """
    if isinstance(table.space, NetworkTable):
        from nasx import network_store

        path = network_store.store_networks(_folder() / f"{table.name}{NETWORKS_SUFFIX}", table)
        (_folder() / f"{table.name}{SUFFIX}").unlink(missing_ok=True)
        return path
    path = _folder() / f"{table.name}{SUFFIX}"
    write_table(path, table)
    shutil.rmtree(_folder() / f"{table.name}{NETWORKS_SUFFIX}", ignore_errors=True)
    return path


def imported() -> dict[str, Path]:
    """Name -> file of every imported table, or its folder where it is one of whole networks."""
    found = [*_folder().glob(f"*{SUFFIX}"), *_folder().glob(f"*{NETWORKS_SUFFIX}")]
    return {path.stem: path for path in sorted(found) if not path.name.startswith(".")}


def shipped() -> dict[str, Path]:
    """Name -> file of every table of measured networks that comes with nasx."""
    from nasx.network_reader import node_table_of

    found = sorted((Path(__file__).parent / "measured").glob("*.parquet"))
    return {path.stem: path for path in found if node_table_of(path) is not None}


def open_table(name: str, space: SearchSpace | str | None = None) -> Table:
    """Opens an imported table.

    Args:
        name: The name it was imported under.
        space: The search space; needed only for a space of the user's own that the table was imported with as an
            object, not by its name or address.

    Raises:
        UsageError: There is no such table, or its space is not found.
        NasxError: The stored file is damaged, or belongs to another space.
    """
    known = imported()
    if name not in known:
        raise unknown("imported table", name, known)
    if known[name].is_dir():
        from nasx.network_store import open_networks

        if space is not None:
            raise UsageError(
                f"'{name}' is a table of whole networks, which has its own space; leave space= (--space) out"
            )
        return open_networks(known[name])
    if space is None:
        space = _space_of(name, read_description(known[name]))
    return read_stored(known[name], get_search_space(space) if isinstance(space, str) else space)


def _space_of(name: str, description: Mapping[str, Any]) -> SearchSpace:
    """The space of an imported table: one of nasx, or a plug-in by the name or address it was imported with."""
    space, address = str(description["space"]), description["extra"].get("address")
    if space in SPACES:
        return get_search_space(space)
    if not address:
        raise UsageError(f"the table '{name}' belongs to the space '{space}', which is your own; give it with space=")
    try:
        return get_search_space(address)
    except UsageError as error:
        raise UsageError(
            f"the table '{name}' was imported with the space '{address}', which is not found now ({error}); "
            "give it with space= (--space)"
        ) from error


def list_data() -> list[dict[str, Any]]:
    """All benchmarks, embedded and imported: name, contents, rows, size, licence, source, and whether it is here."""
    listed = []
    for package in embedded.PACKAGES.values():
        paths = [package.path(dataset) for dataset in package.files]
        size = sum(path.stat().st_size for path in paths if path)
        listed.append(
            {
                "name": package.name,
                "contents": package.contents,
                "rows": package.rows,
                "size": _size(size) if size else "",
                "licence": package.licence,
                "source": package.source,
                "present": "present" if all(paths) else f"absent: {package.install}",
            }
        )
    for name, path in {**shipped(), **imported()}.items():
        entry: dict[str, Any] = {"name": name, "contents": "", "rows": 0, "size": ""}
        try:
            if path.suffix != SUFFIX:
                from nasx.network_store import about_networks

                description = about_networks(path) | {"space": NetworkTable.name}
                metrics, entry["size"] = description["metrics"], _size(description["size"])
                entry["contents"] = description.get("contents", "")
            else:
                entry["size"] = _size(path.stat().st_size)
                description = read_description(path)
                metrics = [metric["name"] for metric in description["metrics"]]
            shown = ", ".join(metrics[:4]) + (f" and {len(metrics) - 4} more" if len(metrics) > 4 else "")
            entry |= {"contents": entry["contents"] or f"{description['space']}: {shown}", "rows": description["rows"]}
            entry |= {"licence": description["licence"], "source": description["source"], "present": "present"}
        except NasxError:
            entry |= {"licence": "", "source": "", "present": "damaged: import it again"}
        listed.append(entry)
    return listed


def _folder() -> Path:
    return cache_dir() / "tables"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def read_frame(path: Path) -> pd.DataFrame:
    """A CSV or Parquet file as a DataFrame.

    Raises:
        UsageError: It does not exist or has another ending.
        NasxError: It cannot be read as what its ending says.
    """
    import pandas as pd

    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"a table is a {' or a '.join(SUFFIXES)} file, not '{path.name}'")
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    try:
        if suffix == ".csv":
            return pd.read_csv(path, dtype=dict.fromkeys(ARCHITECTURE_COLUMNS, "str"), low_memory=False)
        import pyarrow.parquet as pq

        return pq.read_table(path).to_pandas(ignore_metadata=True)
    except Exception as error:  # readers fail in many ways on a truncated or foreign file
        detail = str(error).strip().split("\n")[0]
        raise NasxError(
            f"{path} cannot be read as a {suffix} table; it may be cut short or of another kind ({detail})"
        ) from error


def numbers_of(column: pd.Series, name: str, file: str, *, finite: bool = True) -> NDArray[Any]:
    """A column as float32 (where it is stored so) or float64; NaN where it is empty.

    Args:
        column: The column.
        name: Its name, for messages.
        file: The name of the table, for messages.
        finite: Whether an infinite value is an error.

    Raises:
        UsageError: It holds something that is no number, or nothing.
    """
    import pandas as pd

    kind = column.dtype
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind) and kind.kind != "c":
        values = column.to_numpy(dtype=np.float32 if kind == np.float32 else np.float64, na_value=np.nan)
    else:
        plain = column.astype(object)
        parsed = pd.to_numeric(plain, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        wrong = [row for row, value in enumerate(plain) if not pd.isna(value) and not _is_number(value, parsed[row])]
        if wrong:
            row = wrong[0]
            raise UsageError(
                f"column '{name}', row {row + 1} of {file}: '{plain.iloc[row]}' is not a number; "
                "leave it empty where there is no measurement, or leave the column out"
            )
        values = parsed
    infinite = np.flatnonzero(np.isinf(values))
    if finite and len(infinite):
        raise UsageError(
            f"column '{name}', row {infinite[0] + 1} of {file}: the value is infinite; "
            "leave it empty where there is no measurement"
        )
    if np.isnan(values).all():
        raise UsageError(f"column '{name}' of {file} holds no number at all; leave it out")
    return np.asarray(values)


def _is_number(value: object, parsed: float) -> bool:
    return not np.isnan(parsed) and not isinstance(value, bool | np.bool_)
