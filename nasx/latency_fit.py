"""From a table of measured networks to a predictor of latency, and from a predictor to numbers for networks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasx.metrics import relative_errors
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.trained import load_predictor

if TYPE_CHECKING:
    from nasx.predictors.base import Graphs, Predictor

#: Beside a predictor: what its numbers mean, and how far off they are.
CARD = "latency.json"
PREDICTOR = "predictor"
PICTURE = "latency.png"
DEFAULT = "layer-costs"


@dataclass(frozen=True)
class Fitted:
    """A fitted predictor, what its numbers mean, and how good they are.

    Attributes:
        predictor: The predictor.
        metric: What it predicts, for example ``latency_ms``; empty where nobody wrote it down.
        unit: Its unit.
        card: Everything that is known of it: table, sizes, seed, errors.
    """

    predictor: Predictor
    metric: str
    unit: str
    card: dict[str, Any]

    def predict(self, graphs: Graphs) -> NDArray[np.float64]:
        """Predicted values, ``(B,)``."""
        return self.predictor.predict(graphs)

    @property
    def trust(self) -> str:
        """How far off its predictions were where it was tested, as the end of a sentence; empty where unknown."""
        if "mape_percent" not in self.card:
            return ""
        return f"off by {self.card['mape_percent']:.3g} % on average on {self.card['tested']:,} networks not trained on"


def fit_latency(
    table: str | Path,
    out: str | Path,
    *,
    predictor: str = DEFAULT,
    target: str | None = None,
    adapt: str | Path | None = None,
    test_share: float = 0.1,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Fits a predictor on a table of measured networks, tests it on networks held out, and saves it.

    Args:
        table: A table of ``nasx latency measure``, or any benchmark of networks by name or path.
        out: The folder to write: ``predictor/``, ``latency.json`` and, where some networks test, ``latency.png``.
        predictor: Name of a predictor.
        target: The metric; the table's own by default.
        adapt: A fitted predictor of another device, by folder or name, that these measurements adapt to this one; a few
            dozen are enough (:class:`nasx.predictors.adapted.Adapted`). ``predictor`` is then not used.
        test_share: Share of the networks that tests, drawn at random; 0 for none.
        seed: Seed of that draw and of the predictor.
        progress: Called while the predictor is fitted.

    Raises:
        UsageError: There is no such table, metric or predictor; or too few networks.
        NasxError: The folder holds a predictor already, or cannot be written.
    """
    from nasx.benchmark import load_benchmark
    from nasx.latency_plots import draw_errors
    from nasx.predictors import make_predictor

    folder = Path(out)
    if (folder / CARD).exists() or (folder / PREDICTOR).exists():
        raise UsageError(f"{folder} holds a predictor already; choose another --out")
    if not 0 <= test_share < 1:
        raise UsageError(f"--test-share must be at least 0 and less than 1; got {test_share:g}")
    if adapt is None:
        model = make_predictor(predictor, seed=seed, direction="minimize")
    else:
        from nasx.predictors.adapted import Adapted

        model = Adapted.of(open_fitted(adapt).predictor, seed=seed, direction="minimize")
    benchmark = load_benchmark(table, target=target)
    values = benchmark.values()
    rows = np.flatnonzero(np.isfinite(values))
    order = np.random.default_rng(seed).permutation(rows)
    held_out = round(test_share * len(rows))
    test, train = np.sort(order[:held_out]), np.sort(order[held_out:])
    if len(train) < 2:
        raise UsageError(f"{len(rows)} measured networks are too few to fit on; measure some more")
    model.fit(benchmark.graphs(train), values[train], progress=progress)
    metric = benchmark.metrics[benchmark.target]
    card: dict[str, Any] = {
        "metric": metric.name,
        "unit": metric.unit,
        "table": str(table),
        "predictor": predictor if adapt is None else f"{adapt}, adapted",
        "seed": seed,
        "trained": len(train),
        "tested": len(test),
    }
    pairs = {card["predictor"]: (model.predict(benchmark.graphs(test)), values[test])} if len(test) else {}
    for found, measured in pairs.values():
        card |= relative_errors(found, measured)
    try:
        model.save(folder / PREDICTOR)
        if pairs:
            draw_errors(folder / PICTURE, pairs, metric=metric.name)
        (folder / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise NasxError(f"{folder} cannot be written ({error.strerror or error}); choose another --out") from error
    return Fitted(model, metric.name, metric.unit, card)


def open_fitted(place: str | Path) -> Fitted:
    """Opens a fitted predictor.

    Args:
        place: A folder of ``nasx latency fit`` or ``nasx search``, one that a predictor was saved into, or the name of
            a predictor that comes fitted.

    Raises:
        UsageError: There is none.
        NasxError: It is damaged.
    """
    folder = Path(place)
    card: dict[str, Any] = {}
    if (folder / CARD).is_file():
        try:
            card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise NasxError(f"{folder / CARD} is damaged; fit the predictor again") from error
    inside = folder / PREDICTOR
    predictor = load_predictor(inside if inside.is_dir() else str(place))
    return Fitted(predictor, card.get("metric", ""), card.get("unit", ""), card)


def predicted(fitted: Fitted, graphs: Sequence[Any], what: str) -> NDArray[np.float64]:
    """Predictions for graphs of another origin than those the predictor was fitted on.

    Args:
        fitted: The predictor.
        graphs: B graphs.
        what: What they are, for the message.

    Raises:
        UsageError: The predictor does not know some of their operations, or needs numbers that they lack.
    """
    try:
        return fitted.predict(graphs)
    except UsageError as error:
        raise UsageError(f"this predictor cannot read {what}: {error}; fit one on some like these") from error
