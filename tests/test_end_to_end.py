"""All of HumanEval through the real clients, xdist, sandboxes and database: every row is what the script implies."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_mcode._types import Task
from pytest_mcode.forms import stub_task
from tests.standin import Fault, Reply, StandIn, faulty, status
from tests.standin.script import Request

SAMPLES, ATTEMPTS = 3, 2
BROKEN = "```python\ndef f(:\n```"
ENDLESS = "```python\nwhile True:\n    pass\n```"
WRONG = "```python\nx = 1\n```"
REFUSAL = "I am sorry, but I would rather not write that."
CUT = "To solve this we first have to think about"

#: What the model does at each attempt of each sample, by the task's number modulo 10; the last sample repeats.
PLANS: tuple[tuple[tuple[str, ...], ...], ...] = (
    (("passed",),),
    (("wrong", "passed"),),
    (("wrong", "wrong"), ("passed",)),
    (("wrong", "wrong"), ("broken", "wrong"), ("wrong", "passed")),
    (("wrong", "broken"),),
    (("broken", "passed"),),
    (("endless", "passed"),),
    (("refusal", "cut"), ("passed",)),
    (("fault", "passed"),),
    (("cut", "refusal"),),
)
VERDICTS = {
    "passed": "passed",
    "wrong": "failed",
    "broken": "failed",
    "endless": "timeout",
    "refusal": "no_code",
    "cut": "truncated",
    "fault": "failed",
}


def plan(number: int, sample: int) -> tuple[str, ...]:
    samples = PLANS[number % len(PLANS)]
    return samples[min(sample, len(samples) - 1)]


@dataclass(frozen=True)
class Script:
    """Answers as the plans say, with token counts by which each answer can be told."""

    tasks: Mapping[str, tuple[int, Task]]

    def __call__(self, request: Request) -> Reply:
        asked = request.messages[0].content
        number, task = next(found for prompt, found in self.tasks.items() if prompt in asked)
        sample = request.options.seed or 0
        return self.reply(plan(number, sample)[request.attempt], number, sample, request, task)

    def reply(self, kind: str, number: int, sample: int, request: Request, task: Task) -> Reply:
        if kind == "fault" and request.number == 1:  # a passing one: the next try is answered
            return (status(500), faulty(Fault.EMPTY), status(503))[number % 3]
        texts = {
            "passed": f"Here you are:\n\n```python\n{task.reference}\n```\nIt runs in linear time.",
            "wrong": WRONG,
            "fault": WRONG,
            "broken": BROKEN,
            "endless": ENDLESS,
            "refusal": REFUSAL,
            "cut": CUT,
        }
        return Reply(
            texts[kind],
            prompt_tokens=1000 + number,
            completion_tokens=10 * sample + request.attempt + 1,
            finish="length" if kind == "cut" else "stop",
            seconds=0.2 if number % 7 == 0 else 0.0,
        )


def expected(tasks: list[Task]) -> tuple[list[tuple[object, ...]], ...]:
    """The rows of results, samples and attempts, in order."""
    results: list[tuple[object, ...]] = []
    samples: list[tuple[object, ...]] = []
    attempts: list[tuple[object, ...]] = []
    for number, task in enumerate(tasks):
        solved: tuple[int, int] | None = None
        for sample in range(SAMPLES):
            kinds = plan(number, sample)
            for attempt, kind in enumerate(kinds):
                tries = 2 if kind == "fault" else 1
                tokens = (1000 + number, 10 * sample + attempt + 1)
                attempts.append((task.id, sample, attempt, VERDICTS[kind], *tokens, tries))
            samples.append((task.id, sample, sample, VERDICTS[kinds[-1]]))
            if kinds[-1] == "passed":
                solved = sample, len(kinds) - 1
                break
        results.append((task.id, "solved" if solved else "unsolved", *(solved or (None, None)), ""))
    return sorted(results), sorted(samples), sorted(attempts)


def recorded(database: Path, *queries: str) -> tuple[list[tuple[object, ...]], ...]:
    connection = sqlite3.connect(database)
    try:
        return tuple(sorted(connection.execute(query).fetchall()) for query in queries)
    finally:
        connection.close()


@pytest.fixture
def tasks(shared_data: Path) -> list[Task]:
    import gzip

    with gzip.open(shared_data / "HumanEval.jsonl.gz", "rt") as lines:
        return [stub_task(json.loads(line)) for line in lines]


@pytest.mark.parametrize("backend", ["ollama", "openai"])
def test_every_row_is_what_the_script_implies(
    backend: str, tasks: list[Task], shared_data: Path, tmp_path: Path
) -> None:
    script = Script({task.prompt.strip(): (number, task) for number, task in enumerate(tasks)})
    data = shared_data / "HumanEval.jsonl.gz"
    command = [sys.executable, "-m", "pytest", "--mcode-bench=humaneval", "--mcode-model=granite3.3:8b", "-n4"]
    command += [f"--mcode-data={data}", f"--mcode-backend={backend}", "--mcode-sandbox=process", "--mcode-timeout=2"]
    command += [f"--mcode-samples={SAMPLES}", f"--mcode-debug-iters={ATTEMPTS - 1}", "--mcode-db=r.db"]
    command += ["--junitxml=out.xml", "--json-report", "--json-report-file=out.json"]
    with StandIn(script) as server:
        places = {"OLLAMA_HOST": server.url, "OPENAI_BASE_URL": server.openai_url}
        environment = {**os.environ, **places, "MCODE_CACHE_DIR": str(tmp_path / "cache")}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert server.log.pulls == []
    assert done.returncode == 0, done.stdout + done.stderr

    results, samples, attempts = expected(tasks)
    found = recorded(
        tmp_path / "r.db",
        "select task_id, status, solved_sample, solved_attempt, error from results",
        "select task_id, sample, seed, status from samples",
        "select task_id, sample, attempt, verdict, prompt_tokens, completion_tokens, generation_tries from attempts",
    )
    assert found[0] == results
    assert found[1] == samples
    assert found[2] == attempts
    ((planned, finished),) = recorded(tmp_path / "r.db", "select planned, finished_at is not null from runs")[0]
    assert (planned, finished) == (len(tasks), 1)
    reports_agree(tmp_path, {str(row[0]): str(row[1]) for row in results})
    solved = sum(row[1] == "solved" for row in results)
    assert f"solved        {solved}/{len(tasks)}\n" in done.stdout


def reports_agree(place: Path, statuses: Mapping[str, str]) -> None:
    """The JUnit file and the JSON report say of each task what the database says."""
    suite = ET.parse(place / "out.xml").getroot()[0]
    failed = {case.get("name"): case.find("failure") is not None for case in suite.iter("testcase")}
    assert failed == {f"test_humaneval[{task}]": status == "unsolved" for task, status in statuses.items()}
    assert suite.get("errors") == "0"
    report = json.loads((place / "out.json").read_text())
    outcomes = {test["nodeid"].partition("[")[2][:-1]: test["outcome"] for test in report["tests"]}
    assert outcomes == {task: "passed" if status == "solved" else status for task, status in statuses.items()}
    assert report["exitcode"] == 0
