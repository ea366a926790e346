"""``mcode results`` over runs whose truth is known, and over the shards of a real one."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmarks.test_smoke import TASKS
from pytest_mcode.cli import main
from pytest_mcode.store import Store
from tests.known import DIED, NO_SERVER, Known, build, result, row
from tests.known import RUNS as SCRIPTED
from tests.standin import Reply, Request, StandIn
from tests.terminal import shown

Call = Callable[..., str]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return build(tmp_path_factory.mktemp("known") / "known.db")


def call(*words: str) -> Result:
    return CliRunner().invoke(main, words, prog_name="mcode")


@pytest.fixture
def results(known: Known) -> Call:
    """What the command prints of the known runs."""

    def printed(*words: str) -> str:
        told = call("results", "--db", known.path, *words)
        assert told.exit_code == 0, told.output
        return told.stdout

    return printed


def table(text: str) -> list[list[str]]:
    """The rows of a table, cell by cell; columns are told apart by two spaces."""
    _, _, body = text.partition("─\n")
    lines = [line for line in body.splitlines() if re.match(r" *\S+  ", line)]
    return [re.split(r" {2,}", line.strip()) for line in lines]


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


class TestRuns:
    """A row a run."""

    def test_rates_are_those_counted_by_hand(self, results: Call, known: Known) -> None:
        by_run = {run["run"]: run for run in rows(results("--csv"))}
        assert list(by_run) == [known.repaired, known.sampled, known.better, known.one]
        for run, truth in known.truths.items():
            told = by_run[run]
            assert float(told["pass@1"]) == pytest.approx(truth.pass_at[1])
            assert float(told["solve@budget"]) == pytest.approx(truth.solved / truth.judged)
            assert float(told["solved_of_all"]) == pytest.approx(truth.solved / 24)
            counts = (truth.solved, truth.judged, truth.errors, truth.prompt_tokens, truth.completion_tokens)
            assert tuple(int(told[n]) for n in ("solved", "judged", "errors", "prompt_tokens", "tokens")) == counts
            assert float(told["seconds"]) == pytest.approx(truth.seconds)

    def test_the_table_says_the_same_for_people(self, results: Call, known: Known) -> None:
        assert table(results())[0] == [
            *("humaneval", "granite3.3:8b", "16/22", "27.3 [13.2, 48.2]", "72.7 [51.8, 86.8]", "3 x 3", "2", "6,300"),
            *("246", known.repaired),
        ]

    @pytest.mark.parametrize(
        ("words", "hours"),
        [
            (["--model", "granite3.3:8b"], ["13", "11"]),
            (["--backend", "ollama", "--since", "2025-11-03T12:00+00:00"], ["13", "12"]),
            (["--run", "20251103-10"], ["10"]),
            (["--run", "last"], ["13"]),
            (["--run", "last", "--model", "qwen2.5-coder:7b"], ["12"]),
        ],
        ids=" ".join,
    )
    def test_runs_are_chosen(self, results: Call, words: list[str], hours: list[str]) -> None:
        assert [run["run"][9:11] for run in rows(results(*words, "--csv"))] == hours


class TestBudgets:
    """What more samples and more attempts gain."""

    def test_each_sample_has_its_estimate(self, results: Call, known: Known) -> None:
        told = rows(results("--run", known.sampled, "--compare-samples", "--csv"))
        truth = known.truths[known.sampled]
        assert [float(each["pass@k"]) for each in (told[0], told[1], told[4])] == pytest.approx(
            [59 / 120, 15 / 24, 18 / 24]
        )
        assert [float(each["solve@budget"]) for each in told] == pytest.approx(
            [truth.within[k, 1] for k in range(1, 6)]
        )
        assert told[0]["gain"] == ""
        assert float(told[1]["gain"]) == pytest.approx(15 / 24 - 59 / 120)

    def test_each_debug_iteration_has_its_gain(self, results: Call) -> None:
        assert [line[3:9] for line in table(results("--run", "last", "--compare-attempts"))] == [
            ["1 of 3", "27.3 [13.2, 48.2]", "-", "43", "9", "2"],
            ["2 of 3", "36.4 [19.7, 57.0]", "+9.1", "-", "33", "3"],
            ["3 of 3", "45.5 [26.9, 65.3]", "+9.1", "72.7 [51.8, 86.8]", "30", "4"],
        ]

    def test_a_run_without_debug_iterations_is_one_row(self, results: Call, known: Known) -> None:
        (told,) = rows(results("--run", known.one, "--compare-attempts", "--csv"))
        assert (told["attempts"], told["1 sample"], told["gain"]) == ("1", str(8 / 24), "")
        assert (told["reached"], told["passed"]) == ("24", "8")


class TestParts:
    """A row a verdict, a task or a sample."""

    def test_verdicts_are_counted_of_samples_and_attempts(self, results: Call) -> None:
        assert table(results("--run", "last", "--by", "verdict")) == [
            ["passed", "16", "37.2", "16", "15.1"],
            ["failed", "18", "41.9", "61", "57.5"],
            ["timeout", "3", "7.0", "12", "11.3"],
            ["truncated", "4", "9.3", "11", "10.4"],
            ["no_code", "1", "2.3", "5", "4.7"],
            ["error", "1", "2.3", "1", "0.9"],
        ]

    def test_the_shares_of_a_run_are_all_of_it(self, results: Call, known: Known) -> None:
        told = json.loads(results("--by", "verdict", "--json"))
        for run, truth in known.truths.items():
            its = [each for each in told if each["run"] == run]
            assert {each["verdict"]: each["samples"] for each in its} == truth.samples
            assert sum(each["share_of_samples"] for each in its) == pytest.approx(1)
            assert sum(each["share_of_attempts"] for each in its) == pytest.approx(1)

    def test_tasks_are_listed_in_their_natural_order(self, results: Call, known: Known) -> None:
        told = rows(results("--run", "last", "--by", "task", "--csv"))
        assert [each["task"] for each in told[:23]] == list(known.tasks[:23])
        assert told[23]["task"] == 'odd/<b>"a, b"</b> |`\\x1b[31mü\\u202e'
        assert [told[n]["verdicts"] for n in (0, 9, 15, 21, 22)] == ["p", "nfp", "fff fff ffp", "e", ""]
        assert [told[n]["status"] for n in (15, 16, 21)] == ["solved", "unsolved", "error"]
        assert [told[n]["error"] for n in (0, 21, 22)] == ["", NO_SERVER, DIED]
        assert (told[8]["prompt_tokens"], told[8]["tokens"], told[8]["seconds"]) == ("600", "180", "6.375")

    def test_letters_are_explained_as_far_as_they_occur(self, results: Call) -> None:
        printed = results("--run", "last", "--by", "task")
        assert table(printed)[10] == ["HumanEval/10", "solved", "fff p", "240", "8.5"]
        assert printed.splitlines()[-2].startswith("humaneval, granite3.3:8b (ollama), run 20251103-130000")
        assert printed.splitlines()[-1] == (
            "verdicts: a letter an attempt, samples parted by spaces: "
            "p passed, f failed, t timeout, c truncated, n no_code, e error"
        )

    def test_a_single_attempt_has_its_verdict_in_a_word(self, results: Call, known: Known) -> None:
        printed = results("--run", known.one, "--by", "task")
        assert [line[:3] for line in table(printed)[17:20]] == [
            ["HumanEval/17", "unsolved", "timeout"],
            ["HumanEval/18", "unsolved", "truncated"],
            ["HumanEval/19", "unsolved", "no_code"],
        ]
        assert "letter" not in printed

    def test_samples_are_counted_by_their_index(self, results: Call, known: Known) -> None:
        assert table(results("--run", "last", "--by", "sample")) == [
            ["0", "23", "1", "6", "10", "10", "10"],
            ["1", "12", "0", "2", "4", "4", "14"],
            ["2", "8", "0", "1", "2", "2", "16"],
        ]
        told = rows(results("--run", known.sampled, "--by", "sample", "--csv"))
        assert [each["drawn"] for each in told] == ["24"] * 5
        assert sum(int(each["passed"]) for each in told) == 59
        assert [each["solved so far"] for each in told] == ["13", "16", "17", "17", "18"]

    def test_of_several_runs_each_row_says_which(self, results: Call, known: Known) -> None:
        printed = table(results("--model", "granite3.3:8b", "--by", "sample"))
        assert [(line[1], line[2], line[-1]) for line in printed] == [
            *(("granite3.3:8b", n, known.repaired) for n in "012"),
            ("granite3.3:8b", "0", known.better),
        ]

    def test_nothing_in_a_task_id_moves_a_terminal_or_breaks_a_line(self, tmp_path: Path) -> None:
        for form in ("table", "markdown", "csv", "json"):
            told = call("results", "--db", write_odd(tmp_path), "--by", "task", "--format", form)
            assert "\x1b" not in told.stdout
            assert "\u202e" not in told.stdout
        assert len([line for line in told.stdout.splitlines() if '"task"' in line]) == 1


def write_odd(place: Path) -> str:
    """A run of one task whose id has line ends and control sequences in it."""
    path = place / "odd.db"
    if not path.exists():
        with closing(Store(str(path))) as store:
            store.begin(row(SCRIPTED[0]))
            store.put(SCRIPTED[0].id, dataclasses.replace(result(SCRIPTED[0], 0, "p"), task_id="=x\n\x1b[2J|\u202e"))
    return str(path)


class TestWhole:
    """One run with all that is known of it."""

    def test_its_figures_are_those_counted_by_hand(self, results: Call) -> None:
        lines = results("--run", "last").splitlines()
        for line in (
            "solve@budget   72.7% [51.8%, 86.8%]  3 x 3 attempts",
            "errors        2 of 24 not judged: solved 72.7% of the others, 66.7% of all",
            "  1 x 2          36.4% [19.7%, 57.0%]",
            "  2 x 1              -",
            "  failed        18 of 43 samples (41.9%), 61 of 106 attempts (57.5%)",
            "  tokens        286.4 a task, 393.8 a solved task, 30.0 a second of a request",
            "  seconds       11.1 a task, 15.3 a solved task",
        ):
            assert line in lines

    def test_the_chance_that_all_samples_pass_is_told(self, results: Call, known: Known) -> None:
        lines = results("--run", known.sampled).splitlines()
        assert any(line.startswith("pass^5         20.8% [") for line in lines)

    def test_other_formats_give_its_row(self, results: Call) -> None:
        printed = results("--run", "last", "--format", "markdown").splitlines()
        assert printed[2].startswith("| humaneval | granite3.3:8b | 16/22 | 27.3 \\[13.2, 48.2\\] |")
        (run,) = json.loads(results("--run", "last", "--json"))
        assert run["solve@budget"]["1"]["2"]["value"] == pytest.approx(8 / 22)
        assert run["tokens_a_solved_task"] == pytest.approx(6300 / 16)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--json", "--csv"], "--json and --csv ask for different formats: give one of them."),
        (["--format", "table", "--csv"], "--csv and --format table ask for different formats: give one of them."),
        (["--by", "task", "--compare-samples"], "--compare-samples and --by task are different tables: ask for one *"),
        (["--compare-samples", "--compare-attempts"], "--compare-samples and --compare-attempts are different tables*"),
        (["--format", "xml"], "Invalid value for '--format': 'xml' is not one of 'table', 'markdown', 'csv', 'json'."),
        (["--by", "model"], "Invalid value for '--by': 'model' is not one of 'verdict', 'task', 'sample'."),
        (["--since", "soon"], "--since is 'soon', but must be a date or time (2025-11-03, 2025-11-03T14:00) or 7d, *"),
        (["--run", "2025"], "Several runs begin with 2025: 20251103-130000-d0e1f2, *. Name one of them."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_meant_is_one_sentence(known: Known, words: list[str], sentence: str) -> None:
    told = call("results", "--db", known.path, *words)
    assert (told.exit_code, told.stdout) == (4, "")
    assert re.fullmatch("ERROR: " + re.escape(sentence).replace(r"\*", ".*") + "\n", told.stderr)


def test_the_same_format_twice_is_no_conflict(results: Call) -> None:
    assert results("--csv", "--format", "csv") == results("--csv")


def test_80_columns_show_what_has_room(known: Known, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest_mcode", "results", "--db", known.path, "--by", "verdict"]
    seen = shown(command, columns=80, place=tmp_path, environment=os.environ)
    assert seen.status == 0
    assert seen.lines[0].split() == [
        "model",
        "verdict",
        "samples",
        "%",
        "of",
        "samples",
        "attempts",
        *["%", "of", "attempts"],
    ]
    assert seen.lines[-1] == "no room for: benchmark, run"


#: Of the tasks of smoke: solved at once, by a second sample, and never.
AT_ONCE, SECOND = range(9), range(9, 14)


def model(request: Request) -> Reply:
    asked = request.messages[0].content
    number, task = next((n, t) for n, t in enumerate(TASKS) if t.prompt.strip() in asked)
    solves = number in AT_ONCE or (number in SECOND and request.options.seed == 1)
    code = task.reference if solves else "wrong = True"
    return Reply(f"```python\n{code}\n```", prompt_tokens=200 + number, completion_tokens=100 + number)


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with the three shards of run ``sharded``, a database each, beside ``whole.db`` with all tasks."""
    place = tmp_path_factory.mktemp("sharded")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MCODE_", "PYTEST", "CI"))}
    ask = ["smoke", "--model", "granite3.3:8b", "--samples", "2", "--sandbox", "process"]
    with StandIn(model) as server:
        environment = {**kept, "OLLAMA_HOST": server.url, "MCODE_CACHE_DIR": str(place / "cache")}
        runs = [["--db", "whole.db", "--run-id", "whole"]]
        for shard in "012":
            runs.append(["--db", f"shards/{shard}.db", "--run-id", "sharded"])
            runs[-1] += ["--shard-count", "3", "--shard-index", shard]
        for words in runs:
            command = [sys.executable, "-m", "pytest_mcode", "bench", *ask, *words]
            done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
    yield place
    shutil.rmtree(place)


class TestShards:
    """The shards of one run, wherever they are, are that run."""

    @pytest.mark.parametrize(
        "place", [["shards"], ["shards/*.db"], ["shards/2.db", "shards/0.db", "shards/1.db"]], ids=" ".join
    )
    def test_their_figures_are_those_of_the_run_in_one_piece(
        self, sharded: Path, monkeypatch: pytest.MonkeyPatch, place: list[str]
    ) -> None:
        monkeypatch.chdir(sharded)
        (whole,) = json.loads(call("results", "--db", "whole.db", "--json").stdout)
        (one,) = json.loads(call("results", *(w for each in place for w in ("--db", each)), "--json").stdout)
        assert (one["run"]["id"], one["run"]["planned"]) == ("sharded", 20)
        differ = {name for name in whole if whole[name] != one[name]}
        assert {name for name in differ if "second" not in name} == {"run"}
        assert (one["solved"], one["judged"], one["completion_tokens"]) == (14, 20, 9 * 104 + 5 * 222 + 6 * 233)

    def test_their_tasks_are_listed_together(self, sharded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(sharded)
        listed = [
            [
                (line["task"], line["verdicts"])
                for line in rows(call("results", "--db", db, "--by", "task", "--csv").stdout)
            ]
            for db in ("whole.db", "shards/")
        ]
        assert listed[0] == listed[1]
        assert [verdicts for _, verdicts in listed[1]].count("f p") == 5

    def test_one_shard_alone_says_what_the_run_has_planned(
        self, sharded: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(sharded)
        (one,) = json.loads(call("results", "--db", "shards/0.db", "--json").stdout)
        assert (one["run"]["planned"], one["judged"]) == (20, 7)

    def test_a_run_in_one_piece_beside_them_is_another(self, sharded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(sharded)
        told = rows(call("results", "--db", "shards", "--db", "whole.db", "--csv").stdout)
        assert sorted((each["run"], each["solved"], each["planned"]) for each in told) == [
            ("sharded", "14", "20"),
            ("whole", "14", "20"),
        ]

    def test_a_task_is_shown_from_whichever_has_it(self, sharded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(sharded)
        for task in (TASKS[9].id, TASKS[10].id, TASKS[11].id):
            told = json.loads(call("show", "sharded", task, "--db", "shards", "--json").stdout)
            assert [each["verdict"] for each in told["attempts"]] == ["failed", "passed"]
