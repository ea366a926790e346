"""How long ``mcode results`` takes over a million attempts, as a whole command beside the packages it imports.

python -m tests.perf.results DIRECTORY [--rounds 5] [--attempts 1000000]

The database is made in the directory unless it is there (some minutes, 4 GB): runs of 500 tasks, up to ten samples of
up to two attempts, every other run with all samples drawn, each task recorded by `Store.put`. Contestants run in turn.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from pytest_mcode._types import Attempt, Completion, Execution, Message, Sample, TaskResult, Verdict
from pytest_mcode.store import Run, Store
from tests.perf.pairs import in_turn, show

TASKS, SAMPLES = 500, 10
BENCHMARKS = ("humaneval", "mbpp", "mbpp-sanitized", "mine")
MODELS = ("granite3.3:2b", "granite3.3:8b", "qwen2.5-coder:7b", "qwen3:4b", "gemma3:4b")
#: Of first attempts that do not pass. Faults are rare: a run with many would be run again.
FAILURES = (Verdict.FAILED, Verdict.TIMEOUT, Verdict.TRUNCATED, Verdict.NO_CODE, Verdict.ERROR)
WEIGHTS = (900, 40, 30, 25, 1)
FLOOR = "import sqlalchemy, click, rich.console, rich.table"
#: What an interval takes besides.
STATISTICS = f"{FLOOR}, numpy, scipy.stats, scipy.optimize"


class Maker:
    """Makes results that are as long and as varied as those of small models, the same ones every time."""

    def __init__(self) -> None:
        self._chance = random.Random(0)
        words = [f"{self._chance.choice('abcdefgh')}{n} = {n * n}" for n in range(2000)]
        self._source = "\n    ".join(words)

    def run(self, number: int) -> Run:
        """Run ``number``: the benchmarks and models take turns, and every other run draws all samples."""
        config = {"samples": SAMPLES, "debug-iters": 1, "all-samples": number % 2 == 0}
        benchmark, model = BENCHMARKS[number % len(BENCHMARKS)], MODELS[number // 2 % len(MODELS)]
        day = f"2025-{1 + number // 28 % 12:02}-{1 + number % 28:02}"
        return Run(
            id=f"{day.replace('-', '')}-120000-{number:06x}",
            benchmark=benchmark,
            model=model,
            backend="ollama",
            config=config,
            config_hash=f"{number % 2:012x}",
            dataset_fingerprint="f" * 64,
            planned=TASKS,
            started_at=f"{day}T12:00:00.000+00:00",
            finished_at=f"{day}T13:00:00.000+00:00",
            versions={"python": "3.12.1", "mellea": "0.8.0"},
        )

    def task(self, run: Run, number: int) -> TaskResult:
        """The result of task ``number``, whose samples pass with a chance of its own."""
        solvable = self._chance.betavariate(0.4, 0.8)
        samples: list[Sample] = []
        for index in range(SAMPLES):
            samples.append(Sample(index, index, tuple(self._attempts(solvable))))
            if not run.config["all-samples"] and samples[-1].status in (Verdict.PASSED, Verdict.ERROR):
                break
        return TaskResult(f"{run.benchmark}/{number}", tuple(samples), self._chance.uniform(1, 60))

    def _attempts(self, solvable: float) -> Iterator[Attempt]:
        for index in range(2):
            passes = self._chance.random() < solvable
            verdict = Verdict.PASSED if passes else self._chance.choices(FAILURES, WEIGHTS)[0]
            yield self._attempt(index, verdict)
            if verdict in (Verdict.PASSED, Verdict.ERROR):
                return

    def _attempt(self, index: int, verdict: Verdict) -> Attempt:
        prompt = (Message("user", self._text(500)),)
        solution, seconds = self._text(700), self._chance.uniform(0.5, 8)
        completion = Completion(f"```python\n{solution}\n```\n{self._text(300)}", "", prompt, 150, 320, "stop", seconds)
        if verdict is Verdict.ERROR:
            return Attempt(
                index, verdict, error="The model server at http://localhost:11434 did not answer: try again."
            )
        if verdict is Verdict.NO_CODE:
            return Attempt(index, verdict, completion)
        passed = verdict is Verdict.PASSED
        stderr = "" if passed else self._text(200)
        spent = self._chance.uniform(0.01, 0.2)
        return Attempt(index, verdict, completion, solution, Execution(passed=passed, stderr=stderr, seconds=spent))

    def _text(self, length: int) -> str:
        start = self._chance.randrange(len(self._source) - length)
        return self._source[start : start + length]


def make(path: Path, attempts: int) -> None:
    """Record runs until there are so many attempts; under another name, until all are there."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    store, maker, made, number = Store(str(unfinished)), Maker(), 0, 0
    while made < attempts:
        run = maker.run(number)
        store.begin(run)
        for task in range(TASKS):
            result = maker.task(run, task)
            store.put(run.id, result)
            made += sum(len(sample.attempts) for sample in result.samples)
        number += 1
    store.close()
    unfinished.rename(path)


def described(path: Path) -> str:
    """What is in a database."""
    with closing(sqlite3.connect(path)) as connection:
        counts = [connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("runs", "results")]
        attempts, characters = connection.execute("SELECT count(*), sum(length(completion)) FROM attempts").fetchone()
    size = path.stat().st_size / 1e9
    return (
        f"{counts[0]:,} runs, {counts[1]:,} tasks, {attempts:,} attempts of {characters // attempts:,} characters "
        f"of completion; {size:.1f} GB"
    )


def command(*words: str) -> Callable[[], object]:
    """A contestant: a whole process of this interpreter, with compiled modules as users have them."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return lambda: subprocess.run([sys.executable, *words], env=environment, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="where the database is, or is to be made")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--attempts", type=int, default=1_000_000)
    chosen = parser.parse_args()
    path = chosen.directory / f"{chosen.attempts}.db"
    if not path.is_file():
        make(path, chosen.attempts)
    results = ("-m", "pytest_mcode", "results", "--db", str(path))
    one = ("--benchmark", BENCHMARKS[0], "--model", MODELS[0], "--compare-samples")
    found = in_turn(
        {
            "imports alone": command("-c", FLOOR),
            "imports with SciPy": command("-c", STATISTICS),
            "mcode results": command(*results),
            "… --json": command(*results, "--json"),
            "… of one benchmark and model, compared": command(*results, *one),
            "… --by verdict": command(*results, "--by", "verdict"),
            "… --run last": command(*results, "--run", "last"),
            "… --run last --by task": command(*results, "--run", "last", "--by", "task"),
            "mcode show": command("-m", "pytest_mcode", "show", "last", "7", "--db", str(path)),
        },
        chosen.rounds,
    )
    show(described(path), found, "command", 1)


if __name__ == "__main__":
    main()
