"""A process that is forked before its job is known, so that it holds nothing of any job but its own."""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import socket
import sys
from typing import Any

from . import frames, isolated, program
from .cleaning import PR_SET_DUMPABLE, PR_SET_PDEATHSIG, prctl
from .output import Captured

#: The program's file descriptor for talking to the supervisor, above its standard streams.
CONTROL = 3
#: The longest thing that a program may say to the supervisor, in bytes.
SAID = 1 << 16


class Child:
    """A forked process that waits for its job, as the supervisor sees it.

    Args:
        home: Where it lives.
        keep: Bytes kept of each of its streams.
        link: Its end of the socket to another one; it is closed here.
    """

    def __init__(self, home: Any, keep: int, link: socket.socket) -> None:
        self.uid = home.next_uid()
        self.status: int | None = None
        self.out, self.err = Captured(keep), Captured(keep)
        self.inbox = frames.Inbox(SAID)
        self._unsent = b""
        self.control, theirs = socket.socketpair()
        self.out_fd, out = os.pipe()
        self.err_fd, err = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            become(home, self.uid, (out, err, theirs.fileno(), link.fileno()))
        theirs.close()
        link.close()
        os.close(out)
        os.close(err)
        self.control.setblocking(False)
        os.set_blocking(self.out_fd, False)
        os.set_blocking(self.err_fd, False)

    @property
    def sending(self) -> bool:
        """Whether something is left to be sent."""
        return bool(self._unsent)

    def send(self, body: bytes) -> None:
        """Queue a frame, and send what goes."""
        self._unsent += frames.pack(body)
        self.push()

    def push(self) -> None:
        """Send what the process takes now."""
        try:
            self._unsent = self._unsent[self.control.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:  # it is gone, which its end will tell
            self._unsent = b""

    @property
    def exit_code(self) -> int | None:
        """As Python's subprocess has it: negative for a signal; None while it has not ended by itself."""
        if self.status is None:
            return None
        return -os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else os.WEXITSTATUS(self.status)

    def close(self) -> None:
        """Close our ends."""
        self.control.close()
        os.close(self.out_fd)
        os.close(self.err_fd)


def become(home: Any, uid: int, pipes: tuple[int, int, int, int]) -> None:
    """Turn the forked process into a program's: its own session, streams, uid, directory and limits; never returns."""
    try:
        gc.disable()
        os.setsid()
        default_signals()
        first_to_go()
        streams(pipes)
        if os.getuid() != uid:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # no program outlives its supervisor
        surroundings(home.directory())
        part = json.loads(frames.read(CONTROL) or b"null")
        limit(part["limits"])
        for name in [name for name in sys.modules if name.split(".")[0] == "inside"]:
            del sys.modules[name]
        gc.freeze()
        gc.enable()
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


def default_signals() -> None:
    """Undo what the supervisor set."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def first_to_go() -> None:
    """Where memory runs out, let the kernel end the program and not its supervisor."""
    try:
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write("1000")
    except OSError:
        pass


def streams(pipes: tuple[int, int, int, int]) -> None:
    """Put our pipes where a program expects its streams, control and link behind them, and close everything else."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    above = [os.dup2(fd, 200 + number) for number, fd in enumerate((nothing, *pipes))]
    for number, fd in enumerate(above):
        os.dup2(fd, number, inheritable=number < CONTROL)
    os.closerange(isolated.LINK + 1, 1024)
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]


def surroundings(directory: str) -> None:
    """A directory of its own, and an environment that tells nothing of the host."""
    os.umask(0o077)
    os.mkdir(directory)
    os.chdir(directory)
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    os.environ.clear()
    os.environ.update(
        kept,
        PATH="/usr/local/bin:/usr/bin:/bin",
        HOME=directory,
        TMPDIR=directory,
        LANG="C.UTF-8",
        PYTHONDONTWRITEBYTECODE="1",
        OMP_NUM_THREADS="1",
        OPENBLAS_NUM_THREADS="1",
    )
    sys.argv = ["solution.py"]


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
