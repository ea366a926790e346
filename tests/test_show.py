"""``mcode show``: one task of a run, as a reader, a terminal and a script see it."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pytest_mcode._types import Attempt, Completion, Execution, Sample, TaskResult, Verdict
from pytest_mcode.cli import main
from pytest_mcode.store import Store
from tests.known import DIED, HOSTILE, NO_SERVER, RUNS, Known, build, row
from tests.terminal import Shown, shown


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return build(tmp_path_factory.mktemp("known") / "known.db")


def show(known: Known, *words: str) -> Result:
    return CliRunner().invoke(main, ["show", "--db", known.path, *words], prog_name="mcode")


def page(known: Known, *words: str) -> str:
    told = show(known, *words)
    assert told.exit_code == 0, told.output
    return told.stdout


def section(text: str, head: str) -> str:
    """What follows a head, up to the next."""
    return re.split(r"\n+(?=-- |== )", text.partition(f"-- {head} --\n")[2])[0]


def test_a_task_is_told_from_its_prompt_to_its_output(known: Known) -> None:
    assert page(known, "last", "HumanEval/9", "--attempt", "0") == (
        "== HumanEval/9: solved ==\n"
        "humaneval, granite3.3:8b (ollama), run 20251103-130000-d0e1f2\n"
        "1 sample, 3 attempts, 6.2 s\n"
        "\n"
        "-- prompt (user) --\n"
        "Please provide a self-contained Python script that solves the following problem in a markdown code block:\n"
        "```python\n"
        "def initials(s):\n"
        '    """Join first letters."""\n'
        "```\n"
        "\n"
        "== sample 0, attempt 0: no_code ==\n"
        "100 prompt, 60 completion tokens, 2.00 s generating\n"
        "\n"
        "-- completion --\n"
        "I am not sure what is asked for.\n"
    )


def test_a_debug_iteration_is_told_with_what_the_model_was_told_alone(known: Known) -> None:
    text = page(known, "last", "9")
    assert text.count("Please provide a self-contained Python script") == 1
    second = text.partition("== sample 0, attempt 1: failed ==\n")[2].partition("== sample 0, attempt 2: passed ==")[0]
    assert second.startswith("200 prompt, 60 completion tokens, 2.00 s generating, 0.12 s executing, exit code 1\n")
    assert section(second, "prompt (user)").startswith("Your code did not pass.\n\nThe reply held no Python code.")
    assert "prompt (assistant)" not in second
    assert section(second, "thinking") == "The user wants a function."
    assert section(second, "stdout") == "checking …"
    assert section(second, "stderr").endswith("assert initials('a b') == 'ab'\nAssertionError\n\n")


def test_samples_share_the_prompt_that_they_were_given(known: Known) -> None:
    text = page(known, known.sampled, "HumanEval/11")
    assert text.count("-- prompt (user) --") == 1
    assert re.findall("^== (.*) ==$", text, re.MULTILINE) == [
        *("HumanEval/11: solved", "sample 0, attempt 0: passed", "sample 1, attempt 0: failed"),
        *("sample 2, attempt 0: timeout", "sample 3, attempt 0: passed", "sample 4, attempt 0: passed"),
    ]


def test_a_part_of_the_attempts_can_be_chosen(known: Known) -> None:
    assert re.findall("^== (sample.*) ==$", page(known, "last", "15", "--sample", "2"), re.MULTILINE) == [
        *("sample 2, attempt 0: failed", "sample 2, attempt 1: failed", "sample 2, attempt 2: passed")
    ]
    text = page(known, "last", "15", "--sample", "2", "--attempt", "2")
    assert re.findall("^== (sample.*) ==$", text, re.MULTILINE) == ["sample 2, attempt 2: passed"]
    assert text.count("-- prompt (") == 5  # the whole conversation, of which nothing stands above


def test_an_error_is_its_sentence(known: Known) -> None:
    assert section(page(known, "last", "21"), "error") == NO_SERVER + "\n"
    assert page(known, "last", "22") == (
        "== HumanEval/22: error ==\n"
        "humaneval, granite3.3:8b (ollama), run 20251103-130000-d0e1f2\n"
        f"0 samples, 0 attempts, 0.5 s\n{DIED}\n"
    )


@pytest.mark.parametrize("task", ["HumanEval/3", "humaneval/3", "3"])
def test_a_task_may_be_called_by_less_than_its_id(known: Known, task: str) -> None:
    assert page(known, "20251103-10", task).startswith("== HumanEval/3: solved ==\n")


def test_a_task_may_be_called_as_it_is_shown(known: Known) -> None:
    shown_as = 'odd/<b>"a, b"</b> |`\\x1b[31mü\\u202e'
    assert page(known, "last", shown_as).startswith(f"== {shown_as}: unsolved ==\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["last", "HumanEvil/3"],
            "There is no task 'HumanEvil/3' among the 24 that are recorded of run * (did you ",
        ),
        (["last", "swe-1"], "There is no task 'swe-1' among the 24 that are recorded of run 20251103-130000-d0e1f2: '"),
        (
            ["last", "15", "--sample", "3"],
            "HumanEval/15 has no sample 3 in run *: there are sample 0 (attempt 0 to ",
        ),
        (
            ["last", "11", "--sample", "1", "--attempt", "1"],
            "HumanEval/11 has no attempt 1 of sample 1 in run *: ",
        ),
        (["last", "22", "--sample", "0"], "HumanEval/22 has no sample 0 in run *: nothing was generated."),
        (["last", "0", "--sample", "-1"], "Invalid value for '--sample': -1 is not in the range x>=0."),
        (["2025", "0"], "Several runs begin with 2025: "),
        (["nope", "0"], "There is no run nope in "),
        (["last"], "Missing argument 'TASK'."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_meant_is_one_sentence(known: Known, words: list[str], sentence: str) -> None:
    told = show(known, *words)
    assert (told.exit_code, told.stdout) == (4, "")
    assert re.match("ERROR: " + re.escape(sentence).replace(r"\*", ".*"), told.stderr)
    assert told.stderr.count("\n") == 1


def test_a_script_is_told_all_that_is_stored(known: Known) -> None:
    told = json.loads(page(known, "last", "6", "--json"))
    assert (told["run"], told["task_id"], told["status"], told["verdicts"]) == (
        *(known.repaired, "HumanEval/6", "solved", "fp"),
    )
    first, second = told["attempts"]
    assert (first["completion"], first["stdout"], first["verdict"]) == (HOSTILE, HOSTILE, "failed")
    assert [turn["role"] for turn in second["prompt"]] == ["user", "assistant", "user"]
    assert (second["sample"], second["attempt"], second["prompt_tokens"], second["exit_code"]) == (0, 1, 200, 0)


def test_what_a_model_wrote_is_no_control_sequence_in_a_pipe(known: Known) -> None:
    text = page(known, "last", "6")
    assert text.count("]]> {{ 7*7 }} ${7*7}\\x1b]0;hacked\\x07\\x00\n") == 4
    assert "\x1b" not in text
    assert "\x07" not in text


def on_terminal(database: str, *words: str, **variables: str) -> Shown:
    command = [sys.executable, "-m", "pytest_mcode", "show", "--db", database, *words]
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    return shown(command, columns=80, place=Path(database).parent, environment={**kept, **variables})


def test_on_a_terminal_code_has_colours_and_nothing_else_acts(known: Known) -> None:
    seen = on_terminal(known.path, "last", "6")
    assert seen.status == 0
    assert re.search(r"\x1b\[\d+m?(;\d+)*m?def\x1b", seen.raw)
    acting = set(re.findall(r"\x1b.[\d;]*[a-zA-Z]?", seen.raw))
    assert {re.sub(r"[\d;]", "", sequence) for sequence in acting} == {"\x1b[m"}  # colours alone
    assert "\x07" not in seen.raw
    assert seen.lines[0].startswith("HumanEval/6: solved ───")
    assert "    return s[::-1]" in seen.lines


def test_without_colours_the_code_is_there_all_the_same(known: Known) -> None:
    seen = on_terminal(known.path, "last", "6", NO_COLOR="1")
    assert "\x1b" not in seen.raw
    assert "    return s[::-1]" in seen.lines


@pytest.fixture
def odd(tmp_path: Path) -> str:
    """A run of one task whose solution is not in its completion, with other line ends."""
    written = Completion("It is\r\nx = 1", prompt_tokens=None, completion_tokens=7, finish_reason="length", tries=2)
    seen = Execution(passed=False, exit_code=-9, stderr="Killed\n\n", first_seconds=3.5)
    drawn = Attempt(0, Verdict.TRUNCATED, written, "import math\n\nx = 1\n", seen)
    path = tmp_path / "odd.db"
    with closing(Store(str(path))) as store:
        store.begin(row(RUNS[0]))
        store.put(RUNS[0].id, TaskResult("a/0", (Sample(0, 0, (drawn,)),), 1.0))
        store.put(RUNS[0].id, TaskResult("b/0", (Sample(0, 0, (drawn,)),), 1.0))
    return str(path)


def test_code_that_is_not_in_the_completion_stands_apart(odd: str) -> None:
    text = page(Known(odd), "last", "a/0")
    assert section(text, "completion") == "It is\nx = 1"
    assert section(text, "solution, as it was judged") == "import math\n\nx = 1"
    assert section(text, "stderr") == "Killed\n"


def test_what_was_unusual_of_an_attempt_is_told(odd: str) -> None:
    assert (
        "7 completion tokens, 0.00 s generating, 0.00 s executing, executed again alone after 3.50 s, exit code -9, "
        "asked 2 times, finish reason length\n"
    ) in page(Known(odd), "last", "a/0")


def test_a_name_that_fits_several_tasks_is_not_guessed(odd: str) -> None:
    told = show(Known(odd), "last", "0")
    assert told.exit_code == 4
    assert "are called 0: a/0, b/0. Name one of them." in told.stderr
