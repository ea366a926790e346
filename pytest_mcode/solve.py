"""How one task is solved: the page to read first.

    Task -> Prompt -> Completion -> solution -> Program -> Execution -> Verdict -> Attempt -> Sample -> TaskResult

`solve` draws the samples of a task. For each, the solver generates and hands every completion to `judge`, which
extracts, executes and judges it; until an attempt passes or the debug iterations are spent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from functools import partial
from typing import Protocol

from pytest_mcode._benchmark import Benchmark
from pytest_mcode._errors import SandboxError
from pytest_mcode._types import (
    Attempt,
    Completion,
    Execution,
    Judgement,
    Sample,
    Sandbox,
    Solver,
    Task,
    TaskResult,
    Verdict,
)
from pytest_mcode.extract import extract
from pytest_mcode.prompts import RECIPES, feedback
from pytest_mcode.settings import Settings

#: What ends a task before all samples are drawn: a pass, or a fault, for which the task must run again anyway.
LAST = (Verdict.PASSED, Verdict.ERROR)


class Sampling(Protocol):
    """Makes one sample."""

    def __call__(self, *, seed: int) -> Awaitable[tuple[Attempt, ...]]:
        """Its attempts, in order; see `pytest_mcode._types.Solver.sample`."""
        ...


async def solve(task: Task, benchmark: Benchmark, solver: Solver, sandbox: Sandbox, settings: Settings) -> TaskResult:
    """Draw samples of one task: generate, extract, execute and judge."""
    prompt = RECIPES[settings.recipe](task)
    judging = partial(judge, task, benchmark, sandbox, settings)
    return await drawn(task, settings, partial(solver.sample, task, prompt, judging))


async def drawn(task: Task, settings: Settings, sample: Sampling) -> TaskResult:
    """Draw samples until one passes, or all of them with ``--mcode-all-samples``."""
    started = time.perf_counter()

    async def draw(index: int) -> Sample:
        seed = settings.seed + index
        return Sample(index, seed, await sample(seed=seed))

    samples: list[Sample] = []
    if settings.all_samples:
        samples += await asyncio.gather(*map(draw, range(settings.samples)))
    while len(samples) < settings.samples and not (samples and samples[-1].status in LAST):
        samples.append(await draw(len(samples)))
    return TaskResult(task.id, tuple(samples), time.perf_counter() - started)


async def judge(
    task: Task, benchmark: Benchmark, sandbox: Sandbox, settings: Settings, index: int, completion: Completion
) -> Judgement:
    """Extract, execute and judge one completion. A fault of the sandbox is verdict ``error``."""
    solution = completion.code
    if solution is None:
        solution = extract(completion.text, entry_point=task.entry_point, preamble=task.preamble)
    execution = None
    if solution is not None:
        program = benchmark.program(task, solution)
        try:
            execution = await sandbox.run(program, timeout=settings.timeout)
        except SandboxError as error:
            return Judgement(Attempt(index, Verdict.ERROR, completion, solution, error=str(error)), feedback="")
    verdict = verdict_of(completion, execution)
    told = feedback(settings.feedback, verdict, execution, settings.timeout)
    return Judgement(Attempt(index, verdict, completion, solution, execution), told)


def verdict_of(completion: Completion, execution: Execution | None) -> Verdict:
    """What an execution means; None is that there was no code. Code that passes passes, even if it was cut."""
    if execution is not None and execution.passed:
        return Verdict.PASSED
    if completion.finish_reason == "length":
        return Verdict.TRUNCATED
    if execution is None:
        return Verdict.NO_CODE
    return Verdict.TIMEOUT if execution.timed_out else Verdict.FAILED
