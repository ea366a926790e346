"""PostgreSQL as a store: a real server that goes away, comes back, loses answers and has many writers at once."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pytest_mcode import store
from pytest_mcode._errors import StoreError, UsageError
from pytest_mcode.store import Patience, Store
from tests import postgres
from tests.test_store import NOT_JUDGED, RUN, SOLVED

COUNTS = "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM sessions), (SELECT count(*) FROM results), "
COUNTS += "(SELECT count(*) FROM samples), (SELECT count(*) FROM attempts)"


@pytest.fixture
def url(postgresql: postgres.Server) -> str:
    return postgresql.new()


def in_a_moment(seconds: float, what: Callable[[], None]) -> threading.Thread:
    def later() -> None:
        time.sleep(seconds)
        what()

    thread = threading.Thread(target=later)
    thread.start()
    return thread


def test_a_connection_that_the_server_ends_is_made_anew(url: str) -> None:
    told: list[str] = []
    with closing(Store(url, patience=Patience(told=told.append))) as database:
        database.begin(RUN)
        postgres.change(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mcode'")
        database.put("r1", SOLVED)
        assert database.tasks()["r1"].verdicts == ["f np"]
    assert "does not answer (terminating connection due to administrator command" in told[0]
    assert told[1].endswith(" is back after 0 s")


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_is_started_again_is_waited_for(postgresql: postgres.Server, url: str, mode: str) -> None:
    told: list[str] = []
    with closing(Store(url, patience=Patience(told=told.append))) as database:
        database.begin(RUN)
        database.enter("r1", "here", "1:1")
        postgresql.stop(mode)
        starting = in_a_moment(1.5, postgresql.start)
        database.put("r1", SOLVED)
        starting.join()
        database.finish("r1")
        assert [run.finished_at is None for run in database.runs()] == [False]
    assert postgres.select(url, COUNTS) == [(1, 1, 1, 2, 3)]
    assert told[0].split(" (")[0] == f"{url} does not answer"
    assert f"{url} is back after " in told[1]


def test_a_server_that_does_not_come_back_is_told_after_a_while(postgresql: postgres.Server, url: str) -> None:
    with closing(Store(url, patience=Patience(again=1.0))) as database:
        database.begin(RUN)
        postgresql.stop()
        try:
            with pytest.raises(StoreError, match=rf"^The results database {url} cannot be used \(connection failed: "):
                database.put("r1", SOLVED)
        finally:
            postgresql.start()


@pytest.fixture
def relay(postgresql: postgres.Server) -> Iterator[postgres.Relay]:
    with closing(postgres.Relay(postgresql.port)) as made:
        yield made


def test_a_commit_whose_answer_is_lost_is_neither_lost_nor_doubled(relay: postgres.Relay, url: str) -> None:
    told: list[str] = []
    with closing(Store(relay.leading_to(url), patience=Patience(told=told.append))) as database:
        changes: list[Callable[[], None]] = [
            lambda: database.begin(RUN),
            lambda: database.enter("r1", "here", "1:1"),
            lambda: database.put("r1", SOLVED),
            lambda: database.put("r1", NOT_JUDGED),
            lambda: database.finish("r1"),
            lambda: database.leave("r1"),
        ]
        for number, change in enumerate(changes):
            relay.swallow_next_commit()
            change()
            assert relay.swallowed == number + 1
    assert postgres.select(url, COUNTS) == [(1, 1, 2, 3, 4)]
    assert len(told) == 12


def test_a_network_that_is_cut_for_a_while_holds_up_what_is_under_way(relay: postgres.Relay, url: str) -> None:
    with closing(Store(relay.leading_to(url))) as database:
        database.begin(RUN)
        relay.cut()
        mending = in_a_moment(1.0, relay.mend)
        database.put("r1", SOLVED)
        mending.join()
    assert postgres.select(url, COUNTS) == [(1, 0, 1, 2, 3)]


def test_a_server_that_is_only_starting_is_waited_for_if_that_was_asked(postgresql: postgres.Server, url: str) -> None:
    told: list[str] = []
    postgresql.stop()
    try:
        starting = in_a_moment(1.0, postgresql.start)
        Store(url, patience=Patience(first=20.0, told=told.append)).close()
        assert told[0].endswith("trying again for 20 s")
    finally:
        starting.join()


WRITER = """
import dataclasses, sys
from pytest_mcode.store import Patience, Store
from tests.test_store import SOLVED
store = Store(sys.argv[1], patience=Patience(first=60))
store.enter("r1", "here", sys.argv[2])
for number in range(40):
    store.put("r1", dataclasses.replace(SOLVED, task_id=f"{sys.argv[2]}/{number}"))
    store.put("r1", dataclasses.replace(SOLVED, task_id=f"all/{number}"))
store.close()
"""


def test_many_writers_at_once_and_a_restart_lose_and_double_nothing(postgresql: postgres.Server, url: str) -> None:
    with closing(Store(url)) as database:
        database.begin(RUN)
        command = [sys.executable, "-c", WRITER, url]
        writers = [subprocess.Popen([*command, str(number)], cwd=postgres.ROOT) for number in range(4)]
        while not (begun := database.judged("r1")):
            time.sleep(0.05)
        postgresql.stop("immediate")
        postgresql.start()
        assert [writer.wait(120) for writer in writers] == [0, 0, 0, 0]
        assert len(begun) < 200
        assert set(database.tasks()["r1"].verdicts) == {"f np"}
        assert sorted(database.tasks()["r1"].task_id) == sorted(
            f"{who}/{number}" for who in ("0", "1", "2", "3", "all") for number in range(40)
        )
    assert postgres.select(url, COUNTS) == [(1, 4, 200, 400, 600)]
    assert postgres.select(url, "SELECT session FROM sessions ORDER BY session") == [(0,), (1,), (2,), (3,)]


def refusal(address: str) -> str:
    with pytest.raises((StoreError, UsageError)) as caught:
        Store(address)
    return str(caught.value)


def test_what_lets_nobody_in_is_told_at_once_and_without_the_password(postgresql: postgres.Server) -> None:
    at = f"127.0.0.1:{postgresql.port}"
    started = time.monotonic()
    assert refusal(f"postgresql://root:S3CRET@{at}/nowhere") == (
        f"The results database postgresql://{at}/nowhere cannot be used (connection failed: connection to server at "
        f'"127.0.0.1", port {postgresql.port} failed: FATAL: database "nowhere" does not exist): see that its server '
        f"runs and lets you in, or name another database with --mcode-db."
    )
    assert "Connection refused" in refusal("postgresql://root:S3CRET@127.0.0.1:1/x")
    assert time.monotonic() - started < 10
    for address in (
        "postgresql://root:S3CRET@127.0.0.1:1/x?password=S3CRET",
        "postgresql://root:S3@CRET/x@127.0.0.1:1/x",
        "postgresql://root:S3CRET@127.0.0.1:port/x",
        "postgres://root:S3CRET@:/:0/x",
        "mysql://root:S3CRET@127.0.0.1/x",
        "sqlite:///S3CRET?x=S3CRET".replace("/S3CRET", ""),
    ):
        assert "S3CRET" not in refusal(address)


def test_other_servers_than_postgresql_are_refused() -> None:
    for address in ("mysql://me:secret@db/x", "sqlite:///x.db", "postgresql+asyncpg://db/x"):
        assert refusal(address).endswith(
            ", but must be the path of a SQLite file, or a database of PostgreSQL as postgresql://HOST/DATABASE."
        )


def test_a_driver_that_is_not_there_is_named() -> None:
    script = (
        "import sys; sys.modules['psycopg'] = None; from pytest_mcode.store import Store; Store('postgresql://db/x')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == (
        "pytest_mcode._errors.StoreError: postgresql://db/x needs the driver of PostgreSQL, which is not installed: "
        "pip install 'pytest-mcode[postgres]'."
    )


def test_looking_whether_a_run_could_be_recorded_leaves_nothing(url: str) -> None:
    store.rehearse(url)
    assert postgres.select(url, "SELECT count(*) FROM information_schema.tables WHERE table_name = 'runs'") == [(0,)]
    with closing(Store(url)) as database:
        database.begin(RUN)
        store.rehearse(url)
        assert database.runs() == [RUN]


def test_readers_do_not_wait_for_a_writer(url: str) -> None:
    import psycopg

    with closing(Store(url)) as database:
        database.begin(RUN)
        with closing(psycopg.connect(url)) as writer:
            writer.execute("DELETE FROM runs")
            assert database.runs() == [RUN]


def test_ids_are_in_the_same_order_whatever_language_the_database_was_made_for(url: str) -> None:
    with closing(Store(url)) as database:
        database.begin(RUN)
        for task_id in ("b", "B", "a", "_", "A"):
            database.put("r1", dataclasses.replace(NOT_JUDGED, task_id=task_id))
        assert [row.task_id for row in database.results("r1")] == ["A", "B", "_", "a", "b"]


Mcode = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def mcode(tmp_path: Path) -> Mcode:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MCODE_", "PYTEST"))}
    kept |= {"TMPDIR": str(tmp_path), "MCODE_CACHE_DIR": str(tmp_path / "cache")}

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest_mcode", *words]
        return subprocess.run(
            command, cwd=tmp_path, env={**kept, **more}, capture_output=True, text=True, check=False, timeout=120
        )

    return run


REFERENCE = ("--model", "reference", "--sandbox", "process")


def test_a_run_is_recorded_shown_resumed_and_done_again_by_url(mcode: Mcode, url: str) -> None:
    secret = url.replace("://", "+psycopg://root:S3CRET@")
    shown = url.replace("://", "+psycopg://")
    done = mcode("bench", "smoke", *REFERENCE, "--limit", "3", "--run-id", "first", "--db", secret)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"run           first in {shown}" in done.stdout
    postgres.change(url, "DELETE FROM results WHERE task_id LIKE '%0'", "UPDATE runs SET finished_at = NULL")
    outputs = [
        done.stdout,
        *(each.stdout for each in (mcode("results", "--db", secret), mcode("results", "--run", "fi", "--db", secret))),
        mcode("results", "--run", "nope", "--db", secret).stderr,
    ]
    done = mcode("bench", "smoke", *REFERENCE, "--limit", "3", "--resume", MCODE_DB=secret)
    assert "going on with run first: 2 of 3 tasks judged" in done.stdout
    again = mcode("rerun", "first", "--run-id", "second", MCODE_DB=secret)
    assert "solved        3/3" in again.stdout, again.stdout + again.stderr
    assert [run for (run,) in postgres.select(url, "SELECT id FROM runs ORDER BY id")] == ["first", "second"]
    third = mcode("rerun", "first", "--run-id", "third", "--db", secret)
    assert f"--db={shown}" in third.stdout
    outputs += [done.stdout, again.stdout, third.stdout, mcode("doctor", "smoke", *REFERENCE, "--db", secret).stdout]
    assert f"{shown}can be written".replace(" ", "") in "".join(outputs[-1].split())
    assert "no run nope" in outputs[3]
    assert "S3CRET" not in "".join(outputs)
    assert postgres.select(url, "SELECT id FROM runs WHERE config LIKE '%S3CRET%' OR versions LIKE '%S3CRET%'") == []


SLOW = """
import time
from pytest_mcode import Mcode, Task, benchmark

TESTS = "import time; time.sleep(0.4); assert f() == 1"
TASKS = [Task(f"slow/{n}", "PROMPT", TESTS, "f", "def f() -> int:\\n    return 1") for n in range(12)]

@benchmark("slow", tasks=TASKS)
def test_slow(task: Task, mcode: Mcode) -> None:
    mcode(task)
"""


@pytest.mark.parametrize("distributed", [(), ("-n2",)], ids=["alone", "xdist"])
def test_a_run_waits_for_a_server_that_crashes_and_loses_nothing(
    postgresql: postgres.Server, url: str, tmp_path: Path, distributed: tuple[str, ...]
) -> None:
    (tmp_path / "test_slow.py").write_text(SLOW)
    command = [sys.executable, "-m", "pytest_mcode", "bench", "slow", "test_slow.py", *REFERENCE, "--db", url]
    more = ["--concurrency", "2", "--sandboxes", "1", *distributed]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MCODE_", "PYTEST"))}
    environment |= {"TMPDIR": str(tmp_path), "MCODE_CACHE_DIR": str(tmp_path / "cache")}
    with closing(Store(url)) as database:
        running = subprocess.Popen([*command, *more], cwd=tmp_path, env=environment, **pipes)
        while not database.tasks() and running.poll() is None:
            time.sleep(0.05)
    postgresql.stop("immediate")
    time.sleep(1.5)
    postgresql.start()
    output, _ = running.communicate(timeout=120)
    assert running.returncode == 0, output
    assert f"mcode: {url} does not answer (" in output
    assert f"mcode: {url} is back after " in output
    assert postgres.select(url, "SELECT count(*), count(DISTINCT task_id) FROM results") == [(12, 12)]
    assert postgres.select(url, "SELECT status, count(*) FROM results GROUP BY status") == [("solved", 12)]
    assert postgres.select(url, "SELECT count(*), count(ended_at) FROM sessions") == [(1, 1)]


def test_nothing_is_made_by_who_only_reads(mcode: Mcode, url: str) -> None:
    done = mcode("results", "--db", url)
    assert done.returncode == 4
    assert f"There is no results database {url}: run 'mcode bench' first" in done.stderr
    assert postgres.select(url, "SELECT 1 FROM information_schema.tables WHERE table_name = 'runs'") == []
