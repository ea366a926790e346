"""Mellea's react over tools that act elsewhere, within a budget of steps, tokens and seconds, its whole course kept.

Mellea calls tools from its event loop and waits for them there. So react has a thread and a loop of its own; what it
asks of the model is asked on the loop that all requests share, with the deadlines, retries and turns of every request.
"""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from mellea.backends.tools import MelleaTool
from mellea.core import Backend, Context, ModelOutputThunk
from mellea.stdlib.components.react import pin_react_initiator
from mellea.stdlib.context import ChatContext, ThresholdCompactor, WindowCompactor
from mellea.stdlib.frameworks.react import react

from pytest_mcode._types import Budget, Completion, Message
from pytest_mcode.solvers.generation import Generated, Generator

#: Of the context, what a conversation may take before its oldest turns give way, and how many of its last ones stay.
FULL, KEPT = 0.6, 8
#: New tokens of a step, unless --mcode-max-tokens says otherwise.
NEW = 2048


class SpentError(Exception):
    """A budget is spent; its text is which one."""


@dataclass
class Course:
    """What an agent does, step by step.

    Attributes:
        budget: What it may take.
        turns: Its whole conversation, also what a long one no longer shows the model.
        completions: What the model wrote at each step.
        started: By the monotonic clock.
        stopped: Whether nobody waits for it any more.
    """

    budget: Budget
    turns: list[Message] = field(default_factory=list)
    completions: list[Completion] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    stopped: bool = False

    def require(self) -> None:
        """See that one more step may be taken.

        Raises:
            SpentError: It may not.
        """
        if self.stopped:
            raise SpentError("stopped")
        if len(self.completions) >= self.budget.steps:
            raise SpentError("steps")
        if sum((c.prompt_tokens or 0) + (c.completion_tokens or 0) for c in self.completions) >= self.budget.tokens:
            raise SpentError("tokens")
        if self.left <= 0:
            raise SpentError("seconds")

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.started + self.budget.seconds - time.monotonic()

    def take(self, completion: Completion, calls: Sequence[Any]) -> None:
        """Note what the model wrote, and which tools it called."""
        if not self.turns:
            self.turns += completion.prompt
        self.completions.append(completion)
        asked = [json.dumps({"tool": call.name, "arguments": dict(call.args)}, default=str) for call in calls]
        self.turns.append(Message("assistant", "\n".join(filter(None, [completion.text, *asked]))))

    def whole(self, answer: str, ended: str) -> Completion:
        """All of it as one completion; ``ended`` is ``stop``, or the budget that was spent."""
        done = self.completions
        return Completion(
            text=answer,
            thinking="\n\n".join(c.thinking for c in done if c.thinking),
            prompt=tuple(self.turns),
            prompt_tokens=_known(c.prompt_tokens for c in done),
            completion_tokens=_known(c.completion_tokens for c in done),
            finish_reason=ended,
            seconds=sum(c.seconds for c in done),
            tries=max((c.tries for c in done), default=1),
        )


class Elsewhere(Backend):
    """A backend for react's own loop: each request is made on the loop of all others, and is there when it returns."""

    def __init__(self, generator: Generator, loop: asyncio.AbstractEventLoop, course: Course) -> None:
        self._generator, self._loop, self._course = generator, loop, course
        self._model_id = self._provider = str(getattr(generator.backend, "_provider", "mcode"))
        self.asked: Future[Generated] | None = None

    async def _generate_from_context(
        self, action: Any, ctx: Context, **_: Any
    ) -> tuple[ModelOutputThunk[Any], Context]:
        self._course.require()
        self.asked = asyncio.run_coroutine_threadsafe(self._generator.generate(action, ctx), self._loop)
        try:
            generated = await asyncio.wait_for(asyncio.wrap_future(self.asked), self._course.left)
        except TimeoutError as error:
            raise SpentError("seconds") from error
        self._course.take(generated.completion, generated.output.tool_calls or [])
        return generated.output, generated.context

    async def _generate_from_raw(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("an agent converses")


async def act(
    generator: Generator, goal: str, tools: Sequence[Callable[..., str]], budget: Budget, context: int
) -> Completion:
    """Have a model work towards a goal with tools, until it gives a final answer or a budget is spent.

    Args:
        generator: How the model is asked, with tools.
        goal: What it is to do.
        tools: Functions with docstrings, which tell the model of them; they may block.
        budget: What it may take.
        context: The model's, in tokens.

    Returns:
        The final answer as the text, the whole conversation as the prompt, and as finish reason ``stop``, or the
        budget that was spent.

    Raises:
        ModelError: The model did not answer, through no fault of its own.
    """
    course = Course(budget)
    backend = Elsewhere(generator, asyncio.get_running_loop(), course)
    given = [MelleaTool.from_callable(_noted(tool, course), tool.__name__) for tool in tools]
    pinned: Any = pin_react_initiator  # Mellea types these more narrowly than it uses them
    window: Any = WindowCompactor(size=KEPT, pin_predicate=pinned)
    compactor: Any = ThresholdCompactor(window, threshold=int(context * FULL))

    async def work() -> str:
        output, _ = await react(
            goal, ChatContext(), backend, tools=list(given), loop_budget=budget.steps, compactor=compactor
        )
        return str(output.value or "")

    try:
        return course.whole(await asyncio.to_thread(asyncio.run, work()), "stop")
    except SpentError as spent:
        return course.whole("", str(spent))
    except (AssertionError, RuntimeError):  # react's own: several tools beside the final answer, or no step left
        ended = "steps" if len(course.completions) >= budget.steps else "stop"
        return course.whole("", ended)
    finally:
        course.stopped = True
        if backend.asked is not None:
            backend.asked.cancel()


def _noted(tool: Callable[..., str], course: Course) -> Callable[..., str]:
    """The tool, with what it answers noted; what goes wrong in it is its answer, for the model to see."""

    @functools.wraps(tool)
    def noted(*args: Any, **kwargs: Any) -> str:
        answer = tool(*args, **kwargs)
        course.turns.append(Message("tool", answer))
        return answer

    return noted


def _known(values: Any) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
