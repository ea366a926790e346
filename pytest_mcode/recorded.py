"""Finding runs in the databases that were named."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from contextlib import closing

from pytest_mcode import options, spelling
from pytest_mcode._errors import StoreError, UsageError
from pytest_mcode._parse import nearest
from pytest_mcode.report import figures, single
from pytest_mcode.report.figures import Figures, of_runs
from pytest_mcode.store import Run, existing


def runs(paths: Sequence[str], benchmark: str | None, model: str | None) -> list[Figures]:
    """The figures of the runs that were asked for, the newest first.

    Raises:
        UsageError: There is none; the message says why.
    """
    found: list[Figures] = []
    known: list[Run] = []
    for path in paths:
        with closing(existing(path)) as database:
            found += of_runs(database, benchmark=benchmark, model=model)
            known += database.runs()
    if not found:
        held = [("benchmark", benchmark, {r.benchmark for r in known}), ("model", model, {r.model for r in known})]
        raise UsageError(nothing_found(" and ".join(paths), held))
    return sorted(found, key=lambda f: f.run.started_at, reverse=True)


def expanded(databases: Sequence[str]) -> list[str]:
    """The database files that were named; the configured default if none was.

    Raises:
        StoreError: A pattern matches nothing.
    """
    paths: list[str] = []
    for pattern in databases or [options.default_database()]:
        if glob.has_magic(pattern):
            matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - the pattern may be absolute
            if not matches:
                raise StoreError(f"No results database matches {pattern!r}.")
            paths += matches
        else:
            paths.append(pattern)
    return list(dict.fromkeys(paths))


def nothing_found(place: str, filters: Sequence[tuple[str, str | None, set[str]]]) -> str:
    """The sentence on databases in which nothing fits.

    Args:
        place: Their names.
        filters: What was filtered by: its name, what was asked for, and what there is.
    """
    if not any(there for _, _, there in filters):
        return f"No run is recorded in {place} yet: {spelling.EXAMPLE}"
    for name, wanted, there in filters:
        if wanted is not None and wanted not in there:
            known = ", ".join(sorted(there))
            return f"No run of {name} {wanted!r} in {place}{nearest(wanted, there)}; there are {known}."
    wanted_all = " with ".join(f"{name} {wanted!r}" for name, wanted, _ in filters)
    return f"No run of {wanted_all} in {place}, only of each with others: 'mcode results' shows all."


def named(paths: Sequence[str], run_id: str) -> tuple[str, Run]:
    """The run of that id, and the database that has it.

    Raises:
        UsageError: None has.
    """
    known = list[str]()
    for path in paths:
        with closing(existing(path)) as database:
            found = database.runs()
        run = next((run for run in found if run.id == run_id), None)
        if run is not None:
            return path, run
        known += [run.id for run in found]
    raise UsageError(f"There is no run {run_id} in {' and '.join(paths)}{nearest(run_id, known)}.")


def figures_of(path: str, run: Run) -> Figures:
    """The figures of one run."""
    with closing(existing(path)) as database:
        return figures.figures(database, run)


def told(path: str, found: Figures) -> Iterator[str]:
    """One run with all that its results depend on, line by line, as a terminal may be shown them."""
    with closing(existing(path)) as database:
        yield from map(spelling.plain, single.shown(found, database.sessions(found.run.id), path))
