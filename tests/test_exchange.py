"""Samples of others and completions of a run are judged like a model's: same pipeline, sandbox, workers, database."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.test_smoke import TASKS
from pytest_mcode._rows import ResultRow
from pytest_mcode._types import Attempt, Completion, Execution, Sample, TaskResult, Verdict
from pytest_mcode.report import rejudged
from pytest_mcode.settings import Settings
from pytest_mcode.store import Run, Store

Mcode = Callable[..., subprocess.CompletedProcess[str]]

MINE = """
from pytest_mcode import Mcode, Task, benchmark

TASKS = [Task(f"mine/{n}", "def f(): ...", "assert f() == 1", entry_point="f") for n in range(3)]

@benchmark("mine", tasks=TASKS)
def test_mine(task: Task, mcode: Mcode) -> None:
    mcode(task)
"""
RIGHT, WRONG = "def f():\n    return 1\n", "def f():\n    return 2\n"
HOSTILE = "\ud800\x00</script>\x1b[31m'\"\u2028\u202e"


@pytest.fixture
def mcode(tmp_path: Path) -> Mcode:
    """Runs mcode where test_mine.py is, and expects that status."""
    (tmp_path / "test_mine.py").write_text(MINE)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MCODE_", "PYTEST"))}
    environment = {**kept, "MCODE_DB": "r.db", "MCODE_SANDBOX": "process", "MCODE_CACHE_DIR": str(tmp_path / "cache")}

    def run(*words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest_mcode", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return run


def rows(place: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(place / "r.db")) as connection:
        return connection.execute(query).fetchall()


def verdicts(place: Path, run: str) -> dict[object, object]:
    return dict(rows(place, f"select task_id, verdicts from results where run_id = '{run}'"))  # type: ignore[arg-type]


def write(path: Path, *lines: object) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def solution(number: int, text: str) -> dict[str, str]:
    return {"task_id": f"mine/{number}", "solution": text}


def test_samples_are_a_run_like_any_other_that_says_where_they_came_from(mcode: Mcode, tmp_path: Path) -> None:
    write(tmp_path / "gpt.jsonl", solution(0, WRONG), solution(2, HOSTILE), solution(0, RIGHT), solution(2, ""))
    done = mcode("import", "gpt.jsonl", "--benchmark", "mine", "test_mine.py", "--run-id", "a", "-v")
    assert "mcode: gpt (imported), 2 samples of 1 attempt a task\n" in done.stdout
    assert "mcode: solutions from gpt.jsonl: 2 tasks, 2 samples each\n" in done.stdout
    assert "mcode: 8 requests at once (no server is asked)\n" in done.stdout
    assert verdicts(tmp_path, "a") == {"mine/0": "f p", "mine/2": "f n"}
    ((model, backend, planned, versions, config),) = rows(
        tmp_path, "select model, backend, planned, versions, config from runs"
    )
    assert (model, backend, planned) == ("gpt", "imported", 2)
    facts = json.loads(str(versions))
    hashed = subprocess.run(["sha256sum", "gpt.jsonl"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert facts["solutions_sha256"] == hashed.stdout.split()[0]
    assert facts["solutions_kind"] == "solution"
    assert json.loads(str(config))["solutions"] == "gpt.jsonl"
    assert ("mine/0", RIGHT, RIGHT, "[]") in rows(
        tmp_path, "select task_id, completion, solution, prompt from attempts"
    )


def test_a_run_of_all_tasks_comes_back_from_its_exports_with_the_same_verdicts(mcode: Mcode, tmp_path: Path) -> None:
    broken = ("x = 1", "", "I am sorry.", "while True: pass")
    lines = [
        {"task_id": task.id, "completion": f"Sure!\n```python\n{task.reference}```\n" if n % 3 else broken[n // 3 % 4]}
        for n, task in enumerate(TASKS)
    ]
    write(tmp_path / "chat.jsonl", *lines)
    mcode("import", "chat.jsonl", "--benchmark", "smoke", "--run-id", "a", "-n", "2", "--timeout", "2")
    first = verdicts(tmp_path, "a")
    assert [first[task.id] for task in TASKS[:10]] == ["f", "p", "p", "n", "p", "p", "n", "p", "p", "t"]
    for name in ("b.jsonl.gz", "c.raw.jsonl"):
        mcode("export", "a", "--out", name)
        mcode("import", name, "--benchmark", "smoke", "--run-id", name[0], "--timeout", "2")
        assert verdicts(tmp_path, name[0]) == first


def test_no_model_is_asked_and_mellea_not_imported(mcode: Mcode, tmp_path: Path) -> None:
    write(tmp_path / "s.jsonl", solution(0, RIGHT))
    (tmp_path / "test_last.py").write_text("import sys\n\ndef test_it():\n    assert 'mellea' not in sys.modules\n")
    words = (
        "bench",
        "mine",
        "test_mine.py",
        "test_last.py",
        "--solutions",
        "s.jsonl",
        "--base-url",
        "http://x.invalid",
    )
    assert "2 passed" in mcode(*words).stdout
    mcode(*words, "-n", "2")


def test_a_wrong_line_is_told_before_anything_is_run(mcode: Mcode, tmp_path: Path) -> None:
    task = TASKS[0]
    write(
        tmp_path / "s.jsonl", {"task_id": task.id, "solution": task.reference}, {"task_id": "smoke/99", "solution": ""}
    )
    done = mcode("import", "s.jsonl", "--benchmark", "smoke", status=4)
    assert done.stderr.startswith("ERROR: s.jsonl, line 2: smoke has no task 'smoke/99' (did you mean 'smoke/9'?)")
    assert not (tmp_path / "r.db").exists()
    write(tmp_path / "s.jsonl", solution(7, RIGHT))
    done = mcode("import", "s.jsonl", "--benchmark", "mine", "test_mine.py", status=2)
    assert "s.jsonl, line 1: mine has no task 'mine/7' (did you mean 'mine/2'?)" in done.stdout
    assert rows(tmp_path, "select * from runs") == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("import",), "Name the samples first: mcode import samples.jsonl --benchmark humaneval."),
        (("import", "s.jsonl"), "Name the benchmark whose tasks s.jsonl solves: --benchmark humaneval."),
        (("import", "s.jsonl", "--benchmark", "smoke"), "There is no file s.jsonl: name one with samples"),
        (("score",), "Name the run first: mcode score ID; 'mcode results' lists them."),
        (("score", "nightly"), "There is no results database r.db"),
        (
            ("bench", "smoke,humaneval", "--solutions", "s.jsonl"),
            "--solutions are one benchmark's: name a single benchmark",
        ),
        (("bench", "smoke", "--solutions", "run:nightly"), "There is no results database r.db"),
    ],
)
def test_what_is_missing_is_told_in_a_sentence(words: tuple[str, ...], sentence: str, mcode: Mcode) -> None:
    assert mcode(*words, status=4).stderr.startswith(f"ERROR: {sentence}")


def test_what_the_samples_say_is_not_asked_for_again(mcode: Mcode, tmp_path: Path) -> None:
    write(tmp_path / "s.jsonl", solution(0, RIGHT), solution(0, RIGHT))
    told = mcode("import", "s.jsonl", "--benchmark", "mine", "test_mine.py", "--samples", "5", status=4).stderr
    assert told.startswith(
        "ERROR: --samples is 5, but the solutions in s.jsonl: 1 tasks, 2 samples each were made with 2: leave it out."
    )


def test_a_judging_that_was_cut_short_is_gone_on_with_unless_the_file_has_changed(mcode: Mcode, tmp_path: Path) -> None:
    write(tmp_path / "s.jsonl", *(solution(number, RIGHT) for number in range(3)))
    words = ("import", "s.jsonl", "--benchmark", "mine", "test_mine.py", "--run-id", "a", "--resume")
    mcode(*words)
    with closing(sqlite3.connect(tmp_path / "r.db")) as connection, connection:
        connection.execute("delete from results where task_id = 'mine/1'")
    assert "mcode: going on with run a: 2 of 3 tasks judged" in mcode(*words).stdout
    write(tmp_path / "s.jsonl", *(solution(number, WRONG) for number in range(3)))
    assert "Run a differs in the content of --solutions" in mcode(*words, status=4).stderr


def begin(store: Store, run_id: str, **options: object) -> None:
    settings = Settings(bench=("mine",), model="granite3.3:8b", **options)  # type: ignore[arg-type]
    versions = {"file": "test_mine.py"}
    config, digest = settings.stored, settings.hashed
    store.begin(Run(run_id, "mine", settings.model, "ollama", config, digest, "f", 3, "2025-11-03", None, versions))


def loop(*attempts: tuple[str, Verdict], sample: int = 0) -> Sample:
    return Sample(
        sample,
        sample,
        tuple(
            Attempt(
                index,
                verdict,
                Completion(f"```python\n{code}```", prompt_tokens=10, finish_reason="stop", seconds=1.5),
                code,
                Execution(passed=verdict is Verdict.PASSED),
            )
            for index, (code, verdict) in enumerate(attempts)
        ),
    )


def test_a_run_is_judged_again_as_it_was_and_what_changed_is_told(mcode: Mcode, tmp_path: Path) -> None:
    failed, passed = Verdict.FAILED, Verdict.PASSED
    gone = Sample(1, 1, (Attempt(0, Verdict.ERROR, error="The server was gone."),))
    with closing(Store(str(tmp_path / "r.db"))) as store:
        begin(store, "old", samples=2, debug_iters=2, temperature=0.3)
        # the first attempt is right, though it was judged otherwise: the second is not judged again
        store.put("old", TaskResult("mine/0", (loop((RIGHT, failed), (RIGHT, passed)),), 1.0))
        # it passed with the first sample, so that a second was never drawn
        store.put("old", TaskResult("mine/1", (loop((WRONG, failed), (WRONG, passed)),), 1.0))
        store.put("old", TaskResult("mine/2", (loop((WRONG, failed)), gone), 1.0))
    done = mcode("score", "old", "--run-id", "new", status=1)
    assert done.stdout.startswith(
        "mcode bench mine test_mine.py --model granite3.3:8b --samples 2 --debug-iters 2 --temperature 0.3 "
        "--solutions run:old --run-id new\n"
    )
    assert verdicts(tmp_path, "new") == {"mine/0": "p", "mine/1": "ff", "mine/2": "f e"}
    ((backend, versions),) = rows(tmp_path, "select backend, versions from runs where id = 'new'")
    assert backend == "ollama"
    assert json.loads(str(versions))["rejudged"] == "old"
    query = "select prompt_tokens, generation_seconds, finish_reason from attempts where run_id = 'new' and attempt = 1"
    assert rows(tmp_path, query) == [(10, 1.5, "stop")]
    assert done.stdout.endswith(
        "\n\nre-judged     new, from old\n"
        "changed       2 of 3 tasks: 0 solved now, 1 not any more, 1 otherwise\n"
        "  mine/1  solved -> unsolved    passed -> failed  (sample 0, attempt 1)\n"
        "  mine/0  solved                failed -> passed\n"
    )


def test_the_shards_of_a_run_in_two_databases_are_judged_again_as_one(mcode: Mcode, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    for shard in range(2):
        with closing(Store(str(tmp_path / "shards" / f"{shard}.db"))) as store:
            begin(store, "old", shard_index=shard, shard_count=2)
            for number in range(shard, 3, 2):
                store.put("old", TaskResult(f"mine/{number}", (loop((RIGHT, Verdict.PASSED)),), 1.0))
    told = mcode("score", "old@shards", "--run-id", "new").stdout
    assert told.endswith("re-judged     new, from old\nchanged       nothing: all 3 tasks came to the same\n")
    assert verdicts(tmp_path, "new") == {f"mine/{number}": "p" for number in range(3)}


def test_a_file_is_scored_as_it_is_imported(mcode: Mcode, tmp_path: Path) -> None:
    write(tmp_path / "s.jsonl", solution(0, RIGHT))
    assert "solved        1/1" in mcode("score", "s.jsonl", "--benchmark", "mine", "test_mine.py").stdout


def row(task: str, status: str, tally: str) -> ResultRow:
    return ResultRow(task, status, None, None, 0.0, "", tally, None, None, None, None)


def test_changes_are_told_by_task_with_the_first_attempt_that_differs() -> None:
    old = [
        row("t/10", "solved", "fp"),
        row("t/9", "unsolved", "f f"),
        row("t/2", "error", "e"),
        row("t/3", "solved", "p"),
    ]
    new = [row("t/10", "solved", "p"), row("t/9", "solved", "f p"), row("t/2", "unsolved", "n")]
    assert list(rejudged.lines("old", "new", old, new)) == [
        "re-judged     new, from old",
        "changed       3 of 3 tasks: 1 solved now, 0 not any more, 2 otherwise; 1 task had no completion",
        "  t/2   error -> unsolved     error -> no_code",
        "  t/9   unsolved -> solved    failed -> passed  (sample 1, attempt 0)",
        "  t/10  solved                failed -> passed",
    ]
