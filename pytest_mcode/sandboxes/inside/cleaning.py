"""Between two programs: every process of the last one is ended, and every file it could write is removed.

Two homes: `Alone` is PID 1 of its own process namespace (a container), where everything else is the program's. `Guest`
is a process among others on a host, where only its own descendants are.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import sys
import time
from typing import Any

#: Seconds between two looks at processes that are dying.
GLANCE = 0.0001
#: Seconds after which what cannot be ended or removed is given up, and the sandbox with it.
PATIENCE = 3.0
#: The programs' uids: the first, and how many. A container starts anywhere among them, because the kernel counts a
#: uid's processes over all containers.
FIRST_UID, UIDS = 20000, 40000
LIBC = ctypes.CDLL(None)
LIMITS = sorted({number for name, number in vars(resource).items() if name.startswith("RLIMIT_")})
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36


def prctl(option: int, value: int) -> None:
    """Call Linux's prctl; elsewhere there is none."""
    if sys.platform.startswith("linux"):
        LIBC.prctl(option, value, 0, 0, 0)


class Alone:
    """PID 1 of a namespace, root inside with the right to change and kill other uids, or a single uid without.

    Args:
        places: Directories of the namespace, as far as they are there; programs start in the first. Empty: the one
            that we start in, which is the host's.
        many: Whether each program can have a uid of its own.
    """

    def __init__(self, places: list[str], *, many: bool) -> None:
        self._top = None if places else os.getcwd()
        self._writable = [place for place in places or [os.getcwd()] if os.access(place, os.W_OK)]
        self._identities = [_identity(place) for place in self._writable]
        self._many = many
        self._programs = int.from_bytes(os.urandom(4), "big")
        prctl(PR_SET_DUMPABLE, 0)  # shuts /proc/1/{fd,mem,environ} to programs of the same uid

    def next_uid(self) -> int:
        """A uid that the last programs did not have, so that nothing of theirs can be reached."""
        self._programs += 1
        return FIRST_UID + self._programs % UIDS if self._many else os.getuid()

    def directory(self) -> str:
        """Where a process of the program starts; it makes the directory itself."""
        return os.path.join(self._writable[0], str(os.getpid()))

    def end_all(self, _leaders: list[int], until: float) -> bool:
        """Kill every other process and reap it; whether that was done in time."""
        while time.monotonic() < until:
            try:
                os.kill(-1, signal.SIGKILL)  # atomic, so that nothing can fork away from it
            except ProcessLookupError:
                pass
            if reap():
                return True
            time.sleep(GLANCE)
        return False

    def wipe(self, uids: list[int], until: float) -> bool:
        """Remove what the processes of those uids left; whether nothing is left."""
        if _system_v_objects() or _held_ports() or not self._is_ours():
            return False
        if self._is_empty():
            return True
        for uid in uids:
            pid = os.fork()
            if pid == 0:
                _remove_as(uid if self._many else None, self._writable, until)
            os.waitpid(pid, 0)
        return self._is_empty()

    def _is_ours(self) -> bool:
        """Whether nobody put another directory in the place of one."""
        return [_identity(place) for place in self._writable] == self._identities

    def _is_empty(self) -> bool:
        """Whether no file is left; empty directories, such as programs start in, are removed in passing."""
        for top in self._writable:
            for entry in os.scandir(top):
                try:
                    os.rmdir(entry.path)
                except OSError:
                    return False
        return True

    def close(self) -> None:
        """Remove the host's directory; the namespace ends with its PID 1."""
        if self._top is not None and self._is_ours():
            _remove_own(self._top)


class Guest:
    """A process on a host, started in a directory that is its own."""

    def __init__(self) -> None:
        prctl(PR_SET_DUMPABLE, 0)
        prctl(PR_SET_CHILD_SUBREAPER, 1)  # orphans of a program come to us, not to init
        self._top = os.getcwd()
        self._identity = _identity(self._top)

    def next_uid(self) -> int:
        """Our own: there is no other to be had."""
        return os.getuid()

    def directory(self) -> str:
        """Where a process of the program starts; it makes the directory itself."""
        return os.path.join(self._top, str(os.getpid()))

    def end_all(self, leaders: list[int], until: float) -> bool:
        """Kill the program's sessions, then whatever else descends from us, and reap; whether that was done in time."""
        while time.monotonic() < until:
            for leader in leaders:
                _signal_group(leader)
            for pid in _children():
                _signal(pid)
            if reap():
                return True
            time.sleep(GLANCE)
        return False

    def wipe(self, _uids: list[int], until: float) -> bool:
        """Empty the directory; whether nothing is left, and it is still the same."""
        if _identity(self._top) != self._identity:
            return False
        _remove_all(self._top, until)
        return not os.listdir(self._top)

    def close(self) -> None:
        """Empty the directory: the host may be gone, or unable to."""
        if _identity(self._top) == self._identity:
            _remove_own(self._top)


def standing() -> tuple[Any, ...]:
    """What others of our uid can change of us, and our children inherit: limits, priority, processors."""
    limits = [resource.getrlimit(number) for number in LIMITS]
    if not hasattr(os, "sched_getaffinity"):
        return (limits, os.getpriority(os.PRIO_PROCESS, 0))
    return (limits, os.getpriority(os.PRIO_PROCESS, 0), os.sched_getaffinity(0), os.sched_getscheduler(0))


def reap() -> bool:
    """Collect children that have ended; whether none is left."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return True
        if pid == 0:
            return False


def _signal_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        pass


def _signal(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # of another user: what a program with the right to become one left
        pass


def _children() -> list[int]:
    """Our children, as far as the system tells; they include orphans of the program."""
    return [int(pid) for pid in told(f"/proc/self/task/{os.getpid()}/children").split()]


def told(path: str) -> bytes:
    """The beginning of what the kernel says there; nothing where there is no such file."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(fd, 1 << 12)
    finally:
        os.close(fd)


def _system_v_objects() -> bool:
    """Whether shared memory, queues or semaphores are left, which only a new namespace removes."""
    return any(told("/proc/sysvipc/" + kind).count(b"\n") > 1 for kind in ("shm", "msg", "sem"))


def _held_ports() -> bool:
    """Whether connections are left, which keep their port for a minute after their end."""
    found = re.search(rb"^TCP: inuse (\d+) .*\btw (\d+)", told("/proc/net/sockstat"), re.MULTILINE)
    return found is not None and found.groups() != (b"0", b"0")  # /proc/net/tcp takes the kernel milliseconds


def _identity(path: str) -> tuple[int, int] | None:
    """What tells a directory from another of its name; None where there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _remove_as(uid: int | None, tops: list[str], until: float) -> None:
    """Empty the directories as their owner, whose rights root without its capabilities does not have; never returns."""
    try:
        if uid is not None:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        for top in tops:
            _remove_all(top, until)
    finally:
        os._exit(0)


def _remove_own(top: str) -> None:
    """Remove the directory that we live in: the host may be gone."""
    _remove_all(top, time.monotonic() + PATIENCE)
    try:
        os.rmdir(top)
    except OSError:
        pass


def _remove_all(top: str, until: float) -> None:
    """Empty a directory, as far as we may, and as can be done before ``until``."""
    for entry in os.scandir(top):
        try:
            if entry.is_dir(follow_symlinks=False):
                _remove_tree(entry.path, until)
            else:
                os.unlink(entry.path)
        except OSError:
            pass
        if time.monotonic() > until:
            break
    os.chdir("/")


def _remove_tree(path: str, until: float) -> None:
    """Remove a directory however deep it is: step by step, never by a path that may be too long."""
    levels = [[path]]  # directories that are left to be removed, from the outermost to the working directory's own
    while True:
        if levels[-1]:
            below = levels[-1][-1]
            os.chmod(below, 0o700)
            os.chdir(below)
            levels.append(_remove_files(until))
        else:
            levels.pop()
            os.chdir("..")
            os.rmdir(levels[-1].pop())
            if len(levels) == 1:
                return


def _remove_files(until: float) -> list[str]:
    """Remove what is in the working directory but for directories, and name these.

    Raises:
        TimeoutError: It is late.
    """
    directories = []
    for entry in os.scandir("."):
        if entry.is_dir(follow_symlinks=False):
            directories.append(entry.name)
        else:
            os.unlink(entry.name)
        if time.monotonic() > until:
            raise TimeoutError
    return directories
