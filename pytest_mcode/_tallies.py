"""Queries over tallies: the tasks of many runs at once, and the tallies that are missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

import sqlalchemy as sa

from pytest_mcode._database import Database
from pytest_mcode._dialects import Dialect
from pytest_mcode._errors import StoreError
from pytest_mcode._rows import Spent, Tasks, tally
from pytest_mcode._tables import ATTEMPTS, RESULTS
from pytest_mcode._types import Status

T = TypeVar("T")
KEY = (RESULTS.c.run_id, RESULTS.c.task_id)


def tasks(connection: sa.Connection, dialect: Dialect, where: Iterable[sa.ColumnElement[bool]]) -> dict[str, Tasks]:
    """By run: one row each, because reading a row for each task takes three times as long."""
    its = RESULTS.c
    columns = [dialect.array(column, its.task_id) for column in (its.task_id, its.status, its.verdicts)]
    tokens = [sa.cast(sa.func.sum(column), sa.BigInteger) for column in (its.prompt_tokens, its.completion_tokens)]
    seconds, *more = (
        sa.func.coalesce(sa.func.sum(c), 0.0) for c in (its.seconds, its.generation_seconds, its.execution_seconds)
    )
    query = sa.select(its.run_id, *columns, seconds, *tokens, *more).where(*where).group_by(its.run_id)
    failed = sa.select(*KEY, its.error).where(its.status == Status.ERROR.value, *where).order_by(*KEY)
    faults = {
        run: {task_id: error for _, task_id, error in rows}
        for run, rows in groupby(connection.execute(failed), itemgetter(0))
    }
    return {
        run: Tasks._make([*map(json.loads, (ids, statuses, verdicts)), *sums, faults.get(run, {})])
        for run, ids, statuses, verdicts, *sums in connection.execute(query)
    }


def make_tallies(connection: sa.Connection, where: Iterable[sa.ColumnElement[bool]]) -> None:
    """Make the tallies of those results that have none."""
    theirs = sa.and_(*(ATTEMPTS.c[column.name] == column for column in KEY))
    query = sa.select(*KEY, *(ATTEMPTS.c[name] for name in Spent._fields)).outerjoin(ATTEMPTS, theirs)
    rows = connection.execute(query.where(RESULTS.c.verdicts.is_(None), *where).order_by(*KEY)).all()
    made = [
        {"its_run": run, "its_task": task, **tally(Spent._make(r[2:]) for r in found if r.sample is not None)._asdict()}
        for (run, task), found in groupby(rows, itemgetter(0, 1))
    ]
    if made:
        its = RESULTS.c.run_id == sa.bindparam("its_run"), RESULTS.c.task_id == sa.bindparam("its_task")
        connection.execute(RESULTS.update().where(*its), made)


def with_tallies(
    database: Database,
    read: Callable[[sa.Connection], T],
    bare: Callable[[T], Sequence[str]],
    where: Sequence[sa.ColumnElement[bool]],
) -> T:
    """What is read once each result has its tally, whether the database may be written or not.

    Args:
        database: Where it is read.
        read: Reads it, all of the same state, whoever writes in between.
        bare: The runs in what was read that have results without a tally.
        where: Which results it is about.
    """
    found = database.look(read)
    if not bare(found):
        return found
    _keep(database, bare(found))

    def copied(connection: sa.Connection) -> T:
        for statement in database.dialect.copying:
            connection.exec_driver_sql(statement)
        make_tallies(connection, where)
        return read(connection)

    return database.read(copied)


def _keep(database: Database, runs: Iterable[str]) -> None:
    """Make the tallies that are missing, if the database may be written."""
    with suppress(StoreError):
        for run in runs:  # a transaction each: a task that is recorded meanwhile does not have to wait for long
            its = RESULTS.c.run_id == run
            database.write(partial(make_tallies, where=[its]))
