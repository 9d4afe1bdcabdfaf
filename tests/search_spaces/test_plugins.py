"""Plug-ins: registered, installed and by address; broken ones are one sentence and disturb nobody."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import nasx
from nasx import predictors, search_spaces, strategies
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.plugins import Plugins, first_line, is_address

MODULE = '''
"""A module of a user."""
import nasx
from nasx.strategies.random_search import RandomSearch
from nasx.predictors.baselines import TreeEnsemble


def build(chosen):
    return nasx.Graph.from_edges(["input", chosen["a"], chosen["b"], "output"], [(0, 1), (1, 2), (2, 3)])


class Mine(nasx.ChoiceSpace):
    """Two layers of my own.

    And more about them.
    """

    def __init__(self):
        super().__init__("mine", {"a": ["conv", "pool"], "b": ["conv", "pool"]}, build)


def make_space():
    return Mine()


class Holder:
    ready = Mine()


def needs(argument):
    return Mine()


class Sampler(RandomSearch):
    """Samples of my own."""


class Demanding(RandomSearch):
    def __init__(self, space):
        super().__init__(space, rng=None)


class Forest(TreeEnsemble):
    """Trees of my own."""


def forest():
    return TreeEnsemble(trees=7)


def dict_space():
    return {}


number = 3
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with modules of a user, importable; the registries forget everything afterwards."""
    (tmp_path / "users_module.py").write_text(MODULE)
    (tmp_path / "users_broken.py").write_text("1 / 0")
    (tmp_path / "users_needy.py").write_text("import a_package_nobody_has")
    monkeypatch.syspath_prepend(tmp_path)
    registries = (search_spaces.PLUGINS, predictors.PLUGINS, strategies.PLUGINS)
    for registry in registries:
        registry.__dict__.pop("_installed", None)
    yield tmp_path
    for registry in registries:
        registry.__dict__.pop("_installed", None)
        registry._registered.clear()
    for module in [name for name in sys.modules if name.startswith("users_")]:
        del sys.modules[module]


def install(folder: Path, name: str, entry_points: str) -> None:
    """Puts the description of an installed package into a folder."""
    description = folder / f"{name}-1.2.dist-info"
    description.mkdir()
    (description / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (description / "entry_points.txt").write_text(entry_points)


@pytest.mark.parametrize("path", ["Mine", "make_space", "Holder.ready"])
def test_a_space_by_its_address(folder: Path, path: str) -> None:
    assert nasx.get_search_space(f"users_module:{path}").size == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("users_modul:Mine", "there is no module 'users_modul' to take the search space 'users_modul:Mine' from"),
        ("users_module.sub:Mine", "there is no module 'users_module.sub'|not a package"),
        ("users_module:Mime", "unknown name in users_module 'Mime'; known: .*did you mean 'Mine'"),
        ("users_module:needs", "the search space 'users_module:needs' cannot be made: TypeError: needs"),
        ("users_module:dict_space", r"makes \{\}, which is no nasx.search_spaces.space.SearchSpace"),
        ("users_module:number", "is 3, neither a nasx.search_spaces.space.SearchSpace nor a function that makes one"),
        ("users_broken:Mine", "the module 'users_broken' of the search space 'users_broken:Mine' fails: ZeroDivision"),
        ("users_needy:Mine", r"the module 'users_needy' of the .* needs 'a_package_nobody_has'"),
        ("users module:Mine", "unknown search space 'users module:Mine'.*one of your own is written"),
        ("nasbench", "unknown search space 'nasbench'; known: nasbench-graph"),
    ],
)
def test_a_wrong_address_is_one_sentence(folder: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        nasx.get_search_space(name)
    assert "\n" not in str(caught.value)


def test_registered_names(folder: Path) -> None:
    import users_module  # type: ignore[import-not-found]

    nasx.register_search_space("mine", users_module.Mine)
    nasx.register_search_space("later", "users_module:make_space", "a space for later")
    nasx.register_predictor("forest", users_module.Forest)
    nasx.register_strategy("sampler", "users_module:Sampler")
    assert nasx.get_search_space("mine").size == nasx.get_search_space("later").size == 4
    assert dict(search_spaces.available())["mine"] == "Two layers of my own (from users_module)"
    assert dict(search_spaces.available())["later"] == "a space for later (from users_module)"
    assert dict(predictors.available())["forest"] == "Trees of my own (from users_module)"
    assert dict(strategies.available())["sampler"] == "Samples of my own (from users_module)"
    result = nasx.search(
        "mine", lambda cell: cell.count("conv"), predictor="forest", strategy="sampler", budget=4, initial=2, batch=1
    )
    assert result.best == ("conv", "conv")
    with pytest.raises(UsageError, match=r"known: .*mine.*did you mean 'mine'"):
        nasx.get_search_space("mine2")


@pytest.mark.parametrize("name", ["nasbench201", "a:b", "a b", "", "a=b", "a/b", 3])
def test_names_that_cannot_be_taken(name: str) -> None:
    with pytest.raises(UsageError, match=r"choose another name|needs a name without"):
        nasx.register_search_space(name, dict)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["none", "random-forest", "trees"])
def test_predictor_names_that_cannot_be_taken(name: str) -> None:
    with pytest.raises(UsageError, match=r"choose another name"):
        nasx.register_predictor(name, "a.b:C")
    with pytest.raises(UsageError, match=r"is no address"):
        nasx.register_predictor("mine", "a.b.C")


def test_predictors_by_address(folder: Path) -> None:
    made = nasx.make_predictor("users_module:Forest", trees=5, seed=3)
    assert repr(made).startswith("Forest(trees=5")
    assert nasx.make_predictor("users_module:forest", seed=4).get_params()["trees"] == 7
    with pytest.raises(UsageError, match=r"unknown parameter of predictor 'users_module:Forest' 'tree'"):
        nasx.make_predictor("users_module:Forest", tree=5)
    with pytest.raises(UsageError, match=r"unknown parameter of predictor 'users_module:forest' 'tree'"):
        nasx.make_predictor("users_module:forest", tree=5)
    with pytest.raises(UsageError, match=r"unknown predictor 'tnas'.*did you mean 'tnasp'"):
        nasx.make_predictor("tnas:paper")
    with pytest.raises(UsageError, match=r"unknown predictor 'nar-former'"):
        nasx.make_predictor("nar-former:paper")


def test_a_predictor_that_others_have_added_is_loaded_again(folder: Path, tmp_path: Path) -> None:
    nasx.register_predictor("forest", "users_module:Forest")
    nasx.register_predictor("broken", "users_broken:Forest")
    space = nasx.get_search_space("users_module:Mine")
    graphs = space.graphs(list(space.enumerate()))
    fitted = nasx.make_predictor("forest", trees=5).fit(graphs, [1.0, 2.0, 3.0, 4.0])
    loaded = nasx.load_predictor(fitted.save(tmp_path / "saved"))
    assert type(loaded) is type(fitted)
    assert np.array_equal(loaded.predict(graphs), fitted.predict(graphs))


def test_strategies_by_address(folder: Path) -> None:
    space = nasx.get_search_space("users_module:Mine")
    rng = np.random.default_rng(0)
    assert len(nasx.make_strategy("users_module:Sampler", space, rng=rng).ask(3)) == 3
    with pytest.raises(UsageError, match=r"must be a subclass of nasx.strategies.base.Strategy"):
        nasx.make_strategy("users_module:Mine", space, rng=rng)
    with pytest.raises(UsageError, match=r"the strategy 'users_module:Demanding' cannot be made: TypeError"):
        nasx.make_strategy("users_module:Demanding", space, rng=rng)


def test_installed_packages_add_names_and_broken_ones_disturb_nobody(folder: Path) -> None:
    install(
        folder,
        "users-package",
        "[nasx.search_spaces]\nusers-space = users_module:Mine\nnasbench201 = users_module:Mine\n"
        "[nasx.predictors]\nusers-forest = users_module:Forest\n"
        "[nasx.strategies]\nusers-sampler = users_module:Sampler\n",
    )
    install(
        folder, "a-broken-package", "[nasx.search_spaces]\nbroken = users_broken:Mine\nusers-space = nowhere:Mine\n"
    )
    assert nasx.get_search_space("nasbench201").size == 15625
    assert nasx.make_predictor("users-forest").get_params()["trees"]
    lines = search_spaces.available()
    assert ("broken", dict(lines)["broken"]) in lines
    assert "cannot be imported from 'users_broken:Mine' (ZeroDivisionError" in dict(lines)["broken"]
    assert ("nasbench201", "cannot be used: the name is taken (users-package 1.2)") in lines
    assert ("users-space", "cannot be used: the name is taken (users-package 1.2)") in lines  # first come, first served
    assert dict(predictors.available())["users-forest"] == "Trees of my own (from users-package 1.2)"
    assert dict(strategies.available())["users-sampler"] == "Samples of my own (from users-package 1.2)"
    with pytest.raises(UsageError, match=r"the plug-in 'broken' of a-broken-package 1.2 cannot be imported"):
        nasx.get_search_space("broken")
    nasx.register_search_space("users-space", "users_module:Mine")  # a program knows best what it wants
    assert nasx.get_search_space("users-space").size == 4


def test_addresses_are_forms() -> None:
    assert is_address("a.b_c:D.e")
    for text in ("a", "a:", ":a", "a-b:c", "a:b:c", "1a:b", "a b:c", "nar-former-v2:paper"):
        assert not is_address(text)


def test_first_lines() -> None:
    class Silent(nasx.ChoiceSpace): ...

    assert first_line(Plugins) == "The plug-ins of one kind"
    assert first_line(Silent).endswith("Silent")
    space = nasx.ChoiceSpace("x", {"a": [1, 2]}, nasx.Graph.from_edges)
    assert first_line(space) == "ChoiceSpace 'x', 2 architectures"
