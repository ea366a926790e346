"""A quiet machine for one program: all other programs of mCode wait while a timeout is tried again.

Two locked files, which the kernel frees when their process ends however it does. Every execution shares the first; who
wants to be alone takes it whole, and holds the second meanwhile so that newcomers queue up behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

#: Seconds between two looks at a lock that others hold.
PAUSE = 0.01


def default_directory() -> Path:
    """A directory that all processes of this user on this machine share; our own where somebody has its name."""
    directory = Path(tempfile.gettempdir()) / f"mcode-{os.getuid()}-locks"
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        if directory.lstat().st_uid == os.getuid() and not directory.is_symlink():
            return directory
    except FileExistsError:
        pass
    return Path(tempfile.mkdtemp(prefix="mcode-locks-"))


class Quiet:
    """The locks of one directory; another process's `Quiet` of the same directory is in the same queue."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        self._running, self._queue = directory / "running", directory / "queue"
        self._here = 0

    @property
    def busy(self) -> bool:
        """Whether other programs share the machine: ours in this process, or more work than it has cores."""
        return self._here > 1 or os.getloadavg()[0] > (os.cpu_count() or 1)

    @contextlib.asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Run among others."""
        async with _locked(self._queue, whole=False):
            running = _locked(self._running, whole=False)
            await running.__aenter__()
        self._here += 1
        try:
            yield
        finally:
            self._here -= 1
            await running.__aexit__(None, None, None)

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Run when all others have ended, and before any other starts."""
        async with _locked(self._queue, whole=True), _locked(self._running, whole=True):
            yield


@contextlib.asynccontextmanager
async def _locked(path: Path, *, whole: bool) -> AsyncIterator[None]:
    import fcntl

    kind = fcntl.LOCK_EX if whole else fcntl.LOCK_SH
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(PAUSE)
        yield
    finally:
        os.close(descriptor)
