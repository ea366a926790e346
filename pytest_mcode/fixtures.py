"""What a benchmark's test function receives: its task, and ``mcode``, which solves it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_mcode._benchmark import Benchmark, Mcode
from pytest_mcode._errors import InfrastructureError, McodeError
from pytest_mcode._types import Sandbox, Solver, Status, Task, TaskResult
from pytest_mcode.engine import Engine
from pytest_mcode.options import Settings
from pytest_mcode.solve import solve

RESULT = pytest.StashKey[TaskResult]()


class Unsolved(Exception):  # noqa: N818 - it is an outcome, not an error
    """The task was judged, and no sample passed."""


class Fixtures:
    """The fixtures of one process, over one engine, one solver and one sandbox, each opened with the first task."""

    def __init__(self, settings: Settings, solver: Callable[[], Solver], sandbox: Callable[[], Sandbox]) -> None:
        self._settings, self._engine = settings, Engine()
        self._open_solver, self._open_sandbox = solver, sandbox
        self._solver: Solver | None = None
        self._sandbox: Sandbox | None = None

    @pytest.fixture
    def task(self, request: pytest.FixtureRequest) -> Task:
        """The task that this item is about."""
        loaded: Task = request.param.load()
        return loaded

    @pytest.fixture
    def mcode(self, request: pytest.FixtureRequest) -> Mcode:
        """Solves a task; the test ends there if it stays unsolved or could not be judged."""
        found: Benchmark = request.node.get_closest_marker("mcode").args[0]

        def run(task: Task) -> TaskResult:
            result = self._engine.run(self._solve(task, found))
            request.node.stash[RESULT] = result
            if result.status is Status.ERROR:
                raise InfrastructureError(result.error)
            if result.status is Status.UNSOLVED:
                raise Unsolved(told(result))
            return result

        return run

    async def _solve(self, task: Task, found: Benchmark) -> TaskResult:
        """Open what is needed, on the engine's loop to which it belongs, and solve."""
        try:
            self._solver = self._solver or self._open_solver()
            self._sandbox = self._sandbox or self._open_sandbox()
        except McodeError as error:
            return TaskResult(task.id, (), 0.0, fault=str(error))
        return await solve(task, found, self._solver, self._sandbox, self._settings)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Leave no connection, process or container behind."""
        opened = [part for part in (self._solver, self._sandbox) if part is not None]
        for part in opened:
            self._engine.run(part.aclose())
        self._engine.close()


def told(result: TaskResult) -> str:
    """One line on an unsolved task."""
    verdicts = ", ".join(sample.status.value for sample in result.samples)
    tries = sum(len(sample.attempts) for sample in result.samples)
    return f"unsolved: {verdicts} ({tries} attempt{'s' if tries > 1 else ''})"
