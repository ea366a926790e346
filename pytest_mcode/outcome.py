"""From results to what pytest says: reports on every process; rows, exit status and summary on the controller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest

from pytest_mcode import _wire, spelling
from pytest_mcode._errors import McodeError, StoreError, UsageError
from pytest_mcode._types import Status, TaskResult
from pytest_mcode.breaker import Breaker
from pytest_mcode.collect import Plan, Planned, plan, reference
from pytest_mcode.fixtures import RESULT
from pytest_mcode.report.words import fault


class Results(Protocol):
    """What the recorder needs of a store."""

    def put(self, run_id: str, result: TaskResult) -> None:
        """Record a finished task."""
        ...

    def finish(self, run_id: str) -> None:
        """Record that nothing of the run is left to do."""
        ...

    def leave(self, run_id: str) -> None:
        """Record that this process has ended its work on the run."""
        ...


class Ruling(NamedTuple):
    """What the gates say of a session: whether all were passed, and whether its errors are few enough to be borne."""

    passed: bool = True
    errors_borne: bool = False


class Judging(Protocol):
    """What the recorder needs of the gates."""

    def agree(self, planned: Planned) -> None:
        """Raise a `UsageError` if what is about to run could not be judged."""
        ...

    def judge(self, runs: Mapping[str, str]) -> Ruling:
        """Judge the runs of this session, by benchmark, as they are recorded."""
        ...


class Reporting:
    """On every process: gives a task's report its meaning, and its result to carry to the controller."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        """An unsolved task fails in one line; whatever else went wrong is an error to every reader of reports."""
        report = yield
        if reference(item) is None or call.when != "call":
            return report
        result = item.stash.get(RESULT, None)
        if result is not None:
            del item.stash[RESULT]  # pytest keeps items to the end: a run's texts must not pile up
            report.mcode = _wire.dump(result)
            report.duration = result.seconds  # the protocol itself only collects what was solved ahead
            report.start = report.stop - result.seconds
        if call.excinfo is None:
            return report
        if unsolved(result) and isinstance(call.excinfo.value, pytest.fail.Exception):
            report.mcode_unsolved = True
            report.longrepr = str(call.excinfo.value)
        elif not isinstance(call.excinfo.value, pytest.skip.Exception):
            report.when = "setup"  # an error, not a failure, for the terminal, JUnit and JSON alike
            if isinstance(call.excinfo.value, McodeError):
                report.longrepr = spelling.spelled(str(call.excinfo.value), item.config)
        return report

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, Any] | None:
        """``u`` for an unsolved task; all else is pytest's own."""
        if getattr(report, "mcode_unsolved", False):
            return "unsolved", "u", ("UNSOLVED", {"yellow": True})
        return None


def unsolved(result: TaskResult | None) -> bool:
    """Whether a task was judged, and no sample passed."""
    return result is not None and result.status is Status.UNSOLVED


class Recorder:
    """On the controller: a row for each task as it ends, and the exit status at the end.

    Args:
        config: Of this session.
        store: Where rows go.
        begin: Records the start of a run on one benchmark, or goes on with one, and returns the run's id.
        breaker: Ends the session when nothing but faults comes.
        gates: Say at the end whether the figures will do.
    """

    def __init__(
        self, config: pytest.Config, store: Results, begin: Callable[[Planned], str], breaker: Breaker, gates: Judging
    ) -> None:
        self._config, self._store, self._begin, self._breaker, self._gates = config, store, begin, breaker, gates
        self._plan = Plan(())
        self._left: dict[str, set[str]] = {}
        self.runs: Mapping[str, str] = {}
        self.counts: Counter[Status] = Counter()

    @property
    def planned(self) -> int:
        """How many tasks this session is to judge."""
        return sum(len(p.tasks) for p in self._plan.benchmarks)

    def place(self, nodeid: str) -> tuple[str, str] | None:
        """Benchmark and task id of an item; None for somebody else's test."""
        return self._plan.find(nodeid)

    def adopt(self, found: Plan) -> None:
        """Take a plan, and begin a run for each of its benchmarks."""
        self._plan = found
        self._left = {p.benchmark: set(p.tasks.values()) for p in found.benchmarks}
        with self._ending_the_run():
            for planned in found.benchmarks:
                self._gates.agree(planned)
            self.runs = {p.benchmark: self._begin(p) for p in found.benchmarks}
            for benchmark, left in self._left.items():
                if not left:
                    self._store.finish(self.runs[benchmark])

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Without xdist the controller collects itself."""
        found = plan(session)
        if found.benchmarks and not session.config.option.collectonly:
            self.adopt(found)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Commit a task's rows before anything tells of it, and let go of its texts."""
        place = self._plan.find(report.nodeid)
        if place is None:
            return
        benchmark, task_id = place
        carried = report.__dict__.pop("mcode", None)
        if carried is not None:
            self._put(benchmark, _wire.load(carried))
        elif report.failed and task_id in self._left[benchmark]:
            report.when = "setup"  # a worker that died is an error, too, and no failure
            self._put(benchmark, TaskResult(task_id, (), report.duration, fault=fault(report)))

    def _put(self, benchmark: str, result: TaskResult) -> None:
        left = self._left[benchmark]
        with self._ending_the_run():
            self._store.put(self.runs[benchmark], result)
            left.discard(result.task_id)
            if not left:
                self._store.finish(self.runs[benchmark])
        self.counts[result.status] += 1
        tripped = self._breaker.tripped(result)
        if tripped:
            self._exit(tripped, pytest.ExitCode.TESTS_FAILED)

    @contextmanager
    def _ending_the_run(self) -> Iterator[None]:
        """A database that can no longer be written ends the run: what is not recorded must not be spent."""
        try:
            yield
        except StoreError as error:
            self._exit(str(error), pytest.ExitCode.INTERRUPTED)
        except UsageError as error:
            self._exit(str(error), pytest.ExitCode.USAGE_ERROR)

    def _exit(self, why: str, status: pytest.ExitCode) -> None:
        pytest.exit(spelling.spelled(why, self._config), returncode=status)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """An unsolved task is data: the status is 0 if every task was judged, and gates and other tests were passed."""
        for run_id in self.runs.values():
            with suppress(StoreError):  # it has ended the run already
                self._store.leave(run_id)
        if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self.runs:
            session.exitstatus = pytest.ExitCode.OK  # all had been judged before
        ruling = self._gates.judge(self.runs)
        stopped = session.shouldfail or session.shouldstop
        borne = self.counts[Status.UNSOLVED] + (self.counts[Status.ERROR] if ruling.errors_borne else 0)
        if session.exitstatus == pytest.ExitCode.TESTS_FAILED and session.testsfailed == borne and not stopped:
            session.exitstatus = pytest.ExitCode.OK
        if session.exitstatus == pytest.ExitCode.OK and (any(self._left.values()) or not ruling.passed):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


class WorkerPlan:
    """On an xdist worker: leaves the plan for the controller, which collects nothing itself."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write before xdist tells the controller that this worker has collected."""
        if not self._path.exists():
            plan(session).write(self._path)
