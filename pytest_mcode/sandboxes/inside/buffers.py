"""What a supervisor holds of a program, outside of Python's own memory.

The next program is forked from the supervisor, and may read all that the supervisor ever had: also what is no longer
used, in memory that Python keeps for later. So whatever is a program's (its solution, its tests, what it wrote and what
was said of it) passes through regions that are given back to the system as a whole before the next fork. It is never
made a Python object here, and only the kernel copies it: what a processor copies stays in its registers, and with the
next signal on the stack.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator

from .frames import HEAD, BrokenFrameError


class Region:
    """Memory of its own."""

    def __init__(self, size: int) -> None:
        self._map = mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.view = memoryview(self._map)

    def close(self) -> None:
        """Give it back; views of it must be gone."""
        self.view.release()
        self._map.close()


class Captured:
    """What a stream carried: its head, and its tail in a ring behind it; the middle is only counted.

    Args:
        fd: Where to read.
        keep: Bytes kept.
    """

    def __init__(self, fd: int, keep: int) -> None:
        self.fd = fd
        self._keep, self._half = keep, keep // 2
        self._region = Region(keep)
        self.total = 0

    @property
    def _at(self) -> int:
        if self.total < self._half:
            return self.total
        return self._half + (self.total - self._half) % (self._keep - self._half)

    def read(self) -> bool:
        """Read once; False at the stream's end."""
        at = self._at
        count = os.readv(self.fd, [self._region.view[at : self._half if at < self._half else self._keep]])
        self.total += count
        return count > 0

    @property
    def kept(self) -> list[memoryview]:
        """Pieces of what was kept, in order."""
        view, at = self._region.view, self._at
        if self.total <= self._keep:
            return [view[: self.total]]
        return [view[: self._half], view[at:], view[self._half : at]]

    def close(self) -> None:
        """Close the stream and forget what it carried."""
        os.close(self.fd)
        self._region.close()


class Heard:
    """Frames from a socket, none of them longer than ``limit`` bytes."""

    def __init__(self, fd: int, limit: int) -> None:
        self.fd, self._limit = fd, limit
        self._region = Region(2 * (HEAD + limit))
        self._taken = self._filled = 0

    def read(self) -> bool:
        """Read once; False at the end. Who says very much overwrites what it has said."""
        view = self._region.view
        if self._taken > HEAD + self._limit:
            view[: self._filled - self._taken] = view[self._taken : self._filled]
            self._filled, self._taken = self._filled - self._taken, 0
        count = os.readv(self.fd, [view[self._filled :]])
        self._filled += count
        return count > 0

    def frames(self) -> Iterator[memoryview]:
        """The frames that are whole now.

        Raises:
            BrokenFrameError: A frame is longer than the limit.
        """
        view = self._region.view
        while self._filled - self._taken >= HEAD:
            start = self._taken + HEAD
            size = int.from_bytes(view[self._taken : start], "big")
            if size > self._limit:
                raise BrokenFrameError(f"a frame of {size} bytes")
            if self._filled < start + size:
                break
            self._taken = start + size
            yield view[start : start + size]

    def close(self) -> None:
        """Forget what was heard."""
        self._region.close()


def received(fd: int, size: int) -> Region | None:
    """So many bytes of ``fd``; None where it ends before."""
    region = Region(size)
    got = 0
    while got < size:
        count = os.readv(fd, [region.view[got:size]])
        if not count:
            return None
        got += count
    return region
