"""The plugin as pytest's users meet it: items, letters, reports, exit status, selection, and what it leaves alone."""

from __future__ import annotations

import importlib
import json
import signal
import sqlite3
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

MINE = """
from pytest_mcode import Mcode, Task, benchmark

def task(number: int, reference: str) -> Task:
    return Task(f"mine/{number}", "def f() -> int: ...", "assert f() == 1", entry_point="f", reference=reference)

RIGHT, WRONG, LOST = "def f() -> int:\\n    return 1", "def f() -> int:\\n    return 2", ""

@benchmark("mine", tasks=[task(0, RIGHT), task(1, WRONG), task(2, RIGHT)])
def test_mine(task: Task, mcode: Mcode) -> None:
    mcode(task)

@benchmark("lost", tasks=[task(0, RIGHT), task(1, LOST), task(2, WRONG)])
def test_lost(task: Task, mcode: Mcode) -> None:
    mcode(task)
"""
#: One task after the other, so that what is told comes in the order of the tasks.
ASK = ("--mcode-model=reference", "--mcode-sandbox=process", "--mcode-db=r.db", "--mcode-concurrency=1")


#: pytester forgets what a run imports; these have parts that cannot be imported twice in one process.
KEPT = ("scipy.stats", "sqlalchemy", "pytest_mcode.solvers.mellea", "pytest_mcode.report.terminal")


@pytest.fixture(autouse=True, scope="module")
def kept_modules() -> None:
    for name in KEPT:
        importlib.import_module(name)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    monkeypatch.setenv("MCODE_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    yield
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture
def mine(pytester: pytest.Pytester) -> Path:
    return pytester.makepyfile(test_mine=MINE)


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(*ASK, *arguments)


def run_apart(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """In a process of its own, as xdist needs it."""
    return pytester.runpytest_subprocess(*ASK, *arguments)


def rows(query: str, database: str = "r.db") -> list[tuple[object, ...]]:
    connection = sqlite3.connect(database)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def statuses() -> list[tuple[object, ...]]:
    return rows("select task_id, status from results order by task_id")


@pytest.mark.usefixtures("mine")
class TestOutcomes:
    """What a task came to, as pytest and its report formats show it."""

    def test_an_unsolved_task_is_data_and_no_broken_build(self, pytester: pytest.Pytester) -> None:
        result = run(pytester, "--mcode-bench=mine", "test_mine.py")
        assert result.ret == 0
        result.stdout.fnmatch_lines(["test_mine.py .u.*", "*2 passed, 1 unsolved in *"])
        assert statuses() == [("mine/0", "solved"), ("mine/1", "unsolved"), ("mine/2", "solved")]

    def test_the_same_rows_and_status_come_out_of_xdist(self, pytester: pytest.Pytester) -> None:
        result = run_apart(pytester, "--mcode-bench=mine", "test_mine.py", "-n2")
        assert result.ret == 0
        result.stdout.fnmatch_lines(["*2 passed, 1 unsolved in *"])
        assert statuses() == [("mine/0", "solved"), ("mine/1", "unsolved"), ("mine/2", "solved")]

    @pytest.mark.parametrize("distributed", [(), ("-n2",)], ids=["alone", "xdist"])
    def test_a_fault_is_an_error_with_status_1(self, pytester: pytest.Pytester, distributed: tuple[str, ...]) -> None:
        result = run_apart(pytester, "--mcode-bench=lost", "test_mine.py", *distributed)
        assert result.ret == 1
        result.stdout.fnmatch_lines(["*1 passed, 1 error, 1 unsolved in *"])
        assert statuses() == [("mine/0", "solved"), ("mine/1", "error"), ("mine/2", "unsolved")]
        assert rows("select error from results where status = 'error'") == [
            ("Task mine/1 has no reference solution: run this benchmark with a real --mcode-model.",)
        ]

    def test_verbose_output_names_each_outcome(self, pytester: pytest.Pytester) -> None:
        result = run(pytester, "--mcode-bench=mine", "test_mine.py", "-v")
        result.stdout.fnmatch_lines(["*mine/0] PASSED*", "*mine/1] UNSOLVED*", "*mine/2] PASSED*"])

    def test_junit_has_one_line_for_a_failure_and_errors_apart(self, pytester: pytest.Pytester) -> None:
        run(pytester, "--mcode-bench=lost", "test_mine.py", "--junitxml=out.xml")
        suite = ET.parse("out.xml").getroot()[0]
        assert {k: suite.get(k) for k in ("tests", "failures", "errors")} == {
            "tests": "3",
            "failures": "1",
            "errors": "1",
        }
        (failure,) = suite.iter("failure")
        assert failure.text == "unsolved: failed (1 attempt)"
        (error,) = suite.iter("error")
        assert error.text is not None
        assert error.text.startswith("Task mine/1 has no reference solution")

    def test_the_json_report_knows_the_outcomes(self, pytester: pytest.Pytester) -> None:
        run(pytester, "--mcode-bench=lost", "test_mine.py", "--json-report", "--json-report-file=out.json")
        report = json.loads(Path("out.json").read_text())
        assert [test["outcome"] for test in report["tests"]] == ["passed", "error", "unsolved"]
        assert report["exitcode"] == 1

    def test_x_stops_at_the_first_unsolved_task_and_lf_runs_it_again(self, pytester: pytest.Pytester) -> None:
        stopped = run(pytester, "--mcode-bench=mine", "test_mine.py", "-x")
        assert stopped.ret == 1
        assert statuses() == [("mine/0", "solved"), ("mine/1", "unsolved")]
        again = run(pytester, "--mcode-bench=mine", "test_mine.py", "--lf")
        assert again.ret == 0
        again.stdout.fnmatch_lines(["*1 unsolved in *"])

    def test_a_failing_test_of_somebody_else_keeps_pytests_own_status(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(test_other="def test_other():\n    assert False\n")
        result = run(pytester, "--mcode-bench=mine", "test_mine.py", "test_other.py")
        assert result.ret == 1
        result.stdout.fnmatch_lines(["*assert False*", "*1 failed, 2 passed, 1 unsolved in *"])

    def test_a_passing_test_of_somebody_else_does_not_disturb(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(test_other="def test_other():\n    pass\n")
        assert run(pytester, "--mcode-bench=mine", "test_mine.py", "test_other.py").ret == 0
        assert len(statuses()) == 3

    def test_a_task_that_pytest_timeout_ends_is_an_error(self, pytester: pytest.Pytester) -> None:
        endless = MINE.replace("return 2", "while True: pass")
        pytester.makepyfile(test_mine=endless)
        result = run_apart(pytester, "--mcode-bench=mine", "test_mine.py", "--timeout=2")
        assert result.ret == 1
        assert statuses() == [("mine/0", "solved"), ("mine/1", "error"), ("mine/2", "solved")]

    def test_an_endless_program_is_unsolved(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(test_mine=MINE.replace("return 2", "while True: pass"))
        result = run(pytester, "--mcode-bench=mine", "test_mine.py", "--mcode-timeout=0.5", "-v")
        assert result.ret == 0
        assert rows("select verdict from attempts where task_id = 'mine/1'") == [("timeout",)]


class TestFaultsOfTheSession:
    """Whatever ends the session, what was finished is recorded, and the status says that not all was."""

    def test_a_worker_that_dies_costs_its_task_alone(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(
            test_mine=MINE.replace(
                '    mcode(task)\n\n@benchmark("lost"',
                ("    if task.id == 'mine/1': import os; os._exit(9)\n    mcode(task)\n\n@benchmark(\"lost\""),
            )
        )
        result = run_apart(pytester, "--mcode-bench=mine", "test_mine.py", "-n1")
        assert result.ret == 1
        assert statuses() == [("mine/0", "solved"), ("mine/1", "error"), ("mine/2", "solved")]

    @pytest.mark.parametrize("distributed", [(), ("-n1",)], ids=["alone", "xdist"])
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
    def test_an_interrupt_keeps_what_was_finished(
        self, pytester: pytest.Pytester, number: signal.Signals, distributed: tuple[str, ...]
    ) -> None:
        pytester.makepyfile(test_mine=MINE.replace("return 2", "while True: pass"))
        command = [sys.executable, "-m", "pytest", *ASK, "--mcode-bench=mine", "test_mine.py", *distributed]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        # a worker has a second task under way, which overtakes the endless one
        finished = [("mine/0", "solved"), ("mine/2", "solved")] if distributed else [("mine/0", "solved")]
        wait_for_rows(len(finished))
        time.sleep(0.3)
        process.send_signal(number)
        process.communicate(timeout=30)
        assert process.returncode == 2
        assert statuses() == finished
        assert rows("select finished_at from runs") == [(None,)]

    def test_a_database_that_cannot_be_used_is_told_before_anything_is_spent(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(test_mine=MINE)
        Path("r.db").write_text("this is no database, whatever it is called")
        result = run(pytester, "--mcode-bench=mine", "test_mine.py")
        assert result.ret == 4
        result.stderr.fnmatch_lines(["ERROR: The results database r.db cannot be used (file is not a database): *"])

    def test_a_database_that_breaks_in_mid_run_ends_it_in_one_sentence(self, pytester: pytest.Pytester) -> None:
        dropping = "    import sqlite3; c = sqlite3.connect('r.db'); c.execute('drop table attempts'); c.commit()\n"
        pytester.makepyfile(test_mine=MINE.replace("    mcode(task)\n", f"{dropping}    mcode(task)\n", 1))
        result = run_apart(pytester, "--mcode-bench=mine", "test_mine.py")
        assert result.ret == 2
        assert "INTERNALERROR" not in result.stdout.str()
        result.stdout.fnmatch_lines(["*The results database r.db cannot be used (no such table: attempts)*"])


def wait_for_rows(count: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if len(rows("select 1 from results")) == count:
                return
        except sqlite3.OperationalError:
            pass
        time.sleep(0.05)
    pytest.fail(f"no {count} tasks were recorded")


class TestSelection:
    """Which tasks become items, and what they are called."""

    def test_a_packaged_benchmark_runs_in_any_directory(self, pytester: pytest.Pytester) -> None:
        result = run(pytester, "--mcode-bench=smoke", "--mcode-limit=3")
        assert result.ret == 0
        result.stdout.fnmatch_lines([f"rootdir: {pytester.path}", "benchmarks/test_smoke.py ...*"])

    def test_only_the_benchmarks_run_unless_paths_are_given(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(test_other="def test_other():\n    assert False\n")
        assert run(pytester, "--mcode-bench=smoke", "--mcode-limit=1").ret == 0

    def test_k_selects_one_task_exactly(self, pytester: pytest.Pytester) -> None:
        run(pytester, "--mcode-bench=smoke", "-k", "[smoke/1]")
        assert statuses() == [("smoke/1", "solved")]

    def test_ids_that_are_printed_can_be_pasted_back(self, pytester: pytest.Pytester) -> None:
        result = run(pytester, "--mcode-bench=smoke", "benchmarks/test_smoke.py::test_smoke[smoke/2]")
        assert result.ret == 0
        assert statuses() == [("smoke/2", "solved")]

    def test_shards_divide_the_tasks(self, pytester: pytest.Pytester) -> None:
        for shard in ("0", "1", "2"):
            run(pytester, "--mcode-bench=smoke", "--mcode-shard-count=3", f"--mcode-shard-index={shard}")
        found = rows("select task_id, count(*) from results group by task_id")
        assert len(found) == 20
        assert {count for _, count in found} == {1}

    def test_limit_and_shard_are_by_the_data_sets_order(self, pytester: pytest.Pytester) -> None:
        shard = ("--mcode-limit=5", "--mcode-shard-count=2", "--mcode-shard-index=1")
        run(pytester, "--mcode-bench=smoke", *shard)
        assert [task for task, _ in statuses()] == ["smoke/1", "smoke/3"]

    def test_two_benchmarks_are_two_runs(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(test_mine=MINE)
        result = run(pytester, "--mcode-bench=mine,lost", "test_mine.py")
        assert result.ret == 1
        found = rows("select benchmark, planned from runs order by benchmark")
        assert found == [("lost", 3), ("mine", 3)]

    def test_collect_only_lists_tasks_and_writes_nothing(self, pytester: pytest.Pytester) -> None:
        result = run(pytester, "--mcode-bench=smoke", "--collect-only", "-q")
        assert result.ret == 0
        result.stdout.fnmatch_lines(["benchmarks/test_smoke.py::test_smoke[[]smoke/0[]]"])
        assert not Path("r.db").exists()


class TestUsage:
    """A wrong word gets one sentence, status 4, and leaves nothing behind."""

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["--mcode-bench=smok"], "ERROR: There is no benchmark 'smok' (did you mean 'smoke'?); there are *"),
            (
                ["--mcode-bench=smoke", "--mcode-samples=0"],
                "ERROR: --mcode-samples is '0', but must be a whole number*",
            ),
            (
                ["--mcode-bench=smoke", "--mcode-backend=olama"],
                "ERROR: --mcode-backend is 'olama', but must be one of *",
            ),
            (
                ["--mcode-bench=smoke", "--mcode-shard-count=2"],
                "ERROR: --mcode-shard-count=2 needs --mcode-shard-index*",
            ),
            (["--mcode-bench=mbpp", "--mcode-data=none.jsonl"], "ERROR: There is no data file none.jsonl: *"),
            (["--mcode-bench=mbpp", "--mcode-split=tset"], "ERROR: There is no split 'tset' of *"),
        ],
    )
    def test_a_wrong_value(self, pytester: pytest.Pytester, arguments: list[str], sentence: str) -> None:
        result = run(pytester, *arguments)
        assert result.ret == 4
        result.stderr.fnmatch_lines([sentence])
        assert not Path("r.db").exists()

    def test_no_model_is_told(self, pytester: pytest.Pytester) -> None:
        result = pytester.runpytest_inprocess("--mcode-bench=smoke")
        assert result.ret == 4
        result.stderr.fnmatch_lines(["ERROR: No model was named: add --mcode-model=NAME, or --mcode-model=reference*"])

    def test_retrieval_is_said_to_have_no_effect(self, pytester: pytest.Pytester) -> None:
        result = run(pytester, "--mcode-bench=smoke", "--mcode-limit=1", "--mcode-retrieval=bm25")
        assert result.ret == 0
        assert result.stdout.str().count("--mcode-retrieval=bm25 has no effect on this benchmark") == 1

    def test_options_may_come_from_ini_file_and_environment(
        self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytester.makeini("[pytest]\nmcode_model = reference\nmcode_sandbox = process\nmcode_limit = 2\n")
        monkeypatch.setenv("MCODE_BENCH", "smoke")
        monkeypatch.setenv("MCODE_DB", "r.db")
        assert pytester.runpytest_inprocess().ret == 0
        assert len(statuses()) == 2


class TestInertness:
    """Without --mcode-bench a project's tests are as they were."""

    def test_a_projects_tests_run_as_before(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(test_other="def test_other():\n    pass\n")
        result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
        assert result.ret == 0
        assert "mcode:" not in result.stdout.str()
        assert sorted(p.name for p in pytester.path.iterdir() if p.name != "__pycache__") == ["test_other.py"]

    def test_a_benchmark_among_a_projects_tests_is_one_skipped_item(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(test_mine=MINE)
        result = pytester.runpytest_inprocess("-rs")
        result.stdout.fnmatch_lines(["*2 skipped in *"])
        assert "name it with --mcode-bench to run it" in result.stdout.str()

    def test_nothing_heavy_is_imported(self, pytester: pytest.Pytester) -> None:
        script = (
            "import sys, pytest\n"
            "pytest.main(['--collect-only'])\n"
            "heavy = {'mellea', 'datasets', 'docker', 'sqlalchemy', 'rich', 'scipy', 'numpy', 'click'}\n"
            "print(sorted(heavy & set(sys.modules)), 'pytest_mcode.plugin' in sys.modules)\n"
        )
        path = pytester.makepyfile(look=script)
        result = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True)
        assert result.stdout.splitlines()[-1] == "[] True"

    def test_an_unfriendly_project_does_not_break_a_benchmark(self, pytester: pytest.Pytester) -> None:
        pytester.makeini(
            "[pytest]\npython_functions = check_*\npython_files = check_*.py\naddopts = --strict-markers -W error\n"
            "filterwarnings = error\nxfail_strict = true\n"
        )
        result = run(pytester, "--mcode-bench=smoke", "--mcode-limit=2")
        assert result.ret == 0
        assert len(statuses()) == 2
