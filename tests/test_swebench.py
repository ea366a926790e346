"""Issues of repositories through the real engine and the real swebench, with images that are built here."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_mcode.repositories.issue import Issue
from tests import instances
from tests.standin import Answer, Call, Reply, StandIn, fixed

MODEL = "granite3.3:8b"
RIGHT = "    return a + b"


@dataclass(frozen=True)
class Toy:
    """A data set of one instance whose image is there."""

    data: Path
    row: dict[str, Any]


@pytest.fixture(scope="module")
def toy(docker_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:  # noqa: ARG001 - an engine
    place = tmp_path_factory.mktemp("toy")
    image = f"mcode-test/sweb.eval.x86_64.toy_1776_calc-{os.getpid()}:latest"
    row = instances.toy(place, image)
    instances.base_image()
    instances.build(place, row)
    yield Toy(instances.written([row], place / "toy.jsonl"), row)
    removed(image)


def removed(*images: str) -> None:
    """Remove images that a test has built."""
    import docker

    client = docker.from_env()
    try:
        for image in images:
            client.images.remove(image, force=True)
    finally:
        client.close()


@dataclass(frozen=True)
class Run:
    """What a session said and recorded."""

    status: int
    said: str
    attempts: list[dict[str, Any]]
    database: Path

    @property
    def verdicts(self) -> list[str]:
        return [attempt["verdict"] for attempt in self.attempts]

    @property
    def kinds(self) -> list[str]:
        """The first word of each attempt's ``stderr``."""
        return [(attempt["stderr"] or "").partition(":")[0] for attempt in self.attempts]


def run(place: Path, data: Path, *flags: str, url: str = "") -> Run:
    place.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--mcode-bench=swebench-lite"]
    command += [f"--mcode-data={data}", "--mcode-db=r.db", "--mcode-namespace=", *flags]
    environment = {
        **os.environ,
        "MCODE_CACHE_DIR": str(place / "cache"),
        "OLLAMA_HOST": url,
        "OPENAI_BASE_URL": f"{url}/v1",
    }
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    return Run(done.returncode, done.stdout + done.stderr, recorded(place / "r.db"), place / "r.db")


def recorded(database: Path) -> list[dict[str, Any]]:
    if not database.exists():
        return []
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute("select * from attempts order by task_id, sample, attempt")]
    finally:
        connection.close()


def asked(place: Path, toy: Toy, answer: Answer, *flags: str) -> Run:
    """A run with a model that answers so."""
    with StandIn(answer) as server:
        found = run(place, toy.data, f"--mcode-model={MODEL}", *flags, url=server.url)
        assert server.log.errors == []
    return found


def block(path: str, old: str, new: str) -> str:
    return f"{path}\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


def test_the_gold_patch_is_resolved_and_leaves_its_logs_beside_the_database(toy: Toy, tmp_path: Path) -> None:
    found = run(tmp_path, toy.data, "--mcode-agent=gold")
    assert (found.status, found.verdicts, found.kinds) == (0, ["passed"], ["resolved"])
    assert "mcode: gold agent" in found.said
    place = tmp_path / found.attempts[0]["stderr"].partition("log: ")[2]
    assert place.parent.parent == tmp_path / "r.db.logs"
    assert (place / "patch.diff").read_text() == toy.row["patch"]
    assert "PASSED tests/test_calc.py::test_add" in (place / "test_output.txt").read_text()
    assert json.loads((place / "report.json").read_text())["swebench"]["resolved"] is True


def test_without_a_patch_nothing_is_resolved(toy: Toy, tmp_path: Path) -> None:
    found = run(tmp_path, toy.data, "--mcode-agent=empty")
    assert (found.status, found.verdicts, found.kinds) == (0, ["failed"], ["unresolved"])
    assert "1 of the tests that were to pass failed: tests/test_calc.py::test_add." in found.attempts[0]["stderr"]


FENCED = """\
```python
<<<<<<< SEARCH
  return a - b
=======
  return a + b
>>>>>>> REPLACE
```
"""
COUNTED = """\
```diff
--- a/calc.py
+++ b/calc.py
@@ -1,99 +1,3 @@
 def add(a, b):
     \"\"\"Return the sum of two numbers.\"\"\"
-    return a - b
+    return a + b
```
"""
BARE = """\
Change it like this:

--- calc.py
+++ calc.py
@@ ... @@
def add(a, b):
    \"\"\"Return the sum of two numbers.\"\"\"
-    return a - b
+    return a + b
"""
ENVELOPE = """\
*** Begin Patch
*** Update File: calc.py
@@ def add(a, b):
-    return a - b
+    return a + b
*** End Patch
"""
SLOPPY = {
    "a block": block("calc.py", "    return a - b", RIGHT),
    "a fenced block without its path, indented otherwise": FENCED,
    "a diff with wrong counts": COUNTED,
    "a diff without prefixes, numbers and blanks": BARE,
    "an envelope": ENVELOPE,
}


PRINTING = '''"""Sums and products."""

import atexit

atexit.register(lambda: print("PASSED tests/test_calc.py::test_add"))'''
MARKING = """\
    print('>>>>> End Test Output')
    print('>>>>> Test Exit Code: 0')
    return a - b"""
WRONG = {
    "another sum": (block("calc.py", "    return a - b", "    return b - a"), "failed", "unresolved"),
    "prose": ("Just add the numbers instead of subtracting them.", "no_code", "no_patch"),
    "lines that are not there": (block("calc.py", "    return x ** y", RIGHT), "failed", "does_not_apply"),
    "a file that is not there, with lines that only one has": (
        block("sums.py", "    return a - b", RIGHT),
        "passed",
        "resolved",
    ),
    "tests alone": (
        block("tests/test_calc.py", "    assert calc.mul(2, 3) == 6", "    pass"),
        "no_code",
        "no_patch",
    ),
    "what only says that it passed": (block("calc.py", '"""Sums and products."""', PRINTING), "failed", "broken_tests"),
    "marks of the script": (block("calc.py", "    return a - b", MARKING), "failed", "forged"),
    "a syntax error": (block("calc.py", "    return a - b", "    return (a + b"), "failed", "unresolved"),
}


RESOLVED = {kind: (text, "passed", "resolved") for kind, text in SLOPPY.items()}
KINDS = {kind: (number, *told) for number, (kind, told) in enumerate((RESOLVED | WRONG).items(), 1)}


@pytest.fixture(scope="module")
def judged(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, dict[str, Any]]:
    """The attempt at one instance for each kind of answer, of one run."""
    place = tmp_path_factory.mktemp("kinds")
    rows = [
        {**toy.row, "instance_id": f"toy__calc-{number}", "problem_statement": f"Answer {number}.\n"}
        for number, *_ in KINDS.values()
    ]
    texts = {f"Answer {number}.\n": text for number, text, *_ in KINDS.values()}

    def answer(request: Any) -> Reply:
        return Reply(next(text for said, text in texts.items() if said in request.text))

    with StandIn(answer) as server:
        data = instances.written(rows, place / "kinds.jsonl")
        found = run(place, data, f"--mcode-model={MODEL}", url=server.url)
    assert found.status == 0, found.said
    numbers = {f"toy__calc-{number}": kind for kind, (number, *_) in KINDS.items()}
    return {numbers[attempt["task_id"]]: attempt for attempt in found.attempts}


@pytest.mark.parametrize("kind", KINDS)
def test_each_answer_comes_to_what_it_is(judged: Mapping[str, dict[str, Any]], kind: str) -> None:
    _, _, verdict, word = KINDS[kind]
    attempt = judged[kind]
    assert (attempt["verdict"], attempt["stderr"].partition(":")[0]) == (verdict, word), attempt["stderr"]


def test_the_solution_is_a_patch_of_git_s_form(judged: Mapping[str, dict[str, Any]]) -> None:
    for kind in SLOPPY:
        assert judged[kind]["solution"] == (
            "diff --git a/calc.py b/calc.py\n--- a/calc.py\n+++ b/calc.py\n@@ -3,7 +3,7 @@\n \n def add(a, b):\n"
            '     """Return the sum of two numbers."""\n-    return a - b\n+    return a + b\n \n \n def mul(a, b):\n'
        )


def test_an_endless_patch_is_a_timeout_of_the_model(toy: Toy, tmp_path: Path) -> None:
    endless = block("calc.py", "    return a - b", "    while True:\n        pass")
    found = asked(tmp_path, toy, fixed(endless), "--mcode-eval-timeout=5")
    assert (found.status, found.verdicts, found.kinds) == (0, ["timeout"], ["timed_out"])
    assert found.attempts[0]["execution_seconds"] < 20


def test_the_debug_loop_tells_what_a_developer_sees_and_no_hidden_test(toy: Toy, tmp_path: Path) -> None:
    answers = [
        "I would add them.",
        block("calc.py", "    return x - y", RIGHT),
        block("calc.py", "    return a - b", "    return (a + b"),
        block("calc.py", "    return a * b", "    return a + b"),
        block("calc.py", "    return a - b", RIGHT),
    ]
    seen: list[str] = []

    def answer(request: Any) -> Reply:
        seen.append(request.messages[-1].content)
        return Reply(answers[request.attempt])

    found = asked(tmp_path, toy, answer, "--mcode-debug-iters=5")
    assert found.verdicts == ["no_code", "failed", "failed", "failed", "passed"]
    assert found.kinds == ["no_patch", "does_not_apply", "does_not_parse", "breaks_tests", "resolved"]
    assert "The reply holds no edit that changes a file." in seen[1]
    assert "calc.py does not have the lines to be replaced ('return x - y')" in seen[2]
    assert "calc.py, line 6: '(' was never closed" in seen[3]
    assert "passed before, and fail now: tests/test_calc.py::test_mul" in seen[4]
    assert not any("test_add" in told for told in seen)


def test_a_wrong_patch_that_breaks_nothing_ends_the_loop(toy: Toy, tmp_path: Path) -> None:
    wrong = block("calc.py", "    return a - b", "    return b - a")
    found = asked(tmp_path, toy, fixed(wrong), "--mcode-debug-iters=3")
    assert (found.verdicts, found.kinds) == (["failed"], ["unresolved"])


def test_the_oracle_is_marked_wherever_the_run_is_shown(toy: Toy, tmp_path: Path) -> None:
    found = asked(tmp_path, toy, fixed(SLOPPY["a block"]), "--mcode-retrieval=oracle")
    assert found.said.count("oracle retrieval: shown the files of the gold patch") == 2
    table = subprocess.run(
        [sys.executable, "-m", "pytest_mcode", "results", "--db", "r.db"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "granite3.3:8b (oracle)" in table.stdout


@pytest.mark.parametrize(("retrieval", "shown"), [("bm25", ["calc.py"]), ("oracle", ["calc.py"]), ("none", [])])
def test_the_prompt_shows_the_files_that_were_chosen_and_no_test(
    toy: Toy, tmp_path: Path, retrieval: str, shown: list[str]
) -> None:
    found = asked(tmp_path, toy, fixed("no"), f"--mcode-retrieval={retrieval}")
    prompt = json.loads(found.attempts[0]["prompt"])[0]["content"]
    assert instances.STATEMENT.strip() in prompt
    assert ("\ncalc.py\n```python\n" in prompt) == bool(shown)
    assert "test_calc" not in prompt


def course(*steps: Call) -> Callable[[Any], Reply]:
    """Calls one tool after the other, whatever it is told."""
    left = iter(steps)
    return lambda _: Reply(calls=(next(left),))


GOOD = (
    Call("list_files", {}),
    Call("search", {"pattern": "def add"}),
    Call("read_file", {"path": "calc.py"}),
    Call("edit_file", {"path": "calc.py", "old": "    return a - b", "new": RIGHT}),
    Call("run", {"command": "python -m pytest -q tests; python -c 'import calc; print(calc.add(2, 3))'"}),
    Call("show_diff", {}),
    Call("final_answer", {"answer": "add adds now"}),
)


@pytest.mark.parametrize("backend", ["ollama", "openai"])
def test_the_react_agent_works_in_the_container_and_its_course_is_kept(toy: Toy, tmp_path: Path, backend: str) -> None:
    found = asked(tmp_path, toy, course(*GOOD), "--mcode-agent=react", f"--mcode-backend={backend}")
    assert (found.status, found.verdicts, found.kinds) == (0, ["passed"], ["resolved"]), found.said
    (attempt,) = found.attempts
    assert attempt["completion"] == "add adds now"
    turns = json.loads(attempt["prompt"])
    told = [turn["content"] for turn in turns if turn["role"] == "tool"]
    assert told[0].splitlines() == [
        "calc.py",
        "shapes/__init__.py",
        "shapes/area.py",
        "tests/test_calc.py",
        "text/words.py",
    ]
    assert told[1] == "calc.py:4:def add(a, b):"
    assert "    6 |     return a - b" in told[2]
    assert told[3] == "calc.py is changed."
    assert told[4].endswith("1 passed in 0.01s\n5\nExit code 0.") or "\n5\nExit code 0." in told[4]
    assert "+    return a + b" in told[5]
    assert attempt["solution"].count("diff --git") == 1
    assert "react agent" in found.said


def test_the_react_agent_cannot_edit_tests_into_passing(toy: Toy, tmp_path: Path) -> None:
    steps = (
        Call("edit_file", {"path": "tests/test_calc.py", "old": "== 6", "new": "== 7"}),
        Call(
            "run",
            {"command": "echo 'def test_add(): pass' > tests/test_calc.py; echo x > conftest.py; git commit -qam x"},
        ),
        Call("final_answer", {"answer": "done"}),
    )
    found = asked(tmp_path, toy, course(*steps), "--mcode-agent=react")
    assert (found.verdicts, found.kinds) == (["no_code"], ["no_patch"])
    told = [turn["content"] for turn in json.loads(found.attempts[0]["prompt"]) if turn["role"] == "tool"]
    assert told[0] == "tests/test_calc.py is a test, and tests stay as they are."


@pytest.mark.parametrize(
    ("flag", "spent"), [("max-steps=3", "steps"), ("agent-tokens=1", "tokens"), ("agent-seconds=8", "seconds")]
)
def test_a_budget_ends_the_react_agent_and_what_it_changed_is_judged(
    toy: Toy, tmp_path: Path, flag: str, spent: str
) -> None:
    edit = Call("edit_file", {"path": "calc.py", "old": "    return a - b", "new": RIGHT})

    def answer(request: Any) -> Reply:
        done = sum(turn.role == "tool" for turn in request.messages)
        return Reply(calls=(edit if not done else Call("show_diff", {}),), prompt_tokens=50, seconds=1.5)

    found = asked(tmp_path, toy, answer, "--mcode-agent=react", f"--mcode-{flag}")
    assert (found.verdicts, found.attempts[0]["finish_reason"]) == (["passed"], spent)


def test_a_model_server_that_fails_an_agent_is_an_error(toy: Toy, tmp_path: Path) -> None:
    from tests.standin import status

    found = asked(tmp_path, toy, lambda _: status(400), "--mcode-agent=react")
    assert (found.status, found.verdicts) == (1, ["error"])
    assert "The model server failed" in found.attempts[0]["error"]


def test_an_image_that_is_not_there_is_an_error_with_a_next_step(toy: Toy, tmp_path: Path) -> None:
    row = {**toy.row, "instance_id": "toy__calc-2", "image": "mcode-test/sweb.eval.x86_64.none:latest"}
    found = run(tmp_path, instances.written([toy.row, row], tmp_path / "two.jsonl"), "--mcode-agent=gold")
    assert (found.status, found.verdicts) == (1, ["passed"])
    assert "The engine has no image for instance toy__calc-2" in found.said
    assert "2 images, 1 to be fetched" in found.said


def test_a_gold_patch_that_fails_is_an_error(toy: Toy, tmp_path: Path) -> None:
    row = {**toy.row, "patch": toy.row["patch"].replace("a + b", "a * b")}
    found = run(tmp_path, instances.written([row], tmp_path / "bad.jsonl"), "--mcode-agent=gold")
    assert (found.status, found.verdicts) == (1, ["error"])
    assert "The gold patch of toy__calc-1 is not judged resolved (unresolved: " in found.said


def test_only_the_instances_that_were_named_are_run(toy: Toy, tmp_path: Path) -> None:
    rows = [{**toy.row, "instance_id": f"toy__calc-{number}"} for number in range(1, 5)]
    data = instances.written(rows, tmp_path / "four.jsonl")
    found = run(tmp_path, data, "--mcode-agent=gold", "--mcode-instance=toy__calc-3,toy__calc-2", "-n2")
    assert (found.status, [attempt["task_id"] for attempt in found.attempts]) == (0, ["toy__calc-2", "toy__calc-3"])
    found = run(tmp_path / "b", data, "--mcode-agent=gold", "--mcode-instance=toy__calk-3")
    assert found.status == 4
    assert "There is no task 'toy__calk-3'" in found.said
    assert "did you mean 'toy__calc-3'?" in found.said


def test_too_little_room_is_told_before_anything_is_spent(toy: Toy, tmp_path: Path) -> None:
    row = {**toy.row, "image": "mcode-test/sweb.eval.x86_64.none:latest"}
    data = instances.written([row], tmp_path / "none.jsonl")
    found = run(tmp_path, data, "--mcode-agent=gold", "--mcode-disk-floor=900000")
    assert (found.status, found.attempts) == (4, [])
    assert "are to stay free: make room, add --mcode-prune" in found.said


def test_a_missing_engine_is_one_sentence(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    found = run(tmp_path, toy.data, "--mcode-agent=gold")
    assert found.status == 4
    assert "No Docker engine answers" in found.said
    assert "Traceback" not in found.said


def test_gold_and_empty_ask_no_model(toy: Toy, tmp_path: Path) -> None:
    found = run(tmp_path, toy.data, "--mcode-agent=gold", f"--mcode-model={MODEL}")
    assert found.status == 4
    assert "--mcode-agent=gold asks no model: leave --mcode-model out." in found.said


def test_no_container_is_left(toy: Toy, tmp_path: Path) -> None:
    run(tmp_path, toy.data, "--mcode-agent=gold")
    assert containers(toy.row["image"]) == []


@pytest.fixture(scope="module")
def real(docker_image: str, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:  # noqa: ARG001
    """Rows of Lite, word for word, over PyPI's releases of three repositories."""
    instances.base_image()
    with (shared_data / "swebench-lite.jsonl").open() as lines:
        rows = {row["instance_id"]: row for row in map(json.loads, lines)}
    downloads = tmp_path_factory.mktemp("downloads")
    for found in instances.REAL:
        place = tmp_path_factory.mktemp("real")
        try:
            instances.real(place, found, rows[found.id], downloads)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"data: {found.release} cannot be had from PyPI ({error.stderr[-200:]!r})")
        instances.build(place, rows[found.id])
    chosen = [rows[found.id] for found in instances.REAL]
    yield instances.written(chosen, downloads / "real.jsonl")
    removed(*(row["image"] for row in chosen))


REAL_BLOCK = """\
--- src/_pytest/assertion/rewrite.py
+++ src/_pytest/assertion/rewrite.py
@@ -676,7 +676,7 @@
                 expect_docstring
                 and isinstance(item, ast.Expr)
                 and isinstance(item.value, ast.Constant)
+                and isinstance(item.value.value, str)
             ):
"""


def test_real_instances_are_judged_as_published(real: Path, tmp_path: Path) -> None:
    gold = run(tmp_path, real, "--mcode-agent=gold")
    assert (gold.status, gold.kinds) == (0, ["resolved"] * 3), gold.said
    empty = run(tmp_path / "empty", real, "--mcode-agent=empty")
    assert (empty.status, empty.kinds) == (0, ["unresolved"] * 3), empty.said


def test_a_model_s_edits_of_real_repositories_are_judged(real: Path, tmp_path: Path) -> None:
    def answer(request: Any) -> Reply:
        if "rewrite" in request.text and "docstring" in request.text:
            return Reply(REAL_BLOCK)
        if "__slots__" in request.text:
            return Reply(block("sympy/core/_print_helpers.py", "class Printable:", "class Printable(object):"))
        return Reply("I do not know.")

    with StandIn(answer) as server:
        found = run(tmp_path, real, f"--mcode-model={MODEL}", "--mcode-retrieval=oracle", url=server.url)
    assert {a["task_id"]: k for a, k in zip(found.attempts, found.kinds, strict=True)} == {
        "pallets__flask-5063": "no_patch",
        "pytest-dev__pytest-11143": "resolved",
        "sympy__sympy-20590": "unresolved",
    }, found.said


def test_a_prediction_is_judged_as_it_is(toy: Toy, tmp_path: Path) -> None:
    from pytest_mcode._types import Completion, Verdict
    from pytest_mcode.forms import issue_task
    from pytest_mcode.repositories.place import Place
    from pytest_mcode.settings import Settings
    from pytest_mcode.settle import Work, judge_patch

    task = issue_task({**toy.row, "task_id": toy.row["instance_id"]})

    async def judged(patch: str) -> tuple[Verdict, str]:
        place = Place(Settings(db=str(tmp_path / "r.db"), namespace=""))
        try:
            async with place.ready(Issue.of(task)) as ready:
                attempt = (await judge_patch(Work(task, ready, place.settings), 0, Completion(patch))).attempt
        finally:
            await place.aclose()
        assert attempt.execution is not None
        return attempt.verdict, attempt.execution.stderr.partition(":")[0]

    patch = toy.row["patch"]
    assert asyncio.run(judged(patch)) == (Verdict.PASSED, "resolved")
    assert asyncio.run(judged(patch.replace("return a - b", "return x"))) == (Verdict.FAILED, "does_not_apply")
    assert asyncio.run(judged("")) == (Verdict.NO_CODE, "no_patch")


@pytest.mark.parametrize("agent", ["oneshot", "react"])
def test_ctrl_c_ends_a_run_soon_and_leaves_no_container(toy: Toy, tmp_path: Path, agent: str) -> None:
    endless = Reply(block("calc.py", "    return a - b", "    while True:\n        pass"))
    sleeping = Reply(calls=(Call("run", {"command": "sleep 150"}),))
    command = [sys.executable, "-m", "pytest", "--mcode-bench=swebench-lite", f"--mcode-data={toy.data}"]
    command += [f"--mcode-agent={agent}", f"--mcode-model={MODEL}", "--mcode-namespace=", "--mcode-db=r.db"]
    with StandIn(lambda _: endless if agent == "oneshot" else sleeping) as server:
        environment = {**os.environ, "MCODE_CACHE_DIR": str(tmp_path / "cache"), "OLLAMA_HOST": server.url}
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                until(lambda: server.log.exchanges and containers(toy.row["image"]))
                time.sleep(2)
                process.send_signal(signal.SIGINT)
                said = process.communicate(timeout=30)[0]
            finally:
                process.kill()
    assert process.returncode == 2
    assert "KeyboardInterrupt" in said
    assert containers(toy.row["image"]) == []


def containers(image: str) -> list[str | None]:
    """The containers of an image, whether they run or not."""
    import docker

    client = docker.from_env()
    try:
        found = client.containers.list(all=True, sparse=True)  # another may vanish while it is asked for
        return [c.id for c in found if c.attrs["Image"] == image]
    finally:
        client.close()


def until(true: Callable[[], object]) -> None:
    for _ in range(300):
        if true():
            return
        time.sleep(0.2)
    pytest.fail("it did not come to that within a minute")
