"""Which runs a sweep's file asks for, and what a plan says of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pytest_mcode._errors import UsageError
from pytest_mcode._types import Attempt, Completion, Execution, Sample, TaskResult, Verdict
from pytest_mcode.cli import main
from pytest_mcode.settings import OPTIONS, Settings
from pytest_mcode.store import Run, Store
from pytest_mcode.sweeping.file import Sweep, read
from pytest_mcode.sweeping.forecast import duration
from pytest_mcode.sweeping.plan import labels

HEAD = 'name = "small-models"\nbenchmark = "smoke"\n'
MINE = """
import beside
from pytest_mcode import Mcode, Task, benchmark

@benchmark("mine", tasks=[Task(f"mine/{n}", "PROMPT", "assert f() == 1", "f") for n in range(beside.TASKS)])
def test_mine(task: Task, mcode: Mcode) -> None:
    mcode(task)

def test_that_is_no_task() -> None:
    pass
"""


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty directory, and no settings of this session's."""
    monkeypatch.chdir(tmp_path)
    for opt in OPTIONS:
        monkeypatch.delenv(opt.variable, raising=False)
    monkeypatch.setenv("MCODE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def asked(text: str, *, head: str = HEAD) -> Sweep:
    Path("s.toml").write_text(head + text, encoding="utf-8")
    return read("s.toml")


def refused(text: str, *, head: str = HEAD) -> str:
    with pytest.raises(UsageError) as caught:
        asked(text, head=head)
    return str(caught.value)


def combined(sweep: Sweep, *names: str) -> list[tuple[object, ...]]:
    """Of each run its benchmark and some of its settings."""
    return [(one.benchmark, *(getattr(one.settings, name) for name in names)) for one in sweep.runs]


class TestFile:
    """What a file asks for."""

    def test_a_grid_is_every_combination_a_model_at_a_time(self) -> None:
        sweep = asked(
            '[options]\nsandbox = "process"\n[grid]\nsamples = [1, 5]\nmodel = ["a", "b"]',
            head='name = "s"\nbenchmark = ["smoke", "mbpp"]\n',
        )
        assert combined(sweep, "model", "samples", "sandbox") == [
            ("smoke", "a", 1, "process"),
            ("smoke", "a", 5, "process"),
            ("mbpp", "a", 1, "process"),
            ("mbpp", "a", 5, "process"),
            ("smoke", "b", 1, "process"),
            ("smoke", "b", 5, "process"),
            ("mbpp", "b", 1, "process"),
            ("mbpp", "b", 5, "process"),
        ]

    def test_what_agrees_with_all_of_a_skip_is_left_out(self) -> None:
        sweep = asked(
            '[grid]\nmodel = "m"\nsamples = [1, 5, 9]\ntemperature = [0.2, 0.8]\n'
            "[[skip]]\nsamples = [1, 9]\ntemperature = 0.8\n[[skip]]\nsamples = 7\n"
            '[[skip]]\nbenchmark = "mbpp"\nsamples = 5'
        )
        assert combined(sweep, "samples", "temperature") == [
            ("smoke", 1, 0.2),
            ("smoke", 5, 0.2),
            ("smoke", 5, 0.8),
            ("smoke", 9, 0.2),
        ]
        assert sweep.notes == ("[[skip]] number 2 leaves nothing out", "[[skip]] number 3 leaves nothing out")

    def test_the_temperature_of_a_skip_is_the_one_that_a_run_would_have(self) -> None:
        sweep = asked('[grid]\nmodel = "m"\nsamples = [1, 5]\n[[skip]]\ntemperature = 0')
        assert combined(sweep, "samples") == [("smoke", 5)]

    def test_further_runs_are_added_as_they_are_with_their_own_benchmarks_and_servers(self) -> None:
        sweep = asked(
            '[options]\nsamples = 3\n[grid]\nmodel = "m"\n[[skip]]\nmodel = "far"\n'
            '[[run]]\nmodel = "far"\nbase-url = "http://gpu:1"\nsamples = [1, 2]\n'
            '[[run]]\nmodel = "m"\nbenchmark = ["mbpp", "smoke"]'
        )
        assert combined(sweep, "model", "base_url", "samples") == [
            ("smoke", "m", None, 3),
            ("mbpp", "m", None, 3),
            ("smoke", "far", "http://gpu:1", 1),
            ("smoke", "far", "http://gpu:1", 2),
        ]

    def test_what_would_measure_the_same_again_is_one_run(self) -> None:
        sweep = asked('[options]\nmodel = "m"\n[grid]\nsamples = [1, 1]\ntemperature = [0, 0.0]')
        assert len(sweep.runs) == 1

    def test_without_a_grid_there_is_a_run_a_benchmark(self) -> None:
        sweep = asked('[options]\nmodel = "m"', head='name = "s"\nbenchmark = ["smoke", "mbpp"]\n')
        assert combined(sweep, "model") == [("smoke", "m"), ("mbpp", "m")]

    def test_a_run_is_told_by_what_others_have_not(self) -> None:
        sweep = asked('[grid]\nmodel = ["a", "b"]\nsamples = [1, 5]\nall-samples = [false, true]\ntimeout = [2.5, 9]')
        assert list(labels(sweep.runs).values())[:5] == [
            "samples 1, temperature 0, timeout 2.5",
            "samples 1, temperature 0, timeout 9",
            "samples 1, all-samples, temperature 0, timeout 2.5",
            "samples 1, all-samples, temperature 0, timeout 9",
            "samples 5, temperature 0.8, timeout 2.5",
        ]

    def test_the_environment_gives_what_the_file_does_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MCODE_SANDBOX", "process")
        monkeypatch.setenv("MCODE_SAMPLES", "7")
        assert combined(asked('[grid]\nmodel = "m"\nsamples = 2'), "sandbox", "samples") == [("smoke", "process", 2)]

    def test_every_option_may_be_given_or_is_refused_with_a_reason(self) -> None:
        kinds = {"bool": "true", "int": "1", "float": "0.5", "string": '"x"'}
        places = {o.name: refused_or_not(f"[options]\n{o.name} = {kinds[o.kind]}") for o in OPTIONS}
        assert {name for name, told in places.items() if "has no place in" in told} == {
            *("bench", "solutions", "shard-count", "shard-index", "resume", "run-id", "sweep")
        }

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            (
                "[grid]\nsample = [1]",
                "there is no 'sample' in [grid] (did you mean 'samples'?); 'mcode bench --help' *",
            ),
            ("[option]", "there is no 'option' (did you mean 'options'?); there are name, benchmark, options, grid, *"),
            ("[grid]\nsamples = [1, 'two']", "samples in [grid] is 'two', but must be a whole number of at least 1 *"),
            ("[grid]\nsamples = []", "samples in [grid] is an empty list; leave it out, or give it a value."),
            ("[grid]\nseed = [true]", "seed in [grid] is 'true', but must be a whole number of at least 0 *"),
            ("[grid]\nseed = [{}]", "seed in [grid] holds {}, but must be a text, a number, true or false."),
            ("[options]\ntimeout = nan", "timeout in [options] is 'nan', but must be a number above 0."),
            (
                "[options]\nmodel = ['m']",
                "model in [options] is a list, but must be one value; what is varied belongs *",
            ),
            ("[options]\nmodel = 'm'\n[grid]\nmodel = 'n'", "model is in [options] and in [grid]; leave it in one *"),
            ('[options]\nmodel = "m\\u0000"', "model in [options] is 'm\\x00', which holds a character that cannot *"),
            ("[grid]\nconcurrency = [1, 2]", "concurrency has no place in [grid]: no verdict depends on it, so all *"),
            ("[grid]\ndb = 'x'", "db has no place in [grid]: no verdict depends on it, *"),
            ("[grid]\nbenchmark = 'mbpp'", "benchmark has no place in [grid]; it stands at the top of the file."),
            ("[options]\nrun-id = 'x'", "run-id has no place in [options]: each run of a sweep gets an id of its own."),
            ("[[run]]\nmodel = 'm'\ndb = 'x'", "db has no place in [[run]] number 1: a sweep has one database. Put *"),
            ("[run]\nmodel = 'm'", "run is one table, but may be several; write [[run]]."),
            ("run = [1]", "[[run]] number 1 is 1, but must be a table of options."),
            ("options = 3", "[options] is 3, but must be a table of options."),
            ("[options]\nmodel = 'm'\n[[skip]]", "[[skip]] number 1 is empty, and would leave out every run; say *"),
            ("[options]\nmodel = 'm'\n[[skip]]\nsamples = 1", "no run is left; each is left out by a [[skip]]."),
            ("[options]\nlimit = 3", 'no model is named; add model = ["granite3.3:8b"] to [grid].'),
            ("[options]\nmodel = 'm'\nmax-regression = 3", "--mcode-max-regression needs --mcode-baseline: which *"),
            ("[grid]\nseed = [" + "1," * 1001 + "]", "it asks for 1,001 runs, and 1,000 are the most; make several *"),
            ("what", "it is no TOML file (*)."),
            ("[grid]\nseed = 1" + "0" * 5000, "it is no TOML file (*)."),
        ],
        ids=lambda value: value[:30],
    )
    def test_what_cannot_be_meant_is_told_with_its_place(self, text: str, sentence: str) -> None:
        assert matches(refused(text), sentence)

    @pytest.mark.parametrize(
        ("head", "sentence"),
        [
            ("benchmark = 'smoke'\n", "the sweep has no name; begin the file with one, such as name = *"),
            ("name = 'a/b'\nbenchmark = 'smoke'\n", "name is 'a/b', but must be up to 100 letters, digits and ._- *"),
            ("name = 3\nbenchmark = 'smoke'\n", "name is 3, but must be up to 100 letters, digits and ._- *"),
            ("name = 's'\n", 'no benchmark is named; add benchmark = "humaneval"; there are humaneval, *'),
            ("name = 's'\nbenchmark = []\n", "no benchmark is named; *"),
            ("name = 's'\nbenchmark = 'smok'\n", "there is no benchmark 'smok' (did you mean 'smoke'?); there are *"),
            ("name = 's'\nbenchmark = 3\n", "benchmark holds 3, but must be names of benchmarks."),
            ("name = 's'\nbenchmark = 'x.py::mine'\n", "benchmark names the file x.py, which is not there."),
            ("name = 's'\nbenchmark = 's.toml::a,b'\n", "benchmark holds 's.toml::a,b', but must be names of *"),
            ("name = 's'\nbenchmark = ['smoke', 's.toml::smoke']\n", "two files declare a benchmark smoke; give one *"),
        ],
    )
    def test_name_and_benchmarks_are_looked_at(self, head: str, sentence: str) -> None:
        assert matches(refused("[options]\nmodel = 'm'", head=head), sentence)

    def test_one_file_of_data_is_not_that_of_several_benchmarks(self) -> None:
        head = "name = 's'\nbenchmark = ['humaneval', 'mbpp']\n"
        told = refused("[options]\nmodel = 'm'\ndata = 'x.jsonl'", head=head)
        assert told == "s.toml: data is one benchmark's file, and there are 2; make a sweep of each."

    @pytest.mark.parametrize("name", ["run-id", "resume", "shard-count", "sweep"])
    def test_a_variable_that_is_meant_for_a_single_run_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        variable = next(o.variable for o in OPTIONS if o.name == name)
        monkeypatch.setenv(variable, "2" if name == "shard-count" else "true")
        monkeypatch.setenv("MCODE_SHARD_INDEX", "0")
        assert refused("[options]\nmodel = 'm'").startswith("s.toml: the variable MCODE_")

    def test_a_file_that_is_not_there_is_told(self) -> None:
        with pytest.raises(
            UsageError, match=r"^none\.toml: it cannot be read \(No such file or directory\); name the "
        ):
            read("none.toml")


def refused_or_not(text: str) -> str:
    try:
        asked(text)
    except UsageError as error:
        return str(error)
    return ""


def matches(told: str, sentence: str) -> bool:
    """Whether a message is that of s.toml with the sentence, in which a star stands for any words."""
    first, *rest = sentence.split("*")
    assert told.startswith(f"s.toml: {first}"), told
    return not rest or told.endswith(rest[-1])


def run(number: int, benchmark: str, settings: Settings, planned: int) -> Run:
    return Run(
        id=f"run-{number}",
        benchmark=benchmark,
        model=settings.model,
        backend=settings.backend,
        config=settings.stored,
        config_hash=settings.hashed,
        dataset_fingerprint="f",
        planned=planned,
        started_at=f"2026-01-0{number}T00:00:00.000+00:00",
        finished_at=None,
        versions={},
    )


def result(task: str, letters: str) -> TaskResult:
    """A task with a sample for each word, and an attempt for each letter: p passed, f failed, e met an error."""
    verdicts = {"p": Verdict.PASSED, "f": Verdict.FAILED, "e": Verdict.ERROR}
    samples = []
    for number, word in enumerate(letters.split()):
        attempts = [
            Attempt(n, verdicts[letter], Completion("x", seconds=0.5), "x", Execution(passed=letter == "p"))
            for n, letter in enumerate(word)
        ]
        samples.append(Sample(number, number, tuple(attempts)))
    return TaskResult(task, tuple(samples), 1.0)


def record(database: str, runs: Sequence[tuple[Run, Sequence[str], float]]) -> None:
    """Runs with the letters of their tasks, and the seconds of their only session."""
    store = Store(database)
    for one, tasks, _ in runs:
        store.begin(one)
        store.enter(one.id, "another machine", "1")
        for number, letters in enumerate(tasks):
            store.put(one.id, result(f"{one.benchmark}/{number}", letters))
        store.leave(one.id)
    store.close()
    with closing(sqlite3.connect(database)) as connection:
        for one, _, seconds in runs:
            connection.execute("UPDATE sessions SET seconds = ? WHERE run_id = ?", (seconds, one.id))
        connection.commit()


@pytest.fixture
def plan() -> Callable[[str], list[str]]:
    """Shows the plan of a sweep in a pipe, and returns its lines without the edges of the table."""

    def show(text: str, head: str = HEAD) -> list[str]:
        Path("s.toml").write_text(head + text)
        done = CliRunner().invoke(main, ["sweep", "s.toml", "--db", "r.db", "--plan"], prog_name="mcode")
        assert done.exit_code == 0, done.output
        return [" ".join(line.split()) for line in done.output.splitlines()]

    return show


Show = Callable[..., list[str]]
M = Settings(bench=("smoke",), model="m", sandbox="process")


class TestPlan:
    """What is left, how many generations that is at most, and how long they take."""

    def test_without_earlier_runs_the_time_is_not_known_and_no_database_is_made(self, plan: Show, place: Path) -> None:
        lines = plan('[options]\nmodel = "m"\n[grid]\nsamples = [1, 5]\ndebug-iters = [0, 2]\n')
        assert lines[0] == "benchmark model options tasks generations time state"
        assert lines[2:6] == [
            "smoke m samples 1, debug-iters 0, temperature 0 20 20 ? new",
            "smoke m samples 1, debug-iters 2, temperature 0 20 60 ? new",
            "smoke m samples 5, debug-iters 0, temperature 0.8 20 100 ? new",
            "smoke m samples 5, debug-iters 2, temperature 0.8 20 300 ? new",
        ]
        assert lines[6:] == [
            "generations and time: of what is left, at most",
            "?: no earlier run of the model tells",
            "small-models: 4 runs, 4 new; at most 480 generations",
        ]
        assert not (place / "r.db").exists()

    def test_time_is_that_of_earlier_runs_of_the_benchmark_or_else_of_others(self, plan: Show) -> None:
        elsewhere = replace(M, base_url="http://gpu:1")
        record(
            "r.db",
            [
                (run(1, "smoke", M, 2), ["f p", "fff fe"], 100.0),  # 6 generations, and an error
                (run(2, "smoke", M, 1), ["ffff"], 200.0),  # 4: together 30 s each
                (run(3, "mbpp", M, 1), ["pp"], 10_000.0),
                (run(4, "mbpp", replace(M, model="n"), 1), ["f p"], 14.0),  # 7 s each
                (run(5, "smoke", elsewhere, 1), ["p"], 9999.0),  # another server
                (run(6, "smoke", replace(M, model="n", solutions="x.jsonl"), 1), ["p"], 9999.0),  # nothing generated
            ],
        )
        lines = plan('[grid]\nmodel = ["m", "n", "o"]\nlimit = [3, 7]\n')
        assert lines[2:10] == [
            "smoke m limit 3 3 3 2 min new",  # 3 x 30 s
            "smoke m limit 7 7 7 4 min new",
            "",
            "smoke n limit 3 3 3 21 s * new",
            "smoke n limit 7 7 7 49 s * new",
            "",
            "smoke o limit 3 3 3 ? new",
            "smoke o limit 7 7 7 ? new",
        ]
        assert lines[10:] == [
            "generations and time: of what is left, at most",
            "time: at the speed of earlier runs of the model on the benchmark",
            "*: at the speed of its runs on other benchmarks",
            "?: no earlier run of the model tells",
            "small-models: 6 runs, 6 new; at most 30 generations, 6 min (of 4 of the 6 runs)",  # 300 + 70 s
        ]

    def test_a_run_of_the_sweep_is_found_by_its_configuration(self, plan: Show) -> None:
        ours = replace(M, sweep="small-models", limit=2)
        fingerprint = fingerprint_of("smoke")
        rows = [
            (replace(run(1, "smoke", ours, 2), dataset_fingerprint=fingerprint), ["p", "f"], 8.0),
            (replace(run(2, "smoke", replace(ours, samples=5), 2), dataset_fingerprint=fingerprint), ["p"], 1.0),
            (replace(run(3, "smoke", replace(ours, seed=3), 2), dataset_fingerprint=fingerprint), ["p", "p"], 1.0),
        ]
        record("r.db", rows)
        lines = plan(GRID)
        assert lines[2:4] == [
            "smoke m samples 1, temperature 0 2 done",
            "smoke m samples 5, temperature 0.8 2 5 10 s 1 of 2",  # 5 x 10 s / 5
        ]
        assert lines[-2:] == [
            "small-models: 2 runs, 1 done, 1 begun; at most 5 generations, 10 s",
            "note: run run-3 (smoke, m) is of this sweep, but not in its file: left alone",
        ]

    @pytest.mark.parametrize(
        "changes",
        [{"dataset_fingerprint": "g"}, {"planned": 1}, {"config": replace(M, limit=2, sweep="other").stored}],
        ids=["other data", "other selection", "other sweep"],
    )
    def test_a_run_that_measured_something_else_is_not_taken_for_it(self, plan: Show, changes: dict[str, Any]) -> None:
        ours = replace(M, sweep="small-models", limit=2)
        made = replace(run(1, "smoke", ours, 2), **{"dataset_fingerprint": fingerprint_of("smoke"), **changes})
        record("r.db", [(made, ["p", "p"], 1.0)])
        assert plan(GRID)[2].endswith("new")

    def test_of_two_runs_of_the_same_the_whole_one_counts(self, plan: Show) -> None:
        ours = replace(M, sweep="small-models", limit=2)
        rows = [replace(run(n, "smoke", ours, 2), dataset_fingerprint=fingerprint_of("smoke")) for n in (1, 2)]
        record("r.db", [(rows[0], ["p", "f"], 1.0), (rows[1], ["p"], 1.0)])
        lines = plan(GRID)
        assert lines[2].endswith("2 done")
        assert "run-2" in lines[-1]

    def test_data_that_cannot_be_had_leave_the_number_of_tasks_open(self, plan: Show) -> None:
        lines = plan("[options]\nmodel = 'm'", head="name = 's'\nbenchmark = ['smoke', 'humaneval']\n")
        assert lines[2:4] == ["smoke m 20 20 ? new", "humaneval m ? ? ? new"]
        assert "?: not known" in lines
        assert "s: 2 runs, 2 new; at most 20 generations (of 1 of the 2 runs)" in lines
        assert lines[-1].startswith("note: humaneval: The data set openai/openai_humaneval is not cached, ")

    def test_a_benchmark_of_ones_own_is_counted_as_a_run_would(self, plan: Show, place: Path) -> None:
        (place / "test_mine.py").write_text(MINE)
        (place / "beside.py").write_text("TASKS = 6\n")
        head = "name = 's'\nbenchmark = 'test_mine.py::mine'\n"
        assert plan("[options]\nmodel = 'm'\n[grid]\nlimit = [9, 4]", head=head)[2:4] == [
            "mine m limit 9 6 6 ? new",
            "mine m limit 4 4 4 ? new",
        ]

    def test_one_that_cannot_be_collected_is_told(self, plan: Show, place: Path) -> None:
        (place / "test_mine.py").write_text("raise RuntimeError('not today')\n")
        lines = plan("[options]\nmodel = 'm'", head="name = 's'\nbenchmark = 'test_mine.py::mine'\n")
        assert lines[2] == "mine m ? ? ? new"
        assert lines[-1].startswith("note: mine: test_mine.py could not be collected (")


GRID = '[options]\nmodel = "m"\nlimit = 2\nsandbox = "process"\n[grid]\nsamples = [1, 5]\n'


def fingerprint_of(benchmark: str) -> str:
    from pytest_mcode import collect

    return collect.prepare(Settings(bench=(benchmark,)), Path("cache"))[benchmark].fingerprint


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (3599, "60 min"),
        (3600, "1.0 h"),
        (35_999, "10.0 h"),
        (36_000, "10 h"),
        (86_400, "1.0 d"),
        (2_000_000, "23 d"),
    ],
)
def test_a_duration_is_told_in_a_unit_of_its_size(seconds: float, told: str) -> None:
    assert duration(seconds) == told
