"""The debug loop, as a Mellea sampling strategy of ours.

Mellea's own strategies take a lost request for a failed attempt, so they cannot score. This one records every attempt,
cancels a request that it leaves, and stops at the first fault of anything but the model. No module outside this folder
imports Mellea.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import mellea.stdlib.components as parts
import mellea.stdlib.functional as mfuncs
from mellea import ChatContext, ModelOption
from mellea.core import (
    Backend,
    ComputedModelOutputThunk,
    Context,
    Requirement,
    SamplingResult,
    SamplingStrategy,
    ValidationResult,
)

from pytest_mcode import options
from pytest_mcode._errors import InfrastructureError
from pytest_mcode._types import Attempt, Budget, Completion, Judge, Judgement, Message, Prompt, Task, Verdict
from pytest_mcode.gate import Gate
from pytest_mcode.prompts import repair
from pytest_mcode.settings import Settings
from pytest_mcode.solvers import react, reference
from pytest_mcode.solvers.backends import ReferenceBackend, open_backend
from pytest_mcode.solvers.generation import Generated, Generator

#: Samples that one Mellea backend serves well at once; more of them open another.
SHARED = 64


@dataclass
class Shared:
    """A backend, and how many samples use it now."""

    backend: Backend
    users: int = 0


class MelleaSolver:
    """Generates through Mellea backends, opened as they are needed and shared by all samples.

    Args:
        settings: The run's configuration; its ``concurrency`` is how many requests are sent at once.
        pause: Seconds before a request that met a passing fault is sent again; each further pause is twice as long.
    """

    def __init__(self, settings: Settings, pause: float) -> None:
        self._settings, self._pause = settings, pause
        self._gate = Gate(settings.concurrency or SHARED)
        self._backends: list[Shared] = []
        self._opening = asyncio.Lock()

    async def sample(self, task: Task, prompt: Prompt, judge: Judge, *, seed: int) -> tuple[Attempt, ...]:
        """Make one sample; see `pytest_mcode._types.Solver`. Only a fault of the judge's own code is raised."""
        s = self._settings
        asking = partial(Generator, deadline=s.gen_timeout, pause=self._pause, gate=self._gate)
        loop = DebugLoop(judge, attempts=1 + s.debug_iters, asking=asking)
        *before, last = prompt.messages
        context: Context = ChatContext()
        for message in before:
            context = context.add(turn(message))
        try:
            async with self._backend_for(task) as backend:
                await mfuncs.aact(
                    turn(last),
                    context,
                    backend,
                    strategy=loop,
                    return_sampling_results=True,
                    silence_context_type_warning=True,
                    model_options=model_options(s, prompt, seed),
                )
        except InfrastructureError as error:
            loop.attempts.append(Attempt(len(loop.attempts), Verdict.ERROR, error=str(error)))
        return tuple(loop.attempts)

    async def act(self, task: Task, goal: str, tools: Sequence[Callable[..., str]], *, seed: int) -> Completion:
        """Work towards a goal with tools; see `pytest_mcode._types.Solver`."""
        s = self._settings
        budget = Budget(s.max_steps, s.agent_tokens, s.agent_seconds)
        async with self._backend_for(task) as backend:
            options = model_options(s, Prompt((), react.NEW), seed)
            asking = Generator(backend, options, s.gen_timeout, self._pause, self._gate, tools=True)
            return await react.act(asking, goal, tools, budget, s.context)

    async def aclose(self) -> None:
        """Close the backends' connections."""
        for shared in self._backends:
            await shared.backend.aclose()

    @contextlib.asynccontextmanager
    async def _backend_for(self, task: Task) -> AsyncIterator[Backend]:
        """A backend with room for one more sample; a new one where all are full."""
        if self._settings.model == reference.NAME:
            yield ReferenceBackend(task)
            return
        async with self._opening:
            shared = next((shared for shared in self._backends if shared.users < SHARED), None)
            if shared is None:
                shared = Shared(await asyncio.to_thread(open_backend, self._settings))
                self._backends.append(shared)
            shared.users += 1
        try:
            yield shared.backend
        finally:
            shared.users -= 1


class DebugLoop(SamplingStrategy):
    """Generate, judge, and tell the model what was wrong, until an attempt passes or ``attempts`` are spent.

    ``attempts`` then holds each one in order. A fault while generating is raised as `ModelError`.
    """

    def __init__(self, judge: Judge, *, attempts: int, asking: Callable[..., Generator]) -> None:
        self._judge, self._budget, self._asking = judge, attempts, asking
        self.attempts: list[Attempt] = []

    async def sample(
        self,
        action: Any,
        context: Any,
        backend: Backend,
        requirements: Any,  # noqa: ARG002 - each attempt has its own
        *,
        model_options: dict[str, Any] | None = None,
        **_: Any,
    ) -> SamplingResult[Any]:
        """Run the loop; see `mellea.core.SamplingStrategy`."""
        generator = self._asking(backend, model_options or {})
        done: list[tuple[Any, Generated, TestsPass]] = []
        for index in range(self._budget):
            generated = await generator.generate(action, context)
            tests = TestsPass(partial(self._judge, index, generated.completion))
            await mfuncs.avalidate([tests], generated.context, backend, output=generated.output)
            self.attempts.append(tests.judgement.attempt)
            done.append((action, generated, tests))
            if tests.judgement.final or tests.judgement.attempt.verdict in (Verdict.PASSED, Verdict.ERROR):
                break
            asked = tests.judgement.request
            again = Message("user", asked) if asked else repair(tests.judgement.feedback)
            action, context = turn(again), generated.context
        return SamplingResult(
            len(done) - 1,
            self.attempts[-1].verdict is Verdict.PASSED,
            sample_generations=[ComputedModelOutputThunk(generated.output) for _, generated, _ in done],
            sample_validations=[[(tests, tests.result)] for _, _, tests in done],
            sample_actions=[action for action, _, _ in done],
            sample_contexts=[generated.context for _, generated, _ in done],
        )


class TestsPass(Requirement):
    """That the judge passes the completion; ``judgement`` is there once it was validated."""

    __test__ = False

    def __init__(self, judge: Callable[[], Awaitable[Judgement]]) -> None:
        super().__init__("The code passes the tests.", check_only=True)
        self._judge = judge
        self.judgement: Judgement

    async def validate(self, *_: Any, **__: Any) -> ValidationResult:
        """Judge, without blocking the loop as a ``validation_fn`` would."""
        self.judgement = await self._judge()
        return self.result

    @property
    def result(self) -> ValidationResult:
        """The judgement in Mellea's terms."""
        passed = self.judgement.attempt.verdict is Verdict.PASSED
        return ValidationResult(passed, reason=self.judgement.feedback or None)


def model_options(settings: Settings, prompt: Prompt, seed: int) -> dict[str, Any]:
    """The generation options of one sample, in Mellea's terms."""
    chosen: dict[str, Any] = {
        ModelOption.SEED: seed,
        ModelOption.TEMPERATURE: settings.sampling_temperature,
        ModelOption.STREAM: False,  # a stream that is cut off looks like a whole answer
        **limit(settings, settings.max_tokens or prompt.max_tokens),
    }
    if prompt.stop:
        chosen[ModelOption.STOP_SEQUENCES] = list(prompt.stop)
    if settings.top_p is not None:
        chosen["top_p"] = settings.top_p
    if settings.backend == "ollama":  # without it Ollama cuts long prompts silently; others have no such option
        chosen[ModelOption.CONTEXT_WINDOW] = settings.context
    return chosen


def limit(settings: Settings, tokens: int) -> dict[str, Any]:
    """The token limit. Mellea sends OpenAI's ``max_completion_tokens``, which several local servers ignore."""
    if settings.backend == "openai" and "//api.openai.com" not in options.openai_url(settings):
        return {"extra_body": {"max_tokens": tokens}}
    return {ModelOption.MAX_NEW_TOKENS: tokens}


def turn(message: Message) -> parts.Message:
    """A turn as Mellea knows it."""
    role: Any = message.role  # Mellea types it as a Literal; ours comes from a recipe
    return parts.Message(role, message.content)
