"""Asking a model server what it has, in plain HTTP, before anything is generated or imported for it."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from importlib.util import find_spec
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from pytest_mcode import _url, options
from pytest_mcode._errors import ModelError, UsageError
from pytest_mcode._parse import nearest
from pytest_mcode.settings import Settings
from pytest_mcode.solvers import reference

#: Seconds that a server may take to answer what costs it nothing.
PATIENCE = 5.0

#: Requests at once by backend: Ollama's own default, what vLLM and its like batch well, and one for a model in-process.
AT_ONCE = {"ollama": 4, "openai": 32, "litellm": 32, "hf": 1}
REFERENCE = 8
#: A package that Mellea's extra for that backend brings, and hardly anything else does.
EXTRAS = {"litellm": "litellm", "hf": "llguidance"}


def check(settings: Settings) -> dict[str, str]:
    """See that the server answers and has the model under exactly that name; return what it tells of both.

    Raises:
        ModelError: The server does not answer.
        UsageError: It does not have the model, or cannot be used as it was named; or the backend is not installed.
    """
    if settings.model == reference.NAME:
        return {}
    needed = EXTRAS.get(settings.backend)
    if needed is not None and find_spec(needed) is None:
        raise UsageError(f"The {settings.backend} backend is not installed: pip install 'mellea[{settings.backend}]'.")
    look = {"ollama": ollama, "openai": openai}.get(settings.backend)
    return look(settings) if look else {}


def ollama(settings: Settings) -> dict[str, str]:
    """What Ollama tells of itself and of the model; the model is never pulled."""
    url = options.ollama_url(settings)
    if "@" in url:
        raise UsageError("Ollama's client sends no user name or password: leave them out of the server's address.")
    try:
        version = ask(f"{url}/api/version").get("version", "")
        listed = ask(f"{url}/api/tags")
    except ModelError as error:
        raise ModelError(f"{error} Start Ollama ('ollama serve'), or name its address in OLLAMA_HOST.") from error
    if "models" not in listed:
        raise ModelError(
            f"The server at {url} is not Ollama: name Ollama's address in OLLAMA_HOST, or its --mcode-backend."
        )
    models = {str(model.get("name", "")): model for model in listed["models"] or ()}
    found = models.get(settings.model) or models.get(f"{settings.model}:latest")
    if found is None:
        raise UsageError(
            f"Ollama at {url} does not have the model {settings.model!r}{nearest(settings.model, models)}; "
            f"'ollama list' shows what it has, 'ollama pull {settings.model}' fetches it."
        )
    details = found.get("details") or {}
    return {
        "ollama": str(version),
        "model_digest": str(found.get("digest", "")),
        "quantization": str(details.get("quantization_level", "")),
        "parameter_size": str(details.get("parameter_size", "")),
    }


def openai(settings: Settings) -> dict[str, str]:
    """Look for the model in the list of an OpenAI-compatible server, if it keeps one."""
    url = options.openai_url(settings)
    try:
        listed = ask(f"{url}/models", key=options.api_key()).get("data") or ()
    except ModelError as error:
        raise ModelError(f"{error} Start it, or name its address with --mcode-base-url.") from error
    names = [str(model.get("id", "")) for model in listed]
    if names and not {settings.model, f"{settings.model}:latest"} & {*names}:
        shown = _url.without_credentials(url)
        raise UsageError(f"The server at {shown} does not serve {settings.model!r}{nearest(settings.model, names)}.")
    return {}


@dataclass(frozen=True)
class Capacity:
    """How many requests a server is given at once, and in words why."""

    requests: int
    why: str

    @property
    def told(self) -> str:
        """The choice in one line."""
        return f"{self.requests} request{'s' if self.requests > 1 else ''} at once ({self.why})"


def capacity(settings: Settings) -> Capacity:
    """How many requests to send at once: as many as asked for, as the server tells, or its kind's default."""
    if settings.concurrency is not None:
        return Capacity(settings.concurrency, "in each process, as asked")
    if settings.model == reference.NAME:
        return Capacity(REFERENCE, "no server is asked")
    told = slots(settings) if settings.backend == "openai" else None
    if told is not None:
        return Capacity(told, "the slots that the server tells of")
    return Capacity(AT_ONCE[settings.backend], f"the default for {settings.backend}; --mcode-concurrency sets it")


def slots(settings: Settings) -> int | None:
    """The parallel slots of a llama.cpp server, which is the one that tells; None of others."""
    url = options.openai_url(settings).removesuffix("/v1")
    try:
        told = ask(f"{url}/props", key=options.api_key()).get("total_slots")
    except ModelError:
        return None
    return told if isinstance(told, int) and told > 0 else None


def ask(url: str, key: str = "") -> dict[str, Any]:
    """GET a JSON object.

    Raises:
        ModelError: There is no such answer; a server that only lacks this page gives an empty object.
    """
    shown = _url.without_credentials(url)
    parts = urlsplit(url)
    address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    request = urllib.request.Request(address, headers=authorization(url, key))  # noqa: S310 - the user's own server
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:  # noqa: S310 - likewise
            answer = json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            if error.code in (404, 405):
                return {}
            hint = " Is OPENAI_API_KEY right?" if error.code in (401, 403) else ""
        raise ModelError(f"The model server's {shown} answered HTTP {error.code} ({error.reason}).{hint}") from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise ModelError(f"The model server's {shown} cannot be reached ({reason}).") from error
    except ValueError as error:
        raise ModelError(f"The model server's {shown} did not answer in JSON: is it the right server?") from error
    return answer if isinstance(answer, dict) else {}


def authorization(url: str, key: str) -> dict[str, str]:
    """The header that logs in: with the user and password of the address, as HTTP clients do, else with the key."""
    parts = urlsplit(url)
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    return {"Authorization": f"Bearer {key}"} if key else {}
