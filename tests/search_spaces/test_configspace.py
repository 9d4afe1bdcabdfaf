"""Spaces of the package ConfigSpace: the same configurations as there."""

from __future__ import annotations

import builtins
import itertools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasx.search_spaces.configspace import from_configspace
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.graph import Graph
from nasx.testing import check_search_space


def build(chosen: dict[str, Any]) -> Graph:
    """A graph of one node that says everything."""
    return Graph([str(sorted(chosen.items()))], [[0]])


@pytest.fixture
def package() -> Any:
    return pytest.importorskip("ConfigSpace", reason="the package ConfigSpace is not installed")


def rich(cs: Any) -> Any:
    """A space with every kind of parameter, condition and clause."""
    space = cs.ConfigurationSpace(name="rich", space={"kind": ["conv", "pool", "skip"], "kernel": (1, 4)})
    space.add(
        cs.OrdinalHyperparameter("width", ["small", "medium", "large"]),
        cs.OrdinalHyperparameter("steps", [8, 2, 4]),
        cs.Constant("version", 3),
        cs.UniformFloatHyperparameter("rate", 0.0, 1.0),
        cs.UniformIntegerHyperparameter("depth", 1, 3, log=True),
        cs.NormalIntegerHyperparameter("heads", 2, 1, lower=1, upper=3),
    )
    space.add(cs.InCondition(space["kernel"], space["kind"], ["conv", "pool"]))
    wide = cs.GreaterThanCondition(space["heads"], space["width"], "small")
    deep = cs.NotEqualsCondition(space["heads"], space["depth"], 1)
    space.add(cs.OrConjunction(wide, deep))
    early = cs.LessThanCondition(space["rate"], space["steps"], 4)  # by place: 8 and 2
    space.add(cs.AndConjunction(early, cs.EqualsCondition(space["rate"], space["kind"], "conv")))
    space.add(
        cs.ForbiddenAndConjunction(
            cs.ForbiddenEqualsClause(space["kind"], "pool"), cs.ForbiddenInClause(space["depth"], [2, 3])
        ),
        cs.ForbiddenLessThanRelation(space["kernel"], space["heads"]),
    )
    return space


def test_it_holds_the_configurations_of_configspace(package: Any, tmp_path: Path) -> None:
    source = rich(package)
    space = from_configspace(source, build, levels=3)
    assert space.choices["rate"] == (0.0, 0.5, 1.0)
    options = [space.choices[key] for key in space.choices]
    legal = set()
    for values in itertools.product(*(((None, *column) if key in source.conditional_hyperparameters else column)
                                      for key, column in zip(space.choices, options, strict=True))):  # fmt: skip
        given = {key: value for key, value in zip(space.choices, values, strict=True) if value is not None}
        try:
            package.Configuration(source, values=given)
        except Exception:
            continue
        legal.add(tuple(values))
    assert set(space.enumerate()) == legal
    assert len(legal) > 100
    check_search_space(space, samples=10)
    source.to_json(tmp_path / "space.json")
    read = from_configspace(tmp_path / "space.json", build, levels=3, name="mine")
    assert (read.name, read.choices, read.size) == ("mine", space.choices, len(legal))
    assert pickle.loads(pickle.dumps(read)).size == len(legal)


def test_numbers_become_levels(package: Any) -> None:
    source = package.ConfigurationSpace(seed=0)
    source.add(
        package.Float("decay", (1e-4, 1e-1), log=True),
        package.Integer("batch", (1, 4096), log=True),
        package.Integer("seed", (1, 5000)),
        package.Integer("depth", (2, 4)),
    )
    space = from_configspace(source, build, levels=4)
    assert space.choices == {
        "batch": (1, 16, 256, 4096),
        "decay": (1e-4, 1e-3, 1e-2, 1e-1),
        "depth": (2, 3, 4),
        "seed": (1, 1667, 3334, 5000),
    }
    for levels, message in ((None, "is a range of 4,096 whole numbers; say how many"), (1, "levels=1 are too few")):
        with pytest.raises(UsageError, match=message):
            from_configspace(source, build, levels=levels)
    with pytest.raises(UsageError, match=r"parameter 'rate' of configspace is a float; say how many .* levels=10"):
        from_configspace(package.ConfigurationSpace(space={"rate": (0.1, 0.5)}), build)


def test_what_is_no_space_is_one_sentence(package: Any, tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text('{"hyperparameters": 1}')
    (tmp_path / "other.json").write_text('{"hello": 1}')
    for source, message in (
        (tmp_path / "none.json", "there is no file"),
        (str(tmp_path / "wrong.json"), "is no ConfigSpace that ConfigSpace .* reads"),
        (tmp_path / "other.json", "has no parameters"),
        ({"a": [1, 2]}, "a ConfigSpace.ConfigurationSpace or the path of its JSON file is expected"),
    ):
        with pytest.raises(UsageError, match=message):
            from_configspace(source, build)


def test_it_is_searched(package: Any) -> None:
    import nasx

    source = package.ConfigurationSpace(name="small", space={"a": [1, 2, 3, 4], "b": ["x", "y", "z"]})
    source.add(package.EqualsCondition(source["b"], source["a"], 4))
    space = nasx.search_spaces.from_configspace(source, build)
    assert space.samples(3, np.random.default_rng(0)) == space.samples(3, np.random.default_rng(0))
    result = nasx.search(space, lambda a: a[0], predictor="trees", budget=6, initial=3, batch=3)
    assert result.best_value == 4


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "ConfigSpace":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(NasxError, match=r"pip install 'nasx\[configspace\]'"):
        from_configspace("space.json", build)
