"""Shards of one run: parts of it that any machine may work on, wherever each is recorded."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_mcode._errors import UsageError
from pytest_mcode.recorded import Wanted, figures_of, located
from pytest_mcode.store import Session, Shard, Store, wall
from tests import postgres
from tests.test_resume import MINE
from tests.test_store import NOT_JUDGED, RUN, SOLVED

#: Seven tasks in three shards: 3, 2 and 2.
SEVEN = MINE.replace("range(6)", "range(7)")


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "r.db")
    server: postgres.Server = request.getfixturevalue("postgresql")
    return server.new()


def sql(address: str, query: str) -> list[Any]:
    if postgres.is_server(address):
        return postgres.select(address, query)
    with closing(sqlite3.connect(address)) as connection:
        return connection.execute(query).fetchall()


def change(address: str, *statements: str) -> None:
    if postgres.is_server(address):
        postgres.change(address, *statements)
        return
    with closing(sqlite3.connect(address)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a run of ``mine`` on the reference solutions."""
    (tmp_path / "test_mine.py").write_text(SEVEN)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MCODE_", "PYTEST", "JOB_"))}
    kept |= {"TMPDIR": str(tmp_path), "MCODE_CACHE_DIR": str(tmp_path / "cache")}
    started = []

    def run(*arguments: str, **more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "pytest_mcode", "bench", "mine", "test_mine.py", "--model", "reference"]
        command += ["--sandbox", "process", *arguments]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen(command, cwd=tmp_path, env={**kept, **more}, **pipes))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def told(process: subprocess.Popen[str], status: int = 0) -> str:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == status, output
    return " ".join(output.split())


THREE = ("--shard-count", "3", "--run-id", "a")


def test_shards_that_start_at_once_are_one_run_and_one_that_was_killed_goes_on_with_its_own_tasks(
    start: Start, address: str
) -> None:
    at = (*THREE, "--db", address)
    shards = [start(*at, JOB_COMPLETION_INDEX=str(index)) for index in range(3)]
    outputs = [told(shard) for shard in shards]
    assert "mcode: shard 1 of 0 to 2, a part of run a" in outputs[1]
    order = "ORDER BY 1, 2"
    assert sql(address, "SELECT id, planned, finished_at IS NULL FROM runs") == [("a", 7, 0)]
    assert sql(address, f"SELECT shard, planned, shard_count, whole FROM shards {order}") == [
        (0, 3, 3, 7),
        (1, 2, 3, 7),
        (2, 2, 3, 7),
    ]
    divided = [(0, "mine/0"), (0, "mine/3"), (0, "mine/6"), (1, "mine/1"), (1, "mine/4"), (2, "mine/2"), (2, "mine/5")]
    assert sql(address, f"SELECT shard, task_id FROM results {order}") == divided
    assert sql(address, f"SELECT shard, count(*) FROM sessions GROUP BY shard {order}") == [(0, 1), (1, 1), (2, 1)]

    change(
        address,
        "DELETE FROM results WHERE task_id IN ('mine/2', 'mine/3')",
        "UPDATE runs SET finished_at = NULL",
        "UPDATE shards SET finished_at = NULL WHERE shard IN (0, 2)",
        "UPDATE sessions SET ended_at = NULL, process = '999999999:1' WHERE shard IN (0, 2)",
    )
    refused = told(start(*at, "--shard-index", "0"), status=4)
    assert "There is shard 0 of a run a already: add --resume to go on with it, or name another." in refused
    resumed = told(start(*at, "--shard-index", "0", "--resume"))
    assert "going on with run a: 2 of 3 tasks of shard 0 judged" in resumed
    assert "1 passed, 2 deselected" in resumed
    assert sql(address, "SELECT finished_at IS NULL FROM runs") == [(1,)]
    resumed = told(start("--shard-count", "3", "--db", address, "--shard-index", "2", "--resume"))
    assert "going on with run a: 1 of 2 tasks of shard 2 judged" in resumed
    assert "solved 7/7" in resumed
    assert sql(address, "SELECT finished_at IS NULL FROM runs") == [(0,)]
    assert sql(address, f"SELECT shard, task_id FROM results {order}") == divided
    assert sql(address, f"SELECT shard, count(*) FROM sessions GROUP BY shard {order}") == [(0, 2), (1, 1), (2, 2)]


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
def test_what_is_no_part_of_the_run_is_refused(start: Start, address: str, tmp_path: Path) -> None:
    at = ("--run-id", "a", "--db", address)
    told(start(*at, "--shard-count", "3", "--shard-index", "0"))
    for options, sentence in {
        ("--shard-count", "4", "--shard-index", "1"): "Run a differs in shard-count (3, now 4): give the same options",
        ("--shard-count", "3", "--shard-index", "1", "--timeout", "5"): "Run a differs in timeout (60.0, now 5.0): ",
        ("--shard-count", "3", "--shard-index", "1", "--limit", "6"): "Run a differs in limit (none, now 6): ",
        (): "Run a differs in shard-count (3, now 1): ",
        ("--shard-count", "3", "--shard-index", "0", "--resume", "-k", "mine/3"): (
            "Shard 0 of run a has 3 tasks and these 1 are not the same"
        ),
    }.items():
        assert sentence in told(start(*at, *options), status=4)
    (tmp_path / "test_mine.py").write_text(SEVEN.replace("PROMPT", "another"))
    refused = told(start(*at, "--shard-count", "3", "--shard-index", "1"), status=4)
    assert "Run a was made on other data" in refused
    assert sql(address, "SELECT shard FROM shards") == [(0,)]
    assert sql(address, "SELECT count(*) FROM sessions") == [(1,)]


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
@pytest.mark.parametrize("distributed", [(), ("-n2",)], ids=["alone", "xdist"])
def test_a_shard_without_a_task_is_a_part_too(start: Start, address: str, distributed: tuple[str, ...]) -> None:
    at = (*THREE, "--db", address, "-k", "mine/0] or mine/1]", *distributed)
    told(start(*at, "--shard-index", "0"))
    assert sql(address, "SELECT planned FROM runs") == [(5,)]  # one of its own, and the others' shares as far as known
    told(start(*at, "--shard-index", "2"))
    told(start(*at, "--shard-index", "1"))
    assert sql(address, "SELECT planned, finished_at IS NULL FROM runs") == [(2, 0)]
    assert sql(address, "SELECT shard, planned FROM shards ORDER BY shard") == [(0, 1), (1, 1), (2, 0)]


SHARD = Shard(0, 3, 3, 7, "s0", "2025-01-01T00:00:00.000+00:00")
SHARDS = (SHARD, replace(SHARD, index=1, planned=2, selection="s1"), replace(SHARD, index=2, planned=2, selection="s2"))


def at_once(*calls: Callable[[], object]) -> None:
    ready = threading.Barrier(len(calls))

    def when_ready(call: Callable[[], object]) -> None:
        ready.wait()
        call()

    threads = [threading.Thread(target=when_ready, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_shards_that_begin_enter_and_finish_at_the_same_moment_are_all_counted(address: str) -> None:
    stores = [Store(address) for _ in SHARDS]
    runs = [replace(RUN, planned=shard.planned, started_at=f"2025-01-0{1 + shard.index}") for shard in SHARDS]
    pairs = list(zip(stores, runs, SHARDS, strict=True))
    at_once(*(lambda s=s, r=r, p=p: s.begin(r, p, tasks=[f"t/{p.index}"]) for s, r, p in pairs))
    assert [(run.planned, run.shards) for run in stores[0].runs()] == [(7, SHARDS)]
    at_once(*(lambda s=s, p=p: s.enter("r1", "host", f"{p.index}", p.index) for s, _, p in pairs))
    assert sorted(session.shard or 0 for session in stores[0].sessions("r1")) == [0, 1, 2]
    at_once(*(lambda s=s: s.finish("r1") for s in stores))
    assert stores[0].runs()[0].finished_at is not None
    assert sql(address, "SELECT shard, tasks FROM shards ORDER BY shard") == [
        (0, '["t/0"]'),
        (1, '["t/1"]'),
        (2, '["t/2"]'),
    ]
    for store in stores:
        store.close()


def test_a_run_has_planned_what_it_will_have_when_all_shards_have_begun(address: str) -> None:
    with closing(Store(address)) as store:
        store.begin(replace(RUN, planned=2), SHARDS[1])
        assert store.runs()[0].planned == 7
        store.enter("r1", "host", "1", 1)
        store.finish("r1")
        assert store.runs()[0].finished_at is not None, "all that have begun are finished"
        store.begin(replace(RUN, planned=3), SHARDS[0])
        assert store.runs()[0].finished_at is None


def test_who_begins_what_is_there_is_refused(address: str) -> None:
    def unlike(_: object) -> None:
        raise UsageError("Another one.")

    with closing(Store(address)) as store:
        store.begin(RUN, SHARD)
        with pytest.raises(UsageError, match="There is shard 0 of a run r1 already"):
            store.begin(RUN, replace(SHARD, started_at="2026"))
        with pytest.raises(UsageError, match="Another one"):
            store.begin(RUN, SHARDS[1], agreed=unlike)
        with pytest.raises(UsageError, match="There is a run r1 already"):
            store.begin(replace(RUN, planned=3))
        assert sql(address, "SELECT shard FROM shards") == [(0,)]


def test_what_is_judged_is_known_of_each_shard(address: str) -> None:
    with closing(Store(address)) as first, closing(Store(address)) as second:
        for index, store in enumerate((first, second)):
            store.begin(RUN, SHARDS[index])
            store.enter("r1", "host", str(index), index)
            store.put("r1", replace(SOLVED, task_id=f"t/{index}"))
            store.put("r1", replace(NOT_JUDGED, task_id=f"e/{index}"))
        assert [first.judged("r1", 0), first.judged("r1", 1)] == [["t/0"], ["t/1"]]
        assert sorted(first.judged("r1")) == ["t/0", "t/1"]


def test_shards_in_databases_of_their_own_are_one_run_that_lacks_those_that_are_not_there(tmp_path: Path) -> None:
    paths = []
    for shard in (SHARDS[2], SHARDS[0]):
        paths.append(str(tmp_path / f"{shard.index}.db"))
        with closing(Store(paths[-1])) as store:
            config = {"samples": 3, "debug-iters": 1, "all-samples": False}
            store.begin(replace(RUN, planned=shard.planned, config=config), shard)
            store.enter("r1", "host", "1", shard.index)
            store.put("r1", replace(SOLVED, task_id=f"t/{shard.index}"))
            store.finish("r1")
    (its,) = located(paths, Wanted())
    assert its.run.shards[0].index == 0
    assert [shard.index for shard in its.run.shards] == [0, 2]
    assert (its.run.planned, figures_of(its).missing) == (7, 5)


def test_shards_of_an_older_mcode_are_known_by_their_configuration(tmp_path: Path) -> None:
    paths = []
    for index in range(2):
        paths.append(str(tmp_path / f"{index}.db"))
        with closing(Store(paths[-1])) as store:
            config = {**RUN.config, "shard-count": 2, "shard-index": index}
            store.begin(replace(RUN, config=config, planned=4 + index))
    (its,) = located(paths, Wanted())
    assert its.run.planned == 9
    assert [shard.count for shard in its.run.shards] == [2, 2]


def test_time_in_which_several_worked_counts_once() -> None:
    def session(started: str, seconds: float) -> Session:
        return Session("host", "1", f"2025-01-01T00:00:{started}.000+00:00", seconds=seconds)

    assert wall([]) == 0
    assert wall([session("10", 5), session("00", 4)]) == 9
    assert wall([session("00", 8), session("02", 3), session("07", 4)]) == 11


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
def test_a_shard_may_be_asked_for_its_errors_and_has_its_share_of_what_was_named(start: Start, address: str) -> None:
    named = ("--instance", "mine/0,mine/1,mine/5", "--shard-count", "2", "--run-id", "a", "--db", address)
    output = told(start(*named, "--shard-index", "0", "--max-errors", "0"))
    assert "passed" in output
    assert sql(address, "SELECT planned FROM runs") == [(3,)]
    assert sql(address, "SELECT planned, whole FROM shards") == [(2, 3)]
