"""The summary of a run: which lines there are, what they say, and that many errors stay few lines."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pytest_mcode._types import Status
from pytest_mcode.metrics import Record, verdicts
from pytest_mcode.report.figures import Figures
from pytest_mcode.report.terminal import Line, grouped, lines
from pytest_mcode.store import Run

DB = "experiments/results/results.db"
RUN = Run(
    id="20250101-000000-abcdef",
    benchmark="humaneval",
    model="granite3.3:8b",
    backend="ollama",
    config={},
    config_hash="0",
    dataset_fingerprint="f",
    planned=4,
    started_at="2025-01-01",
    finished_at=None,
    versions={},
)


def figures(*tasks: str, planned: int | None = None, **more: object) -> Figures:
    """Of tasks given by the letters of their attempts."""
    found = []
    for number, letters in enumerate(tasks):
        status = Status.SOLVED if "p" in letters else Status.ERROR if "e" in letters else Status.UNSOLVED
        found.append(Record(f"t/{number}", status, letters))
    base = Figures(
        run=dataclasses.replace(RUN, planned=len(tasks) if planned is None else planned),
        samples=1,
        attempts=1,
        all_samples=False,
        tasks=tuple(found),
        statuses=Counter(task.status for task in found),
        verdicts=verdicts(found),
        faults={task.task_id: "No server." for task in found if task.status is Status.ERROR},
        prompt_tokens=12_000,
        completion_tokens=3_456,
        seconds=100.0,
        generation_seconds=1234.56,
        execution_seconds=7.0,
    )
    return dataclasses.replace(base, **more)  # type: ignore[arg-type] # each test names fields of Figures


@pytest.fixture(autouse=True)
def default_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCODE_DB", raising=False)


def written(found: Figures, database: str = DB) -> list[str]:
    return [str(line) for line in lines(found, database, 61.5)]


def test_one_sample_a_task_has_pass_at_1_alone() -> None:
    assert written(figures("p", "p", "f", "n")) == [
        "model         granite3.3:8b (ollama)",
        "run           20250101-000000-abcdef in experiments/results/results.db",
        "pass@1         50.0% [15.0%, 85.0%]  n = 1 sample",
        "verdicts      passed 2, failed 1, no_code 1",
        "tokens        12,000 prompt, 3,456 completion",
        "seconds       61.5 wall; added up over tasks: 1,234.6 generating, 7.0 executing",
        "resolution    no difference to another run is seen with 4 tasks",
        "more          mcode results --benchmark humaneval --model granite3.3:8b",
        "solved        2/4",
    ]


def test_samples_and_debug_iterations_have_their_rates_beside_pass_at_1() -> None:
    found = figures("p", "ff fp", "ff ff", samples=2, attempts=2)
    assert written(found) == [
        "model         granite3.3:8b (ollama), 2 samples of 2 attempts a task",
        "run           20250101-000000-abcdef in experiments/results/results.db",
        "pass@1         33.3% [6.1%, 79.2%]  n = 2, first attempts, success within k",
        "pass@2         33.3% [6.1%, 79.2%]  n = 2, first attempts, success within k",
        "solve@budget   66.7% [20.8%, 93.9%]  2 x 2 attempts",
        "verdicts      passed 2, failed 3 of 5 samples",
        "tokens        12,000 prompt, 3,456 completion",
        "seconds       61.5 wall; added up over tasks: 1,234.6 generating, 7.0 executing",
        "resolution    no difference to another run is seen with 3 tasks",
        "more          mcode results --benchmark humaneval --model granite3.3:8b --compare-samples",
        "solved        2/3",
    ]


def named(found: Figures, name: str) -> list[str]:
    return [line.text for line in lines(found, DB, 0.0) if line.name == name]


def test_pass_at_k_is_told_for_the_usual_k_up_to_n() -> None:
    task = " ".join("f" * 12)
    names = [line.name for line in lines(figures(task, task, samples=12), DB, 0.0)]
    assert [name for name in names if name.startswith("pass@")] == ["pass@1", "pass@2", "pass@5", "pass@10", "pass@12"]


def test_with_all_samples_it_is_an_unbiased_estimate() -> None:
    found = figures("p f", "f f", samples=2, all_samples=True)
    assert named(found, "pass@1") == [" 25.0% [0.0%, 50.0%]  n = 2, unbiased estimate"]


def test_with_all_samples_the_chance_that_all_pass_is_told() -> None:
    found = figures("p p", "p f", "f f", "f f", samples=2, all_samples=True)
    assert named(found, "pass^2") == [" 25.0% [4.6%, 69.9%]  all 2 samples pass"]
    assert named(figures("p", "f p", samples=2), "pass^2") == []


def test_how_small_a_difference_can_be_seen_is_told() -> None:
    found = figures(*["p"] * 100, *["f"] * 64)
    assert named(found, "resolution") == ["differences of 10.1 points and more (80% power, 20% of tasks flip)"]
    few = figures(*["p"] * 14, *["f"] * 6)
    assert named(few, "resolution") == ["differences of 36.6 points and more (80% power, all flips one way)"]
    assert named(figures("e"), "resolution") == []


def test_pass_at_1_never_counts_debug_iterations() -> None:
    found = figures("fp", "p", attempts=2)
    assert named(found, "pass@1") == [" 50.0% [9.5%, 90.5%]  n = 1 sample, first attempts"]
    assert named(found, "solve@budget") == ["100.0% [34.2%, 100.0%]  1 x 2 attempts"]


def test_reference_solutions_are_no_backend_and_know_no_tokens() -> None:
    run = dataclasses.replace(RUN, model="reference", planned=1)
    found = figures("p", run=run, prompt_tokens=None, completion_tokens=None)
    assert named(found, "model") == ["reference solutions"]
    assert named(found, "tokens") == []


def test_tokens_are_those_that_the_server_told() -> None:
    assert named(figures("p", prompt_tokens=None), "tokens") == ["3,456 completion"]


def test_errors_stand_with_both_rates_and_their_tasks() -> None:
    found = figures("p", "p", "f", "e", "e")
    told = written(found)
    assert told[2:5] == [
        "pass@1         66.7% [20.8%, 93.9%]  n = 1 sample",
        "errors        2 of 5 not judged: solved 66.7% of the others, 40.0% of all",
        "              t/3, t/4: No server.",
    ]
    assert told[-1] == "solved        2/3"


def test_where_no_task_was_judged_no_rate_is_told() -> None:
    told = written(figures("e", "e", attempts=2))
    assert told[2:5] == [
        "solve@budget  no task was judged",
        "errors        2 of 2 not judged: 0.0% of all",
        "              t/0, t/1: No server.",
    ]
    assert told[-1] == "solved        0/0"


def test_an_interrupted_run_says_what_is_missing() -> None:
    assert named(figures("p", "f", planned=164), "not run") == [
        "162 of 164 tasks; all rates are of the 2 that were judged"
    ]
    assert named(figures(planned=1), "not run") == ["1 of 1 task"]
    assert named(figures(planned=1), "verdicts") == ["none"]


def test_the_command_for_more_names_a_database_that_is_not_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    found = figures("p")
    assert written(found, "my runs.db")[-2].endswith(" --model granite3.3:8b --db 'my runs.db'")
    monkeypatch.setenv("MCODE_DB", "my runs.db")
    assert written(found, "my runs.db")[-2].endswith(" --model granite3.3:8b")


def test_equal_sentences_are_one_with_their_tasks_the_most_frequent_first() -> None:
    assert grouped({"t/10": "No server.", "t/9": "No server.", "t/1": "No image.", "t/2": "No server."}) == [
        ("No server.", ["t/2", "t/9", "t/10"]),
        ("No image.", ["t/1"]),
    ]


def test_sentences_that_differ_by_the_tasks_id_are_equal() -> None:
    faults = {f"t/{number}": f"Task t/{number} has no reference solution." for number in (1, 2)}
    assert grouped(faults) == [("Task t/1 has no reference solution.", ["t/1", "t/2"])]


def test_many_errors_are_a_few_lines() -> None:
    found = figures(*["e"] * 100)
    same = [line for line in lines(found, DB, 0.0) if line.name in ("", "errors")]
    assert [line.text for line in same] == [
        "100 of 100 not judged: 0.0% of all",
        "t/0, t/1, t/2 and 97 more: No server.",
    ]
    different = dataclasses.replace(found, faults={f"t/{n}": f"Cause {n % 10}." for n in range(100)})
    told = [line.text for line in lines(different, DB, 0.0) if line.name == ""]
    assert told == [*(f"t/{n}, t/{n + 10}, t/{n + 20} and 7 more: Cause {n}." for n in range(5)), told[-1]]
    assert told[-1] == "and 50 tasks with 5 other sentences"


def test_colours_say_what_to_look_at() -> None:
    found = figures("p", "e", planned=3)
    marks = {line.name: line.marks for line in lines(found, DB, 0.0) if any(line.marks.values())}
    assert marks["errors"] == {"red": True}
    assert marks["not run"] == {"yellow": True}
    assert marks["pass@1"] == {"bold": True}
    assert marks["solved"] == {"bold": True, "green": True}


def test_a_long_line_goes_on_below_its_text() -> None:
    line = Line("errors", "one two three four five six")
    assert line.fitting(29) == "errors        one two three\n              four five six"
    assert line.fitting(0) == "errors        one two three four five six"


def test_a_command_to_copy_stays_whole() -> None:
    (line,) = [line for line in lines(figures("p"), DB, 0.0) if line.name == "more"]
    assert line.fitting(40) == str(line)


LOST = """
from pytest_mcode import Mcode, Task, benchmark

def task(number: int, reference: str) -> Task:
    return Task(f"lost/{number}", "def f() -> int: ...", "assert f() == 1", entry_point="f", reference=reference)

WRONG = "def f() -> int:\\n    return 2"

@benchmark("lost", tasks=[task(number, WRONG if number % 2 else "") for number in range(110)])
def test_lost(task: Task, mcode: Mcode) -> None:
    if task.id in ("lost/105", "lost/106"):
        raise KeyError("a mistake in the benchmark")
    mcode(task)
"""


def test_a_hundred_errors_and_failures_leave_a_screen_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "test_lost.py").write_text(LOST)
    kept = {name: value for name, value in os.environ.items() if not re.match("MCODE_|PYTEST|COLUMNS$|CI$", name)}
    command = [str(Path(sys.executable).with_name("mcode")), "bench", "lost", "test_lost.py", "--db", "r.db"]
    command += ["--model", "reference", "--sandbox", "process"]
    done = subprocess.run(command, cwd=tmp_path, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == ""
    shown = done.stdout.splitlines()
    assert len(shown) < 50
    assert not [line for line in shown if "FAILURES" in line]
    listed = [line for line in shown if line.startswith(("E  ", "FAILED ", "ERROR "))]
    assert listed[0] == "E           KeyError: 'a mistake in the benchmark'"
    assert re.match(r"ERROR test_lost\.py::test_lost\[lost/10[56]\] - KeyError: ", listed[1])
    assert len(listed) == 2
    (errors,) = [number for number, line in enumerate(shown) if line.startswith("errors ")]
    assert shown[errors : errors + 3] == [
        "errors        56 of 110 not judged: solved 0.0% of the others, 0.0% of all",
        (
            "              lost/0, lost/2, lost/4 and 51 more: Task lost/0 has no reference solution: "
            "run this benchmark with a real --model."
        ),
        f"              lost/105, lost/106: KeyError: 'a mistake in the benchmark' ({tmp_path}/test_lost.py:12)",
    ]
    assert shown[-2] == "solved        0/54"
    assert re.fullmatch("=+ 56 errors, 54 unsolved in .*", shown[-1])
