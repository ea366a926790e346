"""The results database. What is true of one kind of database is true of the other, so most tests run over both."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pytest_mcode import store
from pytest_mcode._errors import StoreError
from pytest_mcode._rows import Tasks
from pytest_mcode._tables import MIGRATIONS
from pytest_mcode._types import Attempt, Completion, Execution, Message, Mode, Sample, TaskResult, Verdict
from pytest_mcode.store import Run, Store
from tests import postgres

RUN = Run(
    id="r1",
    benchmark="humaneval",
    model="granite3.3:8b",
    backend="ollama",
    config={"samples": 3, "data": None},
    config_hash="0123456789ab",
    dataset_fingerprint="f" * 64,
    planned=2,
    started_at="2025-01-01T00:00:00.000+00:00",
    finished_at=None,
    versions={"python": "3.12"},
)
WRITTEN = Completion(
    text="Here: ```x```",
    thinking="hm",
    prompt=(Message("user", "Write."),),
    prompt_tokens=10,
    completion_tokens=20,
    finish_reason="stop",
    seconds=1.5,
    tries=2,
)
FAILED = Execution(
    passed=False, phase="tests", exit_code=1, stdout="out", stderr="AssertionError", seconds=0.25, mode=Mode.ISOLATED
)
SOLVED = TaskResult(
    "HumanEval/0",
    (
        Sample(0, 40, (Attempt(0, Verdict.FAILED, WRITTEN, "x = 1", FAILED),)),
        Sample(
            1,
            41,
            (
                Attempt(0, Verdict.NO_CODE, WRITTEN),
                Attempt(1, Verdict.PASSED, WRITTEN, "x = 2", Execution(passed=True, seconds=0.5)),
            ),
        ),
    ),
    4.5,
)
TALLY = "verdicts, prompt_tokens, completion_tokens, generation_seconds, execution_seconds"
NOT_JUDGED = TaskResult("HumanEval/1", (Sample(0, 40, (Attempt(0, Verdict.ERROR, error="No server."),)),), 0.5)


KINDS = ("sqlite", "postgresql")


@pytest.fixture(params=KINDS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "results.db")
    server: postgres.Server = request.getfixturevalue("postgresql")
    return server.new()


only_sqlite = pytest.mark.parametrize("path", ["sqlite"], indirect=True)


@pytest.fixture
def opened(path: str) -> Iterator[Store]:
    database = Store(path)
    database.begin(RUN)
    yield database
    database.close()


def select(path: str, query: str) -> list[Any]:
    if postgres.is_server(path):
        return postgres.select(path, query)
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def change(path: str, *statements: str) -> None:
    if postgres.is_server(path):
        postgres.change(path, *statements)
        return
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def columns(path: str, table: str) -> list[str]:
    if postgres.is_server(path):
        query = f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'"
    else:
        query = f"SELECT name FROM pragma_table_info('{table}') ORDER BY cid"
    return [name for (name,) in select(path, query)]


def refusal(path: str, **how: Any) -> str:
    with pytest.raises(StoreError) as caught:
        Store(path, **how)
    return str(caught.value)


def test_the_tables_and_columns_are_a_contract_to_which_one_may_add(opened: Store) -> None:
    contract = {
        "runs": "id benchmark model backend config config_hash dataset_fingerprint planned "
        "started_at finished_at versions",
        "results": "run_id task_id status solved_sample solved_attempt seconds error",
        "samples": "run_id task_id sample seed status",
        "attempts": "run_id task_id sample attempt verdict prompt completion thinking solution stdout stderr exit_code "
        "generation_seconds execution_seconds prompt_tokens completion_tokens finish_reason error",
    }
    for table, named in contract.items():
        assert set(named.split()) - set(columns(opened.path, table)) == set()


def test_a_result_becomes_a_row_a_task_a_sample_and_an_attempt(opened: Store) -> None:
    opened.put("r1", SOLVED)
    opened.put("r1", NOT_JUDGED)
    task = "run_id, task_id, status, solved_sample, solved_attempt, seconds, error"
    assert select(opened.path, f"SELECT {task} FROM results ORDER BY task_id") == [
        ("r1", "HumanEval/0", "solved", 1, 1, 4.5, ""),
        ("r1", "HumanEval/1", "error", None, None, 0.5, "No server."),
    ]
    assert select(
        opened.path, "SELECT run_id, task_id, sample, seed, status FROM samples ORDER BY task_id, sample"
    ) == [
        ("r1", "HumanEval/0", 0, 40, "failed"),
        ("r1", "HumanEval/0", 1, 41, "passed"),
        ("r1", "HumanEval/1", 0, 40, "error"),
    ]
    order = "ORDER BY task_id, sample, attempt"
    judged = "task_id, sample, attempt, verdict, solution, error"
    assert select(opened.path, f"SELECT {judged} FROM attempts {order}") == [
        ("HumanEval/0", 0, 0, "failed", "x = 1", ""),
        ("HumanEval/0", 1, 0, "no_code", None, ""),
        ("HumanEval/0", 1, 1, "passed", "x = 2", ""),
        ("HumanEval/1", 0, 0, "error", None, "No server."),
    ]
    generated = "prompt, completion, thinking, prompt_tokens, completion_tokens, finish_reason"
    spent = "generation_seconds, generation_tries"
    turns = '[{"role": "user", "content": "Write."}]'
    assert select(opened.path, f"SELECT {generated}, {spent} FROM attempts {order}") == [
        *[(turns, "Here: ```x```", "hm", 10, 20, "stop", 1.5, 2)] * 3,
        (None,) * 8,
    ]
    executed = "stdout, stderr, exit_code, execution_seconds, execution_mode"
    assert select(opened.path, f"SELECT {executed} FROM attempts {order}") == [
        ("out", "AssertionError", 1, 0.25, "isolated"),
        (None,) * 5,
        ("", "", 0, 0.5, "two-phase"),
        (None,) * 5,
    ]


def test_a_task_that_could_not_be_run_at_all_is_a_row_too(opened: Store) -> None:
    opened.put("r1", TaskResult("HumanEval/2", (), 1.0, fault="The worker died."))
    assert select(opened.path, "SELECT status, error FROM results") == [("error", "The worker died.")]


def test_a_task_put_again_takes_the_place_of_what_was_there(opened: Store) -> None:
    opened.put("r1", NOT_JUDGED)
    opened.put("r1", SOLVED)
    opened.put("r1", dataclasses.replace(NOT_JUDGED, task_id="HumanEval/0"))
    opened.put("r1", SOLVED)
    opened.put("r1", SOLVED)
    counts = "SELECT (SELECT count(*) FROM results), (SELECT count(*) FROM samples), (SELECT count(*) FROM attempts)"
    assert select(opened.path, counts) == [(2, 3, 4)]
    assert select(opened.path, "SELECT status FROM results ORDER BY task_id") == [("solved",), ("error",)]


def test_the_same_task_of_two_runs_is_two_results(opened: Store) -> None:
    opened.begin(dataclasses.replace(RUN, id="r2"))
    opened.put("r1", SOLVED)
    opened.put("r2", dataclasses.replace(NOT_JUDGED, task_id="HumanEval/0"))
    opened.put("r2", dataclasses.replace(NOT_JUDGED, task_id="HumanEval/0"))
    assert {run: list(tasks.status) for run, tasks in opened.tasks().items()} == {"r1": ["solved"], "r2": ["error"]}


def test_what_was_put_is_read_back_run_by_run_and_task_by_task(opened: Store) -> None:
    opened.begin(dataclasses.replace(RUN, id="r0", benchmark="mbpp"))
    opened.put("r1", NOT_JUDGED)
    opened.put("r1", SOLVED)
    opened.put("r0", dataclasses.replace(NOT_JUDGED, task_id="Mbpp/11"))
    ours = Tasks(
        task_id=["HumanEval/0", "HumanEval/1"],
        status=["solved", "error"],
        verdicts=["f np", "e"],
        seconds=5.0,
        prompt_tokens=30,
        completion_tokens=60,
        generation_seconds=4.5,
        execution_seconds=0.75,
        faults={"HumanEval/1": "No server."},
    )
    other = Tasks(["Mbpp/11"], ["error"], ["e"], 0.5, None, None, 0.0, 0.0, {"Mbpp/11": "No server."})
    assert opened.tasks() == {"r0": other, "r1": ours}
    assert opened.tasks(benchmark="humaneval") == opened.tasks(run_id="r1") == {"r1": ours}
    assert opened.tasks(benchmark="mbpp", model="granite3.3:8b") == {"r0": other}
    assert opened.tasks(benchmark="mbpp", model="qwen") == {}


@pytest.mark.parametrize(
    ("verdict", "letter"),
    [("passed", "p"), ("failed", "f"), ("timeout", "t"), ("truncated", "c"), ("no_code", "n"), ("error", "e")],
)
def test_every_verdict_has_its_letter_in_the_tally(opened: Store, verdict: str, letter: str) -> None:
    opened.put("r1", TaskResult("t", (Sample(0, 0, (Attempt(0, Verdict(verdict)),)),), 1.0))
    assert select(opened.path, "SELECT verdicts FROM results") == [(letter,)]


def test_listings_read_no_attempts(opened: Store) -> None:
    opened.put("r1", SOLVED)
    before = opened.tasks()
    change(opened.path, "DROP TABLE attempts")
    assert opened.tasks() == before


def test_a_result_without_its_tally_is_given_it_by_the_first_reader(opened: Store) -> None:
    opened.put("r1", SOLVED)
    opened.put("r1", TaskResult("HumanEval/2", (), 1.0, fault="The worker died."))
    opened.put("r1", NOT_JUDGED)
    before = opened.tasks()
    change(opened.path, "UPDATE results SET " + TALLY.replace(",", " = NULL,") + " = NULL")
    assert opened.tasks() == before
    assert select(opened.path, f"SELECT {TALLY} FROM results ORDER BY task_id") == [
        ("f np", 30, 60, 4.5, 0.75),
        ("e", None, None, 0.0, 0.0),
        ("", None, None, 0.0, 0.0),
    ]


LOCKED = {
    False: ["CREATE TRIGGER locked BEFORE UPDATE ON results BEGIN SELECT RAISE(ABORT, 'locked'); END"],
    True: [
        "CREATE FUNCTION locked() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'locked'; END $$",
        "CREATE TRIGGER locked BEFORE UPDATE ON results EXECUTE FUNCTION locked()",
    ],
}


def test_a_database_that_may_not_be_written_is_read_all_the_same(opened: Store) -> None:
    opened.put("r1", SOLVED)
    opened.put("r1", NOT_JUDGED)
    before = opened.tasks()
    change(
        opened.path,
        "UPDATE results SET verdicts = NULL, prompt_tokens = NULL WHERE task_id = 'HumanEval/0'",
        *LOCKED[postgres.is_server(opened.path)],
    )
    assert opened.tasks() == before
    assert select(opened.path, "SELECT verdicts FROM results ORDER BY task_id") == [(None,), ("e",)]


@pytest.mark.parametrize(
    ("statement", "verdicts"),
    [
        ("UPDATE attempts SET verdict = 'timeout' WHERE verdict = 'failed'", ["t np", "e"]),
        ("UPDATE attempts SET sample = 7 WHERE sample = 0", ["np f", "e"]),
        ("UPDATE attempts SET task_id = 'HumanEval/1' WHERE sample = 1", ["f", "e np"]),
        ("DELETE FROM attempts WHERE sample = 1", ["f", "e"]),
        (
            "INSERT INTO attempts SELECT 'r1', 'HumanEval/1', 0, 1, 'truncated', " + "NULL, " * 15 + "''",
            ["f np", "ec"],
        ),
    ],
)
def test_attempts_that_somebody_else_changes_are_tallied_again(
    opened: Store, statement: str, verdicts: list[str]
) -> None:
    opened.put("r1", SOLVED)
    opened.put("r1", NOT_JUDGED)
    change(opened.path, statement)
    assert opened.tasks()["r1"].verdicts == verdicts


def test_what_a_debug_iteration_and_a_sample_spent_is_added_up(opened: Store) -> None:
    opened.put("r1", SOLVED)
    change(opened.path, "UPDATE attempts SET completion_tokens = NULL, generation_seconds = 0.25 WHERE sample = 0")
    tasks = opened.tasks()["r1"]
    assert (tasks.prompt_tokens, tasks.completion_tokens) == (30, 40)
    assert (tasks.generation_seconds, tasks.execution_seconds) == (3.25, 0.75)


def test_runs_are_found_by_benchmark_and_model_the_newest_first(opened: Store) -> None:
    later = dataclasses.replace(RUN, id="r2", started_at="2025-01-02T00:00:00.000+00:00")
    other = dataclasses.replace(RUN, id="r3", benchmark="mbpp", model="qwen")
    opened.begin(later)
    opened.begin(other)
    assert [run.id for run in opened.runs()] == ["r2", "r1", "r3"]
    assert opened.runs(benchmark="humaneval") == [later, RUN]
    assert opened.runs(model="qwen") == [other]
    assert opened.runs(benchmark="mbpp", model="granite3.3:8b") == []


def test_a_run_is_finished_when_it_says_so(opened: Store) -> None:
    assert opened.runs()[0].finished_at is None
    opened.finish("r1")
    finished = opened.runs()[0].finished_at
    assert finished is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", finished)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("lone \ud800 surrogate", "lone \\ud800 surrogate"),
        ("\x1b[31mü\u2028\U0001f600", "\x1b[31mü\u2028\U0001f600"),
    ],
)
def test_whatever_a_model_writes_can_be_stored(opened: Store, text: str, stored: str) -> None:
    completion = Completion(text, thinking=text, prompt=(Message("user", text),), finish_reason=text)
    execution = Execution(passed=False, stdout=text, stderr=text)
    attempt = Attempt(0, Verdict.ERROR, completion, text, execution, error=text)
    opened.put("r1", TaskResult("t", (Sample(0, 0, (attempt,)),), 0.0))
    columns = "completion, thinking, solution, stdout, stderr, finish_reason, error"
    assert select(opened.path, f"SELECT {columns} FROM attempts") == [(stored,) * 7]
    assert select(opened.path, "SELECT error FROM results") == [(stored,)]


def test_a_null_is_stored_as_far_as_the_database_can(opened: Store) -> None:
    stored = "null \\x00 inside" if postgres.is_server(opened.path) else "null \x00 inside"
    opened.put("r1", dataclasses.replace(NOT_JUDGED, task_id="null \x00 inside"))
    opened.put("r1", dataclasses.replace(NOT_JUDGED, task_id="null \x00 inside"))
    assert opened.tasks()["r1"].task_id == [stored]


def test_a_task_id_and_a_model_may_hold_what_no_database_takes(opened: Store) -> None:
    opened.begin(dataclasses.replace(RUN, id="r2", model="m\udc80", config={"model": "m\udc80"}))
    for _ in range(2):
        opened.put("r2", dataclasses.replace(SOLVED, task_id="t\udc80"))
    assert opened.tasks()["r2"].task_id == ["t\\udc80"]
    assert opened.runs(model="m\\udc80")[0].config == {"model": "m\udc80"}


def test_a_result_belongs_to_a_run(opened: Store) -> None:
    with pytest.raises(StoreError, match=r"(?i)cannot be used \(.*foreign key constraint"):
        opened.put("none", SOLVED)
    assert select(opened.path, "SELECT * FROM attempts") == []


def test_a_task_is_stored_whole_or_not_at_all(opened: Store) -> None:
    twice = Sample(0, 0, (Attempt(0, Verdict.FAILED), Attempt(0, Verdict.FAILED)))
    opened.put("r1", SOLVED)
    with pytest.raises(StoreError, match=r"(?i)cannot be used \(.*unique constraint"):
        opened.put("r1", TaskResult("HumanEval/0", (twice,), 0.0))
    assert opened.tasks()["r1"].verdicts == ["f np"]
    assert select(opened.path, "SELECT count(*) FROM attempts") == [(3,)]


@only_sqlite
def test_readers_do_not_wait_for_a_writer(opened: Store) -> None:
    assert select(opened.path, "PRAGMA journal_mode") == [("wal",)]
    with closing(sqlite3.connect(opened.path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM runs")
        reader = store.existing(opened.path)
        assert reader.runs() == [RUN]
        reader.close()


def test_a_database_is_made_where_it_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Store("~/a/b/what? 100%#.db").close()
    assert (tmp_path / "a" / "b" / "what? 100%#.db").is_file()


def test_several_processes_may_make_it_at_once(path: str) -> None:
    script = "import sys; from pytest_mcode.store import Store; Store(sys.argv[1]).close()"
    processes = [subprocess.Popen([sys.executable, "-c", script, path]) for _ in range(3)]
    assert [process.wait(20) for process in processes] == [0, 0, 0]
    assert select(path, "SELECT * FROM schema") == [(VERSION,)]


def test_a_database_that_must_be_there_and_is_not_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.db", tmp_path):
        with pytest.raises(StoreError) as caught:
            store.existing(str(path))
        assert str(caught.value) == (
            f"There is no results database {path}: run 'mcode bench' first, or name one with --mcode-db."
        )
    assert list(tmp_path.iterdir()) == []


def test_a_server_s_database_without_tables_is_told_and_left_alone(postgresql: postgres.Server) -> None:
    path = postgresql.new()
    with pytest.raises(StoreError, match=r"^There is no results database postgresql://127\.0\.0\.1:\d+/mcode_\w+: run"):
        store.existing(path)
    assert columns(path, "runs") == []


@only_sqlite
@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_damaged_file_is_told_and_left_alone(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)
    assert refusal(path) == (
        f"The results database {path} cannot be used (file is not a database): name another file with --mcode-db."
    )
    assert Path(path).read_bytes() == content


def test_a_directory_is_told(tmp_path: Path) -> None:
    assert refusal(str(tmp_path)) == (
        f"The results database {tmp_path} cannot be used (unable to open database file): "
        "name another file with --mcode-db."
    )


def test_a_place_where_nothing_can_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "results.db", tmp_path / "file" / "deeper" / "results.db"):
        assert refusal(str(path)).startswith(f"The results database {path} cannot be used (")


@pytest.mark.skipif(os.geteuid() == 0, reason="platform: root may write everywhere")
def test_a_directory_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot be used (unable to open database file)" in refusal(str(tmp_path / "results.db"))
    tmp_path.chmod(0o700)


def test_somebody_else_s_database_is_told_and_left_alone(path: str) -> None:
    change(path, "CREATE TABLE bookmarks (url TEXT)")
    assert refusal(path) == f"{path} is a database, but not one of mCode's: name another with --mcode-db."
    assert columns(path, "runs") == []


VERSION = 4
ONE = (
    *MIGRATIONS,
    ("ALTER TABLE attempts ADD COLUMN judge TEXT", "UPDATE attempts SET judge = 'old'"),
)
TWO = (*ONE, ("ALTER TABLE runs ADD COLUMN name TEXT", "CREATE INDEX runs_by_name ON runs (name)"))

#: The tables as the first version of them was.
OLD = """
CREATE TABLE schema (version INTEGER NOT NULL);
INSERT INTO schema VALUES (1);
CREATE TABLE runs (
    id TEXT NOT NULL, benchmark TEXT NOT NULL, model TEXT NOT NULL, backend TEXT NOT NULL, config TEXT NOT NULL,
    config_hash TEXT NOT NULL, dataset_fingerprint TEXT NOT NULL, planned INTEGER NOT NULL, started_at TEXT NOT NULL,
    finished_at TEXT, versions TEXT NOT NULL, PRIMARY KEY (id)
);
CREATE INDEX runs_by_benchmark ON runs (benchmark, model);
CREATE TABLE results (
    run_id TEXT NOT NULL, task_id TEXT NOT NULL, status TEXT NOT NULL, solved_sample INTEGER, solved_attempt INTEGER,
    seconds FLOAT NOT NULL, error TEXT NOT NULL, PRIMARY KEY (run_id, task_id), FOREIGN KEY(run_id) REFERENCES runs (id)
);
CREATE TABLE samples (
    run_id TEXT NOT NULL, task_id TEXT NOT NULL, sample INTEGER NOT NULL, seed INTEGER NOT NULL, status TEXT NOT NULL,
    PRIMARY KEY (run_id, task_id, sample), FOREIGN KEY(run_id) REFERENCES runs (id)
);
CREATE TABLE attempts (
    run_id TEXT NOT NULL, task_id TEXT NOT NULL, sample INTEGER NOT NULL, attempt INTEGER NOT NULL,
    verdict TEXT NOT NULL, prompt TEXT, completion TEXT, thinking TEXT, solution TEXT, stdout TEXT, stderr TEXT,
    exit_code INTEGER, generation_seconds FLOAT, generation_tries INTEGER, execution_seconds FLOAT, execution_mode TEXT,
    first_execution_seconds FLOAT, prompt_tokens INTEGER, completion_tokens INTEGER, finish_reason TEXT,
    error TEXT NOT NULL, PRIMARY KEY (run_id, task_id, sample, attempt), FOREIGN KEY(run_id) REFERENCES runs (id)
);
"""
SHAPE = "SELECT name, type, \"notnull\", pk FROM pragma_table_info('{}') ORDER BY cid"
MADE = "SELECT type, name, tbl_name FROM sqlite_master WHERE type <> 'table' ORDER BY name"


@only_sqlite
def test_a_database_of_the_first_version_is_brought_up_to_date_and_tallied(opened: Store, tmp_path: Path) -> None:
    opened.put("r1", SOLVED)
    opened.put("r1", NOT_JUDGED)
    old = str(tmp_path / "old.db")
    with closing(sqlite3.connect(old)) as connection:
        connection.executescript(OLD)
        connection.execute("ATTACH ? AS ours", (opened.path,))
        task = "run_id, task_id, status, solved_sample, solved_attempt, seconds, error"
        for table, columns in {"runs": "*", "results": task, "samples": "*", "attempts": "*"}.items():
            connection.execute(f"INSERT INTO {table} SELECT {columns} FROM ours.{table}")
        connection.commit()
    upgraded = Store(old)
    for table in ("schema", "runs", "results", "samples", "attempts"):
        assert select(old, SHAPE.format(table)) == select(opened.path, SHAPE.format(table))
    assert select(old, MADE) == select(opened.path, MADE)
    assert upgraded.runs() == [RUN]
    assert upgraded.tasks() == opened.tasks()
    assert select(old, "SELECT * FROM results") == select(opened.path, "SELECT * FROM results")
    change(old, "UPDATE attempts SET verdict = 'timeout' WHERE verdict = 'failed'")
    assert upgraded.tasks()["r1"].verdicts == ["t np", "e"]
    upgraded.close()


def test_an_older_database_is_brought_up_to_date_and_keeps_what_it_holds(opened: Store) -> None:
    opened.put("r1", SOLVED)
    Store(opened.path, migrations=ONE).close()
    assert select(opened.path, "SELECT version FROM schema") == [(VERSION + 1,)]
    Store(opened.path, migrations=TWO).close()
    Store(opened.path, migrations=TWO).close()
    assert select(opened.path, "SELECT version FROM schema") == [(VERSION + 2,)]
    order = "ORDER BY sample, attempt"
    assert select(opened.path, f"SELECT solution, judge FROM attempts {order}") == [
        ("x = 1", "old"),
        (None, "old"),
        ("x = 2", "old"),
    ]
    assert select(opened.path, "SELECT id, name FROM runs") == [("r1", None)]


def test_an_older_database_is_brought_over_several_versions_at_once(opened: Store) -> None:
    change(opened.path, "DROP TABLE samples")
    Store(opened.path, migrations=TWO).close()
    assert select(opened.path, "SELECT version FROM schema") == [(VERSION + 2,)]
    assert select(opened.path, "SELECT * FROM samples") == []


def test_a_new_database_is_of_the_newest_version(path: str) -> None:
    Store(path, migrations=TWO).close()
    assert select(path, "SELECT version FROM schema") == [(VERSION + 2,)]


def test_a_change_that_fails_halfway_leaves_the_database_as_it_was(opened: Store) -> None:
    broken = (*ONE, ("ALTER TABLE runs ADD COLUMN name TEXT", "ALTER TABLE none ADD COLUMN x TEXT"))
    told = refusal(opened.path, migrations=broken)
    assert "cannot be used (no such table: none)" in told or 'cannot be used (relation "none" does not exist)' in told
    assert select(opened.path, "SELECT version FROM schema") == [(VERSION,)]
    assert "judge" not in columns(opened.path, "attempts")
    assert opened.runs() == [RUN]


def test_a_newer_database_is_refused_in_one_sentence(opened: Store) -> None:
    Store(opened.path, migrations=TWO).close()
    assert refusal(opened.path) == (
        f"The results database {opened.path} was written by a newer mCode (schema 6, this one knows 4): "
        f"update pytest-mcode, or name another with --mcode-db."
    )


WRITER = """
import itertools, sys
from pytest_mcode._rows import Tasks
from pytest_mcode._tables import MIGRATIONS
from pytest_mcode._types import Attempt, Sample, TaskResult, Verdict
from pytest_mcode.store import Store
store = Store(sys.argv[1])
attempts = tuple(Attempt(index, Verdict.FAILED, solution="x" * 5000) for index in range(4))
samples = tuple(Sample(index, index, attempts) for index in range(5))
for number in itertools.count():
    store.put("r1", TaskResult(f"t/{number}", samples, 0.0))
    print(number, flush=True)
"""


def test_a_writer_that_is_killed_leaves_every_task_it_told_of_and_only_whole_ones(opened: Store) -> None:
    command = [sys.executable, "-c", WRITER, opened.path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(20)]
        time.sleep(0.003)
        writer.send_signal(signal.SIGKILL)
        told += writer.stdout.readlines()
    last = int(told[-1])
    results = select(opened.path, "SELECT task_id FROM results")
    assert {f"t/{number}" for number in range(last + 1)} <= {task_id for (task_id,) in results}
    assert len(results) <= last + 2
    whole = "SELECT task_id, count(DISTINCT sample), count(*) FROM attempts GROUP BY task_id"
    assert sorted(select(opened.path, whole)) == sorted((task_id, 5, 20) for (task_id,) in results)
    samples = "SELECT task_id, count(*) FROM samples GROUP BY task_id"
    assert sorted(select(opened.path, samples)) == sorted((task_id, 5) for (task_id,) in results)
    opened.put("r1", SOLVED)


def test_a_thousand_tasks_are_stored(opened: Store) -> None:
    started = time.perf_counter()
    for number in range(1000):
        opened.put("r1", dataclasses.replace(SOLVED, task_id=f"t/{number}"))
    seconds = time.perf_counter() - started
    print(f"{seconds:.3f} ms a task")  # noqa: T201 - for whoever asks with -rP
    assert len(opened.tasks()["r1"].task_id) == 1000
