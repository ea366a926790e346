"""Making the runs of a sweep one after the other, each as an ``mcode bench`` of its own on the same terminal."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from pytest_mcode import _url
from pytest_mcode.spelling import visible
from pytest_mcode.sweeping.plan import Plan, Step
from pytest_mcode.sweeping.sizing import MCODE, words

#: Exit statuses after which the next run of the same model may still do: every task judged, or some met an error.
JUDGED, SOME_ERRORS, INTERRUPTED = 0, 1, 2
#: Runs of a model that could not be made, in a row, after which the rest of that model is left out.
ENOUGH = 3


@dataclass(frozen=True)
class Ended:
    """How a run ended: the status of its ``mcode bench``, negative for a signal; None if it was left out."""

    step: Step
    status: int | None


@dataclass
class _Stopping:
    """Which signals have come, and the process that is to end in its own way when one does."""

    came: list[int] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    def handle(self, number: int, _: FrameType | None) -> None:
        self.came.append(number)
        # a terminal sends its Ctrl-C to both
        if number != signal.SIGINT or not any(s.isatty() for s in (sys.stdin, sys.stdout, sys.stderr)):
            self.pass_on(number)

    def pass_on(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)


def run(plan: Plan, more: Sequence[str], say: Callable[[str], None]) -> Iterator[Ended]:
    """Make the runs that are left, in order; ends with one that was interrupted.

    Args:
        plan: What is to be done.
        more: Words for pytest, the same for each run.
        say: Prints a line.
    """
    in_vain: Counter[str] = Counter()
    with _listening() as stopping:
        for number, step in enumerate(plan.steps, 1):
            if step.done:
                continue
            model = step.asked.settings.model
            title = f"run {number} of {len(plan.steps)}: {step.title}"
            if in_vain[model] >= ENOUGH:
                say(visible(f"\n{title}: left out, as {ENOUGH} runs of {model} in a row could not be made."))
                yield Ended(step, None)
                continue
            command = ["bench", *arguments(plan.sweep.name, step), *(["--", *more] if more else [])]
            say(visible(f"\n{title}\nmcode {shlex.join(map(_url.spoken, command))}"))
            status = _status([*MCODE, *command], stopping)
            in_vain[model] = 0 if status in (JUDGED, SOME_ERRORS) else in_vain[model] + 1
            yield Ended(step, status)
            if status == INTERRUPTED:
                return


def arguments(name: str, step: Step) -> Iterator[str]:
    """The words after ``mcode bench`` that begin a step, or go on with it."""
    yield from words(step.asked)
    yield f"--sweep={name}"
    if step.run is not None:
        yield from (f"--run-id={step.run.id}", "--resume")


def _status(command: Sequence[str], stopping: _Stopping) -> int:
    """Run a command to its end; its exit status, or that of an interruption if this process was told to stop."""
    with subprocess.Popen(command) as stopping.process:  # noqa: S603 - our own command
        if stopping.came:  # before there was a process
            stopping.pass_on(signal.SIGTERM)
        status = stopping.process.wait()
    stopping.process = None
    return INTERRUPTED if stopping.came else status


@contextmanager
def _listening() -> Iterator[_Stopping]:
    """Have Ctrl-C and SIGTERM end the run that is under way, and be noticed."""
    stopping = _Stopping()
    before = {number: signal.signal(number, stopping.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
