"""Everything that knows pytest-xdist.

Public: its hooks, its ``Scheduling`` protocol, ``workerinput``. Private, and held by a contract test: ``channel``,
``item_index`` and ``sendevent`` of its ``WorkerInteractor``, which is the loop that ours takes the place of.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_mcode.collect import Done, Plan
from pytest_mcode.dealer import Dealer
from pytest_mcode.loop import AsCompleted, Order
from pytest_mcode.outcome import Recorder
from pytest_mcode.solvers.given import GIVEN
from pytest_mcode.solving import Solving

#: Tasks at the most that are ready to ask while others are answered, executed and recorded.
READY = 32
PLAN, CONCURRENCY, AHEAD, DONE = "mcode_plan", "mcode_concurrency", "mcode_ahead", "mcode_done"
SOLUTIONS = "mcode_solutions"


@dataclass(frozen=True)
class Share:
    """How the requests that a server may get at once are shared.

    Attributes:
        requests: That many of each process if ``each``, else of all together; a process has at least one.
        each: Whether the user asked for so many of each process.
    """

    requests: int
    each: bool

    def of_one(self, workers: int) -> int:
        """Requests of one of so many processes."""
        return self.requests if self.each else max(1, self.requests // workers)

    def tasks(self, workers: int) -> tuple[int, int]:
        """Tasks under way in one of so many processes, and in all: while some are executed, others wait for the model.

        Where there are more processes than requests, nothing but the tasks bounds the requests.
        """
        if not self.each and self.requests < workers:
            return 1, self.requests
        one = with_ready(self.of_one(workers))
        return one, one * workers


def with_ready(requests: int) -> int:
    """Tasks under way where so many requests are sent at once: whenever one is answered, the next is ready."""
    return requests + min(requests, READY)


class Distribution:
    """On the controller: deals tasks, and adopts the plan that a worker leaves, since it collects nothing itself."""

    def __init__(
        self, config: pytest.Config, recorder: Recorder, share: Share, order: Order, done: Mapping[str, Done]
    ) -> None:
        self._recorder, self._share, self._order, self._done = recorder, share, order, done
        self._ours = config.getoption("dist") == "load"  # the other modes mean an order of their own
        self._workers = 1
        self._directory = tempfile.TemporaryDirectory(prefix="mcode-")
        self._path = Path(self._directory.name) / "plan.json"

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, specs: Sequence[Any]) -> None:
        """Count the workers."""
        self._workers = len(specs)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Hand a worker what it needs to know."""
        node.workerinput[PLAN] = str(self._path)
        node.workerinput[CONCURRENCY] = self._share.of_one(self._workers)
        node.workerinput[AHEAD] = self._ours
        given = node.config.stash.get(GIVEN, None)
        node.workerinput[SOLUTIONS] = None if given is None else str(given.directory)
        node.workerinput[DONE] = json.dumps(
            {name: [d.fingerprint, *sorted(d.judged)] for name, d in self._done.items()}
        )

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_xdist_make_scheduler(self) -> Dealer | None:
        """Deal one by one."""
        if not self._ours:
            return None
        return Dealer(self._workers, *self._share.tasks(self._workers), self._order)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_xdist_node_collection_finished(self) -> None:
        """Adopt the plan with the first worker that has collected."""
        if not self._recorder.runs:
            self._recorder.adopt(Plan.read(self._path))

    def pytest_unconfigure(self) -> None:
        """Remove the plan."""
        self._directory.cleanup()


class WorkerLoop:
    """In place of a worker's loop: what the controller deals is begun at once, and reported when it is done."""

    def __init__(self, solving: Solving) -> None:
        self._solving = solving

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run what is dealt until the controller has no more, or is gone."""
        worker = interactor(session.config)
        loop, dealing = AsCompleted(session, self._solving), True
        worker.channel.setcallback(loop.events.put, endmarker=None)
        while dealing or loop.admitted:
            match loop.events.get():
                case ("runtests", {"indices": indices}):
                    for index in indices:
                        loop.admit(index, session.items[index])
                case ("shutdown", _):
                    dealing = False
                case None:  # the controller is gone, or wants us to go
                    break
                case int(index):
                    run_one(worker, loop, index, last=not dealing and len(loop.admitted) == 1)
            if session.shouldfail or session.shouldstop:
                break
        return True


def run_one(worker: Any, loop: AsCompleted, index: int, *, last: bool) -> None:
    """Run an item's protocol and tell the controller, as xdist's own loop does."""
    worker.item_index = index
    started = time.perf_counter()
    loop.run(index, last=last)
    seconds = time.perf_counter() - started
    worker.sendevent("runtest_protocol_complete", item_index=index, duration=seconds)


def interactor(config: pytest.Config) -> Any:
    """Xdist's plugin on a worker, which holds the channel to the controller."""
    return next(p for p in config.pluginmanager.get_plugins() if type(p).__name__ == "WorkerInteractor")


def is_controller(config: pytest.Config) -> bool:
    """Whether this process leaves its tests to xdist workers."""
    return bool(config.pluginmanager.hasplugin("dsession") or config.getoption("numprocesses", None))


@dataclass(frozen=True)
class Worker:
    """What the controller told this worker.

    Attributes:
        plan: Where to leave what it collected.
        concurrency: How many requests it sends at once.
        ahead: Whether tasks are dealt by our scheduler.
        done: By benchmark, what earlier sessions have judged.
        solutions: Where solutions that were given are laid out; None if none were.
    """

    plan: Path
    concurrency: int
    ahead: bool
    done: Mapping[str, Done]
    solutions: Path | None


def worker(config: pytest.Config) -> Worker | None:
    """What this process is told, if it is an xdist worker."""
    told = getattr(config, "workerinput", None)
    if told is None:
        return None
    done = {name: Done(print_, frozenset(ids)) for name, (print_, *ids) in json.loads(told[DONE]).items()}
    solutions = told[SOLUTIONS]
    return Worker(Path(told[PLAN]), told[CONCURRENCY], told[AHEAD], done, solutions and Path(solutions))
