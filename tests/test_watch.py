"""How far a run is, while it goes on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from pytest_mcode._types import Status
from pytest_mcode.report.live import Look, Part, State, line, lines, page
from pytest_mcode.store import Session, Shard, Store
from tests import postgres
from tests.terminal import shown
from tests.test_merging import IDS, WHOLE, shard_of
from tests.test_store import NOT_JUDGED, SOLVED

NOW = datetime(2025, 1, 1, 12, tzinfo=UTC)


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def shard(index: int, *, finished: bool = False) -> Shard:
    return replace(shard_of(index), finished_at=ago(1) if finished else None)


RUN = replace(WHOLE, id="a", shards=(shard(0, finished=True), shard(2)))
LOOK = Look(
    RUN,
    {0: {Status.SOLVED: 2, Status.UNSOLVED: 1}, 2: {Status.ERROR: 1}},
    (
        Session("h", "1", ago(240), ago(180), 60.0, 0),
        Session("h", "2", ago(200), ago(190), 5.0, 2),
        Session("h", "3", ago(100), None, 95.0, 2),
    ),
    NOW,
)


def test_a_look_tells_tasks_rate_pace_and_what_is_left() -> None:
    assert list(lines(LOOK)) == [
        "run      a: humaneval, granite3.3:8b (ollama)",
        "tasks    4 of 7 (57%)",
        "solved   2/3 = 66.7% [20.8%, 93.9%]",
        "errors   1, kept out of the rate",
        "time     1.5 tasks a minute, 1:56 left",  # four in the 155 seconds in which anybody worked
    ]
    earlier = replace(LOOK, counts={0: {Status.SOLVED: 2}}, at=NOW - timedelta(seconds=30))
    assert list(lines(LOOK, earlier))[-1] == "time     4.0 tasks a minute, 0:45 left"
    idle = replace(LOOK, at=NOW - timedelta(seconds=30))
    assert list(lines(LOOK, idle))[-1] == "time     0.0 tasks a minute, time left not known"


def test_a_look_tells_of_each_shard() -> None:
    assert list(LOOK.parts()) == [
        Part("0", 3, 3, 0, 1, 180.0, State.FINISHED),
        Part("1", 0, None, 0, 0, None, State.NOT_BEGUN),
        Part("2", 1, 2, 1, 2, 5.0, State.WORKING),
    ]


@pytest.mark.parametrize(
    ("session", "state"),
    [
        (Session("h", "1", ago(1000), None, 699.0, 2), State.SILENT),
        (Session("h", "1", ago(1000), None, 701.0, 2), State.WORKING),
        (Session("h", "1", ago(1000), ago(900), 90.0, 2), State.STOPPED),
    ],
)
def test_a_shard_that_somebody_should_look_at_stands_out(session: Session, state: State) -> None:
    assert list(replace(LOOK, sessions=(session,)).parts())[2].state is state


def test_a_run_is_over_when_all_its_shards_are_there_and_finished() -> None:
    done = replace(RUN, finished_at=ago(1))
    assert not replace(LOOK, run=done).is_over, "shard 1 has not begun"
    assert replace(LOOK, run=replace(done, shards=tuple(map(shard, range(3))))).is_over
    assert not replace(LOOK, run=replace(done, shards=(), finished_at=None)).is_over
    assert replace(LOOK, run=replace(done, shards=())).is_over


def test_in_a_pipe_it_is_one_line() -> None:
    at = f"{NOW.astimezone():%H:%M:%S}"
    assert line(LOOK) == (
        f"{at} a: 4/7 tasks, solved 2/3 = 66.7% [20.8%, 93.9%], errors 1, 1.5 tasks a minute, 1:56 left, "
        f"shards: 1 working, 1 not begun, 1 finished"
    )


def written(look: Look, rows: int | None = None) -> list[str]:
    console = Console(width=80, no_color=True)
    with console.capture() as captured:
        console.print(page(look, rows=rows))
    return [text.rstrip() for text in captured.get().splitlines()]


def test_where_a_window_has_no_room_those_that_can_wait_are_left_out() -> None:
    rows = written(LOOK, rows=2)[-3:]
    assert rows == [
        "    2     1/2        1          2    0:05 ago   working",
        "    1                                           not begun",
        "and 1 more shard, which can wait",
    ]
    assert len(written(LOOK)) == len(written(LOOK, rows=2))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "r.db")
    server: postgres.Server = request.getfixturevalue("postgresql")
    return server.new()


@dataclass(frozen=True)
class GoingOn:
    """A run whose shards begin one after the other; all but its first task wait for ``go``."""

    thread: threading.Thread
    go: threading.Event


@pytest.fixture
def going_on(database: str) -> Iterator[GoingOn]:
    store, go, run_id = Store(database), threading.Event(), "live\x1b[31m"

    def work() -> None:
        for index in range(3):
            ids = IDS[index::3]
            store.begin(replace(WHOLE, id=run_id, planned=len(ids)), shard_of(index), tasks=ids)
            store.enter(run_id, "host", "1", index)
            for task_id in ids:
                store.put(run_id, replace(SOLVED if task_id != "t/4" else NOT_JUDGED, task_id=task_id))
                go.wait(60)
                time.sleep(0.3)
            store.finish(run_id)

    thread = threading.Thread(target=work)
    thread.start()
    while not store.progress(run_id):
        time.sleep(0.05)
    yield GoingOn(thread, go)
    go.set()
    thread.join()
    store.close()


OTHERS = ("MCODE_", "PYTEST", "COLUMNS")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(OTHERS)}


def watching(database: str, *more: str) -> list[str]:
    return [sys.executable, "-m", "pytest_mcode", "watch", "--db", database, "--interval", "0.2", *more]


def watched(database: str, place: Path, *more: str) -> subprocess.Popen[str]:
    command = watching(database, *more)
    return subprocess.Popen(command, cwd=place, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)


def test_it_goes_on_with_a_run_and_ends_with_it(database: str, going_on: GoingOn, tmp_path: Path) -> None:
    with watched(database, tmp_path, "live") as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        going_on.go.set()
        rest = process.stdout.read().splitlines()
    assert process.returncode == 0
    assert "live\\x1b[31m: 1/7 tasks, solved 1/1 = 100.0% [20.7%, 100.0%], " in first
    assert first.endswith("shards: 1 working, 2 not begun\n")
    assert "live\\x1b[31m: 7/7 tasks, solved 6/6 = 100.0%" in rest[-1]
    assert rest[-1].endswith("finished, shards: 3 finished")
    assert "\x1b" not in "".join(rest)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_on_a_terminal_it_is_drawn_in_place(database: str, going_on: GoingOn, tmp_path: Path) -> None:
    timer = threading.Timer(8, going_on.go.set)
    timer.start()
    seen = shown(watching(database), columns=80, place=tmp_path, environment=ENVIRONMENT)
    timer.join()
    assert seen.status == 0
    assert "tasks    1 of 7 (14%)" in seen.raw
    assert seen.lines[1] == "tasks    7 of 7 (100%)"
    assert [text.split()[0] for text in seen.lines[-3:]] == ["0", "1", "2"]
    assert all(len(text) <= 80 for text in seen.lines)


def test_one_look_will_do(database: str, tmp_path: Path) -> None:
    with closing(Store(database)) as store:
        store.begin(replace(WHOLE, id="one", planned=2))
        store.enter("one", "host", "1")
        store.put("one", SOLVED)
    with watched(database, tmp_path, "--once") as process:
        told, _ = process.communicate(timeout=60)
    assert "tasks    1 of 2 (50%)" in told
    assert re.fullmatch(r" *all +1/2 +1 +\d:\d\d ago +working *", told.splitlines()[-1])
