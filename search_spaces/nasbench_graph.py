"""NAS-Bench-Graph: 26,206 graph neural networks of four operations each.

Source: Y. Qin et al., "NAS-Bench-Graph: Benchmarking Graph Neural Architecture Search", NeurIPS 2022; the normal form
and the keys are those of the package ``nas-bench-graph`` (``Arch.valid_hash``).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import UsageError, unknown
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.space import SearchSpace

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

OPERATIONS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")  # in the order of the keys
PROTEINS_OPERATIONS = ("gcn", "sage", "arma", "fc", "skip")  # what was trained on the data set proteins
LINKS = (  # where each operation takes its input: 0 the network's input, k the k-th operation
    (0, 0, 0, 0),
    (0, 0, 0, 1),
    (0, 0, 1, 1),
    (0, 0, 1, 2),
    (0, 0, 1, 3),
    (0, 1, 1, 1),
    (0, 1, 1, 2),
    (0, 1, 2, 2),
    (0, 1, 2, 3),
)
VOCABULARY = ("input", *OPERATIONS, "output")

_CODE = {operation: code for code, operation in enumerate(OPERATIONS)}
_SKIP = _CODE["skip"]
_LINK_NUMBER: dict[tuple[int, ...], int] = {links: number for number, links in enumerate(LINKS)}

Links = tuple[int, ...]
Codes = tuple[int, ...]


class GraphNetwork(NamedTuple):
    """An architecture of NAS-Bench-Graph in normal form.

    Attributes:
        links: For each operation where its input comes from: 0 the network's input, k the k-th operation.
        operations: The four operations. Those that nobody reads feed the output.

    >>> NASBenchGraph().architecture(0)
    GraphNetwork(links=(0, 0, 0, 0), operations=('gat', 'gat', 'gat', 'gat'))
    """

    links: tuple[int, ...]
    operations: tuple[str, ...]


class NASBenchGraph(SearchSpace):
    """The architectures of NAS-Bench-Graph.

    Each of four operations reads the network's input or one earlier operation. The normal form puts skip connections
    in front where that computes the same, then takes the smallest numbering; the index follows the keys of the
    package's tables. Neighbours differ, before that, in one operation or one link. The text form is
    ``links|operations``.

    Args:
        proteins: Keep to the five operations that were trained on the data set ``proteins`` (2,021 architectures).

    >>> space = NASBenchGraph()
    >>> space.parse("0,1,2,1|gcn,gin,fc,cheb")
    GraphNetwork(links=(0, 1, 1, 2), operations=('gcn', 'gin', 'cheb', 'fc'))
    >>> space.graph(space.parse("0,0,0,1|gcn,gat,fc,gin"))
    Graph(input, gcn, gat, fc, gin, output; 0>1 0>2 0>3 1>4 2>5 3>5 4>5)
    >>> space.size, NASBenchGraph(proteins=True).size
    (26206, 2021)
    """

    def __init__(self, proteins: bool = False) -> None:
        self.name = "nasbench-graph-proteins" if proteins else "nasbench-graph"
        self.operations = PROTEINS_OPERATIONS if proteins else OPERATIONS

    def network(self, links: Sequence[int], operations: Sequence[str]) -> GraphNetwork:
        """Returns the normal form of four links and four operations, as the package's ``valid_hash`` finds it.

        Raises:
            UsageError: If there are not four of each, a link leads forward, an operation is unknown, or all are skip.
        """
        links, operations = tuple(links), tuple(operations)
        if len(links) != 4 or len(operations) != 4:
            raise UsageError(f"{self.name} has four links and four operations; got {links} and {operations}")
        for place, link in enumerate(links):
            if link not in range(place + 1):
                raise UsageError(f"link {place + 1} must be the input, 0, or an earlier operation; got {link!r}")
        for operation in operations:
            if operation not in self.operations:
                raise unknown(f"operation of {self.name}", operation, self.operations)
        codes = tuple(_CODE[operation] for operation in operations)
        if codes == (_SKIP,) * 4:
            raise UsageError(f"four times skip computes nothing; no architecture of {self.name} is made of skip alone")
        return _network(*_normal_form(links, codes))

    def sample(self, rng: np.random.Generator) -> GraphNetwork:
        """Draws one architecture uniformly."""
        return self._all[int(rng.integers(len(self._all)))]

    def neighbours(self, architecture: GraphNetwork) -> list[GraphNetwork]:
        """Returns all architectures with one other operation or one other link, in normal form."""
        self.validate(architecture)
        links, operations = architecture
        codes = tuple(_CODE[operation] for operation in operations)
        allowed = [_CODE[operation] for operation in self.operations]
        variants = [(links, (*codes[:k], code, *codes[k + 1 :])) for k in range(4) for code in allowed]
        variants += [((*links[:k], link, *links[k + 1 :]), codes) for k in range(4) for link in range(k + 1)]
        normal = dict.fromkeys(_normal_form(*variant) for variant in variants if variant[1] != (_SKIP,) * 4)
        return [other for other in itertools.starmap(_network, normal) if other != architecture]

    def mutate(self, architecture: GraphNetwork, rng: np.random.Generator) -> GraphNetwork:
        """Changes one operation (four times in five) or one link."""
        links, operations = architecture
        for _ in range(20):
            place = int(rng.integers(4))
            if rng.random() < 0.8:
                other = self.operations[int(rng.integers(len(self.operations)))]
                changed = links, (*operations[:place], other, *operations[place + 1 :])
            else:
                link = int(rng.integers(place + 1))
                changed = (*links[:place], link, *links[place + 1 :]), operations
            codes = tuple(_CODE[operation] for operation in changed[1])
            if codes != (_SKIP,) * 4:
                mutant = _network(*_normal_form(changed[0], codes))
                if mutant != architecture:
                    return mutant
        return super().mutate(architecture, rng)

    def crossover(self, first: GraphNetwork, second: GraphNetwork, rng: np.random.Generator) -> GraphNetwork:
        """Takes each link and each operation from one of the two; the first if only skips would be left."""
        coins = int(rng.integers(256))
        parents = first, second
        links = tuple(parents[coins >> k & 1].links[k] for k in range(4))
        codes = tuple(_CODE[parents[coins >> 4 + k & 1].operations[k]] for k in range(4))
        return first if codes == (_SKIP,) * 4 else _network(*_normal_form(links, codes))

    def validate(self, architecture: GraphNetwork) -> None:
        """Checks that the value is a ``GraphNetwork`` in normal form.

        Raises:
            UsageError: If it is not.
        """
        try:
            known = architecture in self._position
        except TypeError:  # unhashable
            known = False
        if not known:
            self._explain(architecture)

    def parse(self, text: str) -> GraphNetwork:
        """Reads ``0,1,2,1|gcn,gin,fc,cheb`` and brings it into normal form.

        Raises:
            UsageError: If the text is malformed or describes no architecture of the space.
        """
        links, bar, operations = str(text).partition("|")
        try:
            numbers = [int(link) for link in links.split(",")]
        except ValueError:
            numbers = []
        if not bar or not numbers:
            raise UsageError(
                f"'{text}' is no {self.name} architecture; write links|operations, like 0,1,2,1|gcn,gin,fc,cheb"
            )
        return self.network(numbers, [operation.strip() for operation in operations.split(",")])

    def format(self, architecture: GraphNetwork) -> str:
        """Returns ``links|operations``."""
        self.validate(architecture)
        return f"{','.join(map(str, architecture.links))}|{','.join(architecture.operations)}"

    def graph(self, architecture: GraphNetwork) -> Graph:
        """Returns six nodes: input, the four operations, output; operations that nobody reads feed the output."""
        self.validate(architecture)
        labels = ("input", *architecture.operations, "output")
        return Graph.trusted(labels, _adjacency()[_LINK_NUMBER[architecture.links]])

    def graphs(self, architectures: Sequence[GraphNetwork]) -> GraphBatch:
        """Returns the graphs, ``(B, 6)`` nodes, codes into input, the nine operations, output."""
        for architecture in architectures:
            self.validate(architecture)
        count = len(architectures)
        operations = np.zeros((count, 6), dtype=np.int16)
        codes = [[_CODE[operation] for operation in architecture.operations] for architecture in architectures]
        operations[:, 1:5] = np.array(codes, dtype=np.int16).reshape(count, 4) + 1
        operations[:, 5] = len(VOCABULARY) - 1
        numbers = np.array([_LINK_NUMBER[architecture.links] for architecture in architectures], dtype=np.int64)
        return GraphBatch(operations, _adjacency()[numbers], np.full(count, 6), VOCABULARY)

    def table_key(self, architecture: GraphNetwork) -> int:
        """Returns the key under which the package's tables hold the architecture (``Arch.valid_hash``).

        >>> NASBenchGraph().table_key(GraphNetwork((0, 0, 0, 1), ("gcn", "gat", "fc", "gin")))
        11072
        """
        self.validate(architecture)
        return _key(_LINK_NUMBER[architecture.links], tuple(_CODE[name] for name in architecture.operations))

    def from_table_key(self, key: int) -> GraphNetwork:
        """Returns the architecture that the package's tables hold under a key.

        Raises:
            UsageError: If it is no key of this space.
        """
        digits = [int(key) // 10**place % 10 for place in (4, 3, 2, 1, 0)]
        if 0 <= key < 10**5 and max(digits) < 9:
            found = GraphNetwork(LINKS[digits[0]], tuple(OPERATIONS[digit] for digit in digits[1:]))
            if found in self._position:
                return found
        raise UsageError(f"{key} is no key of {self.name}; keys are five digits 0..8, links and four operations")

    @property
    def size(self) -> int:
        """The number of architectures."""
        return len(self._all)

    def index(self, architecture: GraphNetwork) -> int:
        """Returns the position in the order of the keys."""
        self.validate(architecture)
        return self._position[architecture]

    def architecture(self, index: int) -> GraphNetwork:
        """Returns the architecture at a position in the order of the keys."""
        return self._all[self._checked_index(index)]

    def distributions(self) -> dict[str, BaseDistribution]:
        """Returns the links of operations 2 to 4 and the four operations as Optuna categorical distributions."""
        from optuna.distributions import CategoricalDistribution

        links: dict[str, BaseDistribution] = {
            f"link_{k}": CategoricalDistribution(tuple(range(k))) for k in range(2, 5)
        }
        return links | {f"operation_{k}": CategoricalDistribution(self.operations) for k in range(1, 5)}

    def to_params(self, architecture: GraphNetwork) -> dict[str, Any]:
        """Returns the links and operations of the normal form."""
        self.validate(architecture)
        params: dict[str, Any] = {f"link_{k}": architecture.links[k - 1] for k in range(2, 5)}
        return params | {f"operation_{k}": architecture.operations[k - 1] for k in range(1, 5)}

    def from_params(self, params: Mapping[str, Any]) -> GraphNetwork:
        """Returns the normal form of links and operations.

        Raises:
            UsageError: If a parameter is missing or unknown, or all operations are skip.
        """
        try:
            links = [0, *(params[f"link_{k}"] for k in range(2, 5))]
            operations = [params[f"operation_{k}"] for k in range(1, 5)]
        except KeyError as error:
            raise UsageError(
                f"{error} not chosen; {self.name} needs link_2..link_4 and operation_1..operation_4"
            ) from error
        return self.network(links, operations)

    @property
    def _all(self) -> tuple[GraphNetwork, ...]:
        return _enumerated(self.operations)[0]

    @property
    def _position(self) -> dict[GraphNetwork, int]:
        return _enumerated(self.operations)[1]

    def _explain(self, architecture: object) -> None:
        """Raises the error that says what is wrong with a value."""
        if not (isinstance(architecture, tuple) and [type(part) for part in architecture] == [tuple, tuple]):
            raise UsageError(
                f"{architecture!r} is no {self.name} architecture; space.network(links, operations) makes one"
            )
        normal = self.network(*architecture)
        raise UsageError(f"{architecture!r} is not in normal form; write {normal!r} (space.network finds it)")


@lru_cache(maxsize=1)
def _renumberings() -> dict[Links, tuple[Links, list[tuple[int, ...]]]]:
    """For all 24 lists of links: the smallest list of the same tree, and the orders of operations that give it."""
    table: dict[Links, tuple[Links, list[tuple[int, ...]]]] = {}
    for links in itertools.product(range(1), range(2), range(3), range(4)):
        found: dict[Links, list[tuple[int, ...]]] = {}
        for order in itertools.permutations(range(4)):  # order[new place] = old place
            place = {0: 0} | {old + 1: new + 1 for new, old in enumerate(order)}
            renumbered = tuple(place[links[old]] for old in order)
            if all(link <= new for new, link in enumerate(renumbered)):
                found.setdefault(renumbered, []).append(order)
        table[links] = min(found), found[min(found)]
    return table


def _normal_form(links: Links, codes: Codes) -> tuple[Links, Codes]:
    """The normal form of any of the 24 lists of links with four operations.

    Equal to ``regularize``, ``move_skip_op`` and ``equalpart_sort`` of the package, one after the other.
    """
    links, codes = _smallest(links, codes)
    if _SKIP in codes:
        links, codes = _smallest(*_skips_first(links, codes))
    return links, codes


def _smallest(links: Links, codes: Codes) -> tuple[Links, Codes]:
    renumbered, orders = _renumberings()[links]
    return renumbered, min([(codes[a], codes[b], codes[c], codes[d]) for a, b, c, d in orders])


def _skips_first(links: Links, codes: Codes) -> tuple[Links, Codes]:
    """Moves a skip in front of everything where that computes the same.

    That is where something reads it, where nothing else reads what it reads, or where only skips lead to it.
    """
    for place in range(4):
        if codes[place] != _SKIP:
            continue
        source = links[place]
        read = place + 1 in links
        alone = links.count(source) == 1
        if read or alone or _only_skips(place, links, codes):
            bridged = [source if link == place + 1 else link for link in links]
            shifted = [link + 1 if link <= place else link for link in bridged]
            links = (0, *shifted[:place], *shifted[place + 1 :])
            codes = (_SKIP, *codes[:place], *codes[place + 1 :])
    return links, codes


def _only_skips(place: int, links: Links, codes: Codes) -> bool:
    while place >= 0:
        if codes[place] != _SKIP:
            return False
        place = links[place] - 1
    return True


def _network(links: Links, codes: Codes) -> GraphNetwork:
    a, b, c, d = codes
    return GraphNetwork(links, (OPERATIONS[a], OPERATIONS[b], OPERATIONS[c], OPERATIONS[d]))


def _key(number: int, codes: Codes) -> int:
    for code in codes:
        number = number * 10 + code
    return number


@lru_cache(maxsize=2)
def _enumerated(operations: tuple[str, ...]) -> tuple[tuple[GraphNetwork, ...], dict[GraphNetwork, int]]:
    """All normal forms in the order of their keys, and their positions."""
    codes = sorted(_CODE[operation] for operation in operations)
    networks = tuple(
        _network(links, chosen)
        for links in LINKS
        for chosen in itertools.product(codes, repeat=4)
        if chosen != (_SKIP,) * 4 and _normal_form(links, chosen) == (links, chosen)
    )
    return networks, {network: position for position, network in enumerate(networks)}


@lru_cache(maxsize=1)
def _adjacency() -> np.ndarray:
    """``(9, 6, 6)``: the edges of each list of links."""
    matrices = np.zeros((len(LINKS), 6, 6), dtype=bool)
    for matrix, links in zip(matrices, LINKS, strict=True):
        for place, link in enumerate(links):
            matrix[link, place + 1] = True
            matrix[place + 1, 5] = place + 1 not in links
    return matrices
