"""How large the page of ``mcode report`` is, and how long it takes to be made and to be used.

python -m tests.perf.page DIRECTORY [--rounds 5] [--tasks 500] [--runs 8] [--samples 10]

The database is made in the directory unless it is there. A task's solutions are alike, as those of models are: each of
twenty lines is one of four. Times in the browser are from the address to a page whose tasks can be searched, from
scrolling to the charts until all are drawn, from the click on a task to the code of its attempts, and of a search.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import click

from pytest_mcode._types import Attempt, Completion, Execution, Message, Sample, TaskResult, Verdict
from pytest_mcode.settings import Settings
from pytest_mcode.store import Run, Store
from tests.browser import browser, opened

WORDS = ("items", "total", "value", "index", "result", "count", "left", "right", "seen", "current", "text", "number")
FORMS = ("{a} = {b}[{n}] + {c}", "if {a} > {n} and {b} not in {c}:", "for {a} in range({n}, len({b})):")
FAILURES = (Verdict.FAILED, Verdict.TIMEOUT, Verdict.NO_CODE)


def lines(chance: random.Random) -> list[list[str]]:
    """Twenty lines of code, four ways to write each."""

    def one() -> str:
        a, b, c = chance.choices(WORDS, k=3)
        form = chance.choice(FORMS)
        return "    " + form.format(a=a, b=b, c=c, n=chance.randrange(100))

    return [[one() for _ in range(4)] for _ in range(20)]


def attempt(chance: random.Random, ways: list[list[str]], task: int) -> Attempt:
    """A first attempt, as long as those of small models are."""
    body = "\n".join(map(chance.choice, ways))
    code = f'def task_{task}(items):\n    """Return what is asked for."""\n{body}\n'
    prompt = (Message("user", f"Please write task_{task}.\n" + "\n".join(way[0] for way in ways)),)
    text = f"Here is a solution:\n\n```python\n{code}```\n\nIt has {chance.randrange(10**9)} steps.\n"
    completion = Completion(text, "", prompt, 150, 320, "stop", chance.uniform(0.5, 8))
    verdict = Verdict.PASSED if chance.random() < 0.5 else chance.choices(FAILURES, (20, 1, 1))[0]
    if verdict is Verdict.NO_CODE:
        return Attempt(0, verdict, completion)
    passed = verdict is Verdict.PASSED
    stderr = "" if passed else f'  File "tests.py", line 3\nAssertionError: {chance.random()}\n'
    return Attempt(0, verdict, completion, code, Execution(passed=passed, stderr=stderr, seconds=chance.random()))


def results(chance: random.Random, tasks: int, samples: int) -> Iterator[TaskResult]:
    """The tasks of a run."""
    for task in range(tasks):
        ways = lines(random.Random(task))
        drawn = (Sample(index, index, (attempt(chance, ways, task),)) for index in range(samples))
        yield TaskResult(f"Mbpp/{task}", tuple(drawn), chance.uniform(1, 60))


def make(path: Path, tasks: int, runs: int, samples: int) -> None:
    """Record the runs."""
    store = Store(str(path))
    for number in range(runs):
        settings = Settings(model=f"model{number}:8b", bench=("mbpp",), samples=samples, all_samples=True)
        run = Run(
            id=f"20250101-{number:06}-abcdef",
            benchmark="mbpp",
            model=settings.model,
            backend="ollama",
            config=settings.stored,
            config_hash=settings.hashed,
            dataset_fingerprint="f" * 64,
            planned=tasks,
            started_at=f"2025-01-{1 + number:02}T12:00:00.000+00:00",
            finished_at=None,
            versions={"python": "3.12.1"},
        )
        store.begin(run)
        for result in results(random.Random(number), tasks, samples):
            store.put(run.id, result)
        store.finish(run.id)
    store.close()


def built(database: Path, page: Path) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and megabytes of memory that the command takes."""
    script = (
        "import resource, sys; from click.testing import CliRunner; from pytest_mcode.cli import main; "
        "done = CliRunner().invoke(main, sys.argv[1:]); assert done.exit_code == 0, done.output; "
        "spent = resource.getrusage(resource.RUSAGE_SELF); "
        "print(spent.ru_utime + spent.ru_stime, spent.ru_maxrss / 1024)"
    )
    started = time.perf_counter()
    words = [sys.executable, "-c", script, "report", "--db", str(database), "--out", str(page)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    processor, memory = map(float, done.stdout.split())
    return time.perf_counter() - started, processor, memory


def used(page: Path, rounds: int) -> Iterator[tuple[float, float, float, float]]:
    """Seconds until the page can be used, until all charts are drawn, a task is open, and a search has its tasks."""
    with browser() as running:
        for _ in range(rounds):
            watched = opened(running, page)
            # from the browser's own clock: the way from here to it is no part of it
            ready = watched.page.evaluate("document.documentElement.dataset.ready / 1000")
            started = time.perf_counter()
            watched.page.evaluate("scrollTo(0, document.querySelector('.charts').offsetTop)")
            watched.page.wait_for_selector(".chart:not([data-drawn])", state="detached")
            charts = time.perf_counter() - started
            watched.page.locator("#matrix td").first.scroll_into_view_if_needed()
            started = time.perf_counter()
            watched.page.locator("#matrix td").first.click()
            watched.page.wait_for_selector("#task-body pre")
            task = time.perf_counter() - started
            watched.page.keyboard.press("Escape")
            search = watched.page.evaluate(
                "() => { const from = performance.now(); const box = document.getElementById('search');"
                "box.value = '42'; box.dispatchEvent(new Event('input', {bubbles: true})); document.body.offsetHeight;"
                "return (performance.now() - from) / 1000; }"
            )
            yield ready, charts, task, search
            watched.page.context.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="where the database is, or is to be made")
    for name, default in (("rounds", 5), ("tasks", 500), ("runs", 8), ("samples", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    chosen = parser.parse_args()
    stem = chosen.directory / f"{chosen.tasks}x{chosen.runs}x{chosen.samples}"
    database, page = stem.with_suffix(".db"), stem.with_suffix(".html")
    if not database.is_file():
        make(database, chosen.tasks, chosen.runs, chosen.samples)
    wall, processor, memory = built(database, page)
    size = page.stat().st_size / 1e6
    click.echo(f"made in {wall:.1f} s, {processor:.1f} s of a processor, with {memory:.0f} MB of memory: {size:.2f} MB")
    measured = zip(*used(page, chosen.rounds), strict=True)
    for name, values in zip(("to usable", "to all charts", "to an open task", "to a search"), measured, strict=True):
        click.echo(f"{name}: {median(values):.2f} s, {min(values):.2f} to {max(values):.2f}")


if __name__ == "__main__":
    main()
