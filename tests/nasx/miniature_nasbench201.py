"""Writes miniature NAS-Bench-201 and NATS-Bench files, in the exact layout of the official ones.

The layout is that of the scripts which made them: ``NAS-Bench-201/statistics.py`` (v1_0 and v1_1: states of 200 epochs
under "full", of 12 under "less") and ``NATS-Bench/tss-collect.py``. What differs between the versions:

* v1_0: no training times; latencies as measured; 12 epochs on ``cifar10-valid`` only.
* v1_1 and NATS-Bench: times per epoch, the same for all epochs; one latency; 12 epochs on all data sets.
* 200 epochs: validation and test accuracy of CIFAR-100 and ImageNet16-120 at the last epoch only.
"""

from __future__ import annotations

import bz2
import hashlib
import pickle
import tarfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nasx.search_spaces.nasbench201 import NASBench201

SETS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("ori-test", "x-valid", "x-test"),
    "ImageNet16-120": ("ori-test", "x-valid", "x-test"),
}
_CLASSES = {"cifar10-valid": 10, "cifar10": 10, "cifar100": 100, "ImageNet16-120": 120}


def architectures(count: int) -> list[str]:
    """The first cells in the official order."""
    space = NASBench201(order="official")
    return [space.format(space.architecture(index)) for index in range(count)]


def _curve(rng: np.random.Generator, epochs: int, end: float) -> list[float]:
    return (np.linspace(10, end, epochs) + rng.normal(0, 0.5, epochs)).clip(0, 100).tolist()


def _result(rng: np.random.Generator, version: str, cell: str, dataset: str, seed: int, epochs: int) -> dict[str, Any]:
    """The state of one training run, keys in the order in which ``ResultsCount`` makes them."""
    names = SETS[dataset]
    new = epochs == 12  # trained later, by a script that evaluated after each epoch and took the time
    everywhere = names if new else names[:1]
    state: dict[str, Any] = {
        "name": dataset,
        "net_state_dict": None,
        "train_acc1es": dict(enumerate(_curve(rng, epochs, 95))),
        "train_acc5es": dict(enumerate(_curve(rng, epochs, 99))) if new else None,
        "train_losses": dict(enumerate(_curve(rng, epochs, 1))),
        "train_times": None,
        "arch_config": {"channel": 16, "num_cells": 5, "arch_str": cell[:1] + cell[1:], "class_num": _CLASSES[dataset]},
        "params": np.float64(rng.uniform(0.07, 1.5)),
        "flop": float(rng.uniform(7, 220)),
        "seed": f"{seed:04d}",
        "epochs": epochs,
        "latency": rng.uniform(0.01, 0.03, 4).tolist(),
        "eval_names": list(names),
        "eval_acc1es": {},
        "eval_times": {},
        "eval_losses": {},
    }
    for name in names:
        for epoch in range(epochs) if name in everywhere else [epochs - 1]:
            key, value = f"{name}@{epoch}", float(rng.uniform(40, 94))
            state["eval_acc1es"][key] = value
            state["eval_losses"][key if new else f"{name}@{epoch}"] = 5 - value / 20
            if new:
                state["eval_times"][key] = float(rng.uniform(1, 2))
    if version == "v1_0" and new:
        state["train_times"] = dict(enumerate(rng.uniform(9, 11, epochs).tolist()))
    return state


def _calibrate(states: dict[int, dict[str, Any]], rng: np.random.Generator) -> None:
    """The latency and the times of v1_1 and NATS-Bench: one value for a data set, whatever the seed or the epochs."""
    latency, seconds = {}, {}
    for dataset in SETS:
        latency[dataset], seconds[dataset] = float(rng.uniform(0.01, 0.03)), float(rng.uniform(9, 30))
    for state in states.values():
        for (dataset, _), result in state["all_results"].items():
            result["latency"] = [latency[dataset]]
            result["train_times"] = OrderedDict((epoch, seconds[dataset]) for epoch in range(result["epochs"]))
            for place, name in enumerate(SETS[dataset]):
                for epoch in range(result["epochs"]):
                    result["eval_times"][f"{name}@{epoch}"] = seconds[dataset] / (place + 5)


def state_of(
    index: int, cell: str, version: str, epochs: int, rng: np.random.Generator, every_seed: bool = False
) -> dict[str, Any]:
    """The state of one ``ArchResults``; not all architectures were trained three times."""
    results, seeds_of = {}, {}
    for dataset in SETS:
        if epochs == 200:
            seeds: tuple[int, ...] = (777, 888, 999)[: 3 if dataset == "cifar10" else 1 + index % 3]
            if index % 4 == 3:
                seeds = (888,)
            if every_seed:
                seeds = (777, 888, 999)
        else:
            if version == "v1_0" and dataset != "cifar10-valid":
                continue
            seeds = (111, 777) if dataset == "cifar10-valid" else (777,)
        costs = None
        for seed in seeds:
            result = _result(rng, version, cell, dataset, seed, epochs)
            if costs is not None and index % 5:  # costs differ between seeds by a rare mistake of the official files
                result["params"], result["flop"] = costs
            costs = result["params"], result["flop"]
            results[dataset, seed] = result
        seeds_of[dataset] = list(seeds)
    return {
        "arch_index": index,
        "arch_str": cell,
        "all_results": results,
        "dataset_seed": seeds_of,
        "clear_net_done": True,
    }


def contents(
    count: int,
    version: str = "v1_1",
    *,
    seed: int = 0,
    full: str = "full",
    less: str = "less",
    every_seed: bool = False,
) -> dict[str, Any]:
    """What the official file of that version holds, for the first architectures."""
    rng = np.random.default_rng(seed)
    cells = architectures(count)
    infos = {}
    for index, cell in enumerate(cells):
        states = {epochs: state_of(index, cell, version, epochs, rng, every_seed) for epochs in (12, 200)}
        if version != "v1_0":
            _calibrate(states, rng)
        infos[index] = {full: states[200], less: states[12]}
    return {
        "meta_archs": cells,
        "total_archs": count,
        "basestr": "C16-N5",
        "arch2infos": infos,
        "evaluated_indexes": list(range(count)),
    }


def named_by_digest(path: Path, stem: str, digits: int, suffix: str) -> Path:
    """Gives a file the name of the official ones: the last digits of its MD5 are part of it."""
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    return path.rename(path.with_name(f"{stem}-{digest[-digits:]}{suffix}"))


def write_pth(folder: Path, infos: dict[str, Any], version: str = "v1_1", *, legacy: bool = True) -> Path:
    """Writes the dictionary as ``torch.save`` did then (legacy) or does now (zip)."""
    import torch

    path = folder / "writing.pth"
    torch.save(infos, path, _use_new_zipfile_serialization=not legacy)
    return named_by_digest(path, f"NAS-Bench-201-{version}", 6, ".pth")


def _write_pickle(path: Path, value: Any) -> None:
    with bz2.BZ2File(path, "wb") as file:
        pickle.dump(value, file, protocol=4)


def nats_contents(count: int, *, seed: int = 0, every_seed: bool = False) -> dict[str, Any]:
    """What the NATS-Bench topology file holds, for the first architectures."""
    infos = contents(count, "nats", seed=seed, full="200", less="12", every_seed=every_seed)
    infos["arch2infos"] = {
        index: OrderedDict({"12": both["12"], "200": both["200"]}) for index, both in infos["arch2infos"].items()
    }
    del infos["basestr"]
    infos["evaluated_indexes"] = set(infos["evaluated_indexes"])
    return infos


def write_nats(folder: Path, infos: dict[str, Any]) -> Path:
    """Writes the folder with one file an architecture."""
    target = folder / "NATS-tss-v1_0-3ffb9-simple"
    target.mkdir()
    meta = {**infos, "arch2infos": None, "evaluated_indexes": set()}
    _write_pickle(target / "meta.pickle.pbz2", meta)
    for index, info in infos["arch2infos"].items():
        _write_pickle(target / f"{index:06d}.pickle.pbz2", info)
    return target


def write_nats_file(folder: Path, infos: dict[str, Any]) -> Path:
    """Writes the form with everything in one file."""
    _write_pickle(folder / "writing.pickle.pbz2", infos)
    return named_by_digest(folder / "writing.pickle.pbz2", "NATS-tss-v1_0", 5, ".pickle.pbz2")


def write_tar(folder: Path, source: Path, names: Sequence[str] | None = None) -> Path:
    """Packs a NATS-Bench folder."""
    path = folder / f"{source.name}.tar"
    with tarfile.open(path, "w") as archive:
        for file in sorted(source.iterdir()):
            if names is None or file.name in names:
                archive.add(file, f"{source.name}/{file.name}")
    return path


#: All forms of the files: two versions, two containers of torch, three of NATS-Bench.
FORMS = ("v1_0", "v1_1", "v1_1-zip", "nats", "nats-tar", "nats-file")


def contents_of(form: str, count: int) -> dict[str, Any]:
    """What a file of that form holds, for the first architectures."""
    return nats_contents(count) if form.startswith("nats") else contents(count, form[:4])


def write_form(folder: Path, form: str, infos: dict[str, Any]) -> Path:
    """Writes a file or folder of that form."""
    if form.startswith("v1"):
        return write_pth(folder, infos, form[:4], legacy=not form.endswith("zip"))
    if form == "nats-file":
        return write_nats_file(folder, infos)
    path = write_nats(folder, infos)
    return write_tar(folder, path) if form == "nats-tar" else path
