"""One program under way: what it says, what it writes, and when it must end."""

from __future__ import annotations

import hmac
import os
import select
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from . import frames, isolated, program
from .buffers import Captured
from .child import Child

#: Bytes after which a program is stopped for writing too much.
FLOOD = 1 << 24
#: Seconds in which what a program has written before its end is still read.
DRAIN = 0.05


class Trial:
    """Watches the processes of a program.

    The first of them holds the solution, the last one runs the tests and is the one that can pass.

    Args:
        job: ``timeout`` in seconds, and ``parts``: sizes of the two parts.
        parts: What is to be sent to the processes.
        children: The processes, one or two.
        wake: Becomes readable when a process ends.
        host: Becomes readable when the host is gone.
    """

    def __init__(self, job: dict[str, Any], parts: memoryview, children: list[Child], wake: int, host: int) -> None:
        self._timeout, self._children, self._wake, self._host = job["timeout"], children, wake, host
        self._solver, self._main = children[0], children[-1]
        opening, _ = job["parts"]
        self._opening, self._tests = parts[:opening], parts[opening:]
        self._secret = os.urandom(16).hex().encode()
        self._open: dict[int, Callable[[], bool]] = {}
        for child in children:
            self._open[child.said.fd] = partial(self._hear, child)
            self._open[child.out.fd] = partial(self._read, child.out)
            self._open[child.err.fd] = partial(self._read, child.err)
        self._traceback = memoryview(b"")
        self._end: str | None = None
        self._drained = False
        self._conclusion: int | None = None
        self._until = float("inf")
        self.phase = "solution"
        self.started = time.monotonic()
        self._begin()

    def _begin(self) -> None:
        """Give each process its part. What runs the solution is given no tests before it has loaded."""
        self._solver.send(self._opening)
        if self._main is not self._solver:
            self._main.send(self._tests, frames.pack(self._secret))

    @property
    def streams(self) -> list[tuple[int, list[memoryview]]]:
        """What was told and written: the bytes in all, and the pieces that were kept."""
        written = [child.out for child in self._children] + [child.err for child in self._children]
        return [(len(self._traceback), [self._traceback]), *((w.total, w.kept) for w in written)]

    def close(self) -> None:
        """Forget the program."""
        self._open.clear()
        self._opening.release()
        self._tests.release()
        self._traceback.release()

    @property
    def exit_code(self) -> int | None:
        """That of the process that ended the program: the solution's, where it ended by itself.

        0 and 1 may be foretold by what the program said: it is not waited for what it then does.
        """
        ended = self._solver.exit_code or self._main.exit_code
        return self._conclusion if ended is None else ended

    def watch(self) -> str | None:
        """Follow the program to its end and say which it was; None when the host is gone."""
        deadline = self.started + self._timeout
        while self._end is None:
            now = time.monotonic()
            if now >= deadline:
                return "timeout"
            if self._drained or now >= self._until:
                break
            if not self._step(0 if self._is_over else deadline - now):
                return None
        if self._end is None:
            self._end = "passed" if self._conclusion == 0 else "failed"
        return self._end

    @property
    def _is_over(self) -> bool:
        """Whether all that is left is to read what was written before."""
        return self._until != float("inf")

    def _over(self) -> None:
        if not self._is_over:
            self._until = time.monotonic() + DRAIN

    def _step(self, seconds: float) -> bool:
        """Wait for something to happen and deal with it; False when the host is gone."""
        senders = {child.said.fd: child for child in self._children if child.sending}
        ready, writable, _ = select.select([*self._open, self._wake, self._host], list(senders), [], seconds)
        if self._host in ready:  # one job at a time: readable means its end
            return False
        for fd in writable:
            senders[fd].push()
        self._drained = self._is_over and not set(ready) - {self._wake}
        for fd in ready:
            if fd == self._wake:
                self._reap()
            elif fd in self._open:
                self._take(fd)
        return True

    def _take(self, fd: int) -> None:
        try:
            if self._open[fd]():
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._open.pop(fd, None)

    def _reap(self) -> None:
        try:
            os.read(self._wake, 1 << 12)
        except BlockingIOError:
            pass
        for pid, status in ended_children():
            for child in self._children:
                if child.pid == pid:
                    child.status = status
        if self._main.status is not None:
            self._over()

    def _hear(self, child: Child) -> bool:
        going_on = child.said.read()
        try:
            for said in child.said.frames():
                self._understand(child, bytes(said[:1]), said[1:])
        except frames.BrokenFrameError:
            self._end = "failed"
        return going_on

    def _understand(self, child: Child, kind: bytes, body: memoryview) -> None:
        if kind == program.LOADED and child is self._solver and self.phase == "solution":
            self.phase = "tests"
            if self._main is self._solver:
                self._main.send(self._tests, frames.pack(self._secret))
        elif kind == program.ENDED and child is self._main and hmac.compare_digest(body, self._secret):
            self._conclusion, self.phase = 0, "done"
            self._over()
        elif kind == program.RAISED and self._conclusion is None:
            self._conclusion, self._traceback = 1, body
            self._open.pop(child.said.fd)  # where it lies, nothing more is read
            self._over()
        elif kind == isolated.ARGUMENT and child is self._main is not self._solver:
            self._end = "unfit"

    def _read(self, captured: Captured) -> bool:
        going_on = captured.read()
        if captured.total > FLOOD:
            self._end = "output"
        return going_on


def ended_children() -> Iterator[tuple[int, int]]:
    """Collect children that have ended, each with its status."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status
