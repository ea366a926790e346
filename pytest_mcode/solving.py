"""The solver and the sandbox of one process, opened with its first task, and the tasks under way on its loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from pytest_mcode._benchmark import Benchmark
from pytest_mcode._errors import McodeError
from pytest_mcode._types import Sandbox, Solver, Task, TaskResult
from pytest_mcode.engine import Engine
from pytest_mcode.repositories.place import Place
from pytest_mcode.sandboxes.late import Late
from pytest_mcode.settings import Settings
from pytest_mcode.settle import settle
from pytest_mcode.solve import solve


@dataclass(frozen=True)
class Parts:
    """How the parts of a process are opened; each may raise `McodeError`."""

    solver: Callable[[], Solver]
    sandbox: Callable[[], Sandbox]
    place: Callable[[], Place]
    suited: Callable[[Settings, Task], Settings] = lambda settings, _: settings
    """The settings of one task."""


class Solving:
    """Solves tasks on the engine's loop; as many at once as are started."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._settings, self._parts, self._engine = settings, parts, Engine()
        self._solver: Solver | None = None
        self._sandbox: Sandbox | None = None
        self._place: asyncio.Task[Place] | None = None
        self._ahead: dict[str, tuple[Task, Future[TaskResult]]] = {}

    def start(self, key: str, task: Task, benchmark: Benchmark, budget: float | None) -> Future[TaskResult]:
        """Start solving a task that `take` will ask for by ``key``; ``budget`` is its time limit in seconds."""
        future = self._engine.start(self._solve(task, benchmark, budget))
        self._ahead[key] = task, future
        return future

    def take(self, key: str, task: Task, benchmark: Benchmark) -> TaskResult:
        """The result for ``task``: of the solve that was started for ``key``, or of one that is started now.

        Raises:
            TimeoutError: The task's budget was spent.
        """
        started, future = self._ahead.pop(key, (None, None))
        if future is None or started != task:
            if future is not None:
                future.cancel()
            future = self._engine.start(self._solve(task, benchmark, None))
        try:
            return future.result()
        finally:
            future.cancel()  # leaving early, as Ctrl-C and pytest-timeout do, ends the request

    def prepare(self) -> None:
        """Open the parts before the first task is there; what fails then fails again for the task, which tells."""
        self._engine.start(self._prepare())

    async def _prepare(self) -> None:
        with contextlib.suppress(McodeError):
            self._opened_sandbox()
            self._opened_solver()

    def close(self) -> None:
        """Leave no connection, process or container behind."""
        for _, future in self._ahead.values():
            future.cancel()
        self._ahead.clear()
        for part in (self._solver, self._sandbox):
            if part is not None:
                self._engine.run(part.aclose())
        if self._place is not None and self._place.done() and self._place.exception() is None:
            self._engine.run(self._place.result().aclose())
        self._engine.close()
        self._solver = self._sandbox = self._place = None

    async def _solve(self, task: Task, benchmark: Benchmark, budget: float | None) -> TaskResult:
        try:
            sandbox = None if benchmark.repository else self._opened_sandbox()
            solver = self._opened_solver()
            place = await self._found() if benchmark.repository else None
        except McodeError as error:
            return TaskResult(task.id, (), 0.0, fault=str(error))
        async with asyncio.timeout(budget):
            if place is not None:
                return await settle(task, solver, place)
            assert sandbox is not None
            return await solve(task, benchmark, solver, sandbox, self._parts.suited(self._settings, task))

    async def _found(self) -> Place:
        """Where repositories' issues are worked on, which is looked for with the first of them."""
        if self._place is None or (self._place.done() and self._place.exception() is not None):
            self._place = asyncio.ensure_future(asyncio.to_thread(self._parts.place))
        return await asyncio.shield(self._place)

    def _opened_sandbox(self) -> Sandbox:
        self._sandbox = self._sandbox or Late(self._parts.sandbox)
        return self._sandbox

    def _opened_solver(self) -> Solver:
        self._solver = self._solver or self._parts.solver()
        return self._solver
