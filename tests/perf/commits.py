"""How many tasks a second a results database takes, from one writer and from several.

python -m tests.perf.commits [--db ADDRESS] [--writers 1 2 4 8] [--samples 1 10] [--seconds 3] [--rounds 3]

Each writer is a process that records tasks by `Store.put`, whose texts are as long as those of small models
(`tests.perf.results`). Without ``--db``, the database is a new SQLite file in a directory of its own; with several
writers they all write to that one file. The best of some rounds counts: what else the machine does only takes away.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pytest_mcode._types import Sample, TaskResult
from pytest_mcode.store import Store
from tests.perf.results import Maker

#: Different tasks that a writer has ready, so that nothing but `put` is timed.
READY = 64
#: Seconds in which all writers have started.
AHEAD = 3.0


@dataclass(frozen=True)
class Rate:
    """What writers recorded together.

    Attributes:
        writers: How many there were.
        samples: Samples of a task, an attempt each.
        tasks: Tasks a second, a commit each.
        cpu: CPU seconds of a writer for a task; with SQLite, which runs in it, the database's are among them.
    """

    writers: int
    samples: int
    tasks: float
    cpu: float


def results(maker: Maker, run_number: int, samples: int) -> list[TaskResult]:
    """Tasks of so many samples with one attempt each."""
    run = maker.run(run_number)
    made: list[TaskResult] = []
    while len(made) < READY:
        drawn = maker.task(run, len(made)).samples
        attempts = [sample.attempts[:1] for sample in drawn if sample.attempts[0].completion]
        repeated = (attempts * samples)[:samples]
        made.append(TaskResult(f"t/{len(made)}", tuple(Sample(n, n, a) for n, a in enumerate(repeated)), 1.0))
    return made


def write(address: str, number: int, samples: int, starts: float, seconds: float) -> tuple[int, float]:
    """Record new tasks of one run for so many seconds; how many there were, and the CPU seconds that they took."""
    maker, store = Maker(), Store(address)
    run = replace(maker.run(0), id=f"{number}-{samples}-{time.time_ns()}")
    ready, done = results(maker, 0, samples), 0
    store.begin(run)
    store.enter(run.id, "here", str(number))
    time.sleep(max(0.0, starts - time.time()))
    ends, before = time.monotonic() + seconds, time.process_time()
    while time.monotonic() < ends:
        store.put(run.id, replace(ready[done % READY], task_id=f"t/{done}"))
        done += 1
    spent = time.process_time() - before
    store.close()
    return done, spent


def rate(address: str, writers: int, samples: int, seconds: float) -> Rate:
    """Let so many processes write at once."""
    with ProcessPoolExecutor(writers, mp_context=multiprocessing.get_context("spawn")) as pool:
        starts = time.time() + AHEAD
        writing = [pool.submit(write, address, number, samples, starts, seconds) for number in range(writers)]
        done, spent = (sum(column) for column in zip(*(future.result() for future in writing), strict=True))
        return Rate(writers, samples, done / seconds, spent / max(1, done))


def best(address: str, writers: int, samples: int, seconds: float, rounds: int) -> Rate:
    """The best of some rounds."""
    return max((rate(address, writers, samples, seconds) for _ in range(rounds)), key=lambda found: found.tasks)


def size(samples: int, tasks: int = 500) -> float:
    """Bytes of a SQLite file an attempt."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "size.db"
        maker, store = Maker(), Store(str(path))
        run = maker.run(0)
        ready = results(maker, 0, samples)
        store.begin(run)
        for number in range(tasks):
            store.put(run.id, replace(ready[number % READY], task_id=f"t/{number}"))
        store.close()
        return sum(file.stat().st_size for file in Path(place).iterdir()) / (tasks * samples)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", help="a SQLite file or the address of a database [default: a new SQLite file]")
    parser.add_argument("--writers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--samples", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    table = Table(
        "writers", "samples a task", "tasks/s", "attempts/s", "CPU ms of a writer a task", title_justify="left"
    )
    with tempfile.TemporaryDirectory() as place:
        address = chosen.db or str(Path(place) / "results.db")
        Store(address).close()
        for samples in chosen.samples:
            for writers in chosen.writers:
                found = best(address, writers, samples, chosen.seconds, chosen.rounds)
                cells = f"{writers} {samples} {found.tasks:.0f} {found.tasks * samples:.0f} {1000 * found.cpu:.1f}"
                table.add_row(*cells.split())
    console = Console()
    console.print(table)
    if chosen.db is None:
        console.print(", ".join(f"{size(n):,.0f} bytes an attempt, {n} a task" for n in chosen.samples))


if __name__ == "__main__":
    main()
