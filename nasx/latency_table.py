"""The table of measured networks: one row a network, one row a node, units in the names of the columns."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasx.latency_facts import KEY
from nasx.latency_files import NetworkFile, family_of, load_model, with_batch
from nasx.search_spaces.errors import NasxError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.onnx_network import read_onnx

if TYPE_CHECKING:
    from nasx.latency_journal import Journal
    from nasx.latency_measure import Settings

#: A drift of the reference network above which a table is not to be trusted blindly.
DRIFT_LIMIT = 0.05
_DIGITS = 5
#: Numbers of a row. Those of runs have "latency" in their names so that no reader takes them for what a network is.
_MEASURED = (
    "latency_ms", "spread_ms", "unadjusted_latency_ms", "minimum_ms", "reference_ms",
    "latency_runs", "first_latency_ms", "second_latency_ms",
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes:
        path: The table, one row a network.
        nodes: The table, one row a node.
        latencies_ms: Latencies of the networks that ran, (n,).
        reference_ms: Latency of the reference network beside each of them, (n,).
        failures: Network -> why it did not run, or could not be read as a graph.
        differences: Of the networks measured twice, the relative difference of the two.
        machine: What it was measured on.
    """

    path: Path
    nodes: Path
    latencies_ms: NDArray[np.float64]
    reference_ms: NDArray[np.float64]
    failures: Mapping[str, str] = field(default_factory=dict)
    differences: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    machine: Mapping[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> str:
        """What ran the networks, in words."""
        return f"{self.machine.get('processor', 'this machine')} (onnxruntime {self.machine.get('onnxruntime', '?')})"

    @property
    def drift(self) -> float:
        """How far the reference network was off its own median, beside nine networks of ten; a fraction."""
        return float(np.quantile(np.abs(self.reference_ms / np.median(self.reference_ms) - 1), 0.9))

    @property
    def repeatability(self) -> tuple[float, float]:
        """Median and 90th percentile of the relative difference between two measurements of a network; fractions."""
        if not len(self.differences):
            return math.nan, math.nan
        middle, high = np.quantile(self.differences, [0.5, 0.9])
        return float(middle), float(high)


def write_measured(
    base: Path, files: Sequence[NetworkFile], known: Mapping[str, str], journal: Journal, settings: Settings
) -> Measured:
    """Writes ``NAME.parquet`` and ``NAME_nodes.parquet`` from the journal.

    Args:
        base: The path without ending.
        files: The networks.
        known: Their checksums: measurements of other contents under the same name do not count.
        journal: What was measured.
        settings: How.

    Raises:
        NasxError: If no network ran, or the files cannot be written.
    """
    found = _summaries(journal.records, known)
    rows: list[dict[str, Any]] = []
    graphs: list[Graph] = []
    failures = {name: summary["failure"] for name, summary in found.items() if summary["failure"]}
    for file in files:
        if file.name not in found:
            continue
        try:
            model = load_model(file.path)
            graph = _graph(model, settings)
        except NasxError as error:
            failures.setdefault(file.name, str(error))
            continue
        names = {"network_id": len(rows), "name": file.name, "family": family_of(model, file.name)}
        graphs.append(graph)
        rows.append({**names, **found[file.name], **graph.attributes})
    measured = [row for row in rows if row["latency_ms"] > 0]
    if not measured:
        why = next(iter(failures.values()), "nothing was measured")
        raise NasxError(f"no network could be measured; the first: {why}")
    pairs = [(row["first_latency_ms"], row["second_latency_ms"]) for row in rows if row["second_latency_ms"] > 0]
    result = Measured(
        base.with_name(f"{base.name}.parquet"),
        base.with_name(f"{base.name}_nodes.parquet"),
        np.array([row["latency_ms"] for row in measured]),
        np.array([row["reference_ms"] for row in measured]),
        failures,
        np.array([abs(one - other) / min(one, other) for one, other in pairs]),
        journal.machine,
    )
    facts = {"settings": asdict(settings), "machine": dict(journal.machine), "drift": result.drift}
    facts["target"] = "latency_ms"
    facts["repeatability"] = result.repeatability
    _write(result.nodes, _node_columns(graphs), facts)
    _write(result.path, _network_columns(rows), facts)
    return result


def _summaries(records: Sequence[Mapping[str, Any]], known: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """One row for each network: medians over its rounds.

    The latency is the ratio to the reference network times what the reference usually takes, so that a network that
    was measured while the machine was slow is not called slow. Where nothing moves it is the plain median of the runs.
    """
    rounds: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        if known.get(record["network"]) == record["digest"]:
            rounds.setdefault(record["network"], []).append(record)
    usual = float(np.median([one["reference_ms"] for one in records if "error" not in one] or [math.nan]))
    summaries = {}
    for name, all_rounds in rounds.items():
        ran = [one for one in all_rounds if "error" not in one]
        if not ran:
            summaries[name] = {**dict.fromkeys(_MEASURED, math.nan), "failure": all_rounds[-1]["error"]}
            continue
        adjusted = [usual * one["ratio"] for one in ran]
        numbers = (
            np.median(adjusted),
            usual * np.median([one["ratio_high"] - one["ratio_low"] for one in ran]) or math.nan,  # of a single turn
            np.median([one["latency_ms"] for one in ran]),
            min(one["minimum_ms"] for one in ran),
            np.median([one["reference_ms"] for one in ran]),
            sum(one["runs"] for one in ran),
            *(adjusted[:2] if len(ran) > 1 else (math.nan, math.nan)),
        )
        summaries[name] = {**dict(zip(_MEASURED, map(float, numbers), strict=True)), "failure": ""}
    return summaries


def _graph(model: Any, settings: Settings) -> Graph:
    """The graph of a network as it was run."""
    names = {value.name for value in model.graph.input}
    shapes = {name: shape for name, shape in settings.shapes.items() if name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_onnx(with_batch(model, settings.batch_size), shapes=shapes)


def _network_columns(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    import pyarrow as pa

    for name in rows[0]:
        values = [row[name] for row in rows]
        if isinstance(values[0], str):
            yield name, pa.array(values).dictionary_encode() if name == "family" else pa.array(values)
        elif np.isnan(values).all():
            continue
        elif np.isnan(values).any() or name.endswith("_ms"):
            yield name, pa.array(_rounded(np.array(values, dtype=np.float64)), mask=np.isnan(values))
        else:
            yield name, pa.array(_narrow(np.array(values, dtype=np.float64)))


def _node_columns(graphs: Sequence[Graph]) -> Iterator[tuple[str, Any]]:
    """Every node of every network: ``input`` and ``output`` included, so that a graph is read back as it was."""
    import pyarrow as pa

    counts = [graph.num_nodes for graph in graphs]
    yield "network_id", pa.array(_narrow(np.repeat(np.arange(len(graphs)), counts)))
    yield "node", pa.array(_narrow(np.concatenate([np.arange(count) for count in counts])))
    labels = [label for graph in graphs for label in graph.operations]
    yield "operation", pa.array(labels).dictionary_encode()
    sources = [np.flatnonzero(column).tolist() for graph in graphs for column in graph.adjacency.T]
    small = max(counts) < 2**15
    yield "inputs", pa.array(sources, type=pa.list_(pa.int16() if small else pa.int32()))
    tables = [graph.node_attributes for graph in graphs if graph.node_attributes is not None]
    for place, name in enumerate(graphs[0].node_attribute_names):
        yield name, pa.array(_narrow(np.concatenate([table[:, place] for table in tables])))


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers in the smallest type that holds them all; others as float32 where nothing is lost."""
    if np.isfinite(values).all() and (values == np.round(values)).all():
        for kind in (np.int8, np.int16, np.int32, np.int64):
            limits = np.iinfo(kind)
            if limits.min <= values.min(initial=0) and values.max(initial=0) <= limits.max:
                return values.astype(kind)
    return values.astype(np.float32)


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """As many digits as a measurement may have."""
    sizes = np.floor(np.log10(np.maximum(np.abs(np.nan_to_num(values)), 1e-6)))
    scale = 10.0 ** (_DIGITS - 1 - sizes)
    return (np.round(values * scale) / scale).astype(np.float32)


def _write(path: Path, columns: Iterator[tuple[str, Any]], facts: Mapping[str, Any]) -> None:
    """Writes a Parquet file whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(dict(columns)).replace_schema_metadata({KEY: json.dumps(facts)})
    part = path.with_name(f".{path.name}.part")
    try:
        pq.write_table(table, part, compression="zstd", compression_level=19, use_byte_stream_split=False)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise NasxError(f"{path} cannot be written ({error.strerror or error}); what was measured is kept") from error
