"""Finding runs in the databases that were named; the shards of one run are one, wherever each was recorded."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from pytest_mcode import _url, options, spelling
from pytest_mcode._errors import StoreError, UsageError
from pytest_mcode._parse import nearest
from pytest_mcode._rows import AttemptRow, ResultRow, summed
from pytest_mcode._types import Status
from pytest_mcode.report.figures import Figures, computed, figures, of_runs
from pytest_mcode.store import Run, Session, Store, existing, one_of

_AGO = re.compile(r"(\d{1,5})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}
#: Names the newest run, unless one has this id.
LAST = "last"
#: How many of those that may have been meant a sentence names.
NAMED = 5


@dataclass(frozen=True)
class Wanted:
    """Which runs are asked for; None is any.

    Attributes:
        benchmark: Its name.
        model: Its name.
        backend: Its name.
        run: The run's id, or the beginning of one.
        since: The earliest time of the start, as stored: ISO 8601, UTC.
        sweep: Name of the sweep that the run belongs to.
    """

    benchmark: str | None = None
    model: str | None = None
    backend: str | None = None
    run: str | None = None
    since: str | None = None
    sweep: str | None = None

    def holds(self, run: Run) -> bool:
        """Whether a run is one of them."""
        its = (
            (self.benchmark, run.benchmark),
            (self.model, run.model),
            (self.backend, run.backend),
            (self.sweep, run.config.get("sweep")),
        )
        return (
            all(wanted in (None, there) for wanted, there in its)
            and run.id.startswith(self.run or "")
            and run.started_at >= (self.since or "")
        )


ANY = Wanted()


@dataclass(frozen=True)
class Located:
    """A run and the databases that hold it; more than one where each has some of its shards."""

    run: Run
    places: tuple[str, ...]

    @property
    def shown(self) -> str:
        """The databases, without what logs in."""
        return ", ".join(map(_url.shown, self.places))


def since(text: str | None, *, now: datetime | None = None) -> str | None:
    """A time as it is stored, from an ISO date or time (of this machine's zone, unless it names one) or ``7d`` ago.

    Raises:
        UsageError: It is neither.
    """
    if text is None:
        return None
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            when = (now or datetime.now(UTC)) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        else:
            when = datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"--since is {text!r}, but must be a date or time (2025-11-03, 2025-11-03T14:00) or 7d, 12h, 30m ago."
        ) from None
    return when.isoformat(timespec="milliseconds")


def expanded(databases: Sequence[str]) -> list[str]:
    """The database files that were named, of a directory all ``*.db``; the configured default if none was.

    Raises:
        StoreError: A pattern or directory holds none.
    """
    paths: list[str] = []
    for pattern in databases or [options.default_database()]:
        directory = Path(pattern).expanduser()
        if "://" not in pattern and directory.is_dir():
            paths += _found(sorted(map(str, directory.glob("*.db"))), f"There is no *.db in the directory {pattern}.")
        elif glob.has_magic(pattern) and "://" not in pattern:
            matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - the pattern may be absolute
            paths += _found(matches, f"No results database matches {pattern!r}.")
        else:
            paths.append(pattern)
    return list(dict.fromkeys(paths))


def _found(paths: list[str], otherwise: str) -> list[str]:
    if not paths:
        raise StoreError(otherwise)
    return paths


def located(paths: Sequence[str], wanted: Wanted) -> list[Located]:
    """The runs that are asked for, the newest first.

    Raises:
        UsageError: There is none; the message says why.
    """
    found: list[Located] = []
    known: list[Run] = []
    for path in paths:
        with closing(existing(path)) as database:
            runs = database.runs()
        known += runs
        found += [Located(run, (path,)) for run in runs if wanted.holds(run)]
    if not found:
        raise UsageError(nothing_found(" and ".join(map(_url.shown, paths)), wanted, known))
    return sorted(_joined(found), key=lambda its: its.run.started_at, reverse=True)


def _joined(found: Iterable[Located]) -> Iterator[Located]:
    """Each run once. Of a shard in several databases the one counts that began first, and is finished if one is."""
    for _, group in groupby(sorted(found, key=lambda its: its.run.id), lambda its: its.run.id):
        parts = sorted(group, key=lambda part: part.run.started_at)
        yield Located(one_of([part.run for part in parts]), tuple(place for part in parts for place in part.places))


def nothing_found(place: str, wanted: Wanted, known: Sequence[Run]) -> str:
    """The sentence on databases in which nothing fits."""
    if not known:
        return f"No run is recorded in {place} yet: {spelling.EXAMPLE}"
    filters = [("benchmark", wanted.benchmark, {run.benchmark for run in known})]
    filters += [("model", wanted.model, {run.model for run in known})]
    filters += [("backend", wanted.backend, {run.backend for run in known})]
    filters += [("sweep", wanted.sweep, {run.config["sweep"] for run in known if run.config.get("sweep")})]
    for name, asked, there in filters:
        if asked is not None and asked not in there:
            others = ", ".join(sorted(there)) or "none"
            return f"No run of {name} {asked!r} in {place}{nearest(asked, there)}; there are {others}."
    if wanted.run is not None and not any(run.id.startswith(wanted.run) for run in known):
        return f"There is no run {wanted.run} in {place}{nearest(wanted.run, [run.id for run in known])}."
    newest = max(run.started_at for run in known)
    if wanted.since is not None and newest < wanted.since:
        return f"No run in {place} started at {wanted.since} or later: the newest started at {newest}."
    all_of = [f"{name} {asked!r}" for name, asked, _ in filters if asked is not None]
    all_of += [f"{name} {asked}" for name, asked in (("id", wanted.run), ("start since", wanted.since)) if asked]
    return f"No run of {' with '.join(all_of)} in {place}, only of each with others: 'mcode results' shows all."


def named(paths: Sequence[str], run_id: str, wanted: Wanted = ANY) -> Located:
    """The run of that id, or the only one whose id begins so, of those that are wanted; ``last`` is the newest.

    Raises:
        UsageError: There is none, or there are several.
    """
    found = located(paths, replace(wanted, run=None if run_id == LAST else run_id))
    exact = [its for its in found if its.run.id == run_id]
    if len(found) > 1 and not exact and run_id != LAST:
        ids = [its.run.id for its in found]
        more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
        raise UsageError(f"Several runs begin with {run_id}: {', '.join(ids[:NAMED])}{more}. Name one of them.")
    return (exact or found)[0]


def newest(paths: Sequence[str], wanted: Wanted) -> Located:
    """The newest of the runs that are asked for.

    Raises:
        UsageError: There is none.
    """
    return located(paths, wanted)[0]


def figures_of(its: Located) -> Figures:
    """The figures of one run."""
    if len(its.places) > 1:
        return computed(its.run, summed(results_of(its)))
    with _opened(its.places[0]) as database:
        return figures(database, its.run)


def all_figures(found: Sequence[Located], wanted: Wanted) -> list[Figures]:
    """The figures of many runs in their order; those of one database are read at once, unless but one is wanted."""
    if len(found) == 1:
        return [figures_of(found[0])]
    whole = [its for its in found if len(its.places) == 1]
    made: dict[str, Figures] = {}
    for place in dict.fromkeys(its.places[0] for its in whole):
        with _opened(place) as database:
            read = of_runs(database, benchmark=wanted.benchmark, model=wanted.model)
        made |= {figured.run.id: figured for figured in read}
    return [made[its.run.id] if len(its.places) == 1 else figures_of(its) for its in found]


def results_of(its: Located) -> list[ResultRow]:
    """The finished tasks of a run, each once: of a task in several databases, the one that was judged."""
    return [row for row, _ in _kept(its).values()]


def _kept(its: Located) -> dict[str, tuple[ResultRow, str]]:
    """By task: the row that counts, and the database that has it."""
    kept: dict[str, tuple[ResultRow, str]] = {}
    for place in its.places:
        with _opened(place) as database:
            for row in database.results(its.run.id):
                if row.task_id not in kept or kept[row.task_id][0].status == Status.ERROR:
                    kept[row.task_id] = row, place
    return kept


def attempts_of(its: Located, *task_ids: str) -> Iterator[AttemptRow]:
    """The attempts of a run, or of some of its tasks, in order; of a task in several databases, as in `results_of`."""
    if len(its.places) == 1:
        with _opened(its.places[0]) as database:
            yield from database.attempts(its.run.id, *task_ids)
        return
    homes = {task: place for task, (_, place) in _kept(its).items()}
    for place in its.places:
        with _opened(place) as database:
            yield from (row for row in database.attempts(its.run.id, *task_ids) if homes.get(row.task_id) == place)


def task_named(run: Run, rows: Sequence[ResultRow], text: str) -> ResultRow:
    """The task of a run that was meant: its id, as it is or as it is shown, or without what stands before its slash.

    Raises:
        UsageError: There is none, or there are several; the message names the nearest.
    """
    ids = {row.task_id: row for row in rows}
    if text in ids:
        return ids[text]
    meant = text.casefold()
    shown = {its: spelling.visible(its).casefold() for its in ids}
    found = [its for its, name in shown.items() if name == meant]
    found = found or [its for its, name in shown.items() if name.rpartition("/")[2] == meant]
    if len(found) == 1:
        return ids[found[0]]
    if found:
        raise UsageError(
            f"Several tasks of run {run.id} are called {text}: {', '.join(found[:NAMED])}. Name one of them."
        )
    hint = nearest(text, ids) or nearest(text, [its.rpartition("/")[2] for its in ids])
    raise UsageError(
        f"There is no task {text!r} among the {len(ids)} that are recorded of run {run.id}{hint}: "
        f"'mcode results --run {run.id} --by task' lists them."
    )


def sessions_of(its: Located) -> list[Session]:
    """The processes that have worked on a run, in the order of their start."""
    found: list[Session] = []
    for place in its.places:
        with _opened(place) as database:
            found += database.sessions(its.run.id)
    return sorted(found, key=lambda session: session.started_at)


@contextmanager
def _opened(place: str) -> Iterator[Store]:
    with closing(existing(place)) as database:
        yield database
