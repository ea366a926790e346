"""How many requests a server is given at once: fewer when it says that it is busy or slows down, then again more.

Additive increase, multiplicative decrease, as TCP does it. A request that waits here has not been sent: its deadline
starts when it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import statistics
from collections.abc import AsyncIterator

#: Part of the limit that is left when the server says that it is busy, and when it slows down.
BUSY, SLOWER = 0.5, 0.75
#: A server slows down when a median request takes so many times what one took at best.
SLOW = 3.0
#: Slowing down alone never leaves less than this part of the most.
FLOOR = 0.25

_log = logging.getLogger("mcode")


class Gate:
    """Lets at most ``most`` requests through at once.

    ``limit`` is how many it lets through now, from 1 to ``most``.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.limit = float(most)
        self._inside = 0
        self._changed = asyncio.Condition()
        self._window: list[float] = []
        self._best: float | None = None

    @contextlib.asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Wait for a place, and hold it."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._inside < max(1, int(self.limit)))
            self._inside += 1
        try:
            yield
        finally:
            async with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def busy(self) -> None:
        """The server refused a request because it has too many."""
        self._lower(self.limit * BUSY, 1.0, "says that it is busy")

    def served(self, seconds: float) -> None:
        """The server answered a request in so many seconds."""
        self.limit = min(float(self._most), self.limit + 1 / self.limit)
        self._window.append(seconds)
        if len(self._window) < max(4, int(self.limit)):
            return
        median, self._window = statistics.median(self._window), []
        self._best = median if self._best is None else min(self._best, median)
        if median > SLOW * self._best:
            self._lower(self.limit * SLOWER, max(1.0, self._most * FLOOR), "answers more slowly under load")

    def _lower(self, limit: float, least: float, why: str) -> None:
        before, self.limit = self.limit, min(self.limit, max(least, limit))
        if int(self.limit) < int(before):
            _log.warning("The model server %s: at most %d requests at once, not %d.", why, self.limit, before)
