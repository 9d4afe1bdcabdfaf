"""The outcome of an evaluation: one row a repeat, from which every other number can be recomputed."""

from __future__ import annotations

import csv
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasx.bootstrap import mean_interval
from nasx.family_report import by_family, over_families
from nasx.family_splits import ALL
from nasx.noise import NoiseCeiling
from nasx.search_spaces.errors import NasxError, UsageError

if TYPE_CHECKING:
    import pandas as pd

TABLE, SUMMARY, CONFIG, PAIRS = "evaluation.csv", "summary.csv", "config.json", "pairs.csv"
FAMILIES = "families.csv"

_SETTING = ("benchmark", "predictor", "train_size")
_TEXTS = {"benchmark", "predictor", "split", "family"}
_COUNTS = {
    *("train_size", "repeat", "seed", "predictor_seed", "test_rows", "train_rows"),
    *("pairs", "ties_predicted", "ties_true"),
}
_MUST_AGREE = ("protocol", "tested_on")
_ENDS = ("_low", "_high")
_RANGES = {
    "precision": (0.0, 1.0), "regret": (0.0, np.inf), "best_in_top": (-np.inf, np.inf),
    "mape_percent": (0.0, np.inf), "acc_10_percent": (0.0, 100.0), "acc_5_percent": (0.0, 100.0),
}  # fmt: skip
# correlations: -1 to 1


class Key(NamedTuple):
    """One repeat of one setting; of one family of networks, or of ``"all"``, where a split is by family."""

    benchmark: str
    predictor: str
    train_size: int
    seed: int
    repeat: int
    family: str = ""


class EvaluationReport:
    """What :func:`nasx.evaluate` measured.

    Args:
        config: The settings, JSON-able.

    >>> report = EvaluationReport({"benchmarks": {"toy": {}}})
    >>> for repeat, tau in enumerate([0.8, 0.9]):
    ...     key = Key("toy", "trees", train_size=78, seed=0, repeat=repeat)
    ...     report.add({**key._asdict(), "test_rows": 100, "kendall_tau": tau})
    >>> row = report.summary().iloc[0]
    >>> int(row.repeats), round(float(row.kendall_tau_mean), 2), round(float(row.kendall_tau_std), 3)
    (2, 0.85, 0.071)
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        # Through JSON and back, so that settings compare equal to those read from a file.
        self.config: dict[str, Any] = json.loads(json.dumps(dict(config), default=repr))
        self._rows: dict[Key, dict[str, Any]] = {}
        #: Benchmark, predictor and training size -> predicted and true values of some test rows of the first repeat.
        self.pairs: dict[tuple[str, str, int], tuple[NDArray[Any], NDArray[Any]]] = {}

    @property
    def ceilings(self) -> dict[str, NoiseCeiling]:
        """Benchmark -> how well a perfect predictor could rank, where somebody has looked."""
        described = self.config["benchmarks"].items()
        return {name: NoiseCeiling.from_dict(one["noise_ceiling"]) for name, one in described if "noise_ceiling" in one}

    @property
    def ceiling(self) -> NoiseCeiling | None:
        """The noise ceiling of the first benchmark; None where nobody has looked."""
        return next(iter(self.ceilings.values()), None)

    def set_ceiling(self, benchmark: str, found: NoiseCeiling) -> None:
        """Writes down the noise ceiling of a benchmark."""
        self.config["benchmarks"][benchmark]["noise_ceiling"] = found.to_dict()

    @classmethod
    def load(cls, folder: Path) -> EvaluationReport:
        """The report that a folder holds.

        Raises:
            UsageError: It holds none.
            NasxError: Its files are damaged.
        """
        if not (folder / CONFIG).exists():
            raise UsageError(f"{folder} holds no evaluation; give a folder that nasx evaluate --out has written")
        try:
            config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            if "benchmark" in config:
                raise NasxError(f"{folder} holds an evaluation by an earlier version of nasx; choose another folder")
            report = cls(config)
            report.ceilings  # noqa: B018 - raises where the benchmarks are not described
            for texts in _read_csv(folder / TABLE):
                report.add({name: _typed(name, text) for name, text in texts.items()})
            found: dict[tuple[str, str, int], list[tuple[float, float]]] = {}
            for texts in _read_csv(folder / PAIRS):
                key = texts["benchmark"], texts["predictor"], int(texts["train_size"])
                found.setdefault(key, []).append((float(texts["predicted"]), float(texts["true"])))
            report.pairs = {key: (np.array(rows)[:, 0], np.array(rows)[:, 1]) for key, rows in found.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
            raise NasxError(f"the evaluation in {folder} is damaged ({error}); choose another folder") from error
        return report

    @classmethod
    def resume(cls, folder: Path, config: Mapping[str, Any]) -> EvaluationReport:
        """The report that a folder holds, or an empty one where it holds none.

        More repeats, seeds, training sizes, predictors or benchmarks than before are welcome; everything else must be
        the same.

        Raises:
            UsageError: The folder holds an evaluation with other settings.
            NasxError: Its files are damaged.
        """
        report = cls(config)
        if not (folder / CONFIG).exists():
            if (folder / TABLE).exists():
                raise UsageError(f"{folder} holds {TABLE} but no {CONFIG}; choose another folder")
            return report
        before = cls.load(folder)
        try:
            other = _difference(report.config, before.config)
            now, earlier = report.config, before.config
            for label, described in earlier["benchmarks"].items():
                sizes = now["benchmarks"].get(label, {}).get("train_sizes", [])
                merged = {**described, "train_sizes": list(dict.fromkeys([*described["train_sizes"], *sizes]))}
                now["benchmarks"] = {**now["benchmarks"], label: merged}
            now["predictors"] = {**earlier["predictors"], **now["predictors"]}
            now["repeats"] = max(earlier["repeats"], now["repeats"])
            now["seeds"] = list(dict.fromkeys([*earlier["seeds"], *now["seeds"]]))
        except (KeyError, TypeError, AttributeError) as error:
            raise NasxError(f"the evaluation in {folder} is damaged ({error}); choose another folder") from error
        if other:
            raise UsageError(f"{folder} holds an evaluation with other settings ({other}); choose another folder")
        before.config = report.config
        return before

    def only(self, benchmark: str) -> EvaluationReport:
        """The part of the report that is about one benchmark."""
        part = EvaluationReport({**self.config, "benchmarks": {benchmark: self.config["benchmarks"][benchmark]}})
        part._rows = {key: row for key, row in self._rows.items() if key.benchmark == benchmark}
        part.pairs = {key: pairs for key, pairs in self.pairs.items() if key[0] == benchmark}
        return part

    def add(self, row: Mapping[str, Any], pairs: tuple[NDArray[Any], NDArray[Any]] | None = None) -> None:
        """Adds the row of one repeat, and some of its predicted and true values."""
        key = Key(*(row.get(name, "") if name == "family" else row[name] for name in Key._fields))
        self._rows[key] = {**row, "family": key.family}
        if pairs is not None and (key.seed, key.repeat) == (self.config["seeds"][0], 0):
            before = self.pairs.get(key[:3]) if key.family not in ("", ALL) else None
            if before is not None:
                pairs = np.concatenate([before[0], pairs[0]]), np.concatenate([before[1], pairs[1]])
            self.pairs[key[:3]] = pairs

    def __contains__(self, key: Key) -> bool:
        """Whether a repeat is finished."""
        return key in self._rows

    def __len__(self) -> int:
        """Number of repeats finished."""
        return len(self._rows)

    def table(self) -> pd.DataFrame:
        """One row a repeat: benchmark, predictor, train_size, seed, repeat, split, test_rows, all metrics, seconds.

        ``split`` is the fingerprint of the split. ``kendall_tau_low`` and ``kendall_tau_high`` (and so on) are the ends
        of a 95 % bootstrap interval over the test rows. Under a split by family a repeat has several rows: one for each
        family, and under ``in-domain`` one for ``all`` of them together.
        """
        import pandas as pd

        order = {setting: place for place, setting in enumerate(dict.fromkeys(key[:2] for key in self._rows))}
        keys = sorted(self._rows, key=lambda key: (order[key[:2]], *key[2:5]))
        frame = pd.DataFrame([self._rows[key] for key in keys])
        return frame.drop(columns="family") if "family" in frame and (frame["family"] == "").all() else frame

    def summary(self) -> pd.DataFrame:
        """One row a setting: mean and sample standard deviation over the repeats of everything measured.

        ``..._mean_low`` and ``..._mean_high`` are the ends of a 95 % bootstrap interval of the mean over the repeats.
        A metric that is undefined (NaN) in one repeat has no mean; with one repeat there is no deviation. Where the
        noise ceiling of Kendall's tau is known, it follows as ``tau_ceiling``, and as ``tau_knowing_targets`` what
        knowing the expected value of every training metric would give. Under a split by family, a repeat counts with
        all test rows together, or with the mean over the families where each was tested on by a predictor of its own.
        """
        import pandas as pd

        frame = over_families(self.table())
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
            ceiling = self.ceilings.get(str(row["benchmark"]))
            if ceiling is not None and ceiling.known:
                row |= {"tau_ceiling": ceiling.tau, "tau_knowing_targets": ceiling.through_target}
            rows.append(row)
        return pd.DataFrame(rows)

    def families(self) -> pd.DataFrame:
        """One row a setting and family of networks, means over the repeats: see :mod:`nasx.family_report`."""
        return by_family(self.table())

    def overview(self, benchmark: str, predictor: str) -> pd.DataFrame:
        """The summary of a predictor, turned for reading: one row a metric, one column a training size, mean ± std."""
        import pandas as pd

        columns, summary = {}, self.summary()
        for row in summary[(summary.benchmark == benchmark) & (summary.predictor == predictor)].to_dict("records"):
            means = {str(n).removesuffix("_mean"): value for n, value in row.items() if str(n).endswith("_mean")}
            cells = {"repeats": str(row["repeats"]), "tested on": f"{row['test_rows']:,}"}
            for name, mean in means.items():
                std = row[f"{name}_std"]
                cells[name.replace("_", " ")] = f"{mean:.4g}" if std != std else f"{mean:.4g} ± {std:.2g}"
                if name == "kendall_tau":
                    low, high = row["kendall_tau_mean_low"], row["kendall_tau_mean_high"]
                    cells["  95 % interval"] = f"{low:.4g} to {high:.4g}" if low == low else ""
                    cells["  noise ceiling"] = f"{row['tau_ceiling']:.3f}" if "tau_ceiling" in row else "not known"
            columns[f"{row['train_size']:,} trained on"] = cells
        return pd.DataFrame(columns).rename_axis("metric").reset_index()

    def save(self, folder: str | Path) -> Path:
        """Writes ``evaluation.csv``, ``summary.csv``, ``pairs.csv`` and ``config.json``, each as a whole or not at all.

        Raises:
            NasxError: The folder cannot be written.
        """
        folder = Path(folder)
        texts = {CONFIG: json.dumps({**self.config, "versions": _versions()}, indent=2) + "\n"}
        if self._rows:
            texts |= {TABLE: self.table().to_csv(index=False), SUMMARY: self.summary().to_csv(index=False)}
            texts[PAIRS] = self._pairs_table()
            if not (families := self.families()).empty:
                texts[FAMILIES] = families.to_csv(index=False)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in texts.items():
                temporary = folder / f".{name}.tmp"
                temporary.write_text(text, encoding="utf-8")
                os.replace(temporary, folder / name)
        except OSError as error:
            raise NasxError(f"the evaluation could not be written to {folder} ({error.strerror or error})") from error
        return folder

    def _pairs_table(self) -> str:
        lines = ["benchmark,predictor,train_size,predicted,true"]
        for (benchmark, predictor, size), (predicted, true) in self.pairs.items():
            start = ",".join([_quoted(benchmark), _quoted(predictor), str(size)])
            lines += [f"{start},{p:.7g},{t:.7g}" for p, t in zip(predicted, true, strict=True)]
        return "\n".join(lines) + "\n"

    def __repr__(self) -> str:
        return f"<EvaluationReport of {len(self)} repeats: {', '.join(self.config['benchmarks'])}>"


def _read_csv(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a table; none where there is no file."""
    if path.exists():
        with open(path, encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file, strict=True)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _typed(name: str, text: str) -> str | int | float:
    """A cell of the table as it was before it was written; an undefined metric is an empty cell."""
    if name in _TEXTS:
        return text
    if name in _COUNTS and text:
        return int(float(text))  # a count that older rows lack is written as 3.0
    return float(text or "nan")


def _difference(now: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """The settings in which two configurations disagree, as ``name before instead of now``."""
    texts = [f"{n} {before.get(n)} instead of {now[n]}" for n in _MUST_AGREE if before.get(n) != now[n]]
    for label, what in now["benchmarks"].items():
        known = before["benchmarks"].get(label, what)
        names = [name for name in what if name not in ("noise_ceiling", "train_sizes")]
        texts += [
            f"{name} {known.get(name)} instead of {what[name]}" for name in names if known.get(name) != what[name]
        ]
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
