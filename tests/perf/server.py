"""What a whole command costs beside a bare client that sends the same requests in the same run.

python -m tests.perf.server ../shared/data/HumanEval.jsonl.gz [--rounds 3] [--only NAME] [--python PATH]
python -m tests.perf.server ../shared/data/mbpp.jsonl --benchmark mbpp --only "at once"

The stand-in server, in a process of its own, answers each task with its reference solution after a given time, so many
at once. Contestants run in turn: the bare client, ``mcode bench`` in one process, and with ``-n 2``. Name with
``--python`` an environment as its users have it: pytest loads every plugin that is installed, and those that mCode's
developers have take a third of a second more.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.test_humaneval import test_humaneval
from benchmarks.test_mbpp import test_mbpp
from pytest_mcode._types import Task
from pytest_mcode.collect import declared
from pytest_mcode.prompts import evalplus
from pytest_mcode.settings import Settings
from tests.perf.pairs import Timed
from tests.standin import standin_process

MODEL = "granite3.3:8b"
BENCHMARKS = {"humaneval": test_humaneval, "mbpp": test_mbpp}
SCRIPT = """
import hashlib, json
from pathlib import Path
from tests.standin import Reply

ANSWERS = json.loads(Path({answers!r}).read_text())

def answer(request):
    prompt = request.messages[0].content
    number = int(hashlib.sha256(prompt.encode()).hexdigest(), 16)
    return Reply(ANSWERS[prompt], seconds={seconds})
"""


@dataclass(frozen=True)
class Load:
    """A server: how many it answers at once, and after how many seconds (an expression in ``number``)."""

    name: str
    slots: int
    seconds: str


LOADS = (
    Load("8 slots, 0.5 s", 8, "0.5"),
    Load("32 slots, 2 s", 32, "2.0"),
    Load("8 slots, 5 % take 4 s", 8, "4.0 if number % 20 == 0 else 0.3"),
    Load("64 slots, at once", 64, "0.0"),
)


@dataclass(frozen=True)
class Cost:
    """A whole command: wall and CPU seconds, and the largest process's memory in MB."""

    wall: float
    cpu: float
    memory: float


def measured(command: list[str], place: Path, environment: dict[str, str], given: str = "") -> Cost:
    """Run a command and account for it and all of its children."""
    with tempfile.TemporaryFile("w+") as asked, tempfile.TemporaryFile("w+") as told:
        asked.write(given)
        asked.seek(0)
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=place, env=environment, stdin=asked, stdout=told, stderr=told)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        told.seek(0)
        assert status == 0, told.read()
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000)


class Arena:
    """One load, its contestants, and a directory for what they write."""

    def __init__(self, load: Load, url: str, place: Path, prompts: list[str], chosen: argparse.Namespace) -> None:
        self._url, self._place = url, place
        self._environment = {**os.environ, "OLLAMA_HOST": url, "MCODE_CACHE_DIR": str(place / "cache")}
        self._bench = [chosen.python, "-m", "pytest_mcode", "bench", chosen.benchmark, "--model", MODEL]
        self._bench += ["--sandbox", "process", "--data", str(chosen.data.resolve()), "--db", str(place / "r.db"), "-q"]
        self._bare = [sys.executable, "-m", "tests.perf.bare", url, MODEL, str(load.slots)]
        self._prompts, self._slots = "\n".join(map(json.dumps, prompts)), load.slots

    def contestants(self) -> dict[str, Callable[[], Cost]]:
        """By name, the bare client first."""
        one, half = ["--concurrency", str(self._slots)], ["--concurrency", str(max(1, self._slots // 2)), "-n2"]
        root = Path(__file__).parents[2]
        return {
            "bare client": lambda: measured(self._bare, root, self._environment, self._prompts),
            "mcode, one process": lambda: measured([*self._bench, *one], self._place, self._environment),
            "mcode, -n 2": lambda: measured([*self._bench, *half], self._place, self._environment),
        }


def run(load: Load, tasks: list[Task], chosen: argparse.Namespace) -> None:
    """Measure one load and print its table."""
    prompts = [evalplus(task).messages[0].content for task in tasks]
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        answers = {prompt: f"```python\n{task.reference}\n```" for prompt, task in zip(prompts, tasks, strict=True)}
        (place / "answers.json").write_text(json.dumps(answers))
        script = place / "script.py"
        script.write_text(SCRIPT.format(answers=str(place / "answers.json"), seconds=load.seconds))
        with standin_process(script, "--slots", str(load.slots), seconds=900) as served:
            found: dict[str, list[Cost]] = {}
            for number in range(chosen.rounds + 1):
                for who, contest in Arena(load, served.url, place, prompts, chosen).contestants().items():
                    cost = contest()
                    if number:  # the first round warms caches
                        found.setdefault(who, []).append(cost)
    show(load, found, len(tasks))


def show(load: Load, found: dict[str, list[Cost]], tasks: int) -> None:
    """Print a table of medians and ratios."""
    table = Table(load.name, "wall s", "ratio to bare", "CPU ms a task", "MB", title_justify="left")
    bare = Timed("bare", tuple(cost.wall for cost in found["bare client"]))
    for who, costs in found.items():
        wall = Timed(who, tuple(cost.wall for cost in costs))
        cpu = Timed(who, tuple(cost.cpu for cost in costs)).median
        memory = max(cost.memory for cost in costs)
        table.add_row(
            who, f"{wall.median:.2f}", f"{wall.ratio(bare):.2f}", f"{1000 * cpu / tasks:.1f}", f"{memory:.0f}"
        )
    Console().print(table)


def published(name: str, data: Path) -> list[Task]:
    """All tasks of a published set."""
    benchmark = declared(BENCHMARKS[name])
    assert benchmark is not None
    with tempfile.TemporaryDirectory() as cache:
        opened = benchmark.tasks.open(replace(Settings(), data=str(data)), Path(cache))
        return [opened.task(index) for index in range(len(opened.ids))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="HumanEval.jsonl.gz, or mbpp.jsonl")
    parser.add_argument("--benchmark", default="humaneval", choices=list(BENCHMARKS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="part of a load's name")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the commands; default: this one")
    chosen = parser.parse_args()
    tasks = published(chosen.benchmark, chosen.data)
    for load in LOADS:
        if chosen.only in load.name:
            run(load, tasks, chosen)


if __name__ == "__main__":
    main()
