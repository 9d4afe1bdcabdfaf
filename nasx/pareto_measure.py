"""Asks an objective for one value a goal."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nasx.benchmark import Benchmark, BudgetSpent
from nasx.search_spaces.errors import UsageError


@dataclass(frozen=True)
class MeasureRow:
    """Asks as :func:`nasx.workers.measure` does, for a row of values: NaN all of them where one is missing.

    Attributes:
        names: What the values are called, in their order.

    >>> both = MeasureRow(("accuracy", "latency_ms"))
    >>> both(lambda cell: (93.0, 4), "cell"), both(lambda cell: {"latency_ms": 4, "accuracy": 93.0}, "cell")
    (((93.0, 4.0), None), ((93.0, 4.0), None))
    >>> both(lambda cell: (93.0, None), "cell")
    ((nan, nan), 'latency_ms is nan')
    """

    names: tuple[str, ...]

    def __call__(self, objective: Any, architecture: Hashable) -> tuple[tuple[float, ...], str | None]:
        """The values ``(k,)`` and None, or NaN and the reason.

        Raises:
            UsageError: If the objective returns something else than a value for every name.
            BudgetSpent: If the benchmark's budget is spent.
        """
        nothing = (math.nan,) * len(self.names)
        try:
            if isinstance(objective, Benchmark):
                answer: Any = [objective.query(architecture, name) for name in self.names]
            else:
                answer = objective(architecture)
        except BudgetSpent:
            raise
        except (Exception, SystemExit) as error:  # what a user's objective raises costs one evaluation, not the search
            return nothing, f"{type(error).__name__}: {error}"
        row = _row(answer, self.names)
        for name, value in zip(self.names, row, strict=True):
            if not math.isfinite(value):
                return nothing, f"{name} is {value}"
        return row, None


def _row(answer: Any, names: Sequence[str]) -> tuple[float, ...]:
    """What an objective returned, as one number a goal; NaN for what is no number."""
    if isinstance(answer, Mapping):
        if set(answer) != set(names):
            raise UsageError(
                f"the objective returned {', '.join(map(str, answer)) or 'nothing'}; it must return {', '.join(names)}"
            )
        answer = [answer[name] for name in names]
    if isinstance(answer, str | bytes) or not hasattr(answer, "__len__"):
        raise UsageError(
            f"the objective returned {answer!r:.80}; it must return {len(names)} numbers: {', '.join(names)}"
        )
    if len(answer) != len(names):
        raise UsageError(
            f"the objective returned {len(answer)} values for {len(names)} goals; it must return {', '.join(names)}"
        )
    values = []
    for value in answer:
        try:
            values.append(float(value))
        except (TypeError, ValueError):
            values.append(math.nan)
    return tuple(values)
