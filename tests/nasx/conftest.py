"""Fixtures of these tests: a web server on this machine that behaves as badly as real ones do, and a toy benchmark."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasx.metric import Metric
from nasx.search_spaces import get_search_space
from nasx.search_spaces.errors import NasxError
from nasx.table_file import Table


@dataclass
class Site:
    """What the server does, and what it was asked."""

    body: bytes = b""
    etag: str = '"first"'
    ranges: bool = True
    length: bool = True
    cuts: list[int] = field(default_factory=list)  # bytes after which each answer in turn is cut off
    statuses: list[int] = field(default_factory=list)  # answers before the file, in turn
    wrong_part: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(dict(self.headers))
            if state.statuses:
                self.send_error(state.statuses.pop(0))
                return
            start, wanted = 0, self.headers.get("Range")
            if wanted and state.ranges and self.headers.get("If-Range", state.etag) == state.etag:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                if start >= len(state.body):
                    self.send_error(416)
                    return
                self.send_response(206)
                shown = start + 1 if state.wrong_part else start
                self.send_header("Content-Range", f"bytes {shown}-{len(state.body) - 1}/{len(state.body)}")
            else:
                self.send_response(200)
            rest = state.body[start:]
            if state.etag:
                self.send_header("ETag", state.etag)
            if state.length:
                self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[: state.cuts.pop(0)] if state.cuts else rest)

        def log_message(self, *_: Any) -> None:
            pass

    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/file.bin"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Toy:
    """An official benchmark of 50 cells of NAS-Bench-201 on two data sets, in a format of its own: JSON."""

    name: str = "toy"
    file: str = "toy-v1.bin"
    rows: int = 50

    def content(self, rows: int = 50, space: str = "nasbench201") -> bytes:
        accuracies = [round(50 + row * 0.7, 1) for row in range(rows)]
        return json.dumps({"space": space, "accuracies": accuracies}).encode()

    def write(self, folder: Path, **changes: Any) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.file
        path.write_bytes(self.content(**changes))
        return path

    @staticmethod
    def read(path: Path, *, progress: Any = None) -> Table:
        """The reader of the format, as an official reader is."""
        try:
            stored = json.loads(path.read_bytes())
            values = np.array(stored["accuracies"])
        except (ValueError, KeyError, TypeError) as error:
            raise NasxError(f"{path} is no toy") from error
        if progress is not None:
            progress(path.stat().st_size, path.stat().st_size)
        metrics, columns = {}, {}
        for dataset, bonus in (("cifar10", 0.0), ("cifar100", -20.0)):
            for seed in (777, 888, "mean"):
                metric = Metric.of("test_accuracy", "percent", "maximize", dataset=dataset, epochs=200, seed=seed)
                metrics[metric.name] = metric
                columns[metric.name] = values + bonus + (seed == 888) * np.sin(np.arange(len(values)))
        return Table(
            name="as the reader calls it",
            space=get_search_space(stored["space"]),
            architectures=np.arange(len(values)),
            columns=columns,
            metrics=metrics,
            target="test_accuracy_200_epochs_mean",
            extra={"version": 1},
        )


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Toy:
    """The toy, made known as an official benchmark, and an empty cache folder."""
    from nasx import official

    toy = Toy()
    entry = official.Official(
        name=toy.name,
        contents="fifty cells for tests",
        space="nasbench201",
        rows=toy.rows,
        files=(toy.file,),
        size="1 kB",
        licence="CC0",
        source="https://example.org/toy",
        reader="toy_reader:read",
        url="https://example.org/toy-v1.bin",
        sha256=hashlib.sha256(toy.content()).hexdigest(),
    )
    module = types.ModuleType("toy_reader")
    module.read = toy.read  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_reader", module)
    monkeypatch.setitem(official.OFFICIAL, toy.name, entry)
    monkeypatch.setenv("NASX_DATA", str(tmp_path / "cache"))
    return toy
