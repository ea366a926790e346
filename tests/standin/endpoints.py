"""Every endpoint of the server."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import web

from tests.standin import ollama, openai, pages
from tests.standin.dialect import Dialect, RefusedError
from tests.standin.serving import House, check_key, generation, installed, json_object

GENERATION: Mapping[str, Dialect] = {
    "/api/chat": ollama.Chat(),
    "/api/generate": ollama.Generate(),
    "/v1/chat/completions": openai.ChatCompletions(),
    "/v1/completions": openai.Completions(),
}


def application(house: House) -> web.Application:
    """The server as aiohttp runs it."""
    app = web.Application(client_max_size=64 * 2**20, middlewares=[refusals])
    for path, page in house.pages.items():  # first: they take the place of others
        app.router.add_route("*", path, pages.shown(page))
    for path, dialect in GENERATION.items():
        app.router.add_post(path, partial(generation, dialect=dialect, house=house))
    installed, loaded = house.catalog.installed, house.catalog.loaded
    app.router.add_get("/", greeting)
    app.router.add_get("/api/version", told(lambda: {"version": ollama.VERSION}))
    app.router.add_get("/api/tags", told(lambda: {"models": [*map(ollama.listed, installed.values())]}))
    app.router.add_get("/api/ps", told(lambda: {"models": [*map(ollama.running, loaded.values())]}))
    app.router.add_post("/api/show", partial(show, house=house))
    app.router.add_post("/api/pull", partial(pull, house=house))
    app.router.add_get("/v1/models", partial(models, house=house))
    app.router.add_get("/v1/models/{name:.+}", partial(models, house=house))
    return app


@web.middleware
async def refusals(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Tell a refusal in the shape of the API that was asked."""
    try:
        return await handler(request)
    except RefusedError as refusal:
        path = "/v1/chat/completions" if request.path.startswith("/v1/") else "/api/chat"
        return web.json_response(GENERATION[path].error(refusal.status, str(refusal)), status=refusal.status)


async def greeting(_: web.Request) -> web.Response:
    """What a browser sees."""
    return web.Response(text="Ollama is running")


def told(make: Callable[[], dict[str, Any]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """An endpoint that tells what ``make`` gives."""

    async def handler(_: web.Request) -> web.Response:
        return web.json_response(make())

    return handler


async def named(asked: web.Request) -> tuple[str, dict[str, Any]]:
    """The model that a request names, in its field or in the one that it had of old; and the whole request."""
    body = await json_object(asked)
    name = body.get("model") or body.get("name")
    if not name:
        raise RefusedError(400, "model is required")
    return str(name), body


async def show(asked: web.Request, house: House) -> web.Response:
    """``/api/show``."""
    name, _ = await named(asked)
    return web.json_response(ollama.shown(installed("ollama", name, house)))


async def pull(asked: web.Request, house: House) -> web.StreamResponse:
    """``/api/pull``: install a model of the library, telling of the progress."""
    name, body = await named(asked)
    house.log.pulls.append(name)
    model = house.catalog.pull(name)
    steps = ollama.pulling(model) if model else [{"error": "pull model manifest: file does not exist"}]
    if body.get("stream") is False:
        return web.json_response(steps[-1], status=200 if model else 500)
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(asked)
    for step in steps:
        await response.write(json.dumps(step).encode() + b"\n")
    return response


async def models(asked: web.Request, house: House) -> web.Response:
    """``/v1/models``: all of them, or one."""
    check_key(asked.headers.get("Authorization"), house)
    name = asked.match_info.get("name")
    if name is not None:
        return web.json_response(openai.listed(installed("openai", name, house)))
    return web.json_response({"object": "list", "data": [*map(openai.listed, house.catalog.installed.values())]})
