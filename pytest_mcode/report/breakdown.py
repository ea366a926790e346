"""One run taken apart: by verdict, by task or by sample; what ``mcode results --by`` shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from pytest_mcode._rows import LETTERS, ResultRow
from pytest_mcode._types import Verdict
from pytest_mcode.report.figures import Figures
from pytest_mcode.report.tabular import Column, Listing, percent, share
from pytest_mcode.report.words import in_order, model

#: A verdict of a tally by its letter.
VERDICTS = {letter: verdict for verdict, letter in LETTERS.items()}

T = TypeVar("T")


@dataclass(frozen=True)
class Part(Generic[T]):
    """A part of a run, and whether it is the last of it."""

    figures: Figures
    part: T
    ends: bool = False


@dataclass(frozen=True)
class OfVerdict:
    """How many samples and attempts came to a verdict, of how many; a sample has that of its last attempt."""

    verdict: Verdict
    samples: int
    all_samples: int
    attempts: int
    all_attempts: int


@dataclass(frozen=True)
class OfSample:
    """What the samples of one index came to, over all tasks.

    Attributes:
        index: From 0.
        drawn: Tasks of which it was drawn.
        errors: It could not be judged.
        at_once: It passed with its first attempt.
        passed: It passed with any attempt.
        new: It was the first of its task to pass.
        solved: Tasks that this or an earlier one solved.
    """

    index: int
    drawn: int
    errors: int
    at_once: int
    passed: int
    new: int
    solved: int


def verdicts(found: Figures) -> Iterator[OfVerdict]:
    """A part for each verdict that there was, in their usual order."""
    samples, attempts = found.verdicts, found.attempt_verdicts
    for verdict in Verdict:
        if verdict in attempts:
            count = samples.get(verdict, 0)
            yield OfVerdict(verdict, count, sum(samples.values()), attempts[verdict], sum(attempts.values()))


def samples(found: Figures) -> Iterator[OfSample]:
    """A part for each sample that a task was to have."""
    p, e = LETTERS[Verdict.PASSED], LETTERS[Verdict.ERROR]
    first = Counter(task.pass_index for task in found.tasks)
    solved = 0
    drawn = [task.verdicts.split() for task in found.tasks]
    for index in range(found.samples):
        its = [letters[index] for letters in drawn if len(letters) > index]
        solved += first[index]
        yield OfSample(
            index,
            len(its),
            sum(letters.endswith(e) for letters in its),
            its.count(p),
            sum(letters.endswith(p) for letters in its),
            first[index],
            solved,
        )


#: The columns that say which run a part is of.
BENCHMARK = Column[Part[Any]]("benchmark", lambda row: row.figures.run.benchmark, side="left", yields=1)
MODEL = Column[Part[Any]]("model", lambda row: row.figures.run.model, side="left", folds=True, yields=3)
RUN = Column[Part[Any]]("run", lambda row: row.figures.run.id, side="left", yields=2)
OF_RUN = (BENCHMARK, MODEL, RUN)


def _listing(columns: Sequence[Column[Part[T]]], rows: Sequence[Part[T]], *captions: str) -> Listing[Part[T]]:
    """The rows; of people's columns, those that say which run it is only where there are several."""
    runs = {row.figures.run.id: row.figures.run for row in rows}
    captions = tuple(filter(None, captions))
    if len(runs) == 1:
        (run,) = runs.values()
        columns = [replace(column, to="scripts") if column in OF_RUN else column for column in columns]
        captions = (f"{run.benchmark}, {model(run.model, run.backend)}, run {run.id}", *captions)
    return Listing(columns, rows, "\n".join(captions), lambda row: row.ends)


def _letters(row: Part[ResultRow]) -> str:
    """The verdict in its own word where there is but one attempt; else a letter an attempt."""
    letters = row.part.verdicts or ""
    return VERDICTS[letters].value if row.figures.samples * row.figures.attempts == 1 and letters else letters


BY_VERDICT: tuple[Column[Part[OfVerdict]], ...] = (
    BENCHMARK,
    MODEL,
    Column("verdict", lambda row: row.part.verdict.value, side="left", style="bold"),
    Column("samples", lambda row: row.part.samples),
    Column(
        "% of samples",
        lambda row: share(row.part.samples, row.part.all_samples),
        lambda row: percent(share(row.part.samples, row.part.all_samples)),
        to="people",
    ),
    Column("share_of_samples", lambda row: share(row.part.samples, row.part.all_samples), to="scripts"),
    Column("attempts", lambda row: row.part.attempts, idle=lambda row: row.figures.attempts == 1, yields=5),
    Column(
        "% of attempts",
        lambda row: share(row.part.attempts, row.part.all_attempts),
        lambda row: percent(share(row.part.attempts, row.part.all_attempts)),
        to="people",
        idle=lambda row: row.figures.attempts == 1,
        yields=4,
    ),
    Column("share_of_attempts", lambda row: share(row.part.attempts, row.part.all_attempts), to="scripts"),
    RUN,
)
BY_TASK: tuple[Column[Part[ResultRow]], ...] = (
    BENCHMARK,
    MODEL,
    Column("task", lambda row: row.part.task_id, side="left", folds=True),
    Column("status", lambda row: row.part.status, side="left"),
    Column("verdicts", lambda row: row.part.verdicts, _letters, side="left", folds=True),
    Column("prompt_tokens", lambda row: row.part.prompt_tokens, to="scripts"),
    Column(
        "tokens",
        lambda row: row.part.completion_tokens,
        idle=lambda row: row.part.completion_tokens is None,
        yields=5,
    ),
    Column("seconds", lambda row: row.part.seconds, yields=4),
    Column("generation_seconds", lambda row: row.part.generation_seconds, to="scripts"),
    Column("execution_seconds", lambda row: row.part.execution_seconds, to="scripts"),
    Column("error", lambda row: row.part.error, to="scripts"),
    RUN,
)
BY_SAMPLE: tuple[Column[Part[OfSample]], ...] = (
    BENCHMARK,
    MODEL,
    Column("sample", lambda row: row.part.index, style="bold"),
    Column("drawn", lambda row: row.part.drawn),
    Column("errors", lambda row: row.part.errors, idle=lambda row: row.part.errors == 0, yields=4),
    Column("passed at once", lambda row: row.part.at_once),
    Column("passed", lambda row: row.part.passed, idle=lambda row: row.figures.attempts == 1, yields=5),
    Column("first to pass", lambda row: row.part.new),
    Column("solved so far", lambda row: row.part.solved),
    RUN,
)


def _parts(found: Sequence[Figures], taken: Callable[[Figures], Sequence[T]]) -> list[Part[T]]:
    return [
        Part(figures, part, ends=number == len(parts))
        for figures in found
        for parts in [taken(figures)]
        for number, part in enumerate(parts, 1)
    ]


def by_verdict(found: Sequence[Figures]) -> Listing[Part[OfVerdict]]:
    """A row for each verdict of each run."""
    rows = _parts(found, lambda figures: list(verdicts(figures)))
    return _listing(BY_VERDICT, rows, "a sample has the verdict of its last attempt")


def by_task(found: Sequence[Figures], results: Mapping[str, Sequence[ResultRow]]) -> Listing[Part[ResultRow]]:
    """A row for each task of each run, in the natural order of their ids.

    Args:
        found: The runs.
        results: Their finished tasks, by the run's id.
    """
    rows = _parts(found, lambda figures: sorted(results[figures.run.id], key=lambda its: in_order(its.task_id)))
    there = {
        letter for row in rows if row.figures.samples * row.figures.attempts > 1 for letter in row.part.verdicts or ""
    }
    told = ", ".join(f"{letter} {VERDICTS[letter].value}" for letter in VERDICTS if letter in there)
    caption = f"verdicts: a letter an attempt, samples parted by spaces: {told}" if told else ""
    return _listing(BY_TASK, rows, caption)


def by_sample(found: Sequence[Figures]) -> Listing[Part[OfSample]]:
    """A row for each sample index of each run."""
    rows = _parts(found, lambda figures: list(samples(figures)))
    caption = "drawn: tasks that had such a sample; without --all-samples none is drawn after a pass"
    return _listing(BY_SAMPLE, rows, caption)
