"""How far a supervisor on this machine can be shut in: by bubblewrap, util-linux's unshare, Landlock, or not at all.

Each level is tried once with the very command that programs will run under, because a tool that is installed may still
be refused by the kernel or a container.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from pytest_mcode.sandboxes.inside import landlock

#: Whom mCode starts them as where it is root itself: else a namespace's inner user would be the host's root outside.
NOBODY = 65534
#: Processes that one program may have, where a namespace of its own lets them be counted.
PROCESSES = 64
PROBE = ("-I", "-c", "import json")
#: What a Python outside /usr needs of the system, as far as it is there.
SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/localtime",
)
CLOSED = "no files but Python's, the system's libraries and a directory of their own"
PLACES = ("/tmp", "/dev/shm", "/dev/mqueue", "/var/tmp")  # noqa: S108 - the sandbox's own


@dataclass(frozen=True)
class Level:
    """One way to start a supervisor.

    Attributes:
        name: As options and results spell it.
        isolation: What keeps programs apart from the host, in one sentence.
        command: Words before the arguments of Python, the interpreter last.
        alone: Whether the supervisor is PID 1 of a namespace.
        writable: Directories that are its own, in which programs start; empty: the one it is started in.
        limits: Resource limits that only this level can set.
        uid: The user it is started as; None for our own.
        walled: Whether its programs go behind Landlock.
    """

    name: str
    isolation: str
    command: tuple[str, ...]
    alone: bool = False
    writable: tuple[str, ...] = ()
    limits: dict[str, int] = field(default_factory=dict)
    uid: int | None = None
    walled: bool = False


def plain(missing: str = "") -> Level:
    """No namespace at all."""
    why = f" ({missing})" if missing else ""
    return Level("plain", f"none: programs run as {ours()}, with resource limits only{why}", (sys.executable,))


def ours() -> str:
    """Whose files a program without a root directory of its own can change."""
    return "this user" if os.geteuid() else "root, who may do anything to this machine"


def best() -> Level:
    """The first level that works here."""
    if not sys.platform.startswith("linux"):
        return plain("namespaces are Linux's")
    missing = [f"{tool} is not installed" for tool in ("bwrap", "unshare") if shutil.which(tool) is None]
    for level in (*bubblewrap(), *unshared(), *landlocked()):
        if works(level):
            return level
    return plain("; ".join(missing) or "this machine refuses namespaces")


def bubblewrap() -> Iterator[Level]:
    """A closed root with nothing of the host but Python and the system's libraries, in namespaces of every kind."""
    tool = shutil.which("bwrap")
    if tool is None:
        return
    closed = ["--unshare-all", "--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL"]
    closed += [
        "--unshare-user",
        "--disable-userns",
        "--uid",
        str(NOBODY),
        "--gid",
        str(NOBODY),
        "--hostname",
        "sandbox",
    ]
    closed += ["--clearenv", "--setenv", "LANG", "C.UTF-8", "--proc", "/proc", "--dev", "/dev"]
    closed += ["--size", str(1 << 26), "--tmpfs", "/tmp", "--size", str(1 << 24), "--tmpfs", "/dev/shm"]  # noqa: S108
    for python, prefixes in pythons():
        shown = [word for path in (*SYSTEM, *prefixes) for word in ("--ro-bind-try", path, path)]
        rest = ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/", "--", python]
        yield Level(
            "bubblewrap",
            "bubblewrap: user, process, network, IPC and mount namespaces; no files of the host but Python's",
            (tool, *shown, *closed, *rest),
            alone=True,
            writable=PLACES,
            limits={"NPROC": PROCESSES},
            uid=NOBODY if os.geteuid() == 0 else None,
        )


def unshared() -> Iterator[Level]:
    """Namespaces without a root of its own: no network and no other processes, but the host's files."""
    tool = shutil.which("unshare")
    if tool is not None:
        spaces = ("--user", "--map-current-user", "--pid", "--fork", "--kill-child", "--mount-proc", "--net", "--ipc")
        walled = landlock.version() > 0
        files = CLOSED if walled else f"but files can be read and written as {ours()}"
        yield Level(
            "unshare",
            f"unshare: user, process, network and IPC namespaces, {files}",
            (tool, *spaces, "--", sys.executable),
            alone=True,
            limits={"NPROC": PROCESSES},
            walled=walled,
        )


def landlocked() -> Iterator[Level]:
    """No namespace: files, and with newer kernels TCP and signals, are closed by Landlock; for containers."""
    version = landlock.version()
    if version > 0:
        closed = [CLOSED, *(["no TCP"] if version >= landlock.TCP_SINCE else [])]
        closed += ["no signals to others"] if version >= landlock.SCOPES_SINCE else []
        isolation = f"Landlock {version}: {', '.join(closed)}; other processes can be seen, and UDP is open"
        yield Level("landlock", isolation, (sys.executable,), walled=True)


def pythons() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Interpreters, ours first, and where each has its files: another user may be unable to read ours."""
    yield sys.executable, tuple(dict.fromkeys((sys.prefix, sys.base_prefix, os.path.realpath(sys.base_prefix))))
    system = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if system is not None and system != sys.executable:
        yield system, ()


def works(level: Level) -> bool:
    """Whether Python starts that way."""
    words = [*level.command, *PROBE]
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            words, capture_output=True, timeout=10, check=False, cwd="/", user=level.uid, group=level.uid
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
