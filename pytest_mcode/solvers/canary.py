"""One tiny generation by the real solver, before a model is given a benchmark: does it answer, and in code?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from enum import StrEnum

from pytest_mcode._errors import McodeError
from pytest_mcode._source import bound, parsed
from pytest_mcode._types import Attempt, Completion, Judgement, Task, Verdict
from pytest_mcode.extract import extract
from pytest_mcode.prompts import RECIPES
from pytest_mcode.settings import Settings
from pytest_mcode.solvers import open_solver

#: Seconds for it: a model of some size that has to be loaded first takes most of them.
PATIENCE = 60.0
#: Seconds more for opening the backend, and for what is tried again.
GRACE = 15.0
#: Characters of an answer that tell what it is.
SHOWN = 60
NAME = "add"
TASK = Task(
    id="canary",
    prompt=f'def {NAME}(a: int, b: int) -> int:\n    """Return the sum of a and b."""\n',
    tests=f"assert {NAME}(2, 3) == 5",
    entry_point=NAME,
    reference=f"def {NAME}(a: int, b: int) -> int:\n    return a + b\n",
)


class Kind(StrEnum):
    """What an answer was."""

    GOOD = "good"
    EMPTY = "empty"
    CUT = "cut"
    """It reached the limit of new tokens before there was code."""
    NO_CODE = "no code"
    """A refusal, prose, or code without the function that was asked for."""
    ERROR = "error"
    """The server's fault, or that of the way to it."""


@dataclass(frozen=True)
class Answer:
    """What came of it: a sentence, what to do next where something is wrong, and the seconds of the generation."""

    kind: Kind
    told: str
    next_step: str = ""
    seconds: float = 0.0


def ask(settings: Settings) -> Answer:
    """Have the model write one function; raises nothing but what is a fault of our own."""
    patience = min(settings.gen_timeout, PATIENCE)
    asked = replace(settings, gen_timeout=patience, samples=1, debug_iters=0, concurrency=1)
    try:
        attempt = asyncio.run(_generated(asked, patience + GRACE))
    except TimeoutError:
        return _late(settings, patience)
    except McodeError as error:
        return _failed(str(error))
    if attempt.completion is None:
        late = f"within {patience:g} s" in attempt.error
        return _late(settings, patience) if late else _failed(attempt.error)
    return judged(attempt.completion, settings)


async def _generated(settings: Settings, seconds: float) -> Attempt:
    solver = open_solver(settings)
    try:
        async with asyncio.timeout(seconds):
            (attempt,) = await solver.sample(TASK, RECIPES[settings.recipe](TASK), _taken, seed=settings.seed)
            return attempt
    finally:
        await solver.aclose()


async def _taken(index: int, completion: Completion) -> Judgement:
    """Take the answer as it is: it is looked at, and never executed."""
    return Judgement(Attempt(index, Verdict.PASSED, completion), "")


def _late(settings: Settings, seconds: float) -> Answer:
    told = f"The model did not answer a tiny prompt within {seconds:g} s."
    if seconds < settings.gen_timeout:
        return Answer(Kind.ERROR, told, "If it was being loaded, ask again; else see the server's log.", seconds)
    return Answer(Kind.ERROR, told, "Raise --mcode-gen-timeout, or see the server's log.", seconds)


def _failed(error: str) -> Answer:
    loading = "finish reason load" in error or "loading model" in error.lower()
    step = "The model is still being loaded: ask again in a minute." if loading else "The server's log may say more."
    return Answer(Kind.ERROR, error, step)


def judged(completion: Completion, settings: Settings) -> Answer:
    """Tell what the answer is."""
    seconds, text = completion.seconds, completion.text.strip()
    tree, _ = parsed(extract(completion.text, entry_point=NAME, preamble="") or "")
    if tree is not None and NAME in bound(tree):
        return Answer(Kind.GOOD, f"It wrote the function that was asked for, in {seconds:.1f} s.", seconds=seconds)
    if completion.finish_reason == "length":
        told = "It reached the limit of new tokens before it wrote the function that was asked for."
        limit = f"raise --mcode-max-tokens (now {settings.max_tokens or RECIPES[settings.recipe](TASK).max_tokens})"
        return Answer(Kind.CUT, told, f"If it thinks before it answers, {limit}.", seconds)
    if not text:
        step = "See in the server's log whether it has the model's own chat template, and enough memory."
        return Answer(Kind.EMPTY, "It answered with nothing.", step, seconds)
    shown = " ".join(text.split())
    shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]} …"
    told = f"Its answer does not have the function that was asked for: {shown!r}."
    return Answer(Kind.NO_CODE, told, "Use a model that is trained to follow instructions and to write code.", seconds)
