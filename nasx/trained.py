"""Predictors that come fitted: read by name, each with a card that says what it learnt from and how well it ranks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasx.search_spaces.errors import unknown

if TYPE_CHECKING:
    from nasx.predictors.base import Predictor

FOLDER = Path(__file__).parent / "trained"
CARD = "card.json"


def trained_predictors() -> list[tuple[str, str]]:
    """Every predictor that comes fitted: its name and, in one line, what it learnt and how well it ranks.

    >>> [name for name, _ in trained_predictors()]
    ['nar-former-v2/nasbench-graph-cora-781', 'nar-former-v2/nasbench201-cifar10-781']
    """
    return [(name, model_card(name)["line"]) for name in _names()]


def model_card(name: str) -> dict[str, Any]:
    """What a fitted predictor is made of: data, licence, split, Kendall's tau, and the command that made it.

    Args:
        name: One of `trained_predictors()`.

    Raises:
        UsageError: If there is no such predictor.

    >>> card = model_card("nar-former-v2/nasbench201-cifar10-781")
    >>> card["training_cells"], card["space"]
    (781, 'nasbench201')
    """
    if name not in _names():
        raise unknown("fitted predictor", name, _names())
    card: dict[str, Any] = json.loads((FOLDER / name / CARD).read_text(encoding="utf-8"))
    return card


def load_predictor(name: str | Path) -> Predictor:
    """Reads a fitted predictor: one that comes with nasx, by name, or one that was saved into a folder.

    Args:
        name: A name of `trained_predictors()`, or a folder, for example `runs/.../predictor`.

    Raises:
        UsageError: If there is neither a folder nor a fitted predictor of this name.
        NasxError: If the folder holds no predictor, or one that is damaged or newer than this nasx.

    >>> from nasx.search_spaces import get_search_space
    >>> space = get_search_space("nasbench201")
    >>> predictor = load_predictor("nar-former-v2/nasbench201-cifar10-781")
    >>> all_convolutions = [("nor_conv_3x3",) * 6, ("none",) * 6]
    >>> good, bad = predictor.predict(space.graphs(all_convolutions))
    >>> bool(good > bad)
    True
    """
    from nasx.predictors import load_predictor as load_folder

    if str(name) in _names():
        return load_folder(FOLDER / str(name))
    if not Path(name).is_dir():
        raise unknown("fitted predictor", str(name), [*_names(), "the folder of one that was saved"])
    return load_folder(name)


def _names() -> list[str]:
    return sorted(path.parent.relative_to(FOLDER).as_posix() for path in FOLDER.glob(f"*/*/{CARD}"))
