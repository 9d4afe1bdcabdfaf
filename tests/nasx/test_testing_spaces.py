"""The conformance test of spaces finds what it is there to find, and says so."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from nasx.search_spaces.choice_space import ChoiceSpace
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.testing import check_search_space


def build(chosen: dict[str, Any]) -> Graph:
    labels = ["input", *[chosen["operation"]] * chosen["depth"], "output"]
    return Graph.from_edges(labels, [(i, i + 1) for i in range(len(labels) - 1)])


class Chains(ChoiceSpace):
    def __init__(self) -> None:
        super().__init__("chain", {"depth": [1, 2, 3, 4], "operation": ["a", "b", "c"]}, build)


class UnseededSample(Chains):
    def sample(self, rng: np.random.Generator) -> Any:
        return super().sample(np.random.default_rng())


class InvalidSample(Chains):
    def sample(self, rng: np.random.Generator) -> Any:
        return (5, "a")


class ShortSamples(Chains):
    def samples(self, n: int, rng: np.random.Generator) -> list[Any]:
        return super().samples(n, rng)[1:]


class Lists(Chains):
    def sample(self, rng: np.random.Generator) -> Any:
        return list(super().sample(rng))

    def samples(self, n: int, rng: np.random.Generator) -> list[Any]:
        return [list(a) for a in super().samples(n, rng)]

    def validate(self, architecture: Any) -> None:
        pass


class AcceptsAnything(Chains):
    def validate(self, architecture: Any) -> None:
        pass


class CrashingValidate(Chains):
    def validate(self, architecture: Any) -> None:
        self.choices["depth"].index(architecture[0])


class LossyFormat(Chains):
    def format(self, architecture: Any) -> str:
        return super().format((1, architecture[1]))


class LenientParse(Chains):
    def parse(self, text: str) -> Any:
        return super().parse(text or "depth=1,operation=a")


class CrashingParse(Chains):
    def parse(self, text: str) -> Any:
        return super().parse(text) if text else {}["no text"]


class LazyMutation(Chains):
    def mutate(self, architecture: Any, rng: np.random.Generator) -> Any:
        return architecture


class InvalidCrossover(Chains):
    def crossover(self, first: Any, second: Any, rng: np.random.Generator) -> Any:
        return (0, first[1])


class RepeatedNeighbours(Chains):
    def neighbours(self, architecture: Any) -> list[Any]:
        return super().neighbours(architecture) * 2


class OwnNeighbour(Chains):
    def neighbours(self, architecture: Any) -> list[Any]:
        return [*super().neighbours(architecture), architecture]


class FarNeighbours(Chains):
    def neighbours(self, architecture: Any) -> list[Any]:
        return [(depth, op) for depth in (1, 2, 3, 4) for op in "abc" if (depth, op) != architecture]


class OtherGraphs(Chains):
    def graphs(self, architectures: Any) -> Any:
        return super().graphs(list(architectures)[::-1])


class ConstantKey(Chains):
    def canonical_key(self, architecture: Any) -> str:
        return "key"


class TooFineKey(Chains):
    def graph(self, architecture: Any) -> Graph:
        return super().graph((1, architecture[1]))

    def canonical_key(self, architecture: Any) -> str:
        return self.format(architecture)


class WrongSize(Chains):
    @property
    def size(self) -> int:
        return 11


class ShiftedIndex(Chains):
    def index(self, architecture: Any) -> int:
        return (super().index(architecture) + 1) % 12


class RepeatingEnumeration(Chains):
    def enumerate(self) -> Any:
        return iter([(1, "a")] * 12)


class ForgetfulParameters(Chains):
    def to_params(self, architecture: Any) -> dict[str, Any]:
        return {"depth": architecture[0]}


class WrongParameters(Chains):
    def to_params(self, architecture: Any) -> dict[str, Any]:
        return {**super().to_params(architecture), "depth": 1}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (UnseededSample, "sample of chain gave other architectures for the same seed"),
        (InvalidSample, "sample of chain drew .* which validate refuses"),
        (ShortSamples, "must return a list of 50 architectures"),
        (Lists, "not hashable and JSON-able"),
        (AcceptsAnything, "validate of chain accepted None"),
        (CrashingValidate, "validate of chain raised TypeError"),
        (LossyFormat, r"parse\(format\(a\)\) of chain is"),
        (LenientParse, "parse of chain accepted ''"),
        (CrashingParse, "parse of chain raised KeyError"),
        (LazyMutation, "mutate of chain.* returned the architecture itself"),
        (InvalidCrossover, "crossover of chain.* which validate refuses"),
        (RepeatedNeighbours, "holds an architecture twice"),
        (OwnNeighbour, "holds the architecture itself"),
        (FarNeighbours, "2 changes away"),
        (OtherGraphs, r"graphs\(architectures\) of chain differs"),
        (ConstantKey, "canonical_key of chain is equal for .* not isomorphic"),
        (TooFineKey, "canonical_key of chain differs for .* isomorphic"),
        (WrongSize, "of chain"),
        (ShiftedIndex, r"architecture\(index\(a\)\) of chain is not a"),
        (RepeatingEnumeration, "enumerate of chain"),
        (ForgetfulParameters, "to_params of chain has"),
        (WrongParameters, r"from_params\(to_params\(a\)\) of chain is not a"),
    ],
)
def test_faults_are_found_and_named(space: type[Chains], message: str) -> None:
    check_search_space(Chains())
    with pytest.raises(AssertionError, match=message):
        check_search_space(space())


def chain(chosen: dict[str, Any]) -> Graph:
    labels = ["input", *(f"{key}{value}" for key, value in chosen.items()), "output"]
    return Graph.from_edges(labels, [(i, i + 1) for i in range(len(labels) - 1)])


class Forgetful(ChoiceSpace):
    def __init__(self) -> None:
        self.depth = 3


class Crashing(Chains):
    def neighbours(self, architecture: Any) -> list[Any]:
        return [{}[architecture]]  # type: ignore[misc]


COUNT = itertools.count()
TWO: dict[str, Any] = {"a": [1, 2], "b": [3, 4]}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ChoiceSpace("x", {"a": [1]}, chain), "x has one architecture only"),
        (lambda: ChoiceSpace("x", TWO, lambda c: build({"depth": 1, "operation": "a"})), "is the same for all archi"),
        (lambda: ChoiceSpace("x", TWO, lambda c: chain({"a": c["a"]})), "choice 'b' of x does not show in the graph"),
        (lambda: ChoiceSpace("x", TWO, lambda c: Graph([str((c, next(COUNT)))], [[0]])), "differs between two calls"),
        (
            lambda: ChoiceSpace("x", TWO, lambda c: chain({"b": c["b"], **c}), conditions={"b": {"a": [2]}}),
            "fails for 1 of the configurations drawn, such as a=1: KeyError: 'b' is not among a; choices whose",
        ),
        (lambda: ChoiceSpace("x", TWO, lambda c: Graph(["in", "out"], [[0, 0], [1, 0]])), "edge 1>0 does not point to"),
        (lambda: ChoiceSpace("x", TWO, list), r"it returned \['a', 'b'\]; it must return a nasx.Graph"),
        (
            lambda: ChoiceSpace("x", TWO, chain, is_valid=lambda c: c["c"]),
            "is_valid of x fails for a=.: *KeyError|a=1,b",
        ),
        (lambda: ChoiceSpace("x", TWO, chain, is_valid=lambda c: False), "none of 1000 random combinations of x"),
        (lambda: Chains, r"takes a space, not its class; call it: Chains\(\)"),
        (lambda: "nasbench201", "a search space is an object of a SearchSpace or ChoiceSpace; got 'nasbench201'"),
        (Forgetful, r"__init__ of Forgetful must call super\(\).__init__\(name, choices, build\)"),
        (Crashing, r"neighbours of chain raised KeyError: "),
    ],
)
def test_the_mistakes_of_authors_are_one_sentence(make: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message) as raised:
        check_search_space(make())
    assert "\n" not in str(raised.value)


def test_a_space_with_numbers_on_its_nodes_passes() -> None:
    def numbered(chosen: dict[str, Any]) -> Graph:
        adjacency = [[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
        table = [[0], [chosen["a"]], [chosen["b"]], [0]]
        return Graph(["input", "conv", "conv", "output"], adjacency, {}, table, ["width"])

    check_search_space(ChoiceSpace("numbered", TWO, numbered), samples=5)


def test_a_space_without_parameters_passes() -> None:
    class NoParameters(Chains):
        def distributions(self) -> Any:
            raise UsageError("no parameters")

    check_search_space(NoParameters())
