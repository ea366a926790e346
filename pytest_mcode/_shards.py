"""The shards of a run as a database has them: parts with tasks of their own, which any number of processes work on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter

import sqlalchemy as sa

from pytest_mcode._errors import UsageError
from pytest_mcode._rows import storable
from pytest_mcode._runs import Shard, ended, planned, taken
from pytest_mcode._tables import RESULTS, RUNS, SHARDS
from pytest_mcode._types import Status

#: The fields of a `Shard`, by the column of each.
COLUMNS = {
    "shard": "index",
    "shard_count": "count",
    "planned": "planned",
    "whole": "whole",
    "selection": "selection",
    "started_at": "started_at",
    "finished_at": "finished_at",
}


def of_runs(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> dict[str, tuple[Shard, ...]]:
    """The shards of the runs for which that is true, by the run's id, in order."""
    columns = [SHARDS.c[name] for name in COLUMNS]
    query = sa.select(SHARDS.c.run_id, *columns).join(RUNS, RUNS.c.id == SHARDS.c.run_id).where(*where)
    rows = connection.execute(query.order_by(SHARDS.c.run_id, SHARDS.c.shard))
    return {run: tuple(Shard(*row[1:]) for row in its) for run, its in groupby(rows, itemgetter(0))}


def hold(connection: sa.Connection, run_id: str) -> None:
    """Let no other transaction change the run's row or its shards until this one has ended."""
    connection.execute(sa.select(RUNS.c.id).where(RUNS.c.id == run_id).with_for_update(key_share=True))


def join(connection: sa.Connection, run_id: str, shard: Shard, tasks: Iterable[str]) -> None:
    """Record a shard with the ids of its tasks, and what the whole run now has planned; the run must be held.

    Raises:
        UsageError: It has begun already.
    """
    there = of_runs(connection, RUNS.c.id == run_id).get(run_id, ())
    same = next((other for other in there if other.index == shard.index), None)
    if same is not None and same != shard:
        raise UsageError(taken(run_id, shard.index))
    if same is None:
        row = {column: getattr(shard, name) for column, name in COLUMNS.items()}
        ids = json.dumps([storable(task_id) for task_id in tasks])
        connection.execute(SHARDS.insert(), [{"run_id": run_id, **row, "tasks": ids}])
    refresh(connection, run_id)


def refresh(connection: sa.Connection, run_id: str) -> None:
    """Have the run's row say what its shards come to; the run must be held."""
    there = of_runs(connection, RUNS.c.id == run_id).get(run_id, ())
    if there:
        values = {"planned": planned(there), "finished_at": ended(there)}
        connection.execute(RUNS.update().where(RUNS.c.id == run_id).values(values))


def mark(connection: sa.Connection, run_id: str, index: int, finished_at: str | None) -> None:
    """Record whether a shard is finished; the run must be held."""
    its = SHARDS.c.run_id == run_id, SHARDS.c.shard == index
    done = connection.execute(SHARDS.update().where(*its).values(finished_at=finished_at))
    if done.rowcount:
        refresh(connection, run_id)
    else:  # an older mCode began it, as a run of its own
        connection.execute(RUNS.update().where(RUNS.c.id == run_id).values(finished_at=finished_at))


def progress(connection: sa.Connection, run_id: str) -> dict[int | None, dict[Status, int]]:
    """How many tasks of each shard of a run came to what; None is no shard."""
    query = sa.select(RESULTS.c.shard, RESULTS.c.status, sa.func.count()).where(RESULTS.c.run_id == run_id)
    found: dict[int | None, dict[Status, int]] = {}
    for shard, status, count in connection.execute(query.group_by(RESULTS.c.shard, RESULTS.c.status)):
        found.setdefault(shard, {})[Status(status)] = count
    return found
