from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from collections import Counter

import pytest
from markdown_it import MarkdownIt
from rich.console import Console, RenderableType

from pytest_mcode._types import Status
from pytest_mcode.metrics import Record
from pytest_mcode.report.figures import Figures
from pytest_mcode.report.table import Row, by_attempts, by_run, by_samples
from pytest_mcode.report.tabular import UNLIMITED, Listing, as_csv, as_json, fitting, markdown
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


def written(listing: Listing[Row], width: int = UNLIMITED) -> list[str]:
    """What a terminal shows: the head, the rows, and what is told below them."""
    return lines(fitting(listing, width), min(width, 200))


def lines(shown: RenderableType, width: int) -> list[str]:
    console = Console(width=width, no_color=True)
    with console.capture() as captured:
        console.print(shown)
    return [line.rstrip() for line in captured.get().splitlines() if not set(line) <= set("─ ")]


def cells(listing: Listing[Row]) -> list[list[str]]:
    """The head and the rows, cell by cell; columns are told apart by two spaces."""
    return [[cell.strip() for cell in line.split("  ") if cell] for line in written(listing)[: 1 + len(listing.rows)]]


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
    for listing in (by_run([odd]), by_samples([odd]), by_attempts([odd])):
        assert cells(listing)[1][:2] == ["my[b]", "[red]m[/]"]


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
    shown = written(by_run([FOUND]), width)
    assert shown[0].split() == head.split()
    assert shown[1].split()[:2] == ["humaneval", "granite3.3:8b"]
    assert all(len(line) <= width for line in shown)
    told = " ".join(" ".join(shown[2:]).split())
    assert told.removeprefix("rates in per cent with 95 % intervals; errors are kept out of them") == (
        f" no room for: {gone}" if gone else ""
    )


def test_columns_that_tell_nothing_give_way_first() -> None:
    assert written(by_run([PLAIN]), 80)[0].split() == ["benchmark", "model", "solved", "pass@1", "run"]
    mixed = written(by_run([PLAIN, FOUND]), 100)[0].split()
    assert mixed == ["benchmark", "model", "solved", "pass@1", "solve@budget", "tries", "errors"]


def test_a_long_model_name_takes_more_lines_rather_than_cut_a_rate() -> None:
    long = dataclasses.replace(FOUND, run=dataclasses.replace(RUN, model="registry.example/team/granite-code:34b-q4"))
    shown = written(by_run([long]), 60)
    assert "25.0 [4.6, 69.9]" in shown[1]
    assert all(len(line) <= 60 for line in shown)
    assert "".join(line[11:].split("  ")[0].strip() for line in shown[1:3]).startswith("registry.example/team/granite")


def test_each_number_of_attempts_is_a_row_with_what_it_gained() -> None:
    assert written(by_attempts([FOUND]))[-2:] == [
        "solve@budget: rates in per cent with 95 % intervals; errors are kept out of them",
        "reached, passed: samples that came to that attempt, and that passed with it",
    ]
    tasks = (Record("a", Status.SOLVED, "p"), Record("b", Status.SOLVED, "fp"), Record("c", Status.UNSOLVED, "ff"))
    one = dataclasses.replace(FOUND, samples=1, tasks=tasks, statuses={Status.SOLVED: 2, Status.UNSOLVED: 1})
    assert [line[3:] for line in cells(by_attempts([one]))] == [
        ["attempts", "1 sample", "gain", "all samples", "reached", "passed", "errors", "run"],
        ["1 of 2", "33.3 [6.1, 79.2]", "33.3 [6.1, 79.2]", "3", "1", "0", RUN.id],
        ["2 of 2", "66.7 [20.8, 93.9]", "+33.3", "66.7 [20.8, 93.9]", "2", "1", "0", RUN.id],
    ]


def test_with_several_samples_a_budget_that_nobody_saw_is_a_dash() -> None:
    tasks = (Record("a", Status.SOLVED, "fp"), Record("b", Status.UNSOLVED, "ff ff"))  # a's second was not drawn
    stopped = dataclasses.replace(FOUND, tasks=tasks, statuses={Status.SOLVED: 1, Status.UNSOLVED: 1})
    assert [line[3:6] for line in cells(by_attempts([stopped]))[1:]] == [
        ["1 of 2", "0.0 [0.0, 65.8]", "-"],
        ["2 of 2", "50.0 [9.5, 90.5]", "+50.0"],
    ]


#: Names that are markup, formulas or control sequences to somebody.
HOSTILE = dataclasses.replace(FOUND, run=dataclasses.replace(RUN, benchmark="a|b*c*\n<img>", model='=cmd("\x1b[31m")'))


def test_in_markdown_no_name_is_markup() -> None:
    told = markdown(by_run([HOSTILE])).splitlines()
    assert told[2].startswith('| a\\|b\\*c\\*\\\\n\\<img\\> | =cmd("\\\\x1b\\[31m") | 2/4 | 25.0 \\[4.6, 69.9\\] |')
    html = MarkdownIt("commonmark").enable("table").render("\n".join(told))
    rows = [re.findall("<t[dh][^>]*>(.*?)</t[dh]>", row) for row in re.findall("<tr>.*?</tr>", html, re.DOTALL)]
    assert [len(row) for row in rows] == [10, 10]
    assert rows[1][:4] == [
        "a|b*c*\\n&lt;img&gt;",
        "=cmd(&quot;\\x1b[31m&quot;)",
        "2/4",
        "25.0 [4.6, 69.9]",
    ]
    assert told[-1] == "rates in per cent with 95 % intervals; errors are kept out of them"


def test_csv_has_plain_numbers_and_no_formulas() -> None:
    (row,) = csv.DictReader(io.StringIO(as_csv(by_run([HOSTILE]))))
    assert (row["benchmark"], row["model"]) == ("a|b*c*\n<img>", '\'=cmd("\\x1b[31m")')
    assert {name: row[name] for name in ("solved", "judged", "planned", "errors", "samples", "attempts")} == {
        "solved": "2",
        "judged": "4",
        "planned": "5",
        "errors": "1",
        "samples": "2",
        "attempts": "2",
    }
    assert (row["pass@1"], row["pass@1_n"], row["tokens"], row["seconds"]) == ("0.25", "4", "12345", "1234.5")
    assert (float(row["pass@1_low"]), float(row["pass@1_high"])) == pytest.approx((0.0456, 0.6994), abs=1e-4)
    assert (row["solve@budget"], row["solved_of_all"], row["solved_of_all_n"]) == ("0.5", "0.4", "5")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\uff1d1"])
def test_whatever_a_spreadsheet_takes_for_a_formula_is_text(name: str) -> None:
    odd = dataclasses.replace(FOUND, run=dataclasses.replace(RUN, model=name))
    (row,) = csv.DictReader(io.StringIO(as_csv(by_run([odd]))))
    assert row["model"][0] in "'\\"


def test_what_cannot_be_known_is_empty_in_csv_and_null_in_json() -> None:
    listing = by_run([EMPTY])
    (row,) = csv.DictReader(io.StringIO(as_csv(listing)))
    assert [row[name] for name in ("pass@1", "pass@1_low", "pass@1_high", "pass@1_n", "tokens")] == [""] * 5
    (told,) = json.loads(as_json(listing))
    assert (told["pass@1"], told["tokens"], told["solved"]) == (None, None, 0)


def test_in_json_a_rate_is_an_object() -> None:
    first, second = json.loads(as_json(by_samples([FOUND])))
    assert first["pass@k"] == {
        "value": 0.25,
        "low": pytest.approx(0.0456, abs=1e-4),
        "high": pytest.approx(0.6994, abs=1e-4),
        "n": 4,
    }
    assert (first["samples"], first["gain"], second["samples"], second["gain"]) == (1, None, 2, 0.25)
