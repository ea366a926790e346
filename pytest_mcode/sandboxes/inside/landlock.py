"""Landlock: a Linux process closes files, TCP and the machine's other processes to itself and to all that it starts.

It needs no privilege and no namespace, so it works where containers refuse both. The numbers are those of the kernel's
landlock(7); each version of its interface adds some.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable

from .cleaning import LIBC

CREATE, ADD, RESTRICT = 444, 445, 446
#: Asks `CREATE` for the version alone; and the kind of a rule on a directory with all below it.
ASK_VERSION, PATH_BENEATH = 1, 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
TRUNCATE, IOCTL = 1 << 14, 1 << 15
#: Rights on files by the version that brought them, the names of rights joined: remove, make, refer, truncate, ioctl.
FILES = {1: (1 << 13) - 1, 2: 1 << 13, 3: TRUNCATE, 5: IOCTL}
#: Binding and connecting of TCP sockets; abstract sockets and signals to processes outside.
TCP, TCP_SINCE = 3, 4
SCOPES, SCOPES_SINCE = 3, 6
#: Rights that a rule on a single file may have.
OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def version() -> int:
    """Version of the kernel's interface; 0 where there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    return int(max(0, LIBC.syscall(CREATE, None, ctypes.c_size_t(0), ASK_VERSION)))


class Walls:
    """What programs may touch, prepared once: each process then goes behind it with one call.

    Args:
        readable: Files and directories to read and to execute, as far as they are there.
        own: The directory that is theirs.
    """

    def __init__(self, readable: Iterable[str], own: str) -> None:
        number = version()
        self._handled = sum(rights for since, rights in FILES.items() if number >= since)
        asked = [self._handled, TCP if number >= TCP_SINCE else 0, SCOPES if number >= SCOPES_SINCE else 0]
        known = asked[: 1 + (number >= TCP_SINCE) + (number >= SCOPES_SINCE)]
        packed = struct.pack(f"={len(known)}Q", *known)
        self._fd = _checked(LIBC.syscall(CREATE, packed, ctypes.c_size_t(len(packed)), 0))
        for path in readable:
            self._allow(path, EXECUTE | READ_FILE | READ_DIR)
        for path in DEVICES:
            self._allow(path, READ_FILE | WRITE_FILE)
        self._allow(own, self._handled)

    def _allow(self, path: str, rights: int) -> None:
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return
        try:
            rights &= self._handled if os.path.isdir(path) else OF_A_FILE
            rule = struct.pack("=Qi", rights, fd)
            _checked(LIBC.syscall(ADD, self._fd, PATH_BENEATH, rule, 0))
        finally:
            os.close(fd)

    def go_behind(self) -> None:
        """Close everything else to this process, for good; it must have given up gaining privileges."""
        _checked(LIBC.syscall(RESTRICT, self._fd, 0))


def _checked(result: int) -> int:
    if result < 0:
        raise OSError("Landlock refuses")
    return result
