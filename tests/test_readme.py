"""What the documents show is what happens: commands run in order, output is compared, tables are what the code says.

A console block is a dialogue: ``$ command``, then its output, if that is shown. In an output, ``…`` stands for what
differs from run to run, within a line or, alone on one, for any number of lines. A block after a line that ends in
"`name`:" is a file of that name.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from benchmarks.test_smoke import TASKS
from pytest_mcode import collect
from pytest_mcode._option import Option
from pytest_mcode._tables import METADATA
from pytest_mcode.settings import GROUPS, OPTIONS
from pytest_mcode.store import Store
from tests.standin import Reply, Request, StandIn

ROOT = Path(__file__).parents[1]
PAGES = (*(path.name for path in ROOT.glob("*.md")), *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
#: Commands that take the network, or another machine, and show no output.
NOT_RUN = ("docker pull ", "ollama ", "pip install ", "uv ", ".ci/run", "mcode bench swebench")
#: Stands on the pages for a database of PostgreSQL.
ADDRESS = "postgresql://db/mcode"
#: The longest page of docs/, in lines.
LINES = 150

#: Which tasks of smoke the stand-in's model solves: with its first sample, with its second, with its third.
SOLVED = (range(14), range(14, 16), range(16, 17))
SILENT, CUT = 17, 18


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the name of the file that it is, if it is one."""

    language: str
    text: str
    file: str


@dataclass(frozen=True)
class Command:
    """A command of a console block, and the output that is shown; None if none is."""

    text: str
    output: str | None


def blocks(page: str) -> Iterator[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    for found in re.finditer(r"(?P<before>[^\n]*)\n+```(?P<language>\w*)\n(?P<text>.*?)```\n", text, re.DOTALL):
        name = re.search(r"`([\w./-]+)`:$", found["before"])
        yield Block(found["language"], found["text"], name[1] if name else "")


def commands(block: Block) -> Iterator[Command]:
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        text, _, output = part.partition("\n")
        yield Command(text, output.strip("\n") or None)


def pattern(output: str) -> str:
    """A regular expression for an output in which … stands for anything."""
    lines = [".*?".join(map(re.escape, re.split("… *", line))) + "\n" for line in plain(output).splitlines()]
    return "".join("(?:.*\n)*?" if line == ".*?\n" else line for line in lines)


def plain(output: str) -> str:
    """The output without what the width of the terminal makes of it."""
    lines = [re.sub("={3,}", "===", line.rstrip()) for line in output.strip("\n").splitlines()]
    return "\n".join([*lines, ""])


def model(request: Request) -> Reply:
    """Solves some tasks at once, some with more samples, and some never."""
    asked = request.messages[0].content
    number, task = next(((n, t) for n, t in enumerate(TASKS) if t.prompt.strip() in asked), (len(TASKS), TASKS[0]))
    text = "```python\nwrong = True\n```"
    if any(number in solved for solved in SOLVED[: 1 + (request.options.seed or 0)]):
        text = f"```python\n{task.reference}\n```"
    elif number == SILENT:
        text = "I am sorry, but I would rather not write that."
    return Reply(text, prompt_tokens=200, completion_tokens=100, finish="length" if number == CUT else "stop")


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with StandIn(model) as running:
        yield running


@pytest.fixture
def environment(server: StandIn, tmp_path: Path) -> dict[str, str]:
    """That of a user: no settings of this session's, but a model server, and this interpreter's commands first."""
    ours = "MCODE_|PYTEST|HF_|GITHUB_|CI$|COLUMNS$"
    kept = {name: value for name, value in os.environ.items() if not re.match(ours, name)}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OLLAMA_HOST": server.url,
        "OPENAI_BASE_URL": server.openai_url,
        "MCODE_CACHE_DIR": str(tmp_path / "cache"),
    }


@pytest.fixture
def humaneval(tmp_path: Path) -> Path:
    """A data set of HumanEval's form with four tasks, so that no network is needed."""
    rows = [
        {
            "task_id": f"HumanEval/{number}",
            "prompt": task.prompt,
            "canonical_solution": task.reference.removeprefix(task.prompt),
            "test": task.tests.rpartition("\n\ncheck(")[0],
            "entry_point": task.entry_point,
        }
        for number, task in enumerate(TASKS[:4])
    ]
    path = tmp_path / "humaneval.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def as_run(command: str) -> str:
    """The command that a call of make comes to, also where make runs these tests."""
    if not command.startswith("make "):
        return command
    words = [*shlex.split(command), "--dry-run"]
    outside = {name: value for name, value in os.environ.items() if not re.match("MAKE|MFLAGS$|ARGS$", name)}
    done = subprocess.run(words, cwd=ROOT, env=outside, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].replace(".venv/bin/", "")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_what_happens(
    page: str, environment: Mapping[str, str], humaneval: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place = tmp_path / "here"
    place.mkdir()
    more: dict[str, str] = {}
    if needs_docker(page):
        more["MCODE_IMAGE"] = request.getfixturevalue("docker_image")
    shown = [*blocks(page)]
    if any(ADDRESS in block.text for block in shown if block.language == "console"):
        url: str = request.getfixturevalue("postgresql").new()
        shown = [replace(block, text=block.text.replace(ADDRESS, url)) for block in shown]
    for block in shown:
        if block.file:
            (place / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            data = {"MCODE_DATA": str(humaneval)} if "humaneval" in block.text else {}
            converse(block, place, {**environment, **more, **data})


def needs_docker(page: str) -> bool:
    runs = [
        c.text for block in blocks(page) for c in commands(block) if re.match(r"mcode bench|pytest --mcode", c.text)
    ]
    return any("process" not in run for run in runs)


def converse(block: Block, place: Path, environment: Mapping[str, str]) -> None:
    """Run the commands of a block, and compare."""
    status = 0
    told = list(commands(block))
    for command, after in zip(told, [*told[1:], None], strict=True):
        script = as_run(command.text)
        if command.text.startswith(NOT_RUN) or (command.text.startswith("make ") and command.output is None):
            assert command.output is None, f"{command.text} is not run: show no output of it"
            continue
        words = ["sh", "-c", f"exec 2>&1; (exit {status}); {script}"]
        done = subprocess.run(words, cwd=place, env=environment, stdout=subprocess.PIPE, text=True, check=False)
        status = done.returncode
        seen = f"$ {command.text}\n{done.stdout}"
        assert status == 0 or (after and "$?" in after.text), seen
        if command.output is not None and not re.fullmatch(pattern(command.output), plain(done.stdout)):
            pytest.fail(f"{seen}\nThe page has:\n{command.output}", pytrace=False)


@pytest.mark.parametrize("page", PAGES)
def test_every_piece_of_python_or_json_on_a_page_is_whole(page: str) -> None:
    for block in blocks(page):
        if block.language == "python":
            ast.parse(block.text)
        elif block.language == "json" and not block.file.endswith(".jsonl"):
            json.loads(block.text)


@pytest.mark.parametrize("page", PAGES)
def test_every_query_on_a_page_fits_the_tables(page: str, tmp_path: Path) -> None:
    Store(str(tmp_path / "empty.db")).close()
    connection = sqlite3.connect(tmp_path / "empty.db")
    for block in blocks(page):
        if block.language == "sql":
            connection.execute(block.text)
    connection.close()


@pytest.mark.parametrize("page", PAGES)
def test_every_link_within_the_project_leads_somewhere(page: str) -> None:
    text = re.sub("```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, heading = target.partition("#")
        if "://" in target:
            continue
        found = (ROOT / page).parent / path if path else ROOT / page
        assert found.exists(), target
        assert not heading or heading in headings(found), target


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    found = re.findall("^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/")])
def test_a_page_is_read_at_one_sitting(page: str) -> None:
    assert len((ROOT / page).read_text(encoding="utf-8").splitlines()) < LINES


def table(page: str, heading: str) -> list[list[str]]:
    """The rows of the table below a heading, without its head."""
    section = (ROOT / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def described(option: Option) -> list[str]:
    """An option's row in docs/options.md."""
    metavar = "" if option.is_switch else f" {option.metavar}"
    shown = f"{option.default:g}" if option.kind == "float" and option.default else option.default
    default = "" if shown in (None, "", ()) or option.is_switch else f"`{shown}`"
    return [f"`{option.flag}{metavar}`", default, option.help.replace("|", "\\|"), "yes" if option.answers else ""]


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_is_documented_as_it_is_declared(group: str) -> None:
    assert table("docs/options.md", group.capitalize()) == [described(o) for o in OPTIONS if o.group == group]


def test_every_variable_that_is_read_is_documented() -> None:
    source = (ROOT / "pytest_mcode" / "options.py").read_text(encoding="utf-8")
    read = set(re.findall(r"os\.environ(?:\.get\(|\.setdefault\(|\[)\"(\w+)\"", source))
    assert {row[0].strip("`") for row in table("docs/options.md", "Other variables")} == read


@pytest.mark.parametrize("name", METADATA.tables)
def test_every_column_is_documented(name: str) -> None:
    columns = METADATA.tables[name].columns
    told = [row[:2] for row in table("docs/database.md", f"Table `{name}`")]
    assert told == [[f"`{column.name}`", str(column.type).lower()] for column in columns]


def test_every_packaged_benchmark_is_documented() -> None:
    assert sorted(row[0].strip("`") for row in table("docs/benchmarks.md", "Packaged")) == sorted(collect.packaged())
