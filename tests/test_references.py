"""Every published reference solution passes in every sandbox and both modes, and nothing else does."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import test_humaneval, test_humaneval_plus, test_mbpp, test_mbpp_plus, test_mbpp_sanitized, test_smoke
from pytest_mcode import collect
from pytest_mcode._types import Execution, Mode, Program, Task
from pytest_mcode.sandboxes.docker import DockerHome
from pytest_mcode.sandboxes.judging import Judging
from pytest_mcode.sandboxes.pool import Home, Pool
from pytest_mcode.sandboxes.process import ProcessHome
from pytest_mcode.settings import Settings

#: Published references that are themselves wrong, by task id with the cause: there are none in these sets.
WRONG_REFERENCES: dict[str, str] = {}
#: Tasks whose tests need the solution's own module, with the reason.
TWO_PHASE = {
    "Mbpp/367": "the tests build trees of the solution's own class",
    "Mbpp/737": "the reference returns a match of a regular expression",
    "Mbpp/787": "the reference returns a match of a regular expression",
    "Mbpp/794": "the reference returns a match of a regular expression",
}
BENCHMARKS = {
    "humaneval": (test_humaneval.test_humaneval, "HumanEval.jsonl.gz", 164),
    "mbpp": (test_mbpp.test_mbpp, "mbpp.jsonl", 500),
    "mbpp-sanitized": (test_mbpp_sanitized.test_mbpp_sanitized, "mbpp-sanitized.json", 257),
    "smoke": (test_smoke.test_smoke, None, 20),
    "humaneval+": (test_humaneval_plus.test_humaneval_plus, "HumanEvalPlus-OriginFmt.jsonl.gz", 164),
    "mbpp+": (test_mbpp_plus.test_mbpp_plus, "MbppPlus-OriginFmt.jsonl.gz", 378),
}
#: Of sets that take minutes, all tasks are judged once, and elsewhere one of so many.
SLOW, SHARE = ("humaneval+", "mbpp+"), 6


@pytest.fixture(params=["process", "docker"])
def make_home(request: pytest.FixtureRequest) -> Callable[[], Home]:
    if request.param == "docker":
        image: str = request.getfixturevalue("docker_image")
        return lambda: DockerHome(image)
    return ProcessHome


@pytest.fixture(params=BENCHMARKS)
def programs(request: pytest.FixtureRequest, tmp_path: Path) -> list[tuple[Task, Program]]:
    """The program of each task with its reference solution."""
    function, file, count = BENCHMARKS[request.param]
    benchmark = collect.declared(function)
    assert benchmark is not None
    data = None if file is None else str(request.getfixturevalue("shared_data") / file)
    opened = benchmark.tasks.open(dataclasses.replace(Settings(), data=data), tmp_path)
    tasks = [opened.task(index) for index in range(len(opened.ids))]
    assert len(tasks) == count
    once = re.match(r"test_every_reference_passes_isolated\w+\[process-", request.node.name)
    whole = request.param not in SLOW or once is not None
    return [(task, benchmark.program(task, task.reference)) for task in tasks[:: 1 if whole else SHARE]]


def executed(make_home: Callable[[], Home], programs: list[Program]) -> list[Execution]:
    async def run() -> list[Execution]:
        sandbox = Judging(Pool(make_home(), size=2))
        try:
            return await asyncio.gather(*(sandbox.run(program, timeout=60) for program in programs))
        finally:
            await sandbox.aclose()

    return asyncio.run(run())


def test_every_reference_passes_isolated_where_the_task_allows(
    make_home: Callable[[], Home], programs: list[tuple[Task, Program]]
) -> None:
    executions = executed(make_home, [program for _, program in programs])
    failed = {task.id: e.stderr for (task, _), e in zip(programs, executions, strict=True) if not e.passed}
    assert failed.keys() == {task.id for task, _ in programs} & WRONG_REFERENCES.keys(), failed
    two_phase = {task.id for (task, _), e in zip(programs, executions, strict=True) if e.mode is Mode.TWO_PHASE}
    assert {task for task in two_phase if not task.startswith("smoke/")} == TWO_PHASE.keys() & {
        t.id for t, _ in programs
    }


def test_every_reference_passes_in_two_phases(
    make_home: Callable[[], Home], programs: list[tuple[Task, Program]]
) -> None:
    executions = executed(make_home, [dataclasses.replace(program, isolation=None) for _, program in programs])
    failed = {task.id: e.stderr for (task, _), e in zip(programs, executions, strict=True) if not e.passed}
    assert failed.keys() == {task.id for task, _ in programs} & WRONG_REFERENCES.keys(), failed


@pytest.mark.parametrize("body", ["return None", "raise SystemExit(0)", "import os; os._exit(0)"])
def test_no_wrong_solution_passes(programs: list[tuple[Task, Program]], body: str) -> None:
    def wrong(task: Task, program: Program) -> Program:
        names = {task.entry_point, *(program.isolation.calls if program.isolation else ())} - {""}
        solution = "".join(f"def {name}(*_, **__):\n    {body}\n\n" for name in names)
        return dataclasses.replace(program, solution=solution)

    executions = executed(ProcessHome, [wrong(*pair) for pair in programs])
    passed = [task.id for (task, _), e in zip(programs, executions, strict=True) if e.passed]
    assert passed == []
