"""The results database: SQLite or PostgreSQL, through SQLAlchemy Core.

Only the controller writes. A finished task is one transaction, committed before the next is reported, so that
whatever kills the run leaves whole tasks and no others. A task's row holds the tally of its attempts, so that no
listing has to read their texts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from pytest_mcode import _shards
from pytest_mcode._database import AbsentError, Database, Patience
from pytest_mcode._errors import StoreError, UsageError
from pytest_mcode._rows import AttemptRow, ResultRow, Spent, Tasks, attempt_row, result_row, storable, tally
from pytest_mcode._runs import Run, Session, Shard, absent, now, one_of, run_row, taken, to_run, wall
from pytest_mcode._tables import ATTEMPTS, MIGRATIONS, RESULTS, RUNS, SAMPLES, SESSIONS
from pytest_mcode._tallies import tasks, with_tallies
from pytest_mcode._types import Status, TaskResult

__all__ = [
    "Patience",
    "Run",
    "Session",
    "Shard",
    "Store",
    "absent",
    "existing",
    "if_there",
    "now",
    "one_of",
    "rehearse",
    "taken",
    "wall",
]

T = TypeVar("T")
#: What an attempt's row holds of what it did not get to.
_NO_ATTEMPT = dict.fromkeys(ATTEMPTS.columns.keys())


class _Entered(NamedTuple):
    """This process's session of a run: its number, the shard it works on, and when it began by the steady clock."""

    session: int
    shard: int | None
    started: float


class Store:
    """A results database, made on first use.

    Args:
        address: A SQLite file, or the URL of a database of PostgreSQL.
        migrations: The changes of its tables so far; their number says which version of them this is.
        patience: How long a server is tried again.
        making: Whether a database without tables is given them.

    Raises:
        StoreError: It cannot be opened, read or written; the message names it and the cause.
    """

    def __init__(
        self,
        address: str,
        *,
        migrations: Sequence[Sequence[str]] = MIGRATIONS,
        patience: Patience | None = None,
        making: bool = True,
    ) -> None:
        self._entered: dict[str, _Entered] = {}
        self.database = Database(address, patience or Patience())
        self.path = self.database.dialect.shown
        try:
            self.database.prepare(migrations, making=making)
        except StoreError:
            self.close()
            raise

    def begin(
        self,
        run: Run,
        shard: Shard | None = None,
        *,
        tasks: Iterable[str] = (),
        agreed: Callable[[Run], None] = lambda _: None,
    ) -> None:
        """Record that a run has started, or a shard of it: the first one makes the run's row, and others join.

        Args:
            run: Its row.
            shard: The part that starts; None is the whole.
            tasks: The ids of its tasks.
            agreed: Takes the row that is there already, and raises if the shard is no part of that run.

        Raises:
            UsageError: The run, or this shard of it, is there already.
        """

        def work(connection: sa.Connection) -> None:
            self.database.dialect.lock(connection, "run", run.id)
            row = self._stored(run_row(run))
            its = RUNS.c.id == row["id"]
            there = connection.execute(sa.select(RUNS).where(its)).one_or_none()
            if there is None:
                connection.execute(RUNS.insert(), [row])
            elif shard is not None:
                agreed(self._runs(connection, its)[0])
            elif there._asdict() != row:  # else it is our own: only the answer to the commit was lost
                raise UsageError(taken(run.id, None))
            if shard is not None:
                _shards.hold(connection, run.id)
                _shards.join(connection, run.id, shard, map(self._text, tasks))

        self.database.write(work)

    def enter(self, run_id: str, host: str, process: str, shard: int | None = None) -> None:
        """Record that this process goes on with a run, or with a shard of it."""
        row = {"run_id": run_id, **asdict(Session(host, process, now(), shard=shard))}

        def work(connection: sa.Connection) -> int:
            _shards.hold(connection, run_id)
            self._mark(connection, run_id, shard, None)
            return self._session(connection, row)

        self._entered[run_id] = _Entered(self.database.write(work), shard, time.monotonic())

    def _session(self, connection: sa.Connection, row: Mapping[str, Any]) -> int:
        """The number of a session, which is recorded unless it is."""
        its = [SESSIONS.c[name] == row[name] for name in ("run_id", "host", "process", "started_at")]
        found = connection.execute(sa.select(SESSIONS.c.session).where(*its)).scalar()
        if found is not None:
            return int(found)
        count = sa.select(sa.func.count()).where(SESSIONS.c.run_id == row["run_id"])
        number: int = connection.execute(count).scalar_one()
        self._insert(connection, SESSIONS, [{**row, "session": number}])
        return number

    def leave(self, run_id: str) -> None:
        """Record that this process has ended its work on a run."""
        ended_at = now()
        self.database.write(lambda connection: self._count(connection, run_id, ended_at=ended_at))

    def sessions(self, run_id: str) -> Sequence[Session]:
        """The processes that have worked on a run, in order."""
        columns = [SESSIONS.c[name] for name in Session.__dataclass_fields__]
        query = sa.select(*columns).where(SESSIONS.c.run_id == run_id).order_by(SESSIONS.c.session)
        return [Session(**row._asdict()) for row in self._select(query)]

    def judged(self, run_id: str, shard: int | None = None) -> Sequence[str]:
        """The tasks of a run, or of one of its shards, that are solved or unsolved; as they are stored."""
        query = sa.select(RESULTS.c.task_id).where(RESULTS.c.run_id == run_id)
        if shard is not None:
            query = query.where(sa.or_(RESULTS.c.shard == shard, RESULTS.c.shard.is_(None)))  # null: an older mCode's
        return [row.task_id for row in self._select(query.where(RESULTS.c.status != Status.ERROR.value))]

    def _count(self, connection: sa.Connection, run_id: str, **more: str) -> None:
        """Keep the seconds of this process's session, if it has one."""
        if run_id in self._entered:
            number, _, started = self._entered[run_id]
            its = SESSIONS.c.run_id == run_id, SESSIONS.c.session == number
            connection.execute(SESSIONS.update().where(*its).values(seconds=time.monotonic() - started, **more))

    def put(self, run_id: str, result: TaskResult) -> None:
        """Record a finished task, in place of what an earlier try left of it."""
        key = {"run_id": run_id, "task_id": self._text(result.task_id)}
        shard = self._entered[run_id].shard if run_id in self._entered else None
        samples = [{"sample": s.index, "seed": s.seed, "status": s.status.value} for s in result.samples]
        attempts = [attempt_row(drawn.index, attempt) for drawn in result.samples for attempt in drawn.attempts]
        row = {**key, **result_row(result), **tally(map(Spent.of, attempts))._asdict(), "shard": shard}

        def work(connection: sa.Connection) -> None:
            self.database.dialect.lock(connection, "task", *key.values())
            for table in (RESULTS, SAMPLES, ATTEMPTS):
                connection.execute(table.delete().where(*(table.c[name] == value for name, value in key.items())))
            self._insert(connection, SAMPLES, [{**key, **each} for each in samples])
            self._insert(connection, ATTEMPTS, [{**_NO_ATTEMPT, **key, **each} for each in attempts])
            self._insert(connection, RESULTS, [row])
            self._count(connection, run_id)

        self.database.write(work)

    def finish(self, run_id: str) -> None:
        """Record that every planned task of the run, or of this process's shard, was judged or has met an error."""
        shard = self._entered[run_id].shard if run_id in self._entered else None
        finished_at = now()

        def work(connection: sa.Connection) -> None:
            _shards.hold(connection, run_id)
            self._mark(connection, run_id, shard, finished_at)

        self.database.write(work)

    def _mark(self, connection: sa.Connection, run_id: str, shard: int | None, finished_at: str | None) -> None:
        """Record whether a run, or a shard of it, is finished."""
        if shard is None:
            connection.execute(RUNS.update().where(RUNS.c.id == run_id).values(finished_at=finished_at))
        else:
            _shards.mark(connection, run_id, shard, finished_at)

    def runs(self, *, benchmark: str | None = None, model: str | None = None, run_id: str | None = None) -> list[Run]:
        """The runs of that benchmark, model and id, newest first; None is any."""
        where = self._as_wanted(benchmark=benchmark, model=model, id=run_id)
        return self.database.look(lambda connection: self._runs(connection, *where))

    def _runs(self, connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[Run]:
        shards = _shards.of_runs(connection, *where)
        query = sa.select(RUNS).where(*where).order_by(RUNS.c.started_at.desc(), RUNS.c.id)
        return [to_run(row, shards.get(row.id, ())) for row in connection.execute(query)]

    def tasks(
        self, *, benchmark: str | None = None, model: str | None = None, run_id: str | None = None
    ) -> Mapping[str, Tasks]:
        """The finished tasks of the runs of that benchmark, model and id, by the run's id; None is any.

        The attempts are not read, unless there are results without their tally: an older mCode or somebody's own SQL
        has written there.
        """
        where = self._in_runs(benchmark=benchmark, model=model, id=run_id)

        def bare(found: Mapping[str, Tasks]) -> list[str]:
            return [run for run, its in found.items() if None in its.verdicts]

        return with_tallies(
            self.database, lambda connection: tasks(connection, self.database.dialect, where), bare, where
        )

    def progress(self, run_id: str) -> Mapping[int | None, Mapping[Status, int]]:
        """How many tasks of each shard of a run came to what; None is no shard."""
        return self.database.read(lambda connection: _shards.progress(connection, run_id))

    def results(self, run_id: str) -> list[ResultRow]:
        """The finished tasks of a run, one by one, in the order of their ids; each has its tally."""
        columns = [RESULTS.c[name] for name in ResultRow._fields]
        query = sa.select(*columns).where(RESULTS.c.run_id == run_id).order_by(RESULTS.c.task_id)
        return with_tallies(
            self.database,
            lambda connection: [ResultRow._make(row) for row in connection.execute(query)],
            lambda found: [run_id] if any(row.verdicts is None for row in found) else [],
            [RESULTS.c.run_id == run_id],
        )

    def attempts(self, run_id: str, *task_ids: str) -> Iterator[AttemptRow]:
        """The attempts of a run, or of some of its tasks, with all their texts, in order; read while asked for."""
        columns = [ATTEMPTS.c[name] for name in AttemptRow._fields]
        query = sa.select(*columns).where(ATTEMPTS.c.run_id == run_id)
        if task_ids:
            query = query.where(ATTEMPTS.c.task_id.in_(task_ids))
        query = query.order_by(ATTEMPTS.c.task_id, ATTEMPTS.c.sample, ATTEMPTS.c.attempt)
        with self.database.reading() as connection:
            yield from map(AttemptRow._make, connection.execution_options(yield_per=200).execute(query))

    def seconds(self, benchmark: str, model: str) -> Mapping[str, float]:
        """Mean seconds that each task of a benchmark took that model, over all runs."""
        query = (
            sa.select(RESULTS.c.task_id, sa.func.avg(RESULTS.c.seconds).label("seconds"))
            .join(RUNS, RUNS.c.id == RESULTS.c.run_id)
            .where(RUNS.c.benchmark == benchmark, RUNS.c.model == model)
            .group_by(RESULTS.c.task_id)
        )
        return {row.task_id: row.seconds for row in self._select(query)}

    def close(self) -> None:
        """Close the connections."""
        self.database.close()

    def _select(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        return self.database.read(lambda connection: connection.execute(query).all())

    def _text(self, text: str) -> str:
        """A text as the database holds it."""
        return self.database.dialect.text(storable(text))

    def _stored(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._text(value) if isinstance(value, str) else value for name, value in row.items()}

    def _insert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            connection.execute(table.insert(), [self._stored(row) for row in rows])

    def _as_wanted(self, **wanted: str | None) -> list[sa.ColumnElement[bool]]:
        """That a run's columns have these values; None is any."""
        return [RUNS.c[name] == self._text(value) for name, value in wanted.items() if value is not None]

    def _in_runs(self, **wanted: str | None) -> list[sa.ColumnElement[bool]]:
        """That a result is of a run whose columns have these values."""
        where = self._as_wanted(**wanted)
        return [RESULTS.c.run_id.in_(sa.select(RUNS.c.id).where(*where))] if where else []


def existing(address: str) -> Store:
    """Open a database that must be there already.

    Raises:
        StoreError: It is not.
    """
    return Store(address, making=False)


def if_there(address: str) -> Store | None:
    """Open a database; None if it is not there, or without tables.

    Raises:
        StoreError: It cannot be read.
    """
    try:
        return existing(address)
    except AbsentError:
        return None


def rehearse(address: str) -> None:
    """See whether a run could be recorded on a server, and leave all as it is.

    Raises:
        StoreError: It could not.
    """
    database = Database(address, Patience())
    try:
        database.rehearse(MIGRATIONS)
    finally:
        database.close()
