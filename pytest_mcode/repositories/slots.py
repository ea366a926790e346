"""Slots that all processes of this user on this machine share: the kernel frees one when its process ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from pytest_mcode.settings import Settings

#: Seconds between two looks at slots that others hold.
PAUSE = 0.1
UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@contextlib.asynccontextmanager
async def slot(directory: Path, kind: str, count: int) -> AsyncIterator[None]:
    """Hold one of ``count`` slots of a kind; waits while others hold them all."""
    import fcntl

    descriptor = None
    try:
        while descriptor is None:
            for number in range(count):
                opened = os.open(directory / f"{kind}-{number}", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(opened)
                    continue
                descriptor = opened
                break
            else:
                await asyncio.sleep(PAUSE)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def workers(settings: Settings) -> int:
    """How many containers of instances run at once: as asked, or as the memory that is free and the cores allow."""
    if settings.max_workers is not None:
        return settings.max_workers
    free = available()
    size = int(settings.mem_limit[:-1]) * UNITS[settings.mem_limit[-1]]
    fit = os.cpu_count() or 1 if free is None else free // size
    return max(1, min(fit, os.cpu_count() or 1))


def available() -> int | None:
    """Bytes of memory that are free or can be freed; None if the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return None if found is None else int(found) << 10
