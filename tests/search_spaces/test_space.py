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
