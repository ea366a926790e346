"""From results to rows of the database, and the tally of a task's attempts, which the figures are made of."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple

from pytest_mcode._types import Attempt, Message, Status, TaskResult, Verdict

#: How a tally spells a verdict.
LETTERS = {
    Verdict.PASSED: "p",
    Verdict.FAILED: "f",
    Verdict.TIMEOUT: "t",
    Verdict.TRUNCATED: "c",
    Verdict.NO_CODE: "n",
    Verdict.ERROR: "e",
}


class Spent(NamedTuple):
    """What a tally takes from an attempt's row of ``attempts``: all but its texts."""

    sample: int
    attempt: int
    verdict: str
    prompt_tokens: int | None
    completion_tokens: int | None
    generation_seconds: float | None
    execution_seconds: float | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Spent:
        """Take it from a whole row."""
        return cls._make(map(row.get, cls._fields))


class Tally(NamedTuple):
    """What the attempts of a task come to.

    Attributes:
        verdicts: A letter an attempt, samples parted by spaces: ``fp p`` is a sample that failed and was repaired, and
            one that passed at once. Empty if there are none.
        prompt_tokens: Over all attempts; None if the server told none.
        completion_tokens: Likewise.
        generation_seconds: Spent in generations, added up.
        execution_seconds: Spent in executions, added up.
    """

    verdicts: str
    prompt_tokens: int | None
    completion_tokens: int | None
    generation_seconds: float
    execution_seconds: float


class Tasks(NamedTuple):
    """What the figures take from a run's rows of ``results``.

    Attributes:
        task_id: Of each task.
        status: Of each task, in the same order.
        verdicts: Of each task, as its `Tally` spells them.
        seconds: Wall seconds, added up.
        prompt_tokens: Over all attempts; None if the server told none.
        completion_tokens: Likewise.
        generation_seconds: Spent in generations, added up.
        execution_seconds: Spent in executions, added up.
        faults: The sentence of each task that could not be judged, by its id.
    """

    task_id: Sequence[str] = ()
    status: Sequence[str] = ()
    verdicts: Sequence[str] = ()
    seconds: float = 0.0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    generation_seconds: float = 0.0
    execution_seconds: float = 0.0
    faults: Mapping[str, str] = MappingProxyType({})


class ResultRow(NamedTuple):
    """A row of ``results``: a finished task, with the tally of its attempts; see docs/database.md."""

    task_id: str
    status: str
    solved_sample: int | None
    solved_attempt: int | None
    seconds: float
    error: str
    verdicts: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    generation_seconds: float | None
    execution_seconds: float | None


class AttemptRow(NamedTuple):
    """A row of ``attempts``: one generate-and-execute with all its texts; see docs/database.md."""

    task_id: str
    sample: int
    attempt: int
    verdict: str
    prompt: str | None
    completion: str | None
    thinking: str | None
    solution: str | None
    stdout: str | None
    stderr: str | None
    exit_code: int | None
    generation_seconds: float | None
    generation_tries: int | None
    execution_seconds: float | None
    execution_mode: str | None
    first_execution_seconds: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    finish_reason: str | None
    error: str

    @property
    def turns(self) -> tuple[Message, ...]:
        """The turns that were sent; none where it did not get that far."""
        return tuple(Message(**turn) for turn in json.loads(self.prompt or "[]"))


def tally(attempts: Iterable[Spent]) -> Tally:
    """Add up the attempts of one task."""
    rows = sorted(attempts, key=attrgetter("sample", "attempt"))
    samples = groupby(rows, attrgetter("sample"))
    return Tally(
        " ".join("".join(LETTERS[Verdict(row.verdict)] for row in drawn) for _, drawn in samples),
        _known_sum(row.prompt_tokens for row in rows),
        _known_sum(row.completion_tokens for row in rows),
        math.fsum(row.generation_seconds or 0 for row in rows),
        math.fsum(row.execution_seconds or 0 for row in rows),
    )


def summed(rows: Iterable[ResultRow]) -> Tasks:
    """What the figures take from rows that are at hand already."""
    rows = list(rows)
    return Tasks(
        [row.task_id for row in rows],
        [row.status for row in rows],
        [row.verdicts or "" for row in rows],
        math.fsum(row.seconds for row in rows),
        _known_sum(row.prompt_tokens for row in rows),
        _known_sum(row.completion_tokens for row in rows),
        math.fsum(row.generation_seconds or 0 for row in rows),
        math.fsum(row.execution_seconds or 0 for row in rows),
        {row.task_id: row.error for row in rows if row.status == Status.ERROR},
    )


def result_row(result: TaskResult) -> dict[str, Any]:
    """A task's row of ``results``, but for the tally."""
    sample, attempt = result.solved_by or (None, None)
    return {
        "status": result.status.value,
        "solved_sample": sample,
        "solved_attempt": attempt,
        "seconds": result.seconds,
        "error": result.error,
    }


def attempt_row(sample: int, attempt: Attempt) -> dict[str, Any]:
    """An attempt's row of ``attempts``, but for what it did not get to."""
    completion, execution = attempt.completion, attempt.execution
    row: dict[str, Any] = {"sample": sample, "attempt": attempt.index, "verdict": attempt.verdict.value}
    row.update(solution=attempt.solution, error=attempt.error)
    if completion is not None:
        row.update(
            prompt=json.dumps([asdict(turn) for turn in completion.prompt]),
            completion=completion.text,
            thinking=completion.thinking,
            generation_seconds=completion.seconds,
            generation_tries=completion.tries,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            finish_reason=completion.finish_reason,
        )
    if execution is not None:
        row.update(
            stdout=execution.stdout,
            stderr=execution.stderr,
            exit_code=execution.exit_code,
            execution_seconds=execution.seconds,
            execution_mode=execution.mode.value,
            first_execution_seconds=execution.first_seconds,
        )
    return row


def _known_sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def storable(text: str) -> str:
    """The text with lone surrogates, which JSON may carry but no database takes and no client sends, spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
