"""Rates and their intervals: pure functions over what was recorded.

A `Record` is one task: the verdicts of its samples' attempts, in order. Tasks that could not be judged are no failures:
they stay out of every denominator and are reported apart. There may be very many tasks: what is asked of one is found
by searching its text, and rates are made of counts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pytest_mcode import _statistics
from pytest_mcode._rows import LETTERS, ResultRow, Tasks
from pytest_mcode._types import Status, Verdict

#: A pass as the first attempt of a sample, and as the last, where a tally has spaces all around.
_FIRST, _LAST = f" {LETTERS[Verdict.PASSED]}", f"{LETTERS[Verdict.PASSED]} "


class Record(NamedTuple):
    """One task of a run.

    Attributes:
        task_id: As the data set spells it.
        status: What it came to.
        verdicts: Of its attempts, as a `Tally` spells them: of ``ff fp p`` the first sample failed, the second was
            repaired and the third passed at once. A sample ends with its first pass.
    """

    task_id: str
    status: Status
    verdicts: str

    @property
    def drawn(self) -> int:
        """How many samples were drawn."""
        return self.verdicts.count(" ") + 1 if self.verdicts else 0

    @property
    def passed(self) -> int:
        """How many samples passed."""
        return f"{self.verdicts} ".count(_LAST)

    @property
    def passed_at_once(self) -> int:
        """How many samples passed at their first attempt."""
        return f" {self.verdicts}".count(_FIRST)

    def whole(self, drawn: int) -> bool:
        """Whether so many samples were drawn, and none met an error."""
        return self.drawn == drawn and LETTERS[Verdict.ERROR] not in self.verdicts

    @property
    def pass_index(self) -> int | None:
        """The index of the first sample that passed; None if none did."""
        before, found, _ = f"{self.verdicts} ".partition(_LAST)
        return before.count(" ") if found else None

    @property
    def pass_at_once_index(self) -> int | None:
        """The index of the first sample that passed at its first attempt; None if none did."""
        before, found, _ = f" {self.verdicts}".partition(_FIRST)
        return before.count(" ") if found else None


@dataclass(frozen=True)
class Rate:
    """A share of tasks with its 95 % interval. ``n`` tasks were judged; all values are from 0 to 1."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Costs:
    """What tasks that were judged took.

    Attributes:
        tasks: How many there are.
        solved: How many of them were solved.
        told: Of how many the server told tokens; tokens a task are of these.
        prompt_tokens: Of all their attempts.
        completion_tokens: Likewise.
        seconds: Wall seconds of all tasks, added up.
        generation_seconds: Spent in generations, added up.
        execution_seconds: Spent in executions, added up.
        telling_seconds: Spent in generations of tasks whose tokens are known.
    """

    tasks: int
    solved: int
    told: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    generation_seconds: float
    execution_seconds: float
    telling_seconds: float

    @property
    def tokens_a_task(self) -> float | None:
        """Completion tokens of a task; None if the server told none."""
        return self.completion_tokens / self.told if self.told else None

    @property
    def tokens_a_solved_task(self) -> float | None:
        """Completion tokens spent, on failures too, for each task solved; None if any is unknown or none was solved."""
        return self.completion_tokens / self.solved if self.solved and self.told == self.tasks else None

    @property
    def seconds_a_task(self) -> float:
        """Wall seconds of a task."""
        return self.seconds / self.tasks

    @property
    def seconds_a_solved_task(self) -> float | None:
        """Wall seconds spent, on failures too, for each task solved; None if none was."""
        return self.seconds / self.solved if self.solved else None

    @property
    def tokens_a_second(self) -> float | None:
        """Completion tokens of one request in a second of its generation; None if the server told none."""
        return self.completion_tokens / self.telling_seconds if self.told and self.telling_seconds else None


#: A rate for each number of samples; None where it cannot be known.
Rates = Callable[[int], Rate | None]


def records(tasks: Tasks) -> list[Record]:
    """Make records of the tasks of a run."""
    statuses = map({status.value: status for status in Status}.__getitem__, tasks.status)
    return list(map(Record, tasks.task_id, statuses, tasks.verdicts))


def verdicts(tasks: Iterable[Record]) -> dict[Verdict, int]:
    """How many samples came to what: their last attempt's verdict."""
    every = " ".join([*(task.verdicts for task in tasks), ""])
    counts = {verdict: every.count(f"{letter} ") for verdict, letter in LETTERS.items()}
    return {verdict: number for verdict, number in counts.items() if number}


def judged(tasks: Sequence[Record]) -> list[Record]:
    """The tasks that could be judged."""
    return [task for task in tasks if task.status is not Status.ERROR]


def pass_at_k(tasks: Sequence[Record], drawn: int, *, all_samples: bool) -> Rates:
    """Share of tasks with a passing first attempt among k samples: debug iterations do not count.

    With every sample drawn it is the unbiased estimator of Chen et al. (2021), per task, then averaged. Where sampling
    stopped at the first pass that estimator is biased upwards; then it is the share of tasks whose first k samples
    held a pass.

    Args:
        tasks: What was recorded.
        drawn: How many samples a task was to have.
        all_samples: Whether they were drawn even after one had passed.

    Returns:
        The rate for each k; None where it cannot be known: k is not from 1 to ``drawn``, no task was judged, or a
        sample stopped by a debug iteration's pass leaves the first attempts of later ones unseen.
    """
    tasks = judged(tasks)
    if all_samples:
        return _estimated(tasks, drawn, estimate)
    unseen = min([drawn, *(task.drawn for task in tasks if task.passed > task.passed_at_once)])
    return _within([task.pass_at_once_index for task in tasks], unseen)


def pass_hat_k(tasks: Sequence[Record], drawn: int, *, all_samples: bool) -> Rates:
    """pass^k, reliability: the chance that all of k samples pass at their first attempt.

    It is the unbiased estimator C(c, k) / C(n, k) of a task of whose n samples c passed (Yao et al. 2024), averaged.

    Args:
        tasks: What was recorded.
        drawn: How many samples a task was to have.
        all_samples: Whether they were drawn even after one had passed.

    Returns:
        The rate for each k; None where it cannot be known: k is not from 1 to ``drawn``, no task was judged, or
        sampling stopped at the first pass, so that nobody knows whether another sample would have passed too.
    """
    if all_samples or drawn == 1:
        return _estimated(judged(tasks), drawn, estimate_all)
    return lambda _: None


def solve_within(tasks: Sequence[Record], samples: int, attempts: int, drawn: int) -> Rate | None:
    """Share of tasks solved within the first samples, each with its first attempts: a point of the curve of budgets.

    Args:
        tasks: What was recorded.
        samples: How many samples, from 1 to ``drawn``.
        attempts: How many attempts of each, from 1.
        drawn: How many samples a task was to have.

    Returns:
        The rate; None where it cannot be known: no task was judged, the budget is larger than what was drawn, or a
        sample that passed with a later attempt ended the sampling of a task, so that another sample might have passed
        within this budget.
    """
    found: Counter[bool | None] = Counter()
    for its, number in Counter(task.verdicts for task in judged(tasks)).items():
        found[is_solved(its, samples, attempts)] += number
    if not found or found[None] or not 1 <= samples <= drawn or attempts < 1:
        return None
    return interval({1.0: found[True], 0.0: found[False]})


def passes_at_once(task: Record, k: int) -> bool | None:
    """Whether one of a task's first k samples passed at its first attempt; None if nobody knows."""
    index = task.pass_at_once_index
    if index is not None and index < k:
        return True
    return None if task.passed and task.drawn < k else False


def is_solved(verdicts: str, samples: int, attempts: int) -> bool | None:
    """Whether one of a task's first samples passed within so many attempts; None if nobody knows."""
    passed, error = LETTERS[Verdict.PASSED], LETTERS[Verdict.ERROR]
    drawn = verdicts.split(" ")[:samples]
    if any(passed in sample[:attempts] for sample in drawn):
        return True
    seen = all(len(sample) >= attempts or error in sample for sample in drawn)
    return False if seen and len(drawn) == samples else None


def of_all(tasks: Sequence[Record]) -> Rate | None:
    """Share of all tasks that were solved, those that could not be judged among them; None if there is no task."""
    solved = sum(task.status is Status.SOLVED for task in tasks)
    return interval({1.0: solved, 0.0: len(tasks) - solved}) if tasks else None


def solve_at_budget(tasks: Sequence[Record], drawn: int) -> Rates:
    """Share of tasks solved within k samples with all their attempts; None if none was judged, or for another k."""
    return _within([task.pass_index for task in judged(tasks)], drawn)


def _within(indices: Sequence[int | None], most: int) -> Rates:
    """Share of tasks whose index is one of the first k, for k from 1 to ``most``."""
    counts, n = Counter(indices), len(indices)

    def rate(k: int) -> Rate | None:
        solved = sum(counts[index] for index in range(k))
        return interval({1.0: solved, 0.0: n - solved}) if n and 1 <= k <= most else None

    return rate


def _estimated(tasks: Sequence[Record], drawn: int, estimator: Callable[[int, int, int], float]) -> Rates:
    """The mean over tasks of their estimates."""
    # a task may be solved although a later sample met an error: too few were drawn to estimate from
    counts = Counter(task.passed_at_once for task in tasks if task.whole(drawn))

    def rate(k: int) -> Rate | None:
        if not counts or not 1 <= k <= drawn:
            return None
        estimates: Counter[float] = Counter()
        for passed, number in counts.items():
            estimates[estimator(drawn, passed, k)] += number
        return interval(estimates)

    return rate


def estimate(n: int, passed: int, k: int) -> float:
    """The unbiased estimate of pass@k from ``passed`` of n samples: 1 - C(n - passed, k) / C(n, k)."""
    return 1.0 - math.comb(n - passed, k) / math.comb(n, k)


def estimate_all(n: int, passed: int, k: int) -> float:
    """The unbiased estimate of pass^k from ``passed`` of n samples: C(passed, k) / C(n, k)."""
    return math.comb(passed, k) / math.comb(n, k)


def costs(rows: Iterable[ResultRow]) -> Costs | None:
    """What the tasks took that were judged; None if none was."""
    its = [row for row in rows if row.status != Status.ERROR]
    told = [row for row in its if row.completion_tokens is not None]
    if not its:
        return None
    return Costs(
        tasks=len(its),
        solved=sum(row.status == Status.SOLVED for row in its),
        told=len(told),
        prompt_tokens=sum(row.prompt_tokens or 0 for row in told),
        completion_tokens=sum(row.completion_tokens or 0 for row in told),
        seconds=math.fsum(row.seconds for row in its),
        generation_seconds=math.fsum(row.generation_seconds or 0.0 for row in its),
        execution_seconds=math.fsum(row.execution_seconds or 0.0 for row in its),
        telling_seconds=math.fsum(row.generation_seconds or 0.0 for row in told),
    )


def interval(values: Iterable[float] | Mapping[float, int], *, confidence: float = 0.95) -> Rate:
    """The mean of one value a task, each from 0 to 1, and its interval.

    Wilson's score interval (Wilson 1927) where every value is 0 or 1; else the percentile bootstrap over tasks. Tasks
    that all have the same value in between tell nothing of the others: then it is from 0 to 1.

    Args:
        values: A value for each task, or how many tasks have each value.
        confidence: The share of such intervals that hold the truth.
    """
    counts = +Counter(values)
    n = counts.total()
    mean = math.fsum(value * number for value, number in counts.items()) / n
    if counts.keys() <= {0.0, 1.0}:
        low, high = _statistics.wilson(counts[1.0], n, confidence)
    elif len(counts) > 1:
        low, high = _statistics.bootstrap(counts, confidence)
    else:
        low, high = 0.0, 1.0
    return Rate(mean, low, high, n)
