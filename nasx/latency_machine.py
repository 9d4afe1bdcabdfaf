"""What networks are measured on, in words."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-silicon", "onnxruntime-openvino")


def describe_machine() -> dict[str, str | int]:
    """Processor, cores this process may use, system, versions of onnxruntime, onnx and python.

    >>> sorted(describe_machine())
    ['cores', 'onnx', 'onnxruntime', 'processor', 'python', 'system']
    """
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "processor": processor(),
        "cores": len(affinity(0)) if affinity else os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
        "onnxruntime": next((found for name in _RUNTIMES if (found := _version(name))), ""),
        "onnx": _version("onnx"),
        "python": platform.python_version(),
    }


def processor() -> str:
    """The model of the processor, as the system calls it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model", "Hardware") and value.strip():
                return value.strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
