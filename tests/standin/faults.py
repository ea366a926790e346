"""Carrying out faults on a real connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

from aiohttp import web

from tests.standin.dialect import Dialect
from tests.standin.script import Fault, Reply

#: No fault, and those whose body arrives whole.
WHOLE = (None, Fault.EMPTY, Fault.LOAD, Fault.TRICKLE)

PAGE = "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"


def disguised(reply: Reply) -> Reply:
    """What a reply says once its fault has emptied it."""
    if reply.fault is Fault.EMPTY:
        return replace(reply, text="", thinking="", completion_tokens=0)
    if reply.fault is Fault.LOAD:
        return replace(reply, text="", thinking="", completion_tokens=0, prompt_tokens=0, finish="load")
    return reply


async def commit(
    asked: web.Request, reply: Reply, dialect: Dialect, pieces: Sequence[bytes], kind: str
) -> web.StreamResponse:
    """Let the answer, whose whole body would be ``pieces``, go wrong as the reply says."""
    half = pieces[: len(pieces) // 2]
    match reply.fault:
        case Fault.STATUS:
            code = reply.status or 500
            return web.json_response(dialect.error(code, reply.body or phrase(code)), status=code)
        case Fault.HTML:
            code = reply.status or 502
            return web.Response(text=PAGE.format(f"{code} {phrase(code)}"), status=code, content_type="text/html")
        case Fault.MALFORMED:
            return web.Response(body=b'{"model": <|end|>', content_type=kind)
        case Fault.RESET_MIDWAY:
            return await reset(asked, await begin(asked, half, kind))
        case Fault.RESET:
            return await reset(asked, web.Response())
        case _:
            return await write(asked, half, kind)


def phrase(code: int) -> str:
    """HTTP's words for a status."""
    return HTTPStatus(code).phrase


async def begin(asked: web.Request, pieces: Sequence[bytes], kind: str, *, pace: float = 0.0) -> web.StreamResponse:
    """Write the start of a body of unknown length, ``pace`` seconds after each piece."""
    response = web.StreamResponse(headers={"Content-Type": kind})
    await response.prepare(asked)
    for piece in pieces:
        await response.write(piece)
        await asyncio.sleep(pace)
    return response


async def write(asked: web.Request, pieces: Sequence[bytes], kind: str, *, pace: float = 0.0) -> web.StreamResponse:
    """Write a body and end it properly."""
    response = await begin(asked, pieces, kind, pace=pace)
    await response.write_eof()
    return response


async def reset(asked: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Reset the connection; the response is for the framework, nobody receives it."""
    transport = asked.transport
    if transport is not None:
        await asyncio.sleep(0.02)  # a reset overtakes what was written before it
        held: socket.socket = transport.get_extra_info("socket")
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return response
