"""The tables of ``mcode results``, a row a run or a budget. A column is one entry of a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_mcode._rows import LETTERS
from pytest_mcode._types import Verdict
from pytest_mcode.metrics import Rate
from pytest_mcode.report.figures import Figures
from pytest_mcode.report.tabular import Column, Listing
from pytest_mcode.report.words import named

CAPTION = "rates in per cent with 95 % intervals; errors are kept out of them"


@dataclass(frozen=True)
class Row:
    """What a row is about: a run, with so many of its samples and of their attempts; whether it ends a section."""

    figures: Figures
    samples: int
    attempts: int
    ends: bool = False

    @property
    def tries(self) -> int:
        """How often a task may have been tried."""
        return self.samples * self.attempts

    @property
    def first_attempts(self) -> Rate | None:
        """pass@k of so many samples."""
        return self.figures.pass_at(self.samples)

    @property
    def budget(self) -> Rate | None:
        """solve@budget of all this."""
        return self.figures.within(self.samples, self.attempts)

    @property
    def gain_of_sample(self) -> float | None:
        """Won by the last sample: of solve@budget, or of pass@k where there are no debug iterations."""
        rate = self.figures.pass_at if self.figures.attempts == 1 else self.figures.solved_within
        return None if self.samples == 1 else _gain(rate(self.samples - 1), rate(self.samples))

    @property
    def of_one(self) -> Rate | None:
        """solve@budget of the first sample alone with so many attempts."""
        return self.figures.within(1, self.attempts)

    @property
    def gain_of_attempt(self) -> float | None:
        """Won by the last attempt of the first sample."""
        return None if self.attempts == 1 else _gain(self.figures.within(1, self.attempts - 1), self.of_one)

    @property
    def reached(self) -> int:
        """Samples, over all tasks, that came to the last of these attempts."""
        return sum(len(sample) >= self.attempts for sample in self._drawn)

    @property
    def passed(self) -> int:
        """Of those, the samples that passed with it."""
        letter = LETTERS[Verdict.PASSED]
        return sum(len(sample) == self.attempts and sample.endswith(letter) for sample in self._drawn)

    @property
    def _drawn(self) -> list[str]:
        return " ".join(task.verdicts for task in self.figures.tasks).split()


def _gain(before: Rate | None, now: Rate | None) -> float | None:
    return None if now is None or before is None else now.value - before.value


def points(gain: float | None) -> str:
    """A difference of two shares in percentage points."""
    return "" if gain is None else f"{100 * gain:+.1f}"


def _solved(row: Row) -> str:
    f = row.figures
    return f"{f.solved}/{f.judged}" + (f" of {f.run.planned}" if f.missing else "")


RUN_OF = (
    Column[Row]("benchmark", lambda row: row.figures.run.benchmark, side="left"),
    Column[Row]("model", lambda row: named(row.figures.run.model, row.figures.run.config), side="left", folds=True),
    Column[Row]("backend", lambda row: row.figures.run.backend, to="scripts"),
    Column[Row]("solved", lambda row: row.figures.solved, _solved, yields=5),
    Column[Row]("judged", lambda row: row.figures.judged, to="scripts"),
    Column[Row]("planned", lambda row: row.figures.run.planned, to="scripts"),
)
ERRORS = Column[Row]("errors", lambda row: row.figures.errors, idle=lambda row: row.figures.errors == 0, yields=6)
OF_ALL = Column[Row]("solved_of_all", lambda row: row.figures.of_all, rate=True, to="scripts")
RUN = Column[Row]("run", lambda row: row.figures.run.id, side="left", yields=3)
STARTED = Column[Row]("started_at", lambda row: row.figures.run.started_at, to="scripts")
BY_RUN = (
    *RUN_OF,
    Column[Row]("pass@1", lambda row: row.figures.pass_at(1), rate=True, style="bold", folds=True),
    Column[Row]("solve@budget", lambda row: row.budget, rate=True, idle=lambda row: row.tries == 1, yields=7),
    Column[Row](
        "tries",
        lambda row: f"{row.samples} x {row.attempts}",
        to="people",
        idle=lambda row: row.tries == 1,
        yields=4,
    ),
    OF_ALL,
    Column[Row]("samples", lambda row: row.samples, to="scripts"),
    Column[Row]("attempts", lambda row: row.attempts, to="scripts"),
    ERRORS,
    Column[Row]("prompt_tokens", lambda row: row.figures.prompt_tokens, to="scripts"),
    Column[Row](
        "tokens",
        lambda row: row.figures.completion_tokens,
        idle=lambda row: row.figures.completion_tokens is None,
        yields=2,
    ),
    Column[Row]("seconds", lambda row: row.figures.seconds, lambda row: f"{row.figures.seconds:,.0f}", yields=1),
    Column[Row]("generation_seconds", lambda row: row.figures.generation_seconds, to="scripts"),
    Column[Row]("execution_seconds", lambda row: row.figures.execution_seconds, to="scripts"),
    STARTED,
    RUN,
)
BY_SAMPLES = (
    *RUN_OF,
    Column[Row]("samples", lambda row: row.samples, lambda row: f"{row.samples} of {row.figures.samples}"),
    Column[Row]("pass@k", lambda row: row.first_attempts, rate=True, style="bold", folds=True),
    Column[Row](
        "solve@budget", lambda row: row.budget, rate=True, idle=lambda row: row.figures.attempts == 1, yields=7
    ),
    Column[Row]("gain", lambda row: row.gain_of_sample, lambda row: points(row.gain_of_sample)),
    ERRORS,
    STARTED,
    RUN,
)
BY_ATTEMPTS = (
    *RUN_OF,
    Column[Row]("attempts", lambda row: row.attempts, lambda row: f"{row.attempts} of {row.figures.attempts}"),
    Column[Row]("1 sample", lambda row: row.of_one, rate=True, style="bold", folds=True),
    Column[Row]("gain", lambda row: row.gain_of_attempt, lambda row: points(row.gain_of_attempt)),
    Column[Row]("all samples", lambda row: row.budget, rate=True, idle=lambda row: row.figures.samples == 1, yields=7),
    Column[Row]("reached", lambda row: row.reached, yields=2),
    Column[Row]("passed", lambda row: row.passed, yields=1),
    ERRORS,
    STARTED,
    RUN,
)


def by_run(found: Sequence[Figures]) -> Listing[Row]:
    """One row a run."""
    return Listing(BY_RUN, [Row(f, f.samples, f.attempts) for f in found], CAPTION)


def by_samples(found: Sequence[Figures]) -> Listing[Row]:
    """One row for each number of samples of each run, so that the gain from more samples is seen."""
    rows = [Row(f, k, f.attempts, ends=k == f.samples) for f in found for k in range(1, f.samples + 1)]
    return Listing(BY_SAMPLES, rows, CAPTION, lambda row: row.ends)


def by_attempts(found: Sequence[Figures]) -> Listing[Row]:
    """One row for each number of attempts of each run, so that the gain from each debug iteration is seen."""
    rows = [Row(f, f.samples, a, ends=a == f.attempts) for f in found for a in range(1, f.attempts + 1)]
    counts = "reached, passed: samples that came to that attempt, and that passed with it"
    return Listing(BY_ATTEMPTS, rows, f"solve@budget: {CAPTION}\n{counts}", lambda row: row.ends)
