from __future__ import annotations

import dataclasses
from collections import Counter

import pytest
from rich.console import Console
from rich.table import Table

from pytest_mcode._types import Status
from pytest_mcode.metrics import Record
from pytest_mcode.report.figures import Figures
from pytest_mcode.report.table import by_run, by_samples
from pytest_mcode.store import Run

RUN = Run(
    id="20250101-000000-abcdef",
    benchmark="humaneval",
    model="granite3.3:8b",
    backend="ollama",
    config={},
    config_hash="0",
    dataset_fingerprint="f",
    planned=5,
    started_at="2025-01-01",
    finished_at=None,
    versions={},
)
TASKS = (
    Record("a", Status.SOLVED, "p"),
    Record("b", Status.SOLVED, "ff p"),
    Record("c", Status.UNSOLVED, "ff ff"),
    Record("d", Status.UNSOLVED, "ff ff"),
    Record("e", Status.ERROR, "e"),
)
FOUND = Figures(
    run=RUN,
    samples=2,
    attempts=2,
    all_samples=False,
    tasks=TASKS,
    statuses=Counter(task.status for task in TASKS),
    verdicts={},
    faults={"e": "No server."},
    prompt_tokens=1000,
    completion_tokens=12345,
    seconds=1234.5,
    generation_seconds=1.0,
    execution_seconds=1.0,
)
EMPTY = dataclasses.replace(FOUND, tasks=(), statuses={}, faults={}, completion_tokens=None)
#: One sample, no debug iteration, no error.
PLAIN = dataclasses.replace(
    FOUND, samples=1, attempts=1, tasks=TASKS[:1], statuses={Status.SOLVED: 1}, run=dataclasses.replace(RUN, planned=1)
)


def written(table: Table, width: int = 200) -> list[str]:
    """What a terminal shows: the head, the rows, and what is told below them."""
    console = Console(width=width, no_color=True)
    with console.capture() as shown:
        console.print(table)
    return [line.rstrip() for line in shown.get().splitlines() if not set(line) <= set("─ ")]


def cells(table: Table) -> list[list[str]]:
    """The head and the rows, cell by cell; columns are told apart by two spaces."""
    return [[cell.strip() for cell in line.split("  ") if cell] for line in written(table)[:-1]]


def test_a_run_is_a_row() -> None:
    run = "20250101-000000-abcdef"
    assert cells(by_run([FOUND, EMPTY])) == [
        ["benchmark", "model", "solved", "pass@1", "solve@budget", "tries", "errors", "tokens", "seconds", "run"],
        [
            *("humaneval", "granite3.3:8b", "2/4", "25.0 [4.6, 69.9]", "50.0 [15.0, 85.0]", "2 x 2", "1", "12,345"),
            *("1,234", run),
        ],
        ["humaneval", "granite3.3:8b", "0/0 of 5", "-", "-", "2 x 2", "0", "1,234", run],
    ]


def test_each_number_of_samples_is_a_row_with_what_it_gained() -> None:
    run = "20250101-000000-abcdef"
    assert cells(by_samples([FOUND, EMPTY])) == [
        ["benchmark", "model", "solved", "samples", "pass@k", "solve@budget", "gain", "errors", "run"],
        ["humaneval", "granite3.3:8b", "2/4", "1 of 2", "25.0 [4.6, 69.9]", "25.0 [4.6, 69.9]", "1", run],
        ["humaneval", "granite3.3:8b", "2/4", "2 of 2", "50.0 [15.0, 85.0]", "50.0 [15.0, 85.0]", "+25.0", "1", run],
        ["humaneval", "granite3.3:8b", "0/0 of 5", "1 of 2", "-", "-", "0", run],
        ["humaneval", "granite3.3:8b", "0/0 of 5", "2 of 2", "-", "-", "0", run],
    ]


def test_without_debug_iterations_the_gain_is_that_of_pass_at_k() -> None:
    tasks = (Record("a", Status.SOLVED, "p f"), Record("b", Status.UNSOLVED, "f f"))
    drawn = dataclasses.replace(PLAIN, samples=2, all_samples=True, tasks=tasks)
    assert [line[4:6] for line in cells(by_samples([drawn]))[1:]] == [
        ["25.0 [0.0, 50.0]", "50.0 [9.5, 90.5]"],
        ["50.0 [9.5, 90.5]", "50.0 [9.5, 90.5]"],
    ]
    assert cells(by_samples([drawn]))[2][6] == "+25.0"


def test_a_name_is_shown_as_it_is_whatever_it_holds() -> None:
    odd = dataclasses.replace(FOUND, run=dataclasses.replace(RUN, model="[red]m[/]", benchmark="my[b]"))
    for table in (by_run([odd]), by_samples([odd])):
        assert cells(table)[1][:2] == ["my[b]", "[red]m[/]"]


def test_below_stands_what_the_rates_are() -> None:
    assert written(by_run([FOUND]))[-1] == "rates in per cent with 95 % intervals; errors are kept out of them"


@pytest.mark.parametrize(
    ("width", "head", "gone"),
    [
        (125, "benchmark model solved pass@1 solve@budget tries errors tokens seconds run", ""),
        (124, "benchmark model solved pass@1 solve@budget tries errors tokens run", "seconds"),
        (108, "benchmark model solved pass@1 solve@budget tries errors run", "seconds, tokens"),
        (80, "benchmark model solved pass@1 solve@budget errors", "seconds, tokens, run, tries"),
        (50, "benchmark model pass@1", "seconds, tokens, run, tries, solved, errors, solve@budget"),
    ],
)
def test_a_narrow_window_leaves_out_the_least_telling_columns(width: int, head: str, gone: str) -> None:
    shown = written(by_run([FOUND], width), width)
    assert shown[0].split() == head.split()
    assert shown[1].split()[:2] == ["humaneval", "granite3.3:8b"]
    assert all(len(line) <= width for line in shown)
    told = " ".join(" ".join(shown[2:]).split())
    assert told.removeprefix("rates in per cent with 95 % intervals; errors are kept out of them") == (
        f" no room for: {gone}" if gone else ""
    )


def test_columns_that_tell_nothing_give_way_first() -> None:
    assert written(by_run([PLAIN], 80), 80)[0].split() == ["benchmark", "model", "solved", "pass@1", "run"]
    mixed = written(by_run([PLAIN, FOUND], 100), 100)[0].split()
    assert mixed == ["benchmark", "model", "solved", "pass@1", "solve@budget", "tries", "errors"]


def test_a_long_model_name_takes_more_lines_rather_than_cut_a_rate() -> None:
    long = dataclasses.replace(FOUND, run=dataclasses.replace(RUN, model="registry.example/team/granite-code:34b-q4"))
    shown = written(by_run([long], 60), 60)
    assert "25.0 [4.6, 69.9]" in shown[1]
    assert all(len(line) <= 60 for line in shown)
    assert "".join(line[11:].split("  ")[0].strip() for line in shown[1:3]).startswith("registry.example/team/granite")
