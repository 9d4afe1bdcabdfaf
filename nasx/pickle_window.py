"""What :mod:`nasx.pickle_stream` reads from, and what it remembers: a window on a file, and a memo for long runs."""

from __future__ import annotations

import pickle
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

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
        position, end = self.position, self.position + size
        if size < 0 or end > len(self.buffer):
            if not 0 <= size <= LARGEST_ITEM:
                raise pickle.UnpicklingError(f"an item of {size:,} bytes")
            self.look_ahead(size)
            position, end = self.position, min(self.position + size, len(self.buffer))
        self.position = end
        return self.buffer[position:end]

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


class Memo:
    """What a pickle may refer back to: number -> object, with the names of a run kept together.

    Pickles count from 0 without gaps; what does not follow that rule is kept apart.
    """

    __slots__ = ("_apart", "_before", "_objects", "_spans", "_starts", "next")

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._starts: list[int] = []  # number of the first name of each run
        self._before: list[int] = []  # how many names came with this run and those before it
        self._spans: list[tuple[str, ...]] = []
        self._apart: dict[int, Any] = {}
        self.next = 0

    @property
    def regular(self) -> bool:
        """Whether everything so far was counted without gaps."""
        return not self._apart

    def __len__(self) -> int:
        return self.next + sum(index >= self.next for index in self._apart)

    def __setitem__(self, index: int, value: Any) -> None:
        if index == self.next:
            self._apart.pop(index, None)
            self._objects.append(value)
            self.next += 1
        else:
            self._apart[index] = value

    def __getitem__(self, index: int) -> Any:
        if self._apart and index in self._apart:
            return self._apart[index]
        if not 0 <= index < self.next:
            raise KeyError(index)
        place = bisect_right(self._starts, index) - 1
        if place < 0:
            return self._objects[index]
        inside = index - self._starts[place]
        span = self._spans[place]
        return span[inside] if inside < len(span) else self._objects[index - self._before[place]]

    def several(self, indices: list[int]) -> Sequence[Any] | None:
        """The objects under these numbers, or None where there are none or one is missing."""
        if not indices:
            return None
        place = bisect_right(self._starts, indices[0]) - 1
        if place >= 0 and self.regular:
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
        self._before.append((self._before[-1] if self._before else 0) + len(names))
        self._spans.append(names)
        self.next += len(names)
