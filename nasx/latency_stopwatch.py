"""How long a network takes: run after run with onnxruntime, beside a reference that tells if the machine is quiet."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nasx.network_builder import with_weights
from nasx.network_families import Member
from nasx.network_mobile import MobileNetV2
from nasx.search_spaces.errors import NasxError

_MOST_RUNS = 2_000
_TURN = 0.003  # seconds of the network between two runs of the reference
_SIDE = 128
CLOCKS = {"wall": time.perf_counter_ns, "processor": time.thread_time_ns}
"""What tells how long a run took: time, or the processor's time for the thread that runs the network."""


class Stopwatch:
    """Measures networks in turn with a reference network, MobileNetV2 on an image of 128 pixels.

    A machine is rarely as fast at one moment as at the next: another process takes its share of a core, the processor
    changes its clock, a neighbour in another virtual machine uses the other half of the core, of which the system
    knows nothing. Such changes last from milliseconds to minutes and slow networks down by half, but all of them
    nearly alike. So the reference is run after every few milliseconds, and the *ratio* of a network's run to the two
    runs of the reference around it is what can be repeated.

    Args:
        settings: ``provider``, ``threads``, ``warmup``, ``runs``, ``seconds``, ``shapes`` and ``clock``, as in
            ``nasx.latency_measure.Settings``.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        self._now = CLOCKS[settings["clock"]]
        member = Member("mobilenetv2", "reference", MobileNetV2(resolution=_SIDE), folded=True)
        self.reference = self._ready(with_weights(member.model()).SerializeToString())
        for _ in range(settings["warmup"]):
            self.reference()

    def run(self, model: str | bytes) -> dict[str, Any]:
        """Measures how long a network takes.

        Args:
            model: Path of an ONNX file with weights, or its contents.

        Returns:
            ``latency_ms`` (median) and ``minimum_ms`` of the runs as they were, their number ``runs``, the median
            ``reference_ms`` of the reference meanwhile, and three quartiles of the ratio of the two: ``ratio_low``,
            ``ratio``, ``ratio_high``.

        Raises:
            Exception: Whatever the runtime raises.
        """
        network, settings = self._ready(model), self.settings
        for _ in range(settings["warmup"]):
            network()
            self.reference()
        references, turns = [self._timed(self.reference)], [self._turn(network)]
        begin = time.perf_counter()
        while True:
            references.append(self._timed(self.reference))
            runs = sum(len(times) for times in turns)
            long_enough = time.perf_counter() - begin >= settings["seconds"]
            if runs >= settings["runs"] and (long_enough or runs >= _MOST_RUNS):
                break
            turns.append(self._turn(network))
        around = (np.array(references[1:]) + references[:-1]) / 2
        ratios = np.array([np.median(times) for times in turns]) / around
        low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
        all_runs = np.concatenate(turns)
        return {
            "latency_ms": float(np.median(all_runs)),
            "minimum_ms": float(all_runs.min()),
            "runs": len(all_runs),
            "reference_ms": float(np.median(references)),
            "ratio_low": float(low),
            "ratio": float(middle),
            "ratio_high": float(high),
        }

    def _ready(self, model: str | bytes) -> Callable[[], Any]:
        """A function that runs a network once."""
        session = _session(model, self.settings)
        shapes = self.settings["shapes"]
        feeds = {value.name: _numbers(value, shapes.get(value.name)) for value in session.get_inputs()}
        return lambda: session.run(None, feeds)

    def _timed(self, run: Callable[[], Any]) -> float:
        """How long a run took, in ms."""
        start = self._now()
        run()
        return (self._now() - start) / 1e6

    def _turn(self, run: Callable[[], Any]) -> list[float]:
        end = time.perf_counter() + _TURN
        times: list[float] = []
        while not times or time.perf_counter() < end:
            times.append(self._timed(run))
        return times


def onnxruntime_package() -> Any:
    """Returns the package ``onnxruntime``, imported when first needed.

    Raises:
        NasxError: If it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise NasxError("measuring needs the package onnxruntime; type: pip install 'nasx[latency]'") from error
    return onnxruntime


def _session(model: str | bytes, settings: Mapping[str, Any]) -> Any:
    runtime = onnxruntime_package()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = settings["threads"]
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return runtime.InferenceSession(model, options, providers=[settings["provider"]])


_KINDS = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
    "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(int8)": np.int8, "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}  # fmt: skip


def _numbers(value: Any, given: list[int] | None) -> np.ndarray:
    """Something to read: random numbers; zeros where whole numbers are asked for, which may be places in a table."""
    sizes = given or value.shape
    if any(not isinstance(size, int) for size in sizes):
        raise NasxError(f"input '{value.name}' has the open shape {sizes}; give it with --shape {value.name}=...")
    if value.type not in _KINDS:
        raise NasxError(f"input '{value.name}' is a {value.type}, which is not known here")
    kind = np.dtype(_KINDS[value.type])
    if kind.kind == "f":
        return np.random.default_rng(0).standard_normal(sizes).astype(kind)
    return np.zeros(sizes, dtype=kind)
