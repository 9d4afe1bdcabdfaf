"""The contract of spaces: what a space gets without doing anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.space import SearchSpace
from nasx.testing import check_search_space


class Chains(SearchSpace):
    """Chains of one to five operations; not enumerable, no parameters."""

    name = "chains"

    def sample(self, rng: np.random.Generator) -> str:
        return "".join(rng.choice(["a", "b"], size=rng.integers(1, 6)))

    def neighbours(self, architecture: str) -> list[str]:
        found = {
            architecture[:k] + other + architecture[k + 1 :]
            for k in range(len(architecture))
            for other in ("a", "b", "")
        }
        return sorted(found - {architecture, ""})

    def validate(self, architecture: Any) -> None:
        if not isinstance(architecture, str) or not 1 <= len(architecture) <= 5 or set(architecture) - {"a", "b"}:
            raise UsageError(f"a chain is one to five letters a or b; got {architecture!r}")

    def parse(self, text: str) -> str:
        self.validate(text)
        return text

    def format(self, architecture: str) -> str:
        return architecture

    def graph(self, architecture: str) -> Graph:
        labels = ["input", *architecture, "output"]
        return Graph.from_edges(labels, [(i, i + 1) for i in range(len(labels) - 1)])


def test_a_space_of_another_kind_needs_only_the_abstract_methods() -> None:
    check_search_space(Chains())


def test_what_a_space_does_not_have_is_explained() -> None:
    space = Chains()
    assert space.size is None
    for call in (lambda: space.index("a"), lambda: space.architecture(0), space.enumerate):
        with pytest.raises(UsageError, match="cannot be enumerated"):
            call()
    for call in (space.distributions, lambda: space.to_params("a"), lambda: space.from_params({})):
        with pytest.raises(UsageError, match="defines no Optuna parameters"):
            call()


def test_mutation_without_neighbours_is_explained() -> None:
    class Lonely(Chains):
        def neighbours(self, architecture: str) -> list[str]:
            return []

    with pytest.raises(UsageError, match="has no neighbour"):
        Lonely().mutate("a", np.random.default_rng(0))


def test_a_space_with_nothing_to_search_is_refused() -> None:
    from nasx.search_spaces.choice_space import ChoiceSpace
    from nasx.search_spaces.space import check_variety

    def same(chosen: dict) -> Graph:
        return Graph(["input", "output"], [[0, 1], [0, 0]])

    def rarely(chosen: dict) -> Graph:
        if chosen["a"] % 3:
            raise ValueError("three")
        return Graph([str(chosen["a"])], [[0]])

    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="one has one architecture only, so there is nothing to search"):
        check_variety(ChoiceSpace("one", {"a": [1]}, same), rng)
    with pytest.raises(UsageError, match="the graph of flat is the same for all architectures tried, like a=1 and"):
        check_variety(ChoiceSpace("flat", {"a": [1, 2]}, same), rng)
    check_variety(ChoiceSpace("rare", {"a": list(range(9))}, rarely), rng)
