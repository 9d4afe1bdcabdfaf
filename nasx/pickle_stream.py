"""Reads pickles of gigabytes, mostly learning curves, in a few hundred megabytes of memory.

Python's own unpickler keeps every string it ever read, in case the file refers back to it: the 4.7 GB of NAS-Bench-201
hold some 130 million of them (``"x-valid@0"``, ``"x-valid@1"`` ...). Here the file passes through a window, a run of
entries that are all alike is read at once, and such a run leaves behind one line saying which names it held. What it
reads is exactly what the unpickler of :mod:`nasx.unpickle` would read, under the same restrictions.
"""

from __future__ import annotations

import pickle
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

from nasx.search_spaces.errors import NasxError
from nasx.unpickle import RestrictedUnpickler

#: No single item of a table of numbers is larger; a damaged length must not ask for gigabytes.
LARGEST_ITEM = 16 << 20
_CHUNK, _AHEAD = 4 << 20, 256 << 10


class Window:
    """The part of a file that is being read.

    Args:
        file: A file opened for reading bytes; it is read from front to back.
        progress: Called with the number of bytes read so far, every few megabytes.

    >>> import io
    >>> window = Window(io.BytesIO(b"abcdef"))
    >>> window.read(2), window.offset, window.read(9)
    (b'ab', 2, b'cdef')
    """

    def __init__(self, file: BinaryIO, progress: Callable[[int], None] | None = None) -> None:
        self._file, self._progress = file, progress
        self.buffer, self.position = b"", 0
        self._start, self._ended = 0, False

    @property
    def offset(self) -> int:
        """Number of bytes consumed, which is the place in the file."""
        return self._start + self.position

    def read(self, size: int = -1) -> bytes:
        """The next ``size`` bytes, fewer at the end of the file."""
        if not 0 <= size <= LARGEST_ITEM:
            raise pickle.UnpicklingError(f"an item of {size:,} bytes")
        end = self.position + size
        if end > len(self.buffer):
            self.look_ahead(size)
            end = self.position + size
        data = self.buffer[self.position : end]
        self.position += len(data)
        return data

    def readline(self) -> bytes:
        """The next line, with its end; lines are short in a pickle."""
        self.look_ahead(_AHEAD)
        end = self.buffer.find(b"\n", self.position, self.position + _AHEAD) + 1
        if not end:
            raise pickle.UnpicklingError("a line without end")
        return self.read(end - self.position)

    def readinto(self, target: bytearray) -> int:
        """Fills the target; the number of bytes that were there."""
        data = self.read(len(target))
        target[: len(data)] = data
        return len(data)

    def look_ahead(self, size: int = _AHEAD) -> None:
        """Makes sure that the next ``size`` bytes are in ``buffer``, or all there are."""
        while len(self.buffer) - self.position < size and not self._ended:
            chunk = self._file.read(_CHUNK)
            self._ended = not chunk
            self._start += self.position
            self.buffer = self.buffer[self.position :] + chunk
            self.position = 0
            if self._progress is not None:
                self._progress(self._start + len(self.buffer))


class _Memo:
    """What a pickle may refer back to: number -> object, with the names of a run kept together."""

    __slots__ = ("_single", "_spans", "_starts", "next", "size")

    def __init__(self) -> None:
        self._single: dict[int, Any] = {}
        self._starts: list[int] = []
        self._spans: list[tuple[str, ...]] = []
        self.next = self.size = 0

    def __len__(self) -> int:
        return self.size

    def __setitem__(self, index: int, value: Any) -> None:
        self.size += index >= self.next or index not in self
        self._single[index] = value
        self.next = max(self.next, index + 1)

    def __contains__(self, index: int) -> bool:
        try:
            self[index]
        except KeyError:
            return False
        return True

    def __getitem__(self, index: int) -> Any:
        try:
            return self._single[index]
        except KeyError:
            place = bisect_right(self._starts, index) - 1
            if place >= 0 and index - self._starts[place] < len(self._spans[place]):
                return self._spans[place][index - self._starts[place]]
            raise

    def several(self, indices: list[int]) -> Sequence[Any] | None:
        """The objects under these numbers, or None where there are none or one is missing."""
        if not indices:
            return None
        place = bisect_right(self._starts, indices[0]) - 1
        if place >= 0 and indices[0] not in self._single:
            start, span = indices[0] - self._starts[place], self._spans[place]
            if start + len(indices) <= len(span) and indices == list(range(indices[0], indices[0] + len(indices))):
                return span[start : start + len(indices)]
        try:
            return [self[index] for index in indices]
        except KeyError:
            return None

    def extend(self, names: tuple[str, ...]) -> None:
        """Remembers these names under the next numbers."""
        self._starts.append(self.next)
        self._spans.append(names)
        self.next += len(names)
        self.size += len(names)


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
        self.memo: Any = _Memo()
        self._templates: dict[bytes, list[_Template]] = {}

    def load(self) -> Any:
        """The object; see the class."""
        self.metastack: list[list[Any]] = []
        self.stack: list[Any] = []
        self.append = self.stack.append
        self.proto = 0
        window, dispatch = self._window, self.dispatch
        read = self.read = window.read
        self.readline, self.readinto = window.readline, window.readinto
        try:
            while True:
                key = read(1)
                if not key:
                    raise EOFError("it ends before its end")
                dispatch[key[0]](self)
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
        items = self.pop_mark()
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
        if not explicit and len(memo) != memo.next:
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
