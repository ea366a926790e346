"""Pages that a test puts on a server: what other servers have, or a proxy's in place of the server's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Page:
    """An answer to any request for a path: ``body`` is HTML if it is a text, else it is sent as JSON."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def shown(page: Page) -> Callable[[web.Request], Awaitable[web.Response]]:
    """An endpoint that gives the page."""

    async def handler(_: web.Request) -> web.Response:
        if isinstance(page.body, str):
            return web.Response(text=page.body, status=page.status, headers=page.headers, content_type="text/html")
        return web.json_response(page.body, status=page.status, headers=page.headers)

    return handler
