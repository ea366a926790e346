"""How processes talk: frames of four bytes of length, big-endian, then that many bytes."""

from __future__ import annotations

import json
from os import read as _read
from os import writev as _writev
from typing import Any

#: Bytes of a length.
HEAD = 4


class BrokenFrameError(Exception):
    """A frame that is longer than its reader allows."""


def head(size: int) -> bytes:
    """What stands before a body of so many bytes."""
    return size.to_bytes(HEAD, "big")


def pack(body: bytes) -> bytes:
    """Put the length in front of ``body``."""
    return head(len(body)) + body


def pack_json(value: Any) -> bytes:
    """A frame that holds ``value`` as ASCII JSON."""
    return pack(json.dumps(value).encode("ascii"))


def write(fd: int, *pieces: Any) -> None:
    """Write one frame, whose body is in pieces."""
    write_all(fd, [head(sum(map(len, pieces))), *pieces])


def write_all(fd: int, pieces: list[Any]) -> None:
    """Write pieces of bytes one after the other."""
    while pieces:
        count = _writev(fd, pieces)
        while pieces and count >= len(pieces[0]):
            count -= len(pieces.pop(0))
        if count:
            pieces[0] = memoryview(pieces[0])[count:]


def read(fd: int) -> bytes | None:
    """Read one frame; None when the other side is gone."""
    size = _exactly(fd, HEAD)
    return None if size is None else _exactly(fd, int.from_bytes(size, "big"))


def _exactly(fd: int, size: int) -> bytes | None:
    got = bytearray()
    while len(got) < size:
        some = _read(fd, min(size - len(got), 1 << 20))
        if not some:
            return None
        got += some
    return bytes(got)


class Inbox:
    """Takes bytes as they come and gives whole frames of at most ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._got = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take ``data``; return the frames that are whole now.

        Raises:
            BrokenFrameError: A frame is longer than the limit.
        """
        self._got += data
        whole = []
        while len(self._got) >= HEAD:
            size = int.from_bytes(self._got[:HEAD], "big")
            if size > self._limit:
                raise BrokenFrameError(f"a frame of {size} bytes")
            if len(self._got) < HEAD + size:
                break
            whole.append(bytes(self._got[HEAD : HEAD + size]))
            del self._got[: HEAD + size]
        return whole
