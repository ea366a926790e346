"""Asking a model server what it has, in plain HTTP, before anything is generated or imported for it."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from importlib.util import find_spec
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from pytest_mcode import _url, options
from pytest_mcode._errors import McodeError, ModelError, UsageError
from pytest_mcode._parse import nearest
from pytest_mcode.settings import Settings
from pytest_mcode.solvers import reference, told

#: Seconds that a server may take to answer what costs it nothing, and what it need not answer at all.
PATIENCE, BRIEF = 5.0, 2.0
#: Seconds of silence after which a download is given up: while its digest is verified, Ollama says nothing.
STALLED = 600.0
#: Bytes read of a refusal.
READ = 1 << 16

#: Requests at once by backend: Ollama's own default, what vLLM and its like batch well, and one for a model in-process.
AT_ONCE = {"ollama": 4, "openai": 32, "litellm": 32, "hf": 1}
REFERENCE = 8
#: A package that Mellea's extra for that backend brings, and hardly anything else does.
EXTRAS = {"litellm": "litellm", "hf": "llguidance"}


class NoSuchPageError(ModelError):
    """The server answers, but not to this."""


@dataclass(frozen=True)
class Server:
    """A model server that answered.

    Attributes:
        shown: Its address, without credentials.
        told: What it tells of itself, as a run stores it.
        models: What it tells of each of its models, by name; empty if it keeps no list.
        props: What a llama.cpp server tells of itself; empty of others.
    """

    shown: str
    told: Mapping[str, str]
    models: Mapping[str, Mapping[str, Any]]
    props: Mapping[str, Any] = field(default_factory=dict)

    def find(self, name: str) -> Mapping[str, Any] | None:
        """The model of exactly that name, with or without the tag that stands for none."""
        return self.models.get(name) or self.models.get(f"{name}:latest")


def check(settings: Settings) -> dict[str, str]:
    """See that the server answers and has the model under exactly that name; return what it tells of both.

    Raises:
        ModelError: The server does not answer.
        UsageError: It does not have the model, or cannot be used as it was named; or the backend is not installed.
    """
    server = reach(settings)
    return {} if server is None else {**server.told, **model(settings, server)}


def is_asked(settings: Settings) -> bool:
    """Whether a model is asked at all."""
    return settings.model != reference.NAME and settings.solutions is None


def reach(settings: Settings) -> Server | None:
    """See that the server answers; None where no server is asked. What it raises is that of `check`."""
    if not is_asked(settings):
        return None
    needed = EXTRAS.get(settings.backend)
    if needed is not None and find_spec(needed) is None:
        raise UsageError(f"The {settings.backend} backend is not installed: pip install 'mellea[{settings.backend}]'.")
    look = {"ollama": ollama, "openai": openai}.get(settings.backend)
    return look(settings) if look else None


def model(settings: Settings, server: Server) -> dict[str, str]:
    """What is to be known of the model, which has less context than was asked for, if so: that is no fault.

    Raises:
        UsageError: The server does not have it, and was not told to fetch it; or could not.
    """
    look = {"ollama": ollama_model, "openai": openai_model}[settings.backend]
    found = look(settings, server)
    limit = told.context_limit(settings, found)
    return {**found, "context": limit} if limit else found


def ollama(settings: Settings) -> Server:
    """Ollama itself, and what it has."""
    url = options.ollama_url(settings)
    if "@" in url:
        raise UsageError("Ollama's client sends no user name or password: leave them out of the server's address.")
    try:
        version = ask(f"{url}/api/version").get("version")
        listed = ask(f"{url}/api/tags")
    except ModelError as error:
        if error.busy:
            raise
        raise ModelError(f"{error} Start Ollama ('ollama serve'), or name its address in OLLAMA_HOST.") from error
    if "models" not in listed:
        raise ModelError(
            f"The server at {url} is not Ollama: name Ollama's address in OLLAMA_HOST, or its --mcode-backend."
        )
    return Server(url, told.texts(ollama=version), named(listed["models"], "name"))


def ollama_model(settings: Settings, server: Server) -> dict[str, str]:
    """What Ollama tells of the model, which it fetches only with ``--mcode-pull``."""
    if settings.pull and server.find(settings.model) is None:
        pull(settings.model, server.shown)
        server = ollama(settings)
    found = server.find(settings.model)
    if found is None:
        raise UsageError(
            f"Ollama at {server.shown} does not have the model "
            f"{settings.model!r}{nearest(settings.model, server.models)}; 'ollama list' shows what it has, "
            f"'ollama pull {settings.model}' fetches it, and so does --mcode-pull."
        )
    return told.of_ollama(found, ask_in_passing(f"{server.shown}/api/show", body={"model": settings.model}))


def pull(name: str, url: str) -> None:
    """Have Ollama fetch a model, and show how it goes on.

    Raises:
        ModelError: The connection broke, or nothing came for too long.
        UsageError: Ollama says that it cannot be fetched.
    """
    from pytest_mcode.solvers import pulling

    body = {"model": name, "stream": True}
    with answered(f"{url}/api/pull", body=body, patience=STALLED) as reply:
        pulling.follow(name, (json.loads(line) for line in reply if line.strip()))


def openai(settings: Settings) -> Server:
    """An OpenAI-compatible server, and its list of models, if it keeps one."""
    url = options.openai_url(settings)
    shown, key = _url.without_credentials(url), options.api_key()
    try:
        listed = ask(f"{url}/models", key=key).get("data")
    except ModelError as error:
        if error.busy:
            raise
        raise ModelError(f"{error} Start it, or name its address with --mcode-base-url.") from error
    version = ask_in_passing(f"{root(url)}/version", key=key).get("version")
    found = props(settings)
    facts = told.texts(server_version=version or found.get("build_info"))
    return Server(shown, facts, named(listed, "id"), found)


def openai_model(settings: Settings, server: Server) -> dict[str, str]:
    """What the server tells of the model."""
    found = server.find(settings.model)
    if server.models and found is None:
        near = nearest(settings.model, server.models)
        raise UsageError(f"The server at {server.shown} does not serve {settings.model!r}{near}.")
    known = told.of_openai(found or {}, server.props)
    length = told.context_length(known)
    if length is not None and settings.max_tokens is not None and settings.max_tokens >= length:
        raise UsageError(
            f"The server's context of {length} tokens has no room for a prompt beside "
            f"--mcode-max-tokens={settings.max_tokens}: lower that, or start the server with more context."
        )
    return known


def named(listed: Any, by: str) -> dict[str, Mapping[str, Any]]:
    """The models of a list, by name."""
    models = listed if isinstance(listed, list) else []
    return {str(one[by]): one for one in models if isinstance(one, dict) and by in one}


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
    if not is_asked(settings):
        return Capacity(REFERENCE, "no server is asked")
    slots = props(settings).get("total_slots") if settings.backend == "openai" else None
    if isinstance(slots, int) and slots > 0:
        return Capacity(slots, "the slots that the server tells of")
    return Capacity(AT_ONCE[settings.backend], f"the default for {settings.backend}; --mcode-concurrency sets it")


def props(settings: Settings) -> dict[str, Any]:
    """What a llama.cpp server tells of itself; empty of others."""
    return ask_in_passing(f"{root(options.openai_url(settings))}/props", key=options.api_key())


def root(url: str) -> str:
    """Where a server has what OpenAI's API does not know."""
    return url.removesuffix("/v1")


def clock(settings: Settings) -> datetime | None:
    """The time that the server tells with its answers; None if none is asked, or it does not tell."""
    if not is_asked(settings) or settings.backend not in ("ollama", "openai"):
        return None
    ollama = settings.backend == "ollama"
    try:
        url = f"{options.ollama_url(settings)}/api/version" if ollama else f"{options.openai_url(settings)}/models"
        with answered(url, "" if ollama else options.api_key(), patience=BRIEF) as reply:
            time = parsedate_to_datetime(reply.headers.get("Date", ""))
    except McodeError:  # another check tells of it
        return None
    return time if time.tzinfo else None


def ask(url: str, key: str = "", body: Mapping[str, Any] | None = None, patience: float = PATIENCE) -> dict[str, Any]:
    """Get a JSON object, or post one for it.

    Raises:
        ModelError: There is no such answer; a server that only lacks this page gives an empty object.
    """
    try:
        with answered(url, key, body, patience) as reply:
            answer = json.load(reply)
    except NoSuchPageError:
        return {}
    return answer if isinstance(answer, dict) else {}


def ask_in_passing(url: str, key: str = "", body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Get a JSON object that a run can do without; empty if there is none."""
    try:
        return ask(url, key, body, BRIEF)
    except ModelError:
        return {}


@contextmanager
def answered(
    url: str, key: str = "", body: Mapping[str, Any] | None = None, patience: float = PATIENCE
) -> Iterator[HTTPResponse]:
    """A server's answer, to be read; ``patience`` is how many seconds it may be silent.

    Raises:
        ModelError: There is none, or it breaks off, or it is not in the form that the caller reads.
    """
    shown = _url.without_credentials(url)
    parts = urlsplit(url)
    address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    data = None if body is None else json.dumps(body).encode()
    headers = authorization(url, key) | ({} if data is None else {"Content-Type": "application/json"})
    request = urllib.request.Request(address, data, headers)  # noqa: S310 - the user's own server
    page = False
    try:
        with urllib.request.urlopen(request, timeout=patience) as reply:  # noqa: S310 - likewise
            page = reply.headers.get_content_type() == "text/html"
            yield reply
    except urllib.error.HTTPError as error:
        with error:
            raise refusal(shown, error, headers.get("Authorization", "").rpartition(" ")[2]) from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise ModelError(f"The model server's {shown} cannot be reached ({reason}).") from error
    except ValueError as error:
        why = " but with a web page: a proxy or another program answers there." if page else ": is it the right server?"
        raise ModelError(f"The model server's {shown} did not answer in JSON{why}") from error


def refusal(shown: str, error: urllib.error.HTTPError, secret: str) -> ModelError:
    """What an HTTP error means; ``secret`` is what logged in, which the server may send back."""
    if error.code in (404, 405):
        return NoSuchPageError(f"The model server has no {shown}.")
    answer = f"The model server's {shown} answered HTTP {error.code} ({error.reason})"
    if error.headers.get_content_type() == "text/html":
        return ModelError(f"{answer} with a web page: a proxy answers there, and not the model server.")
    if error.code in (401, 403):
        return ModelError(f"{answer}. Is OPENAI_API_KEY right?")
    said = told.without_secrets(message(error), secret)
    why = f": {said}" if said else ""
    if error.code == 503:  # noqa: PLR2004 - HTTP's own number; llama.cpp's while it loads its model
        return ModelError(f"{answer}{why}. It is starting, or busy: run again when it is ready.", busy=True)
    return ModelError(f"{answer}{why}.")


def message(error: urllib.error.HTTPError) -> str:
    """What a refusal says in its JSON; empty if it says nothing."""
    try:
        found = json.loads(error.read(READ))
    except (OSError, HTTPException, ValueError):
        return ""
    inner = found.get("error") if isinstance(found, dict) else None
    said = inner.get("message") if isinstance(inner, dict) else inner
    return " ".join(str(said or "").split())[: told.LONGEST].rstrip(".")


def authorization(url: str, key: str) -> dict[str, str]:
    """The header that logs in: with the user and password of the address, as HTTP clients do, else with the key."""
    parts = urlsplit(url)
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    return {"Authorization": f"Bearer {key}"} if key else {}
