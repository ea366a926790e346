from __future__ import annotations

import dataclasses
from collections import Counter

from rich.console import Console
from rich.table import Table

from pytest_mcode._types import Status, Verdict
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
    planned=4,
    started_at="2025-01-01",
    finished_at=None,
    versions={},
)
P, F = (Verdict.PASSED,), (Verdict.FAILED, Verdict.FAILED)
TASKS = (
    Record("a", Status.SOLVED, (P,)),
    Record("b", Status.SOLVED, (F, P)),
    Record("c", Status.UNSOLVED, (F, F)),
    Record("d", Status.UNSOLVED, (F, F)),
    Record("e", Status.ERROR, ((Verdict.ERROR,),)),
)
FOUND = Figures(
    run=RUN,
    samples=2,
    attempts=2,
    all_samples=False,
    tasks=TASKS,
    statuses=Counter(task.status for task in TASKS),
    verdicts={},
    prompt_tokens=1000,
    completion_tokens=12345,
    seconds=1234.5,
    generation_seconds=1.0,
    execution_seconds=1.0,
)
EMPTY = dataclasses.replace(FOUND, tasks=(), statuses={}, completion_tokens=None)


def cells(table: Table) -> list[list[str]]:
    """What a wide terminal shows: the header, then the rows."""
    console = Console(width=200, no_color=True)
    with console.capture() as shown:
        console.print(table)
    lines = [line for line in shown.get().splitlines() if set(line) & set("┃│")]
    return [[cell.strip() for cell in line.replace("┃", "│").split("│")[1:-1]] for line in lines]


def test_a_run_is_a_row() -> None:
    assert cells(by_run([FOUND, EMPTY])) == [
        ["benchmark", "model", "solved", "pass@1", "solve@budget", "errors", "tokens", "seconds", "run"],
        [
            *("humaneval", "granite3.3:8b", "2/4", "25.0 [4.6, 69.9]", "50.0 [15.0, 85.0] (2 x 2)", "1", "12,345"),
            *("1,234", "20250101-000000-abcdef"),
        ],
        ["humaneval", "granite3.3:8b", "0/0", "-", "- (2 x 2)", "0", "", "1,234", "20250101-000000-abcdef"],
    ]


def test_each_number_of_samples_is_a_row_with_what_it_gained() -> None:
    run = "20250101-000000-abcdef"
    assert cells(by_samples([FOUND, EMPTY])) == [
        ["benchmark", "model", "solved", "samples", "pass@k", "solve@budget", "gain", "run"],
        ["humaneval", "granite3.3:8b", "2/4", "1 of 2", "25.0 [4.6, 69.9]", "25.0 [4.6, 69.9]", "", run],
        ["humaneval", "granite3.3:8b", "2/4", "2 of 2", "50.0 [15.0, 85.0]", "50.0 [15.0, 85.0]", "+25.0", run],
        ["humaneval", "granite3.3:8b", "0/0", "1 of 2", "-", "-", "", run],
        ["humaneval", "granite3.3:8b", "0/0", "2 of 2", "-", "-", "", run],
    ]


def test_a_name_is_shown_as_it_is_whatever_it_holds() -> None:
    odd = dataclasses.replace(FOUND, run=dataclasses.replace(RUN, model="[red]m[/]", benchmark="my[b]"))
    for table in (by_run([odd]), by_samples([odd])):
        assert cells(table)[1][:2] == ["my[b]", "[red]m[/]"]


def test_the_caption_says_what_the_rates_are() -> None:
    assert by_run([]).caption == "rates in per cent with 95 % intervals; errors are kept out of them"
