"""How many tasks a benchmark has, and which data they are, without running any.

A benchmark of one's own is collected as a run would, by a pytest of its own in which this module is a plugin: what
such a file does when it is imported is not done to a sweep.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from pytest_mcode import collect, options
from pytest_mcode._errors import McodeError
from pytest_mcode.sweeping.file import Asked
from pytest_mcode.sweeping.values import KNOWN

#: Before the line that tells of a benchmark.
MARK = "mcode-size "
#: How ``mcode`` is called. What lies in the working directory is not to be imported in its place.
MCODE = (sys.executable, "-P", "-m", "pytest_mcode")
#: Seconds for collecting a benchmark of one's own.
PATIENCE = 120


@dataclass(frozen=True)
class Size:
    """A benchmark's tasks, all that its split has.

    Attributes:
        tasks: Their number; None where it is unknown.
        fingerprint: Of its data; empty where it is unknown.
        why: A sentence on why it is unknown.
    """

    tasks: int | None
    fingerprint: str = ""
    why: str = ""

    def limited(self, limit: int | None) -> int | None:
        """How many tasks a run with that limit has."""
        return self.tasks if self.tasks is None or limit is None else min(self.tasks, limit)


def size(asked: Asked) -> Size:
    """The size of the benchmark that a run is of; its data set may have to be fetched for it, as for the run."""
    if asked.module:
        return _collected(asked)
    try:
        tasks = collect.prepare(replace(asked.settings, bench=(asked.benchmark,)), options.cache_dir())[asked.benchmark]
    except McodeError as error:
        return Size(None, why=str(error))
    return Size(len(tasks.ids), tasks.fingerprint)


def sizes(runs: Iterable[Asked]) -> dict[tuple[Any, ...], Size]:
    """The size of each benchmark of the runs, by what its tasks are taken from."""
    return {key: size(asked) for key, asked in {asked.data: asked for asked in runs}.items()}


def _collected(asked: Asked) -> Size:
    command = [*MCODE, "bench", *words(asked, without=("limit",))]
    command += ["--", "--collect-only", "-qqs", "-p", __name__]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)  # noqa: S603 - ours
    except subprocess.TimeoutExpired:
        return Size(None, why=f"{asked.module} could not be collected within {PATIENCE} s.")
    for line in done.stdout.splitlines():
        if line.startswith(MARK):
            return Size(**json.loads(line.removeprefix(MARK)))
    said = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    return Size(None, why=f"{asked.module} could not be collected ({said[-1] if said else 'it said nothing'}).")


def words(asked: Asked, *, without: tuple[str, ...] = ()) -> Iterator[str]:
    """The benchmark and the options of a run, as the words after ``mcode bench``."""
    yield asked.benchmark
    if asked.module:
        yield asked.module
    for name, text in asked.texts.items():
        if name in without:
            continue
        if not KNOWN[name].is_switch:
            yield f"--{name}={text}"
        elif KNOWN[name].parse(text):
            yield f"--{name}"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tell of what was collected, in the pytest that a sweep has started."""
    for planned in session.config.stash.get(collect.SELECTED, {}).values():
        sys.stdout.write(f"\n{MARK}{json.dumps({'tasks': planned.planned, 'fingerprint': planned.fingerprint})}\n")
