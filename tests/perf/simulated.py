"""One run over many shards in simulated time: mCode's own parts, before servers that only let time pass.

Real are `Dealer` (which task is begun when), `schedule.with_ready` (how many are), `solve` (the samples of a task),
`Generator` with its gate, its deadline and its tries, and `Store`, where a recorder is given. Simulated are the clock,
the model servers, the sandboxes, the start of pods and the database's time.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Sequence
from typing import Any, cast

from mellea import ChatContext

from benchmarks.test_smoke import test_smoke
from pytest_mcode._errors import ModelError
from pytest_mcode._types import Attempt, Completion, Judge, Prompt, Sandbox, Task, TaskResult, Verdict
from pytest_mcode.collect import declared
from pytest_mcode.dealer import Dealer
from pytest_mcode.gate import Gate
from pytest_mcode.schedule import with_ready
from pytest_mcode.settings import Settings
from pytest_mcode.solve import solve
from pytest_mcode.solvers import PAUSE
from pytest_mcode.solvers.generation import Generated, Generator
from tests.perf.plans import Found, Plan, Seen

#: Takes each result as its shard ends it.
Recorded = Callable[[int, TaskResult], None]


class Jumping(selectors.SelectSelector):
    """Waits for nothing: time goes on to whatever is next."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Let so many seconds pass at once.

        Raises:
            RuntimeError: Something waits, and nothing is left that could wake it.
        """
        if timeout is None:
            raise RuntimeError("the simulation waits for what never comes")
        self.now += max(0.0, timeout)
        return []


class Clock(asyncio.SelectorEventLoop):
    """A loop in simulated time."""

    def __init__(self) -> None:
        self._jumping = Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Simulated seconds since the start."""
        return self._jumping.now


class Server:
    """A model server: so many slots, and before them a queue, first come, first served."""

    def __init__(self, plan: Plan, seen: Seen, time: Callable[[], float]) -> None:
        self._plan, self._seen, self._time = plan, seen, time
        self._slots = asyncio.Semaphore(plan.slots)
        self._since = 0.0
        self.present = 0

    async def answer(self, seconds: float) -> None:
        """Take a slot for so many seconds.

        Raises:
            ModelError: Too many wait already.
        """
        plan, seen, came = self._plan, self._seen, self._time()
        if plan.queue is not None and self.present >= plan.slots + plan.queue:
            seen.refused += 1
            raise ModelError("The model server failed (503).", passing=True, busy=True)
        self._count(1)
        try:
            async with self._slots:
                began = self._time()
                try:
                    await asyncio.sleep(seconds)
                except asyncio.CancelledError:
                    seen.wasted += self._time() - began
                    raise
            seen.served += seconds
            seen.answered += 1
            seen.stayed += self._time() - came
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        now = self._time()
        self._seen.present += self.present * (now - self._since)
        self.present, self._since = self.present + change, now


class Asking(Generator):
    """One generation, but for the request: its text is nothing, and its action the seconds that it takes."""

    async def once(self, action: Any, context: Any) -> Generated:
        """Ask a simulated server, which stands in for the backend."""
        time = asyncio.get_running_loop().time
        started = time()
        try:
            async with asyncio.timeout(self.deadline):
                await cast("Server", self.backend).answer(action)
        except TimeoutError as error:
            raise ModelError(f"The model did not answer within {self.deadline:g} s") from error
        done = Completion("", "", (), None, None, "stop", time() - started)
        return Generated(cast("Any", None), context, done)


class Solver:
    """One shard's solver; see `pytest_mcode._types.Solver`. Nothing is judged: an execution only takes time."""

    def __init__(self, plan: Plan, settings: Settings, server: Callable[[], Server], seed: int) -> None:
        self._plan, self._server, self._chance = plan, server, random.Random(seed)
        self._settings, self._gate = settings, Gate(plan.concurrency)
        self._context = ChatContext()

    async def sample(
        self,
        task: Task,  # noqa: ARG002 - the protocol's; chance alone decides
        prompt: Prompt,  # noqa: ARG002
        judge: Judge,  # noqa: ARG002
        *,
        seed: int,  # noqa: ARG002
    ) -> tuple[Attempt, ...]:
        """Ask once, and let an execution's time pass."""
        drawn = self._chance.lognormvariate(self._plan.middle, self._plan.spread)
        asking = Asking(cast("Any", self._server()), {}, self._settings.gen_timeout, PAUSE, self._gate)
        try:
            generated = await asking.generate(min(drawn, self._plan.longest), self._context)
        except ModelError as error:
            return (Attempt(0, Verdict.ERROR, error=str(error)),)
        await asyncio.sleep(self._plan.judging)
        return (Attempt(0, Verdict.FAILED, generated.completion),)

    async def act(self, *_: Any, **__: Any) -> Completion:
        """No task of these is an issue of a repository."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing is open."""


class Pod:
    """A shard's session, to its dealer a worker: begins the tasks that it is dealt, and records those that are done."""

    def __init__(self, cluster: Cluster, shard: int) -> None:
        self.shutting_down = False
        self._cluster, self._shard = cluster, shard
        self._tasks = cluster.tasks[shard :: cluster.plan.shards]
        self._solver = Solver(cluster.plan, cluster.settings, cluster.new_sending(), shard)
        self._controller = asyncio.Lock()  # one process records one task after the other
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Solve the shard's tasks."""
        ahead = 1 if self._cluster.plan.concurrency == 1 else with_ready(self._cluster.plan.concurrency)
        self._dealer = Dealer(1, ahead, ahead, lambda ids: range(len(ids)))
        self._dealer.add_node(self)
        self._dealer.add_node_collection(self, [task.id for task in self._tasks])
        self._dealer.schedule()
        while self._under_way:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        assert self._dealer.tests_finished

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        """Begin tasks."""
        for index in indices:
            task = asyncio.get_running_loop().create_task(self._solve(index))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    def shutdown(self) -> None:
        """Take no more."""
        self.shutting_down = True

    async def _solve(self, index: int) -> None:
        nowhere = cast("Sandbox", None)  # the solver judges nothing
        cluster = self._cluster
        result = await solve(self._tasks[index], cluster.benchmark, self._solver, nowhere, cluster.settings)
        async with self._controller:
            await cluster.record(self._shard, result)
        self._dealer.mark_test_complete(self, index)


class Cluster:
    """All that a run has, in one simulated loop."""

    def __init__(self, plan: Plan, recorded: Recorded) -> None:
        self.plan, self.seen, self._recorded = plan, Seen(), recorded
        benchmark = declared(test_smoke)
        assert benchmark is not None
        self.benchmark = benchmark  # of no account: the tasks are not its own
        self.tasks = [Task(str(number), "", "") for number in range(plan.tasks)]
        self.settings = Settings(
            samples=plan.samples, all_samples=True, concurrency=plan.concurrency, gen_timeout=plan.patience
        )
        self._time = asyncio.get_running_loop().time
        self._servers = [Server(plan, self.seen, self._time) for _ in range(plan.replicas)]
        self._database = asyncio.Lock()
        self._chance = random.Random("cluster")

    def new_sending(self) -> Callable[[], Server]:
        """Which server each request of one more shard is sent to."""
        if self.plan.sticky:
            server = self._chance.choice(self._servers)
            return lambda: server
        if len(self._servers) == 1:
            return lambda: self._servers[0]
        return lambda: min(self._servers, key=lambda server: server.present)

    async def record(self, shard: int, result: TaskResult) -> None:
        """Commit a task."""
        if self.plan.commit:
            async with self._database:
                await asyncio.sleep(self.plan.commit)
            self.seen.committing += self.plan.commit
        self._recorded(shard, result)
        self.seen.results += 1
        self.seen.errors += result.status == "error"

    async def run(self) -> Seen:
        """Run every shard."""
        places = asyncio.Semaphore(self.plan.pods or self.plan.shards)

        async def one(shard: int) -> None:
            async with places:
                await asyncio.sleep(max(0.0, shard / self.plan.created - self._time()) + self.plan.start)
                self.seen.began[shard] = self._time()
                await Pod(self, shard).run()
                self.seen.ended[shard] = self._time()

        await asyncio.gather(*map(one, range(self.plan.shards)))
        return self.seen


def simulate(plan: Plan, recorded: Recorded = lambda _shard, _result: None) -> Found:
    """Run a plan in simulated time; about a third of a millisecond of CPU time a generation."""

    async def whole() -> Seen:
        return await Cluster(plan, recorded).run()

    with asyncio.Runner(loop_factory=Clock) as runner:
        return Found(plan, runner.run(whole()))
