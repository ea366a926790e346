"""A pool of warm sandboxes: as many as programs run at once, each started when it is first needed."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from pytest_mcode._errors import SandboxError
from pytest_mcode._types import Execution, Mode, Program
from pytest_mcode.sandboxes.jobs import Job, packed
from pytest_mcode.sandboxes.judging import PATIENCE, TRIVIAL
from pytest_mcode.sandboxes.quiet import Quiet, default_directory
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
    """Executes programs in sandboxes of one home, in threads, so that the loop never waits for one.

    Args:
        home: Where sandboxes are started.
        size: How many programs run at once.
        quiet: Where a timeout under load is tried again alone; by default among all of this user's mCode processes.
    """

    def __init__(self, home: Home, size: int, quiet: Quiet | None = None) -> None:
        self._home, self._quiet = home, quiet or Quiet(default_directory())
        self._free = asyncio.Semaphore(size)
        self._idle: list[Worker] = []
        self._ending: set[asyncio.Future[None]] = set()
        self._threads = ThreadPoolExecutor(2 * size, thread_name_prefix="mcode-sandbox")  # one to run, one to end it

    @property
    def isolation(self) -> str:
        """What keeps programs apart from the host."""
        return self._home.isolation

    async def execute(self, program: Program, mode: Mode, timeout: float) -> Execution:
        """Execute a program; see `pytest_mcode.sandboxes.judging.Executor`.

        One that was stopped at its time limit while others ran is executed again alone, and that execution counts.

        Raises:
            SandboxError: It could not be executed, through no fault of its own.
        """
        job = packed(program, mode, timeout, self._home.limits(timeout))
        async with self._free, self._quiet.shared():
            busy = self._quiet.busy
            first = await self._surviving(job)
            busy = busy or self._quiet.busy
        if not (first.timed_out and busy):
            return first
        async with self._free, self._quiet.alone():
            second = await self._surviving(job)
        return dataclasses.replace(second, first_seconds=first.seconds)

    async def aclose(self) -> None:
        """End all sandboxes."""
        idle, self._idle = self._idle, []
        for worker in idle:
            self._end(worker)
        await asyncio.gather(*self._ending, return_exceptions=True)
        self._threads.shutdown(wait=False)

    async def _surviving(self, job: Job) -> Execution:
        """Execute a job's program, a second time where its sandbox died.

        A program that ends every sandbox it runs in, while another program runs well there, has failed.
        """
        try:
            return await self._run(job)
        except SandboxDiedError:
            pass
        try:
            return await self._run(job)
        except SandboxDiedError:
            await self._run(packed(TRIVIAL, Mode.TWO_PHASE, PATIENCE, self._home.limits(PATIENCE)))
            ended = "The program ended its sandbox."
            return Execution(passed=False, phase="solution", exit_code=None, stderr=ended, mode=job.mode)

    async def _run(self, job: Job) -> Execution:
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
                self._end(worker)

    def _end(self, worker: Worker) -> None:
        """End a sandbox, which may take a while, without waiting for it."""
        ending = asyncio.ensure_future(self._thread(worker.kill))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

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
