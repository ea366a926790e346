"""The results database: SQLite through SQLAlchemy Core.

Only the controller writes. A finished task is one transaction, committed before the next is reported, so that
whatever kills the run leaves whole tasks and no others. A task's row holds the tally of its attempts, so that no
listing has to read their texts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from pytest_mcode._errors import StoreError
from pytest_mcode._rows import AttemptRow, ResultRow, Spent, Tasks, attempt_row, result_row, storable, tally
from pytest_mcode._tables import ATTEMPTS, MIGRATIONS, RESULTS, RUNS, SAMPLES, SESSIONS, migrate, version_of
from pytest_mcode._tallies import make_tallies, tasks
from pytest_mcode._types import Status, TaskResult

T = TypeVar("T")
#: In one transaction a copy of the results stands before the table itself, and only this reader sees it.
_COPY = (
    "BEGIN",
    "CREATE TEMP TABLE results AS SELECT * FROM main.results",
    "CREATE INDEX temp.results_by_task ON results (run_id, task_id)",
)
#: What an attempt's row holds of what it did not get to.
_NO_ATTEMPT = dict.fromkeys(ATTEMPTS.columns.keys())


@dataclass(frozen=True)
class Run:
    """A row of ``runs``: one configuration on one benchmark."""

    id: str
    benchmark: str
    model: str
    backend: str
    config: Mapping[str, Any]
    config_hash: str
    dataset_fingerprint: str
    planned: int
    started_at: str
    finished_at: str | None
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Session:
    """A row of ``sessions``: a process that has worked on a run.

    Attributes:
        host: Name of its machine.
        process: Its number there, and where known when it started.
        started_at: As stored.
        ended_at: Likewise; None while it is under way, and where it was killed.
        seconds: Wall seconds up to the last task that it recorded.
    """

    host: str
    process: str
    started_at: str
    ended_at: str | None = None
    seconds: float = 0.0


class Store:
    """A results database, made on first use.

    Args:
        path: The SQLite file.
        migrations: The changes of its tables so far; their number says which version of them this is.

    Raises:
        StoreError: It cannot be opened, read or written; the message names the file and the cause.
    """

    def __init__(self, path: str, *, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
        self.path = path
        self._entered: dict[str, tuple[int, float]] = {}
        file = Path(path).expanduser()
        self._engine = sa.create_engine(sa.URL.create("sqlite", database=str(file)))
        sa.event.listen(self._engine, "connect", _set_up_sqlite)
        try:
            with self._errors():
                file.parent.mkdir(parents=True, exist_ok=True)
            self._prepare(migrations)
        except StoreError:
            self.close()
            raise

    def _prepare(self, migrations: Sequence[Sequence[str]]) -> None:
        """Make the tables or bring them up to date, unless they are."""
        with self._errors(), self._engine.connect() as connection:
            if version_of(connection, self.path) == 1 + len(migrations):
                return
        with self._writing() as connection:
            migrate(connection, self.path, migrations)
        with self._errors(), self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")  # lets readers in while a run writes

    def begin(self, run: Run) -> None:
        """Record that a run has started."""
        with self._writing() as connection:
            _insert(connection, RUNS, [_run_row(run)])

    def enter(self, run_id: str, host: str, process: str) -> None:
        """Record that this process goes on with a run."""
        with self._writing() as connection:
            number = connection.execute(sa.select(sa.func.count()).where(SESSIONS.c.run_id == run_id)).scalar_one()
            row = {"run_id": run_id, "session": number, **asdict(Session(host, process, now()))}
            _insert(connection, SESSIONS, [row])
            connection.execute(RUNS.update().where(RUNS.c.id == run_id).values(finished_at=None))
        self._entered[run_id] = number, time.monotonic()

    def leave(self, run_id: str) -> None:
        """Record that this process has ended its work on a run."""
        with self._writing() as connection:
            self._count(connection, run_id, ended_at=now())

    def sessions(self, run_id: str) -> Sequence[Session]:
        """The processes that have worked on a run, in order."""
        columns = [SESSIONS.c[name] for name in Session.__dataclass_fields__]
        query = sa.select(*columns).where(SESSIONS.c.run_id == run_id).order_by(SESSIONS.c.session)
        return [Session(**row._asdict()) for row in self._select(query)]

    def judged(self, run_id: str) -> Sequence[str]:
        """The tasks of a run that are solved or unsolved; lone surrogates in their ids are spelled out."""
        query = sa.select(RESULTS.c.task_id).where(RESULTS.c.run_id == run_id)
        return [row.task_id for row in self._select(query.where(RESULTS.c.status != Status.ERROR.value))]

    def _count(self, connection: sa.Connection, run_id: str, **more: str) -> None:
        """Keep the seconds of this process's session, if it has one."""
        if run_id in self._entered:
            number, started = self._entered[run_id]
            its = SESSIONS.c.run_id == run_id, SESSIONS.c.session == number
            connection.execute(SESSIONS.update().where(*its).values(seconds=time.monotonic() - started, **more))

    def put(self, run_id: str, result: TaskResult) -> None:
        """Record a finished task, in place of what an earlier try left of it."""
        key = {"run_id": run_id, "task_id": storable(result.task_id)}
        samples = [{"sample": s.index, "seed": s.seed, "status": s.status.value} for s in result.samples]
        attempts = [attempt_row(drawn.index, attempt) for drawn in result.samples for attempt in drawn.attempts]
        with self._writing() as connection:
            for table in (RESULTS, SAMPLES, ATTEMPTS):
                connection.execute(table.delete().where(*(table.c[name] == value for name, value in key.items())))
            _insert(connection, SAMPLES, [{**key, **row} for row in samples])
            _insert(connection, ATTEMPTS, [{**_NO_ATTEMPT, **key, **row} for row in attempts])
            _insert(connection, RESULTS, [{**key, **result_row(result), **tally(map(Spent.of, attempts))._asdict()}])
            self._count(connection, run_id)

    def finish(self, run_id: str) -> None:
        """Record that every planned task of the run has been judged or has met an error."""
        with self._writing() as connection:
            connection.execute(RUNS.update().where(RUNS.c.id == run_id).values(finished_at=now()))

    def runs(self, *, benchmark: str | None = None, model: str | None = None) -> list[Run]:
        """The runs of that benchmark and model, newest first; None is any."""
        query = sa.select(RUNS).where(*_as_wanted(benchmark=benchmark, model=model))
        return [_to_run(row) for row in self._select(query.order_by(RUNS.c.started_at.desc(), RUNS.c.id))]

    def tasks(
        self, *, benchmark: str | None = None, model: str | None = None, run_id: str | None = None
    ) -> Mapping[str, Tasks]:
        """The finished tasks of the runs of that benchmark, model and id, by the run's id; None is any.

        The attempts are not read, unless there are results without their tally: an older mCode or somebody's own SQL
        has written there.
        """
        where = _in_runs(benchmark=benchmark, model=model, id=run_id)

        def bare(found: Mapping[str, Tasks]) -> list[str]:
            return [run for run, its in found.items() if None in its.verdicts]

        return self._with_tallies(lambda connection: tasks(connection, where), bare, where)

    def results(self, run_id: str) -> list[ResultRow]:
        """The finished tasks of a run, one by one, in the order of their ids; each has its tally."""
        columns = [RESULTS.c[name] for name in ResultRow._fields]
        query = sa.select(*columns).where(RESULTS.c.run_id == run_id).order_by(RESULTS.c.task_id)
        return self._with_tallies(
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
        with self._errors(), self._engine.connect() as connection:
            yield from map(AttemptRow._make, connection.execution_options(yield_per=200).execute(query))

    def _with_tallies(
        self,
        read: Callable[[sa.Connection], T],
        bare: Callable[[T], Sequence[str]],
        where: Sequence[sa.ColumnElement[bool]],
    ) -> T:
        """What is read once each result has its tally, whether the database may be written or not.

        Args:
            read: Reads it, all of the same state, whoever writes in between.
            bare: The runs in what was read that have results without a tally.
            where: Which results it is about.
        """
        with self._errors(), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            found = read(connection)
        if not bare(found):
            return found
        self._keep_tallies(bare(found))
        with self._errors(), self._engine.connect() as connection:
            for statement in _COPY:
                connection.exec_driver_sql(statement)
            make_tallies(connection, *where)
            return read(connection)

    def _keep_tallies(self, runs: Iterable[str]) -> None:
        """Make the tallies that are missing, if the database may be written."""
        with suppress(StoreError):
            for run in runs:  # a transaction each: a task that is recorded meanwhile does not have to wait for long
                with self._writing() as connection:
                    make_tallies(connection, RESULTS.c.run_id == run)

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
        self._engine.dispose()

    def _select(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self._errors(), self._engine.connect() as connection:
            return connection.execute(query).all()

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """One transaction, all of it or nothing; another writer is waited for."""
        with self._errors(), self._engine.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.SQLAlchemyError, OSError) as error:
            cause = getattr(error, "orig", None) or error
            raise StoreError(
                f"The results database {self.path} cannot be used ({cause}): name another file with --mcode-db."
            ) from error


def now() -> str:
    """The time, as it is stored: ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def existing(path: str) -> Store:
    """Open a database that must be there already.

    Raises:
        StoreError: It is not.
    """
    if not Path(path).expanduser().is_file():
        raise StoreError(f"There is no results database {path}: run 'mcode bench' first, or name one with --mcode-db.")
    return Store(path)


def _set_up_sqlite(connection: Any, _: object) -> None:
    """NORMAL is safe with WAL against all but a power cut."""
    connection.isolation_level = None  # transactions are begun by us: the driver's own leave out changes of tables
    for pragma in ("busy_timeout=30000", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _insert(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    texts = [{name: storable(v) if isinstance(v, str) else v for name, v in row.items()} for row in rows]
    connection.execute(table.insert(), texts)


def _run_row(run: Run) -> dict[str, Any]:
    row = {column.name: getattr(run, column.name) for column in RUNS.columns}
    return {**row, "config": json.dumps(run.config), "versions": json.dumps(run.versions)}


def _to_run(row: sa.Row[Any]) -> Run:
    return Run(**{**row._asdict(), "config": json.loads(row.config), "versions": json.loads(row.versions)})


def _as_wanted(**wanted: str | None) -> list[sa.ColumnElement[bool]]:
    """That a run's columns have these values; None is any."""
    return [RUNS.c[name] == value for name, value in wanted.items() if value is not None]


def _in_runs(**wanted: str | None) -> list[sa.ColumnElement[bool]]:
    """That a result is of a run whose columns have these values."""
    where = _as_wanted(**wanted)
    return [RESULTS.c.run_id.in_(sa.select(RUNS.c.id).where(*where))] if where else []
