"""How a request for a generation is served: refused, or queued, answered by the script, and sent, faults and all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.standin import faults
from tests.standin.catalog import Catalog, Model
from tests.standin.dialect import Dialect, RefusedError, Timing
from tests.standin.log import Exchange, Log, Outcome
from tests.standin.pages import Page
from tests.standin.script import Answer, Fault, Reply, Request
from tests.standin.slots import Slots


@dataclass(frozen=True)
class House:
    """What the endpoints of one server share."""

    answer: Answer
    catalog: Catalog
    slots: Slots
    log: Log
    key: str | None
    pages: Mapping[str, Page] = field(default_factory=dict)


async def generation(asked: web.Request, dialect: Dialect, house: House) -> web.StreamResponse:
    """Serve one request, and record what becomes of it."""
    exchange = house.log.arrive(read(asked, await json_object(asked), dialect))
    try:
        admit(exchange.request, house)
        async with house.slots.place():
            house.log.start(exchange)
            return await respond(asked, exchange, dialect, house)
    except RefusedError:
        house.log.finish(exchange, Outcome.REFUSED)
        raise
    except (asyncio.CancelledError, ConnectionError):
        house.log.finish(exchange, Outcome.CANCELLED)
        raise


async def json_object(asked: web.Request) -> dict[str, Any]:
    """The body of the request."""
    try:
        body = json.loads(await asked.read())
    except ValueError as error:
        raise RefusedError(400, f"invalid JSON: {error}") from None
    if not isinstance(body, dict):
        raise RefusedError(400, "invalid JSON: an object is expected")
    return body


def read(asked: web.Request, body: dict[str, Any], dialect: Dialect) -> Request:
    """What was asked, in terms of both APIs."""
    if not body.get("model"):
        raise RefusedError(400, "model is required")
    return Request(
        api=dialect.api,
        path=asked.path,
        model=body["model"],
        messages=dialect.turns(body),
        options=dialect.options(body),
        stream=dialect.streams(body),
        headers={name.lower(): value for name, value in asked.headers.items()},
        body=body,
    )


def admit(request: Request, house: House) -> None:
    """Refuse a stranger, or a model that is not there; load one that is."""
    if request.api == "openai":
        check_key(request.headers.get("authorization"), house)
    model = installed(request.api, request.model, house)
    if request.api == "openai" and not request.messages:
        raise RefusedError(400, "[] is too short - 'messages'")
    house.catalog.load(model)


def check_key(authorization: str | None, house: House) -> None:
    """Refuse a client without the server's key, if it has one."""
    if house.key is not None and authorization != f"Bearer {house.key}":
        raise RefusedError(401, "Incorrect API key provided.")


def installed(api: str, name: str, house: House) -> Model:
    """The model of that name, or a refusal in the words of that API."""
    model = house.catalog.find(name)
    if model is None:
        words = {"ollama": f"model '{name}' not found", "openai": f"The model `{name}` does not exist."}
        raise RefusedError(404, words[api])
    return model


async def respond(asked: web.Request, exchange: Exchange, dialect: Dialect, house: House) -> web.StreamResponse:
    """Ask the script and send what it says."""
    reply = exchange.reply = ask(exchange.request, house)
    timing = Timing((exchange.started or 0.0) - exchange.arrived, reply.seconds)
    pieces = in_pieces(exchange.request, faults.disguised(reply), dialect, timing)
    kind = dialect.stream_type if exchange.request.stream else "application/json"
    if reply.fault in faults.WHOLE:
        response = await send(asked, exchange.request, reply, pieces, kind)
        house.log.finish(exchange, Outcome.FAULT if reply.fault else Outcome.ANSWERED)
        return response
    if reply.fault is Fault.HANG:
        await asyncio.Event().wait()
    await asyncio.sleep(reply.seconds)
    house.log.finish(exchange, Outcome.FAULT)
    return await faults.commit(asked, reply, dialect, pieces, kind)


def ask(request: Request, house: House) -> Reply:
    """The script's reply; an error of the script is an error of the test, raised when the server stops."""
    if not request.messages:
        return Reply(fault=Fault.LOAD)  # how Ollama is told to load a model ahead of time
    try:
        return house.answer(request)
    except Exception as error:  # noqa: BLE001 - whatever the script raises
        house.log.errors.append(error)
        return Reply(fault=Fault.STATUS, body=f"the script raised {error!r}")


def in_pieces(request: Request, reply: Reply, dialect: Dialect, timing: Timing) -> list[bytes]:
    """The body: the parts of a stream, or a JSON object cut into some."""
    if request.stream:
        return list(dialect.parts(request, reply, timing))
    body = json.dumps(dialect.whole(request, reply, timing)).encode()
    size = -(-len(body) // 16)
    return [body[start : start + size] for start in range(0, len(body), size)]


async def send(
    asked: web.Request, request: Request, reply: Reply, pieces: list[bytes], kind: str
) -> web.StreamResponse:
    """Send a whole answer: at once when its time has come, or piece by piece over that time."""
    if not request.stream and reply.fault is not Fault.TRICKLE:
        await asyncio.sleep(reply.seconds)
        return web.Response(body=b"".join(pieces), content_type=kind, charset="utf-8")
    return await faults.write(asked, pieces, kind, pace=reply.seconds / len(pieces))
