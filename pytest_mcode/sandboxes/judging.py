"""Isolated where the task allows it, in two phases where it does not."""

from __future__ import annotations

import dataclasses
from typing import Protocol

from pytest_mcode._errors import SandboxError
from pytest_mcode._types import Execution, Isolation, Mode, Program

TRIVIAL = Program(solution="", tests="assert 1 + 1 == 2")
_WHERE = "import sys; print(sys.executable)"
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
        self._there: set[tuple[str, ...]] = set()

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
        await self._require(program.needs)
        how = program.isolation
        if how is not None and self._fit.get((program.tests, how), True):
            execution = await self._executor.execute(program, Mode.ISOLATED, timeout)
            if execution.passed or await self._fits(program, how, timeout):
                return execution
        return await self._executor.execute(program, Mode.TWO_PHASE, timeout)

    async def aclose(self) -> None:
        """End all sandboxes."""
        await self._executor.aclose()

    async def _require(self, needs: tuple[str, ...]) -> None:
        """See once that the packages which tests import are there."""
        if not needs or needs in self._there:
            return
        program = dataclasses.replace(TRIVIAL, tests=f"{_WHERE}\nimport {', '.join(needs)}", needs=needs)
        execution = await self._executor.execute(program, Mode.TWO_PHASE, PATIENCE)
        if not execution.passed:
            words = f"{execution.stdout.strip()}: {execution.stderr.strip().splitlines()[-1:]}"
            raise SandboxError(
                f"The tests of this benchmark import {' and '.join(needs)}, which the sandbox's Python does not have "
                f"({words[-300:]}): name an image that has it with --mcode-image, or install it for that Python."
            )
        self._there.add(needs)

    async def _fits(self, program: Program, how: Isolation, timeout: float) -> bool:
        """Whether the task's own reference passes isolated, which is asked once a task."""
        task = program.tests, how
        if task not in self._fit:
            reference = dataclasses.replace(program, solution=how.reference)
            execution = await self._executor.execute(reference, Mode.ISOLATED, timeout)
            self._fit[task] = execution.passed
        return self._fit[task]
