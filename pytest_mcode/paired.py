"""Two runs on the same tasks: is one really better? Pure functions over records, as in `metrics`."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_mcode import _statistics
from pytest_mcode._errors import UsageError
from pytest_mcode._types import Status
from pytest_mcode.metrics import Rate, Record, estimate, estimate_all, interval, is_solved, passes_at_once

#: What a task is worth in a run, from 0 to 1; None where it cannot be known.
Value = Callable[[Record], float | None]


@dataclass(frozen=True)
class Paired:
    """What the tasks that both runs judged say of the second against the first.

    Attributes:
        first: The first run's rate on those tasks.
        second: The second's.
        difference: Second minus first, from -1 to 1.
        low: Lower end of its 95 % interval.
        high: Upper end.
        p_value: Of the test, two-sided.
        test: Its name.
        gained: The tasks on which the second does better.
        lost: The tasks on which the first does.
        smallest: The smallest difference that a set of this size shows with 80 % power, with that share of flips; None
            if it shows none.
    """

    first: Rate
    second: Rate
    difference: float
    low: float
    high: float
    p_value: float
    test: str
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    smallest: float | None

    @property
    def n(self) -> int:
        """Tasks that both runs judged."""
        return self.first.n


def solved(record: Record) -> float:
    """Whether any sample passed with any attempt: solve@budget."""
    return float(record.passed > 0)


@dataclass(frozen=True)
class Metric:
    """What runs are compared by.

    Attributes:
        name: ``pass@3``, ``pass^3``, ``solve@2x3`` or ``solve@budget``.
        kind: What stands before its numbers.
        samples: How many samples; 0 for all.
        attempts: How many attempts of each; 0 for all.
    """

    name: str
    kind: str
    samples: int = 0
    attempts: int = 0

    def of(self, drawn: int, *, whole: bool) -> Value:
        """What a task is worth in a run that was to draw so many samples; ``whole``: even after one had passed.

        It is None where nobody knows: a sample that was estimated from met an error, or a pass that does not count
        ended the sampling.
        """
        if self.name == BUDGET:
            return solved
        if self.kind == "solve@":
            return lambda task: _known(is_solved(task.verdicts, self.samples, self.attempts))
        if self.kind == "pass^" and not whole:
            return lambda _: None
        if not whole:
            return lambda task: _known(passes_at_once(task, self.samples))
        estimator = estimate if self.kind == "pass@" else estimate_all
        return lambda task: estimator(drawn, task.passed_at_once, self.samples) if task.whole(drawn) else None


BUDGET = "solve@budget"
_METRIC = re.compile(
    rf"(?P<kind>pass@|pass\^)(?P<k>[1-9]\d{{0,5}})|solve@(?P<s>[1-9]\d{{0,5}})x(?P<a>[1-9]\d{{0,5}})|{BUDGET}", re.ASCII
)


def metric(name: str) -> Metric:
    """The metric of that name.

    Raises:
        UsageError: There is none.
    """
    found = _METRIC.fullmatch(name)
    if found is None:
        raise UsageError(
            f"--metric is {name!r}, but must be pass@K, pass^K (all of K samples pass), {BUDGET} (all samples with all "
            f"attempts) or solve@SxA (S samples of A attempts), such as pass@1 or solve@1x3."
        )
    return Metric(name, found["kind"] or "solve@", int(found["k"] or found["s"] or 0), int(found["a"] or 0))


def compared(
    first: Sequence[Record],
    second: Sequence[Record],
    value: Value = solved,
    other: Value | None = None,
    *,
    tests: int = 1,
) -> Paired | None:
    """Compare two runs on the tasks that both judged; None if there is no such task.

    Where every task is worth 0 or 1 it is the exact McNemar test and the interval of Bonett and Price; else the paired
    permutation test on the mean and the bootstrap over tasks.

    Args:
        first: The first run's tasks.
        second: The second's.
        value: What a task is worth.
        other: What it is worth in the second run, if that is told in another way there.
        tests: How many comparisons are made together, which the smallest difference allows for.
    """
    worth = [values(first, value), values(second, other or value)]
    pairs = {task: (worth[0][task], worth[1][task]) for task in worth[0] if task in worth[1]}
    if not pairs:
        return None
    changes = {task: after - before for task, (before, after) in pairs.items()}
    binary = all(worth in (0.0, 1.0) for pair in pairs.values() for worth in pair)
    low, high, p_value, test = _tested(list(changes.values()), binary=binary)
    first_rate, second_rate = (interval([pair[side] for pair in pairs.values()]) for side in (0, 1))
    return Paired(
        first_rate,
        second_rate,
        math.fsum(changes.values()) / len(changes),
        low,
        high,
        p_value,
        test,
        tuple(task for task, change in changes.items() if change > 0),
        tuple(task for task, change in changes.items() if change < 0),
        _smallest(list(changes.values()), 0.05 / tests, binary=binary),
    )


def values(tasks: Sequence[Record], value: Value) -> dict[str, float]:
    """What each task that was judged is worth, by its id, where that is known."""
    judged = {task.task_id: value(task) for task in tasks if task.status is not Status.ERROR}
    return {task: worth for task, worth in judged.items() if worth is not None}


def _known(solved: bool | None) -> float | None:
    return None if solved is None else float(solved)


def _tested(changes: Sequence[float], *, binary: bool) -> tuple[float, float, float, str]:
    counts = Counter(changes)
    if binary:
        gained, lost = counts[1.0], counts[-1.0]
        ends = _statistics.paired_interval(gained, lost, len(changes), 0.95)
        return *ends, _statistics.mcnemar(gained, lost), "exact McNemar"
    if not any(changes):  # what lies within 1 of nothing varies least where it is all or nothing
        low, high = _statistics.paired_interval(0, 0, len(changes), 0.95)
    else:
        low, high = _statistics.bootstrap(counts, 0.95) if len(counts) > 1 else (-1.0, 1.0)
    return low, high, _statistics.permutation(changes), "paired permutation"


def _smallest(changes: Sequence[float], alpha: float, *, binary: bool) -> float | None:
    """From the mean square of the changes, which is the share of flips where tasks are worth 0 or 1."""
    spread = math.fsum(change * change for change in changes) / len(changes)
    if binary or not spread:
        least = _statistics.smallest_difference(len(changes), spread, alpha=alpha)
    else:
        least = _statistics.smallest_mean(len(changes), spread, alpha=alpha)
    return least if least <= 1 else None
