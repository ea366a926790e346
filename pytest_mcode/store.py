"""The results database: SQLite through SQLAlchemy Core. The tables below are a contract: add, do not rename.

Only the controller writes. A finished task is one transaction, committed before the next is reported, so that
whatever kills the run leaves whole tasks and no others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pytest_mcode._errors import StoreError
from pytest_mcode._types import Attempt, TaskResult

#: The SQL of every change of the tables, oldest first: number n leads from version n + 1 to n + 2. A new table needs
#: none, because tables that are missing are made.
MIGRATIONS: Sequence[Sequence[str]] = ()

METADATA = sa.MetaData()
SCHEMA = sa.Table("schema", METADATA, sa.Column("version", sa.Integer, nullable=False))
RUNS = sa.Table(
    "runs",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("benchmark", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("backend", sa.Text, nullable=False),
    sa.Column("config", sa.Text, nullable=False, comment="JSON: every option"),
    sa.Column("config_hash", sa.Text, nullable=False),
    sa.Column("dataset_fingerprint", sa.Text, nullable=False),
    sa.Column("planned", sa.Integer, nullable=False, comment="number of tasks"),
    sa.Column("started_at", sa.Text, nullable=False, comment="ISO 8601, UTC"),
    sa.Column("finished_at", sa.Text, comment="null: not finished"),
    sa.Column("versions", sa.Text, nullable=False, comment="JSON: packages, server, model digest, data set's origin"),
    sa.Index("runs_by_benchmark", "benchmark", "model"),
)


def _task_key(parent: str) -> list[sa.Column[Any]]:
    """The columns that say which run and task a row belongs to."""
    run_id = sa.Column("run_id", sa.Text, sa.ForeignKey(parent), primary_key=True)
    return [run_id, sa.Column("task_id", sa.Text, primary_key=True)]


RESULTS = sa.Table(
    "results",
    METADATA,
    *_task_key("runs.id"),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("solved_sample", sa.Integer),
    sa.Column("solved_attempt", sa.Integer),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
)
SAMPLES = sa.Table(
    "samples",
    METADATA,
    *_task_key("runs.id"),
    sa.Column("sample", sa.Integer, primary_key=True),
    sa.Column("seed", sa.Integer, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
)
ATTEMPTS = sa.Table(
    "attempts",
    METADATA,
    *_task_key("runs.id"),
    sa.Column("sample", sa.Integer, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("prompt", sa.Text, comment="JSON: the turns that were sent, [{role, content}]"),
    sa.Column("completion", sa.Text),
    sa.Column("thinking", sa.Text),
    sa.Column("solution", sa.Text),
    sa.Column("stdout", sa.Text),
    sa.Column("stderr", sa.Text),
    sa.Column("exit_code", sa.Integer),
    sa.Column("generation_seconds", sa.Float),
    sa.Column("generation_tries", sa.Integer, comment="1 unless the server failed at first"),
    sa.Column("execution_seconds", sa.Float),
    sa.Column("execution_mode", sa.Text, comment="isolated, or two-phase"),
    sa.Column("first_execution_seconds", sa.Float, comment="of the try before, if a timeout was tried again alone"),
    sa.Column("prompt_tokens", sa.Integer),
    sa.Column("completion_tokens", sa.Integer),
    sa.Column("finish_reason", sa.Text),
    sa.Column("error", sa.Text, nullable=False),
)


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
            if _version(connection, self.path) == 1 + len(migrations):
                return
        with self._writing() as connection:
            _migrate(connection, self.path, migrations)
        with self._errors(), self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")  # lets readers in while a run writes

    def begin(self, run: Run) -> None:
        """Record that a run has started."""
        with self._writing() as connection:
            _insert(connection, RUNS, [_run_row(run)])

    def put(self, run_id: str, result: TaskResult) -> None:
        """Record a finished task, in place of what an earlier try left of it."""
        key = {"run_id": run_id, "task_id": _text(result.task_id)}
        with self._writing() as connection:
            for table in (ATTEMPTS, SAMPLES, RESULTS):
                connection.execute(table.delete().where(*(table.c[name] == value for name, value in key.items())))
            _insert(connection, RESULTS, [{**key, **_result_row(result)}])
            for drawn in result.samples:
                place = {**key, "sample": drawn.index}
                _insert(connection, SAMPLES, [{**place, "seed": drawn.seed, "status": drawn.status.value}])
                _insert(connection, ATTEMPTS, [{**_attempt_row(a), **place} for a in drawn.attempts])

    def finish(self, run_id: str) -> None:
        """Record that every planned task of the run has been judged or has met an error."""
        with self._writing() as connection:
            connection.execute(RUNS.update().where(RUNS.c.id == run_id).values(finished_at=now()))

    def runs(self, *, benchmark: str | None = None, model: str | None = None) -> list[Run]:
        """The runs of that benchmark and model, newest first; None is any."""
        query = sa.select(RUNS).order_by(RUNS.c.started_at.desc(), RUNS.c.id)
        if benchmark is not None:
            query = query.where(RUNS.c.benchmark == benchmark)
        if model is not None:
            query = query.where(RUNS.c.model == model)
        return [_to_run(row) for row in self._select(query)]

    def outcomes(self, run_id: str) -> list[Mapping[str, Any]]:
        """One mapping a task of the run: ``task_id``, ``status``, ``seconds``, ``error``."""
        return self._select(sa.select(RESULTS).where(RESULTS.c.run_id == run_id).order_by(RESULTS.c.task_id))

    def verdicts(self, run_id: str) -> list[Mapping[str, Any]]:
        """One mapping an attempt of the run, in order, without its texts."""
        columns = (
            ATTEMPTS.c.task_id,
            ATTEMPTS.c.sample,
            ATTEMPTS.c.attempt,
            ATTEMPTS.c.verdict,
            ATTEMPTS.c.generation_seconds,
            ATTEMPTS.c.execution_seconds,
            ATTEMPTS.c.prompt_tokens,
            ATTEMPTS.c.completion_tokens,
        )
        order = (ATTEMPTS.c.task_id, ATTEMPTS.c.sample, ATTEMPTS.c.attempt)
        return self._select(sa.select(*columns).where(ATTEMPTS.c.run_id == run_id).order_by(*order))

    def seconds(self, benchmark: str, model: str) -> Mapping[str, float]:
        """Mean seconds that each task of a benchmark took that model, over all runs."""
        query = (
            sa.select(RESULTS.c.task_id, sa.func.avg(RESULTS.c.seconds).label("seconds"))
            .join(RUNS, RUNS.c.id == RESULTS.c.run_id)
            .where(RUNS.c.benchmark == benchmark, RUNS.c.model == model)
            .group_by(RESULTS.c.task_id)
        )
        return {row["task_id"]: row["seconds"] for row in self._select(query)}

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _select(self, query: sa.Select[Any]) -> list[Mapping[str, Any]]:
        with self._errors(), self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

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


def _version(connection: sa.Connection, path: str) -> int:
    """The version of the tables; 0 where there are none."""
    tables = sa.inspect(connection).get_table_names()
    if tables and SCHEMA.name not in tables:
        raise StoreError(f"{path} is a database, but not one of mCode's: name another file with --mcode-db.")
    version: int = connection.execute(sa.select(SCHEMA.c.version)).scalar_one() if tables else 0
    return version


def _migrate(connection: sa.Connection, path: str, migrations: Sequence[Sequence[str]]) -> None:
    """Make the tables, or bring those of an older version up to date."""
    version, newest = _version(connection, path), 1 + len(migrations)
    if version > newest:
        raise StoreError(
            f"The results database {path} was written by a newer mCode (schema {version}, this one knows {newest}): "
            f"update pytest-mcode, or name another file with --mcode-db."
        )
    if version:
        for statement in chain.from_iterable(migrations[version - 1 :]):
            connection.exec_driver_sql(statement)
    METADATA.create_all(connection)
    connection.execute(SCHEMA.delete())
    connection.execute(SCHEMA.insert(), [{"version": newest}])


def _insert(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    texts = [{name: _text(v) if isinstance(v, str) else v for name, v in row.items()} for row in rows]
    connection.execute(table.insert(), texts)


def _text(text: str) -> str:
    """The text with lone surrogates, which no database takes, spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _run_row(run: Run) -> dict[str, Any]:
    row = {column.name: getattr(run, column.name) for column in RUNS.columns}
    return {**row, "config": json.dumps(run.config), "versions": json.dumps(run.versions)}


def _to_run(row: Mapping[Any, Any]) -> Run:
    return Run(**{**row, "config": json.loads(row["config"]), "versions": json.loads(row["versions"])})


def _result_row(result: TaskResult) -> dict[str, Any]:
    sample, attempt = result.solved_by or (None, None)
    return {
        "status": result.status.value,
        "solved_sample": sample,
        "solved_attempt": attempt,
        "seconds": result.seconds,
        "error": result.error,
    }


def _attempt_row(attempt: Attempt) -> dict[str, Any]:
    completion, execution = attempt.completion, attempt.execution
    row: dict[str, Any] = dict.fromkeys(ATTEMPTS.columns.keys())
    row.update(attempt=attempt.index, verdict=attempt.verdict.value, solution=attempt.solution, error=attempt.error)
    if completion is not None:
        row.update(
            prompt=json.dumps([asdict(turn) for turn in completion.prompt]),
            completion=completion.text,
            thinking=completion.thinking,
            generation_seconds=completion.seconds,
            generation_tries=completion.tries,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            finish_reason=completion.finish_reason,
        )
    if execution is not None:
        row.update(
            stdout=execution.stdout,
            stderr=execution.stderr,
            exit_code=execution.exit_code,
            execution_seconds=execution.seconds,
            execution_mode=execution.mode.value,
            first_execution_seconds=execution.first_seconds,
        )
    return row
