"""Between two programs: every process of the last one is ended, and every file it could write is removed.

Two homes: `Alone` is PID 1 of its own process namespace (a container), where everything else is the program's. `Guest`
is a process among others on a host, where only its own descendants are.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
import time

#: Seconds between two looks at processes that are dying.
GLANCE = 0.0001
#: Seconds after which a process that does not die is given up, and the sandbox with it.
PATIENCE = 3.0
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36


def prctl(option: int, value: int) -> None:
    """Call Linux's prctl; elsewhere there is none."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


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
        self._many = many
        self._programs = 0
        prctl(PR_SET_DUMPABLE, 0)  # shuts /proc/1/{fd,mem,environ} to programs of the same uid

    def next_uid(self) -> int:
        """A uid that the last programs did not have, so that nothing of theirs can be reached."""
        self._programs += 1
        return 20000 + self._programs % 10000 if self._many else os.getuid()

    def directory(self) -> str:
        """Where a process of the program starts; it makes the directory itself."""
        return os.path.join(self._writable[0], str(os.getpid()))

    def end_all(self, _leaders: list[int]) -> bool:
        """Kill every other process and reap it; whether that was done."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                os.kill(-1, signal.SIGKILL)  # atomic, so that nothing can fork away from it
            except ProcessLookupError:
                pass
            if reap():
                return True
            time.sleep(GLANCE)
        return False

    def wipe(self, uids: list[int]) -> bool:
        """Remove what the processes of those uids left; whether nothing is left."""
        if _system_v_objects():
            return False
        if self._is_empty():
            return True
        for uid in uids:
            pid = os.fork()
            if pid == 0:
                _remove_as(uid if self._many else None, self._writable)
            os.waitpid(pid, 0)
        return self._is_empty()

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
        if self._top is not None:
            shutil.rmtree(self._top, ignore_errors=True)


class Guest:
    """A process on a host, started in a directory that is its own."""

    def __init__(self) -> None:
        prctl(PR_SET_DUMPABLE, 0)
        prctl(PR_SET_CHILD_SUBREAPER, 1)  # orphans of a program come to us, not to init
        self._top = os.getcwd()

    def next_uid(self) -> int:
        """Our own: there is no other to be had."""
        return os.getuid()

    def directory(self) -> str:
        """Where a process of the program starts; it makes the directory itself."""
        return os.path.join(self._top, str(os.getpid()))

    def end_all(self, leaders: list[int]) -> bool:
        """Kill the program's sessions, then whatever else descends from us, and reap; whether that was done."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for leader in leaders:
                _signal_group(leader)
            for pid in _children():
                os.kill(pid, signal.SIGKILL)
            if reap():
                return True
            time.sleep(GLANCE)
        return False

    def wipe(self, _uids: list[int]) -> bool:
        """Empty the directory; whether nothing is left."""
        for name in os.listdir(self._top):
            shutil.rmtree(os.path.join(self._top, name), onerror=_force)
        return not os.listdir(self._top)

    def close(self) -> None:
        """Remove the directory, in case the host no longer can."""
        shutil.rmtree(self._top, ignore_errors=True)


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


def _children() -> list[int]:
    """Our children, as far as the system tells; they include orphans of the program."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as listed:
            return [int(pid) for pid in listed.read().split()]
    except OSError:
        return []


def _force(function: object, path: str, _error: object) -> None:
    """Make way for `rmtree` where the program took its own rights away."""
    for place in (os.path.dirname(path), path):
        try:
            os.chmod(place, 0o700)
        except OSError:
            pass
    try:
        if function in (os.rmdir, os.scandir, os.listdir, getattr(os, "open", None)):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
    except OSError:
        pass


def _system_v_objects() -> bool:
    """Whether shared memory, queues or semaphores are left, which only a new namespace removes."""
    for kind in ("shm", "msg", "sem"):
        try:
            with open("/proc/sysvipc/" + kind) as listed:
                if len(listed.readlines()) > 1:
                    return True
        except OSError:
            pass
    return False


def _remove_as(uid: int | None, tops: list[str]) -> None:
    """Empty the directories as their owner, whose rights root without its capabilities does not have; never returns."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(PATIENCE))
        if uid is not None:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        for top in tops:
            for name in os.listdir(top):
                path = os.path.join(top, name)
                if os.lstat(path).st_uid != os.getuid():
                    continue
                if os.path.isdir(path) and not os.path.islink(path):
                    _remove_tree(path)
                else:
                    os.unlink(path)
    finally:
        os._exit(0)


def _remove_tree(path: str) -> None:
    """Remove a directory however deep it is: step by step, never by a path that may be too long."""
    start = os.getcwd()
    os.chmod(path, 0o700)
    os.chdir(path)
    depth = 0
    while True:
        below = _remove_entries()
        if below is not None:
            os.chmod(below, 0o700)
            os.chdir(below)
            depth += 1
        elif depth == 0:
            break
        else:
            os.chdir("..")
            depth -= 1
    os.chdir(start)
    os.rmdir(path)


def _remove_entries() -> str | None:
    """Empty the working directory; the name of a directory in it that is not empty, if there is one."""
    for name in os.listdir("."):
        if os.path.isdir(name) and not os.path.islink(name):
            try:
                os.rmdir(name)
            except OSError:
                return name
        else:
            os.unlink(name)
    return None
