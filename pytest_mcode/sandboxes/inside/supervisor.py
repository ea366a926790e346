"""Waits for jobs on stdin, runs the program of each in a process of its own, and answers with what it saw.

Both directions are frames of JSON. The first tells of the place (`main`); the others are jobs and answers. A job:
``mode`` (``two-phase`` or ``isolated``), ``solution``, ``tests``, ``timeout`` in seconds, ``limits``, and if isolated
``calls`` and ``prelude``. An answer: how the program ended (``end``: ``passed``, ``failed``, ``timeout``, ``output``,
or ``unfit`` where the tests pass what cannot cross between processes), what was seen of it, and whether this sandbox is
as clean as before (``clean``); if it is not, it must be replaced. End of file on stdin: everything is ended, and so are
we.
"""

from __future__ import annotations

import gc
import hmac
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NoReturn

from . import frames, isolated, program
from .child import Child
from .cleaning import Alone, Guest
from .output import Captured

ISOLATED = "isolated"
PRELOADED = (
    "typing re math random collections itertools functools heapq bisect string copy datetime decimal fractions "
    "statistics operator json unittest dataclasses abc enum"
)
#: Bytes kept of each stream of a program, and bytes after which it is stopped for writing too much.
KEPT, FLOOD = 1 << 16, 1 << 24
#: Seconds in which what a program has written before its end is still read.
DRAIN = 0.05


class Supervisor:
    """The loop: one program at a time."""

    def __init__(self, home: Any) -> None:
        self._home = home
        self._inbox, self._outbox = claim_streams()
        self._wake = wake_at_child_exit()

    def serve(self) -> NoReturn:
        """Say what we are, then answer jobs until the host is gone."""
        self._answer({"pid": os.getpid(), "python": sys.version.split()[0], "interfaces": interfaces()})
        processes = 1
        while True:
            children = self._fork(processes)
            raw = frames.read(self._inbox)
            if raw is None:
                self._end(children)
            job = json.loads(raw)
            wanted = 2 if job["mode"] == ISOLATED else 1
            if wanted != processes:  # the first program of another mode than the one before
                self._clear(children)
                processes, children = wanted, self._fork(wanted)
            self._answer(self._judge(job, children))

    def _fork(self, processes: int) -> list[Child]:
        """Fork what the next program will probably need, before it is known."""
        ends = socket.socketpair()
        children = [Child(self._home, KEPT, end) for end in ends[:processes]]
        ends[1].close()
        return children

    def _end(self, children: list[Child]) -> NoReturn:
        self._home.end_all([child.pid for child in children])
        self._home.close()
        os._exit(0)

    def _clear(self, children: list[Child]) -> bool:
        """End a program's processes and remove what they left; whether nothing is left."""
        clean: bool = self._home.end_all([child.pid for child in children])
        for child in children:
            child.close()
        return self._home.wipe([child.uid for child in children]) and clean

    def _judge(self, job: dict[str, Any], children: list[Child]) -> dict[str, Any]:
        killed_before = oom_kills()
        trial = Trial(job, children, self._wake, self._inbox)
        end = trial.watch()
        if end is None:
            self._end(children)
        seconds = time.monotonic() - trial.started
        clean = self._clear(children)
        killed = oom_kills() - killed_before
        return {
            "end": end,
            "phase": trial.phase,
            "exit_code": trial.exit_code,
            "stdout": "".join(child.out.text() for child in children),
            "stderr": "".join(child.err.text() for child in children),
            "traceback": trial.traceback,
            "seconds": seconds,
            "out_of_memory": killed > 0,
            "clean": clean and not killed,
        }

    def _answer(self, value: dict[str, Any]) -> None:
        rest = memoryview(frames.pack_json(value))
        while rest:
            rest = rest[os.write(self._outbox, rest) :]


class Trial:
    """One program under way: what it says, what it writes, and when it must end.

    The first of its processes holds the solution, the last one runs the tests and is the one that can pass.
    """

    def __init__(self, job: dict[str, Any], children: list[Child], wake: int, host: int) -> None:
        self._job, self._children, self._wake, self._host = job, children, wake, host
        self._solver, self._main = children[0], children[-1]
        self._secret = os.urandom(16).hex().encode()
        self._open: dict[int, Callable[[bytes], None]] = {}
        for child in children:
            self._open[child.control.fileno()] = partial(self._hear, child)
            self._open[child.out_fd] = partial(self._write, child.out)
            self._open[child.err_fd] = partial(self._write, child.err)
        self._end: str | None = None
        self._drained = False
        self._conclusion: int | None = None
        self._until = float("inf")
        self.phase = "solution"
        self.traceback = ""
        self.started = time.monotonic()
        self._begin(job)

    def _begin(self, job: dict[str, Any]) -> None:
        """Give each process its part. What runs the solution is given no tests before it has loaded."""
        part = {"limits": job["limits"], "solution": job["solution"]}
        self._solver.send(as_json({**part, "role": "solver" if job["mode"] == ISOLATED else "two-phase"}))
        if self._main is not self._solver:
            part = {name: job[name] for name in ("limits", "prelude", "calls", "tests")}
            self._main.send(as_json({**part, "role": "tester"}))
            self._main.send(self._secret)

    @property
    def exit_code(self) -> int | None:
        """That of the process that ended the program: the solution's, where it ended by itself.

        0 and 1 may be foretold by what the program said: it is not waited for what it then does.
        """
        ended = self._solver.exit_code or self._main.exit_code
        return self._conclusion if ended is None else ended

    def watch(self) -> str | None:
        """Follow the program to its end and say which it was; None when the host is gone."""
        deadline = self.started + self._job["timeout"]
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
        senders = {child.control.fileno(): child for child in self._children if child.sending}
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
            data = os.read(fd, 1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._open[fd](data)
        else:
            del self._open[fd]

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

    def _hear(self, child: Child, data: bytes) -> None:
        try:
            said = child.inbox.feed(data)
        except frames.BrokenFrameError:
            self._end = "failed"
            return
        for body in said:
            self._understand(child, body[:1], body[1:])

    def _understand(self, child: Child, kind: bytes, body: bytes) -> None:
        if kind == program.LOADED and child is self._solver and self.phase == "solution":
            self.phase = "tests"
            if self._main is self._solver:
                self._main.send(self._job["tests"].encode("utf-8", "surrogatepass"))
                self._main.send(self._secret)
        elif kind == program.ENDED and child is self._main and hmac.compare_digest(body, self._secret):
            self._conclusion, self.phase = 0, "done"
            self._over()
        elif kind == program.RAISED and self._conclusion is None:
            self._conclusion = 1
            _, _, self.traceback = body.decode("utf-8", "replace").partition("\n")
            self._over()
        elif kind == isolated.ARGUMENT and child is self._main is not self._solver:
            self._end = "unfit"

    def _write(self, captured: Captured, data: bytes) -> None:
        captured.add(data)
        if captured.total > FLOOD:
            self._end = "output"


def as_json(value: Any) -> bytes:
    """A value as the body of a frame."""
    return json.dumps(value).encode("ascii")


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


def claim_streams() -> tuple[int, int]:
    """Take the host's pipes off stdin and stdout, so that nothing can print into them by accident."""
    inbox, outbox = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return inbox, outbox


def wake_at_child_exit() -> int:
    """A file descriptor that becomes readable when a child ends; other signals are ignored."""
    wake, end = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(end, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    return wake


def interfaces() -> list[str]:
    """Names of the network interfaces; ``lo`` alone where there is no network."""
    try:
        with open("/proc/net/dev") as listed:
            return sorted(line.split(":")[0].strip() for line in listed if ":" in line)
    except OSError:
        return []


def oom_kills() -> int:
    """How often the kernel has ended something here for want of memory."""
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        try:
            with open(path) as listed:
                for line in listed:
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
        except OSError:
            pass
    return 0


def preload(names: Iterable[str]) -> None:
    """Import what programs use, once, so that each finds it there."""
    for name in names:
        try:
            __import__(name)
        except ImportError:
            pass


def main() -> NoReturn:
    """Serve, in the place that the first frame tells of: as PID 1 of a namespace, or as a process among others."""
    place = json.loads(frames.read(0) or b"null")
    preload(PRELOADED.split())
    gc.collect()
    gc.freeze()  # a collection in a child would touch, and so copy, every page
    alone = place["alone"] and os.getpid() == 1
    Supervisor(Alone(place["writable"], many=place["many_uids"]) if alone else Guest()).serve()
