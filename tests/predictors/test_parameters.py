"""What constructors are given is compared with what they say of their parameters."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest

from nasx.predictors.parameters import check_parameters
from nasx.search_spaces.errors import UsageError

LEAST = {"count": 1, "share": 0, "draws": 0}


class Estimator:
    """One parameter of each kind."""

    def __init__(
        self,
        count: int = 3,
        share: float = 0.5,
        shift: float = -1.0,
        name: str = "a",
        deep: bool = False,
        kind: Literal["x", "y"] = "x",
        extra: dict[str, int] | None = None,
        level: Literal[1, 2] = 1,
        sizes: tuple[int, ...] | None = None,
        anything: Any = None,
        draws: int | None = None,
    ) -> None:
        self.__dict__.update({key: value for key, value in locals().items() if key != "self"})


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"count": np.int64(4), "share": 1, "shift": float("inf")},
        {"share": np.float32(0.25), "extra": {"a": 1}, "anything": object()},
        {"level": 2, "sizes": [1, 2], "draws": 3},
    ],
)
def test_what_makes_sense(params: dict[str, Any]) -> None:
    check_parameters(Estimator(**params), LEAST)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"count": 0}, "'count' of Estimator must be at least 1; got 0"),
        ({"count": 2.0}, "is 3 by default; 2.0 is of another kind"),
        ({"count": True}, "of another kind"),
        ({"share": -0.1}, "at least 0"),
        ({"share": float("inf")}, "finite"),
        ({"share": None}, "of another kind"),
        ({"name": 3}, "of another kind"),
        ({"deep": 1}, "of another kind"),
        ({"kind": "z"}, "known: x, y"),
        ({"level": 3}, "known: 1, 2"),
        ({"draws": -1}, "at least 0"),
        ({"extra": [1]}, "of another kind"),
    ],
)
def test_what_does_not(params: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_parameters(Estimator(**params), LEAST)


def test_constructors_whose_annotations_cannot_be_read_are_believed() -> None:
    class Foreign:
        def __init__(self, size: Unknown = 1) -> None:  # type: ignore[name-defined]  # noqa: F821
            self.size = size

    check_parameters(Foreign(size=-3), {})
