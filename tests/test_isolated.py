"""Honest but unusual solutions are judged alike in two processes and in one."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
from collections.abc import Iterator

import pytest

from pytest_mcode._benchmark import function_program
from pytest_mcode._types import Execution, Mode, Program, Task
from pytest_mcode.sandboxes.judging import Judging
from pytest_mcode.sandboxes.levels import plain
from pytest_mcode.sandboxes.pool import Pool
from pytest_mcode.sandboxes.process import ProcessHome
from tests.unusual import TWO_PHASE, Unusual
from tests.unusual.conduct import CALLS, IN_PLACE, RAISED
from tests.unusual.results import RESULTS

ALL = {
    f"{table}: {name}": unusual
    for table, found in (("returns", RESULTS), ("calls", CALLS), ("changes", IN_PLACE), ("raises", RAISED))
    for name, unusual in found.items()
}
FALLING_BACK = [name for name, unusual in ALL.items() if unusual.mode is TWO_PHASE]


class Runs:
    """The process sandbox, and a loop that outlives the single test."""

    def __init__(self, home: ProcessHome) -> None:
        self._runner = asyncio.Runner()
        self._sandbox = self._runner.run(self._open(home))

    async def _open(self, home: ProcessHome) -> Judging:
        return Judging(Pool(home, size=1))

    def __call__(self, program: Program) -> Execution:
        return self._runner.run(self._sandbox.run(program, timeout=10))

    def close(self) -> None:
        self._runner.run(self._sandbox.aclose())
        self._runner.close()


@pytest.fixture(scope="module")
def run() -> Iterator[Runs]:
    runs = Runs(ProcessHome())
    yield runs
    runs.close()


def program(unusual: Unusual) -> Program:
    task = Task(
        "unusual", prompt="", tests=unusual.tests, entry_point="f", reference=unusual.reference or unusual.solution
    )
    return function_program(task, unusual.solution)


@pytest.mark.parametrize("unusual", ALL.values(), ids=ALL.keys())
def test_an_unusual_solution_passes_in_both_modes(run: Runs, unusual: Unusual) -> None:
    judged = run(program(unusual))
    assert judged.passed, judged.stderr
    assert judged.mode is unusual.mode
    together = run(dataclasses.replace(program(unusual), isolation=None))
    assert together.passed, together.stderr


@pytest.mark.skipif(not importlib.util.find_spec("numpy"), reason="platform: numpy is not installed")
@pytest.mark.parametrize("kind", ["float64", "int32", "bool_"])
def test_a_scalar_of_numpy_passes_in_both_modes(kind: str) -> None:
    runs = Runs(ProcessHome(plain()))  # the interpreter of these tests, which has it
    numeric = Unusual(f"import numpy\ndef f(): return numpy.{kind}(1)", "assert f() == 1", "def f(): return 1")
    try:
        test_an_unusual_solution_passes_in_both_modes(runs, numeric)
    finally:
        runs.close()


@pytest.mark.parametrize("name", FALLING_BACK)
def test_what_cannot_be_isolated_is_not_mistaken_for_right(run: Runs, name: str) -> None:
    wrong = dataclasses.replace(program(ALL[name]), solution="def f(*_, **__):\n    return 'wrong'\n")
    assert not run(wrong).passed


def with_helper(solution: str) -> Program:
    shown = "def coded(text):\n    return text[::-1]\n\n"
    reference = f"{shown}def decoded(text):\n    return text[::-1]\n"
    tests = "assert decoded(coded('ab')) == 'ab'"
    task = Task("helper", prompt="", tests=tests, entry_point="decoded", reference=reference, preamble=shown)
    return function_program(task, solution)


def test_tests_call_the_helper_that_the_task_shows_and_not_one_in_its_place(run: Runs) -> None:
    right = run(with_helper("def decoded(text):\n    return ''.join(reversed(text))\n"))
    assert right.passed, right.stderr
    assert right.mode is Mode.ISOLATED
    assert not run(with_helper("def coded(text):\n    return text\n\ndef decoded(text):\n    return text\n")).passed
