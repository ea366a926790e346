"""``mcode sweep`` as its user runs it: asked, made, stopped, gone on with, and told."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytest_mcode.cli import main
from tests.standin import Reply, Request, StandIn
from tests.terminal import shown

MCODE = str(Path(sys.executable).with_name("mcode"))
MINE = """
from pytest_mcode import Mcode, Task, benchmark

def task(number: int) -> Task:
    tests = f"import time\\ntime.sleep({SECONDS} * {number})\\nassert f() == {number}"
    return Task(f"mine/{number}", f"PROMPT {number}", tests, "f", f"def f() -> int:\\n    return {number}")

@benchmark("mine", tasks=[task(number) for number in range(3)])
def test_mine(task: Task, mcode: Mcode) -> None:
    mcode(task)
"""
HEAD = 'name = "s"\nbenchmark = "test_mine.py::mine"\n[options]\nsandbox = "process"\ndb = "r.db"\n'
#: One task after the other, each of which takes a while, so that a run can be ended in its middle.
SLOW = "concurrency = 1\nsandboxes = 1\n"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """That of a user: no settings of this session's."""
    kept = {name: value for name, value in os.environ.items() if not re.match("MCODE_|PYTEST|COLUMNS$|CI$", name)}
    return {**kept, "MCODE_CACHE_DIR": str(tmp_path / "cache"), "TMPDIR": str(tmp_path), "NO_COLOR": "1"}


@pytest.fixture
def sweep(environment: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command on s.toml in an empty directory, without a terminal."""

    def call(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [MCODE, "sweep", "s.toml", *words]
        told = {**environment, **variables}
        return subprocess.run(
            command, cwd=tmp_path, env=told, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    return call


Sweep = Callable[..., subprocess.CompletedProcess[str]]


def write(place: Path, text: str, *, seconds: float = 0) -> None:
    """A sweep over a benchmark whose tasks take no time, so many seconds, and twice as many."""
    (place / "s.toml").write_text(HEAD + text)
    (place / "test_mine.py").write_text(MINE.replace("{SECONDS}", str(seconds)))


def rows(place: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(place / "r.db")) as connection:
        return connection.execute(query).fetchall()


def plain(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def model(request: Request) -> Reply:
    """The larger model solves every task, the smaller one the first alone; neither with a second sample."""
    number = re.findall(r"PROMPT (\d)", request.messages[0].content)[0]
    right = number == "0" or request.model.endswith("8b")
    text = f"```python\ndef f():\n    return {number if right else -1}\n```"
    return Reply(text, prompt_tokens=20, completion_tokens=10)


def test_a_grid_over_two_models_is_made_a_model_at_a_time_and_told_in_the_order_of_the_plan(
    sweep: Sweep, tmp_path: Path
) -> None:
    write(tmp_path, '[grid]\nsamples = [1, 2]\nmodel = ["granite3.3:2b", "granite3.3:8b"]\n')
    with StandIn(model, models=("granite3.3:2b", "granite3.3:8b")) as server:
        done = sweep("--yes", "--", "-q", OLLAMA_HOST=server.url)
        asked = [request.model for request in server.log.requests]
    assert done.returncode == 0, done.stdout + done.stderr
    assert [name for name, before in zip(asked, ["", *asked], strict=False) if name != before] == [
        "granite3.3:2b",
        "granite3.3:8b",
    ]
    lines = plain(done.stdout)
    assert "s: 4 runs, 4 new; at most 18 generations" in lines
    assert "run 1 of 4: mine, granite3.3:2b, samples 1, temperature 0" in lines
    end = lines[lines.index(next(line for line in lines if line.startswith("benchmark model options solved"))) :]
    assert [line[: line.index("]")] for line in end[2:6]] == [
        "mine granite3.3:2b samples 1, temperature 0 1/3 33.3 [6.1, 79.2",
        "mine granite3.3:2b samples 2, temperature 0.8 1/3 33.3 [6.1, 79.2",
        "mine granite3.3:8b samples 1, temperature 0 3/3 100.0 [43.9, 100.0",
        "mine granite3.3:8b samples 2, temperature 0.8 3/3 100.0 [43.9, 100.0",
    ]
    assert "highest pass@1: 100.0, mine, granite3.3:8b, samples 1, temperature 0 and 1 more" in end
    assert end[-1] == "page: s.html"
    assert "Sweep s" in (tmp_path / "s.html").read_text(encoding="utf-8")
    assert rows(tmp_path, "SELECT DISTINCT config ->> 'sweep' FROM runs") == [("s",)]


def test_what_was_killed_in_its_middle_is_gone_on_with_and_the_file_may_have_changed(
    sweep: Sweep, environment: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path, SLOW + 'model = "reference"\n[grid]\nsamples = [1, 2, 3]\n', seconds=0.5)
    command = [MCODE, "sweep", "s.toml", "--yes"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        until_recorded(tmp_path, 4)
        os.killpg(process.pid, signal.SIGKILL)
    before = rows(tmp_path, "SELECT rowid, * FROM results")
    assert len(before) in (4, 5)

    write(tmp_path, SLOW + 'model = "reference"\n[grid]\nsamples = [2, 4]\n', seconds=0.5)
    plan = plain(sweep("--plan").stdout)
    assert plan[2].startswith("mine reference samples 2 3 ")
    assert plan[2].endswith(f" {len(before) - 3} of 3")
    assert plan[3].endswith(" new")
    assert re.fullmatch(
        r"note: run \S+ \(mine, reference\) is of this sweep, but not in its file: left alone", plan[-1]
    )

    done = sweep("--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(before) <= set(rows(tmp_path, "SELECT rowid, * FROM results"))
    assert rows(tmp_path, "SELECT config ->> 'samples', finished_at IS NULL FROM runs ORDER BY started_at") == [
        (1, 0),
        (2, 0),
        (4, 0),
    ]

    again = sweep()
    assert again.returncode == 0
    assert again.stdout.startswith("s: 2 runs, 2 done\n")
    assert "mcode bench" not in again.stdout


def until_recorded(place: Path, number: int) -> None:
    """Wait until so many tasks are in the database."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.05)
        try:
            if rows(place, "SELECT count(*) FROM results") >= [(number,)]:
                return
        except sqlite3.OperationalError:
            continue
    raise TimeoutError(f"no {number} tasks were recorded")


def test_sigterm_ends_the_run_that_is_under_way_and_the_sweep(
    sweep: Sweep, environment: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path, SLOW + 'model = "reference"\n[grid]\nsamples = [1, 2]\n', seconds=20)
    with subprocess.Popen(
        [MCODE, "sweep", "s.toml", "--yes"], cwd=tmp_path, env=environment, stdout=-1, stderr=-1, text=True
    ) as process:
        until_recorded(tmp_path, 1)
        refused = sweep("--yes")
        process.terminate()
        out, err = process.communicate()
    assert process.returncode == 2
    assert "not run       2 of 3 tasks" in out
    assert "run 2 of 2" not in out
    assert err == "\nThe sweep was stopped; the same command goes on with it: mcode sweep s.toml\n"
    assert rows(tmp_path, "SELECT ended_at IS NULL FROM sessions") == [(0,)]
    assert refused.returncode == 4
    assert re.fullmatch(r"ERROR: Run \S+ of this sweep is still under way \(process \d+ on .*\n", refused.stderr)


def test_ctrl_c_ends_the_run_that_is_under_way_and_the_sweep(environment: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path, SLOW + 'model = "reference"\n[grid]\nsamples = [1, 2]\n', seconds=20)
    seen = shown(
        [MCODE, "sweep", "s.toml", "--yes"], columns=80, place=tmp_path, environment=environment, interrupt_at="1/3"
    )
    assert seen.status == 2
    assert "run 1 of 2" in seen.text
    assert "run 2 of 2" not in seen.text
    assert "of 3 tasks; all rates are of the" in seen.text
    assert seen.lines[-1] == "The sweep was stopped; the same command goes on with it: mcode sweep s.toml"


def test_a_model_that_is_not_there_does_not_keep_others_from_running(sweep: Sweep, tmp_path: Path) -> None:
    grid = '[grid]\nmodel = "none"\nsamples = [1, 2, 3, 4]\n[[run]]\nmodel = "reference"\n'
    write(tmp_path, grid)
    with StandIn(model) as server:
        done = sweep("--yes", OLLAMA_HOST=server.url)
    assert done.returncode == 1
    lines = plain(done.stdout)
    assert (
        "run 4 of 5: mine, none, samples 4, temperature 0.8: left out, as 3 runs of none in a row could not be made."
        in (lines)
    )
    assert rows(tmp_path, "SELECT model FROM runs") == [("reference",)]
    told = plain(done.stderr)
    assert [line for line in told if line.startswith("not as it should be")] == [
        "not as it should be: mine, none, samples 1, temperature 0: ended with status 4, not begun",
        "not as it should be: mine, none, samples 2, temperature 0.8: ended with status 4, not begun",
        "not as it should be: mine, none, samples 3, temperature 0.8: ended with status 4, not begun",
        "not as it should be: mine, none, samples 4, temperature 0.8: was left out, not begun",
    ]


def test_a_gate_that_a_run_misses_is_told_though_all_of_it_is_judged(sweep: Sweep, tmp_path: Path) -> None:
    write(tmp_path, 'model = "reference"\nfail-under = 1\n')
    (tmp_path / "test_mine.py").write_text(MINE.replace("return {number}", "return 1").replace("{SECONDS}", "0"))
    done = sweep("--yes")
    assert done.returncode == 1
    assert plain(done.stderr)[-1] == ("not as it should be: mine, reference: ended with status 1, 3 of 3 tasks judged")


class TestAsking:
    """Nothing is spent before somebody has seen the plan, or has said that nobody needs to."""

    def test_without_a_terminal_it_has_to_be_said(self, sweep: Sweep, tmp_path: Path) -> None:
        (tmp_path / "s.toml").write_text('name = "s"\nbenchmark = "smoke"\n[options]\nmodel = "reference"\n')
        done = sweep("--db", "r.db")
        assert done.returncode == 4
        assert "s: 1 run, 1 new; at most 20 generations\n" in done.stdout
        assert done.stderr == "ERROR: Nothing was started, as there is no terminal to ask on: add --yes.\n"
        assert not (tmp_path / "r.db").exists()

    def test_on_a_terminal_it_is_asked_and_the_plan_fits(self, environment: Mapping[str, str], tmp_path: Path) -> None:
        write(tmp_path, 'model = "reference"\n[grid]\nsamples = [1, 2]\nall-samples = [false, true]\n')
        (tmp_path / "s.toml").write_text((tmp_path / "s.toml").read_text().replace("test_mine.py::mine", "smoke"))
        seen = shown(
            [MCODE, "sweep", "s.toml"], columns=80, place=tmp_path, environment=environment, interrupt_at=r"\[Y/n\]"
        )
        assert seen.status == 2
        assert seen.lines[-1] == "Nothing was started."
        assert plain(seen.text)[0] == "benchmark model options tasks generations time state"
        assert not (tmp_path / "r.db").exists()


class TestUsage:
    """A wrong word gets one sentence, and status 4."""

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            ([], "Missing argument 'FILE'."),
            (["a.toml", "b.toml"], "Got unexpected extra argument (b.toml)"),
            (["a.toml", "--pln"], "There is no option --pln (did you mean '--plan'?)."),
            (
                ["a.toml", "-n", "4"],
                "There is no option -n. Those of a run stand in FILE; those of pytest after a --, ",
            ),
            (["a.toml", "--", "-k", "x"], "-k would change what the runs of the sweep are: say it in its file."),
            (["a.toml", "--", "--mcode-limit=2"], "--limit=2 would change what the runs of the sweep are: "),
            (["a.toml"], "a.toml: it cannot be read (No such file or directory); name the TOML file of a sweep."),
        ],
        ids=" ".join,
    )
    def test_it_is_one_sentence(
        self, words: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        done = CliRunner().invoke(main, ["sweep", *words], prog_name="mcode")
        assert done.exit_code == 4
        assert done.stdout == ""
        assert done.stderr.startswith(f"ERROR: {sentence}")
        assert done.stderr.count("\n") == 1

    def test_help_fits_80_columns(self) -> None:
        done = CliRunner().invoke(main, ["sweep", "-h"], prog_name="mcode")
        assert done.output.startswith("Usage: mcode sweep FILE [OPTIONS] [-- PYTEST OPTIONS]\n")
        assert max(map(len, done.output.splitlines())) <= 80
