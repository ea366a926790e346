"""``mcode`` as its user types it: help, order of words, sentences on what is wrong, results, exit status."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pytest_mcode._types import Attempt, Completion, Execution, Sample, TaskResult, Verdict
from pytest_mcode.cli import divided, main, told
from pytest_mcode.store import Run, Store
from tests.terminal import shown

MCODE = Path(sys.executable).with_name("mcode")
ASK = ("--model", "reference", "--sandbox", "process")
Call = Callable[..., subprocess.CompletedProcess[str]]

#: What mCode brings.
NAMES = "humaneval, humaneval+, mbpp, mbpp+, mbpp-sanitized, smoke, swebench-lite, swebench-live, swebench-verified"


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """That of a user: no settings of this session's."""
    kept = {name: value for name, value in os.environ.items() if not re.match("MCODE_|PYTEST|COLUMNS$|CI$", name)}
    return {**kept, "MCODE_CACHE_DIR": str(tmp_path_factory.getbasetemp() / "cache")}


@pytest.fixture
def mcode(environment: dict[str, str], tmp_path: Path) -> Call:
    """Runs the command in an empty directory."""

    def call(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        told = {**environment, **variables}
        return subprocess.run([MCODE, *words], cwd=tmp_path, env=told, capture_output=True, text=True, check=False)

    return call


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Runs what does not need pytest, in this process, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MCODE_DB", raising=False)
    return lambda *words: CliRunner().invoke(main, words, prog_name="mcode")


def statuses(database: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(database)
    try:
        return connection.execute("select task_id, status from results order by rowid").fetchall()
    finally:
        connection.close()


class TestHelp:
    """What there is, in 80 columns."""

    @pytest.mark.parametrize("words", [(), ("-h",), ("--help",)])
    def test_mcode_alone_tells_what_it_can(self, quick: Callable[..., Result], words: tuple[str, ...]) -> None:
        result = quick(*words)
        assert result.exit_code == 0
        assert "  bench    Run a benchmark on a model.\n  results  Show what was recorded.\n" in result.output

    @pytest.mark.parametrize("words", [("-h",), ("--help",), ("smoke", "-n", "8", "-h")])
    def test_bench_lists_benchmarks_and_options_in_groups(
        self, quick: Callable[..., Result], words: tuple[str, ...]
    ) -> None:
        result = quick("bench", *words)
        assert result.exit_code == 0
        assert result.output.startswith("Usage: mcode bench BENCHMARK [FILE...] [OPTIONS] [PYTEST OPTIONS]\n")
        assert re.findall(r"^(\w[\w ]*):$", result.output, re.MULTILINE) == [
            *("Benchmarks", "What to run", "Model", "Sampling", "Judging", "Prompts", "Repositories", "Results"),
            *("Gates", "Other"),
        ]
        assert "\n  humaneval, humaneval+, mbpp, mbpp+, mbpp-sanitized, smoke, swebench-lite,\n" in result.output
        assert "-n 8, -k EXPRESSION, -x, --lf" in result.output
        assert re.search(r"^  --samples N +independent samples a task", result.output, re.MULTILINE)
        assert re.search(r"^  --debug-iters K  fix attempts .*\[default: 0\]$", result.output, re.MULTILINE)

    @pytest.mark.parametrize("words", [("-h",), ("bench", "-h"), ("results", "-h")])
    def test_help_fits_80_columns(self, quick: Callable[..., Result], words: tuple[str, ...]) -> None:
        assert max(map(len, quick(*words).output.splitlines())) <= 80

    def test_version_is_told(self, quick: Callable[..., Result]) -> None:
        assert re.fullmatch(r"mcode \d+\.\d+\S*\n", quick("--version").output)


@pytest.mark.parametrize(
    ("words", "ours", "others"),
    [
        ("smoke --model m -n 8", "--model=m", "smoke -n 8"),
        ("--all-samples smoke --seed=7 -x", "--all-samples --seed=7", "smoke -x"),
        ("smoke -khe -rh -h", "-h", "smoke -khe -rh"),
        ("smoke --temperature -1", "--temperature=-1", "smoke"),
        ("smoke --timeout 5 -- --timeout 9 -h", "--timeout=5", "smoke --timeout 9 -h"),
        ("smoke --mcode-limit=3 --junitxml out.xml", "", "smoke --mcode-limit=3 --junitxml out.xml"),
    ],
)
def test_mcodes_options_are_taken_out_of_pytests(words: str, ours: str, others: str) -> None:
    assert divided(words.split()) == (ours.split(), others.split())


def test_ctrl_c_outside_pytest_ends_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left, told():
        raise KeyboardInterrupt
    assert left.value.code == 2
    assert capsys.readouterr().err == "Interrupted.\n"


class TestUsage:
    """A wrong word gets one sentence in the user's own spelling, and status 4."""

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["bnech"], "No such command 'bnech'."),
            (["humaneval", "--model", "m"], "'humaneval' is a benchmark: mcode bench humaneval --model m"),
            (["bench"], f"Name a benchmark ({NAMES}): mcode bench humaneval --model "),
            (["bench", "--model", "m"], f"Name a benchmark ({NAMES}): "),
            (["bench", ","], f"Name a benchmark ({NAMES}): "),
            (["bench", "-n", "8", "smoke"], "Name the benchmark before options of pytest: mcode bench BENCHMARK -n …"),
            (["bench", "--modle", "m", "smoke"], "There is no option --modle (did you mean '--model'?)."),
            (["bench", "smoke", "--model"], "--model needs a value: --model NAME."),
            (["bench", "smoke", "--model", "--samples", "5"], "--model needs a value: --model NAME."),
            (["bench", "smoke", "--samples", "--", "-x"], "--samples needs a value: --samples N."),
            (["bench", "smoke", "--all-samples=yes"], "Option '--all-samples' does not take a value."),
            (["results", "--json=yes"], "Option '--json' does not take a value."),
        ],
        ids=" ".join,
    )
    def test_what_mcode_sees_itself(self, quick: Callable[..., Result], words: list[str], sentence: str) -> None:
        result = quick(*words)
        assert result.exit_code == 4
        assert result.stdout == ""
        assert result.stderr.startswith(f"ERROR: {sentence}")
        assert result.stderr.count("\n") == 1

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["smok"], "There is no benchmark 'smok' (did you mean 'smoke'?); there are humaneval, humaneval+, *"),
            (["smoke"], "No model was named: add --model=NAME, or --model=reference to try the harness."),
            (["smoke", *ASK, "--samples", "two"], "--samples is 'two', but must be a whole number of at least 1 and *"),
            (["smoke", *ASK, "--temperature", "-1"], "--temperature is '-1', but must be a number of at least 0 *"),
            (["smoke", *ASK, "--sample", "5"], "There is no option --sample (did you mean '--samples'?)."),
            (["smoke", *ASK, "--debug_iters=2"], "There is no option --debug_iters (did you mean '--debug-iters'?)."),
            (["smoke", *ASK, "--foo"], "There is no option --foo. 'mcode bench --help' lists those of mcode, *"),
            (["smoke", *ASK, "--shard-count=2"], "--shard-count=2 needs --shard-index: which one is this?"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_what_pytest_and_the_plugin_see(self, mcode: Call, words: list[str], sentence: str, tmp_path: Path) -> None:
        done = mcode("bench", *words)
        assert done.returncode == 4
        assert done.stdout == ""
        assert re.fullmatch("ERROR: " + re.escape(sentence).replace(r"\*", ".*") + "\n+", done.stderr)
        assert list(tmp_path.iterdir()) == []

    def test_under_pytest_the_same_sentence_has_pytests_spelling(
        self, environment: dict[str, str], tmp_path: Path
    ) -> None:
        command = [sys.executable, "-m", "pytest", "--mcode-bench=smoke", "--mcode-model=m", "--mcode-sample=5"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 4
        assert done.stderr.strip() == "ERROR: There is no option --mcode-sample (did you mean '--mcode-samples'?)."


MINE = """
from pytest_mcode import Mcode, Task, benchmark

def task(number: int, returned: int) -> Task:
    reference = f"def f() -> int:\\n    return {returned}"
    return Task(f"mine/{number}", "def f() -> int: ...", "assert f() == 1", entry_point="f", reference=reference)

@benchmark("mine", tasks=[task(0, 1), task(1, 2), task(2, 1)])
def test_mine(task: Task, mcode: Mcode) -> None:
    mcode(task)
"""


class TestBench:
    """A run of a benchmark: order of words, pytest's options, an own file, and hostile surroundings."""

    def test_options_of_both_kinds_may_stand_anywhere(self, mcode: Call, tmp_path: Path) -> None:
        words = (
            "--limit",
            "4",
            "smoke",
            "-k",
            "not [smoke/1]",
            "--model=reference",
            "-q",
            "--sandbox",
            "process",
            "-x",
        )
        done = mcode("bench", "--samples", "2", *words, "--junitxml=out.xml")
        assert done.returncode == 0, done.stdout + done.stderr
        rows = statuses(tmp_path / "experiments" / "results" / "results.db")
        assert sorted(task for task, _ in rows) == ["smoke/0", "smoke/2", "smoke/3"]
        assert (tmp_path / "out.xml").is_file()
        assert "3 passed" in done.stdout
        assert "mcode results --benchmark smoke --model reference --compare-samples\n" in done.stdout

    def test_a_benchmark_of_ones_own_is_named_with_its_file(self, mcode: Call, tmp_path: Path) -> None:
        (tmp_path / "test_mine.py").write_text(MINE)
        done = mcode("bench", "mine", "test_mine.py", *ASK)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "\nsolved        2/3\n" in done.stdout
        wrong = mcode("bench", "mien", "test_mine.py", *ASK)
        assert wrong.returncode == 4
        assert "There is no benchmark 'mien' in what was named (did you mean 'mine'?); there are mine." in wrong.stderr

    def test_a_selection_that_holds_nothing_is_told(self, environment: dict[str, str], tmp_path: Path) -> None:
        seen = shown(
            [MCODE, "bench", "smoke", *ASK, "-k", "nothing"], columns=80, place=tmp_path, environment=environment
        )
        assert seen.status == 5
        assert "mcode: no task of smoke was selected, nothing was run." in seen.lines
        assert not [line for line in seen.lines if line.startswith("mcode: 0/")]

    def test_no_setting_of_the_surroundings_can_break_a_run(self, mcode: Call, tmp_path: Path) -> None:
        (tmp_path / "conftest.py").write_text("raise RuntimeError('a conftest that is not for us')\n")
        (tmp_path / "pytest.ini").write_text("this is no ini file [\n")
        (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = '--cov=src -p no_such_plugin'\n")
        for name in ("benchmarks", "pytest_mcode"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").write_text("raise RuntimeError('a package that is not for us')\n")
            (tmp_path / name / "test_smoke.py").write_text("raise RuntimeError('a module that is not for us')\n")
        variables = {
            "PYTEST_ADDOPTS": "--cov=src -k nothing -p no_such_plugin",
            "PYTEST_PLUGINS": "no_such_plugin",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        done = mcode("bench", "smoke", *ASK, "--limit=2", "-n1", **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "\nsolved        2/2\n" in done.stdout

    def test_without_pytests_terminal_rows_and_status_are_the_same(self, mcode: Call, tmp_path: Path) -> None:
        done = mcode("bench", "smoke", *ASK, "--limit=1", "-p", "no:terminal", "--db=r.db")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert statuses(tmp_path / "r.db") == [("smoke/0", "solved")]


def run(number: int, benchmark: str, model: str, *, samples: int = 1) -> Run:
    return Run(
        id=f"2025010{number}-000000-abcdef",
        benchmark=benchmark,
        model=model,
        backend="ollama",
        config={"samples": samples, "debug-iters": 0, "all-samples": False},
        config_hash="0123456789ab",
        dataset_fingerprint="f",
        planned=2,
        started_at=f"2025-01-0{number}T00:00:00.000+00:00",
        finished_at=None,
        versions={},
    )


def result(task: str, *passed: bool) -> TaskResult:
    samples = [
        Sample(n, n, (Attempt(0, Verdict.PASSED if p else Verdict.FAILED, Completion("x"), "x", Execution(passed=p)),))
        for n, p in enumerate(passed)
    ]
    return TaskResult(task, tuple(samples), 1.0)


def write(path: Path, *runs: Run) -> str:
    """A database in which the first task of each run is solved by its last sample, and the second is not."""
    store = Store(str(path))
    for one in runs:
        store.begin(one)
        failed = [False] * int(one.config["samples"])
        store.put(one.id, result("t/0", *failed[1:], True))
        store.put(one.id, result("t/1", *failed))
    store.close()
    return str(path)


@pytest.fixture
def database(tmp_path: Path) -> str:
    first = run(1, "humaneval", "granite3.3:8b")
    return write(tmp_path / "r.db", first, run(2, "mbpp", "qwen3:4b"), run(3, "humaneval", "qwen3:4b", samples=3))


class TestResults:
    """What was recorded, in a table or as JSON; or why there is nothing to show."""

    def test_the_newest_run_comes_first(self, quick: Callable[..., Result], database: str) -> None:
        shown = quick("results", "--db", database)
        assert shown.exit_code == 0
        rows = [line.split()[:3] for line in shown.output.splitlines()]
        assert rows[0] == ["benchmark", "model", "solved"]
        assert rows[2:5] == [
            ["humaneval", "qwen3:4b", "1/2"],
            ["mbpp", "qwen3:4b", "1/2"],
            ["humaneval", "granite3.3:8b", "1/2"],
        ]

    def test_runs_are_chosen_by_benchmark_and_model(self, quick: Callable[..., Result], database: str) -> None:
        shown = quick("results", "--db", database, "--benchmark", "humaneval", "--model", "qwen3:4b", "--json")
        assert [one["run"]["id"] for one in json.loads(shown.output)] == ["20250103-000000-abcdef"]

    def test_each_number_of_samples_is_compared(self, quick: Callable[..., Result], database: str) -> None:
        shown = quick("results", "--db", database, "--benchmark", "humaneval", "--compare-samples")
        rows = [line.split() for line in shown.output.splitlines()[2:] if "humaneval" in line]
        assert [row[3:6] for row in rows] == [["1", "of", "3"], ["2", "of", "3"], ["3", "of", "3"], ["1", "of", "1"]]
        assert "+50.0" in rows[2]

    def test_databases_may_be_several_and_patterns(
        self, quick: Callable[..., Result], database: str, tmp_path: Path
    ) -> None:
        write(tmp_path / "shards" / "1.db", run(4, "smoke", "m"))
        write(tmp_path / "shards" / "2.db", run(5, "smoke", "m"))
        shown = quick("results", "--db", database, "--db", "shards/*.db", "--db", "shards/1.db", "--json")
        assert [one["run"]["id"][6:8] for one in json.loads(shown.output)] == ["05", "04", "03", "02", "01"]

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            ([], "There is no results database experiments/results/results.db: run 'mcode bench' first, or *"),
            (["--db", "none.db"], "There is no results database none.db: run 'mcode bench' first, or *with --db."),
            (["--db", "none*.db"], "No results database matches 'none*.db'."),
            (["--db", "empty.db"], "No run is recorded in empty.db yet: mcode bench humaneval --model *"),
            (["--db", "text.db"], "The results database text.db cannot be used (file is not a database): name *--db."),
            (
                ["--db", "r.db", "--model", "granite3:8b"],
                "No run of model 'granite3:8b' in r.db (did you mean 'granite3.3:8b'?); there are granite3.3:8b, *",
            ),
            (
                ["--db", "r.db", "--benchmark", "swebench"],
                "No run of benchmark 'swebench' in r.db; there are humaneval, mbpp.",
            ),
            (
                ["--db", "r.db", "--benchmark", "mbpp", "--model", "granite3.3:8b"],
                "No run of benchmark 'mbpp' with model 'granite3.3:8b' in r.db, only of each with others: *",
            ),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    @pytest.mark.usefixtures("database")
    def test_where_nothing_is_found_a_sentence_says_why(
        self, quick: Callable[..., Result], tmp_path: Path, words: list[str], sentence: str
    ) -> None:
        Store(str(tmp_path / "empty.db")).close()
        (tmp_path / "text.db").write_text("this is no database, whatever it is called")
        told = quick("results", *words)
        assert told.exit_code == 4
        assert told.stdout == ""
        assert re.fullmatch("ERROR: " + re.escape(sentence).replace(r"\*", ".*") + "\n", told.stderr)

    def test_a_pipe_gets_whole_lines_without_control_sequences(self, mcode: Call, database: str) -> None:
        done = mcode("results", "--db", database, COLUMNS="40")
        assert done.returncode == 0
        assert "\x1b" not in done.stdout
        lines = done.stdout.splitlines()
        assert len(lines) == 6
        assert lines[0].split()[-2:] == ["seconds", "run"]
        assert all(line.split()[-1].endswith("-abcdef") for line in lines[2:5])

    @pytest.mark.parametrize(("variables", "styled"), [({}, True), ({"NO_COLOR": "1"}, False)], ids=["", "NO_COLOR"])
    def test_a_terminal_of_80_columns_shows_what_has_room(
        self, environment: dict[str, str], database: str, tmp_path: Path, variables: dict[str, str], styled: bool
    ) -> None:
        command: Sequence[str | Path] = [MCODE, "results", "--db", database]
        seen = shown(command, columns=80, place=tmp_path, environment={**environment, **variables})
        assert seen.status == 0
        assert seen.lines[0].split() == ["benchmark", "model", "solved", "pass@1", "solve@budget", "tries"]
        assert seen.lines[2].split() == [
            *("humaneval", "qwen3:4b", "1/2", "0.0", "[0.0,", "65.8]", "50.0", "[9.5,", "90.5]", "3", "x", "1")
        ]
        assert seen.lines[-1] == "no room for: errors, tokens, seconds, run"
        assert ("\x1b[1m" in seen.raw) is styled
