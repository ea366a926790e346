"""How the server runs in a thread of the test's process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.standin.catalog import Catalog, Model
from tests.standin.endpoints import application
from tests.standin.log import Log
from tests.standin.pages import Page
from tests.standin.script import Answer
from tests.standin.serving import House
from tests.standin.slots import Slots

MODEL = "granite3.3:8b"


class StandIn:
    """A model server in a thread, on a free port of the loopback interface.

    Leaving it stops it, whatever hangs, and raises what the script raised.

    Args:
        answer: The script; it is called in the server's thread.
        models: What is installed.
        library: What could be pulled.
        slots: How many requests are served at once.
        queue: How many may wait for a slot.
        key: The API key that ``/v1`` asks for; None takes any.
        port: Where to listen; 0 is any free port.
        pages: Further pages by path; they go before the server's own.
    """

    def __init__(  # noqa: PLR0913 - all but the script have defaults
        self,
        answer: Answer,
        *,
        models: Iterable[Model | str] = (MODEL,),
        library: Iterable[Model | str] = (),
        slots: int = 8,
        queue: int = 512,
        key: str | None = None,
        port: int = 0,
        pages: Mapping[str, Page] | None = None,
    ) -> None:
        self.log, self.port = Log(), port
        self._house = House(answer, Catalog(models, library), Slots(slots, queue), self.log, key, pages or {})
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="standin", daemon=True)
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: Callable[[], int] = lambda: 0

    @property
    def url(self) -> str:
        """Where Ollama's clients find it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai_url(self) -> str:
        """Where OpenAI's clients find it."""
        return f"{self.url}/v1"

    @property
    def connections(self) -> int:
        """How many connections are open, idle ones too."""
        return self._open()

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(5.0):
            raise RuntimeError(f"the stand-in could not listen on port {self.port}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()
        if error is None and self.log.errors:
            raise self.log.errors[0]

    def stop(self) -> None:
        """Stop listening, cut what is still open, and wait until that is done; 2 seconds at most."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(2.0)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with listening(self._house, self.port) as runner:
            server = runner.server
            assert server is not None
            self.port = runner.addresses[0][1]
            self._open = lambda: len(server.connections)
            self._ready.set()
            await self._stop.wait()


@asynccontextmanager
async def listening(house: House, port: int) -> AsyncIterator[web.AppRunner]:
    """Serve until left; a client that goes cancels its handler, leaving cancels them all."""
    runner = web.AppRunner(application(house), handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield runner
    finally:
        await runner.cleanup()
