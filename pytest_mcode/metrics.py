"""Rates and their intervals: pure functions over what was recorded.

A `Record` is one task: the verdicts of its samples' attempts, in order. Tasks that could not be judged are no failures:
they stay out of every denominator and are reported apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from pytest_mcode._types import Status, Verdict

#: Of the bootstrap: the ends of its intervals are then known to a few hundredths of their width.
RESAMPLES = 2000


@dataclass(frozen=True)
class Record:
    """One task of a run: its status, and for each sample drawn the verdicts of its attempts."""

    task_id: str
    status: Status
    samples: tuple[tuple[Verdict, ...], ...]

    def solved_within(self, samples: int, attempts: int) -> bool:
        """Whether one of the first ``samples`` samples passed within its first ``attempts`` attempts."""
        return any(Verdict.PASSED in sample[:attempts] for sample in self.samples[:samples])


@dataclass(frozen=True)
class Rate:
    """A share of tasks with its 95 % interval. ``n`` tasks were judged; all values are from 0 to 1."""

    value: float
    low: float
    high: float
    n: int


def records(results: Iterable[Mapping[str, Any]], attempts: Iterable[Mapping[str, Any]]) -> list[Record]:
    """Make records of rows of ``results`` and of rows of ``attempts`` in order."""
    samples: dict[str, dict[int, list[Verdict]]] = {}
    for row in attempts:
        samples.setdefault(row["task_id"], {}).setdefault(row["sample"], []).append(Verdict(row["verdict"]))
    return [
        Record(
            row["task_id"],
            Status(row["status"]),
            tuple(tuple(verdicts) for _, verdicts in sorted(samples.get(row["task_id"], {}).items())),
        )
        for row in results
    ]


def judged(tasks: Sequence[Record]) -> list[Record]:
    """The tasks that could be judged."""
    return [task for task in tasks if task.status is not Status.ERROR]


def pass_at_k(tasks: Sequence[Record], k: int, *, drawn: int, all_samples: bool) -> Rate | None:
    """Share of tasks with a passing first attempt among k samples: debug iterations do not count.

    With every sample drawn it is the unbiased estimator of Chen et al. (2021), per task, then averaged. Where sampling
    stopped at the first pass that estimator is biased upwards; then it is the share of tasks whose first k samples
    held a pass.

    Args:
        tasks: What was recorded.
        k: How many samples.
        drawn: How many samples a task was to have.
        all_samples: Whether they were drawn even after one had passed.

    Returns:
        None where it cannot be known: k is not from 1 to ``drawn``, no task was judged, or a sample stopped by a debug
        iteration's pass leaves the first attempts of later ones unseen.
    """
    tasks = judged(tasks)
    if all_samples:  # a task may be solved although a later sample met an error: too few were drawn to estimate from
        tasks = [t for t in tasks if len(t.samples) == drawn and all(s[-1] is not Verdict.ERROR for s in t.samples)]
    if not 1 <= k <= drawn or not tasks:
        return None
    if all_samples:
        return interval([estimate(drawn, _first_passes(t), k) for t in tasks])
    if any(_stopped_by_repair(t, k) for t in tasks):
        return None
    return interval([float(task.solved_within(k, 1)) for task in tasks])


def solve_at_budget(tasks: Sequence[Record], samples: int, attempts: int) -> Rate | None:
    """Share of tasks solved within ``samples`` samples of ``attempts`` attempts each; None if none was judged."""
    tasks = judged(tasks)
    return interval([float(task.solved_within(samples, attempts)) for task in tasks]) if tasks else None


def estimate(n: int, passed: int, k: int) -> float:
    """The unbiased estimate of pass@k from ``passed`` of n samples: 1 - C(n - passed, k) / C(n, k)."""
    return 1.0 - math.comb(n - passed, k) / math.comb(n, k)


def interval(values: Sequence[float], *, confidence: float = 0.95) -> Rate:
    """The mean of one value a task, each from 0 to 1, and its interval.

    Wilson's score interval (Wilson 1927) where every value is 0 or 1; else the percentile bootstrap over tasks, with a
    fixed seed. Tasks that all have the same value in between tell nothing of the others: then it is from 0 to 1.
    """
    n, mean = len(values), math.fsum(values) / len(values)
    if set(values) <= {0.0, 1.0}:
        low, high = wilson(mean, n, confidence)
    elif len(set(values)) > 1:
        low, high = bootstrap(values, confidence)
    else:
        low, high = 0.0, 1.0
    return Rate(mean, low, high, n)


def wilson(share: float, n: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a share of n.

    By the formula: scipy.stats, which the tests hold it against, takes longer to import than a summary may.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def bootstrap(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """The percentile bootstrap of the mean over tasks."""
    from scipy import stats

    found = stats.bootstrap(
        (values,),
        lambda sample, axis: sample.mean(axis),
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        rng=0,
    ).confidence_interval
    return float(found.low), float(found.high)


def _first_passes(task: Record) -> int:
    return sum(sample[0] is Verdict.PASSED for sample in task.samples)


def _stopped_by_repair(task: Record, k: int) -> bool:
    """Whether sampling stopped before k samples at a pass that was not a first attempt."""
    return len(task.samples) < k and any(len(s) > 1 and s[-1] is Verdict.PASSED for s in task.samples)
