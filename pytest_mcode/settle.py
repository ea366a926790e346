"""How an issue of a repository is solved: the counterpart of `solve`, with a patch in the place of a program.

    Task -> Issue -> Prompt -> Completion -> edits -> patch -> Evaluation -> Verdict -> Attempt -> Sample -> TaskResult

An attempt's ``stderr`` begins with one word for what became of it: ``resolved``, ``unresolved``, ``no_patch``,
``does_not_apply``, ``does_not_parse``, ``breaks_tests``, ``broken_tests``, ``timed_out`` or ``forged``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from pytest_mcode._errors import InfrastructureError, McodeError, SandboxError
from pytest_mcode._types import (
    Attempt,
    Completion,
    Execution,
    Judgement,
    Prompt,
    Solver,
    Task,
    TaskResult,
    Verdict,
)
from pytest_mcode.repositories import existing, logs, tools
from pytest_mcode.repositories.applying import Applied, apply
from pytest_mcode.repositories.edits import edits
from pytest_mcode.repositories.grading import Evaluation
from pytest_mcode.repositories.issue import Issue
from pytest_mcode.repositories.place import Place, Ready
from pytest_mcode.repositories.prompting import oneshot
from pytest_mcode.repositories.retrieval import RETRIEVAL
from pytest_mcode.repositories.source import Texts, texts
from pytest_mcode.settings import Settings
from pytest_mcode.solve import Sampling, drawn
from pytest_mcode.solvers.reference import NAME as REFERENCE

#: Characters of a test output that an attempt's row holds at either end; the log has it whole.
HEAD, TAIL = 2_000, 14_000
#: The turn that asks for another patch.
AGAIN = (
    "Your patch is not right yet.\n\n{told}The files are again as they were at first. Answer with all blocks that are "
    "needed, in the same form as before."
)
VERDICTS = {"resolved": Verdict.PASSED, "timed_out": Verdict.TIMEOUT}


async def settle(task: Task, solver: Solver, place: Place) -> TaskResult:
    """Draw samples of one issue; a fault of image or engine is the task's."""
    started, settings = time.perf_counter(), place.settings
    issue = Issue.of(task)
    name = "gold" if settings.model == REFERENCE and settings.agent != "empty" else settings.agent
    name = "given" if settings.solutions is not None else name
    try:
        async with place.ready(issue) as ready:
            return await drawn(task, settings, await AGENTS[name](Work(task, ready, settings), solver))
    except McodeError as error:
        return TaskResult(task.id, (), time.perf_counter() - started, fault=str(error))


@dataclass(frozen=True)
class Work:
    """An issue that is worked on.

    Attributes:
        task: As the benchmark has it.
        ready: Its image and its containers.
        settings: The run's configuration.
        texts: The repository, where an agent is shown some of it.
    """

    task: Task
    ready: Ready
    settings: Settings
    texts: Texts = field(default_factory=dict)

    @property
    def issue(self) -> Issue:
        """The issue itself."""
        return self.ready.issue


async def _given(work: Work, solver: Solver, patch: str | None) -> Sampling:  # noqa: ARG001 - no model is asked
    """Have the gold patch, or none, judged: a check of image and grading."""

    async def sample(*, seed: int) -> tuple[Attempt, ...]:  # noqa: ARG001 - nothing is drawn
        attempt = await evaluated(work, 0, Completion(patch or "", finish_reason="stop"), patch)
        expected = Verdict.FAILED if patch is None else Verdict.PASSED
        if attempt.verdict in (expected, Verdict.ERROR):
            return (attempt,)
        return (Attempt(0, Verdict.ERROR, attempt.completion, patch, attempt.execution, _unfit(work, patch, attempt)),)

    return sample


def _unfit(work: Work, patch: str | None, attempt: Attempt) -> str:
    if patch is None:
        return f"Instance {work.issue.id} is resolved without any patch: its image is not what its row says."
    said = "" if attempt.execution is None else attempt.execution.stderr.partition("\n")[0]
    return f"The gold patch of {work.issue.id} is not judged resolved ({said}): its image is not what its row says."


async def _oneshot(work: Work, solver: Solver) -> Sampling:
    """Show the model some files, and have it answer with a patch."""
    async with work.ready.box() as box:
        repository = await texts(box)
    work = Work(work.task, work.ready, work.settings, repository)
    chosen = RETRIEVAL[work.settings.retrieval or "bm25"](work.issue, repository)
    prompt = oneshot(work.issue, repository, chosen, context=work.settings.context, new=work.settings.max_tokens)
    return partial(solver.sample, work.task, prompt, partial(judge, work))


async def _react(work: Work, solver: Solver) -> Sampling:
    """Have the model work in a container with tools, and judge what it has changed in another one."""

    async def sample(*, seed: int) -> tuple[Attempt, ...]:
        try:
            async with work.ready.box() as box:
                bench = await tools.bench(box)
                completion = await solver.act(work.task, tools.goal(work.issue), bench.tools, seed=seed)
                patch = await asyncio.to_thread(bench.patch)
        except InfrastructureError as error:
            return (Attempt(0, Verdict.ERROR, error=str(error)),)
        if not patch:
            spent = "" if completion.finish_reason == "stop" else f" before its {completion.finish_reason} were spent"
            said = f"no_patch: The agent changed no file but tests{spent}."
            seen = Execution(passed=False, phase="solution", exit_code=None, stderr=said)
            return (Attempt(0, Verdict.NO_CODE, completion, None, seen),)
        return (await evaluated(work, 0, completion, patch),)

    return sample


async def _ready(work: Work, solver: Solver) -> Sampling:
    """Take patches that were made elsewhere, as they are."""
    return partial(solver.sample, work.task, Prompt((), 0), partial(judge_patch, work))


Agent = Callable[[Work, Solver], Awaitable[Sampling]]
AGENTS: Mapping[str, Agent] = {
    "gold": lambda work, solver: _given(work, solver, work.issue.gold),
    "empty": lambda work, solver: _given(work, solver, None),
    "oneshot": _oneshot,
    "react": _react,
    "given": _ready,
}


async def judge(work: Work, index: int, completion: Completion) -> Judgement:
    """Make a patch of a completion and judge it.

    While fix attempts are left, one that a developer would go on with is not evaluated: its edits have no place, it
    does not parse, or it breaks tests that are there already. What they say is all that the model is told.
    """
    applied = apply(edits(completion.text), work.texts)
    last = index >= work.settings.debug_iters
    if applied.refused or not applied.patch:
        return _again(work, *_without(index, completion, applied))
    try:
        complaint = "" if last else await _complaint(work, applied.patch, applied.files)
    except SandboxError as error:
        return Judgement(Attempt(index, Verdict.ERROR, completion, applied.patch, error=str(error)), feedback="")
    if complaint:
        seen = Execution(passed=False, exit_code=None, stderr=complaint)
        failed = Attempt(index, Verdict.FAILED, completion, applied.patch, seen)
        return _again(work, failed, complaint.partition(": ")[2])
    return Judgement(await evaluated(work, index, completion, applied.patch), feedback="", final=True)


async def judge_patch(work: Work, index: int, completion: Completion) -> Judgement:
    """Judge a completion that is a patch of git's form, without a change: swebench's own commands apply it."""
    patch = completion.text
    if patch.strip():
        return Judgement(await evaluated(work, index, completion, patch), feedback="", final=True)
    seen = Execution(passed=False, phase="solution", exit_code=None, stderr="no_patch: The prediction is empty.")
    return Judgement(Attempt(index, Verdict.NO_CODE, completion, None, seen), feedback="", final=True)


def _again(work: Work, attempt: Attempt, said: str) -> Judgement:
    """A failure, and the turn that asks for another patch."""
    told = said if work.settings.feedback != "none" else ""
    return Judgement(attempt, told, AGAIN.format(told=f"{told}\n\n" if told else ""))


def _without(index: int, completion: Completion, applied: Applied) -> tuple[Attempt, str]:
    """What an answer comes to that makes no patch, and why in a sentence."""
    verdict = Verdict.NO_CODE
    if applied.refused:
        kind, said = "does_not_apply", f"The edits do not fit the repository: {'; '.join(applied.refused)}."
        verdict = Verdict.FAILED
    elif applied.tests:
        kind, said = "no_patch", f"Only tests would change ({', '.join(applied.tests)}), which are left as they are."
    else:
        kind, said = "no_patch", "The reply holds no edit that changes a file."
    if completion.finish_reason == "length":
        verdict, said = Verdict.TRUNCATED, f"{said} The reply was cut off at its length limit."
    seen = Execution(passed=False, phase="solution", exit_code=None, stderr=f"{kind}: {said}")
    return Attempt(index, verdict, completion, None, seen), said


async def _complaint(work: Work, patch: str, files: Mapping[str, str | None]) -> str:
    """What a developer would see to be wrong with a patch, with its kind in front; empty if nothing."""
    broken = existing.unparsable(files, work.texts)
    if broken:
        return f"does_not_parse: {broken}"
    async with work.ready.box() as box:
        output = await existing.complaint(box, work.issue, patch, list(files), work.texts)
    return f"breaks_tests: {output}" if output else ""


async def evaluated(work: Work, index: int, completion: Completion, patch: str | None) -> Attempt:
    """The attempt that a patch makes, once swebench has graded it; None is the repository as it is.

    Raises:
        SandboxError: It could not be evaluated.
    """
    try:
        evaluation = await work.ready.evaluate(patch)
        if evaluation.suspect and not evaluation.resolved and patch != work.issue.gold:
            await _require_gold(work, evaluation)
    except SandboxError as error:
        return Attempt(index, Verdict.ERROR, completion, patch, error=str(error))
    where = logs.keep(work.settings.db, work.issue.id, patch or "", evaluation)
    cut = Verdict.TRUNCATED if completion.finish_reason == "length" else Verdict.FAILED
    verdict = VERDICTS.get(evaluation.kind, cut)
    return Attempt(index, verdict, completion, patch, seen(evaluation, where))


async def _require_gold(work: Work, evaluation: Evaluation) -> None:
    """Where swebench suspects the environment, see that the gold patch is resolved in it: then the patch is at fault.

    Raises:
        SandboxError: It is not.
    """
    gold = await work.ready.evaluate(work.issue.gold)
    if not gold.resolved:
        raise SandboxError(
            f"The environment of {work.issue.id} is broken: {evaluation.told} The gold patch fares no better."
        )


def seen(evaluation: Evaluation, where: str) -> Execution:
    """An evaluation as an attempt's row holds it: the tests' output cut, and the place of the whole one."""
    log = evaluation.log
    cut = len(log) - HEAD - TAIL
    shown = log if cut <= 0 else f"{log[:HEAD]}\n… {cut:,} characters …\n{log[-TAIL:]}"
    said = f"{evaluation.kind}: {evaluation.told}"
    return Execution(
        passed=evaluation.resolved,
        timed_out=evaluation.kind == "timed_out",
        exit_code=evaluation.exit_code,
        stdout=shown,
        stderr=f"{said}\nlog: {where}" if where else said,
        seconds=evaluation.seconds,
    )
