"""What model servers tell of themselves and of a model, as a run stores it: short texts, none of them private."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pytest_mcode import _url
from pytest_mcode.settings import Settings

#: A path that begins with a directory of somebody's machine.
PATH = re.compile(r"[/~.\\]|[A-Za-z]:[\\/]")
#: Characters of a secret that is looked for wherever it stands: what is shorter is a word such as ``none``.
SECRET = 8
#: What logs in, in a header and in an address.
TOKEN = re.compile(r"\b((?i:bearer|basic)\s+)(?=\S*[A-Z0-9=_-])[^\s\"',;)}\]]+")
LOGIN = re.compile(r"(://)\S*@")
#: Characters of one text: none that a server has to tell is longer.
LONGEST = 200


def of_ollama(listed: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, str]:
    """What Ollama tells of a model, from its entry in ``/api/tags`` and its answer of ``/api/show``."""
    details = part(listed, "details")
    info = part(shown, "model_info")
    return texts(
        model_digest=listed.get("digest"),
        quantization=details.get("quantization_level"),
        parameter_size=details.get("parameter_size"),
        family=details.get("family"),
        context_length=info.get(f"{info.get('general.architecture')}.context_length"),
    )


def of_openai(listed: Mapping[str, Any], props: Mapping[str, Any]) -> dict[str, str]:
    """What an OpenAI-compatible server tells of a model: in the list of its models, llama.cpp also in ``/props``."""
    meta, generation = part(listed, "meta"), part(props, "default_generation_settings")
    return texts(
        owned_by=listed.get("owned_by"),
        root=listed.get("root"),
        model_file=props.get("model_path"),
        parameters=meta.get("n_params"),
        context_length=listed.get("max_model_len") or generation.get("n_ctx") or meta.get("n_ctx_train"),
    )


def part(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object within an answer; empty if there is none."""
    found = answer.get(name)
    return found if isinstance(found, dict) else {}


def texts(**values: Any) -> dict[str, str]:
    """Those of the values that are there, without credentials and without other people's directories."""
    made = {name: str(value).strip() for name, value in values.items() if value is not None}
    return {name: _public(value)[:LONGEST] for name, value in made.items() if value}


def _public(text: str) -> str:
    if "://" in text:
        return _url.without_credentials(text)
    return re.split(r"[\\/]", text.rstrip("\\/"))[-1] if PATH.match(text) else text


def without_secrets(text: str, secret: str) -> str:
    """The text without what logs in at the server, which a server or a proxy may send back with its error."""
    text = text.replace(secret, "***") if len(secret) >= SECRET else text
    return LOGIN.sub(r"\1***@", TOKEN.sub(r"\1***", text))


def context_limit(settings: Settings, told: Mapping[str, str]) -> str:
    """Why a model has less context than ``--mcode-context`` asks for, and what to do; empty if it has it all.

    It is no fault: Ollama gives a model at most its own context, and most tasks need far less than that.
    """
    length = context_length(told)
    if length is None or length >= settings.context:
        return ""
    if settings.backend == "ollama":
        return (
            f"The model's context is {length} tokens, and Ollama gives it no more than that where "
            f"--mcode-context={settings.context} asks for more: if a conversation may be longer, choose another model."
        )
    return (
        f"The server's context is {length} tokens, and --mcode-context={settings.context} does not change it: "
        f"if a conversation may be longer, start the server with more."
    )


def context_length(told: Mapping[str, str]) -> int | None:
    """Tokens of context; None if the server does not tell."""
    length = told.get("context_length", "")
    return int(length) if length.isdigit() else None
