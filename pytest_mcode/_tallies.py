"""Queries over tallies: the tasks of many runs at once, and the tallies that are missing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter

import sqlalchemy as sa

from pytest_mcode._dialects import Dialect
from pytest_mcode._rows import Spent, Tasks, tally
from pytest_mcode._tables import ATTEMPTS, RESULTS
from pytest_mcode._types import Status

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
