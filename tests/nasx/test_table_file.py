from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from nasx.metric import Metric
from nasx.search_spaces.choice_space import ChoiceSpace
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.graph import Graph
from nasx.table_file import Table, read_description, read_stored, write_table


def make_space(operations: tuple[str, ...] = ("conv", "pool", "skip"), name: str = "tiny") -> ChoiceSpace:
    def build(chosen: dict) -> Graph:
        return Graph.from_edges(["input", *chosen.values(), "output"], [(0, 1), (1, 2), (2, 3)])

    return ChoiceSpace(name, {"first": operations, "second": operations}, build)


class Endless(ChoiceSpace):
    """A space without an index."""

    size = None


def make_table(space: ChoiceSpace | None = None) -> Table:
    return Table(
        name="toy",
        space=space or make_space(),
        architectures=np.array([4, 0, 8]),
        columns={"accuracy": np.array([90.0, np.nan, 92.0], np.float32), "latency_ms": np.array([1.1, 2.2, 3.3])},
        metrics={"accuracy": Metric("accuracy", "percent", "maximize"), "latency_ms": Metric("latency_ms", "ms")},
        dataset="cifar10",
        target="accuracy",
        licence="MIT",
        source="somewhere",
        extra={"sha256": "1"},
    )


def assert_same(one: Table, two: Table) -> None:
    for field in ("name", "metrics", "dataset", "target", "licence", "source", "extra"):
        assert getattr(one, field) == getattr(two, field), field
    assert np.array_equal(one.architectures, two.architectures)
    for name, values in one.columns.items():
        assert np.array_equal(values, two.columns[name], equal_nan=True)
        assert values.dtype == two.columns[name].dtype


def test_written_and_read_back(tmp_path: Path) -> None:
    table = make_table()
    write_table(tmp_path / "folder" / "toy.safetensors", table)
    assert_same(table, read_stored(tmp_path / "folder" / "toy.safetensors", make_space()))
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["toy.safetensors"]


def test_a_space_without_index_is_stored_as_text(tmp_path: Path) -> None:
    space = Endless("endless", {"a": ["x", "y"]}, lambda chosen: Graph(["input"], [[0]]))
    values = np.array([1.0, 2.0])
    table = Table("t", space, [("y",), ("x",)], {"m": values}, {"m": Metric("m")})
    write_table(tmp_path / "t.safetensors", table)
    assert read_stored(tmp_path / "t.safetensors", space).architectures == [("y",), ("x",)]


def test_description_needs_no_space(tmp_path: Path) -> None:
    write_table(tmp_path / "toy.safetensors", make_table())
    description = read_description(tmp_path / "toy.safetensors")
    assert (description["rows"], description["space"], description["missing"]["accuracy"]) == (3, "tiny", 1)


def test_another_space_or_order_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "toy.safetensors", make_table())
    with pytest.raises(NasxError, match=r"belongs to the space 'tiny', not to 'other'"):
        read_stored(tmp_path / "toy.safetensors", make_space(name="other"))
    with pytest.raises(NasxError, match=r"another order"):
        read_stored(tmp_path / "toy.safetensors", make_space(("pool", "conv", "skip"))).check_order()
    with pytest.raises(UsageError, match=r"no architecture 4"):
        read_stored(tmp_path / "toy.safetensors", make_space(("conv", "pool"))).check_order()
    read_stored(tmp_path / "toy.safetensors", make_space()).check_order()


def test_truncated_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "toy.safetensors"
    write_table(path, make_table())
    whole = path.read_bytes()
    for content in (b"", b"PAR1", whole[:-20], whole[: len(whole) // 2], b"architecture,accuracy\na,1\n"):
        path.write_bytes(content)
        with pytest.raises(NasxError, match=r"not a table stored by nasx"):
            read_stored(path, make_space())
    save_file({"a": np.ones(1)}, path)
    with pytest.raises(NasxError, match=r"not a table stored by nasx"):
        read_description(path)


def test_a_flipped_byte_is_the_right_table_or_a_sentence(tmp_path: Path) -> None:
    path, table, rng = tmp_path / "toy.safetensors", make_table(), np.random.default_rng(0)
    write_table(path, table)
    whole = path.read_bytes()
    for position in rng.permutation(len(whole))[:400]:
        content = bytearray(whole)
        content[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        try:
            assert_same(read_stored(path, make_space()), table)
        except NasxError:
            continue


def test_a_newer_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nasx.table_file.FORMAT", 99)
    write_table(tmp_path / "toy.safetensors", make_table())
    monkeypatch.undo()
    with pytest.raises(NasxError, match=r"newer version"):
        read_description(tmp_path / "toy.safetensors")


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "toy.safetensors"
    write_table(path, make_table())
    before = path.read_bytes()

    def fail(arrays: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", fail)
    with pytest.raises(NasxError, match=r"No space left on device"):
        write_table(path, make_table())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_directions_can_be_stated() -> None:
    assert make_table().with_directions({"latency_ms": "minimize"}).metrics["latency_ms"].direction == "minimize"
    with pytest.raises(UsageError, match=r"unknown metric 'latncy_ms'.*did you mean 'latency_ms'"):
        make_table().with_directions({"latncy_ms": "minimize"})
    with pytest.raises(UsageError, match=r"unknown direction 'up'"):
        make_table().with_directions({"latency_ms": "up"})


@pytest.mark.parametrize("stored", [False, True])
def test_one_data_set_of_several(tmp_path: Path, stored: bool) -> None:
    of = [Metric.of("accuracy", "percent", "maximize", dataset=d, epochs=12, seed="mean") for d in ("a", "b")]
    columns = {metric.name: np.full(3, float(number)) for number, metric in enumerate(of)} | {"flops": np.ones(3)}
    metrics = {metric.name: metric for metric in of} | {"flops": Metric("flops")}
    target = "accuracy_12_epochs_mean"
    table = Table("t", make_space(), np.array([1, 0, 2]), columns, metrics, target=target)
    if stored:
        write_table(tmp_path / "t.safetensors", table)
        table = read_stored(tmp_path / "t.safetensors", make_space())
    assert table.datasets == ("a", "b")
    one = table.select("b")
    assert (one.dataset, one.datasets, list(one.metrics), one.target) == ("b", (), [target, "flops"], target)
    assert one.columns[target].tolist() == [1, 1, 1]
    assert one.missing == {target: 0, "flops": 0}
    with pytest.raises(UsageError, match=r"unknown data set of t 'c'; known: a, b"):
        table.select("c")


def test_a_table_says_what_it_holds() -> None:
    assert repr(make_table()) == "toy on cifar10: 3 architectures of tiny; accuracy (1 missing), latency_ms"
    assert make_table().missing == {"accuracy": 1, "latency_ms": 0}
    assert len(replace(make_table(), name="x")) == 3
