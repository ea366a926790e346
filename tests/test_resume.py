"""Going on with a run that was interrupted."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_mcode._types import TaskResult
from pytest_mcode.breaker import FEW, Breaker
from pytest_mcode.resume import differences, this_process
from pytest_mcode.settings import Settings
from pytest_mcode.store import Run

MINE = """
from pytest_mcode import Mcode, Task, benchmark

def task(number: int) -> Task:
    return Task(f"mine/{number}", "PROMPT", f"assert f() == {number}", "f", f"def f() -> int:\\n    return {number}")

@benchmark("mine", tasks=[task(number) for number in range(6)])
def test_mine(task: Task, mcode: Mcode) -> None:
    mcode(task)
"""
Bench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Run ``mcode bench mine`` on the reference solutions, in a directory of its own."""
    (tmp_path / "test_mine.py").write_text(MINE)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MCODE_", "PYTEST"))}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest_mcode", "bench", "mine", "test_mine.py", "--model", "reference"]
        command += ["--sandbox", "process", "--db", "r.db", *arguments]
        environment = {**kept, "TMPDIR": str(tmp_path), "MCODE_CACHE_DIR": str(tmp_path / "cache")}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def sql(tmp_path: Path) -> Callable[[str], list[tuple[object, ...]]]:
    def execute(statement: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(tmp_path / "r.db")) as connection:
            found = connection.execute(statement).fetchall()
            connection.commit()
            return found

    return execute


Sql = Callable[[str], list[tuple[object, ...]]]
#: What a run that was killed after four of its six tasks leaves.
KILLED = (
    "DELETE FROM attempts WHERE task_id IN ('mine/2', 'mine/4')",
    "DELETE FROM samples WHERE task_id IN ('mine/2', 'mine/4')",
    "DELETE FROM results WHERE task_id IN ('mine/2', 'mine/4')",
    "UPDATE runs SET finished_at = NULL",
    "UPDATE sessions SET ended_at = NULL, seconds = 1000, process = '999999999:1'",
)


@pytest.fixture
def killed(bench: Bench, sql: Sql) -> None:
    assert bench("--run-id", "a").returncode == 0
    for statement in KILLED:
        sql(statement)


@pytest.mark.usefixtures("killed")
@pytest.mark.parametrize("distributed", [(), ("-n2",), ("-n2", "--dist=each")], ids=["alone", "xdist", "each"])
def test_only_what_is_left_is_run_and_the_summary_covers_the_whole(
    bench: Bench, sql: Sql, distributed: tuple[str, ...]
) -> None:
    judged_before = sql("SELECT rowid, * FROM results")
    done = bench("--resume", *distributed)
    assert done.returncode == 0, done.stdout
    assert "mcode: going on with run a: 4 of 6 tasks judged" in done.stdout
    assert "solved        6/6" in done.stdout
    assert "seconds       1,00" in done.stdout
    assert set(judged_before) <= set(sql("SELECT rowid, * FROM results"))
    assert sql("SELECT id, finished_at IS NULL FROM runs") == [("a", 0)]
    assert sql("SELECT session, ended_at IS NULL FROM sessions") == [(0, 1), (1, 0)]


@pytest.mark.usefixtures("killed")
def test_another_selection_is_not_told_of_it(bench: Bench) -> None:
    assert "is unfinished" not in bench("--limit", "6").stdout


@pytest.mark.usefixtures("killed")
def test_the_header_names_the_flag_that_goes_on(bench: Bench) -> None:
    done = bench()
    assert "mcode: run a is unfinished (4 of 6 tasks judged): --resume goes on with it" in done.stdout


def test_errors_are_run_again_and_what_was_judged_is_not(bench: Bench, sql: Sql) -> None:
    bench("--run-id", "a")
    sql("UPDATE results SET status = 'error', error = 'The server was away.' WHERE task_id = 'mine/3'")
    done = bench("--resume")
    assert "going on with run a: 5 of 6 tasks judged" in done.stdout
    assert "1 passed, 5 deselected" in done.stdout
    assert sql("SELECT DISTINCT status FROM results") == [("solved",)]


def test_a_finished_run_that_is_named_is_told_again(bench: Bench) -> None:
    bench("--run-id", "a")
    for distributed in ((), ("-n2",)):
        done = bench("--run-id", "a", "--resume", *distributed)
        assert done.returncode == 0, done.stdout
        assert "solved        6/6" in done.stdout
        assert "passed" not in done.stdout.splitlines()[-1]


def test_without_an_unfinished_run_resuming_begins_one(bench: Bench, sql: Sql) -> None:
    done = bench("--resume", "--run-id", "first")
    assert done.returncode == 0
    assert "no unfinished run" in done.stdout
    assert sql("SELECT id FROM runs") == [("first",)]


def refused(done: subprocess.CompletedProcess[str], sentence: str, sql: Sql) -> None:
    assert done.returncode == 4, done.stdout + done.stderr
    assert sentence in " ".join((done.stdout + done.stderr).split())
    assert sql("SELECT count(*) FROM results") == [(4,)]
    assert sql("SELECT count(*) FROM sessions") == [(1,)]


@pytest.mark.usefixtures("killed")
def test_another_configuration_is_refused_with_what_differs(bench: Bench, sql: Sql) -> None:
    sentence = (
        "There is no unfinished run of this configuration: the newest, a, differs in timeout (60.0, now 5.0). "
        "Give the same options, or leave out --resume."
    )
    refused(bench("--resume", "--timeout", "5"), sentence, sql)
    sentence = "Run a differs in limit (none, now 6): give the same options, or start another run."
    refused(bench("--resume", "--run-id", "a", "--limit", "6"), sentence, sql)


@pytest.mark.usefixtures("killed")
@pytest.mark.parametrize("distributed", [(), ("-n2",)], ids=["alone", "xdist"])
def test_other_data_are_refused(bench: Bench, sql: Sql, tmp_path: Path, distributed: tuple[str, ...]) -> None:
    (tmp_path / "test_mine.py").write_text(MINE.replace("PROMPT", "another prompt"))
    refused(bench("--resume", *distributed), "Run a was made on other data", sql)


@pytest.mark.usefixtures("killed")
def test_another_selection_is_refused(bench: Bench, sql: Sql) -> None:
    refused(bench("--resume", "-k", "mine/2"), "Run a has 6 tasks and these 1 are not the same", sql)


@pytest.mark.usefixtures("killed")
def test_a_name_that_is_taken_is_refused(bench: Bench, sql: Sql) -> None:
    sentence = "There is a run a already: add --resume to go on with it, or name another."
    refused(bench("--run-id", "a"), sentence, sql)


@pytest.mark.usefixtures("killed")
def test_a_run_that_another_process_is_writing_is_left_alone(bench: Bench, sql: Sql) -> None:
    import platform

    sql(f"UPDATE sessions SET process = '{this_process()}', host = '{platform.node()}'")
    refused(bench("--resume", "--run-id", "a"), f"Run a is still under way (process {os.getpid()} on this", sql)


RUN = Run("a", "mine", "m", "ollama", Settings(model="m").stored, "", "f", 6, "", None, {"model_digest": "sha256:1"})


def test_what_makes_runs_alike() -> None:
    same = Settings(model="m", concurrency=9, db="elsewhere.db", gen_timeout=9, resume=True, temperature=0.0)
    assert differences(RUN, same, {"model_digest": "sha256:1"}) == []
    assert differences(RUN, same, {}) == [], "a server that does not tell cannot differ"


@pytest.mark.parametrize(
    ("settings", "facts", "told"),
    [
        (Settings(model="m"), {"model_digest": "sha256:2"}, "the model's digest (sha256:1, now sha256:2)"),
        (Settings(model="m", samples=3, temperature=0.0), {}, "samples (1, now 3)"),
        (Settings(model="m", temperature=0.5), {}, "temperature (0.0, now 0.5)"),
        (Settings(model="m", shard_count=2, shard_index=0), {}, "shard-count (1, now 2)"),
        (Settings(model="m", split="train"), {}, "split (none, now train)"),
    ],
)
def test_what_makes_runs_differ(settings: Settings, facts: dict[str, str], told: str) -> None:
    assert told in differences(RUN, settings, facts)


def test_an_option_that_the_older_run_did_not_know_is_no_difference() -> None:
    known = {name: value for name, value in RUN.config.items() if name != "top-p"}
    assert differences(replace(RUN, config=json.loads(json.dumps(known))), Settings(model="m"), {}) == []


FAULT = TaskResult("t", (), 0.0, fault="The server is away.")
JUDGED = TaskResult("t", (), 0.0)


def test_a_few_errors_in_a_row_have_server_and_sandbox_looked_at() -> None:
    looks: list[None] = []

    def look() -> str:
        looks.append(None)
        return ""

    breaker = Breaker(under_way=20, look=look)
    assert [breaker.tripped(FAULT) for _ in range(FEW)] == [""] * FEW
    assert len(looks) == 1


def test_a_server_that_is_gone_ends_the_session_after_a_few_errors() -> None:
    breaker = Breaker(under_way=20, look=lambda: "The server cannot be reached.")
    told = [breaker.tripped(FAULT) for _ in range(FEW)]
    assert told[:-1] == [""] * (FEW - 1)
    assert told[-1].startswith("stopped: The server cannot be reached.")


def test_nothing_but_errors_ends_the_session_when_no_verdict_can_be_on_its_way() -> None:
    breaker = Breaker(under_way=8, look=lambda: "")
    told = [breaker.tripped(FAULT) for _ in range(13)]
    assert told[:-1] == [""] * 12
    assert told[-1].startswith("stopped: 13 tasks in a row met an error, the last one: The server is away.")


def test_a_verdict_begins_the_count_anew() -> None:
    breaker = Breaker(under_way=1, look=lambda: "gone")
    told = [breaker.tripped(result) for result in [*[FAULT] * 4, JUDGED] * 5]
    assert told == [""] * 25
