"""A process that is forked before its job is known, so that it holds nothing of any job but its own."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal without its enums, whose pages each process would copy
import ctypes
import gc
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterable
from typing import Any

from . import frames, isolated, plain, program
from .buffers import Captured, Heard
from .cleaning import LIBC, PR_SET_DUMPABLE, PR_SET_PDEATHSIG, prctl
from .landlock import Walls

PR_SET_NO_NEW_PRIVS, CAPABILITY_VERSION_3 = 38, 0x20080522
#: The program's file descriptor for talking to the supervisor, above its standard streams.
CONTROL = 3
#: The longest thing that a program may say to the supervisor, in bytes.
SAID = 1 << 16

_OURSELVES, _NONE = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()


class Child:
    """A forked process that waits for its job, as the supervisor sees it.

    Args:
        home: Where it lives.
        walls: What it goes behind; None: nothing.
        keep: Bytes kept of each of its streams.
        link: Its end of the socket to another one; it is closed here.
    """

    def __init__(self, home: Any, walls: Walls | None, keep: int, link: socket.socket) -> None:
        self.uid = home.next_uid()
        self.status: int | None = None
        self._unsent: list[Any] = []
        self._control, theirs = socket.socketpair()
        out_fd, out = os.pipe()
        err_fd, err = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            become(home, walls, self.uid, (out, err, theirs.fileno(), link.fileno()))
        theirs.close()
        link.close()
        os.close(out)
        os.close(err)
        self._control.setblocking(False)
        os.set_blocking(out_fd, False)
        os.set_blocking(err_fd, False)
        self.out, self.err = Captured(out_fd, keep), Captured(err_fd, keep)
        self.said = Heard(self._control.fileno(), SAID)

    @property
    def sending(self) -> bool:
        """Whether something is left to be sent."""
        return bool(self._unsent)

    def send(self, *pieces: bytes | memoryview) -> None:
        """Queue bytes, and send what goes."""
        self._unsent += pieces
        self.push()

    def push(self) -> None:
        """Send what the process takes now."""
        try:
            while self._unsent:
                rest = memoryview(self._unsent[0])[self._control.send(self._unsent[0]) :]
                self._unsent[:1] = [rest] if rest else []
        except BlockingIOError:
            pass
        except OSError:  # it is gone, which its end will tell
            self._unsent = []

    @property
    def exit_code(self) -> int | None:
        """As Python's subprocess has it: negative for a signal; None while it has not ended by itself."""
        if self.status is None:
            return None
        return -os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else os.WEXITSTATUS(self.status)

    def close(self) -> None:
        """Close our ends and forget what came through them."""
        self._unsent = []
        self._control.close()
        for buffer in (self.out, self.err, self.said):
            buffer.close()


def become(home: Any, walls: Walls | None, uid: int, pipes: tuple[int, int, int, int]) -> None:
    """Turn the forked process into a program's: its own session, streams, uid, directory and limits; never returns."""
    try:
        gc.disable()
        os.setsid()
        default_signals()
        first_to_go()
        if walls is not None:
            prctl(PR_SET_NO_NEW_PRIVS, 1)
            walls.go_behind()
        streams(pipes)
        if os.getuid() != uid:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        give_up_rights()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # no program outlives its supervisor
        start_in(home.directory())
        part = json.loads(frames.read(CONTROL) or b"null")
        limit(part["limits"])
        hide_ourselves(but=() if part["role"] == "two-phase" else (__package__ or "", plain.__name__))
        gc.freeze()
        gc.enable()
        sys.setrecursionlimit(sys.getrecursionlimit() + depth())
        play(part)
    except BaseException as error:
        program.raised(CONTROL, "set-up", error)
    finally:
        os._exit(70)


def play(part: dict[str, Any]) -> None:
    """Do what the process is for; never returns."""
    if part["role"] == "tester":  # it stays closed to other processes of its uid
        isolated.test(CONTROL, part["prelude"], part["calls"], part["tests"])
    prctl(PR_SET_DUMPABLE, 1)  # a program may look at its own /proc/self
    if part["role"] == "solver":
        isolated.solve(CONTROL, part["solution"])
    os.close(isolated.LINK)
    program.two_phase(CONTROL, part["solution"])


def hide_ourselves(but: Iterable[str]) -> None:
    """Take our modules from where imports look, except what pickle must find: what makes iterators is in `plain`."""
    us = __package__ or ""
    for name in (us, *(f"{us}.{name}" for name in vars(sys.modules[us]))):  # not all of sys.modules: pages are copied
        if name not in but:
            sys.modules.pop(name, None)


def depth() -> int:
    """Frames below us, which are not the program's to count."""
    frame, count = sys._getframe(), 0  # noqa: SLF001 - as inspect does it, without its weight
    while frame.f_back is not None:
        frame, count = frame.f_back, count + 1
    return count


def give_up_rights() -> None:
    """Keep no capability, and gain none by another program: where we are root, root's name is all that is left."""
    if sys.platform.startswith("linux"):
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        LIBC.capset(_OURSELVES, _NONE)


def default_signals() -> None:
    """Undo what the supervisor set: signals as Python itself has them at its start."""
    _signal.set_wakeup_fd(-1)
    for number in (_signal.SIGCHLD, _signal.SIGTERM, _signal.SIGHUP):
        _signal.signal(number, _signal.SIG_DFL)
    _signal.signal(_signal.SIGPIPE, _signal.SIG_IGN)
    _signal.signal(_signal.SIGINT, _signal.default_int_handler)


def first_to_go() -> None:
    """Where memory runs out, let the kernel end the program and not its supervisor."""
    try:
        score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(score, b"1000")
        os.close(score)
    except OSError:
        pass


def streams(pipes: tuple[int, int, int, int]) -> None:
    """Put our pipes where a program expects its streams, control and link behind them, and close everything else."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    above = [os.dup2(fd, 200 + number) for number, fd in enumerate((nothing, *pipes))]
    for number, fd in enumerate(above):
        os.dup2(fd, number, inheritable=number < CONTROL)
    os.closerange(isolated.LINK + 1, 1024)


def open_streams() -> None:
    """Make the files of a program's standard streams, once for all programs: they only hold the descriptors' numbers.

    Called by the supervisor, whose own streams they become. A file asks at its making whether it can seek, so pipes
    stand there meanwhile as they will in a program.
    """
    ours = os.dup(2)
    reader, writer = os.pipe()
    for fd in (1, 2):
        os.dup2(writer, fd)
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]
    os.dup2(ours, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for fd in (ours, reader, writer):
        os.close(fd)


def surroundings() -> None:
    """An environment that tells nothing of the host, for all programs; called once, by the supervisor."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    os.environ.clear()
    os.environ.update(
        kept,
        PATH="/usr/local/bin:/usr/bin:/bin",
        LANG="C.UTF-8",
        PYTHONDONTWRITEBYTECODE="1",
        OMP_NUM_THREADS="1",
        OPENBLAS_NUM_THREADS="1",
    )
    sys.argv = ["solution.py"]


def start_in(directory: str) -> None:
    """Give it a directory of its own."""
    os.umask(0o077)
    os.mkdir(directory)
    os.chdir(directory)
    os.environ["HOME"] = os.environ["TMPDIR"] = directory


def limit(limits: dict[str, int]) -> None:
    """Set resource limits by the names that `resource` has for them; what a system does not know is left out."""
    for name, wanted in limits.items():
        number = getattr(resource, "RLIMIT_" + name, None)
        if number is None:
            continue
        _, most = resource.getrlimit(number)
        value = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        try:
            resource.setrlimit(number, (value, value))
        except (ValueError, OSError):
            pass
