"""Scripts for the usual cases. A script is any function from a request to a reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.standin.script import Answer, Fault, Reply, Request

Replies = Sequence[Reply | str]


def fixed(reply: Reply | str) -> Answer:
    """Always the same."""
    return lambda _: _reply(reply)


def in_turn(*replies: Reply | str) -> Answer:
    """The first reply to the first request, the second when the very same request comes again; the last stays."""
    return lambda request: _at(replies, request.number - 1)


def by_task(tasks: Mapping[str, Replies | Mapping[int, Replies]]) -> Answer:
    """By a substring of the first user message, then by seed if the value is a mapping, then by attempt.

    An attempt beyond the last reply gets the last one. A request that no rule covers raises LookupError.
    """

    def answer(request: Request) -> Reply:
        asked = next((turn.content for turn in request.messages if turn.role == "user"), "")
        for part, replies in tasks.items():
            if part in asked:
                mine = replies[request.options.seed or 0] if isinstance(replies, Mapping) else replies
                return _at(mine, request.attempt)
        raise LookupError(f"no rule for the prompt {asked!r}")

    return answer


def faulty(fault: Fault, **more: Any) -> Reply:
    """A reply that goes wrong; ``more`` are further fields of it."""
    return Reply(**{"text": "an answer that may not arrive", **more, "fault": fault})


def status(code: int, message: str = "") -> Reply:
    """An HTTP error in the API's own shape."""
    return Reply(fault=Fault.STATUS, status=code, body=message)


def _at(replies: Replies, index: int) -> Reply:
    return _reply(replies[min(index, len(replies) - 1)])


def _reply(reply: Reply | str) -> Reply:
    return Reply(reply) if isinstance(reply, str) else reply
