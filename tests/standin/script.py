"""What a script is asked and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Fault(StrEnum):
    """What may go wrong with an answer. All but HANG come after the reply's ``seconds``."""

    STATUS = "status"
    """An HTTP error in the API's own shape: the reply's ``status`` (500) and ``body`` as its message."""
    RESET = "reset"
    """The connection is reset before any byte."""
    RESET_MIDWAY = "reset midway"
    """The connection is reset after half of the body."""
    HANG = "hang"
    """Nothing is answered until the client goes."""
    TRICKLE = "trickle"
    """The whole answer, in small pieces spread over ``seconds``: no read ever waits long."""
    TRUNCATED = "truncated"
    """Half of the body, then a proper end: a stream loses its last parts, a JSON object its second half."""
    MALFORMED = "malformed"
    """Status 200 and a body that is not JSON."""
    HTML = "html"
    """A proxy's page, with the reply's ``status`` (502)."""
    EMPTY = "empty"
    """A finished answer for which nothing was generated."""
    LOAD = "load"
    """Ollama's answer to a request that only loads the model: empty, with done_reason ``load``."""


class Turn(NamedTuple):
    """One message of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Options:
    """What both APIs call differently; None where the request did not say."""

    seed: int | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    num_ctx: int | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One request for a generation.

    ``api`` is ``ollama`` or ``openai``; ``number`` is 1 when it comes first and 2 when the very same (path, model,
    messages and options) comes again; ``body`` is the JSON as it was sent.
    """

    api: str
    path: str
    model: str
    messages: tuple[Turn, ...]
    options: Options = Options()
    stream: bool = False
    number: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def attempt(self) -> int:
        """How often the model has answered in this conversation: 0 asks for the first attempt."""
        return sum(turn.role == "assistant" for turn in self.messages)

    @property
    def text(self) -> str:
        """The whole conversation."""
        return "\n".join(turn.content for turn in self.messages)


class Call(NamedTuple):
    """A tool that the model wants to be called."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answers.

    Token counts default to the number of words. The text is sent as it is: neither ``stop`` nor a token limit cuts
    it, a script says so itself with ``finish="length"``. ``finish=None`` leaves the field out. ``seconds`` is the
    latency in the slot; a stream's parts are spread over it.
    """

    text: str = ""
    thinking: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish: str | None = "stop"
    seconds: float = 0.0
    fault: Fault | None = None
    status: int | None = None
    body: str = ""
    calls: tuple[Call, ...] = ()


Answer = Callable[[Request], Reply]


class Tokens(NamedTuple):
    """How much was read and written."""

    prompt: int
    completion: int


def count(request: Request, reply: Reply) -> Tokens:
    """The reply's token counts, or words where it has none."""
    prompt, completion = reply.prompt_tokens, reply.completion_tokens
    return Tokens(
        len(request.text.split()) if prompt is None else prompt,
        len(f"{reply.thinking} {reply.text} {reply.calls or ''}".split()) if completion is None else completion,
    )
