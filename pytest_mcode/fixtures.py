"""What a benchmark's test function receives: its task, and ``mcode``, which solves it."""

from __future__ import annotations

import pytest

from pytest_mcode._benchmark import Benchmark, Mcode
from pytest_mcode._errors import InfrastructureError
from pytest_mcode._types import Status, Task, TaskResult
from pytest_mcode.solving import Solving

RESULT = pytest.StashKey[TaskResult]()


class Fixtures:
    """The fixtures of one process."""

    def __init__(self, solving: Solving) -> None:
        self._solving = solving

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
            try:
                result = self._solving.take(request.node.nodeid, task, found)
            except TimeoutError as error:
                raise InfrastructureError("The task was not done within pytest-timeout's --timeout.") from error
            request.node.stash[RESULT] = result
            if result.status is Status.ERROR:
                raise InfrastructureError(result.error)
            if result.status is Status.UNSOLVED:
                pytest.fail(told(result), pytrace=False)  # a traceback would be slow to make, and tells nothing
            return result

        return run

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Leave no connection, process or container behind."""
        self._solving.close()


def told(result: TaskResult) -> str:
    """One line on an unsolved task."""
    verdicts = ", ".join(sample.status.value for sample in result.samples)
    tries = sum(len(sample.attempts) for sample in result.samples)
    return f"unsolved: {verdicts} ({tries} attempt{'s' if tries > 1 else ''})"
