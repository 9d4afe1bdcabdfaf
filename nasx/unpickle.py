"""Reads pickled tables of numbers without running anything they contain.

A pickle is a small program: it may name any function on the machine and call it. The reader here admits plain numbers,
strings and containers, and of named things only those the caller lists, each replaced by an inert stand-in of our own.
Everything else is refused by name before it is looked up. Files of gigabytes are read by :mod:`nasx.pickle_stream`.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

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


class _Number:
    """Stands in for a ``numpy.dtype`` of one plain number."""

    __slots__ = ("code",)

    def __init__(self, code: str) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order != "<" and not (order == "|" and self.code[1:] == "1"):
            raise pickle.UnpicklingError("a number is not in little-endian order")


class _MakeDtype:
    """Stands in for the function ``numpy.dtype``."""

    __slots__ = ("_codes",)

    def __init__(self, *codes: str) -> None:
        self._codes = codes

    def __call__(self, name: object, *flags: object) -> _Number:
        if not isinstance(name, str) or name not in self._codes:
            raise pickle.UnpicklingError(f"a number is of type {name!r}, not of type {' or '.join(self._codes)}")
        return _Number(name)


class _MakeScalar:
    """Stands in for the function ``numpy.core.multiarray.scalar``."""

    __slots__ = ()

    def __call__(self, dtype: object, data: object) -> float:
        layout = _LAYOUTS.get(dtype.code) if isinstance(dtype, _Number) else None
        if layout is None or not isinstance(data, bytes) or len(data) != layout.size:
            raise pickle.UnpicklingError("a number is not stored as its type says")
        return layout.unpack(data)[0]  # type: ignore[no-any-return]


class _MakeContainer:
    """Stands in for ``collections.OrderedDict``, ``set`` or ``bytes``: makes a plain one of what it is given."""

    __slots__ = ("_kind",)

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def __call__(self, items: object = ()) -> object:
        if not isinstance(items, list | tuple | dict):
            raise pickle.UnpicklingError(f"a {self._kind.__name__} is made of a {type(items).__name__}")
        return self._kind(items)


class _Encode:
    """Stands in for ``_codecs.encode``, by which a pickle of protocol 2 writes bytes."""

    __slots__ = ()

    def __call__(self, text: object, encoding: object) -> bytes:
        if not isinstance(text, str) or encoding != "latin1":
            raise pickle.UnpicklingError("bytes are not written as text in latin1")
        return text.encode("latin1")


_LAYOUTS = {
    code: struct.Struct(f"<{letter}")
    for code, letter in zip(
        ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1"), "dfeqihbQIHB?", strict=True
    )
}

#: The names by which a pickle writes a NumPy float64; both spellings of the module, before and after NumPy 2.
NUMPY_FLOATS: Mapping[str, object] = {
    "numpy.dtype": _MakeDtype("f8"),
    "numpy.core.multiarray.scalar": _MakeScalar(),
    "numpy._core.multiarray.scalar": _MakeScalar(),
}

#: Plain values of any protocol: NumPy numbers of every size (read as ``float``, ``int`` or ``bool``), ordered
#: dictionaries and sets (read as ``dict`` and ``set``), and bytes as protocol 2 writes them.
PLAIN: Mapping[str, object] = {
    **NUMPY_FLOATS,
    "numpy.dtype": _MakeDtype(*_LAYOUTS),
    "collections.OrderedDict": _MakeContainer(dict),
    "builtins.set": _MakeContainer(set),
    "__builtin__.set": _MakeContainer(set),
    "__builtin__.bytes": _MakeContainer(bytes),
    "_codecs.encode": _Encode(),
}


# The Python implementation, not the C one: there, one flipped byte in a memo index can allocate gigabytes.
class RestrictedUnpickler(pickle._Unpickler):
    """Python's unpickler, with every name looked up in a list of stand-ins; see :func:`load_pickle`."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]

    def __init__(self, file: Any, allowed: Mapping[str, object], refusal: str) -> None:
        super().__init__(file)
        self._allowed = allowed
        self._refusal = refusal

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name, or the refusal."""
        try:
            return self._allowed[f"{module}.{name}"]
        except KeyError:
            raise NasxError(self._refusal.format(name=f"{module}.{name}")) from None

    def persistent_load(self, pid: Any) -> Any:
        """Refuses: weights and other objects stored beside the pickle are never read."""
        raise pickle.UnpicklingError("the file refers to objects outside itself")

    def load_build(self) -> None:
        """Gives an object its state: only our own stand-ins have one."""
        state = self.stack.pop()
        if not isinstance(self.stack[-1], Record | _Number):
            raise pickle.UnpicklingError(f"a {type(self.stack[-1]).__name__} is given a state")
        self.stack[-1].__setstate__(state)

    dispatch[pickle.BUILD[0]] = load_build


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
            return RestrictedUnpickler(file, allowed, refusal).load()
    except NasxError:
        raise
    except OSError as error:
        raise NasxError(f"{path} could not be read ({error.strerror or error}); it should be {kind}") from error
    except Exception as error:  # a damaged pickle can fail in any way; all of them mean the same to the user
        raise NasxError(
            f"{path} is not {kind}, or it is damaged or cut short ({type(error).__name__}: {error}); "
            "get the file again from its source"
        ) from error
