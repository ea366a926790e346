"""One generation through Mellea: asked for, cancelled when it is left, read, and asked for again where that may help.

Whatever goes wrong here is the fault of the server or of the way to it, never of the model.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import mellea.stdlib.functional as mfuncs
import tenacity
from mellea.core import Backend, Context, ModelOutputThunk

from pytest_mcode import options
from pytest_mcode._errors import ModelError
from pytest_mcode._rows import storable
from pytest_mcode._types import Completion, Message
from pytest_mcode.gate import Gate
from pytest_mcode.solvers.told import without_secrets

#: Providers whose replies come over a network, and always with a finish reason when they are whole.
SERVED = ("ollama", "openai", "litellm")

#: What is raised where a reply was received but is not what the protocol promises.
UNREADABLE = (AssertionError, AttributeError, LookupError, TypeError, ValueError)

#: Characters of a client's own message worth showing; a proxy's error page may be long.
SHOWN = 300

#: More tokens than any server counts, and fewer than a database's largest number.
MOST = 1 << 53


class Generated(NamedTuple):
    """What Mellea made of a reply, the conversation up to it, and what mCode makes of it."""

    output: ModelOutputThunk[Any]
    context: Context
    completion: Completion


@dataclass(frozen=True)
class Generator:
    """How a model is asked.

    Attributes:
        backend: Where to ask.
        options: Generation options in Mellea's terms.
        deadline: Seconds after which a request is cancelled.
        pause: Seconds before the second try.
        gate: How many requests the server is given at once; the deadline counts from when it is given this one.
        tries: How often a request that meets passing faults is sent in all.
        tools: Whether the model is told of the conversation's tools.
    """

    backend: Backend
    options: Mapping[str, Any]
    deadline: float
    pause: float
    gate: Gate
    tries: int = 3
    tools: bool = False

    async def generate(self, action: Any, context: Context) -> Generated:
        """Answer ``action`` after the turns of ``context``, trying again with growing pauses where that may help.

        Raises:
            ModelError: There was no answer, or it is not one that the model made.
        """
        number = 1
        try:
            async for attempt in self._retrying():
                with attempt:
                    number = attempt.retry_state.attempt_number
                    output, after, completion = await self._in_turn(action, context)
        except ModelError as error:
            raise ModelError(f"{error} It was asked {number} times." if number > 1 else str(error)) from error
        return Generated(output, after, replace(completion, tries=number))

    async def _in_turn(self, action: Any, context: Context) -> Generated:
        """Send one request when the gate lets it through, and let the gate learn from what comes."""
        async with self.gate.request():
            try:
                generated = await self.once(action, context)
            except ModelError as error:
                if error.busy:
                    self.gate.busy()
                raise
        self.gate.served(generated.completion.seconds)
        return generated

    def _retrying(self) -> tenacity.AsyncRetrying:
        return tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(is_passing),
            stop=tenacity.stop_after_attempt(self.tries),
            wait=tenacity.wait_exponential(multiplier=self.pause),
            reraise=True,
        )

    async def once(self, action: Any, context: Context) -> Generated:
        """Send one request; the parameters and errors are those of `generate`."""
        started = time.perf_counter()
        try:
            output, after = await mfuncs.aact(
                action,
                context,
                self.backend,
                strategy=None,
                model_options=dict(self.options),
                await_result=False,
                silence_context_type_warning=True,
                tool_calls=self.tools,
            )
            async with output:  # leaving it cancels the request at the server
                async with asyncio.timeout(self.deadline):
                    await output.avalue()
        except TimeoutError as error:
            raise ModelError(
                f"The model did not answer within {self.deadline:g} s: raise --mcode-gen-timeout?"
            ) from error
        except ModelError:
            raise
        except Exception as error:  # the boundary: clients raise what they like
            raise fault(error) from error
        return Generated(output, after, read(output, time.perf_counter() - started))


def is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed a little later."""
    return isinstance(error, ModelError) and error.passing


def fault(error: Exception) -> ModelError:
    """What a client's exception means."""
    words = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    words = without_secrets(words, options.api_key())
    shown = words if len(words) <= SHOWN else f"{words[:SHOWN]} …"
    if isinstance(error, UNREADABLE):
        return ModelError(f"The model server's reply cannot be read ({shown}).", passing=True)
    if not str(error):
        return ModelError(f"The connection to the model server broke ({shown}).", passing=True)
    status = getattr(error, "status_code", None)
    passing = status is None or status in (408, 429) or status >= 500  # noqa: PLR2004 - HTTP's own numbers
    return ModelError(f"The model server failed ({shown}).", passing=passing, busy=status in (429, 503))


def read(output: ModelOutputThunk[Any], seconds: float) -> Completion:
    """What the model wrote.

    Raises:
        ModelError: The reply is cut off, or nothing was generated: not the model's own silence.
    """
    reasons, log = output.generation.finish_reasons, output.generate_log
    assert log is not None, "every backend of Mellea's logs what it sent"
    finish = reasons[0] if reasons else None
    if finish == "load" or (finish is None and output.generation.provider in SERVED):
        raise ModelError(f"The model server's reply is incomplete (finish reason {finish}).", passing=True)
    text, thinking = storable(output.value or ""), storable(output.thinking or "")
    if text != (output.value or ""):
        output.value = output.parsed_repr = text  # a debug iteration sends it back
    prompt_tokens, completion_tokens = tokens(output)
    if not text and not thinking and not output.tool_calls and completion_tokens == 0:
        raise ModelError("The model server sent an empty reply for which nothing was generated.", passing=True)
    log.is_final_result = True  # `aact` insists on it for what a strategy returns
    return Completion(
        text=text,
        thinking=thinking,
        prompt=sent(log.prompt),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        finish_reason=finish,
        seconds=seconds,
    )


def tokens(output: ModelOutputThunk[Any]) -> tuple[int | None, int | None]:
    """Tokens read and written; None where the server did not count."""
    if output.generation.provider == "ollama":  # it leaves out a count of 0; Mellea then drops the other one too
        reply: Any = output.raw.response
        return count(reply.prompt_eval_count or 0), count(reply.eval_count or 0)
    usage = output.generation.usage or {}
    return count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))


def count(told: Any) -> int | None:
    """A number of tokens; None for what is none, or more than a database takes."""
    return told if type(told) is int and 0 <= told < MOST else None


def sent(prompt: Any) -> tuple[Message, ...]:
    """The turns that Mellea logged as really sent."""
    return tuple(Message(str(turn["role"]), str(turn["content"] or "")) for turn in prompt)
