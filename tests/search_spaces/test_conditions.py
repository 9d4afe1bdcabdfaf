"""Choices under conditions: counted, numbered, drawn, moved and written."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasx.search_spaces.choice_space import ChoiceSpace
from nasx.search_spaces.conditions import ConditionalChoices, _below
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.strategies import make_strategy
from nasx.testing import check_search_space

CHOICES: dict[str, Any] = {
    "depth": range(1, 4),
    "width": [8, 16],
    "kernel_1": [3, 5],
    "kernel_2": [3, 5],
    "kernel_3": [3, 5, 7],
    "pool": ["none", "max"],
    "stride": [1, 2],
}
CONDITIONS: dict[str, dict[str, Any]] = {
    "kernel_2": {"depth": [2, 3]},
    "kernel_3": {"depth": [3]},
    "stride": {"pool": ["max"], "depth": [2, 3]},
}


def build(chosen: dict[str, Any]) -> Graph:
    """A chain in which every choice shows."""
    layers = [f"conv{chosen[f'kernel_{layer}']}" for layer in range(1, chosen["depth"] + 1)]
    labels = ["input", f"width{chosen['width']}", *layers, f"{chosen['pool']}{chosen.get('stride', '')}", "output"]
    return Graph.from_edges(labels, [(i, i + 1) for i in range(len(labels) - 1)])


def make(**options: Any) -> ChoiceSpace:
    return ChoiceSpace("layers", CHOICES, build, conditions=CONDITIONS, **options)


def narrow(chosen: dict[str, Any]) -> bool:
    return chosen["width"] == 8 or chosen.get("kernel_3") != 7


def test_conformance() -> None:
    assert make().size == 2 * 2 * (1 * 2 + 2 * (1 + 2) + 6 * (1 + 2))
    check_search_space(make())
    constrained = make(is_valid=narrow)
    assert constrained.size == sum(narrow(make().choice(architecture)) for architecture in make().enumerate())
    check_search_space(constrained)


def test_conformance_of_a_deep_space() -> None:
    """Forty layers, each with its own operation: 10^24 configurations, counted by depth."""

    def deep(chosen: dict[str, Any]) -> Graph:
        labels = ["input", *(value for key, value in chosen.items() if key != "depth"), "output"]
        return Graph.from_edges(labels, [(i, i + 1) for i in range(len(labels) - 1)])

    layers = {f"layer_{k}": ["conv", "pool", "skip", "wide"] for k in range(40)}
    when = {f"layer_{k}": {"depth": range(k + 1, 41)} for k in range(1, 40)}
    space = ChoiceSpace("deep", {"depth": range(1, 41), **layers}, deep, conditions=when)
    assert space.size == sum(4**depth for depth in range(1, 41))
    check_search_space(space, samples=3)
    assert space.sample(np.random.default_rng(0))[0] > 30  # uniform over configurations, not over depths


def test_forty_switches_and_what_they_switch() -> None:
    switches = {f"switch_{k}": [False, True] for k in range(40)}
    lamps = {f"lamp_{k}": ["red", "blue"] for k in range(40)}
    when = {f"lamp_{k}": {f"switch_{k}": [True]} for k in range(40)}
    assert ConditionalChoices({**switches, **lamps}, when).count == 3**40
    entangled = {f"lamp_{k}": {f"switch_{k}": [True], "switch_0": [True]} for k in range(1, 40)}
    with pytest.raises(UsageError, match="declare each conditional choice right after"):
        ConditionalChoices({**switches, **lamps}, entangled)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_numbers_of_configurations(data: st.DataObject) -> None:
    """Against plain enumeration, for random conditions."""
    count = data.draw(st.integers(1, 5))
    options = {f"c{k}": tuple(range(data.draw(st.integers(1, 3)))) for k in range(count)}
    conditions: dict[str, dict[str, list[int]]] = {}
    for child in range(1, count):
        parents = data.draw(st.sets(st.integers(0, child - 1), max_size=2))
        rules = {f"c{p}": data.draw(st.lists(st.sampled_from(options[f"c{p}"]), min_size=1)) for p in sorted(parents)}
        if rules:
            conditions[f"c{child}"] = rules
    choices = ConditionalChoices(options, conditions)
    plain: list[tuple[Any, ...]] = [()]
    for place in range(count):
        plain = [
            (*values, option)
            for values in plain
            for option in (options[f"c{place}"] if choices.exists(place, values) else (None,))
        ]
    listed = list(choices)
    assert sorted(map(repr, listed)) == sorted(map(repr, plain))
    assert choices.count == len(plain)
    assert [choices.configuration(number) for number in range(choices.count)] == listed
    assert [choices.number(values) for values in listed] == list(range(choices.count))


def test_sampling_is_uniform_and_mutation_reaches_everything() -> None:
    space, rng = make(), np.random.default_rng(0)
    assert space.size is not None
    counts = Counter(space.samples(100 * space.size, rng))
    assert len(counts) == space.size
    assert min(counts.values()) > 60
    seen, here = set(), space.sample(rng)
    for _ in range(6000):
        here = space.mutate(here, rng)
        seen.add(here)
    assert len(seen) == space.size


def test_text_and_parameters() -> None:
    space = make()
    shallow = space.parse("depth=1,width=8,kernel_1=5,pool=max")
    assert shallow == (1, 8, 5, None, None, "max", None)
    assert space.format(shallow) == "depth=1,width=8,kernel_1=5,pool=max"
    assert space.to_params(shallow)["kernel_3"] == 3
    assert space.from_params({"depth": 1, "width": 8, "kernel_1": 5, "pool": "max"}) == shallow
    assert space.distributions()["depth"].high == 3  # type: ignore[attr-defined]
    for text, message in {
        "depth=1,width=8,kernel_1=5,kernel_2=3,pool=max": "kernel_2 exists in layers only where depth is 2 or 3",
        "depth=2,width=8,kernel_1=5,pool=max": "kernel_2, stride not chosen",
    }.items():
        with pytest.raises(UsageError, match=message):
            space.parse(text)
    with pytest.raises(UsageError, match="stride exists in layers only where pool is max and depth is 2 or 3"):
        space.validate((1, 8, 5, None, None, "max", 2))
    with pytest.raises(UsageError, match="unknown value of kernel_2 in layers 'None'"):
        space.validate((2, 8, 5, None, None, "none", None))


def test_crossover_takes_what_exists() -> None:
    space, rng = make(), np.random.default_rng(0)
    for _ in range(200):
        first, second = space.samples(2, rng)
        child = space.crossover(first, second, rng)
        for place, value in enumerate(child):
            known = {parent[place] for parent in (first, second)} - {None}
            assert value is None or not known or value in known


@pytest.mark.parametrize("strategy", ["evolution", "local-search", "tpe"])
def test_strategies_search_it(strategy: str) -> None:
    space = make()
    searcher = make_strategy(strategy, space, rng=np.random.default_rng(0))
    for _ in range(15):
        asked = searcher.ask(2)
        searcher.tell(asked, [float(sum(value is not None for value in a)) for a in asked])
        assert all(space.is_valid(architecture) for architecture in asked)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"kernel_9": {"depth": [2]}}, "unknown choice in conditions 'kernel_9'"),
        ({"kernel_2": {"dept": [2]}}, "did you mean 'depth'"),
        ({"kernel_2": {"depth": [9]}}, "unknown value of depth in the condition of 'kernel_2' '9'; known: 1, 2, 3"),
        ({"kernel_2": {"depth": []}}, "needs a list of values"),
        ({"kernel_2": {"pool": "max"}}, "must be declared before|needs a list"),
        ({"depth": {"width": [8]}}, "'depth' depends on 'width', which must be declared before it"),
        ({"kernel_2": [2]}, "must look like"),
    ],
)
def test_conditions_that_make_no_sense(conditions: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ChoiceSpace("layers", CHOICES, build, conditions=conditions)


def test_none_is_no_option_of_a_conditional_choice() -> None:
    with pytest.raises(UsageError, match="None cannot be one of its options"):
        ChoiceSpace("x", {"a": [1, 2], "b": [None, 1]}, build, conditions={"b": {"a": [1]}})


def single(chosen: dict[str, Any]) -> Graph:
    """A graph of one node that says everything."""
    return Graph([str(chosen)], [[0]])


def test_ranges_are_whole_numbers_in_order() -> None:
    from optuna.distributions import IntDistribution

    space = ChoiceSpace(
        "x", {"a": range(8, 1, -2), "b": range(3, 4), "c": [1, 2]}, lambda chosen: Graph([str(chosen)], [[0]])
    )
    found = space.distributions()
    assert found["a"] == IntDistribution(2, 8, step=2)
    assert found["b"] == IntDistribution(3, 3)
    assert space.size == 8
    assert space.from_params({"a": 4, "b": 3, "c": 2}) == (4, 3, 2)


def test_a_graph_function_that_fails_names_the_configuration() -> None:
    def cyclic(chosen: dict[str, Any]) -> Graph:
        return Graph.from_edges(["input", "a", "b", "output"], [(0, 1), (1, 2), (2, 1), (2, 3)])

    def raises(chosen: dict[str, Any]) -> Graph:
        raise KeyError("kernel")

    for function, message in (
        (cyclic, "the graph function of x fails for a=1: .*cycle"),
        (raises, "the graph function of x fails for a=1: KeyError: 'kernel'"),
        (lambda chosen: None, "the graph function of x fails for a=1: it returned None; it must return a nasx.Graph"),
    ):
        with pytest.raises(UsageError, match=message):
            ChoiceSpace("x", {"a": [1, 2]}, function).graph((1,))


def test_one_of_several_conditions_is_enough() -> None:
    options = {"a": (1, 2), "b": ("x", "y"), "c": (1, 2, 3)}
    either = [{"a": [2]}, {"a": [1], "b": ["y"]}]
    choices = ConditionalChoices(options, {"c": either})
    assert choices.count == len(set(choices)) == 6 + 3 + 1
    assert [choices.number(values) for values in choices] == list(range(10))
    assert choices.reason("c") == "a is 2, or a is 1 and b is y"
    assert (1, "x", None) in set(choices)
    assert choices.settled((1, "x", 3), lambda place: 0) == (1, "x", None)
    with pytest.raises(UsageError, match=r"the condition of 'c' must look like \{'depth': \[2, 3\]\}; got \[\]"):
        ConditionalChoices(options, {"c": []})


def test_numbers_below_a_large_limit() -> None:
    rng = np.random.default_rng(0)
    limit = 3 * 2**80
    drawn = [_below(limit, rng) for _ in range(300)]
    assert max(drawn) < limit
    assert 0.4 < np.mean(drawn) / limit < 0.6


def test_a_space_with_one_graph_for_everything_is_found_out() -> None:
    space = ChoiceSpace("blind", {"width": [1, 2, 3]}, lambda chosen: Graph.from_edges(["input", "output"], [(0, 1)]))
    with pytest.raises(AssertionError, match="the graph of blind is the same for all architectures tried"):
        check_search_space(space)
