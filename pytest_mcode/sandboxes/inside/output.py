"""What a program writes: head and tail are kept, the middle is only counted."""

from __future__ import annotations


class Captured:
    """Collects a stream of which at most ``keep`` bytes are kept."""

    def __init__(self, keep: int) -> None:
        self._half = keep // 2
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def add(self, data: bytes) -> None:
        """Take what was written next."""
        self.total += len(data)
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        del self._tail[: -self._half]

    def text(self) -> str:
        """What was kept, with a line in place of what was cut; bytes that are no UTF-8 are spelled out."""
        cut = self.total - len(self._head) - len(self._tail)
        middle = f"\n... {cut} bytes cut ...\n".encode() if cut else b""
        return (bytes(self._head) + middle + bytes(self._tail)).decode("utf-8", "backslashreplace")
