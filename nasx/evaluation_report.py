"""The outcome of an evaluation: one row a repeat, from which every other number can be recomputed."""

from __future__ import annotations

import csv
import json
import os
import platform
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasx.bootstrap import mean_interval
from nasx.noise import NoiseCeiling
from nasx.search_spaces.errors import NasxError, UsageError

if TYPE_CHECKING:
    import pandas as pd

TABLE, SUMMARY, CONFIG = "evaluation.csv", "summary.csv", "config.json"

_KEY = ("predictor", "train_size", "repeat")
_SETTING = ("predictor", "train_size")
_TEXTS = {"predictor", "split"}
_COUNTS = {
    *("train_size", "repeat", "seed", "predictor_seed", "test_rows"),
    *("pairs", "ties_predicted", "ties_true"),
}
_MAY_GROW = {"train_sizes", "repeats", "predictors", "versions"}
_FOLLOWS = {"noise_ceiling", "tested_on"}  # from the other settings
_ENDS = ("_low", "_high")
_RANGES = {"precision": (0.0, 1.0), "regret": (0.0, np.inf), "best_in_top": (-np.inf, np.inf)}  # correlations: -1 to 1


class EvaluationReport:
    """What :func:`nasx.evaluate` measured.

    Args:
        config: The settings, JSON-able.

    >>> report = EvaluationReport({"seed": 0})
    >>> for repeat, tau in enumerate([0.8, 0.9]):
    ...     report.add({"predictor": "trees", "train_size": 78, "repeat": repeat, "test_rows": 100, "kendall_tau": tau})
    >>> row = report.summary().iloc[0]
    >>> int(row.repeats), round(float(row.kendall_tau_mean), 2), round(float(row.kendall_tau_std), 3)
    (2, 0.85, 0.071)
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        # Through JSON and back, so that settings compare equal to those read from a file.
        self.config: dict[str, Any] = json.loads(json.dumps(dict(config), default=repr))
        self._rows: dict[tuple[Any, ...], dict[str, Any]] = {}

    @property
    def ceiling(self) -> NoiseCeiling | None:
        """How well a perfect predictor could rank; None where nobody has looked."""
        stored = self.config.get("noise_ceiling")
        return None if stored is None else NoiseCeiling.from_dict(stored)

    @ceiling.setter
    def ceiling(self, found: NoiseCeiling) -> None:
        self.config["noise_ceiling"] = found.to_dict()

    @classmethod
    def resume(cls, folder: Path, config: Mapping[str, Any]) -> EvaluationReport:
        """The report that a folder holds, or an empty one where it holds none.

        More repeats, training sizes or predictors than before are welcome; everything else must be the same.

        Raises:
            UsageError: The folder holds an evaluation with other settings.
            NasxError: Its files are damaged.
        """
        report = cls(config)
        if not (folder / CONFIG).exists():
            if (folder / TABLE).exists():
                raise UsageError(f"{folder} holds {TABLE} but no {CONFIG}; choose another folder")
            return report
        try:
            before = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            other = _difference(report.config, before)
            if before.get("noise_ceiling") is not None:
                report.ceiling = NoiseCeiling.from_dict(before["noise_ceiling"])
            if (folder / TABLE).exists():
                with open(folder / TABLE, encoding="utf-8", newline="") as file:
                    for texts in csv.DictReader(file, strict=True):
                        report.add({name: _typed(name, text) for name, text in texts.items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
            raise NasxError(f"the evaluation in {folder} is damaged ({error}); choose another folder") from error
        if other:
            raise UsageError(f"{folder} holds an evaluation with other settings ({other}); choose another folder")
        # What was finished before stays on record.
        report.config["train_sizes"] = list(dict.fromkeys([*before["train_sizes"], *report.config["train_sizes"]]))
        report.config["predictors"] = {**before["predictors"], **report.config["predictors"]}
        report.config["repeats"] = max(before["repeats"], report.config["repeats"])
        return report

    def add(self, row: Mapping[str, Any]) -> None:
        """Adds the row of one repeat."""
        self._rows[row["predictor"], int(row["train_size"]), int(row["repeat"])] = dict(row)

    def __contains__(self, key: tuple[str, int, int]) -> bool:
        """Whether (predictor, train_size, repeat) is finished."""
        return key in self._rows

    def __len__(self) -> int:
        """Number of repeats finished."""
        return len(self._rows)

    def table(self) -> pd.DataFrame:
        """One row a repeat: predictor, train_size, repeat, seeds, split, test_rows, all ranking metrics, seconds.

        ``split`` is the fingerprint of the split. ``kendall_tau_low`` and ``kendall_tau_high`` (and so on) are the ends
        of a 95 % bootstrap interval over the test rows.
        """
        import pandas as pd

        order = list(dict.fromkeys(key[0] for key in self._rows))
        keys = sorted(self._rows, key=lambda key: (order.index(key[0]), *key[1:]))
        return pd.DataFrame([self._rows[key] for key in keys])

    def summary(self) -> pd.DataFrame:
        """One row a setting: mean and sample standard deviation over the repeats of everything measured.

        ``..._mean_low`` and ``..._mean_high`` are the ends of a 95 % bootstrap interval of the mean over the repeats.
        A metric that is undefined (NaN) in one repeat has no mean; with one repeat there is no deviation. Where the
        noise ceiling of Kendall's tau is known, it follows as ``tau_ceiling``, and as ``tau_knowing_targets`` what
        knowing the expected value of every training metric would give.
        """
        import pandas as pd

        frame = self.table()
        if frame.empty:
            return frame
        rows = []
        for setting, group in frame.groupby(list(_SETTING), sort=False):
            row = dict(zip(_SETTING, setting, strict=True))
            row |= {"repeats": len(group), "test_rows": int(group["test_rows"].min())}
            for name in (n for n in frame.columns if n not in _TEXTS | _COUNTS and not n.endswith(_ENDS)):
                row[f"{name}_mean"] = group[name].mean(skipna=False)
                row[f"{name}_std"] = group[name].std(skipna=False)
                if not name.endswith("seconds"):
                    least, most = _RANGES.get(re.sub(r"(_at)?_\d+$", "", name), (-1.0, 1.0))
                    ends = np.clip(mean_interval(group[name]), least, most).tolist()
                    row[f"{name}_mean_low"], row[f"{name}_mean_high"] = ends
            if self.ceiling is not None and self.ceiling.known:
                row |= {"tau_ceiling": self.ceiling.tau, "tau_knowing_targets": self.ceiling.through_target}
            rows.append(row)
        return pd.DataFrame(rows)

    def overview(self) -> pd.DataFrame:
        """The summary turned for reading: one row a metric, one column a setting, ``mean ± standard deviation``."""
        import pandas as pd

        columns = {}
        for row in self.summary().to_dict("records"):
            means = {str(n).removesuffix("_mean"): value for n, value in row.items() if str(n).endswith("_mean")}
            cells = {"repeats": str(row["repeats"]), "tested on": f"{row['test_rows']:,}"}
            for name, mean in means.items():
                std = row[f"{name}_std"]
                cells[name.replace("_", " ")] = f"{mean:.4g}" if std != std else f"{mean:.4g} ± {std:.2g}"
                if name == "kendall_tau":
                    low, high = row["kendall_tau_mean_low"], row["kendall_tau_mean_high"]
                    cells["  95 % interval"] = f"{low:.4g} to {high:.4g}" if low == low else ""
                    cells["  noise ceiling"] = f"{row['tau_ceiling']:.3f}" if "tau_ceiling" in row else "not known"
            columns[f"{row['predictor']}, {row['train_size']:,} trained on"] = cells
        return pd.DataFrame(columns).rename_axis("metric").reset_index()

    def save(self, folder: str | Path) -> Path:
        """Writes ``evaluation.csv``, ``summary.csv`` and ``config.json``, each as a whole or not at all.

        Raises:
            NasxError: The folder cannot be written.
        """
        folder = Path(folder)
        texts = {CONFIG: json.dumps({**self.config, "versions": _versions()}, indent=2) + "\n"}
        if self._rows:
            texts |= {TABLE: self.table().to_csv(index=False), SUMMARY: self.summary().to_csv(index=False)}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in texts.items():
                temporary = folder / f".{name}.tmp"
                temporary.write_text(text, encoding="utf-8")
                os.replace(temporary, folder / name)
        except OSError as error:
            raise NasxError(f"the evaluation could not be written to {folder} ({error.strerror or error})") from error
        return folder

    def __repr__(self) -> str:
        return f"<EvaluationReport of {len(self)} repeats: {self.config.get('benchmark', '')}>"


def _typed(name: str, text: str) -> str | int | float:
    """A cell of the table as it was before it was written; an undefined metric is an empty cell."""
    if name in _TEXTS:
        return text
    if name in _COUNTS and text:
        return int(float(text))  # a count that older rows lack is written as 3.0
    return float(text or "nan")


def _difference(now: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """The settings in which two configurations disagree, as ``name before -> now``."""
    changed = [name for name in now if name not in _MAY_GROW | _FOLLOWS and before.get(name) != now[name]]
    texts = [f"{name} {before.get(name)} instead of {now[name]}" for name in changed]
    known = before["predictors"]
    texts += [f"predictor '{label}'" for label, what in now["predictors"].items() if known.get(label, what) != what]
    return ", ".join(texts)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("nasx", "numpy", "scipy", "scikit-learn", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
