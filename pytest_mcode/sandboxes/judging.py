"""Isolated where the task allows it, in two phases where it does not."""

from __future__ import annotations

import dataclasses
from typing import Protocol

from pytest_mcode._errors import SandboxError
from pytest_mcode._types import Execution, Isolation, Mode, Program

TRIVIAL = Program(solution="", tests="assert 1 + 1 == 2")
#: Seconds for what must take none.
PATIENCE = 30.0


class Executor(Protocol):
    """Executes programs in one mode or the other; see `pytest_mcode.sandboxes.pool.Pool`."""

    @property
    def isolation(self) -> str:
        """What keeps programs apart from the host."""
        ...

    async def execute(self, program: Program, mode: Mode, timeout: float) -> Execution:
        """Execute a program."""
        ...

    async def aclose(self) -> None:
        """End all sandboxes."""
        ...


class Judging:
    """The `pytest_mcode._types.Sandbox` over an executor.

    A solution that fails isolated may have failed because the task's values cannot cross. The task's reference tells:
    if it passes isolated, the verdict stands; if not, this task and all solutions to it are judged in two phases.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._fit: dict[tuple[str, Isolation], bool] = {}

    @property
    def isolation(self) -> str:
        """What keeps programs apart from the host."""
        return self._executor.isolation

    async def check(self) -> None:
        """Execute a trivial program; see `pytest_mcode._types.Sandbox`."""
        execution = await self.run(TRIVIAL, timeout=PATIENCE)
        if not execution.passed:
            raise SandboxError(f"The sandbox cannot execute a trivial program: {execution.stderr.strip()[-300:]}")

    async def run(self, program: Program, *, timeout: float) -> Execution:
        """Execute a program; see `pytest_mcode._types.Sandbox`."""
        how = program.isolation
        if how is not None and self._fit.get((program.tests, how), True):
            execution = await self._executor.execute(program, Mode.ISOLATED, timeout)
            if execution.passed or await self._fits(program.tests, how, timeout):
                return execution
        return await self._executor.execute(program, Mode.TWO_PHASE, timeout)

    async def aclose(self) -> None:
        """End all sandboxes."""
        await self._executor.aclose()

    async def _fits(self, tests: str, how: Isolation, timeout: float) -> bool:
        """Whether the task's own reference passes isolated, which is asked once a task."""
        if (tests, how) not in self._fit:
            reference = dataclasses.replace(TRIVIAL, solution=how.reference, tests=tests, isolation=how)
            execution = await self._executor.execute(reference, Mode.ISOLATED, timeout)
            self._fit[tests, how] = execution.passed
        return self._fit[tests, how]
