"""Gates: what passes, what is missed, and that status and last line say so, however a session ends."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import comb
from pathlib import Path

import pytest

from benchmarks.test_smoke import TASKS
from pytest_mcode._types import Status
from pytest_mcode.metrics import Record
from pytest_mcode.paired import compared
from pytest_mcode.thresholds import shows_loss
from tests.standin import Reply, Request, StandIn
from tests.test_plugin import KEPT
from tests.test_plugin import MINE as TWO

#: Two benchmarks, and one of which nothing can be judged.
MINE = f"""{TWO}
@benchmark("void", tasks=[task(0, LOST), task(1, LOST)])
def test_void(task: Task, mcode: Mcode) -> None:
    mcode(task)
"""
ASK = ("--mcode-sandbox=process", "--mcode-db=r.db", "--mcode-concurrency=1")
REFERENCE = ("--mcode-model=reference", "test_mine.py", *ASK)


@dataclass(frozen=True)
class Ended:
    """A session that has ended: its status, and the lines that it wrote."""

    status: int
    lines: tuple[str, ...]

    @property
    def last(self) -> str:
        return self.lines[-1]

    def told(self, beginning: str) -> list[str]:
        """The lines of the gates that begin so."""
        return [line for line in self.lines if line.startswith(beginning)]


@pytest.fixture(autouse=True, scope="module")
def kept_modules() -> None:
    """Pytester forgets what a run imports; these have parts that cannot be imported twice in one process."""
    for name in KEPT:
        importlib.import_module(name)


@pytest.fixture(autouse=True)
def place(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    monkeypatch.setenv("MCODE_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return pytester.makepyfile(test_mine=MINE)


def ended(result: pytest.RunResult) -> Ended:
    return Ended(int(result.ret), tuple(line for line in [*result.errlines, *result.outlines] if line.strip()))


def run(pytester: pytest.Pytester, *arguments: str, bench: str = "mine") -> Ended:
    return ended(pytester.runpytest_inprocess(f"--mcode-bench={bench}", *REFERENCE, *arguments))


def run_apart(pytester: pytest.Pytester, *arguments: str, bench: str = "mine") -> Ended:
    """In a process of its own, as xdist needs it."""
    return ended(pytester.runpytest_subprocess(f"--mcode-bench={bench}", *REFERENCE, *arguments))


def mcode(*arguments: str) -> Ended:
    command = [sys.executable, "-m", "pytest_mcode", "bench", *arguments, *(f"--{a[8:]}" for a in ASK)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return Ended(done.returncode, tuple(done.stdout.strip().splitlines()))


def read(query: str, database: str = "r.db") -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


#: Two of three tasks solved, with Wilson's interval.
TWO_OF_THREE = "solved 2 of 3 tasks judged, 66.7% [20.8%, 93.9%]"


class TestTheRate:
    """``--mcode-fail-under``."""

    @pytest.mark.parametrize("distributed", [(), ("-n2",)], ids=["alone", "xdist"])
    def test_a_rate_below_ends_with_status_1_and_the_reason_as_the_last_line(
        self, pytester: pytest.Pytester, distributed: tuple[str, ...]
    ) -> None:
        seen = run_apart(pytester, "--mcode-fail-under=0.67", *distributed)
        assert seen.status == 1
        assert seen.last == f"mcode: mine missed --mcode-fail-under 67%: {TWO_OF_THREE}"
        assert seen.told("missed") == [f"missed        mine --mcode-fail-under 67%: {TWO_OF_THREE}"]

    def test_a_rate_that_reaches_it_passes(self, pytester: pytest.Pytester) -> None:
        seen = run(pytester, "--mcode-fail-under=66.6%")
        assert seen.status == 0
        assert seen.told("passed") == [f"passed        mine --mcode-fail-under 66.6%: {TWO_OF_THREE}"]
        assert re.match("=* 2 passed, 1 unsolved in ", seen.last)

    def test_a_rate_that_is_just_as_large_reaches_it(self, pytester: pytest.Pytester) -> None:
        assert run(pytester, "--mcode-fail-under=50%", "-k", "mine/0 or mine/1").status == 0

    def test_with_lower_the_interval_has_to_reach_it(self, pytester: pytest.Pytester) -> None:
        assert run(pytester, "--mcode-fail-under=0.2", "--mcode-fail-under-lower").status == 0
        seen = run(pytester, "--mcode-fail-under=0.3", "--mcode-fail-under-lower")
        assert seen.status == 1
        assert seen.last == f"mcode: mine missed --mcode-fail-under 30% --mcode-fail-under-lower: {TWO_OF_THREE}"

    @pytest.mark.parametrize("quiet", ["-q", "-qq", "-v", "-rA", "--no-summary", "--junitxml=out.xml"])
    def test_the_last_line_is_the_last_whatever_else_is_written(self, pytester: pytest.Pytester, quiet: str) -> None:
        assert run(pytester, "--mcode-fail-under=1", quiet).last.startswith(
            "mcode: mine missed --mcode-fail-under 100%"
        )

    def test_the_last_line_may_be_red(self, pytester: pytest.Pytester) -> None:
        seen = run(pytester, "--mcode-fail-under=1", "--color=yes")
        assert seen.last.startswith("\x1b[31mmcode: mine missed")
        assert seen.last.endswith("\x1b[0m")

    def test_mcode_bench_has_it_in_its_own_spelling(self) -> None:
        seen = mcode("mine", "test_mine.py", "--model=reference", "--fail-under=0.67")
        assert seen.status == 1
        assert seen.last == f"mcode: mine missed --fail-under 67%: {TWO_OF_THREE}"

    def test_each_benchmark_has_to_reach_it(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(test_mine=MINE.replace("task(1, LOST), task(2, WRONG)", "task(1, WRONG), task(2, WRONG)"))
        seen = run(pytester, "--mcode-fail-under=0.5", bench="mine,lost")
        assert seen.status == 1
        assert seen.last == (
            "mcode: lost missed --mcode-fail-under 50%: solved 1 of 3 tasks judged, 33.3% [6.1%, 79.2%]"
        )
        assert seen.told("passed") == [f"passed        mine --mcode-fail-under 50%: {TWO_OF_THREE}"]

    def test_a_failing_test_of_somebody_else_is_no_matter_of_a_gate(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(test_other="def test_other():\n    assert False\n")
        seen = run(pytester, "test_other.py", "--mcode-fail-under=0.5")
        assert seen.status == 1
        assert "missed" not in seen.last


class TestAPartOfARun:
    """Only a whole run can pass."""

    PART = "mcode: mine missed --mcode-fail-under 10%: {} of 3 tasks not run, and only a whole run can pass"

    def test_x_leaves_tasks_out_and_what_goes_on_judges_them_all(self, pytester: pytest.Pytester) -> None:
        seen = run(pytester, "--mcode-fail-under=0.1", "-x")
        assert (seen.status, seen.last) == (1, self.PART.format(1))
        seen = run(pytester, "--mcode-fail-under=0.67", "--mcode-resume")
        assert (seen.status, seen.last) == (1, f"mcode: mine missed --mcode-fail-under 67%: {TWO_OF_THREE}")
        assert run(pytester, "--mcode-fail-under=0.6", "--mcode-run-id=x", "-x").status == 1
        assert run(pytester, "--mcode-fail-under=0.6", "--mcode-run-id=x", "--mcode-resume").status == 0

    def test_what_k_selects_is_a_whole_run_of_its_own(self, pytester: pytest.Pytester) -> None:
        seen = run(pytester, "--mcode-fail-under=1", "-k", "mine/0 or mine/2")
        assert seen.status == 0
        assert "solved 2 of 2 tasks judged" in seen.told("passed")[0]

    def test_where_nothing_is_selected_nothing_is_passed(self, pytester: pytest.Pytester) -> None:
        seen = run(pytester, "--mcode-fail-under=0", "-k", "none")
        assert (seen.status, seen.last) == (5, "mcode: no task of mine was selected")

    def test_ctrl_c_is_status_2_with_the_reason_why_no_gate_was_passed(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(test_mine=MINE.replace("return 2", "while True: pass"))
        command = [sys.executable, "-m", "pytest", "--mcode-bench=mine", *REFERENCE, "--mcode-fail-under=0.1"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        wait_for(lambda: Path("r.db").exists() and bool(read("select 1 from results")))
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 2
        assert out.splitlines()[-1] == self.PART.format(2)

    def test_what_stops_a_session_is_told_before_the_last_line(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(
            test_mine=MINE.replace("[task(0, LOST), task(1, LOST)]", "[task(n, LOST) for n in range(20)]")
        )
        seen = run(pytester, "--mcode-fail-under=0.5", "--mcode-max-errors=100%", bench="void")
        assert seen.status == 1
        assert seen.last.startswith("mcode: void missed --mcode-fail-under 50%: ")
        assert seen.last.endswith(" not run, and only a whole run can pass")
        assert "tasks in a row met an error" in seen.lines[-2]

    def test_a_shard_cannot_be_judged_and_is_refused_before_anything_is_run(self, pytester: pytest.Pytester) -> None:
        seen = run(pytester, "--mcode-fail-under=0.1", "--mcode-shard-count=2", "--mcode-shard-index=0")
        assert seen.status == 4
        assert seen.last.startswith("ERROR: --mcode-fail-under judges a whole run, and this is one of 2 shards: ")
        assert not Path("r.db").exists()

    def test_what_is_only_collected_is_not_judged(self, pytester: pytest.Pytester) -> None:
        assert run(pytester, "--mcode-fail-under=1", "--collect-only", "-q").status == 0


def wait_for(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if there():
                return
        except sqlite3.OperationalError:
            pass
        time.sleep(0.05)
    pytest.fail("what was waited for did not come")


class TestErrors:
    """``--mcode-max-errors``: one of the three tasks of `lost` meets an error."""

    def test_without_it_an_error_is_status_1_and_other_gates_say_so(self, pytester: pytest.Pytester) -> None:
        assert "missed" not in run(pytester, bench="lost").last
        seen = run(pytester, "--mcode-fail-under=0.5", bench="lost")
        assert seen.status == 1
        assert seen.last == "mcode: lost missed --mcode-max-errors 0: 1 of 3 tasks met an error"
        assert seen.told("passed") == [
            "passed        lost --mcode-fail-under 50%: solved 1 of 2 tasks judged, 50.0% [9.5%, 90.5%]"
        ]

    @pytest.mark.parametrize("most", ["1", "34%"])
    @pytest.mark.parametrize("distributed", [(), ("-n2",)], ids=["alone", "xdist"])
    def test_so_many_are_borne(self, pytester: pytest.Pytester, most: str, distributed: tuple[str, ...]) -> None:
        seen = run_apart(pytester, f"--mcode-max-errors={most}", *distributed, bench="lost")
        assert seen.status == 0
        assert seen.told("passed") == [f"passed        lost --mcode-max-errors {most}: 1 of 3 tasks met an error"]

    @pytest.mark.parametrize("most", ["0", "33%"])
    def test_more_are_not(self, pytester: pytest.Pytester, most: str) -> None:
        seen = run(pytester, f"--mcode-max-errors={most}", bench="lost")
        assert seen.status == 1
        assert seen.last == f"mcode: lost missed --mcode-max-errors {most}: 1 of 3 tasks met an error"

    def test_a_worker_that_died_is_borne_as_well(self, pytester: pytest.Pytester) -> None:
        dying = MINE.replace(
            "    mcode(task)", "    if task.id == 'mine/1': import os; os._exit(9)\n    mcode(task)", 1
        )
        pytester.makepyfile(test_mine=dying)
        seen = run_apart(pytester, "--mcode-max-errors=1", "-n1")
        assert seen.status == 0
        assert seen.told("passed") == ["passed        mine --mcode-max-errors 1: 1 of 3 tasks met an error"]

    def test_a_failing_test_of_somebody_else_is_not_borne(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(test_other="def test_other():\n    assert False\n")
        assert run(pytester, "test_other.py", "--mcode-max-errors=1", bench="lost").status == 1

    def test_where_no_task_was_judged_no_gate_is_passed(self, pytester: pytest.Pytester) -> None:
        seen = run(pytester, "--mcode-max-errors=2", "--mcode-fail-under=0", bench="void")
        assert seen.status == 1
        assert seen.told("missed") == [
            "missed        void --mcode-fail-under 0%: no task was judged",
            "missed        void --mcode-max-errors 2: no task was judged",
        ]


#: Which tasks of smoke each model solves.
SOLVED = {"good": range(18), "worse": range(15), "bad": range(8), "other": range(2, 20)}


def model(request: Request) -> Reply:
    asked = request.messages[0].content
    number, task = next((n, t) for n, t in enumerate(TASKS) if t.prompt.strip() in asked)
    code = task.reference if number in SOLVED[request.model] else "wrong = True"
    return Reply(f"```python\n{code}\n```")


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with StandIn(model, models=tuple(SOLVED)) as running:
        yield running


@pytest.fixture(scope="module")
def recorded(server: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a run of the model `good`, and one of `bad` that began before."""
    path = tmp_path_factory.mktemp("recorded") / "past.db"
    for name in ("bad", "good"):
        words = ["bench", "smoke", f"--model={name}", f"--run-id={name}-1", "--sandbox=process", f"--db={path}"]
        environment = {**os.environ, "OLLAMA_HOST": server.url}
        subprocess.run([sys.executable, "-m", "pytest_mcode", *words], env=environment, check=True, capture_output=True)
    return path


def against(pytester: pytest.Pytester, name: str, *arguments: str) -> Ended:
    """A run of that model on smoke."""
    return ended(pytester.runpytest_inprocess("--mcode-bench=smoke", f"--mcode-model={name}", *ASK[:2], *arguments))


class TestTheBaseline:
    """``--mcode-baseline``: `good` solved tasks 0 to 17 of 20, and `bad` 0 to 7."""

    @pytest.fixture(autouse=True)
    def asked(self, server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OLLAMA_HOST", server.url)

    def test_a_loss_that_is_shown_is_status_1(self, pytester: pytest.Pytester, recorded: Path) -> None:
        seen = against(pytester, "bad", f"--mcode-baseline={recorded}")
        assert seen.status == 1
        assert seen.last == (
            "mcode: smoke missed --mcode-baseline good-1 --mcode-max-regression 0: -50.0 points [-69.8, -21.1], "
            "p = 0.002 (exact McNemar) on 20 tasks: a loss"
        )
        assert "mcode: baseline good-1, solved 18/20; it differs in model (good, now bad)" in seen.lines

    def test_a_loss_that_may_be_chance_is_not(self, pytester: pytest.Pytester, recorded: Path) -> None:
        seen = against(pytester, "worse", f"--mcode-baseline={recorded}:good-1")
        assert seen.status == 0
        (line,) = seen.told("passed")
        assert line.startswith("passed        smoke --mcode-baseline good-1 --mcode-max-regression 0: -15.0 points [")
        assert line.endswith("p = 0.25 (exact McNemar) on 20 tasks: no evidence of a loss")

    @pytest.mark.parametrize(("points", "status"), [("21.1", 1), ("21.2", 0)])
    def test_a_loss_may_be_allowed(self, pytester: pytest.Pytester, recorded: Path, points: str, status: int) -> None:
        seen = against(pytester, "bad", f"--mcode-baseline={recorded}", f"--mcode-max-regression={points}")
        assert seen.status == status
        told = [*seen.told("passed"), *seen.told("missed")][0]
        assert told.endswith((": a loss of more than 21.1 points", "no evidence of a loss of more than 21.2 points"))

    def test_a_gain_is_no_loss(self, pytester: pytest.Pytester, recorded: Path) -> None:
        assert against(pytester, "good", f"--mcode-baseline={recorded}:bad").status == 0

    def test_as_many_other_tasks_are_no_loss(self, pytester: pytest.Pytester, recorded: Path) -> None:
        seen = against(pytester, "other", f"--mcode-baseline={recorded}")
        assert seen.status == 0
        assert "+0.0 points" in seen.told("passed")[0]

    def test_a_run_of_its_own_database_is_named_by_the_beginning_of_its_id(
        self, pytester: pytest.Pytester, recorded: Path
    ) -> None:
        Path("r.db").write_bytes(recorded.read_bytes())
        seen = against(pytester, "bad", "--mcode-baseline=good")
        assert (seen.status, "missed --mcode-baseline good-1" in seen.last) == (1, True)

    def test_a_run_that_is_gone_on_with_is_no_baseline_of_its_own(
        self, pytester: pytest.Pytester, recorded: Path
    ) -> None:
        Path("r.db").write_bytes(recorded.read_bytes())
        again = ("--mcode-run-id=good-1", "--mcode-resume")
        seen = against(pytester, "good", "--mcode-baseline=good-1", *again)
        assert seen.status == 4
        assert seen.last == (
            "ERROR: The baseline good-1 is the run that is gone on with: name another with --mcode-baseline."
        )
        seen = against(pytester, "good", "--mcode-baseline=r.db", *again)
        assert (seen.status, seen.told("passed")[0][:52]) == (0, "passed        smoke --mcode-baseline bad-1 --mcode-m")

    def test_tasks_that_one_of_both_lacks_are_left_out(self, pytester: pytest.Pytester, recorded: Path) -> None:
        Path("some.db").write_bytes(recorded.read_bytes())
        with closing(sqlite3.connect("some.db")) as connection:
            connection.execute("update results set status = 'error' where task_id in ('smoke/0', 'smoke/9')")
            connection.commit()
        seen = against(pytester, "bad", "--mcode-baseline=some.db", "--mcode-limit=12")
        assert (seen.status, " on 10 tasks: " in seen.last) == (0, False)
        assert " on 10 tasks: no evidence of a loss" in seen.told("passed")[0]

    def test_without_a_task_in_common_it_is_not_passed(self, pytester: pytest.Pytester, recorded: Path) -> None:
        Path("some.db").write_bytes(recorded.read_bytes())
        with closing(sqlite3.connect("some.db")) as connection:
            connection.execute("delete from results where task_id = 'smoke/0'")
            connection.commit()
        seen = against(pytester, "good", "--mcode-baseline=some.db", "--mcode-limit=1")
        assert (seen.status, seen.last.rpartition(": ")[2]) == (1, "no task was judged by both runs")

    def test_what_cannot_be_compared_is_refused_before_anything_is_run(
        self, pytester: pytest.Pytester, recorded: Path
    ) -> None:
        Path("figures.json").write_text(json.dumps([{"solved": 3}]))
        Path("empty.db").touch()
        for named, sentence in {
            f"{recorded}:god": f"There is no baseline {recorded}:god: there is no run god in {recorded}*",
            "nightly": "There is no baseline nightly: no such file, and no database r.db that could hold such a run.",
            "figures.json": "The baseline figures.json is no results database: name one, or FILE:RUN; *--json*",
            "empty.db": "The baseline empty.db is no results database: *",
        }.items():
            seen = against(pytester, "good", f"--mcode-baseline={named}")
            assert seen.status == 4
            assert fnmatchcase(seen.last, f"ERROR: {sentence}"), seen.last
        assert not Path("r.db").exists()

    def test_another_benchmark_is_refused(self, pytester: pytest.Pytester, recorded: Path) -> None:
        seen = run(pytester, f"--mcode-baseline={recorded}:good-1")
        assert (seen.status, seen.last) == (
            4,
            "ERROR: The baseline good-1 is a run of smoke, not of mine: name one of mine.",
        )
        seen = run(pytester, f"--mcode-baseline={recorded}")
        assert seen.status == 4
        assert fnmatchcase(seen.last, "ERROR: There is no baseline *: no run of benchmark 'mine' *")
        assert not Path("r.db").exists()

    def test_an_unfinished_run_is_refused(self, pytester: pytest.Pytester) -> None:
        run(pytester, "--mcode-run-id=part", "-x")
        seen = run(pytester, "--mcode-baseline=part")
        assert seen.status == 4
        assert fnmatchcase(seen.last, "ERROR: The baseline part is unfinished: go on with it first*")
        seen = run(pytester, "--mcode-baseline=r.db")
        assert seen.status == 4
        assert fnmatchcase(seen.last, "ERROR: The baseline r.db holds no finished run of mine: *")

    @pytest.mark.parametrize("distributed", [(), ("-n1",)], ids=["alone", "xdist"])
    def test_other_data_are_refused_before_a_task_is_run(
        self, pytester: pytest.Pytester, distributed: tuple[str, ...]
    ) -> None:
        run(pytester, "--mcode-run-id=old")
        pytester.makepyfile(test_mine=MINE.replace("task(2, RIGHT)])", "task(2, WRONG)])", 1))
        seen = run_apart(pytester, "--mcode-baseline=old", *distributed)
        assert seen.status == 4
        assert any("The baseline old was made on other data (fingerprint " in line for line in seen.lines)
        assert read("select id from runs") == [("old",)]


def shown(n: int, gained: int, lost: int, allowed: float) -> bool:
    """Whether so many tasks gained and lost, of n, show a loss."""
    before = [Record(str(i), *worth(i >= gained)) for i in range(n)]
    after = [Record(str(i), *worth(not gained <= i < gained + lost)) for i in range(n)]
    found = compared(before, after)
    assert found is not None
    return shows_loss(found, allowed)


def missed(n: int, allowed: float) -> list[tuple[int, int]]:
    """The numbers of tasks gained and lost, of n, with which a loss is shown."""
    every = [(gained, lost) for gained in range(n + 1) for lost in range(n - gained + 1)]
    return [(gained, lost) for gained, lost in every if shown(n, gained, lost, allowed)]


def worth(solved: bool) -> tuple[Status, str]:
    return (Status.SOLVED, "p") if solved else (Status.UNSOLVED, "f")


def chance(region: list[tuple[int, int]], n: int, loss: float, flips: float) -> float:
    """How likely n tasks, of which a share flips and a share is lost on balance, fall into a region."""
    gained, lost = (flips - loss) / 2, (flips + loss) / 2
    return sum(
        comb(n, g) * comb(n - g, x) * gained**g * lost**x * (1 - flips) ** (n - g - x)  # the trinomial
        for g, x in region
    )


class TestFalseAlarmsAndPower:
    """How often a baseline's gate errs, computed from the trinomial distribution of gains and losses."""

    @pytest.mark.parametrize(("allowed", "most"), [(0.0, 0.025), (0.02, 0.035), (0.05, 0.035), (0.1, 0.035)])
    def test_of_models_that_lose_no_more_than_is_allowed_few_are_stopped(self, allowed: float, most: float) -> None:
        region = missed(20, allowed)
        flips = [allowed + step * (1 - allowed) / 50 for step in range(51)]
        alarms = [chance(region, 20, allowed, share) for share in flips]
        assert max(alarms) <= most
        assert max(alarms) > 0.01  # it is not that nothing is ever stopped

    def test_losses_as_large_as_the_page_says_are_seen_four_times_in_five(self) -> None:
        region = missed(20, 0.0)
        assert chance(region, 20, 0.37, 0.37) >= 0.8 > chance(region, 20, 0.35, 0.35)
