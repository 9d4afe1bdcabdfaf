"""nasx: neural architecture search with a predictor in the loop.

>>> import nasx
>>> space = nasx.get_search_space("nasbench201")
>>> result = nasx.search(space, lambda cell: cell.count("nor_conv_3x3"), predictor=None, budget=50, seed=0)
>>> result.evaluations
50
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasx.benchmark import load_benchmark
    from nasx.cell_networks import build_network
    from nasx.drawing import draw
    from nasx.evaluation import evaluate
    from nasx.noise import noise_ceiling
    from nasx.pareto_search import pareto_search
    from nasx.predictors import make_predictor, register_predictor
    from nasx.search_loop import search
    from nasx.search_spaces import get_search_space, register_search_space
    from nasx.search_spaces.choice_space import ChoiceSpace
    from nasx.search_spaces.errors import NasxError, UsageError
    from nasx.search_spaces.graph import Graph
    from nasx.search_spaces.module_network import read_module
    from nasx.search_spaces.onnx_network import read_onnx
    from nasx.strategies import make_strategy, register_strategy
    from nasx.trained import load_predictor

__version__ = "0.1.0"

_HOME = {
    "ChoiceSpace": "nasx.search_spaces.choice_space",
    "Graph": "nasx.search_spaces.graph",
    "NasxError": "nasx.search_spaces.errors",
    "UsageError": "nasx.search_spaces.errors",
    "build_network": "nasx.cell_networks",
    "draw": "nasx.drawing",
    "evaluate": "nasx.evaluation",
    "get_search_space": "nasx.search_spaces",
    "load_benchmark": "nasx.benchmark",
    "load_predictor": "nasx.trained",
    "make_predictor": "nasx.predictors",
    "make_strategy": "nasx.strategies",
    "noise_ceiling": "nasx.noise",
    "pareto_search": "nasx.pareto_search",
    "read_module": "nasx.search_spaces.module_network",
    "read_onnx": "nasx.search_spaces.onnx_network",
    "register_predictor": "nasx.predictors",
    "register_search_space": "nasx.search_spaces",
    "register_strategy": "nasx.strategies",
    "search": "nasx.search_loop",
}

_MODULES = ("optuna", "predictors", "search_spaces", "strategies", "testing")

__all__ = [
    "ChoiceSpace",
    "Graph",
    "NasxError",
    "UsageError",
    "build_network",
    "draw",
    "evaluate",
    "get_search_space",
    "load_benchmark",
    "load_predictor",
    "make_predictor",
    "make_strategy",
    "noise_ceiling",
    "pareto_search",
    "read_module",
    "read_onnx",
    "register_predictor",
    "register_search_space",
    "register_strategy",
    "search",
]


def __getattr__(name: str) -> Any:
    """Imports the public names when they are first used, so that ``import nasx`` stays quick."""
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(f"nasx.{name}")
    raise AttributeError(f"module 'nasx' has no attribute '{name}'; it has {', '.join(__all__)}")
