"""The tables of the results database, which are a contract: add, do not rename. Older ones are brought up to date."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import sqlalchemy as sa

from pytest_mcode._errors import StoreError

#: The SQL of every change of the tables, oldest first: number n leads from version n + 1 to n + 2. A new table or
#: trigger needs none, because those that are missing are made.
MIGRATIONS: Sequence[Sequence[str]] = (
    (
        "ALTER TABLE results ADD COLUMN verdicts TEXT",
        "ALTER TABLE results ADD COLUMN prompt_tokens INTEGER",
        "ALTER TABLE results ADD COLUMN completion_tokens INTEGER",
        "ALTER TABLE results ADD COLUMN generation_seconds FLOAT",
        "ALTER TABLE results ADD COLUMN execution_seconds FLOAT",
    ),
    (),  # the table sessions
    (  # and the table shards
        "ALTER TABLE results ADD COLUMN shard INTEGER",
        # As the third version had it: it was made where an older database was opened, and is not there before.
        (
            "CREATE TABLE IF NOT EXISTS sessions (run_id TEXT NOT NULL, session INTEGER NOT NULL, host TEXT NOT NULL, "
            "process TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT, seconds FLOAT NOT NULL, "
            "PRIMARY KEY (run_id, session), FOREIGN KEY(run_id) REFERENCES runs (id))"
        ),
        "ALTER TABLE sessions ADD COLUMN shard INTEGER",
    ),
)
#: Text that is sorted by its bytes everywhere, not by a language that a server was set up for.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
#: A number that some server tells: it may be any.
COUNT = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
METADATA = sa.MetaData()
SCHEMA = sa.Table("schema", METADATA, sa.Column("version", sa.Integer, nullable=False))
RUNS = sa.Table(
    "runs",
    METADATA,
    sa.Column("id", TEXT, primary_key=True),
    sa.Column("benchmark", TEXT, nullable=False),
    sa.Column("model", TEXT, nullable=False),
    sa.Column("backend", sa.Text, nullable=False),
    sa.Column("config", sa.Text, nullable=False, comment="JSON: every option"),
    sa.Column("config_hash", sa.Text, nullable=False),
    sa.Column("dataset_fingerprint", sa.Text, nullable=False),
    sa.Column("planned", sa.Integer, nullable=False, comment="number of tasks"),
    sa.Column("started_at", TEXT, nullable=False, comment="ISO 8601, UTC"),
    sa.Column("finished_at", sa.Text, comment="null: not finished"),
    sa.Column("versions", sa.Text, nullable=False, comment="JSON: packages, server, model digest, data set's origin"),
    sa.Index("runs_by_benchmark", "benchmark", "model"),
)


def _task_key(parent: str) -> list[sa.Column[Any]]:
    """The columns that say which run and task a row belongs to."""
    run_id = sa.Column("run_id", TEXT, sa.ForeignKey(parent), primary_key=True)
    return [run_id, sa.Column("task_id", TEXT, primary_key=True)]


RESULTS = sa.Table(
    "results",
    METADATA,
    *_task_key("runs.id"),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("solved_sample", sa.Integer),
    sa.Column("solved_attempt", sa.Integer),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    # The tally of the attempts, which their texts make slow to read.
    sa.Column("verdicts", sa.Text, comment="a letter an attempt, samples parted by spaces; null: there is no tally"),
    sa.Column("prompt_tokens", COUNT),
    sa.Column("completion_tokens", COUNT),
    sa.Column("generation_seconds", sa.Float),
    sa.Column("execution_seconds", sa.Float),
    sa.Column("shard", sa.Integer, comment="which recorded it; null: the run is not cut into shards"),
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
    sa.Column("prompt_tokens", COUNT),
    sa.Column("completion_tokens", COUNT),
    sa.Column("finish_reason", sa.Text),
    sa.Column("error", sa.Text, nullable=False),
)

SESSIONS = sa.Table(
    "sessions",
    METADATA,
    sa.Column("run_id", TEXT, sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("session", sa.Integer, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("process", sa.Text, nullable=False, comment="its number, and where known when it started"),
    sa.Column("started_at", TEXT, nullable=False, comment="ISO 8601, UTC"),
    sa.Column("ended_at", sa.Text, comment="null: under way, or killed"),
    sa.Column("seconds", sa.Float, nullable=False, comment="wall, up to the last task that it recorded"),
    sa.Column("shard", sa.Integer, comment="which it worked on; null: the run is not cut into shards"),
)
SHARDS = sa.Table(
    "shards",
    METADATA,
    sa.Column("run_id", TEXT, sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("shard", sa.Integer, primary_key=True, comment="from 0"),
    sa.Column("shard_count", sa.Integer, nullable=False),
    sa.Column("planned", sa.Integer, nullable=False, comment="number of its tasks"),
    sa.Column("whole", sa.Integer, nullable=False, comment="number of tasks that were cut; 0: not known"),
    sa.Column("selection", sa.Text, nullable=False, comment="SHA-256 over the ids of its tasks"),
    sa.Column("tasks", sa.Text, nullable=False, comment="JSON: the ids of its tasks"),
    sa.Column("started_at", TEXT, nullable=False, comment="ISO 8601, UTC"),
    sa.Column("finished_at", sa.Text, comment="null: tasks are left"),
)


def version_of(connection: sa.Connection, path: str) -> int:
    """The version of the tables; 0 where there are none."""
    tables = sa.inspect(connection).get_table_names()
    if tables and SCHEMA.name not in tables:
        raise StoreError(f"{path} is a database, but not one of mCode's: name another with --mcode-db.")
    version: int = connection.execute(sa.select(SCHEMA.c.version)).scalar_one() if tables else 0
    return version


def migrate(connection: sa.Connection, path: str, migrations: Sequence[Sequence[str]], triggers: Sequence[str]) -> None:
    """Make the tables, or bring those of an older version up to date."""
    version, newest = version_of(connection, path), 1 + len(migrations)
    if version > newest:
        raise StoreError(
            f"The results database {path} was written by a newer mCode (schema {version}, this one knows {newest}): "
            f"update pytest-mcode, or name another with --mcode-db."
        )
    if version:
        for statement in chain.from_iterable(migrations[version - 1 :]):
            connection.exec_driver_sql(statement)
    METADATA.create_all(connection)
    for trigger in triggers:
        connection.exec_driver_sql(trigger)
    connection.execute(SCHEMA.delete())
    connection.execute(SCHEMA.insert(), [{"version": newest}])
