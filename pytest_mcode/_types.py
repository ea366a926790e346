"""The data that flows through mCode, one way, each stage a frozen dataclass.

    Task -> Prompt -> Completion -> solution -> Program -> Execution -> Verdict -> Attempt -> Sample -> TaskResult

The protocols at the end are the places where a part can be replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Verdict(StrEnum):
    """What an attempt came to. All but ``passed`` and ``error`` are the model's own failures."""

    PASSED = "passed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    TRUNCATED = "truncated"
    NO_CODE = "no_code"
    ERROR = "error"


class Status(StrEnum):
    """What a task came to: ``error`` means that it could not be judged, never that the model failed."""

    SOLVED = "solved"
    UNSOLVED = "unsolved"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Task:
    """One problem of a benchmark.

    Attributes:
        id: As the data set spells it (``HumanEval/0``).
        prompt: The problem as the model is to see it, before a recipe wraps it.
        tests: Python source that runs after the solution and raises unless the solution is right.
        entry_point: The function that the tests call; empty where there is no single one.
        reference: A complete solution known to pass, for ``--model reference``; empty if there is none.
        preamble: Imports and helpers that the prompt shows and a solution may rely on.
        extra: Further texts of the data set that the benchmark's recipes or ``program`` use.
    """

    id: str
    prompt: str
    tests: str
    entry_point: str = ""
    reference: str = ""
    preamble: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; ``role`` is ``system``, ``user`` or ``assistant``."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a recipe makes of a task: the turns to send, and the recipe's own generation limits."""

    messages: tuple[Message, ...]
    max_tokens: int
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model wrote.

    Attributes:
        text: The answer, without its reasoning.
        thinking: The reasoning that the server kept apart from the answer; empty if none.
        prompt: The turns that were really sent.
        prompt_tokens: As the server counted them; None if it did not tell.
        completion_tokens: As the server counted them; None if it did not tell.
        finish_reason: ``stop``, or ``length`` when cut at the token limit.
        seconds: From the request to the whole answer; of the last request, if a server's fault cost some.
        tries: How often it was asked for: more than once where the server failed at first.
        code: The program that it is as it stands, where it was given as one; None where code is to be taken out.
    """

    text: str
    thinking: str = ""
    prompt: tuple[Message, ...] = ()
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str | None = None
    seconds: float = 0.0
    tries: int = 1
    code: str | None = None


class Mode(StrEnum):
    """How an execution keeps the tests out of the solution's reach."""

    ISOLATED = "isolated"
    """The solution in one process, the tests in another; plain data crosses."""
    TWO_PHASE = "two-phase"
    """One process; the tests and the secret come once the solution has loaded."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """How a task's tests can run in another process than the solution.

    Attributes:
        calls: The solution's functions that the tests call.
        prelude: Imports and helpers of the task that the tests rely on the solution for.
        reference: A solution known to pass. Whether it does so isolated decides for the task; the solution never does.
    """

    calls: tuple[str, ...]
    prelude: str
    reference: str


@dataclass(frozen=True, slots=True)
class Program:
    """What a sandbox executes: the solution first, the tests only once it has loaded.

    Attributes:
        solution: Python source of the solution, complete with what it needs of the prompt.
        tests: Python source executed in the solution's namespace; the program passes when it runs to its end.
        isolation: How the tests can run apart from the solution; None where they need its namespace.
        needs: Packages that the tests import: a sandbox without one of them cannot judge, whatever the solution is.
        memory: Bytes that it must be able to use, where that is more than a sandbox's own limit.
    """

    solution: str
    tests: str
    isolation: Isolation | None = None
    needs: tuple[str, ...] = ()
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Execution:
    """What the sandbox saw of one program.

    Attributes:
        passed: The tests ran to their end: the secret sent back after the last of them was right.
        timed_out: The program was stopped at its time limit.
        phase: Where it ended: ``solution`` (while loading), ``tests``, or ``done``.
        exit_code: Of the program's process, negative for a signal; None if it was stopped.
        stdout: Head and tail of what it wrote, the middle cut where it is long.
        stderr: Likewise; an uncaught exception's traceback is its end.
        seconds: Wall time of the program alone.
        mode: How the tests were kept out of the solution's reach.
        first_seconds: Where a timeout under load was tried again alone, the wall time of the first try; else None.
    """

    passed: bool
    timed_out: bool = False
    phase: str = "done"
    exit_code: int | None = 0
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    mode: Mode = Mode.TWO_PHASE
    first_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One generate-and-execute: number 0 is the first, 1 … k are debug iterations.

    ``completion``, ``solution`` and ``execution`` are None where the attempt did not get that far;
    ``error`` is a sentence, and only set with verdict ``error``.
    """

    index: int
    verdict: Verdict
    completion: Completion | None = None
    solution: str | None = None
    execution: Execution | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """An independent try at a task; samples differ by their seed."""

    index: int
    seed: int
    attempts: tuple[Attempt, ...]

    @property
    def status(self) -> Verdict:
        """The verdict of the last attempt, which is what the sample came to."""
        return self.attempts[-1].verdict


@dataclass(frozen=True, slots=True)
class TaskResult:
    """All samples of one task, in order.

    ``seconds`` is the wall time of the whole task. ``fault`` is a sentence where the task could not be run at all
    (a worker died, a fixture failed): then there are no samples.
    """

    task_id: str
    samples: tuple[Sample, ...]
    seconds: float
    fault: str = ""

    @property
    def solved_by(self) -> tuple[int, int] | None:
        """Index of the first passing sample and of its passing attempt; None if none passed."""
        for sample in self.samples:
            if sample.status is Verdict.PASSED:
                return sample.index, sample.attempts[-1].index
        return None

    @property
    def error(self) -> str:
        """The sentence of the error that kept the task from being judged; empty if it was judged."""
        if self.solved_by is not None or self.fault:
            return self.fault
        return next((s.attempts[-1].error for s in self.samples if s.status is Verdict.ERROR), "")

    @property
    def status(self) -> Status:
        """``solved`` once a sample passed, else ``error`` if any sample could not be judged."""
        if self.solved_by is not None:
            return Status.SOLVED
        if self.fault or any(sample.status is Verdict.ERROR for sample in self.samples):
            return Status.ERROR
        return Status.UNSOLVED


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge made of a completion, and what the debug loop may tell the model about it."""

    attempt: Attempt
    feedback: str
    request: str = ""
    """The turn that asks for another attempt, where it is not that for code; the feedback is in it."""
    final: bool = False
    """Whether nothing more is to be told: the debug loop ends, whatever the verdict."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What an agent may take for one sample: steps, tokens read and written, and seconds of wall time."""

    steps: int
    tokens: int
    seconds: float


class Judge(Protocol):
    """Extracts, executes and judges one completion."""

    async def __call__(self, index: int, completion: Completion) -> Judgement:
        """Judge the completion of attempt ``index``; a broken sandbox gives verdict ``error``, no exception."""
        ...


class Solver(Protocol):
    """Where completions come from."""

    async def sample(self, task: Task, prompt: Prompt, judge: Judge, *, seed: int) -> tuple[Attempt, ...]:
        """Make one sample: generate and judge until an attempt passes or the debug iterations are spent.

        An infrastructure fault ends the sample with an attempt of verdict ``error``; nothing is raised for it.
        """
        ...

    async def act(self, task: Task, goal: str, tools: Sequence[Callable[..., str]], *, seed: int) -> Completion:
        """Work towards a goal with tools, within the budget; see `pytest_mcode.solvers.react.act`.

        Raises:
            ModelError: The model did not answer, through no fault of its own.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class Sandbox(Protocol):
    """Where programs run."""

    @property
    def isolation(self) -> str:
        """What keeps programs apart from the host, in one sentence."""
        ...

    async def check(self) -> None:
        """Execute a trivial program, before anything is spent.

        Raises:
            SandboxError: It cannot be done; the message says what to do next.
        """
        ...

    async def run(self, program: Program, *, timeout: float) -> Execution:
        """Execute ``program`` for at most ``timeout`` seconds.

        Raises:
            SandboxError: The program could not be executed, through no fault of its own.
        """
        ...

    async def aclose(self) -> None:
        """Release whatever is held, leaving no process or container."""
        ...
