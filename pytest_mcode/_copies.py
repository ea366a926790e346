"""Rows as they are stored, on their way from one database to another. Doing it twice comes to the same as once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from pytest_mcode import _shards
from pytest_mcode._database import Database
from pytest_mcode._runs import Run, Session, Shard, run_row
from pytest_mcode._tables import ATTEMPTS, RESULTS, RUNS, SAMPLES, SESSIONS, SHARDS

#: Tasks of one transaction: few enough for their texts to be held in memory.
BATCH = 100

Rows = list[dict[str, Any]]


def tasks(database: Database, run_id: str) -> dict[int, list[str]]:
    """The ids of the tasks of each shard of a run that has begun; none of one that an older mCode recorded."""
    query = sa.select(SHARDS.c.shard, SHARDS.c.tasks).where(SHARDS.c.run_id == run_id)
    return database.read(lambda connection: {shard: json.loads(ids) for shard, ids in connection.execute(query)})


def carry(source: Database, target: Database, run_id: str, task_ids: Sequence[str], shard: int | None) -> None:
    """Have the target hold these tasks of a run as the source does.

    Args:
        source: Where they are.
        target: Where they go; it must know the run.
        run_id: The run's id.
        task_ids: As they are stored.
        shard: Whose they are, where their rows do not tell.
    """
    for at in range(0, len(task_ids), BATCH):
        ids = task_ids[at : at + BATCH]
        rows = {table: _rows(source, table, run_id, ids) for table in (SAMPLES, ATTEMPTS, RESULTS)}
        for row in rows[RESULTS]:
            row["shard"] = shard if row["shard"] is None else row["shard"]
        _take(target, run_id, ids, rows)


def _rows(database: Database, table: sa.Table, run_id: str, task_ids: Sequence[str]) -> Rows:
    query = sa.select(table).where(table.c.run_id == run_id, table.c.task_id.in_(task_ids))
    return database.read(lambda connection: [dict(row) for row in connection.execute(query).mappings()])


def _take(database: Database, run_id: str, task_ids: Sequence[str], rows: Mapping[sa.Table, Rows]) -> None:
    def work(connection: sa.Connection) -> None:
        database.dialect.lock(connection, "run", run_id)
        for table in (RESULTS, SAMPLES, ATTEMPTS):
            connection.execute(table.delete().where(table.c.run_id == run_id, table.c.task_id.in_(task_ids)))
        for table, its in rows.items():
            if its:
                connection.execute(table.insert(), [_held(database, row) for row in its])

    database.write(work)


def _held(database: Database, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as that database can hold it."""
    return {name: database.dialect.text(value) if isinstance(value, str) else value for name, value in row.items()}


def enter(database: Database, run: Run, tasks: Mapping[int, Sequence[str]], sessions: Sequence[Session]) -> None:
    """Record a run with its shards and the processes that worked on it, or complete what is recorded of it."""

    def work(connection: sa.Connection) -> None:
        database.dialect.lock(connection, "run", run.id)
        row = _held(database, run_row(run))
        if not connection.execute(RUNS.update().where(RUNS.c.id == run.id).values(row)).rowcount:
            connection.execute(RUNS.insert(), [row])
        for shard in run.shards:
            _enter_shard(connection, run.id, shard, tasks.get(shard.index, ()))
        _enter_sessions(connection, run.id, sessions)

    database.write(work)


def _enter_shard(connection: sa.Connection, run_id: str, shard: Shard, tasks: Sequence[str]) -> None:
    values = {column: getattr(shard, name) for column, name in _shards.COLUMNS.items()}
    row = {"run_id": run_id, **values, "tasks": json.dumps(list(tasks))}
    its = SHARDS.c.run_id == run_id, SHARDS.c.shard == shard.index
    if not connection.execute(SHARDS.update().where(*its).values(row)).rowcount:
        connection.execute(SHARDS.insert(), [row])


def _enter_sessions(connection: sa.Connection, run_id: str, sessions: Sequence[Session]) -> None:
    """Those that are there keep their numbers: a process may just be counting on its own."""
    key = ("host", "process", "started_at")
    query = sa.select(SESSIONS).where(SESSIONS.c.run_id == run_id)
    there = {tuple(getattr(row, name) for name in key): row for row in connection.execute(query)}
    number = 1 + max((row.session for row in there.values()), default=-1)
    for session in sessions:
        row = there.get((session.host, session.process, session.started_at))
        if row is None:
            connection.execute(SESSIONS.insert(), [{"run_id": run_id, "session": number, **asdict(session)}])
            number += 1
        elif row.seconds < session.seconds or row.ended_at is None:
            its = SESSIONS.c.run_id == run_id, SESSIONS.c.session == row.session
            longest = max(row.seconds, session.seconds)
            connection.execute(SESSIONS.update().where(*its).values(seconds=longest, ended_at=session.ended_at))
