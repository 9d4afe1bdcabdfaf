"""NAS-Bench-Graph: the normal form and keys of the published package, reproduced."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.nasbench_graph import LINKS, OPERATIONS, PROTEINS_OPERATIONS, GraphNetwork, NASBenchGraph
from nasx.testing import check_search_space


@pytest.mark.parametrize("proteins", [False, True])
def test_conformance(proteins: bool) -> None:
    check_search_space(NASBenchGraph(proteins=proteins), samples=20)


def test_sizes_are_the_published_ones() -> None:
    assert NASBenchGraph().size == 26_206
    assert NASBenchGraph(proteins=True).size == 2_021


def test_normal_form_and_key_are_those_of_the_package() -> None:
    package = pytest.importorskip("nas_bench_graph.architecture", reason="the package nas-bench-graph is not installed")
    space = NASBenchGraph()
    rng = np.random.default_rng(0)
    all_links = list(itertools.product(range(1), range(2), range(3), range(4)))
    assert tuple(map(tuple, package.link_list)) == LINKS
    assert tuple(package.gnn_list) == OPERATIONS
    assert tuple(package.gnn_list_proteins) == PROTEINS_OPERATIONS
    for _ in range(4000):
        links = all_links[rng.integers(len(all_links))]
        weights = np.array([1.0] * 8 + [rng.choice([1.0, 8.0])])  # many skips now and then
        operations = rng.choice(OPERATIONS, size=4, p=weights / weights.sum()).tolist()
        if set(operations) == {"skip"}:
            continue
        expected = package.Arch(list(links), operations).valid_hash()
        assert space.table_key(space.network(links, operations)) == expected


def test_index_follows_the_keys() -> None:
    for proteins in (False, True):
        space = NASBenchGraph(proteins=proteins)
        keys = [space.table_key(network) for network in space.enumerate()]
        assert keys == sorted(keys)
        assert [space.from_table_key(key) for key in keys[::50]] == list(space.enumerate())[::50]


@pytest.mark.parametrize("key", [-1, 88888, 99999, 123456, 90000])
def test_keys_of_nothing(key: int) -> None:
    with pytest.raises(UsageError, match="is no key of nasbench-graph"):
        NASBenchGraph().from_table_key(key)


def test_graphs_of_all_architectures_differ() -> None:
    space = NASBenchGraph(proteins=True)
    assert len({space.canonical_key(network) for network in space.enumerate()}) == space.size


def test_text_form() -> None:
    space = NASBenchGraph()
    network = space.parse(" 0, 1, 2, 1 | gcn, gin, fc, cheb ")
    assert network == GraphNetwork((0, 1, 1, 2), ("gcn", "gin", "cheb", "fc"))
    assert space.format(network) == "0,1,1,2|gcn,gin,cheb,fc"
    assert space.parse("0,1,2,3|gcn,skip,gat,skip").operations == ("skip", "skip", "gcn", "gat")
    for text, message in {
        "0,1|gcn,gat": "four links and four operations",
        "0,1,2,4|gcn,gat,fc,fc": "link 4 must be the input, 0, or an earlier operation; got 4",
        "0,1,2,3|gcn,gat,fc,gnc": "unknown operation of nasbench-graph 'gnc'; known: arma, cheb",
        "0,1,2,3|skip,skip,skip,skip": "computes nothing",
        "a,b|c": "is no nasbench-graph architecture; write",
        "0,0,0,0": "is no nasbench-graph architecture; write",
    }.items():
        with pytest.raises(UsageError, match=message):
            space.parse(text)
    with pytest.raises(UsageError, match="unknown operation of nasbench-graph-proteins 'gat'"):
        NASBenchGraph(proteins=True).parse("0,1,2,3|gcn,gat,fc,fc")


def test_only_normal_forms_are_architectures() -> None:
    space = NASBenchGraph()
    with pytest.raises(UsageError, match=r"is not in normal form; write GraphNetwork\(links=\(0, 1, 1, 2\)"):
        space.validate(GraphNetwork((0, 1, 2, 1), ("gcn", "gin", "fc", "cheb")))
    with pytest.raises(UsageError, match=r"space\.network"):
        space.validate(([0, 1, 2, 3], ["gcn"] * 4))


def test_parameters_may_describe_nothing() -> None:
    space = NASBenchGraph()
    params = space.to_params(space.architecture(0))
    with pytest.raises(UsageError, match="computes nothing"):
        space.from_params(params | {f"operation_{k}": "skip" for k in range(1, 5)})
    del params["link_3"]
    with pytest.raises(UsageError, match="'link_3' not chosen"):
        space.from_params(params)
