"""Waits for jobs on stdin, runs the program of each in processes of its own, and answers with what it saw.

Both directions are frames. The first, as JSON, tells of the place (`main`). A job is a frame of JSON (``mode``:
``two-phase`` or ``isolated``; ``timeout`` in seconds; ``needs``: packages of the tests; ``parts``: two sizes) and then
two parts of so many bytes, which are frames for the program's processes: what the solution's is given at once, and what
brings the tests. They pass through here unread (`buffers`).

An answer is a frame of JSON: how the program ended (``end``: ``passed``, ``failed``, ``timeout``, ``output``, or
``unfit`` where the tests pass what cannot cross between processes), and what was seen of it. ``streams`` has for the
traceback, each stdout and each stderr how many bytes were written and how many were kept; these follow in a second
frame. A third one comes when all is cleaned up, so that no verdict depends on that: ``clean`` tells whether this
sandbox is as before; if it is not, it must be replaced. End of file on stdin: everything is ended, and so are we.
"""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterable
from typing import Any, NoReturn

from . import frames
from .buffers import received
from .child import Child, open_streams, surroundings
from .cleaning import PATIENCE, Alone, Guest, standing, told
from .landlock import Walls
from .trial import Trial

ISOLATED = "isolated"
PRELOADED = (
    "typing re math random collections itertools functools heapq bisect string copy datetime decimal fractions "
    "statistics operator json unittest dataclasses abc enum"
)
#: Bytes kept of each stream of a program.
KEPT = 1 << 16


class Supervisor:
    """The loop: one program at a time."""

    def __init__(self, home: Any, walls: Walls | None) -> None:
        self._home, self._walls = home, walls
        self._inbox, self._outbox = claim_streams()
        open_streams()
        self._wake = wake_at_child_exit()
        self._standing = standing()
        self._loaded: set[str] = set()

    def serve(self) -> NoReturn:
        """Say what we are, then answer jobs until the host is gone."""
        hello = {"pid": os.getpid(), "python": sys.version.split()[0], "interfaces": interfaces()}
        frames.write_all(self._outbox, [frames.pack_json(hello)])
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
                forget(children)
                processes, children = wanted, self._fork(wanted)
            self._judge(job, children)

    def _fork(self, processes: int) -> list[Child]:
        """Fork what the next program will probably need, before it is known."""
        ends = socket.socketpair()
        children = [Child(self._home, self._walls, KEPT, end) for end in ends[:processes]]
        ends[1].close()
        return children

    def _end(self, children: list[Child]) -> NoReturn:
        self._home.end_all([child.pid for child in children], time.monotonic() + PATIENCE)
        self._home.close()
        os._exit(0)

    def _clear(self, children: list[Child]) -> bool:
        """End a program's processes and remove what they left; whether nothing is left."""
        until = time.monotonic() + PATIENCE
        ended = self._home.end_all([child.pid for child in children], until)
        return ended and self._home.wipe([child.uid for child in children], until) and standing() == self._standing

    def _judge(self, job: dict[str, Any], children: list[Child]) -> None:
        """Run a program and answer; nothing of it is left in this process afterwards."""
        parts = received(self._inbox, sum(job["parts"]))
        if parts is None:
            self._end(children)
        killed_before = oom_kills()
        trial = Trial(job, parts.view, children, self._wake, self._inbox)
        end = trial.watch()
        if end is None:
            self._end(children)
        killed = oom_kills() > killed_before
        self._answer(trial, end, out_of_memory=killed)
        clean = self._clear(children)
        trial.close()
        forget(children)
        parts.close()
        frames.write_all(self._outbox, [frames.pack_json({"clean": clean and not killed})])
        self._load(job["needs"])

    def _load(self, needs: list[str]) -> None:
        """Import packages, once, that the next programs will probably need, so that each finds them there."""
        new = [name for name in needs if name not in self._loaded]
        if new:
            self._loaded.update(new)
            preload(new)
            settle()

    def _answer(self, trial: Trial, end: str, *, out_of_memory: bool) -> None:
        streams = trial.streams
        seen = {
            "end": end,
            "phase": trial.phase,
            "exit_code": trial.exit_code,
            "streams": [(total, sum(map(len, kept))) for total, kept in streams],
            "seconds": time.monotonic() - trial.started,
            "out_of_memory": out_of_memory,
        }
        pieces = [piece for _, kept in streams for piece in kept]
        frames.write_all(self._outbox, [frames.pack_json(seen), frames.head(sum(map(len, pieces))), *pieces])


def forget(children: list[Child]) -> None:
    """Drop all that came from processes that have ended."""
    for child in children:
        child.close()


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
        found = re.search(rb"^oom_kill (\d+)", told(path), re.MULTILINE)
        if found:
            return int(found.group(1))
    return 0


def preload(names: Iterable[str]) -> None:
    """Import what programs use, once, so that each finds it there."""
    for name in names:
        try:
            __import__(name)
        except ImportError:
            pass


def settle() -> None:
    """Leave what is loaded alone from now on: a collection in a child would touch, and so copy, every page."""
    gc.collect()
    gc.freeze()


def main() -> NoReturn:
    """Serve, in the place that the first frame tells of: as PID 1 of a namespace, or as a process among others."""
    place = json.loads(frames.read(0) or b"null")
    preload(PRELOADED.split())
    surroundings()
    settle()
    alone = place["alone"] and os.getpid() == 1
    home = Alone(place["writable"], many=place["many_uids"]) if alone else Guest()
    Supervisor(home, walls(place["readable"]) if place["walled"] else None).serve()


def walls(readable: list[str]) -> Walls:
    """What programs may touch here: this Python, the system, what processes tell of themselves, and our directory."""
    return Walls([*readable, sys.prefix, sys.exec_prefix, sys.base_prefix, "/proc"], os.getcwd())
