"""Every hostile program, in every sandbox that promises to withstand it, and what the next program finds."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_mcode._benchmark import function_program
from pytest_mcode._types import Execution, Mode, Program
from pytest_mcode.sandboxes.judging import Judging
from pytest_mcode.sandboxes.pool import Home, Pool
from pytest_mcode.sandboxes.quiet import Quiet
from tests.attacks import TOTAL, Hostile, Must
from tests.attacks.escaping import PLANTED, PLANTED_FILE, PLANTED_NAME
from tests.attacks.surroundings import LOOKING
from tests.hostile import PROGRAMS, TABLES
from tests.test_sandboxes import Bench, make_home

HOMES = ("plain", "landlock", "bubblewrap", "docker")
#: Seconds beyond its own time limit after which a program must be over and done with.
GRACE = 4.0
RIGHT = function_program(TOTAL, TOTAL.reference)
WRONG = function_program(TOTAL, "def total(xs):\n    return sum(xs) if xs != [17] else 16\n")
LOOK = function_program(TOTAL, LOOKING)


class Idle(Quiet):
    """A machine that is never busy: a timeout counts at once."""

    @property
    def busy(self) -> bool:
        return False


class Target(Bench):
    """A single sandbox, so that each program runs where the one before it did."""

    def __init__(self, make_home: Callable[[], Home], locks: Path, size: int = 1) -> None:
        self._size = size
        super().__init__(make_home, locks)
        self.before = self.surroundings()

    async def _open(self) -> Judging:
        return Judging(Pool(self.make_home(), size=self._size, quiet=Idle(self._locks)))

    def run(self, program: Program, timeout: float = 10) -> Execution:
        execution: Execution = self.wait(self.pool.run(program, timeout=timeout))
        return execution

    def surroundings(self) -> Any:
        execution = self.run(LOOK)
        assert execution.passed, execution.stderr
        assert execution.mode is Mode.ISOLATED
        return json.loads(execution.stdout)


@pytest.fixture(scope="module", autouse=True)
def planted() -> Iterator[None]:
    """A secret in the harness's environment and in a file of the machine, for programs to find."""
    os.environ[PLANTED_NAME] = PLANTED
    with tempfile.NamedTemporaryFile("w", dir="/tmp", prefix=PLANTED_FILE) as file:
        file.write(PLANTED)
        yield
    del os.environ[PLANTED_NAME]


@pytest.fixture(scope="module")
def target(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    planted: None,  # noqa: ARG001
) -> Iterator[Target]:
    opened = Target(make_home(request.param, request), tmp_path_factory.mktemp("locks"))
    yield opened
    opened.close()


def attacked(home: str) -> pytest.MarkDecorator:
    """Every hostile program that the home promises to withstand."""
    hostile = {name: hostile for name, hostile in PROGRAMS.items() if home in hostile.homes}
    return pytest.mark.parametrize("hostile", hostile.values(), ids=hostile.keys())


def in_each_mode(hostile: Hostile) -> Iterator[Program]:
    """As its task is judged by default, and in two phases where the same is promised there."""
    program = function_program(hostile.task, hostile.solution)
    yield program
    if program.isolation is not None and hostile.two_phase:
        yield dataclasses.replace(program, isolation=None)


def withstands(target: Target, programs: Iterable[Program], hostile: Hostile) -> None:
    """Each gets its due, and the next program finds all as before."""
    for tried in programs:
        started = time.monotonic()
        execution = target.run(tried, hostile.timeout)
        assert time.monotonic() - started < hostile.timeout + GRACE
        assert execution.passed is (hostile.must is Must.PASS), execution.stderr
        assert execution.timed_out or hostile.must is not Must.TIME_OUT
        assert execution.mode is (Mode.TWO_PHASE if tried.isolation is None else Mode.ISOLATED)
        assert target.surroundings() == target.before


@attacked("docker")
@pytest.mark.parametrize("target", ["docker"], indirect=True, scope="module")
def test_a_container_withstands_it(target: Target, hostile: Hostile) -> None:
    withstands(target, in_each_mode(hostile), hostile)


@attacked("bubblewrap")
@pytest.mark.parametrize("target", ["bubblewrap"], indirect=True, scope="module")
def test_a_process_in_namespaces_withstands_it(target: Target, hostile: Hostile) -> None:
    withstands(target, in_each_mode(hostile), hostile)


@attacked("landlock")
@pytest.mark.parametrize("target", ["landlock"], indirect=True, scope="module")
def test_a_process_behind_landlock_withstands_what_it_promises(target: Target, hostile: Hostile) -> None:
    withstands(target, [function_program(hostile.task, hostile.solution)], hostile)


@attacked("plain")
@pytest.mark.parametrize("target", ["plain"], indirect=True, scope="module")
def test_a_plain_process_withstands_what_harms_no_machine(target: Target, hostile: Hostile) -> None:
    withstands(target, [function_program(hostile.task, hostile.solution)], hostile)


def test_there_are_many_programs_and_each_has_its_name() -> None:
    assert sum(map(len, TABLES.values())) == len(PROGRAMS) > 300


#: Left in the source, the tests, the output and the traceback of a program; the pattern does not match itself.
MARK = "left-" + "9f2c71"
LEAVES_MARKS = Program(
    f"print({MARK!r}, flush=True)\ndef f(): raise ValueError({MARK!r})\n", f"assert f() == {MARK!r}\n"
)
SEARCH = r"""
import gc, re, sys
pattern = re.compile(rb"left-9f2[c]71")
found = []
frame = sys._getframe()
while frame:
    found += pattern.findall(repr([frame.f_locals, frame.f_globals]).encode())
    frame = frame.f_back
for line in open("/proc/self/maps"):
    place, rights = line.split()[:2]
    if rights.startswith("rw") and "[v" not in line:
        start, end = (int(part, 16) for part in place.split("-"))
        with open("/proc/self/mem", "rb", 0) as memory:
            memory.seek(start)
            found += pattern.findall(memory.read(end - start))
assert found == [], found
"""


@pytest.mark.parametrize("target", HOMES, indirect=True, scope="module")
def test_no_program_finds_in_memory_what_was_another_s(target: Target) -> None:
    for mode in (None, dataclasses.replace(RIGHT.isolation, calls=("f",)) if RIGHT.isolation else None):
        left = target.run(dataclasses.replace(LEAVES_MARKS, isolation=mode))
        assert MARK in left.stdout
        assert MARK in left.stderr
        searched = target.run(dataclasses.replace(RIGHT, solution=SEARCH + TOTAL.reference))
        assert searched.passed, searched.stderr
        searched = target.run(Program(SEARCH, ""))
        assert searched.passed, searched.stderr


def mixed(home: str) -> list[tuple[Program, bool]]:
    """500 programs, half of them hostile, each with its right verdict."""
    quick = [
        hostile
        for table in ("ending", "lying", "wire", "patching", "reading", "leaving", "escaping")
        for hostile in TABLES[table]
        if home in hostile.homes and hostile.must is not Must.TIME_OUT and hostile.timeout > 1
    ]
    chosen = random.Random(500).sample(quick, 250)
    hostile = [(function_program(h.task, h.solution), h.must is Must.PASS) for h in chosen]
    return hostile + [(RIGHT, True), (LOOK, True), (WRONG, False), (RIGHT, True), (WRONG, False)] * 50


@pytest.mark.parametrize("home", ["bubblewrap", "docker"])
def test_500_programs_get_the_same_verdicts_in_any_order(
    home: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    planted: None,  # noqa: ARG001
) -> None:
    programs = mixed(home)
    assert len(programs) == 500
    target = Target(make_home(home, request), tmp_path / "locks", size=2)

    async def all_of(ordered: list[tuple[Program, bool]]) -> list[Execution]:
        return await asyncio.gather(*(target.pool.run(program, timeout=5) for program, _ in ordered))

    try:
        for seed in (1, 2):
            random.Random(seed).shuffle(programs)
            executions = target.wait(all_of(programs))
            wrong = [
                (program.solution, execution)
                for (program, right), execution in zip(programs, executions, strict=True)
                if execution.passed is not right
            ]
            assert wrong == []
    finally:
        target.close()
