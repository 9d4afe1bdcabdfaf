"""The networks that are to be measured: which files they are, their families, and how they are made ready to run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasx.network_builder import with_weights
from nasx.network_families import FAMILY_KEY
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.onnx_file import onnx_package


@dataclass(frozen=True)
class NetworkFile:
    """A network to be measured.

    Attributes:
        name: Its name in the table: the path within the folder, without the ending.
        path: The file.
    """

    name: str
    path: Path

    def digest(self) -> str:
        """A checksum of the file, by which a measured network is known again."""
        return hashlib.blake2b(self.path.read_bytes(), digest_size=12).hexdigest()


def network_files(places: Sequence[str | Path]) -> list[NetworkFile]:
    """Returns the ONNX files in folders, or given one by one, sorted by name.

    Args:
        places: Folders, searched with their subfolders, and files.

    Raises:
        UsageError: If a place does not exist, holds no ONNX file, or two files would have one name.
    """
    found: list[NetworkFile] = []
    for place in map(Path, places):
        if place.is_dir():
            inside = sorted(place.rglob("*.onnx"))
            if not inside:
                raise UsageError(f"the folder '{place}' holds no .onnx file; write some: nasx latency generate")
            found += [NetworkFile(path.relative_to(place).with_suffix("").as_posix(), path) for path in inside]
        elif place.is_file():
            found.append(NetworkFile(place.stem, place))
        else:
            raise UsageError(f"there is no file or folder '{place}'")
    names = [file.name for file in found]
    if twice := next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None:
        raise UsageError(f"two files would be called '{twice}' in the table; rename one, or give their common folder")
    return sorted(found, key=lambda file: file.name)


def load_model(path: Path) -> Any:
    """Reads a model without looking for external weights.

    Raises:
        UsageError: If it is no ONNX file.
    """
    onnx = onnx_package()
    model = onnx.ModelProto()
    content = path.read_bytes()
    try:
        model.ParseFromString(content)
    except Exception as error:  # protobuf's implementations raise different classes
        raise UsageError(f"'{path}' is not an ONNX file, or a truncated one") from error
    return model


def family_of(model: Any, name: str) -> str:
    """The family of a network: what its file says, else the folder it lies in, else its name up to a number.

    >>> family_of(onnx_package().ModelProto(), "resnet/17"), family_of(onnx_package().ModelProto(), "vgg-0004")
    ('resnet', 'vgg')
    """
    for entry in model.metadata_props:
        if entry.key == FAMILY_KEY:
            return str(entry.value)
    folder, _, last = name.rpartition("/")
    return folder or last.rstrip("0123456789").rstrip("-_") or last


def with_batch(model: Any, batch_size: int | None) -> Any:
    """Returns a copy of a model that reads so many images at once; the model itself where nothing was asked for.

    A model that has its batch written into its operations fails later, when it runs.
    """
    if batch_size is None:
        return model
    copy = type(model)()
    copy.CopyFrom(model)
    stored = {tensor.name for tensor in copy.graph.initializer}
    for value in [*copy.graph.input, *copy.graph.output]:
        if value.name not in stored and value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_value = batch_size
    del copy.graph.value_info[:]
    return copy


def runnable(path: Path, batch_size: int | None = None) -> Any:
    """Returns what a runtime is given: the file as it is, or a model where weights or another batch are filled in.

    Raises:
        UsageError: If it is no ONNX file.
        NasxError: If its weights lie in another file, which is missing.
    """
    model = load_model(path)
    onnx = onnx_package()
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            place = next((entry.value for entry in tensor.external_data if entry.key == "location"), "another file")
            if not (path.parent / place).is_file():
                raise NasxError(f"its weights are kept in '{place}', which is not there; put it beside the model")
    filled = with_weights(with_batch(model, batch_size))
    return str(path) if filled is model else filled.SerializeToString()
