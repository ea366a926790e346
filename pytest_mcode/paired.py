"""Two runs on the same tasks: is one really better? Pure functions over records, as in `metrics`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pytest_mcode import _statistics
from pytest_mcode._types import Status
from pytest_mcode.metrics import Rate, Record, interval

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
        smallest: The smallest difference that a set of this size shows with 80 % power, with that share of flips.
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
    smallest: float

    @property
    def n(self) -> int:
        """Tasks that both runs judged."""
        return self.first.n


def solved(record: Record) -> float:
    """Whether any sample passed with any attempt: solve@budget."""
    return float(record.passed > 0)


def first_attempt(record: Record) -> float:
    """Share of a task's samples that passed at their first attempt: pass@1, if all samples were drawn."""
    return record.passed_at_once / record.drawn if record.drawn else 0.0


def at_once(record: Record) -> float:
    """Whether the first attempt of the first sample passed: pass@1, however sampling went on."""
    return float(record.pass_at_once_index == 0)


def compared(first: Sequence[Record], second: Sequence[Record], value: Value = solved) -> Paired | None:
    """Compare two runs on the tasks that both judged; None if there is no such task.

    Where every task is worth 0 or 1 it is the exact McNemar test and the interval of Bonett and Price; else the paired
    permutation test on the mean and the bootstrap over tasks.
    """
    worth = [_worth(tasks, value) for tasks in (first, second)]
    pairs = {task: (worth[0][task], worth[1][task]) for task in worth[0] if task in worth[1]}
    if not pairs:
        return None
    rates = [interval([pair[side] for pair in pairs.values()]) for side in (0, 1)]
    changes = {task: after - before for task, (before, after) in pairs.items()}
    gained = tuple(task for task, change in changes.items() if change > 0)
    lost = tuple(task for task, change in changes.items() if change < 0)
    low, high, p_value, test = _tested(list(changes.values()), binary=_binary(pairs))
    return Paired(
        rates[0],
        rates[1],
        math.fsum(changes.values()) / len(changes),
        low,
        high,
        p_value,
        test,
        gained,
        lost,
        _smallest(changes),
    )


def _worth(tasks: Sequence[Record], value: Value) -> dict[str, float]:
    judged = {task.task_id: value(task) for task in tasks if task.status is not Status.ERROR}
    return {task: worth for task, worth in judged.items() if worth is not None}


def _binary(pairs: Mapping[str, tuple[float, float]]) -> bool:
    return all(worth in (0.0, 1.0) for pair in pairs.values() for worth in pair)


def _tested(changes: Sequence[float], *, binary: bool) -> tuple[float, float, float, str]:
    counts = Counter(changes)
    if binary:
        gained, lost = counts[1.0], counts[-1.0]
        interval_ = _statistics.paired_interval(gained, lost, len(changes), 0.95)
        return *interval_, _statistics.mcnemar(gained, lost), "exact McNemar"
    low, high = _statistics.bootstrap(counts, 0.95) if len(counts) > 1 else (-1.0, 1.0)
    return low, high, _statistics.permutation(changes), "paired permutation"


def _smallest(changes: Mapping[str, float]) -> float:
    """From the mean square of the changes, which is the share of flips where tasks are worth 0 or 1."""
    spread = math.fsum(change * change for change in changes.values()) / len(changes)
    return _statistics.smallest_difference(len(changes), spread)
