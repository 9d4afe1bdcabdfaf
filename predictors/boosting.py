"""Boosted trees over the features of graphs: LightGBM and XGBoost, optional packages."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nasx.predictors.base import Columns, Direction, Progress
from nasx.predictors.baselines import FeatureBaseline
from nasx.search_spaces.errors import UsageError


class LightGBM(FeatureBaseline):
    """Gradient boosting with LightGBM (Ke et al. 2017) over counts, walks and paths.

    Args:
        trees: Number of trees.
        learning_rate: Share of each tree that is added.
        leaves: Most leaves of a tree.
        min_samples_leaf: Fewest training graphs in a leaf.
        as_written: Read the dead parts of cells as well, and what stands where: for latency and energy.
        seed: Of the rows and features that each tree sees.
        direction: Which end of the targets is the good one; trees do not use it.

    Raises:
        UsageError: At fit, if the package lightgbm is not installed.

    >>> LightGBM(trees=5)
    LightGBM(trees=5, learning_rate=0.05, leaves=15, min_samples_leaf=3, as_written=False, seed=0, direction='maximize')
    """

    least: ClassVar[Mapping[str, float]] = {
        "seed": 0,
        "trees": 1,
        "leaves": 2,
        "min_samples_leaf": 1,
        "learning_rate": 1e-6,
    }

    def __init__(
        self,
        trees: int = 300,
        learning_rate: float = 0.05,
        leaves: int = 15,
        min_samples_leaf: int = 3,
        as_written: bool = False,
        seed: int = 0,
        direction: Direction = "maximize",
    ) -> None:
        self.trees = trees
        self.learning_rate = learning_rate
        self.leaves = leaves
        self.min_samples_leaf = min_samples_leaf
        self.as_written = as_written
        self.seed = seed
        self.direction = direction

    def _fit(
        self,
        graphs: Columns,
        targets: NDArray[np.float64],
        validation: tuple[Columns, NDArray[np.float64]] | None,
        progress: Progress | None,
    ) -> None:
        if len(graphs) == 1:  # LightGBM asks for two
            graphs, targets = graphs[[0, 0]], np.repeat(targets, 2)
        super()._fit(graphs, targets, validation, progress)

    def _make_regressor(self) -> Any:
        return optional_package("lightgbm").LGBMRegressor(
            n_estimators=self.trees,
            learning_rate=self.learning_rate,
            num_leaves=self.leaves,
            min_child_samples=self.min_samples_leaf,
            subsample=0.8,
            subsample_freq=1,
            colsample_bytree=0.3,
            random_state=self.seed,
            deterministic=True,
            force_row_wise=True,
            n_jobs=1,
            verbose=-1,
        )


class XGBoost(FeatureBaseline):
    """Gradient boosting with XGBoost (Chen and Guestrin 2016) over counts, walks and paths.

    Args:
        trees: Number of trees.
        learning_rate: Share of each tree that is added.
        depth: Most splits from the root to a leaf.
        min_samples_leaf: Fewest training graphs in a leaf.
        as_written: Read the dead parts of cells as well, and what stands where: for latency and energy.
        seed: Of the rows and features that each tree sees.
        direction: Which end of the targets is the good one; trees do not use it.

    Raises:
        UsageError: At fit, if the package xgboost is not installed.

    >>> XGBoost(trees=100)
    XGBoost(trees=100, learning_rate=0.05, depth=4, min_samples_leaf=2, as_written=False, seed=0, direction='maximize')
    """

    least: ClassVar[Mapping[str, float]] = {
        "seed": 0,
        "trees": 1,
        "depth": 1,
        "min_samples_leaf": 1,
        "learning_rate": 1e-6,
    }

    def __init__(
        self,
        trees: int = 300,
        learning_rate: float = 0.05,
        depth: int = 4,
        min_samples_leaf: int = 2,
        as_written: bool = False,
        seed: int = 0,
        direction: Direction = "maximize",
    ) -> None:
        self.trees = trees
        self.learning_rate = learning_rate
        self.depth = depth
        self.min_samples_leaf = min_samples_leaf
        self.as_written = as_written
        self.seed = seed
        self.direction = direction

    def _make_regressor(self) -> Any:
        return optional_package("xgboost").XGBRegressor(
            n_estimators=self.trees,
            learning_rate=self.learning_rate,
            max_depth=self.depth,
            min_child_weight=self.min_samples_leaf,
            subsample=0.8,
            colsample_bynode=0.3,
            random_state=self.seed,
            n_jobs=1,
        )


def optional_package(name: str) -> ModuleType:
    """Imports a package that does not come with nasx.

    Raises:
        UsageError: If it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError(
            f"predictor '{name}' needs the package {name}, which is not installed; type: pip install {name}"
        ) from error
