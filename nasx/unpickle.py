"""Reads pickled tables of numbers without running anything they contain.

A pickle is a small program: it may name any function on the machine and call it. The reader here admits plain numbers,
strings and containers, and of named things only those the caller lists, each replaced by an inert stand-in of our own.
Everything else is refused by name before it is looked up.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasx.search_spaces.errors import NasxError


class Record:
    """Stands in for an object of a foreign class: holds its fields and none of its behaviour."""

    __slots__ = ("fields",)

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        if type(state) is not dict:
            raise pickle.UnpicklingError("the state of a record is not a dictionary")
        self.fields = state


class _Float64:
    """Stands in for ``numpy.dtype('<f8')``, the only data type admitted."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        if not (isinstance(state, tuple) and len(state) > 1 and state[1] == "<"):
            raise pickle.UnpicklingError("a number is not in little-endian order")


class _MakeDtype:
    """Stands in for the function ``numpy.dtype``."""

    __slots__ = ()

    def __call__(self, name: object, *flags: object) -> _Float64:
        if name != "f8":
            raise pickle.UnpicklingError(f"a number is of type {name!r}, not of type 'f8'")
        return _Float64()


class _MakeScalar:
    """Stands in for the function ``numpy.core.multiarray.scalar``."""

    __slots__ = ()

    def __call__(self, dtype: object, data: object) -> float:
        if not isinstance(dtype, _Float64) or not isinstance(data, bytes) or len(data) != 8:
            raise pickle.UnpicklingError("a number is not eight bytes of type 'f8'")
        return float(struct.unpack("<d", data)[0])


#: The two names by which a pickle writes a NumPy float64; both spellings of the module, before and after NumPy 2.
NUMPY_FLOATS: Mapping[str, object] = {
    "numpy.dtype": _MakeDtype(),
    "numpy.core.multiarray.scalar": _MakeScalar(),
    "numpy._core.multiarray.scalar": _MakeScalar(),
}


# The Python implementation, not the C one: there, one flipped byte in a memo index can allocate gigabytes.
class _RestrictedUnpickler(pickle._Unpickler):
    def __init__(self, file: Any, allowed: Mapping[str, object], refusal: str) -> None:
        super().__init__(file)
        self._allowed = allowed
        self._refusal = refusal

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allowed[f"{module}.{name}"]
        except KeyError:
            raise NasxError(self._refusal.format(name=f"{module}.{name}")) from None

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("the file refers to objects outside itself")


def load_pickle(path: str | Path, allowed: Mapping[str, object], *, kind: str) -> Any:
    """Loads a pickle that may only name what the caller lists.

    Args:
        path: The file.
        allowed: Full name (``"module.name"``) -> what stands in for it: :class:`Record` for a class whose fields are
            wanted, an entry of :data:`NUMPY_FLOATS` for NumPy numbers.
        kind: What the file should be, for the error message, for example ``"the table of analog-nasbench"``.

    Returns:
        Numbers, strings and containers, and the stand-ins given.

    Raises:
        NasxError: The file names anything else, or is truncated, foreign or unreadable.

    >>> import pickle, tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "table"
    ...     _ = file.write_bytes(pickle.dumps({"cell": 0.5}))
    ...     load_pickle(file, {}, kind="a table")
    {'cell': 0.5}
    """
    refusal = f"{path} is not {kind}: it asks for '{{name}}', which was refused; get the file again from its source"
    try:
        with open(path, "rb") as file:
            return _RestrictedUnpickler(file, allowed, refusal).load()
    except NasxError:
        raise
    except OSError as error:
        raise NasxError(f"{path} could not be read ({error.strerror or error}); it should be {kind}") from error
    except Exception as error:  # a damaged pickle can fail in any way; all of them mean the same to the user
        raise NasxError(
            f"{path} is not {kind}, or it is damaged or cut short ({type(error).__name__}: {error}); "
            "get the file again from its source"
        ) from error
