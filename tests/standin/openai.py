"""The protocol of OpenAI-compatible servers: https://platform.openai.com/docs/api-reference/chat."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from tests.standin.catalog import Model
from tests.standin.dialect import Timing, flat, stops, words
from tests.standin.script import Options, Reply, Request, Turn, count

KINDS = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
}
CODES = {401: "invalid_api_key", 404: "model_not_found"}


class ChatCompletions:
    """``/v1/chat/completions``."""

    api, stream_type = "openai", "text/event-stream"
    kind, chunk_kind = "chat.completion", "chat.completion.chunk"

    def turns(self, body: Mapping[str, Any]) -> tuple[Turn, ...]:
        return tuple(Turn(str(m.get("role", "")), flat(m.get("content"))) for m in body.get("messages") or ())

    def options(self, body: Mapping[str, Any]) -> Options:
        return Options(
            seed=body.get("seed"),
            temperature=body.get("temperature"),
            max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
            top_p=body.get("top_p"),
            stop=stops(body.get("stop")),
        )

    def streams(self, body: Mapping[str, Any]) -> bool:
        return body.get("stream") is True

    def error(self, status: int, message: str) -> dict[str, Any]:
        kind, code = KINDS.get(status, "server_error"), CODES.get(status)
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}

    def whole(self, request: Request, reply: Reply, timing: Timing) -> dict[str, Any]:  # noqa: ARG002 - not told
        message = self.message(reply.text, reply.thinking)
        finish = reply.finish
        if reply.calls:
            finish = "tool_calls"
            message["message"]["tool_calls"] = [
                {
                    "id": f"call_{n}",
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                }
                for n, call in enumerate(reply.calls)
            ]
        choice = {"index": 0, **message, "logprobs": None, "finish_reason": finish}
        return {**head(request, self.kind), "choices": [choice], "usage": usage(request, reply)}

    def parts(self, request: Request, reply: Reply, timing: Timing) -> Iterator[bytes]:  # noqa: ARG002 - not told
        start = head(request, self.chunk_kind)
        for piece in self.pieces(reply):
            yield event({**start, "choices": [{"index": 0, **piece, "finish_reason": None}]})
        yield event({**start, "choices": [{"index": 0, **self.piece(), "finish_reason": reply.finish}]})
        if (request.body.get("stream_options") or {}).get("include_usage"):
            yield event({**start, "choices": [], "usage": usage(request, reply)})
        yield b"data: [DONE]\n\n"

    def pieces(self, reply: Reply) -> Iterator[dict[str, Any]]:
        """What the chunks add, one after the other."""
        yield self.piece(role="assistant", content="")
        for thought in words(reply.thinking):
            yield self.piece(reasoning_content=thought)
        for word in words(reply.text):
            yield self.piece(content=word)

    def message(self, text: str, thinking: str) -> dict[str, Any]:
        """The whole message, in this endpoint's fields."""
        said = {"role": "assistant", "content": text}
        return {"message": said | ({"reasoning_content": thinking} if thinking else {})}

    def piece(self, **delta: str) -> dict[str, Any]:
        """What one chunk adds to the message."""
        return {"delta": delta}


class Completions(ChatCompletions):
    """``/v1/completions``."""

    kind = chunk_kind = "text_completion"

    def turns(self, body: Mapping[str, Any]) -> tuple[Turn, ...]:
        return (Turn("user", str(body["prompt"])),) if body.get("prompt") else ()

    def message(self, text: str, thinking: str) -> dict[str, Any]:  # noqa: ARG002 - there is no field for it
        return {"text": text}

    def piece(self, **delta: str) -> dict[str, Any]:
        return {"text": delta.get("content", "")}


def head(request: Request, kind: str) -> dict[str, Any]:
    """What every object starts with."""
    name = {"chat.completion": "chatcmpl", "chat.completion.chunk": "chatcmpl"}.get(kind, "cmpl")
    return {"id": f"{name}-1", "object": kind, "created": int(time.time()), "model": request.model}


def usage(request: Request, reply: Reply) -> dict[str, int]:
    """The token counts."""
    prompt, completion = count(request, reply)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def event(part: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(part).encode() + b"\n\n"


def listed(model: Model) -> dict[str, Any]:
    """An entry of ``/v1/models``."""
    return {"id": model.name, "object": "model", "created": 1_748_779_200, "owned_by": "library"}
