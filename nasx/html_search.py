"""The part of a report that is about searches: one section a subject, with the files that belong to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from nasx import html_page as html
from nasx.drawing import draw, place
from nasx.drawing_sketch import sketch
from nasx.drawing_svg import svg
from nasx.html_runs import Run, Setting, Subject
from nasx.search_spaces.errors import NasxError
from nasx.search_spaces.graph import Graph

_SHOWN = 10  # architectures in a table of the best
_FRONT = 20


def search_section(subject: Subject, out: Path, number: int) -> tuple[str, list[Path]]:
    """Writes the pictures and tables of a subject and returns its section of the page.

    Args:
        subject: The runs.
        out: The folder of the report.
        number: Which subject of the report it is; part of the names of files.

    Returns:
        The section as HTML, and the files written.
    """
    files = _Files(out, number)
    several = subject.best.pareto is not None
    parts = [f"<p>{escape(_sentence(subject))}</p>", html.cards(_facts(subject))]
    parts += _fronts(subject, files) if several else _cell(subject, files)
    parts += ["<h3>Progress</h3>", _progress(subject, files), _settings(subject, files)]
    parts += [] if several else _ranking(subject, files)
    parts += ["<h3>Best architectures</h3>", _front_table(subject) if several else _best_table(subject)]
    parts += ["<h3>How to repeat it</h3>", *(_repeat(run) for run in subject.runs)]
    files.evaluations(subject)
    return "\n".join(parts), files.written


class _Files:
    """The files of a section: pictures in two formats, tables in two formats."""

    def __init__(self, out: Path, number: int) -> None:
        self.out, self.number = out, number
        self.written: list[Path] = []

    def picture(self, name: str, drawing: Callable[[Path], Any]) -> str:
        """Draws as PNG and SVG; returns the HTML."""
        paths = [self.out / f"{name}-{self.number}{ending}" for ending in (".png", ".svg")]
        for path in paths:
            drawing(path)
        self.written += paths
        return html.inline(paths[1])

    def cell(self, name: str, graph: Graph, title: str) -> str:
        """Draws an architecture; returns the HTML, nothing where it is too large to be drawn."""
        try:
            paths = [draw(graph, self.out / f"{name}-{self.number}{end}") for end in (".png", ".svg", ".dot")]
        except NasxError:
            return ""
        self.written += paths
        return svg(place(sketch(graph)), title=title)

    def table(self, rows: list[list[str]], title: str) -> None:
        """Writes a table as CSV and LaTeX."""
        import csv

        from nasx.report import _latex

        paths = [self.out / f"settings-{self.number}{ending}" for ending in (".csv", ".tex")]
        with paths[0].open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        paths[1].write_text("% needs \\usepackage{booktabs}\n" + _latex(rows, title), encoding="utf-8")
        self.written += paths

    def evaluations(self, subject: Subject) -> None:
        """Writes every evaluation of every run as CSV: all curves can be drawn again from it."""
        import pandas as pd

        frames = []
        for setting in subject.settings:
            for run in setting.runs:
                numbers = range(1, len(run.history) + 1)
                about = {"setting": setting.label, "seed": run.options.get("seed"), "evaluation": numbers}
                frames.append(run.history.assign(**about))
        table = pd.concat(frames)
        first = ["setting", "seed", "evaluation"]
        path = self.out / f"evaluations-{self.number}.csv"
        table[first + [name for name in table.columns if name not in first]].to_csv(path, index=False)
        self.written.append(path)


def _sentence(subject: Subject) -> str:
    best, runs = subject.best, len(subject.runs)
    count = f"{runs} run{'s' if runs > 1 else ''}, {len(subject.settings)} setting{'s'[: len(subject.settings) - 1]}. "
    who = next(setting.label for setting in subject.settings if best in setting.runs)
    seed = f", {_seed(best)}"
    if best.pareto is not None:
        return f"{count}The largest hypervolume was found by {who}{seed}."
    at = int(np.argmax(best.curve == best.curve[-1])) + 1
    return f"{count}The best value was found by {who}{seed}, at evaluation {at} of {len(best.curve)}."


def _seed(run: Run) -> str:
    return f"seed {run.options.get('seed')}"


def _facts(subject: Subject) -> list[tuple[str, str]]:
    best = subject.best
    summary = best.summary
    if best.pareto is not None:
        facts = [(f"{summary['hypervolume']:.4g}", "hypervolume")]
        if summary.get("share_of_true_hypervolume") is not None:
            facts.append((f"{100 * summary['share_of_true_hypervolume']:.1f} %", "of the true front's hypervolume"))
        facts.append((str(len(best.pareto)), "architectures on the front"))
    else:
        facts = [(f"{best.curve[-1]:.6g}", best.metric)]
        if summary.get("best_rank") is not None:
            of = f" of {summary['ranked']:,}" if summary.get("ranked") else ""
            facts.append((f"{summary['best_rank']:,}{of}", "rank in the benchmark"))
        if summary.get("regret") is not None:
            facts.append((f"{summary['regret']:.4g}", "regret to the optimum"))
    facts.append((f"{summary['evaluations']:,}", "evaluations a run"))
    tau = summary.get("kendall_tau")
    if isinstance(tau, int | float):
        facts.append((f"{tau:.3f}", "Kendall's tau where not trained"))
    return facts


def _cell(subject: Subject, files: _Files) -> list[str]:
    best = subject.best
    text = best.summary.get("best_architecture", "")
    drawn = files.cell("best", best.graph, f"best architecture: {text}") if best.graph is not None else ""
    heading = "<h3>The best architecture</h3>"
    return [heading, html.figure(drawn, text) if drawn else f"<p><code>{escape(text)}</code></p>"]


def _fronts(subject: Subject, files: _Files) -> list[str]:
    """The front, and the architectures at its ends and in its middle."""
    from nasx.plots import draw_trade_off

    best = subject.best
    assert best.pareto is not None
    names = list(best.summary["objectives"])
    parts = ["<h3>Pareto front</h3>"]
    if len(names) == 2:
        fronts = {}
        for setting in subject.settings:
            runs = [run for run in setting.runs if run.pareto is not None]
            leading = max(runs, key=lambda run: run.curve[-1])
            assert leading.pareto is not None
            everything = leading.history[names].dropna().to_numpy(float)
            label = setting.label + (f", {_seed(leading)}" if len(runs) > 1 else "")
            fronts[label] = (everything, leading.pareto[names].to_numpy(float))
        labels = (names[0], names[1])
        picture = files.picture("front", lambda path: draw_trade_off(path, fronts, labels=labels, title=subject.title))
        parts.append(html.figure(picture, f"Each point one evaluation; lines are fronts. {_goals(best)}"))
    elif (best.folder / "pareto.png").exists():
        parts.append(html.figure(html.inline(best.folder / "pareto.png"), f"The front that was found. {_goals(best)}"))
    texts = best.pareto["architecture"].tolist()
    cells = []
    for place_in_front in sorted({0, len(texts) // 2, len(texts) - 1}):
        graph = best.graph_of(texts[place_in_front])
        drawn = files.cell(f"front-{place_in_front + 1}", graph, texts[place_in_front]) if graph is not None else ""
        if drawn:
            cells.append(html.figure(drawn, f"{place_in_front + 1} of {len(texts)} on the front"))
    return [*parts, f"<div class=cells>{''.join(cells)}</div>"] if cells else parts


def _goals(run: Run) -> str:
    return ", ".join(f"{direction} {name}" for name, direction in run.summary["objectives"].items()) + "."


def _stacked(curves: Sequence[np.ndarray]) -> np.ndarray:
    """Curves of several seeds as ``(seeds, budget)``; one that ended early keeps its last value."""
    longest = max(map(len, curves))
    return np.array([np.pad(curve, (0, longest - len(curve)), mode="edge") for curve in curves])


def _progress(subject: Subject, files: _Files) -> str:
    from nasx.plots import draw_search

    first = subject.runs[0]
    curves = {setting.label: _stacked([run.curve for run in setting.runs]) for setting in subject.settings}
    column = "best_so_far" if first.pareto is None else "hypervolume_so_far"
    for label, runs in _baselines(subject).items():
        curves[label] = _stacked([run.baseline[column].to_numpy(float) for run in runs if run.baseline is not None])
    optimum = first.summary.get("optimum") if first.pareto is None else first.summary.get("true_hypervolume")
    what = "best {} so far" if first.pareto is None else "hypervolume so far"
    picture = files.picture(
        "best-so-far",
        lambda path: draw_search(path, curves, optimum=optimum, metric=first.metric, title=subject.title, what=what),
    )
    several = any(len(curve) > 1 for curve in curves.values())
    note = " Bold: median over seeds; band: lower to upper quartile; thin: each seed." if several else ""
    return html.figure(picture, f"The best that was known after each evaluation.{note}")


def _baselines(subject: Subject) -> dict[str, list[Run]]:
    """Searches without a predictor that ran beside others, by strategy; equal ones (same seed) once."""
    found: dict[str, dict[Any, Run]] = {}
    for run in subject.runs:
        if run.baseline is not None:
            label = f"{run.options.get('strategy')} without predictor"
            found.setdefault(label, {}).setdefault((run.options.get("seed"), len(run.baseline)), run)
    return {label: list(runs.values()) for label, runs in found.items()}


def _settings(subject: Subject, files: _Files) -> str:
    rows = [_heading(subject)] + [_row(setting) for setting in subject.settings]
    for label, runs in _baselines(subject).items():
        alone = [
            replace(run, summary=_summary_of_baseline(run), history=run.baseline)
            for run in runs
            if run.baseline is not None
        ]
        rows.append(_row(Setting(label, tuple(alone))))
    files.table(rows, subject.title)
    return html.table(rows)


def _summary_of_baseline(run: Run) -> dict[str, Any]:
    return dict(run.summary.get("without_predictor") or run.summary.get("without_predictors") or {})


def _heading(subject: Subject) -> list[str]:
    if subject.best.pareto is not None:
        return ["setting", "runs", "hypervolume", "share of the true", "on the front", "evaluations", "seconds"]
    return ["setting", "runs", "best value", "median rank", "regret", "found at", "tau", "evaluations", "seconds"]


def _row(setting: Setting) -> list[str]:
    runs = setting.runs
    summaries = [run.summary for run in runs]
    start = [setting.label, str(len(runs)), _spread([run.curve[-1] for run in runs], ".6g")]
    rest = (("evaluations", ".4g"), ("total_seconds", ".3g"))
    end = [_spread([s.get(name) for s in summaries], form) for name, form in rest]
    if runs[0].pareto is not None:
        share = _spread([s.get("share_of_true_hypervolume") for s in summaries], ".3f")
        return [*start, share, _spread([s.get("front") for s in summaries], ".3g"), *end]
    ranks = [s["best_rank"] for s in summaries if s.get("best_rank") is not None]
    found = [int(np.argmax(run.curve == run.curve[-1])) + 1 for run in runs]
    regret, tau = ([s.get(name) for s in summaries] for name in ("regret", "kendall_tau"))
    rank = f"{np.median(ranks):,.4g}" if ranks else ""
    return [*start, rank, _spread(regret, ".3g"), _spread(found, ".3g"), _spread(tau, ".3f"), *end]


def _spread(values: Sequence[float | None], form: str) -> str:
    """Mean ± standard deviation of what is known; the mean alone where all are equal."""
    known = np.array([value for value in values if value is not None], float)
    if not len(known):
        return ""
    mean = format(float(known.mean()), form)
    return mean if len(known) < 2 or np.ptp(known) == 0 else f"{mean} ± {known.std(ddof=1):.2g}"


def _ranking(subject: Subject, files: _Files) -> list[str]:
    from nasx.metrics import kendall_tau
    from nasx.plots import draw_ranking, draw_tau_over_rounds

    shown = []
    best = subject.best
    ranked = best if best.ranking is not None else next((run for run in subject.runs if run.ranking is not None), None)
    if ranked is not None and ranked.ranking is not None:
        tau = ranked.summary.get("kendall_tau")
        table, name = ranked.ranking, next(s.label for s in subject.settings if ranked in s.runs)
        title = f"{name}, {_seed(ranked)}"
        picture = files.picture(
            "ranking",
            lambda path: draw_ranking(
                path, table, tau=float("nan") if tau is None else tau, metric=ranked.metric, title=title
            ),
        )
        shown.append(html.figure(picture, "Every architecture of the benchmark as the last predictor saw it."))
    taus: dict[str, dict[int, list[float]]] = {}
    final: dict[str, float] = {}
    for setting in subject.settings:
        for run in setting.runs:
            for index, rows in run.history.dropna(subset=["predicted", "value"]).groupby("round"):
                tau = kendall_tau(rows["predicted"], rows["value"]) if len(rows) > 2 else float("nan")
                if np.isfinite(tau):
                    taus.setdefault(setting.label, {}).setdefault(int(str(index)), []).append(tau)
        known = [r.summary["kendall_tau"] for r in setting.runs if r.summary.get("kendall_tau") is not None]
        if known and setting.label in taus:
            final[setting.label] = float(np.mean(known))
    if taus:
        picture = files.picture(
            "tau",
            lambda path: draw_tau_over_rounds(path, taus, final=final, title="Predictions before they were checked"),
        )
        note = "few and close together, so that single rounds scatter widely"
        shown.append(
            html.figure(picture, f"One point a round and seed, over the architectures proposed in it: {note}.")
        )
    return (
        ["<h3>How far the predictor could be trusted</h3>", f"<div class=pair>{''.join(shown)}</div>"] if shown else []
    )


def _best_table(subject: Subject) -> str:
    import pandas as pd

    frames = [run.history.assign(by=f"{s.label}, {_seed(run)}") for s in subject.settings for run in s.runs]
    table = pd.concat(frames).dropna(subset=["value"])
    table = table.sort_values("value", ascending=not subject.best.maximised, kind="stable")
    rows = [["architecture", "found first by", "value", "predicted"]]
    for row in table.drop_duplicates("architecture").head(_SHOWN).to_dict("records"):
        predicted = row.get("predicted")
        guess = f"{predicted:.6g}" if predicted is not None and predicted == predicted else ""
        rows.append([str(row["architecture"]), str(row["by"]), f"{row['value']:.6g}", guess])
    return html.table(rows, left=2, code=(0,))


def _front_table(subject: Subject) -> str:
    front = subject.best.pareto
    assert front is not None
    names = [name for name in front.columns if name not in ("architecture", "evaluation")]
    rows = [["architecture", *names]]
    for row in front.head(_FRONT).to_dict("records"):
        values = (row[name] for name in names)
        rows.append([str(row["architecture"]), *(f"{v:.6g}" if isinstance(v, float) else str(v) for v in values)])
    return html.table(rows, code=(0,))


def _repeat(run: Run) -> str:
    """Command, versions and options of a run."""
    config = run.config
    versions = ", ".join(f"{name} {version}" for name, version in config.get("versions", {}).items())
    machine = ", ".join(map(str, config.get("machine", {}).values()))
    options = " ".join(f"{key}={value}" for key, value in run.options.items() if value is not None)
    facts = [
        ["versions", versions],
        ["machine", machine],
        ["started", str(config.get("started", ""))],
        ["options", options],
    ]
    lines = "".join(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in facts)
    return (
        f"<details><summary><code>{escape(run.folder.name)}</code>, {escape(_seed(run))}</summary>"
        f"<pre>{escape(str(config.get('command', '')))}</pre><div class=wide><table>{lines}</table></div></details>"
    )
