"""A pool of warm sandboxes: as many as programs run at once, each started when it is first needed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from pytest_mcode._errors import SandboxError
from pytest_mcode._types import Execution, Mode, Program
from pytest_mcode.sandboxes.judging import PATIENCE, TRIVIAL
from pytest_mcode.sandboxes.sending import Place
from pytest_mcode.sandboxes.worker import Link, SandboxDiedError, Worker

Result = TypeVar("Result")

#: Programs after which a sandbox is replaced, whatever it looks like.
PROGRAMS = 500


class Home(Protocol):
    """A place where sandboxes can be started."""

    @property
    def isolation(self) -> str:
        """What keeps programs apart from the host, in one sentence."""
        ...

    @property
    def place(self) -> Place:
        """What a supervisor finds there."""
        ...

    def limits(self, timeout: float) -> dict[str, int]:
        """Resource limits of a program of so many seconds, by `resource`'s names without RLIMIT."""
        ...

    def start(self) -> Link:
        """Start a sandbox.

        Raises:
            SandboxError: It cannot be started; the message says what to do next.
        """
        ...

    def accept(self, hello: dict[str, Any]) -> None:
        """Look at what a sandbox says of itself.

        Raises:
            SandboxError: It is not closed as it should be.
        """
        ...


class Pool:
    """Executes programs in sandboxes of one home, in threads, so that the loop never waits for one."""

    def __init__(self, home: Home, size: int) -> None:
        self._home, self._size = home, size
        self._free = asyncio.Semaphore(size)
        self._idle: list[Worker] = []
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="mcode-sandbox")

    @property
    def isolation(self) -> str:
        """What keeps programs apart from the host."""
        return self._home.isolation

    async def execute(self, program: Program, mode: Mode, timeout: float) -> Execution | None:
        """Execute a program, a second time where its sandbox died; see `pytest_mcode.sandboxes.judging.Executor`.

        A program that ends every sandbox it runs in, while another program runs well there, has failed.

        Raises:
            SandboxError: It could not be executed, through no fault of its own.
        """
        job = self._job(program, mode, timeout)
        try:
            return await self._run(job)
        except SandboxDiedError:
            pass
        try:
            return await self._run(job)
        except SandboxDiedError:
            await self._run(self._job(TRIVIAL, Mode.TWO_PHASE, PATIENCE))
            ended = "The program ended its sandbox."
            return Execution(passed=False, phase="solution", exit_code=None, stderr=ended, mode=mode)

    async def aclose(self) -> None:
        """End all sandboxes."""
        idle, self._idle = self._idle, []
        for worker in idle:
            worker.kill()
        self._threads.shutdown(wait=False)

    def _job(self, program: Program, mode: Mode, timeout: float) -> dict[str, Any]:
        """What a supervisor is told."""
        job: dict[str, Any] = {"solution": program.solution, "tests": program.tests}
        if mode is Mode.ISOLATED and program.isolation is not None:
            job |= {"calls": list(program.isolation.calls), "prelude": program.isolation.prelude}
        return {**job, "mode": mode.value, "timeout": timeout, "limits": self._home.limits(timeout)}

    async def _run(self, job: dict[str, Any]) -> Execution | None:
        async with self._free:
            worker = self._idle.pop() if self._idle else await self._thread(self._start)
            with self._kept(worker):
                return await self._thread(lambda: worker.run(job))

    @contextlib.contextmanager
    def _kept(self, worker: Worker) -> Iterator[None]:
        """Keep a clean sandbox for the next program, end any other; also when the execution was left."""
        try:
            yield
        finally:
            if worker.clean and worker.programs < PROGRAMS:
                self._idle.append(worker)
            else:
                worker.kill()

    async def _thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _start(self) -> Worker:
        worker = Worker(self._home.start, self._home.place)
        try:
            self._home.accept(worker.hello)
        except SandboxError:
            worker.kill()
            raise
        return worker
