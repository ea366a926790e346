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
from pytest_mcode._rows import LETTERS, Tasks
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
        return _estimated(tasks, drawn)
    unseen = min([drawn, *(task.drawn for task in tasks if task.passed > task.passed_at_once)])
    return _within([task.pass_at_once_index for task in tasks], unseen)


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


def _estimated(tasks: Sequence[Record], drawn: int) -> Rates:
    """The mean over tasks of their estimates of pass@k."""
    # a task may be solved although a later sample met an error: too few were drawn to estimate from
    whole = (task for task in tasks if task.drawn == drawn and LETTERS[Verdict.ERROR] not in task.verdicts)
    counts = Counter(task.passed_at_once for task in whole)

    def rate(k: int) -> Rate | None:
        if not counts or not 1 <= k <= drawn:
            return None
        estimates: Counter[float] = Counter()
        for passed, number in counts.items():
            estimates[estimate(drawn, passed, k)] += number
        return interval(estimates)

    return rate


def estimate(n: int, passed: int, k: int) -> float:
    """The unbiased estimate of pass@k from ``passed`` of n samples: 1 - C(n - passed, k) / C(n, k)."""
    return 1.0 - math.comb(n - passed, k) / math.comb(n, k)


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
