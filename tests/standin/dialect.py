"""What an API's endpoint for generations must say about itself, for `serving` to serve it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from tests.standin.script import Options, Reply, Request, Turn


class Timing(NamedTuple):
    """How long a generation waited for its slot, and takes in it, in seconds."""

    waited: float
    seconds: float


class RefusedError(Exception):
    """An HTTP error that is none of the script's doing."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Dialect(Protocol):
    """One endpoint's way of saying what a `Request` and a `Reply` say."""

    api: str
    stream_type: str

    def turns(self, body: Mapping[str, Any]) -> tuple[Turn, ...]:
        """The conversation; empty if the request has none."""
        ...

    def options(self, body: Mapping[str, Any]) -> Options:
        """The options that both APIs know."""
        ...

    def streams(self, body: Mapping[str, Any]) -> bool:
        """Whether a stream is wanted."""
        ...

    def error(self, status: int, message: str) -> dict[str, Any]:
        """The body of an HTTP error."""
        ...

    def whole(self, request: Request, reply: Reply, timing: Timing) -> dict[str, Any]:
        """The answer in one JSON object."""
        ...

    def parts(self, request: Request, reply: Reply, timing: Timing) -> Iterator[bytes]:
        """The answer as a stream, two parts at least."""
        ...


def words(text: str) -> list[str]:
    """The text cut after each word's white space, as tokens come."""
    return re.findall(r"\s*\S+\s*|\s+", text)


def flat(content: Any) -> str:
    """A message's content as text, where an API also takes a list of typed parts."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def stops(value: Any) -> tuple[str, ...]:
    """One stop sequence or several."""
    return (value,) if isinstance(value, str) else tuple(value or ())
