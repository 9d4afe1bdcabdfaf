"""Spaces of choices: everything that comes for free."""

from __future__ import annotations

import pickle
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasx.search_spaces.choice_space import ChoiceSpace
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.testing import check_search_space

CHOICES = {"depth": [1, 2, 3], "operation": ["conv", "pool"], "residual": [True, False, None], "ratio": [0.5, 1.5]}


def build(chosen: dict[str, Any]) -> Graph:
    """A chain; every choice shows in the graph."""
    inner = [f"{chosen['operation']}-{chosen['residual']}-{chosen['ratio']}"] * chosen["depth"]
    labels = ["input", *inner, "output"]
    return Graph.from_edges(labels, [(i, i + 1) for i in range(len(labels) - 1)])


def shallow_or_pool(chosen: dict[str, Any]) -> bool:
    return chosen["depth"] < 3 or chosen["operation"] == "pool"


def test_conformance() -> None:
    check_search_space(ChoiceSpace("chain", CHOICES, build))
    check_search_space(ChoiceSpace("chain", CHOICES, build, is_valid=shallow_or_pool))


def test_conformance_of_a_space_too_large_to_number() -> None:
    def labels(chosen: dict[str, Any]) -> Graph:
        operations = ["input", *chosen.values(), "output"]
        return Graph.from_edges(operations, [(i, i + 1) for i in range(len(operations) - 1)])

    space = ChoiceSpace("huge", {f"layer_{k}": [str(option) for option in range(10)] for k in range(30)}, labels)
    assert space.size == 10**30
    check_search_space(space, samples=5)
    constrained = ChoiceSpace("huge", space.choices, labels, is_valid=lambda chosen: chosen["layer_0"] != "0")
    assert constrained.size is None
    check_search_space(constrained, samples=5)


def test_text_form() -> None:
    space = ChoiceSpace("chain", CHOICES, build)
    assert space.format((2, "pool", None, 0.5)) == "depth=2,operation=pool,residual=None,ratio=0.5"
    assert space.parse(" ratio = 1.5, operation=conv,residual=True,depth=1") == (1, "conv", True, 1.5)
    for text, message in {
        "depth=2": "operation, residual, ratio not chosen",
        "depth=9,operation=conv": "unknown value of depth in chain '9'; known: 1, 2, 3",
        "dept=1": r"unknown choice of chain 'dept'.*did you mean 'depth'",
        "depth=1,depth=2": "chosen twice",
        "depth": "is no choice; architectures of chain are written like 'depth=1,",
    }.items():
        with pytest.raises(UsageError, match=message):
            space.parse(text)


def test_values_are_brought_into_the_form_of_the_options() -> None:
    space = ChoiceSpace("chain", CHOICES, build)
    architecture = space.from_params({"depth": 2.0, "operation": "conv", "residual": True, "ratio": 0.5})
    assert architecture == (2, "conv", True, 0.5)
    assert isinstance(architecture[0], int)
    with pytest.raises(UsageError, match="unknown value of ratio in chain"):
        space.from_params({"depth": 2, "operation": "conv", "residual": True, "ratio": 2})


@pytest.mark.parametrize(
    "wrong", [(1, "conv", True), [1, "conv", True, 0.5], (1, "conv", 1, 0.5), (1.0, "conv", True, 0.5)]
)
def test_values_that_are_no_architecture(wrong: Any) -> None:
    space = ChoiceSpace("chain", CHOICES, build)
    assert not space.is_valid(wrong)
    with pytest.raises(UsageError):
        space.index(wrong)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, "at least one choice"),
        ({"a": []}, "choice 'a' has no options"),
        ({"a": [1, 1.0]}, "has an option twice"),
        ({"a": ["1", 1]}, "has an option twice"),
        ({"a": ["1,2"]}, "could not be parsed"),
        ({"a": [(1, 2)]}, "options are text, numbers"),
        ({"a=b": [1]}, "a choice needs a name"),
    ],
)
def test_choices_that_make_no_space(choices: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ChoiceSpace("broken", choices, build)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 35), st.integers(0, 2**32))
def test_mutation_changes_one_choice(index: int, seed: int) -> None:
    space = ChoiceSpace("chain", CHOICES, build)
    architecture = space.architecture(index)
    mutant = space.mutate(architecture, np.random.default_rng(seed))
    assert mutant in space.neighbours(architecture)


def test_sampling_and_mutation_are_uniform() -> None:
    rng = np.random.default_rng(0)
    for is_valid in (None, shallow_or_pool):
        space = ChoiceSpace("chain", CHOICES, build, is_valid=is_valid)
        assert space.size is not None
        counts = Counter(space.samples(200 * space.size, rng))
        assert len(counts) == space.size
        assert min(counts.values()) > 130
        neighbours = space.neighbours((2, "conv", True, 0.5))
        moved = Counter(space.mutate((2, "conv", True, 0.5), rng) for _ in range(200 * len(neighbours)))
        assert set(moved) == set(neighbours)
        assert min(moved.values()) > 130


def test_constrained_space_counts_only_what_is_allowed() -> None:
    space = ChoiceSpace("chain", CHOICES, build, is_valid=shallow_or_pool)
    assert space.size == 30
    assert [space.index(architecture) for architecture in space.enumerate()] == list(range(30))
    with pytest.raises(UsageError, match="the combination depth=3,operation=conv,residual=True"):
        space.validate((3, "conv", True, 0.5))


def named(chosen: dict[str, Any]) -> Graph:
    """A graph of one node that says everything."""
    return Graph([str(chosen)], [[0]])


def picky(chosen: dict[str, Any]) -> Graph:
    """A third of the configurations has no graph."""
    if chosen["a"] == chosen["b"]:
        raise ValueError("a and b are equal")
    return named(chosen)


def test_configurations_without_a_graph_are_passed_over() -> None:
    rng = np.random.default_rng(0)
    space = ChoiceSpace("picky", {"a": [1, 2, 3], "b": [1, 2, 3], "c": list(range(5))}, picky)
    drawn = [*space.samples(60, rng), *(space.sample(rng) for _ in range(60))]
    assert all(a != b for a, b, _ in drawn)
    assert len(set(drawn)) > 20
    for architecture in drawn:
        moved = [space.mutate(architecture, rng), space.crossover(architecture, drawn[0], rng)]
        assert all(a != b for a, b, _ in [*moved, *space.neighbours(architecture)])
    assert space.failures
    assert all(a == b and said == "ValueError: a and b are equal" for (a, b, _), said in space.failures.items())
    assert space.is_valid((1, 1, 0))  # it can be written; it has no graph
    for call in (space.graph, space.canonical_key, lambda a: space.from_params(space.to_params(a))):
        with pytest.raises(UsageError, match="graph function of picky fails for a=1,b=1,c=0: ValueError: a and b are"):
            call((1, 1, 0))


@pytest.mark.parametrize("options", [[1, 2], list(range(1000))])
def test_a_function_that_always_fails_says_so(options: list[int]) -> None:
    space = ChoiceSpace("broken", {"a": options, "b": [1, 2]}, lambda chosen: chosen["c"])
    with pytest.raises(UsageError, match=r"the graph function of broken fails for a=.*: KeyError: 'c'"):
        space.sample(np.random.default_rng(0))
    with pytest.raises(UsageError, match=r"the graph function of broken fails for a=.*: KeyError: 'c'"):
        space.neighbours((1, 1))


def test_graphs_are_made_once_until_they_are_forgotten() -> None:
    calls = []

    def counted(chosen: dict[str, Any]) -> Graph:
        calls.append(chosen)
        return named(chosen)

    space = ChoiceSpace("counted", {"a": [1, 2, 3]}, counted)
    graphs = [space.graph(architecture) for architecture in space.samples(50, np.random.default_rng(0))]
    assert len(calls) == len(set(graphs)) == 3
    copy = pickle.loads(pickle.dumps(ChoiceSpace("named", {"a": [1, 2, 3]}, named)))
    assert copy.graph((1,)) == space.graph((1,))
    space.forget()
    assert space.graph((1,)) in graphs
    assert len(calls) == 4


def test_is_valid_that_fails_is_one_sentence() -> None:
    conditions = {"b": {"a": [2]}}
    space = ChoiceSpace("x", {"a": [1, 2], "b": [1, 2]}, named, is_valid=lambda c: c["b"] > 0, conditions=conditions)
    with pytest.raises(UsageError, match="is_valid of x fails for a=1: KeyError: 'b'; choices that do not exist are"):
        space.size  # noqa: B018


def test_mutation_where_no_neighbour_is_allowed() -> None:
    def same(chosen: dict[str, Any]) -> bool:
        return chosen["a"] == chosen["b"]

    space = ChoiceSpace("diagonal", {"a": [1, 2], "b": [1, 2]}, named, is_valid=same)
    assert space.neighbours((1, 1)) == []
    assert space.mutate((1, 1), np.random.default_rng(0)) == (2, 2)
    single = ChoiceSpace("single", {"a": [1]}, named)
    with pytest.raises(UsageError, match="has only one architecture"):
        single.mutate((1,), np.random.default_rng(0))


def test_a_space_without_valid_combinations_says_so() -> None:
    space = ChoiceSpace("empty", {"a": [1, 2]}, build, is_valid=lambda chosen: False)
    with pytest.raises(UsageError, match="none of 1000 random combinations"):
        space.sample(np.random.default_rng(0))


def test_spaces_of_named_functions_can_be_sent_to_other_processes() -> None:
    space = pickle.loads(pickle.dumps(ChoiceSpace("chain", CHOICES, build)))
    assert space.size == 36
