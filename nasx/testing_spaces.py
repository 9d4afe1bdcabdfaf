"""The conformance test of search spaces; public as ``nasx.testing.check_search_space``."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.choice_space import ChoiceSpace
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.space import SearchSpace, check_variety
from nasx.verdicts import verdict

_PAIRS = 12  # changes of one choice that are tried
ENUMERATED = 50_000  # spaces up to this size are walked through completely


def check_search_space(space: SearchSpace, *, seed: int = 0, samples: int = 50) -> None:
    """Checks that a search space keeps the contract of ``SearchSpace``.

    Args:
        space: The space.
        seed: Of the random architectures tried.
        samples: How many are tried.

    Raises:
        AssertionError: If it does not; the message names the method and what to change in it.

    >>> from nasx.search_spaces import get_search_space
    >>> check_search_space(get_search_space("nasbench201"), samples=5)
    """
    _check_kind(space)
    with verdict(space.name, __file__):
        _require(
            space.size != 1, f"{space.name} has one architecture only, so there is nothing to search; add a choice"
        )
        architectures = _check_sampling(space, seed, samples)
        _check_failures(space)
        _check_values(space, architectures)
        _check_text(space, architectures)
        _check_moves(space, architectures, seed)
        _check_graphs(space, architectures, seed)
        check_variety(space, np.random.default_rng(seed))
        _check_choices(space, architectures)
        _check_enumeration(space, architectures, seed)
        _check_parameters(space, architectures, seed)


def _require(condition: object, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _check_kind(space: Any) -> None:
    if isinstance(space, type):
        raise AssertionError(f"check_search_space takes a space, not its class; call it: {space.__name__}()")
    if not isinstance(space, SearchSpace):
        raise AssertionError(f"a search space is an object of a SearchSpace or ChoiceSpace; got {space!r:.60}")
    kind = type(space).__name__
    if isinstance(space, ChoiceSpace):
        made = hasattr(space, "choices") and hasattr(space, "_maker")
        _require(made, f"__init__ of {kind} must call super().__init__(name, choices, build)")
    named = isinstance(getattr(space, "name", None), str) and space.name
    _require(named, f"{kind} has no name; set name = 'my-space' in the class")


def _check_failures(space: SearchSpace) -> None:
    """No configuration met so far was without a graph."""
    if isinstance(space, ChoiceSpace) and space.failures:
        architecture, said = next(iter(space.failures.items()))
        raise AssertionError(
            f"the graph function of {space.name} fails for {len(space.failures)} of the configurations drawn, such as "
            f"{space.format(architecture)}: {said}; mend it, or rule them out with conditions= or is_valid="
        )


def _check_choices(space: SearchSpace, architectures: Sequence[Any]) -> None:
    """Every choice shows in the graph, somewhere."""
    if not isinstance(space, ChoiceSpace):
        return
    for key in space.choices:
        pairs = 0
        for one in architectures[:_PAIRS]:
            chosen, own = space.choice(one), space.canonical_key(one)
            for other in space.neighbours(one):
                if chosen.get(key) != space.choice(other).get(key) and pairs < _PAIRS:
                    pairs += 1
                    if space.canonical_key(other) != own:
                        pairs = -len(architectures) * _PAIRS  # shown, and enough of it
        _require(
            pairs < 2,
            f"choice '{key}' of {space.name} does not show in the graph: it was changed alone in {pairs} architectures "
            "and the graph stayed the same; put it into labels, edges or attributes, as a predictor sees nothing else",
        )


def _refuses(call: Callable[[], object]) -> bool:
    """Whether the call raises ``UsageError``."""
    try:
        call()
    except UsageError:
        return True
    return False


def _check_sampling(space: SearchSpace, seed: int, samples: int) -> list[Any]:
    one_by_one = [[space.sample(rng) for _ in range(samples)] for rng in _generators(seed)]
    at_once = [space.samples(samples, rng) for rng in _generators(seed)]
    for method, (first, second) in (("sample", one_by_one), ("samples", at_once)):
        _require(
            first == second,
            f"{method} of {space.name} gave other architectures for the same seed; "
            "draw from the generator that is passed in, and from nothing else",
        )
        for architecture in first:
            _require(
                space.is_valid(architecture),
                f"{method} of {space.name} drew {architecture!r}, which validate refuses; sample valid ones only",
            )
    _require(
        isinstance(at_once[0], list)
        and len(at_once[0]) == samples
        and len(space.samples(0, _generators(seed)[0])) == 0,
        f"samples({samples}, rng) of {space.name} must return a list of {samples} architectures",
    )
    return at_once[0] + one_by_one[0]


def _check_values(space: SearchSpace, architectures: Sequence[Any]) -> None:
    for architecture in architectures:
        try:
            hash(architecture)
            json.dumps(architecture)
        except TypeError as error:
            raise AssertionError(
                f"an architecture of {space.name} is not hashable and JSON-able ({error}); "
                f"make it of tuples, text and numbers, not {architecture!r}"
            ) from error
    for value in (None, object(), "?", (), ("?",), 3.5, [architectures[0]], {"?": 1}):
        try:
            refused = not space.is_valid(value)
        except Exception as error:
            raise AssertionError(
                f"validate of {space.name} raised {type(error).__name__} for {value!r}; raise UsageError instead"
            ) from error
        _require(refused, f"validate of {space.name} accepted {value!r}; raise UsageError for what is no architecture")


def _check_text(space: SearchSpace, architectures: Sequence[Any]) -> None:
    for architecture in architectures:
        text = space.format(architecture)
        _require(isinstance(text, str), f"format of {space.name} must return text; got {text!r}")
        back = space.parse(text)
        _require(
            back == architecture and hash(back) == hash(architecture),
            f"parse(format(a)) of {space.name} is {back!r} for a = {architecture!r}; "
            "parse must read what format writes, and both must keep to the normal form",
        )
    for text in ("", "?", "|,;=~"):
        try:
            refused = _refuses(lambda text=text: space.parse(text))  # type: ignore[misc]
        except Exception as error:
            raise AssertionError(
                f"parse of {space.name} raised {type(error).__name__} for {text!r}; raise UsageError instead"
            ) from error
        _require(refused, f"parse of {space.name} accepted {text!r}; raise UsageError for malformed text")


def _check_moves(space: SearchSpace, architectures: Sequence[Any], seed: int) -> None:
    for place, architecture in enumerate(architectures):
        name = f"{space.name}: {space.format(architecture)}"
        partner = architectures[-1 - place]
        for method, move in (
            ("mutate", lambda rng, a=architecture: space.mutate(a, rng)),
            ("crossover", lambda rng, a=architecture, b=partner: space.crossover(a, b, rng)),
        ):
            first, second = (move(rng) for rng in _generators(seed + place))  # type: ignore[no-untyped-call]
            _require(first == second, f"{method} of {name} differs for the same seed; draw from the passed generator")
            _require(space.is_valid(first), f"{method} of {name} gave {first!r}, which validate refuses")
            _require(
                method != "mutate" or first != architecture,
                f"mutate of {name} returned the architecture itself; change something",
            )
        neighbours = space.neighbours(architecture)
        _require(len(set(neighbours)) == len(neighbours), f"neighbours of {name} holds an architecture twice")
        _require(architecture not in neighbours, f"neighbours of {name} holds the architecture itself; leave it out")
        for neighbour in neighbours:
            _require(space.is_valid(neighbour), f"neighbours of {name} holds {neighbour!r}, which validate refuses")
            if isinstance(space, ChoiceSpace):
                changes = space.changes(architecture, neighbour)
                _require(
                    changes == 1, f"neighbours of {name} holds {neighbour!r}, {changes} changes away; one is asked for"
                )


def _check_graphs(space: SearchSpace, architectures: Sequence[Any], seed: int) -> None:
    rng = np.random.default_rng(seed)
    pool = list(dict.fromkeys([*architectures, *(n for a in architectures[:3] for n in space.neighbours(a))]))
    graphs = [space.graph(architecture) for architecture in pool]
    keys = [space.canonical_key(architecture) for architecture in pool]
    if isinstance(space, ChoiceSpace):
        space.forget()  # so that every graph is made again below
    for graph, architecture in zip(graphs, pool, strict=True):
        _require(isinstance(graph, Graph), f"graph of {space.name} must return a Graph; got {type(graph).__name__}")
        _require(
            graph == space.graph(architecture),
            f"graph of {space.name} differs between two calls with {architecture!r}; it must depend on nothing else",
        )
        relabelled = _relabelled(graph, rng)
        _require(
            relabelled.canonical_hash() == graph.canonical_hash(),
            f"the canonical hash of {graph!r} changes with the order of its nodes",
        )
    batch = space.graphs(pool)
    _require(
        isinstance(batch, GraphBatch) and list(batch) == graphs,
        f"graphs(architectures) of {space.name} differs from graph(a) of each of them",
    )
    _require(
        space.canonical_keys(pool) == keys,
        f"canonical_keys(architectures) of {space.name} differs from canonical_key(a) of each of them",
    )
    hashes = [graph.canonical_hash() for graph in graphs]
    forms = [graph.canonical() for graph in graphs]
    for method, values in (("the canonical hash of graphs", hashes), (f"canonical_key of {space.name}", keys)):
        first_form: dict[Graph, int] = {}
        first_value: dict[str, int] = {}
        for place, (form, value) in enumerate(zip(forms, values, strict=True)):
            twin = first_form.setdefault(form, place)
            _require(
                values[twin] == value,
                f"{method} differs for {pool[twin]!r} and {pool[place]!r}, whose graphs are isomorphic; "
                "it must be equal for them",
            )
            twin = first_value.setdefault(value, place)
            _require(
                forms[twin] == form,
                f"{method} is equal for {pool[twin]!r} and {pool[place]!r}, whose graphs are not isomorphic; "
                "tell them apart, or build the same graph for both",
            )


def _check_enumeration(space: SearchSpace, architectures: Sequence[Any], seed: int) -> None:
    size = space.size
    if size is None:
        _require(
            _refuses(lambda: space.index(architectures[0])) and _refuses(lambda: space.architecture(0)),
            f"{space.name} has no size, so index and architecture must raise UsageError",
        )
        return
    _require(isinstance(size, int) and size > 0, f"size of {space.name} must be a positive int or None; got {size!r}")
    for outside in (-1, size):
        _require(
            _refuses(lambda outside=outside: space.architecture(outside)),  # type: ignore[misc]
            f"architecture({outside}) of {space.name} must raise UsageError; indices run from 0 to {size - 1}",
        )
    for architecture in architectures:
        index = space.index(architecture)
        _require(
            0 <= index < size and space.architecture(index) == architecture,
            f"architecture(index(a)) of {space.name} is not a for a = {architecture!r}",
        )
    rng = np.random.default_rng(seed)
    walked = list(itertools.islice(space.enumerate(), size if size <= ENUMERATED else 1000))
    places = [0, size - 1, *(int(rng.random() * size) for _ in range(50))]
    for place in places:
        _require(
            space.index(space.architecture(place)) == place,
            f"index(architecture({place})) of {space.name} is not {place}",
        )
        _require(
            place >= len(walked) or walked[place] == space.architecture(place),
            f"enumerate of {space.name} has another architecture at {place} than architecture({place})",
        )
    _require(len(set(walked)) == len(walked), f"enumerate of {space.name} yields an architecture twice")
    if size <= ENUMERATED:
        count = sum(1 for _ in space.enumerate())
        _require(count == size, f"enumerate of {space.name} yields {count} architectures but size is {size}")
    if size < 2**63:
        _require(
            np.array_equal(space.indices(walked), np.arange(len(walked))),
            f"indices(architectures) of {space.name} differs from the places of the architectures in enumerate",
        )
    _require(
        list(space.graphs_of_indices(places)) == [space.graph(space.architecture(place)) for place in places],
        f"graphs_of_indices of {space.name} differs from the graphs of the architectures at these places",
    )


def _check_parameters(space: SearchSpace, architectures: Sequence[Any], seed: int) -> None:
    try:
        distributions = space.distributions()
    except UsageError:
        return  # a space may have no parameters
    for architecture in architectures:
        params = space.to_params(architecture)
        _require(
            params.keys() == distributions.keys(),
            f"to_params of {space.name} has {sorted(params)}, but distributions has {sorted(distributions)}",
        )
        for name, value in params.items():
            distribution = distributions[name]
            _require(
                distribution._contains(distribution.to_internal_repr(value)),
                f"to_params of {space.name} has {name}={value!r}, which its distribution does not contain",
            )
        _require(
            space.from_params(params) == architecture,
            f"from_params(to_params(a)) of {space.name} is not a for a = {architecture!r}",
        )
    _require(_refuses(lambda: space.from_params({})), f"from_params of {space.name} must raise UsageError for {{}}")
    rng = np.random.default_rng(seed)
    for _ in range(len(architectures)):
        drawn = {
            name: choices[int(rng.integers(len(choices)))]
            for name, distribution in distributions.items()
            if (choices := getattr(distribution, "choices", None))
        }
        if len(drawn) == len(distributions) and not _refuses(lambda drawn=drawn: space.from_params(drawn)):  # type: ignore[misc]
            _require(
                space.is_valid(space.from_params(drawn)),
                f"from_params of {space.name} made an invalid architecture of {drawn}; raise UsageError for it",
            )


def _generators(seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    """Two generators in the same state."""
    return np.random.default_rng(seed), np.random.default_rng(seed)


def _relabelled(graph: Graph, rng: np.random.Generator) -> Graph:
    """The same graph with its inner nodes in another topological order."""
    count = graph.num_nodes
    place = [0, *(1 + rng.permutation(count - 2)).tolist(), count - 1] if count > 2 else list(range(count))
    labels = [""] * count
    for node, new in enumerate(place):
        labels[new] = graph.operations[node]
    edges = [(place[u], place[v]) for u, v in graph.edges]
    table = None if graph.node_attributes is None else graph.node_attributes[np.argsort(place)]
    return Graph.from_edges(labels, edges, graph.attributes, table, graph.node_attribute_names)
