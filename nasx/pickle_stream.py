"""Reads pickles of gigabytes, mostly learning curves, in a few hundred megabytes of memory.

Python's own unpickler keeps every string it ever read, in case the file refers back to it: the 4.7 GB of NAS-Bench-201
hold some 130 million of them (``"x-valid@0"``, ``"x-valid@1"`` ...). Here the file passes through a window, a run of
entries that are all alike is read at once, and such a run leaves behind one line saying which names it held. What it
reads is exactly what the unpickler of :mod:`nasx.unpickle` would read, under the same restrictions.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nasx.pickle_window import Memo, Window
from nasx.search_spaces.errors import NasxError
from nasx.unpickle import RestrictedUnpickler

# Entries of a dictionary of numbers, opcode for opcode: an epoch (BININT1 or BININT2) and BINFLOAT; a string such as
# "x-valid@7", remembered under a number of its own (protocols 1 to 3) or under the next (4 and 5), and BINFLOAT.
_EPOCHS = re.compile(rb"(?:(?:K.|M..)G.{8})+", re.DOTALL)
_EPOCH = re.compile(rb"(?:K(.)|M(..))G(.{8})", re.DOTALL)
_NAMED = re.compile(rb"(?:X.\0\0\0[-\w]{1,40}@\d{1,5}r.{4}G.{8})+", re.DOTALL)
_NAME = re.compile(rb"X(.)\0\0\0([-\w]{1,40}@\d{1,5})r(.{4})G(.{8})", re.DOTALL)
_NAMED_4 = re.compile(rb"(?:\x8c.[-\w]{1,40}@\d{1,5}\x94G.{8})+", re.DOTALL)
_NAME_4 = re.compile(rb"\x8c(.)([-\w]{1,40}@\d{1,5})(\x94)G(.{8})", re.DOTALL)
_STRIDE_EPOCH, _STRIDE_KNOWN, _MOST = 11, 14, 1024


class _Template:
    """A run of named entries as it was read once: which bytes will be the same the next time, and where the others are.

    Args:
        names: The names of the run.
        explicit: Whether each name is remembered under a number that the file states (protocols 1 to 3).
        run: The bytes.
    """

    __slots__ = ("_fixed", "_places", "_puts", "_values", "names", "size")

    def __init__(self, names: tuple[str, ...], explicit: bool, run: bytes) -> None:
        lengths = np.array([len(name) for name in names]) + (5 if explicit else 2)
        starts = np.concatenate([[0], np.cumsum(lengths + (14 if explicit else 10))])
        puts = starts[:-1] + lengths + 1
        self._puts = (puts[:, None] + np.arange(4)).ravel() if explicit else None
        self._values = (puts[:, None] + (5 if explicit else 1) + np.arange(8)).ravel()
        fixed = np.ones(len(run), dtype=bool)
        fixed[self._values] = False
        if self._puts is not None:
            fixed[self._puts] = False
        self._places = np.flatnonzero(fixed)
        self._fixed = np.frombuffer(run, dtype=np.uint8)[self._places].tobytes()
        self.names, self.size = names, len(run)

    def values(self, window: Window, first: int) -> bytes | None:
        """The numbers of the run that begins here, if it is one like this, remembered from number ``first`` on."""
        if len(window.buffer) - window.position < self.size:
            return None
        run = np.frombuffer(window.buffer, np.uint8, self.size, window.position)
        if run[self._places].tobytes() != self._fixed:
            return None
        if self._puts is not None:
            numbers = run[self._puts].view("<u4")
            if not np.array_equal(numbers, np.arange(first, first + len(numbers))):
                return None
        return run[self._values].tobytes()


class StreamUnpickler(RestrictedUnpickler):
    """Reads one pickle from a window.

    Args:
        window: Where to read; afterwards it stands behind the pickle.
        allowed: As for :func:`nasx.unpickle.load_pickle`.
        refusal: The sentence for a name that is not allowed, with ``{name}`` in it.
        on_dict: Called with each dictionary when items were added to it; it may take items out again.

    >>> import io, pickle
    >>> curve = pickle.dumps({"losses": {0: 2.5, 1: 1.25}, "accuracies": {"x-valid@0": 10.0, "x-valid@1": 50.0}})
    >>> StreamUnpickler(Window(io.BytesIO(curve)), {}, "refused").load()
    {'losses': {0: 2.5, 1: 1.25}, 'accuracies': {'x-valid@0': 10.0, 'x-valid@1': 50.0}}
    """

    dispatch: ClassVar[dict[int, Any]] = dict(RestrictedUnpickler.dispatch)

    def __init__(
        self,
        window: Window,
        allowed: Mapping[str, object],
        refusal: str,
        on_dict: Callable[[dict[Any, Any]], None] | None = None,
    ) -> None:
        super().__init__(window, allowed, refusal)
        self._window, self._on_dict = window, on_dict
        self.memo: Any = Memo()
        self._templates: dict[bytes, list[_Template]] = {}

    def load(self) -> Any:
        """The object; see the class."""
        self.metastack: list[list[Any]] = []
        self.stack = []
        self.append = self.stack.append
        self.proto = 0
        window, dispatch = self._window, self.dispatch
        read = self.read = window.read
        self.readline, self.readinto = window.readline, window.readinto
        try:
            while True:
                if window.position < len(window.buffer):
                    opcode = window.buffer[window.position]
                    window.position += 1
                else:
                    key = read(1)
                    if not key:
                        raise EOFError("it ends before its end")
                    opcode = key[0]
                dispatch[opcode](self)
        except pickle._Stop as stop:  # type: ignore[attr-defined]
            return stop.value

    def load_mark(self) -> None:
        """Begins a group of items; the entries of a dictionary of numbers are read at once."""
        self.metastack.append(self.stack)
        self.stack = []
        self.append = self.stack.append
        self._load_runs()

    dispatch[pickle.MARK[0]] = load_mark

    def load_frame(self) -> None:
        """A frame only says how much to read at once."""
        if len(self.read(8)) < 8:
            raise EOFError("it ends before its end")
        self._load_runs()

    dispatch[pickle.FRAME[0]] = load_frame

    def load_setitems(self) -> None:
        """Adds the items of a group to a dictionary."""
        items = self.pop_mark()  # type: ignore[attr-defined]
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise pickle.UnpicklingError("items are added to what is no dictionary")
        target.update(zip(items[::2], items[1::2], strict=True))
        if self._on_dict is not None:
            self._on_dict(target)

    dispatch[pickle.SETITEMS[0]] = load_setitems

    def _load_runs(self) -> None:
        window = self._window
        while True:
            window.look_ahead()
            reader = self._READERS.get(window.buffer[window.position : window.position + 1])
            if reader is None or not reader(self):
                return

    def _load_epochs(self) -> bool:
        window = self._window
        cells = self._cells(_STRIDE_EPOCH)
        alike = (cells[:, 0] == ord("K")) & (cells[:, 2] == ord("G"))
        count = len(cells) if alike.all() else int(alike.argmin())
        if count:
            cells = cells[:count]
            self._push(cells[:, 1].tolist(), cells[:, 3:].tobytes(), window.position + count * _STRIDE_EPOCH)
            return True
        run = _EPOCHS.match(window.buffer, window.position)  # epochs above 255
        if run is None:
            return False
        items = _EPOCH.findall(window.buffer, window.position, run.end())
        epochs = [int.from_bytes(short or long, "little") for short, long, _ in items]
        self._push(epochs, b"".join([value for _, _, value in items]), run.end())
        return True

    def _load_named(self) -> bool:
        window, memo = self._window, self.memo
        explicit = window.buffer[window.position] == pickle.BINUNICODE[0]
        if not memo.regular:
            return False
        length = window.buffer[window.position + 1 : window.position + 2]
        head = window.buffer[window.position : window.position + (5 if explicit else 2) + sum(length)]
        for template in self._templates.get(head, ()):
            values = template.values(window, memo.next)
            if values is not None:
                self._push(template.names, values, window.position + template.size)
                memo.extend(template.names)
                return True
        run = (_NAMED if explicit else _NAMED_4).match(window.buffer, window.position)
        if run is None:
            return False
        items = (_NAME if explicit else _NAME_4).findall(window.buffer, window.position, run.end())
        lengths, raw, puts, floats = zip(*items, strict=True)
        if b"".join(lengths) != bytes(map(len, raw)):
            return False
        numbers = np.frombuffer(b"".join(puts), dtype="<u4") if explicit else None
        if numbers is not None and not np.array_equal(numbers, np.arange(memo.next, memo.next + len(raw))):
            return False
        names = tuple(name.decode("ascii") for name in raw)
        known = self._templates.setdefault(head, [])
        if len(known) < 8 and len(names) >= 8:
            known.append(_Template(names, explicit, run.group()))
        memo.extend(names)
        self._push(names, b"".join(floats), run.end())
        return True

    def _load_known(self) -> bool:
        window = self._window
        cells = self._cells(_STRIDE_KNOWN)
        alike = (cells[:, 0] == pickle.LONG_BINGET[0]) & (cells[:, 5] == ord("G"))
        count = len(cells) if alike.all() else int(alike.argmin())
        numbers = cells[:count, 1:5].copy().view("<u4").ravel().tolist()
        names = self.memo.several(numbers)
        if not names:
            return False
        self._push(names, cells[:count, 6:].tobytes(), window.position + count * _STRIDE_KNOWN)
        return True

    _READERS: ClassVar[dict[bytes, Callable[[StreamUnpickler], bool]]] = {
        pickle.BININT1: _load_epochs,
        pickle.BININT2: _load_epochs,
        pickle.BINUNICODE: _load_named,
        pickle.SHORT_BINUNICODE: _load_named,
        pickle.LONG_BINGET: _load_known,
    }

    def _cells(self, stride: int) -> NDArray[np.uint8]:
        """The bytes to come, in rows of this length; there is at least one."""
        window = self._window
        count = min((len(window.buffer) - window.position) // stride, _MOST)
        if not count:
            return np.zeros((1, stride), dtype=np.uint8)
        return np.frombuffer(window.buffer, np.uint8, count * stride, window.position).reshape(count, stride)

    def _push(self, keys: Any, values: bytes, end: int) -> None:
        flat: list[Any] = [None] * (2 * len(keys))
        flat[::2] = keys
        flat[1::2] = np.frombuffer(values, dtype=">f8").tolist()
        self.stack.extend(flat)
        self._window.position = end


def load_stream(
    window: Window,
    allowed: Mapping[str, object],
    *,
    path: object,
    kind: str,
    on_dict: Callable[[dict[Any, Any]], None] | None = None,
) -> Any:
    """Reads one pickle from a window, under the restrictions of :func:`nasx.unpickle.load_pickle`.

    Args:
        window: Where to read; afterwards it stands behind the pickle.
        allowed: The names the pickle may use, and what stands in for each.
        path: The file, for the error messages.
        kind: What the file should be, for the error messages.
        on_dict: As for :class:`StreamUnpickler`.

    Raises:
        NasxError: The pickle names anything else, or is truncated, foreign or damaged; the sentence says at which byte.
    """
    refusal = f"{path} is not {kind}: it asks for '{{name}}', which was refused; get the file again from its source"
    try:
        return StreamUnpickler(window, allowed, refusal, on_dict).load()
    except NasxError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way; all of them mean the same to the user
        raise NasxError(
            f"{path} is not {kind}, or it is damaged or cut short at byte {window.offset:,} "
            f"({type(error).__name__}: {error}); get the file again from its source"
        ) from error
