"""The Markdown summary for a CI job's page, and the page of the documents that shows a whole job."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt
from scipy.stats import binom, binomtest, multinomial

from pytest_mcode.paired import compared
from pytest_mcode.report.job import Against, Gate, Judged, escaped, markdown
from tests import test_readme
from tests.standin import StandIn
from tests.test_bad_input import ACTING
from tests.test_plugin import MINE
from tests.test_summary import RUN, figures
from tests.test_thresholds import shown

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</details></td>",
    "![x](http://evil/x.png)",
    "[click](javascript:alert(1))",
    "https://evil.example/x",
    "www.evil.example",
    "a | b | c",
    "**bold** _slanted_ `code` ~~gone~~",
    "\\| \\",
    "# heading",
    "two\n\n## lines",
    "&lt;b&gt; &#60;",
    "$x$",
)


def parsed(text: str) -> tuple[list[str], list[str]]:
    """What GitHub makes of Markdown, as far as this reader knows: the kinds of its tokens, and its texts."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    flat = [*tokens, *(child for token in tokens for child in token.children or ())]
    return [token.type for token in flat], [token.content for token in flat if token.type == "inline"]


def rendered(text: str) -> str:
    """A table of one cell as its reader sees it."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(f"| x |\n| --- |\n| {text} |\n")
    cells = [token for token in tokens if token.type == "inline"]
    assert len(cells) == 2
    assert {child.type for child in cells[1].children or ()} <= {"text", "text_special"}
    return "".join(child.content for child in cells[1].children or ())


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_shown_as_it_is_and_does_nothing(text: str) -> None:
    assert rendered(escaped(text)) == " ".join(text.split())


def test_an_address_is_no_link_where_bare_ones_are() -> None:
    assert escaped("https://evil.example/x www.evil.example") == "https\\://evil.example/x www\\.evil.example"


def test_a_text_without_end_is_cut() -> None:
    assert escaped("x" * 10_000) == "x" * 300 + " …"


GATES = (
    Gate("--mcode-fail-under 80%", "solved 2 of 3 tasks judged", passed=False),
    Gate("--mcode-max-errors 0", "none", passed=True),
)


def test_it_has_gates_figures_flips_and_errors() -> None:
    found = figures("p", "f", "p", "e")
    before = figures("p", "p", "f", "p").tasks
    run = dataclasses.replace(RUN, id="old")
    against = Against(run, ["samples (2, now 1)"], compared(before, found.tasks))
    text = markdown(Judged(found, GATES, against, "r.db", 61.5))
    for line in (
        "## mCode: humaneval, granite3.3:8b (ollama)",
        "**1 of 2 gates missed.**",
        "| missed | --mcode-fail-under 80% | solved 2 of 3 tasks judged |",
        "| solved | 2 of 3 tasks judged |",
        "| errors | 1 |",
        "| tokens | 12,000 prompt, 3,456 completion |",
        "### Against old, granite3.3:8b (ollama)",
        "The baseline differs in samples (2, now 1).",
        "| tasks judged by both | 3 |",
        "<summary>1 task lost</summary>",
        "| t/1 |",
        "<summary>1 task gained</summary>",
        "| t/2 |",
        "### Errors",
        "| 1 | t/3 | No server. |",
    ):
        assert line in text.splitlines(), text
    assert re.search(r"[^\n]\n$", text)


def test_nothing_hostile_anywhere_in_it_acts() -> None:
    name = "\n".join(HOSTILE) + ACTING[:-2]
    found = figures("f", "p")
    tasks = [record._replace(task_id=name + record.task_id) for record in found.tasks]
    before = [record._replace(task_id=name + record.task_id) for record in figures("p", "f").tasks]
    run = dataclasses.replace(RUN, id=name, benchmark=name, model=name, backend=name)
    hostile = dataclasses.replace(found, run=run, tasks=tuple(tasks), faults=dict.fromkeys(HOSTILE, name))
    against = Against(run, [name], compared(before, tasks))
    gate = Gate(name, name, passed=False)
    kinds, texts = parsed(markdown(Judged(hostile, [gate], against, name, 1.0)))
    assert {"html_inline", "link_open", "image", "em_open", "code_inline", "s_open"}.isdisjoint(kinds)
    assert kinds.count("heading_open") == 3
    assert kinds.count("strong_open") == 1
    ours = ("<details>", "<summary>1 task lost</summary>", "<summary>1 task gained</summary>", "</details>")
    assert kinds.count("html_block") == len(ours)
    assert texts


def test_thousands_of_tasks_stay_below_what_github_takes() -> None:
    found = figures(*"f" * 3000, "p")
    tasks = [record._replace(task_id=f"{'<' * 300}{record.task_id}") for record in found.tasks]
    before = [record._replace(verdicts="p") for record in tasks]
    faults = {f"{record.task_id}": f"{'|' * 400} {number}" for number, record in enumerate(tasks)}
    hostile = dataclasses.replace(found, tasks=tuple(tasks), faults=faults)
    text = markdown(Judged(hostile, (), Against(RUN, (), compared(before, tasks)), "r.db", 1.0))
    assert len(text.encode()) < 2**20
    assert "and 2900 more" in text


class TestWhereItIsWritten:
    """``--mcode-summary``, and the file that GITHUB_STEP_SUMMARY names."""

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("MCODE_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
        monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
        Path("test_mine.py").write_text(MINE)

    def run(self, *arguments: str, **variables: str) -> tuple[int, str]:
        ask = ("mine,lost", "test_mine.py", "--model=reference", "--sandbox=process", "--db=r.db")
        command = [sys.executable, "-m", "pytest_mcode", "bench", *ask, *arguments]
        environment = {**os.environ, **variables}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_both_have_every_run_of_the_session_in_the_spelling_of_its_command(self) -> None:
        Path("page.md").write_text("before\n")
        Path("job.md").write_text("an older one")
        status, said = self.run("--summary=job.md", "--fail-under=0.5", "-n2", GITHUB_STEP_SUMMARY="page.md")
        assert status == 1
        assert "mcode: wrote a summary to job.md" in said
        text = Path("job.md").read_text()
        assert re.findall("^## .*$", text, re.MULTILINE) == [
            "## mCode: mine, reference solutions",
            "## mCode: lost, reference solutions",
        ]
        assert "| missed | --max-errors 0 | 1 of 3 tasks met an error |" in text
        assert Path("page.md").read_text() == f"before\n{text}"

    def test_the_page_of_the_job_needs_no_option(self) -> None:
        assert self.run("--max-errors=1", GITHUB_STEP_SUMMARY="page.md")[0] == 0
        assert "All gates passed." in Path("page.md").read_text()

    def test_one_that_cannot_be_written_at_the_end_changes_no_figure(self) -> None:
        Path("page.md").mkdir()
        status, said = self.run("--max-errors=1", GITHUB_STEP_SUMMARY="page.md")
        assert status == 0
        assert "mcode: no summary could be written to page.md (Is a directory)" in said

    @pytest.mark.parametrize(
        ("name", "why"), [("none/x.md", "there is no directory none"), (".", "it is no file"), ("/dev/stdout", "it is")]
    )
    def test_one_that_could_never_be_written_is_refused_before_anything_is_run(self, name: str, why: str) -> None:
        status, said = self.run(f"--summary={name}")
        assert status == 4
        assert f"ERROR: The summary {name} cannot be written ({why}" in said
        assert "--summary." in said
        assert not Path("r.db").exists()


class TestThePage:
    """docs/ci.md."""

    PAGE = "docs/ci.md"

    @pytest.fixture
    def server(self) -> Iterator[StandIn]:
        with StandIn(test_readme.model, models=("granite3.3:8b",), library=("granite3.3:2b",)) as running:
            yield running

    def test_the_workflow_does_what_it_says(self, server: StandIn, tmp_path: Path, docker_image: str) -> None:
        (block,) = [block for block in test_readme.blocks(self.PAGE) if block.language == "yaml"]
        (job,) = yaml.safe_load(block.text)["jobs"].values()
        assert all(("run" in step) != ("uses" in step) for step in job["steps"])
        words = [step["run"] for step in job["steps"] if step.get("run", "").startswith("mcode ")]
        assert len(words) == 2
        kept = {name: value for name, value in os.environ.items() if not re.match("MCODE_|PYTEST|CI$", name)}
        environment = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "OLLAMA_HOST": server.url,
            "MCODE_IMAGE": docker_image,
            "GITHUB_STEP_SUMMARY": str(tmp_path / "page.md"),
        }
        for word in words:
            done = subprocess.run(
                ["bash", "-e", "-c", word], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
        text = (tmp_path / "page.md").read_text()
        assert text.count("\n## mCode: ") + text.startswith("## mCode: ") == 2
        assert "| passed | --baseline present --max-regression 5 | +0.0 points " in text
        assert server.log.pulls == ["granite3.3:2b"]
        (upload,) = [step["with"]["path"] for step in job["steps"] if "upload" in step.get("uses", "")]
        assert (tmp_path / upload).is_file()

    @pytest.mark.parametrize("row", test_readme.table("docs/ci.md", "When a gate errs"), ids=lambda row: str(row[0]))
    def test_the_gates_err_as_often_as_it_says(self, row: list[str]) -> None:
        n = int(row[0])
        lows = [binomtest(k, n).proportion_ci(method="wilson").low for k in range(n + 1)]
        shares = {
            "missed at 70 %": sum(binom.pmf(k, n, 0.7) for k in range(n + 1) if k / n < 0.6),
            "passed at 50 %": sum(binom.pmf(k, n, 0.5) for k in range(n + 1) if k / n >= 0.6),
            "missed by the lower end at 70 %": sum(binom.pmf(k, n, 0.7) for k in range(n + 1) if lows[k] < 0.6),
            "passed by it at 60 %": sum(binom.pmf(k, n, 0.6) for k in range(n + 1) if lows[k] >= 0.6),
        }
        assert row[1:5] == [f"{100 * share:.1f} %" for share in shares.values()], shares
        assert row[5] == f"{100 * smallest(n):.1f} points"


def smallest(n: int) -> float:
    """The loss, in steps of half a point, that is shown in 80 % of the runs where 20 % of the tasks flip, or more."""
    border, least = [], 0
    for gained in range(n // 8):  # more are hardly ever gained; the more are, the more have to be lost
        least = next((lost for lost in range(least, n - gained + 1) if shown(n, gained, lost, 0.0)), n)
        border.append((gained, least))
    region = [(gained, lost, n - gained - lost) for gained, least in border for lost in range(least, n - gained + 1)]
    steps = (step / 200 for step in range(1, 200))
    unseen = takewhile(lambda loss: power(region, n, loss) < 0.8, steps)
    return (sum(1 for _ in unseen) + 1) / 200


def power(region: list[tuple[int, int, int]], n: int, loss: float) -> float:
    flips = max(0.2, loss)
    return float(multinomial.pmf(region, n, [(flips - loss) / 2, (flips + loss) / 2, 1 - flips]).sum())
