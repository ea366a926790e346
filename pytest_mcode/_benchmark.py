"""What a benchmark is: a name, its tasks, and how a solution and its tests make a program.

Declared, it is three lines::

    @benchmark("humaneval", tasks=rows(SOURCE, stub_task))
    def test_humaneval(task: Task, mcode: Mcode) -> None:
        mcode(task)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from pytest_mcode._errors import DataError
from pytest_mcode._types import Program, Task, TaskResult
from pytest_mcode.dataset import Row, Rows, Source, fingerprint, open_rows, require_unique
from pytest_mcode.isolation import isolation

if TYPE_CHECKING:
    from pytest_mcode.settings import Settings

#: What a function from rows to tasks raises where a row is not of the form that it expects.
UNFIT = (LookupError, TypeError, ValueError, SyntaxError, AttributeError, ArithmeticError, RuntimeError)

Test = TypeVar("Test", bound=Callable[..., object])


class Mcode(Protocol):
    """The ``mcode`` fixture: solves the task and records the result; an unsolved task ends the test there."""

    def __call__(self, task: Task) -> TaskResult:
        """Solve ``task`` with the configured model, sandbox and options."""
        ...


class TaskSet(Protocol):
    """The tasks of a benchmark as a run sees them: ids at hand, each task made when it is wanted."""

    @property
    def ids(self) -> Sequence[str]:
        """Task ids, in the data set's order."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the content of all tasks."""
        ...

    @property
    def origin(self) -> str:
        """Where the tasks came from, and which published set they are if they are one."""
        ...

    def task(self, index: int) -> Task:
        """Make the task of that place in ``ids``."""
        ...


class TaskSource(Protocol):
    """Where a benchmark's tasks come from."""

    def open(self, settings: Settings, cache: Path) -> TaskSet:
        """Return the tasks of the configured split; loads and caches them if nobody did before."""
        ...


@dataclass(frozen=True)
class Benchmark:
    """A named set of tasks, and how a task and a solution make a program.

    Attributes:
        name: As options and results spell it.
        tasks: Where its tasks come from.
        program: Puts a task and a solution together.
        repository: Whether its tasks are issues of repositories, as `pytest_mcode.forms.issue_task` makes them: then a
            solution is a patch, and swebench's own grading judges it.
    """

    name: str
    tasks: TaskSource
    program: Callable[[Task, str], Program]
    repository: bool = False


def function_program(task: Task, solution: str, *, needs: tuple[str, ...] = (), memory: int = 0) -> Program:
    """The program of a benchmark whose tests call functions of the solution, isolated from it where the task allows.

    Args:
        task: With its tests.
        solution: What is to be judged.
        needs: Packages that the tests import.
        memory: Bytes that they need, where that is more than a sandbox allows.
    """
    return Program(solution, task.tests, isolation(task.tests, task.reference, task.preamble), needs, memory)


def benchmark(
    name: str,
    *,
    tasks: TaskSource | Sequence[Task],
    program: Callable[[Task, str], Program] = function_program,
    repository: bool = False,
) -> Callable[[Test], Test]:
    """Make a test function a benchmark: it runs once for each task when ``--mcode-bench`` names it.

    Args:
        name: The benchmark's name, as options and results spell it.
        tasks: `rows` of a data set, or the tasks themselves.
        program: Puts a task and a solution together; by default the solution, then the task's tests.
        repository: Whether the tasks are issues of repositories, as `pytest_mcode.forms.issue_task` makes them.
    """
    import pytest

    source = _Listed(tuple(tasks)) if isinstance(tasks, Sequence) else tasks
    mark = pytest.mark.mcode(Benchmark(name, source, program, repository))

    def decorate(function: Test) -> Test:
        function.__test__ = True  # type: ignore[attr-defined]  # a user's `python_functions` must not hide it
        marked: Test = mark(function)
        return marked

    return decorate


def rows(source: Source, to_task: Callable[[Row], Task]) -> TaskSource:
    """The tasks of a data set: one of each of its rows."""
    return _FromRows(source, to_task)


@dataclass(frozen=True)
class _FromRows:
    source: Source
    to_task: Callable[[Row], Task]

    def open(self, settings: Settings, cache: Path) -> TaskSet:
        found = open_rows(self.source, split=settings.split, data=settings.data, cache=cache)
        return _RowTasks(found, self.source, self.to_task)


@dataclass(frozen=True)
class _RowTasks:
    rows: Rows
    source: Source
    to_task: Callable[[Row], Task]

    @property
    def ids(self) -> Sequence[str]:
        return self.rows.ids

    @property
    def fingerprint(self) -> str:
        return self.rows.fingerprint

    @property
    def origin(self) -> str:
        if not self.source.published:
            return self.rows.origin
        known = self.source.published.get(self.fingerprint)
        said = f"as published ({known})" if known else "its content is not recognised as that of a published set"
        return f"{self.rows.origin}: {said}"

    def task(self, index: int) -> Task:
        try:
            return replace(self.to_task(self.rows[index]), id=self.ids[index])
        except UNFIT as error:
            raise DataError(
                f"{self.rows.origin}: the row of task {self.ids[index]} is not of the expected form ({error!r})."
            ) from error


@dataclass(frozen=True)
class _Listed:
    tasks: tuple[Task, ...]

    def open(self, settings: Settings, cache: Path) -> TaskSet:  # noqa: ARG002 - nothing to load
        for name, value in (("data", settings.data), ("split", settings.split)):
            if value is not None:
                raise DataError(
                    f"--mcode-{name} has no meaning for tasks that are listed in a test module: leave it out."
                )
        require_unique([task.id for task in self.tasks], _ListedTasks.origin)
        return _ListedTasks(self.tasks)


@dataclass(frozen=True)
class _ListedTasks:
    tasks: tuple[Task, ...]
    origin: str = "tasks listed in the test module"

    @property
    def ids(self) -> Sequence[str]:
        return [task.id for task in self.tasks]

    @property
    def fingerprint(self) -> str:
        return fingerprint([{**asdict(task), "extra": dict(task.extra)} for task in self.tasks])

    def task(self, index: int) -> Task:
        return self.tasks[index]
