"""Kendall's tau as published, for comparison: one fixed split, training rows counted among the test rows.

Validation accuracy was learnt, test accuracy ranked, over all cells of the benchmark. That is the protocol ``prefix``:
the figures are comparable with results under that protocol only, and not strictly, for the published code also chooses
its best epoch by looking at labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_PINAT = "PINAT (AAAI 2023), table 1"
_V2 = "NAR-Former V2 (NeurIPS 2023), tables 1 and 2"
_NN_FORMER = "NN-Former (CVPR 2025), as quoted by secondary sources"


class Published(NamedTuple):
    """One published figure.

    Attributes:
        space: The search space.
        predictor: Name of the predictor in the literature.
        train_size: Number of training cells.
        kendall_tau: The figure.
        source: Where it was read.
    """

    space: str
    predictor: str
    train_size: int
    kendall_tau: float
    source: str


def _rows(predictor: str, source: str, values: Mapping[str, Mapping[int, float]]) -> list[Published]:
    return [
        Published(space, predictor, size, tau, source) for space, taus in values.items() for size, tau in taus.items()
    ]


#: NP, GATES, TNASP and others were trained and measured by the authors of PINAT.
PUBLISHED: tuple[Published, ...] = (
    *_rows(
        "Neural Predictor (GCN)",
        _PINAT,
        {
            "nasbench101": {100: 0.391, 172: 0.545, 424: 0.679, 4236: 0.769},
            "nasbench201": {78: 0.343, 156: 0.413, 469: 0.584, 781: 0.634, 1563: 0.646},
        },
    ),
    *_rows("GATES", _PINAT, {"nasbench101": {100: 0.605, 172: 0.659, 424: 0.691, 4236: 0.822}}),
    *_rows(
        "TNASP",
        _PINAT,
        {
            "nasbench101": {100: 0.600, 172: 0.669, 424: 0.705, 4236: 0.820},
            "nasbench201": {78: 0.539, 156: 0.589, 469: 0.640, 781: 0.689, 1563: 0.724},
        },
    ),
    *_rows("GMAE-NAS", _PINAT, {"nasbench101": {100: 0.666, 172: 0.697, 424: 0.732, 4236: 0.775}}),
    *_rows(
        "PINAT",
        _PINAT,
        {
            "nasbench101": {100: 0.679, 172: 0.715, 424: 0.772, 4236: 0.846},
            "nasbench201": {78: 0.549, 156: 0.631, 469: 0.706, 781: 0.761, 1563: 0.784},
        },
    ),
    *_rows("NAR-Former", _V2, {"nasbench101": {424: 0.765, 4236: 0.871}, "nasbench201": {781: 0.849, 1563: 0.901}}),
    *_rows("NAR-Former V2", _V2, {"nasbench101": {424: 0.773, 4236: 0.861}, "nasbench201": {781: 0.874, 1563: 0.888}}),
    *_rows(
        "NN-Former",
        _NN_FORMER,
        {
            "nasbench101": {100: 0.709, 172: 0.765, 424: 0.809, 4236: 0.877},
            "nasbench201": {156: 0.804, 1563: 0.890},
        },
    ),
)


def published(space: str) -> tuple[Published, ...]:
    """The published figures of a search space, in the order of their year.

    >>> [row.kendall_tau for row in published("nasbench201") if row.predictor == "NAR-Former V2"]
    [0.874, 0.888]
    """
    return tuple(row for row in PUBLISHED if row.space == space)
