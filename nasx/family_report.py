"""Evaluations by family of networks, as the papers' tables show them: one row a family, their average below."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from nasx.family_splits import ALL

if TYPE_CHECKING:
    import pandas as pd

    from nasx.published_latency import PublishedLatency

#: Column of a report -> what the literature calls it.
METRICS = {
    "mape_percent": "MAPE, %",
    "acc_10_percent": "Acc(10 %), %",
    "acc_5_percent": "Acc(5 %), %",
    "kendall_tau": "Kendall's tau",
}
AVERAGE = "average"
_SETTING = ["benchmark", "predictor", "train_size"]
_REPEAT = [*_SETTING, "seed", "repeat"]


class FamilyTable(NamedTuple):
    """One metric: a heading, one row a family, then the average of the families, then all test rows together.

    Attributes:
        title: The metric and what was learnt.
        rows: Cells; the first row is the heading.
    """

    title: str
    rows: list[list[str]]


def over_families(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a repeat: that of all families together, or the mean over the families where there is none."""
    if "family" not in frame:
        return frame
    together = frame[frame["family"] == ALL]
    apart = frame.merge(together[_REPEAT], how="left", indicator=True)
    apart = apart[apart["_merge"] == "left_only"].drop(columns=["_merge", "family"])
    if apart.empty:
        return together.drop(columns="family")
    counts = [name for name in ("test_rows", "pairs", "ties_predicted", "ties_true") if name in apart]
    numbers = [name for name in apart.columns if name not in {*_REPEAT, *counts, "split", "predictor_seed"}]
    how = dict.fromkeys(counts, "sum") | {"split": "first", "predictor_seed": "first"}
    grouped = apart.groupby(_REPEAT, sort=False)
    averaged = grouped.agg({name: rule for name, rule in how.items() if name in apart})
    for name in numbers:
        averaged[name] = grouped[name].agg(lambda values: values.mean(skipna=False))
    import pandas as pd

    averaged = averaged.reset_index()[list(apart.columns)]
    return pd.concat([together.drop(columns="family"), averaged], ignore_index=True)


def by_family(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a setting and family: repeats, test rows, and the mean over the repeats of each of :data:`METRICS`.

    The family ``average`` is the mean of the families, as the papers average; ``all`` is all test rows together.
    """
    import pandas as pd

    if "family" not in frame:
        return pd.DataFrame(columns=[*_SETTING, "family"])
    known = [name for name in METRICS if name in frame]
    rows = []
    for setting, group in frame.groupby(_SETTING, sort=False):
        means: dict[Any, dict[str, Any]] = {}
        for family, part in group.groupby("family", sort=False):
            values = {name: part[name].mean(skipna=False) for name in known}
            means[family] = {"repeats": len(part), "test_rows": int(part["test_rows"].mean()), **values}
        each = pd.DataFrame([values for family, values in means.items() if family != ALL])
        average: dict[str, Any] = {"repeats": int(each["repeats"].min()), "test_rows": int(each["test_rows"].sum())}
        average |= {name: each[name].mean() for name in known}
        last = {AVERAGE: average} | ({ALL: means[ALL]} if ALL in means else {})
        ordered = {family: values for family, values in means.items() if family != ALL} | last
        start = dict(zip(_SETTING, setting, strict=True))
        rows += [{**start, "family": family, **values} for family, values in ordered.items()]
    return pd.DataFrame(rows)


def family_tables(families: pd.DataFrame, published: Iterable[PublishedLatency] = ()) -> list[FamilyTable]:
    """The tables of a paper: for each metric one row a family and one column a predictor and training size.

    Args:
        families: What :func:`by_family` gave, of one benchmark.
        published: Figures of the literature for the same networks and split; they become further columns.
    """
    if families.empty:
        return []
    settings = families[["predictor", "train_size"]].drop_duplicates().to_records(index=False).tolist()
    several = families["train_size"].nunique() > 1
    names = list(dict.fromkeys(families["family"]))
    tables = []
    for metric, title in METRICS.items():
        if metric not in families:
            continue
        others = [row for row in published if metric in row.values]
        columns = list(dict.fromkeys(row.predictor for row in others))
        heading = [predictor + (f", {size:,}" if several else "") for predictor, size in settings]
        rows = [["family", *heading, *(f"{name}, published" for name in columns)]]
        for family in names:
            cells = []
            for predictor, size in settings:
                found = families[
                    (families["predictor"] == predictor)
                    & (families["train_size"] == size)
                    & (families["family"] == family)
                ]
                value = float(found[metric].iloc[0]) if len(found) else float("nan")
                digits = 3 if metric == "kendall_tau" else 2
                cells.append("" if value != value else f"{value:.{digits}f}")
            for name in columns:
                known = [row.values[metric] for row in others if row.predictor == name and row.family == family]
                cells.append(f"{known[0]:.2f}" if known else "")
            rows.append([family, *cells])
        tables.append(FamilyTable(title, rows))
    return tables
