"""One database of many: what each has of a run, what none has, and what two have differently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from pytest_mcode import _copies, _url
from pytest_mcode._errors import UsageError
from pytest_mcode._rows import ResultRow
from pytest_mcode._types import Status
from pytest_mcode.report.words import plural
from pytest_mcode.resume import between
from pytest_mcode.store import Run, Session, Store, absent, existing, one_of

#: How many tasks a line names.
NAMED = 5


@dataclass(frozen=True)
class Part:
    """What one database has of a run.

    Attributes:
        run: Its row there.
        store: The database.
        rows: The finished tasks, by their ids.
        tasks: The ids of the tasks of each shard, where they are known.
        sessions: The processes that worked on it.
    """

    run: Run
    store: Store
    rows: Mapping[str, ResultRow]
    tasks: Mapping[int, Sequence[str]]
    sessions: Sequence[Session]


@dataclass(frozen=True)
class Whole:
    """A run, put together from its parts.

    Attributes:
        run: Its row.
        parts: What has it, the oldest first.
        chosen: Of each task, the part whose result counts: the first that judged it.
        absent: Shards that have not begun.
        missing: Tasks that were planned by a shard that has begun, and are recorded nowhere.
        unknown: How many more tasks are missing.
        twice: Tasks that two parts judged, with different results; the shown names of both, that which counts first.
        errors: Number of tasks that are recorded, but could not be judged.
    """

    run: Run
    parts: Sequence[Part]
    chosen: Mapping[str, Part]
    absent: Sequence[int]
    missing: Sequence[str]
    unknown: int
    twice: Mapping[str, tuple[str, str]]
    errors: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, and nothing there twice."""
        return not (self.absent or self.missing or self.unknown or self.twice)

    def told(self) -> Iterator[str]:
        """What it has, and what is wrong with it, a line each."""
        run = self.run
        of = f", {len(run.shards)} of {plural(run.shards[0].count, 'shard')}" if run.shards else ""
        errors = f", {plural(self.errors, 'error')}" if self.errors else ""
        yield f"run {run.id}: {len(self.chosen)} of {plural(run.planned, 'task')}{of}{errors}"
        if self.absent:
            its = f", with {plural(self.unknown, 'task')}" if self.unknown else ""
            yield f"  not begun: {listed([f'shard {index}' for index in self.absent])}{its}"
        if self.missing:
            yield f"  missing: {listed(self.missing)}"
        if self.unknown and not self.absent:
            yield f"  missing: {plural(self.unknown, 'task')}{' more' if self.missing else ''}, of unknown id"
        for task_id, (first, second) in list(self.twice.items())[:NAMED]:
            yield f"  twice: {task_id}, judged in {first}, which counts, and otherwise in {second}"
        if len(self.twice) > NAMED:
            yield f"  twice: {len(self.twice) - NAMED} more"


def listed(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def merged(out: str, sources: Sequence[str], *, check: bool) -> list[Whole]:
    """Bring the runs of all sources into one database, unless they are only to be checked; a whole for each run.

    Args:
        out: The database that takes them; what it has already counts as a part.
        sources: The others; if ``out`` is among them, it is left out there.
        check: Whether to leave all as it is.

    Raises:
        UsageError: A run is another measurement in one database than in another; nothing was written.
        StoreError: A database cannot be used.
    """
    others = [place for place in sources if not _is_same(place, out)]
    with ExitStack() as opened:
        stores = [opened.enter_context(closing(existing(place))) for place in others]
        target = None
        if not check:
            target = opened.enter_context(closing(Store(out)))
        elif "://" in out or Path(out).expanduser().exists():
            target = opened.enter_context(closing(existing(out)))
        found = wholes([*([target] if target else []), *stores])
        if target is not None and not check:
            for whole in found:
                _write(whole, target)
        return found


def _is_same(place: str, out: str) -> bool:
    if "://" in place + out:
        return place == out
    return Path(place).expanduser().absolute() == Path(out).expanduser().absolute()


def wholes(stores: Sequence[Store]) -> list[Whole]:
    """Every run that is in any of these databases, put together.

    Raises:
        UsageError: A run is another measurement in one than in another.
    """
    pairs = [(run, store) for store in stores for run in store.runs()]
    grouped = groupby(sorted(pairs, key=lambda pair: pair[0].id), lambda pair: pair[0].id)
    runs = [sorted(group, key=lambda pair: pair[0].started_at) for _, group in grouped]
    for group in runs:
        _require_alike(group)
    made = [_whole([_part(run, store) for run, store in group]) for group in runs]
    return sorted(made, key=lambda whole: whole.run.started_at)


def _require_alike(group: Sequence[tuple[Run, Store]]) -> None:
    (first, place), *others = group
    for run, other in others:
        changed = between(first, run)
        if changed:
            raise UsageError(
                f"Run {run.id} in {other.path} is not the run of that id in {place.path}: it differs in "
                f"{'; '.join(changed)}. Merge them into different databases, or leave one out."
            )


def _part(run: Run, store: Store) -> Part:
    rows = {row.task_id: row for row in store.results(run.id)}
    return Part(run, store, rows, _copies.tasks(store.database, run.id), store.sessions(run.id))


def _whole(parts: Sequence[Part]) -> Whole:
    run = one_of([part.run for part in parts])
    chosen, twice = _chosen(parts)
    planned = {task_id for part in parts for ids in part.tasks.values() for task_id in ids}
    missing = sorted(planned - chosen.keys())
    errors = sum(part.rows[task_id].status == Status.ERROR for task_id, part in chosen.items())
    unknown = max(0, run.planned - len(chosen) - len(missing))
    return Whole(run, parts, chosen, absent(run.shards), missing, unknown, twice, errors)


def _chosen(parts: Sequence[Part]) -> tuple[dict[str, Part], dict[str, tuple[str, str]]]:
    chosen: dict[str, Part] = {}
    twice: dict[str, tuple[str, str]] = {}
    for part in parts:
        for task_id, row in part.rows.items():
            before = chosen.setdefault(task_id, part)
            known = before.rows[task_id]
            if known.status == Status.ERROR:
                chosen[task_id] = part if row.status != Status.ERROR else before
            elif row != known and row.status != Status.ERROR:
                twice.setdefault(task_id, (before.store.path, part.store.path))
    return chosen, twice


def _write(whole: Whole, target: Store) -> None:
    run = whole.run
    if run.shards:
        config = {**run.config, "shard-index": None}
        run = replace(run, config=config, versions={n: v for n, v in run.versions.items() if n != "selection"})
    tasks = {index: ids for part in reversed(whole.parts) for index, ids in part.tasks.items()}
    sessions = sorted((s for part in whole.parts for s in part.sessions), key=lambda s: s.started_at)
    _copies.enter(target.database, run, tasks, sessions)
    for part in whole.parts:
        if part.store is target:
            continue
        there = next((other.rows for other in whole.parts if other.store is target), {})
        ids = [task_id for task_id, its in whole.chosen.items() if its is part]
        wanted = [task_id for task_id in ids if there.get(task_id) != part.rows[task_id]]
        shard = part.run.shards[0].index if len(part.run.shards) == 1 else None
        _copies.carry(part.store.database, target.database, run.id, wanted, shard)


def as_json(whole: Whole) -> dict[str, object]:
    """What was found of a run, as JSON values."""
    return {
        "run": whole.run.id,
        "planned": whole.run.planned,
        "recorded": len(whole.chosen),
        "errors": whole.errors,
        "shards": whole.run.shards[0].count if whole.run.shards else 1,
        "shards_absent": list(whole.absent),
        "tasks_missing": list(whole.missing),
        "tasks_missing_unknown": whole.unknown,
        "tasks_twice": {task_id: list(places) for task_id, places in whole.twice.items()},
        "databases": [_url.shown(part.store.path) for part in whole.parts],
    }
