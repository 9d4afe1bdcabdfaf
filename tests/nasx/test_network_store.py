from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasx import tables
from nasx.benchmark import load_benchmark
from nasx.network_reader import read_networks, table_of
from nasx.network_store import write_networks
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.packed_graphs import PackedGraphs


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASX_DATA", str(tmp_path / "cache"))


def graphs() -> PackedGraphs:
    fork = [("input", "Conv", "Relu", "Add", "output"), [(0, 1), (1, 2), (1, 3), (2, 3), (3, 4)]]
    chain = [("input", "Relu", "output"), [(0, 1), (1, 2)]]
    made = [
        Graph.from_edges(
            *parts, {"macs": 5.0, "batch_size": 2.0, "flops": 10.0}, np.eye(len(parts[0]), 2), ("macs", "z")
        )
        for parts in (fork, chain)
    ]
    return PackedGraphs.from_graphs(made)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    folder = write_networks(tmp_path / "mine", ["a", "b"], graphs(), {"latency_ms": [1.0, 2.0]}, ["x", "y"])
    table = read_networks(folder)
    space = table.space
    assert list(space.graphs(space.names)) == list(graphs())
    assert space.families == ("x", "y")
    assert table.columns["latency_ms"].tolist() == [1.0, 2.0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_it_replaces_as_a_whole(tmp_path: Path) -> None:
    for value in (1.0, 7.0):
        write_networks(tmp_path / "mine", ["a", "b"], graphs(), {"latency_ms": [value, 2.0]})
    assert load_benchmark(tmp_path / "mine").query("a") == 7.0
    with pytest.raises(UsageError, match=r"2 names of networks, but 1 latency_ms"):
        write_networks(tmp_path / "mine", ["a", "b"], graphs(), {"latency_ms": [1.0]})
    assert load_benchmark(tmp_path / "mine").query("a") == 7.0


def test_an_imported_table_is_opened_by_name(tmp_path: Path) -> None:
    folder = write_networks(tmp_path / "mine", ["a", "b"], graphs(), {"latency_ms": [1.0, 2.0], "score": [3.0, 4.0]})
    table = tables.import_table("phone", folder, None, directions={"score": "maximize"})
    assert str(table) == "phone: 2 architectures of networks; latency_ms, score"
    bench = load_benchmark("phone", target="score")
    assert bench.direction == "maximize"
    assert bench.query("b") == 4.0
    assert list(bench.graphs()) == list(graphs())
    (entry,) = [row for row in tables.list_data() if row["name"] == "phone"]
    assert (entry["rows"], entry["present"], entry["contents"]) == (2, "present", "networks: latency_ms, score")
    with pytest.raises(UsageError, match=r"exists"):
        tables.import_table("phone", folder, None)
    with pytest.raises(UsageError, match=r"its own space"):
        load_benchmark("phone", space="nasbench201")


def test_a_damaged_table_says_so(tmp_path: Path) -> None:
    path = tables.store(table_of("phone", ["a", "b"], graphs(), {"latency_ms": np.array([1.0, 2.0])}))
    part = path / "networks.parquet"
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(NasxError, match=r"import it again"):
        load_benchmark("phone")
    (entry,) = [row for row in tables.list_data() if row["name"] == "phone"]
    assert entry["present"] == "damaged: import it again"
