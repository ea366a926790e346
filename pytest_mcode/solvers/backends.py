"""Mellea's backends by name, and one of ours that answers with the reference solution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from mellea.core import Backend, Context, GenerateLog, ModelOutputThunk
from mellea.stdlib import components

from pytest_mcode import options
from pytest_mcode._errors import ModelError, UsageError
from pytest_mcode._types import Task
from pytest_mcode.settings import Settings
from pytest_mcode.solvers import reference, servers

#: Seconds by which the client's own timeout exceeds ours, so that ours is the one that is met.
GRACE = 10.0


def open_backend(settings: Settings) -> Backend:
    """Make the Mellea backend of that name; some block while they connect or load.

    Raises:
        ModelError: It cannot be made.
        UsageError: The backend's packages are not installed.
    """
    try:
        return BACKENDS[settings.backend](settings)
    except ImportError as error:
        raise UsageError(f"The {settings.backend} backend is not installed: {error}") from error
    except Exception as error:  # the boundary: clients raise what they like
        raise ModelError(f"The {settings.backend} backend could not be opened: {error}") from error


def _ollama(settings: Settings) -> Backend:
    from mellea.backends.ollama import OllamaModelBackend

    class Ollama(OllamaModelBackend):
        """Without the constructor's questions, and its download of a model that is not there: `servers` has looked."""

        def _check_ollama_server(self) -> bool:
            return True

        def _pull_ollama_model(self) -> bool:
            return True

    return Ollama(settings.model, base_url=options.ollama_url(settings), timeout=settings.gen_timeout + GRACE)


def _openai(settings: Settings) -> Backend:
    from mellea.backends.openai import OpenAIBackend

    url = options.openai_url(settings)
    parts = urlsplit(url)
    return OpenAIBackend(
        settings.model,
        base_url=urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])),  # clients log addresses
        default_headers=servers.authorization(url, ""),
        api_key=options.api_key(),
        timeout=settings.gen_timeout + GRACE,
        max_retries=0,  # retries are counted, not hidden
    )


def _litellm(settings: Settings) -> Backend:
    from mellea.backends.litellm import LiteLLMBackend

    return LiteLLMBackend(settings.model, base_url=settings.base_url)


def _hf(settings: Settings) -> Backend:
    from mellea.backends.huggingface import LocalHFBackend

    return LocalHFBackend(settings.model)


BACKENDS: dict[str, Callable[[Settings], Backend]] = {
    "ollama": _ollama,
    "openai": _openai,
    "litellm": _litellm,
    "hf": _hf,
}


class ReferenceBackend(Backend):
    """Answers with the task's reference solution, with no model and no server."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._model_id = reference.NAME
        self._provider = reference.NAME

    async def _generate_from_context(
        self, action: Any, ctx: Context, **_: Any
    ) -> tuple[ModelOutputThunk[Any], Context]:
        output: ModelOutputThunk[str] = ModelOutputThunk(reference.answer(self._task))
        output.generation.finish_reasons = ["stop"]
        turns = [*ctx.as_list(), action]
        prompt = [{"role": t.role, "content": t.content} for t in turns if isinstance(t, components.Message)]
        output._generate_log = GenerateLog(prompt=prompt)  # noqa: SLF001 - every backend of Mellea's sets it so
        return output, ctx.add(action).add(output)

    async def _generate_from_raw(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("the reference answers conversations only")
