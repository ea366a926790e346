"""A long run against a server that fails at random, while workers are killed at random.

python -m tests.perf.soak [--tasks 20000] [--workers 2] [--kill-every 20]

Every twentieth request fails, in one way or another; every so many seconds a worker is killed. What is left is resumed.
At the end the database must hold exactly what an undisturbed run would have found. Printed: how long it took, how often
a worker was killed and the run resumed, and the memory of its processes over time.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.standin import standin_process

MODEL = "granite3.3:8b"
BENCH = """
from pytest_mcode import Mcode, Task, benchmark

def task(number: int) -> Task:
    tests = f"assert f({number}) == {number + 1}"
    return Task(f"soak/{number}", f"task {number}: def f(n)", tests, "f", "def f(n):\\n    return n + 1\\n")

@benchmark("soak", tasks=[task(number) for number in range(TASKS)])
def test_soak(task: Task, mcode: Mcode) -> None:
    mcode(task)
"""
SCRIPT = """
import random, re
from tests.standin import Fault, Reply, faulty, status

FAULTS = (status(500), status(503), status(429), faulty(Fault.EMPTY), faulty(Fault.RESET))

def answer(request):
    number = int(re.search(r"task ([0-9]+):", request.messages[0].content)[1])
    chance = random.Random(f"{number} {request.number}")
    if chance.random() < 0.05:
        return chance.choice(FAULTS)
    body = "n + 1" if number % 3 else "n"
    return Reply(f"```python\\ndef f(n):\\n    return {body}\\n```", prompt_tokens=number, completion_tokens=1)
"""


@dataclass
class Soaked:
    """What happened: workers killed, sessions run, and the memory of all processes in MB, a figure a second."""

    killed: int = 0
    sessions: int = 0
    memory: list[float] = field(default_factory=list)


def expected(tasks: int) -> set[tuple[object, ...]]:
    """The rows of an undisturbed run: task, status, verdict, tokens, solution."""
    return {
        (f"soak/{n}", *(("solved", "passed", "n + 1") if n % 3 else ("unsolved", "failed", "n")), n)
        for n in range(tasks)
    }


def recorded(database: Path) -> set[tuple[object, ...]]:
    """The same of a database, which must hold one attempt a task."""
    query = (
        "SELECT task_id, status, verdict, rtrim(substr(solution, instr(solution, 'return') + 7), char(10)), "
        "attempts.prompt_tokens FROM results JOIN attempts USING (run_id, task_id)"
    )
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(query).fetchall()
        assert len(rows) == len(set(rows))
        return set(rows)


def workers_of(pid: int) -> list[int]:
    """The xdist workers of a process."""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "exec(eval(sys.stdin" in line]


def resident(pids: Sequence[int]) -> float:
    """Megabytes of those processes together; pages that they share count once (Linux's PSS)."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1000


def session(command: list[str], place: Path, environment: dict[str, str], soaked: Soaked, kill_every: float) -> int:
    """Run one session to its end, killing a worker now and then; its exit status."""
    soaked.sessions += 1
    with (place / "output.txt").open("a") as output:
        process = subprocess.Popen(command, cwd=place, env=environment, stdout=output, stderr=output)
    chance, due = random.Random(soaked.sessions), time.monotonic() + kill_every
    while process.poll() is None:
        time.sleep(1)
        workers = workers_of(process.pid)
        soaked.memory.append(resident([process.pid, *workers]))
        if time.monotonic() > due and workers:
            os.kill(chance.choice(workers), signal.SIGKILL)
            soaked.killed, due = soaked.killed + 1, time.monotonic() + kill_every
    return process.returncode


def soak(place: Path, tasks: int, workers: int, kill_every: float, most: int = 10) -> Soaked:
    """Run and resume until every task is judged, at most so many times, and compare every row."""
    (place / "test_soak.py").write_text(BENCH.replace("TASKS", str(tasks)))
    (place / "script.py").write_text(SCRIPT)
    database, soaked = place / "r.db", Soaked()
    command = [sys.executable, "-m", "pytest_mcode", "bench", "soak", "test_soak.py", "--model", MODEL, "--db"]
    command += [str(database), "--sandbox", "process", "--concurrency", "16", f"-n{workers}", "-q", "--run-id", "soak"]
    with standin_process(place / "script.py", "--slots", "64", seconds=7200) as served:
        environment = {**os.environ, "OLLAMA_HOST": served.url, "TMPDIR": str(place)}
        for _ in range(most):
            if session([*command, "--resume"], place, environment, soaked, kill_every) == 0:
                break
        else:
            raise AssertionError((place / "output.txt").read_text()[-3000:])
    assert recorded(database) == expected(tasks)
    return soaked


def quarters(figures: Sequence[float]) -> Iterator[tuple[str, float]]:
    """The median of each quarter of a series."""
    size = max(1, len(figures) // 4)
    for number in range(4):
        part = sorted(figures[number * size : (number + 1) * size])
        if part:
            yield f"{number + 1}. quarter", part[len(part) // 2]


def main() -> None:
    """Soak and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=20000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kill-every", type=float, default=20.0, help="seconds")
    chosen = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        soaked = soak(Path(place), chosen.tasks, chosen.workers, chosen.kill_every)
    table = Table("what", "figure", title=f"{chosen.tasks} tasks, every row as of an undisturbed run")
    table.add_row("seconds", f"{time.monotonic() - started:.0f}")
    table.add_row("workers killed", str(soaked.killed))
    table.add_row("sessions", str(soaked.sessions))
    for name, megabytes in quarters(soaked.memory):
        table.add_row(f"MB of all processes, {name}", f"{megabytes:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
