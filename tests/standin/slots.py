"""Ollama's parallelism: so many requests are served at once, so many wait in order of arrival, more are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.standin.dialect import RefusedError

BUSY = "server busy, please try again.  maximum pending requests exceeded"


class Slots:
    """Places at the model, first come first served."""

    def __init__(self, slots: int, queue: int) -> None:
        self._free = asyncio.Semaphore(slots)
        self._queue, self._waiting = queue, 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a slot, after waiting for one.

        Raises:
            RefusedError: Too many wait already.
        """
        if self._free.locked() and self._waiting >= self._queue:
            raise RefusedError(503, BUSY)
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()
