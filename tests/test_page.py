"""``mcode report``: the command, and its page in a browser, held against a database whose truth is known."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from playwright.sync_api import Browser, Locator, Page, expect
from pygments.lexers.python import PythonLexer
from pygments.token import Token
from statsmodels.stats.proportion import proportion_confint

from pytest_mcode._types import Verdict
from pytest_mcode.cli import main
from pytest_mcode.report.page.content import pareto
from pytest_mcode.report.page.details import Packer, batches
from pytest_mcode.report.words import in_order
from pytest_mcode.store import Store
from tests import browser, known
from tests.known import HOSTILE, HOSTILE_TASK, ODD, TASKS, Known

WORDS = ("passed", "failed", "timeout", "truncated", "no_code", "error")
#: A name with all that a page could take for its own.
EVIL = "<img src=x onerror=\"document.title='hacked'\"></script><script>document.title='hacked'</script>\x1b[31m\u202e"
#: How the page spells it.
SHOWN = EVIL.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
Open = Callable[..., browser.Watched]


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return known.build(tmp_path_factory.mktemp("known") / "known.db")


@pytest.fixture(scope="module")
def page_file(truth: Known) -> Path:
    return written(Path(truth.path), Path(truth.path).with_name("report.html"))


@pytest.fixture(scope="module")
def two_benchmarks(truth: Known, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two benchmarks, of which the second is one run with 1,200 tasks and an evil name."""
    place = tmp_path_factory.mktemp("two")
    scripted = known.RUNS[0]
    with closing(Store(str(place / "more.db"))) as store:
        row, when = known.row(scripted), "2025-11-04T10:00:00.000+00:00"
        store.begin(replace(row, id="20251104-100000-ffffff", benchmark="mine", model=EVIL, started_at=when))
        for number in range(1_200):
            made = known.result(scripted, number % 23, "p" if number % 2 else "f")
            store.put("20251104-100000-ffffff", replace(made, task_id=f"mine/{number}"))
    return written(Path(truth.path), place / "report.html", "--db", str(place / "more.db"), "--title", EVIL)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if browser.executable() is None:
        pytest.skip("there is no Chromium: install it, as .ci/run does")
    with browser.browser() as running:
        yield running


@pytest.fixture
def opened(chromium: Browser, page_file: Path) -> Iterator[Open]:
    """Opens the page; at the end, nothing may have been fetched, refused, thrown or asked."""
    seen: list[browser.Watched] = []

    def open_page(path: Path = page_file, **how: Any) -> browser.Watched:
        seen.append(browser.opened(chromium, path, **how))
        return seen[-1]

    yield open_page
    misdeeds = [misdeed for watched in seen for misdeed in watched.misdeeds]
    for watched in seen:
        watched.page.context.close()
    assert misdeeds == []


@pytest.fixture
def page(opened: Open) -> Page:
    return opened().page


def written(database: Path, out: Path, *words: str) -> Path:
    done = mcode("--db", str(database), "--out", str(out), *words)
    assert done.exit_code == 0, done.output
    return out


def mcode(*words: str) -> Result:
    return CliRunner().invoke(main, ["report", *words], prog_name="mcode")


def cells(table: Locator) -> list[list[str]]:
    """The texts of a table's body, whatever is folded, with one space where there are several."""
    rows = table.locator("tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map("
        "cell => [...cell.childNodes].map(its => its.textContent).join(' ')))"
    )
    return [[" ".join(cell.split()) for cell in row] for row in rows]


def folded(page: Page, summary: str) -> Locator:
    """The table below a summary, or the one of the chart with that title."""
    if summary.startswith(("Rate", "More")):
        return page.get_by_role("figure", name=summary).locator("table")
    return page.locator("details", has=page.locator("summary", has_text=summary)).locator("table").first


def grid(page: Page) -> dict[str, list[str]]:
    """What the matrix says to who cannot see it, by task."""
    rows = page.locator("#matrix tbody tr").evaluate_all(
        "rows => rows.map(row => [row.cells[0].textContent, [...row.cells].slice(1).map(cell => cell.ariaLabel)])"
    )
    return dict(rows)


def draw_charts(page: Page) -> None:
    page.locator(".charts:visible").scroll_into_view_if_needed()
    for chart in page.locator(".chart").all():
        if chart.is_visible():
            chart.scroll_into_view_if_needed()
            expect(chart).to_have_attribute("data-drawn", re.compile(r"\d+"), timeout=60_000)


def open_task(page: Page, task: str, run: int) -> Locator:
    """Open a task from the matrix, and wait for its attempts."""
    row = page.locator("#matrix tbody tr", has=page.get_by_role("rowheader", name=task, exact=True))
    row.locator("td").nth(run - 1).click()
    body = page.locator("#task-body")
    expect(body.locator("details, p").first).to_be_attached()
    return body


class TestFigures:
    """Every figure is the known one."""

    def test_runs_have_their_rates_intervals_and_costs(self, page: Page) -> None:
        assert cells(page.locator("table.runs")) == [
            [
                *("1 granite3.3:2b 20251103-100000-a1b2c3", "8/24", "33.3 [18.0, 53.3]", "33.3 [18.0, 53.3]"),
                *("1 \u00d7 1", "0", "50 1,200 in all", "1.2 28.8 in all", "2025-11-03 10:00 UTC"),
            ],
            [
                *("2 granite3.3:8b 20251103-110000-b4d5e6", "16/24", "66.7 [46.7, 82.0]", "66.7 [46.7, 82.0]"),
                *("1 \u00d7 1", "0", "60 1,440 in all", "2.2 52.8 in all", "2025-11-03 11:00 UTC"),
            ],
            [
                *("3 qwen2.5-coder:7b, samples 5, all-samples 20251103-120000-c7f8a9", "18/24", "49.2 [34.2, 64.2]"),
                *("75.0 [55.1, 88.0]", "5 \u00d7 1 all samples drawn", "0", "200 4,800 in all", "5.99 144 in all"),
                "2025-11-03 12:00 UTC",
            ],
            [
                *("4 granite3.3:8b, samples 3, debug-iters 2 20251103-130000-d0e1f2", "16/22", "27.3 [13.2, 48.2]"),
                *("72.7 [51.8, 86.8]", "3 \u00d7 3", "2 as failures: 66.7 [46.7, 82.0]", "262 6,300 in all"),
                *("10.2 246 in all", "2025-11-03 13:00 UTC"),
            ],
        ]

    @pytest.mark.parametrize(("solved", "judged", "run"), [(8, 24, 0), (16, 24, 1), (18, 24, 2), (16, 22, 3)])
    def test_intervals_are_those_of_statsmodels(self, page: Page, solved: int, judged: int, run: int) -> None:
        low, high = proportion_confint(solved, judged, method="wilson")
        told = cells(page.locator("table.runs"))[run][3]
        assert told == f"{100 * solved / judged:.1f} [{100 * low:.1f}, {100 * high:.1f}]"

    def test_samples_are_counted_by_verdict(self, page: Page, truth: Known) -> None:
        told = cells(folded(page, "What the samples came to"))
        expected = [[str(its.samples.get(Verdict(word), 0)) for word in WORDS] for its in truth.truths.values()]
        assert [row[1:] for row in told] == expected

    def test_runs_are_compared_with_the_one_that_is_chosen(self, page: Page, truth: Known) -> None:
        table = page.locator(".pairs:visible table")
        first = cells(table)[0]
        assert first[:9] == [
            "2 granite3.3:8b",
            "24",
            "33.3 → 66.7",
            "+33.3 [+7.5, +54.1]",
            "0.021",
            "0.021",
            "9",
            "1",
            "39.3",
        ]
        assert f"{truth.p_value:.2g}" == "0.021"
        assert [row[-1] for row in cells(table)] == ["better"] * 3
        page.locator("select.baseline").select_option("2 granite3.3:8b")
        assert cells(table)[0][:5] == ["1 granite3.3:2b", "24", "66.7 → 33.3", "-33.3 [-54.1, -7.5]", "0.021"]
        assert cells(table)[1][-1] == "no evidence of a difference"
        told = grid(page)
        assert told["HumanEval/7"][0] == "run 1: solved, gained against run 2"
        assert told["HumanEval/8"][0] == "run 1: unsolved, lost against run 2"

    def test_every_option_and_version_is_told(self, page: Page) -> None:
        told = {name: values for name, *values in cells(folded(page, "Options and provenance"))}
        assert told["samples"] == ["1", "1", "5", "3"]
        assert told["ollama"] == ["0.12.3"] * 4
        assert told["fingerprint"] == [known.FINGERPRINT] * 4

    def test_costs_and_rates_are_charted_with_the_pareto_front(self, page: Page) -> None:
        seconds, tokens = (cells(folded(page, title)) for title in ("Rate against seconds", "Rate against tokens"))
        assert [row[1] for row in seconds] == ["1.2", "2.2", "5.99", "10.2"]
        assert [row[1] for row in tokens] == ["50", "60", "200", "262"]
        for rows in (seconds, tokens):
            assert [row[2].split(" ")[0] for row in rows] == ["33.3", "66.7", "75.0", "72.7"]
            assert ["Pareto front" in row[2] for row in rows] == [True, True, True, False]

    def test_curves_over_samples_and_attempts_are_the_known_ones(self, page: Page, truth: Known) -> None:
        sampled, repaired = truth.truths[truth.sampled], truth.truths[truth.repaired]
        three, four = "3 qwen2.5-coder:7b, samples 5, all-samples", "4 granite3.3:8b, samples 3, debug-iters 2"
        pass_at = {1: 59 / 120, 2: 15 / 24, 3: 165 / 240, 4: 87 / 120, 5: 18 / 24}
        assert {k: pass_at[k] for k in (1, 2, 5)} == {k: sampled.pass_at[k] for k in (1, 2, 5)}
        told = [(name, x, rate.split(" ")[0]) for name, x, rate in cells(folded(page, "More samples"))]
        assert told == [
            *((f"{three}: pass@k", str(k), f"{100 * rate:.1f}") for k, rate in pass_at.items()),
            (f"{four}: pass@k", "1", f"{600 / 22:.1f}"),
            *((f"{four}: solve@budget", str(k), f"{100 * (repaired.within[k, 3] or 0):.1f}") for k in (1, 2, 3)),
        ]
        told = [(name, x, rate.split(" ")[0]) for name, x, rate in cells(folded(page, "More attempts"))]
        assert told == [
            *((f"{four}: first sample", str(a), f"{100 * (repaired.within[1, a] or 0):.1f}") for a in (1, 2, 3)),
            (f"{four}: all samples", "3", f"{1600 / 22:.1f}"),
        ]

    def test_what_is_drawn_is_what_the_tables_say(self, page: Page) -> None:
        draw_charts(page)
        for figure in page.get_by_role("figure").all():
            drawn = figure.locator(".chart").evaluate(
                "box => box.drawing.data.filter(t => t.meta.run).flatMap(t => t.y.map((y, i) => [t.x[i], y,"
                "y - t.error_y.arrayminus[i], y + t.error_y.array[i]]))"
            )
            assert figure.locator(".chart svg path.point").count() == len(drawn)
            told = [(row[1], row[2].removesuffix(" Pareto front")) for row in cells(figure.locator("table"))]
            assert [rate for _, rate in told] == [f"{y:.1f} [{low:.1f}, {high:.1f}]" for _, y, low, high in drawn]
            assert [float(x) for x, _ in told] == pytest.approx([x for x, *_ in drawn], rel=0.01)

    def test_every_task_has_what_it_came_to_in_every_run(self, page: Page) -> None:
        script = [line.split() for line in known.SCRIPT.strip().splitlines()]
        told = grid(page)
        shown = [*TASKS[:-1], ODD.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")]
        assert list(told) == shown
        for task, letters in zip(shown, script, strict=True):
            assert [words.partition(": ")[2].partition(", ")[0] for words in told[task]] == [
                "error" if its in ("e", "-") else "solved" if "p" in its else "unsolved" for its in letters
            ]
        assert told["HumanEval/14"][2:] == [
            "run 3: solved, 2 of 5 samples passed, gained against run 1",
            "run 4: solved, 1 of 3 samples passed, gained against run 1",
        ]
        flips = {task for task, words in told.items() if re.search("gained|lost", words[1])}
        assert flips == {f"HumanEval/{number}" for number in range(7, 17)}

    def test_every_attempt_is_in_the_page_with_all_its_texts(self, page_file: Path, truth: Known) -> None:
        query = (
            "SELECT run_id, task_id, sample, attempt, verdict, prompt, completion, thinking, solution, stdout, stderr,"
            " prompt_tokens, completion_tokens, generation_seconds, execution_seconds, error FROM attempts"
        )
        with closing(sqlite3.connect(truth.path)) as connection:
            recorded = {tuple(None if v == "" else v for v in row) for row in connection.execute(query)}
        runs = (truth.one, truth.better, truth.sampled, truth.repaired)
        packed = re.findall(r'id="details-0-(\d+)">([^<]+)<', page_file.read_text(encoding="utf-8"))
        found = {
            row
            for number, text in packed
            for row in unpacked(json.loads(gzip.decompress(base64.b64decode(text))), runs, TASKS[int(number)])
        }
        assert len(found) == 24 + 24 + 120 + 106
        assert found == recorded


def unpacked(task: dict[str, Any], runs: tuple[str, ...], name: str) -> Iterator[tuple[Any, ...]]:
    """The rows that a block of the page holds."""
    texts = task["texts"]
    for number, attempts in task["runs"].items():
        for its in attempts:
            turns = [{"role": role, "content": texts[text]} for role, text in its.get("turns", [])]
            yield (
                *(runs[int(number) - 1], name, its["sample"], its["attempt"], its["verdict"]),
                json.dumps(turns) if turns else None,
                *(
                    texts[its[text]] if text in its else None
                    for text in ("completion", "thinking", "solution", "stdout", "stderr")
                ),
                *(its.get(word) for word in ("prompt_tokens", "completion_tokens", "generation_seconds")),
                *(its.get(word) for word in ("execution_seconds", "error")),
            )


class TestFinding:
    """Search, filters, order."""

    def shown(self, page: Page) -> list[str]:
        return list(grid(page))

    def test_tasks_are_searched_by_their_id(self, page: Page) -> None:
        page.get_by_label("Search task ids").fill("eval/2")
        assert self.shown(page) == ["HumanEval/2", "HumanEval/20", "HumanEval/21", "HumanEval/22"]
        expect(page.locator("#count")).to_have_text("4 of 24 tasks")
        page.get_by_label("Search task ids").fill("<b>")
        expect(page.locator("#count")).to_have_text("1 of 24 tasks")
        page.get_by_label("Search task ids").fill("nothing")
        expect(page.locator("#matrix")).to_have_text("No task fits these filters.")
        page.get_by_role("button", name="Clear").click()
        expect(page.locator("#count")).to_have_text("24 of 24 tasks")

    @pytest.mark.parametrize(
        ("outcome", "which", "numbers"),
        [
            ("solved", "every run", tuple(range(7))),
            ("unsolved", "every run", (18, 19, 20, 23)),
            ("solved", "run 2 granite3.3:8b", (*range(7), *range(8, 17))),
            ("error", "any run", (21, 22)),
            ("not run", "any run", ()),
            ("timeout", "run 4 granite3.3:8b, samples 3, debug-iters 2", (7, 11, 17, 19)),
            ("no_code", "any run", (9, 13, 19)),
            ("truncated", "every run", (18,)),
        ],
    )
    def test_tasks_are_filtered_by_what_they_came_to(
        self, page: Page, outcome: str, which: str, numbers: tuple[int, ...]
    ) -> None:
        page.locator("#outcome").select_option(outcome)
        page.locator("#which").select_option(which)
        expected = [TASKS[number].replace("\x1b", "\\x1b").replace("\u202e", "\\u202e") for number in numbers]
        assert self.shown(page) == expected

    def test_flips_alone_are_those_that_some_runs_solve_and_some_do_not(self, page: Page) -> None:
        page.get_by_label("Flips only").check()
        assert self.shown(page) == [f"HumanEval/{number}" for number in range(7, 18)]

    def test_the_hardest_come_first_if_asked(self, page: Page) -> None:
        page.locator("#order").select_option("solved least first")
        assert self.shown(page)[:3] == ["HumanEval/18", "HumanEval/19", "HumanEval/20"]

    def test_runs_are_sorted_by_a_column(self, page: Page) -> None:
        head = page.get_by_role("columnheader", name="pass@1")
        head.get_by_role("button").click()
        assert [row[0][0] for row in cells(page.locator("table.runs"))] == ["2", "3", "1", "4"]
        expect(head).to_have_attribute("aria-sort", "descending")
        head.get_by_role("button").click()
        assert [row[0][0] for row in cells(page.locator("table.runs"))] == ["4", "1", "3", "2"]

    def test_each_benchmark_has_its_own_runs_and_tasks(self, opened: Open, two_benchmarks: Path) -> None:
        page = opened(two_benchmarks).page
        expect(page.locator("#count")).to_have_text("24 of 24 tasks")
        page.locator("#group").select_option("mine")
        expect(page.locator("#count")).to_have_text("1200 of 1200 tasks")
        expect(page.get_by_role("heading", name="Runs on mine")).to_be_visible()
        expect(page.get_by_role("heading", name="Runs on humaneval")).to_be_hidden()
        assert len(self.shown(page)) == 1_000
        page.get_by_role("button", name="Show all 1200 tasks").click()
        assert self.shown(page)[-1] == "mine/1199"


class TestAttempts:
    """Drill-down to every attempt."""

    def test_a_cell_opens_all_attempts_of_its_task_and_run(self, page: Page) -> None:
        body = open_task(page, "HumanEval/13", 4)
        expect(page.get_by_role("dialog")).to_have_accessible_name("HumanEval/13")
        expect(page.locator("#task-status")).to_have_text("solved: 1 of 2 samples passed")
        assert body.locator(".attempt > summary").all_inner_texts() == [
            "Sample 0, attempt 0: failed 60 tokens, 2.00 s",
            "Sample 0, attempt 1: failed 60 tokens, 2.00 s",
            "Sample 0, attempt 2: failed 60 tokens, 2.00 s",
            "Sample 1, attempt 0: no_code 60 tokens, 2.00 s",
            "Sample 1, attempt 1: failed 60 tokens, 2.00 s",
            "Sample 1, attempt 2: passed 60 tokens, 2.00 s",
        ]
        passed = body.locator(".attempt").last
        expect(passed.get_by_role("region", name="Solution")).to_have_text(
            'def largest(xs):\n    """Return the largest of xs."""\n    return max(xs)\n'
        )
        expect(passed.get_by_role("region", name="Output")).to_have_text("checked\n")
        expect(passed.locator(".facts")).to_have_text(
            "300 prompt tokens · 60 completion tokens · generated in 2.00 s · ended by stop · executed in 0.125 s · "
            "isolated · exit code 0"
        )
        passed.get_by_text("Thinking").click()
        expect(passed.get_by_role("region", name="Thinking")).to_have_text("The user wants a function.")
        expect(passed.get_by_text("Prompt, turn 5 of 5: user")).to_be_visible()

    def test_code_is_coloured(self, page: Page) -> None:
        body = open_task(page, "HumanEval/13", 2)
        solution = body.get_by_role("region", name="Solution")
        assert solution.locator(".t-keyword").all_inner_texts() == ["def", "return"]
        assert solution.locator(".t-name").all_inner_texts() == ["largest"]
        assert solution.locator(".t-builtin").all_inner_texts() == ["max"]

    def test_one_goes_on_to_other_tasks_and_runs(self, page: Page) -> None:
        page.get_by_label("Flips only").check()
        open_task(page, "HumanEval/7", 2)
        expect(page.get_by_role("button", name="Previous task")).to_be_disabled()
        page.get_by_role("button", name="Next task").click()
        expect(page.locator("#task-title")).to_have_text("HumanEval/8")
        page.locator("#run").select_option("3 qwen2.5-coder:7b, samples 5, all-samples: solved")
        expect(page.locator("#task-body .attempt")).to_have_count(5)
        page.get_by_role("button", name="Close").click()
        expect(page.get_by_role("dialog")).to_be_hidden()

    def test_a_task_without_attempts_says_why(self, page: Page) -> None:
        body = open_task(page, "HumanEval/22", 4)
        expect(body).to_have_text(f"{known.DIED}No attempt is recorded.")
        page.keyboard.press("Escape")
        expect(open_task(page, "HumanEval/21", 4).locator(".note").first).to_have_text(known.NO_SERVER)

    def test_an_address_leads_to_an_attempt(self, opened: Open, page: Page) -> None:
        open_task(page, "HumanEval/9", 3)
        at = "#" + page.url.partition("#")[2]
        again = opened(at=at).page
        expect(again.locator("#task-title")).to_have_text("HumanEval/9")
        expect(again.locator("#run option:checked")).to_have_text("3 qwen2.5-coder:7b, samples 5, all-samples: solved")


class TestHostile:
    """What models, names and data hold is text."""

    def test_what_a_model_wrote_does_nothing(self, opened: Open) -> None:
        watched = opened()
        page = watched.page
        body = open_task(page, HOSTILE_TASK, 4)
        body.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
        first = body.locator(".attempt").first
        spelled = HOSTILE.replace("\x1b", "\\x1b").replace("\x07", "\\x07").replace("\0", "\\x00")
        for name in ("Completion", "Thinking", "Solution", "Output", "Errors of the program"):
            assert first.get_by_role("region", name=name).text_content() == spelled
        assert page.locator("img, iframe, object, embed, #task-body script, #task-body style").count() == 0
        page.wait_for_timeout(200)
        assert page.title() == "mCode: humaneval"
        assert watched.misdeeds == []

    def test_names_and_titles_do_nothing(self, opened: Open, two_benchmarks: Path) -> None:
        page = opened(two_benchmarks).page
        page.locator("#group").select_option("mine")
        draw_charts(page)
        assert page.title() == " ".join(SHOWN.split())
        expect(page.get_by_role("heading", level=1)).to_have_text(SHOWN)
        assert cells(page.locator("table.runs").last)[0][0] == f"1 {SHOWN} 20251104-100000-ffffff"
        assert page.locator("img").count() == 0
        assert page.locator(".chart:visible .legendtext").first.text_content() == f"1 {EVIL}"[:29] + "…"

    def test_an_odd_task_id_is_a_task_like_any_other(self, page: Page) -> None:
        shown = ODD.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
        open_task(page, shown, 1)
        expect(page.locator("#task-title")).to_have_text(shown)

    def test_a_script_or_a_request_that_got_in_would_be_refused(self, chromium: Browser, page_file: Path) -> None:
        watched = browser.opened(chromium, page_file)
        page = watched.page
        page.evaluate("document.body.insertAdjacentHTML('beforeend', '<b onclick=\"document.title = 1\" id=bad>b</b>')")
        page.evaluate("document.getElementById('bad').click()")
        page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {text: 'document.title=2'}))"
        )
        page.evaluate("fetch('http://127.0.0.1:9/').catch(() => 0)")
        page.evaluate("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/'}))")
        page.wait_for_timeout(200)
        assert page.title() == "mCode: humaneval"
        assert len(watched.complaints) >= 4
        assert all("Content Security Policy" in said for said in watched.complaints)
        page.context.close()


class TestUse:
    """Keyboard, screen readers, windows, colours, paper."""

    def test_the_keyboard_is_enough(self, page: Page) -> None:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the runs")).to_be_focused()
        page.get_by_role("button", name="Clear").focus()
        for _ in range(3):  # the grid is one stop, after the box that scrolls it
            page.keyboard.press("Tab")
            if page.locator("#matrix th:focus").count():
                break
        expect(page.get_by_role("rowheader", name="HumanEval/0", exact=True)).to_be_focused()
        for key in ("ArrowDown", "ArrowDown", "ArrowRight", "End", "ArrowLeft", "ArrowUp"):
            page.keyboard.press(key)
        cell = page.locator("#matrix tbody tr").nth(1).locator("td").nth(2)
        expect(cell).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#task-title")).to_have_text("HumanEval/1")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(cell).to_be_focused()

    def test_a_screen_reader_hears_what_is_there(self, page: Page) -> None:
        page.get_by_label("Search task ids").fill("Eval/7")
        expect(page.locator("body")).to_match_aria_snapshot("""
            - link "Skip to the runs"
            - banner:
              - 'heading "mCode: humaneval" [level=1]'
              - combobox "Colours"
            - main:
              - region "Runs on humaneval":
                - heading "Runs on humaneval" [level=2]
              - region "Is one really better?"
              - region "Cost and budget":
                - figure "Rate against seconds"
                - figure "Rate against tokens"
                - figure "More samples"
                - figure "More attempts"
              - region "Tasks and runs":
                - search "Filter tasks":
                  - searchbox "Search task ids"
                  - combobox "Outcome"
                  - combobox "In run"
                  - combobox "Order"
                  - checkbox "Flips only"
                  - button "Clear"
                - status: 1 of 24 tasks
                - grid "Tasks and runs":
                  - rowgroup:
                    - row:
                      - columnheader "task"
                      - columnheader /granite3.3:2b/
                      - columnheader /2/
                      - columnheader /3/
                      - columnheader /4/
                  - rowgroup:
                    - row:
                      - rowheader "HumanEval/7"
                      - 'gridcell "run 1: solved"'
                      - 'gridcell "run 2: unsolved, lost against run 1"'
                      - 'gridcell "run 3: solved, 4 of 5 samples passed"'
                      - 'gridcell "run 4: solved"'
        """)

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_every_text_stands_out_from_what_is_behind_it(self, opened: Open, scheme: browser.Scheme) -> None:
        page = opened(scheme=scheme).page
        draw_charts(page)
        page.locator("main details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
        assert faint(page) == []
        open_task(page, "HumanEval/14", 4)
        page.locator("#task-body details").evaluate_all("all => all.forEach(details => details.open = true)")
        assert faint(page) == []

    @pytest.mark.parametrize("width", [320, 768, 2560])
    def test_the_page_fits_the_window(self, opened: Open, width: int) -> None:
        page = opened(width=width, height=700).page
        draw_charts(page)
        across = "[document.documentElement.scrollWidth, innerWidth]"
        assert page.evaluate(across) == [width, width]
        assert page.locator(".chart svg.main-svg").first.evaluate("svg => svg.getBoundingClientRect().right") <= width
        open_task(page, "HumanEval/14", 1)
        assert page.evaluate(across) == [width, width]
        assert page.locator("#task-body").evaluate("body => body.scrollWidth <= body.clientWidth")

    def test_colours_are_the_systems_until_others_are_chosen(self, opened: Open) -> None:
        page = opened(scheme="dark").page
        draw_charts(page)
        paper = "getComputedStyle(document.body).backgroundColor"
        ink = "getComputedStyle(document.querySelector('.chart .xtick text')).fill"
        dark = page.evaluate(paper), page.evaluate(ink)
        page.locator("#theme").select_option("light")
        assert page.evaluate(paper) == "rgb(255, 255, 255)"
        page.wait_for_timeout(500)
        assert dark[0] != page.evaluate(paper)
        assert dark[1] != page.evaluate(ink)

    def test_paper_is_light_and_has_all_of_the_matrix(self, opened: Open) -> None:
        page = opened(scheme="dark").page
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        expect(page.locator("#theme")).to_be_hidden()
        assert page.locator("#matrix").evaluate("box => box.scrollHeight <= box.clientHeight")


#: Texts whose contrast is below WCAG's 4.5, with the nearest colour behind them that is opaque.
FAINT = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (text) => {
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = rgb(text).slice(0, 3).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if ((rgb(colour)[3] ?? 1) === 1) return colour;
    }
  };
  const texts = [...document.querySelectorAll("body *")].filter((element) =>
    element.checkVisibility() && !element.closest("script, option, :disabled, svg defs") &&
    [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()));
  return texts.map((element) => {
    const style = getComputedStyle(element);
    const ink = element instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(ink), light(behind(element))].sort((x, y) => y - x);
    return [element.textContent.slice(0, 40), ink, behind(element), (a + 0.05) / (b + 0.05)];
  }).filter(([, , , contrast]) => contrast < 4.5);
}"""


def faint(page: Page) -> list[list[Any]]:
    found: list[list[Any]] = page.evaluate(FAINT)
    return found


class TestCommand:
    """What is asked for, and where it goes."""

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def test_it_says_what_it_wrote(self, truth: Known, tmp_path: Path) -> None:
        done = mcode("--db", truth.path)
        assert re.fullmatch(r"mcode-report\.html: 4 runs, \d\.\d MB\n", done.output)
        assert [path.name for path in tmp_path.iterdir()] == ["mcode-report.html"]

    def test_runs_come_in_the_order_in_which_they_are_named(self, truth: Known) -> None:
        mcode("--db", truth.path, "last", "20251103-11", "last", "--out", "two.html")
        ids = re.findall(r'class="id">([^<]+)<', Path("two.html").read_text(encoding="utf-8"))
        assert ids == [truth.repaired, truth.better]

    def test_filters_choose_runs(self, truth: Known) -> None:
        mcode("--db", truth.path, "--model", "granite3.3:8b", "--title", "Eight <i>billion</i>")
        text = Path("mcode-report.html").read_text(encoding="utf-8")
        assert re.findall(r'class="id">([^<]+)<', text) == [truth.better, truth.repaired]
        assert "<h1>Eight &lt;i&gt;billion&lt;/i&gt;</h1>" in text

    def test_a_dash_is_standard_output(self, truth: Known, tmp_path: Path) -> None:
        done = mcode("--db", truth.path, "--out", "-")
        assert done.stdout.startswith('<!doctype html>\n<html lang="en">')
        assert done.stdout.endswith("</html>\n")
        assert list(tmp_path.iterdir()) == []

    def test_a_report_is_replaced_and_nothing_else_is(self, truth: Known) -> None:
        words = ("--db", truth.path, "--out", "page.html")
        assert [mcode(*words).exit_code, mcode(*words).exit_code] == [0, 0]
        Path("page.html").write_text("my notes")
        done = mcode(*words)
        assert (done.exit_code, done.stderr) == (
            4,
            "ERROR: page.html is no report of mCode's: name another file, or replace it with --force.\n",
        )
        assert Path("page.html").read_text() == "my notes"
        assert mcode(*words, "--force").exit_code == 0

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (("--out", "."), ". is a directory: name a file in it."),
            (("--out", "no/page.html"), "There is no directory no: make it first, or name another file."),
            (("--out", "-", "--open"), "--open needs a file: leave out '--out -'."),
            (("nothing",), "There is no run nothing in "),
            (("20251103",), "Several runs begin with 20251103: "),
            (("20251103-10", "--model", "granite3.3:8b"), "No run of model 'granite3.3:8b' with id 20251103-10 in "),
        ],
    )
    def test_what_cannot_be_is_told_in_a_sentence(
        self, truth: Known, tmp_path: Path, words: tuple[str, ...], sentence: str
    ) -> None:
        done = mcode("--db", truth.path, *words)
        assert done.exit_code == 4
        assert done.stderr.startswith(f"ERROR: {sentence}")
        assert done.stdout == ""
        assert list(tmp_path.iterdir()) == []

    def test_a_page_that_cannot_be_finished_leaves_the_old_one(self, truth: Known, tmp_path: Path) -> None:
        database = tmp_path / "cut.db"
        database.write_bytes(Path(truth.path).read_bytes())
        assert mcode("--db", str(database)).exit_code == 0
        before = Path("mcode-report.html").read_bytes()
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("ALTER TABLE attempts RENAME COLUMN thinking TO thought")
        done = mcode("--db", str(database))
        assert done.exit_code == 4
        assert done.stderr.startswith(f"ERROR: The results database {database} cannot be used (no such column: ")
        assert Path("mcode-report.html").read_bytes() == before
        assert not Path("mcode-report.html.unfinished").exists()

    def test_it_is_opened_in_the_browser_of_the_user(
        self, truth: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        script = tmp_path / "browser"
        script.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
        script.chmod(0o755)
        monkeypatch.setenv("BROWSER", f"{script} %s")
        assert mcode("--db", truth.path, "--open").exit_code == 0
        assert (tmp_path / "opened").read_text() == f"file://{tmp_path}/mcode-report.html\n"

    def test_without_a_browser_the_page_is_there_all_the_same(
        self, truth: Known, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BROWSER", f"{os.devnull} %s")
        monkeypatch.setattr("webbrowser._tryorder", [])
        done = mcode("--db", truth.path, "--open")
        assert (done.exit_code, Path("mcode-report.html").is_file()) == (4, True)
        assert "There is no browser to open mcode-report.html with" in done.stderr


CODE = '''class A(B):
    """A docstring with def, '' and "quotes",

    of several lines with a 😀."""

    def f(self, x: int = 0x10) -> str:  # why
        text = f"{x!r} is {self.name}" + r'\\d' + \\
            'é' * 3
        if x is not None and not isinstance(x, (int, float)):
            raise ValueError("no # comment")
        return """a
        b""" + text

@decorated
async def g(): ...
'''


def test_code_is_coloured_as_pygments_does() -> None:
    marks = re.findall(r"([a-z-])(\d+)", Packer().marks(CODE))
    units = CODE.encode("utf-16-le")
    assert sum(int(length) for _, length in marks) * 2 == len(units)
    letters = "".join(letter * int(length) for letter, length in marks)
    told = list(PythonLexer().get_tokens_unprocessed(CODE))
    kinds = {Token.Keyword: "k", Token.Comment: "c", Token.String: "s", Token.Number: "n", Token.Name.Decorator: "d"}
    for at, kind, text in told:
        start = len(CODE[:at].encode("utf-16-le")) // 2
        for known_kind, letter in kinds.items():
            if kind[: len(known_kind)] == known_kind:
                assert set(letters[start : start + len(text)]) == {letter}, text


def test_a_patch_is_coloured_as_one() -> None:
    assert Packer().marks("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n") == "x7-1i7-1d11-1x4-1i4-1"


def test_tasks_are_read_a_few_at_a_time() -> None:
    assert list(batches([("a", 3), ("b", 3), ("c", 9), ("d", 1)], most=6)) == [["a", "b"], ["c"], ["d"]]


def test_task_ids_are_ordered_as_people_do() -> None:
    ids = ["t/10", "t/9", "t/010", "s", "t/9b", "9", "t/" + "1" * 5_000]
    assert sorted(ids, key=in_order) == ["9", "s", "t/9", "t/9b", "t/10", "t/010", "t/" + "1" * 5_000]


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(1, 0.5), (2, 0.5), (3, 0.9)], [0, 2]),
        ([(1, 0.5), (1, 0.5)], [0, 1]),
        ([(2, 0.9), (1, 0.9), (1, 0.8)], [1]),
        ([], []),
    ],
)
def test_the_front_has_the_runs_that_none_beats(points: list[tuple[float, float]], front: list[int]) -> None:
    assert pareto(points) == front
