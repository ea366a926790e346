"""A sandbox that is opened beside other work: what it needs is loaded and looked for in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pytest_mcode._types import Execution, Program, Sandbox


class Late:
    """The `pytest_mcode._types.Sandbox` that ``opening`` makes; who runs a program waits for it.

    Made on the loop that uses it. An opening that failed is tried again by the next program.
    """

    def __init__(self, opening: Callable[[], Sandbox]) -> None:
        self._opening = opening
        self._task = asyncio.ensure_future(asyncio.to_thread(opening))

    @property
    def isolation(self) -> str:
        """What keeps programs apart from the host; only once a program has run."""
        return self._task.result().isolation

    async def check(self) -> None:
        """Execute a trivial program; see `pytest_mcode._types.Sandbox`."""
        await (await self._opened()).check()

    async def run(self, program: Program, *, timeout: float) -> Execution:
        """Execute a program; see `pytest_mcode._types.Sandbox`."""
        return await (await self._opened()).run(program, timeout=timeout)

    async def aclose(self) -> None:
        """Close it, if it was opened."""
        await asyncio.wait([self._task])
        if self._task.exception() is None:
            await self._task.result().aclose()

    async def _opened(self) -> Sandbox:
        if self._task.done() and self._task.exception() is not None:
            self._task = asyncio.ensure_future(asyncio.to_thread(self._opening))
        return await asyncio.shield(self._task)
