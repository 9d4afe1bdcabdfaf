"""Latency prediction on NNLQP as published: MAPE, Acc(10 %) and Acc(5 %), by family of networks.

In-domain 1,800 networks of each of ten families train and the last 200 test; out of domain nine families of 2,000 train
and the tenth tests. Means of ten runs unless a name says otherwise. The published code chooses its best epoch by the
networks that test, so the figures are a little better than an honest choice would give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

V2 = "NAR-Former V2 (NeurIPS 2023)"
_FAMILIES = (
    "alexnet", "efficientb0", "googlenet", "mnasnet", "mobilenetv2", "mobilenetv3", "nasbench201", "squeezenet",
    "vgg16", "resnet18",
)  # fmt: skip


class PublishedLatency(NamedTuple):
    """Published figures of one predictor on one family.

    Attributes:
        split: ``in-domain`` or ``leave-one-family-out``.
        predictor: Name of the predictor in the literature.
        family: The family as NNLQP calls it; ``average`` of the families, or ``all`` test networks together.
        values: ``mape_percent``, ``acc_10_percent``, ``acc_5_percent``, as far as published.
        source: Where they were read.
    """

    split: str
    predictor: str
    family: str
    values: Mapping[str, float]
    source: str


def _rows(
    split: str, last: str, table: int, figures: Mapping[str, tuple[Sequence[float], Sequence[float]]]
) -> list[PublishedLatency]:
    return [
        PublishedLatency(split, name, family, {"mape_percent": mape, "acc_10_percent": acc}, f"{V2}, table {table}")
        for name, (mapes, accs) in figures.items()
        for family, mape, acc in zip((*_FAMILIES, last), mapes, accs, strict=True)
    ]


#: Predictor -> MAPE and Acc(10 %) of each family, then of all together or on average.
_IN_DOMAIN: dict[str, tuple[Sequence[float], Sequence[float]]] = {
    "NAR-Former": (
        (26.25, 13.91, 16, 15.76, 15.19, 16.88, 43.53, 24.33, 23.64, 28.18, 22.37),
        (27, 45.5, 39, 33, 39, 36, 55.5, 23, 26.5, 25.5, 35),
    ),
    "NNLP": (
        (6.37, 3.04, 4.18, 2.6, 2.47, 3.5, 1.46, 4.03, 3.73, 3.34, 3.47),
        (81.75, 98, 93.7, 97.7, 99.3, 95.35, 100, 93.25, 95.25, 98.4, 95.25),
    ),
    "NAR-Former V2": (
        (6.18, 2.34, 3.63, 1.8, 1.83, 3.12, 1.82, 3.54, 3.51, 3.11, 3.07),
        (81.9, 98.5, 95.95, 99.7, 99.9, 96.75, 100, 95.95, 95.85, 98.55, 96.41),
    ),
    "NNLP, best of ten": (
        (6.21, 2.82, 4.12, 2.46, 2.37, 3.43, 1.31, 3.97, 3.63, 3.25, 3.44),
        (84.5, 97, 93.5, 98.5, 99.5, 96, 100, 93, 96.5, 98.5, 95.5),
    ),
    "NAR-Former V2, best of ten": (
        (5.97, 2.22, 3.46, 1.7, 1.72, 2.98, 1.18, 3.34, 3.29, 2.89, 3),
        (84, 100, 95.5, 100, 100, 98, 100, 96.5, 96, 99, 96.3),
    ),
}
_LEAVE_ONE_OUT: dict[str, tuple[Sequence[float], Sequence[float]]] = {
    "FLOPs": (
        (44.65, 58.36, 30.76, 40.31, 37.42, 64.64, 80.41, 29.89, 69.34, 21.18, 47.7),
        (6.55, 0.05, 12.75, 6.2, 6.9, 0.05, 0, 16.1, 4.8, 26.5, 7.99),
    ),
    "FLOPs + MAC": (
        (15.45, 53.96, 32.54, 35.96, 35.27, 57.13, 33.52, 23.19, 66.63, 18.91, 37.26),
        (40.5, 0.05, 9.8, 9.8, 8.05, 0.05, 10.55, 21.35, 2.1, 29.8, 13.2),
    ),
    "nn-Meter": (
        (7.2, 18.93, 11.71, 10.69, 6.43, 35.27, 9.57, 18.69, 19.47, 15.58, 15.35),
        (75.45, 23.4, 47.4, 60.95, 80.75, 23.45, 60.65, 36.2, 26.5, 39.45, 47.42),
    ),
    "TPU": (
        (10.55, 16.74, 8.1, 11.61, 12.68, 9.97, 58.94, 24.6, 38.73, 20.05, 21.2),
        (57.1, 17, 69, 44.65, 33.95, 64.25, 2.5, 25.65, 2.6, 27.3, 34.4),
    ),
    "BRP-NAS": (
        (31.68, 51.97, 25.48, 17.26, 20.42, 58.13, 13.28, 42.55, 30.95, 15.84, 30.76),
        (15.2, 0.1, 12.55, 34.3, 29.05, 13.85, 43.45, 11.85, 13.2, 39.8, 21.34),
    ),
    "NAR-Former": (
        (46.28, 29.34, 24.71, 26.7, 25.74, 33.99, 105.71, 74.59, 44.26, 40.37, 45.17),
        (7.6, 15.15, 24.35, 20.9, 20.7, 16.05, 0, 11.4, 11.45, 13.25, 14.09),
    ),
    "NNLP": (
        (10.64, 21.46, 13.28, 12.07, 8.87, 14.57, 9.6, 9.84, 7.6, 7.54, 11.55),
        (59.07, 25.37, 36.3, 55.89, 63.03, 43.26, 60.7, 58.69, 71.04, 72.88, 54.62),
    ),
    "NNLP, best of ten": (
        (9.71, 18.72, 10.9, 10.86, 7.34, 13.17, 8.19, 9.52, 7.17, 7.12, 10.27),
        (64.4, 28.8, 48.75, 61.25, 72.5, 49.65, 70.6, 60.4, 73.75, 76.4, 60.65),
    ),
    "NAR-Former V2": (
        (24.28, 13.2, 6.61, 7.16, 6.73, 9.06, 9.21, 7.08, 15.4, 6.8, 10.55),
        (24.65, 44.01, 80.1, 73.46, 78.45, 68.43, 63.13, 75.01, 45.21, 77.24, 62.7),
    ),
    "NAR-Former V2, best of ten": (
        (18.29, 11.37, 6.15, 5.93, 5.65, 8.72, 7.89, 6.56, 14.26, 6.44, 9.13),
        (28.6, 50.2, 83.35, 81.6, 83.8, 70.5, 71.7, 79.25, 45.3, 79.7, 67.4),
    ),
}

#: Table 5, all test networks in-domain: structure -> MAPE, Acc(10 %), Acc(5 %). The last row is NAR-Former V2 as it is.
ABLATION = {
    "GNN, one-hot types, plain numbers": (3.48, 95.26, 77.80),
    "GNN, encoded types and numbers": (3.43, 95.11, 79.58),
    "GNN, one-hot types, encoded numbers": (3.33, 95.57, 80.19),
    "Transformer with graph-aided attention": (3.20, 96.00, 81.86),
    "and grouped feed-forward": (3.20, 96.06, 81.76),
    "and type-aware enhancement": (3.07, 96.41, 82.71),
}
_METRICS = ("mape_percent", "acc_10_percent", "acc_5_percent")
#: Table 6, EfficientNet left out: attention -> MAPE, Acc(10 %).
ATTENTION = {"global attention": (16.88, 36.32), "graph-aided attention": (13.20, 44.01)}

PUBLISHED: tuple[PublishedLatency, ...] = (
    *_rows("in-domain", "all", 1, _IN_DOMAIN),
    *_rows("leave-one-family-out", "average", 2, _LEAVE_ONE_OUT),
    *(
        PublishedLatency("in-domain", name, "all", dict(zip(_METRICS, figures, strict=True)), f"{V2}, table 5")
        for name, figures in ABLATION.items()
    ),
    *(
        PublishedLatency(
            "leave-one-family-out", name, "efficientb0", dict(zip(_METRICS, figures, strict=False)), f"{V2}, table 6"
        )
        for name, figures in ATTENTION.items()
    ),
)


def published_latency(split: str) -> tuple[PublishedLatency, ...]:
    """The published figures of a split, of whole predictors: without ablations and best runs.

    >>> rows = [row for row in published_latency("in-domain") if row.predictor == "NAR-Former V2"]
    >>> {row.family: row.values["mape_percent"] for row in rows}["all"]
    3.07
    """
    return tuple(
        row
        for row in PUBLISHED
        if row.split == split and row.source.endswith(("table 1", "table 2")) and "best" not in row.predictor
    )
