"""What changed when a run was judged again: the tasks that came to something else, with both verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from pytest_mcode._rows import LETTERS, ResultRow
from pytest_mcode._types import Status
from pytest_mcode.report.words import in_order, plural
from pytest_mcode.spelling import visible

_WORDS = {letter: verdict.value for verdict, letter in LETTERS.items()}
#: What stands for an attempt that there was not.
_NONE = "none"


@dataclass(frozen=True)
class Change:
    """A task whose verdicts differ.

    Attributes:
        task_id: As the data set spells it.
        before: What it came to.
        after: What it came to when it was judged again.
        was: The verdict of the first attempt that differs.
        now: The same when it was judged again.
        sample: The number of its sample.
        attempt: Its number.
    """

    task_id: str
    before: str
    after: str
    was: str
    now: str
    sample: int
    attempt: int

    @property
    def flips(self) -> bool:
        """Whether the task itself came to something else."""
        return self.before != self.after


def changes(old: Sequence[ResultRow], new: Sequence[ResultRow]) -> list[Change]:
    """The tasks of both that differ, in their natural order."""
    before = {row.task_id: row for row in old}
    found = (_change(before[row.task_id], row) for row in new if row.task_id in before)
    return sorted((change for change in found if change), key=lambda change: in_order(change.task_id))


def _change(old: ResultRow, new: ResultRow) -> Change | None:
    samples = zip_longest((old.verdicts or "").split(" "), (new.verdicts or "").split(" "), fillvalue="")
    for sample, (was, now) in enumerate(samples):
        for attempt, (a, b) in enumerate(zip_longest(was, now, fillvalue="")):
            if a != b:
                words = _WORDS.get(a, _NONE), _WORDS.get(b, _NONE)
                return Change(new.task_id, old.status, new.status, *words, sample, attempt)
    return None


def lines(old_id: str, new_id: str, old: Sequence[ResultRow], new: Sequence[ResultRow]) -> Iterator[str]:
    """What to tell of it: a line each for the runs, for all tasks, and for each that differs."""
    found = changes(old, new)
    flips = [change for change in found if change.flips]
    yield f"re-judged     {new_id}, from {old_id}"
    missing = len({row.task_id for row in old} - {row.task_id for row in new})
    left = f"; {plural(missing, 'task')} had no completion" if missing else ""
    if not found:
        yield f"changed       nothing: all {plural(len(new), 'task')} came to the same{left}"
        return
    solved = sum(change.after == Status.SOLVED for change in flips)
    lost = sum(change.before == Status.SOLVED for change in flips)
    told = f"{solved} solved now, {lost} not any more, {len(found) - solved - lost} otherwise"
    yield f"changed       {len(found)} of {plural(len(new), 'task')}: {told}{left}"
    width = max(len(visible(change.task_id)) for change in found)
    for change in sorted(found, key=lambda change: not change.flips):
        yield f"  {visible(change.task_id):<{width}}  {_told(change)}"


def _told(change: Change) -> str:
    status = f"{change.before} -> {change.after}" if change.flips else change.before
    place = f"  (sample {change.sample}, attempt {change.attempt})" if change.sample or change.attempt else ""
    return f"{status:<20}  {change.was} -> {change.now}{place}"
