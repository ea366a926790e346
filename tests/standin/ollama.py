"""Ollama's protocol, as its server writes it: https://github.com/ollama/ollama/blob/main/docs/api.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.standin.catalog import Model
from tests.standin.dialect import Timing, flat, stops, words
from tests.standin.script import Options, Reply, Request, Turn, count

VERSION = "0.12.6"
#: How often a pull tells of its progress.
PARTS = 20


class Chat:
    """``/api/chat``."""

    api, stream_type = "ollama", "application/x-ndjson"

    def turns(self, body: Mapping[str, Any]) -> tuple[Turn, ...]:
        return tuple(Turn(str(m.get("role", "")), flat(m.get("content"))) for m in body.get("messages") or ())

    def options(self, body: Mapping[str, Any]) -> Options:
        sent = body.get("options") or {}
        return Options(
            seed=sent.get("seed"),
            temperature=sent.get("temperature"),
            max_tokens=sent.get("num_predict"),
            num_ctx=sent.get("num_ctx"),
            top_p=sent.get("top_p"),
            stop=stops(sent.get("stop")),
        )

    def streams(self, body: Mapping[str, Any]) -> bool:
        return body.get("stream") is not False

    def error(self, status: int, message: str) -> dict[str, Any]:  # noqa: ARG002 - the status is not in the body
        return {"error": message}

    def whole(self, request: Request, reply: Reply, timing: Timing) -> dict[str, Any]:
        said = self.said(reply.text, reply.thinking)
        if reply.calls:
            said["message"]["tool_calls"] = [
                {"function": {"name": call.name, "arguments": dict(call.arguments)}} for call in reply.calls
            ]
        return {**head(request), **said, **tail(request, reply, timing)}

    def parts(self, request: Request, reply: Reply, timing: Timing) -> Iterator[bytes]:
        for thought in words(reply.thinking):
            yield line({**head(request), **self.said("", thought), "done": False})
        for word in words(reply.text) or [""]:
            yield line({**head(request), **self.said(word, ""), "done": False})
        yield line({**head(request), **self.said("", ""), **tail(request, reply, timing)})

    def said(self, text: str, thinking: str) -> dict[str, Any]:
        """What the model said, in this endpoint's fields."""
        return {"message": {"role": "assistant", "content": text} | ({"thinking": thinking} if thinking else {})}


class Generate(Chat):
    """``/api/generate``."""

    def turns(self, body: Mapping[str, Any]) -> tuple[Turn, ...]:
        system = [Turn("system", flat(body["system"]))] if body.get("system") else []
        return (*system, Turn("user", flat(body["prompt"]))) if body.get("prompt") else ()

    def said(self, text: str, thinking: str) -> dict[str, Any]:
        return {"response": text} | ({"thinking": thinking} if thinking else {})


def head(request: Request) -> dict[str, Any]:
    """What every part starts with."""
    return {"model": request.model, "created_at": moment()}


def tail(request: Request, reply: Reply, timing: Timing) -> dict[str, Any]:
    """What the last part ends with; the server leaves out what is empty or zero."""
    tokens = count(request, reply)
    end = {"done_reason": reply.finish} if reply.finish else {}
    reading, writing = timing.seconds * 0.1, timing.seconds * 0.9
    metrics = {
        "total_duration": nanoseconds(timing.waited + timing.seconds),
        "load_duration": nanoseconds(timing.waited),
        "prompt_eval_count": tokens.prompt,
        "prompt_eval_duration": nanoseconds(reading),
        "eval_count": tokens.completion,
        "eval_duration": nanoseconds(writing),
    }
    generated = reply.finish != "load"
    return {**end, "done": True, **({k: v for k, v in metrics.items() if v} if generated else {})}


def line(part: Mapping[str, Any]) -> bytes:
    """One part of a stream."""
    return json.dumps(part).encode() + b"\n"


def nanoseconds(seconds: float) -> int:
    """A duration as the server counts it, never zero."""
    return max(1_000, int(seconds * 1e9))


def moment(later: float = 0.0) -> str:
    """The time, some seconds later, as Go writes it."""
    return (datetime.now(UTC) + timedelta(seconds=later)).isoformat().replace("+00:00", "Z")


def listed(model: Model) -> dict[str, Any]:
    """An entry of ``/api/tags``."""
    entry = {"name": model.name, "model": model.name, "modified_at": "2025-06-01T12:00:00.123456789Z"}
    return {**entry, "size": model.size, "digest": model.digest, "details": details(model)}


def running(model: Model) -> dict[str, Any]:
    """An entry of ``/api/ps``."""
    entry = {key: value for key, value in listed(model).items() if key != "modified_at"}
    return {**entry, "expires_at": moment(later=300), "size_vram": model.size, "context_length": 16384}


def shown(model: Model) -> dict[str, Any]:
    """The answer of ``/api/show``."""
    return {
        "license": "Apache License, Version 2.0",
        "modelfile": f"FROM {model.name}\n",
        "parameters": "",
        "template": "{{ .Prompt }}",
        "details": details(model),
        "model_info": {
            "general.architecture": model.family,
            "general.basename": model.name.partition(":")[0],
            f"{model.family}.context_length": model.context,
        },
        "capabilities": ["completion"],
        "modified_at": "2025-06-01T12:00:00.123456789Z",
    }


def details(model: Model) -> dict[str, Any]:
    """What kind of model it is."""
    return {
        "parent_model": "",
        "format": "gguf",
        "family": model.family,
        "families": [model.family],
        "parameter_size": model.parameter_size,
        "quantization_level": model.quantization,
    }


def pulling(model: Model) -> list[dict[str, Any]]:
    """The progress of a pull, to its success."""
    layer = {
        "status": f"pulling {model.digest[:12]}",
        "digest": f"sha256:{model.digest}",
        "total": model.size,
    }
    progress = [{**layer, "completed": model.size * part // PARTS} for part in range(1, PARTS + 1)]
    if model.broken:
        return [{"status": "pulling manifest"}, layer, *progress[: PARTS // 2], {"error": model.broken}]
    steps = ("verifying sha256 digest", "writing manifest", "success")
    return [{"status": "pulling manifest"}, layer, *progress, *({"status": step} for step in steps)]
