from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mcode import DataError, Mcode, Program, Row, Source, Task, benchmark, function_program, rows
from pytest_mcode._benchmark import Benchmark, TaskSet, TaskSource
from pytest_mcode.settings import Settings

TASKS = (Task(id="one", prompt="p", tests="assert f()"), Task(id="two", prompt="q", tests="", extra={"k": "v"}))
SOURCE = Source(hub="somebody/set", columns={"task_id": str, "code": str})


def declared(function: Callable[..., object]) -> Benchmark:
    found: Benchmark = function.pytestmark[0].args[0]  # type: ignore[attr-defined]  # pytest's own attribute
    return found


def of_code(row: Row) -> Task:
    if row["code"] == "bad":
        compile("(", "row", "exec")
    return Task(id=row["task_id"], prompt="", tests="", reference=row["code"].removeprefix("#"), entry_point="f")


def opened(source: TaskSource, tmp_path: Path, **settings: str) -> TaskSet:
    return source.open(Settings(**settings), tmp_path)  # type: ignore[arg-type]


def written(path: Path, *found: object) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return str(path)


def test_a_test_function_is_made_a_benchmark_that_no_setting_of_its_user_hides() -> None:
    @benchmark("mine", tasks=TASKS)
    def check_mine(task: Task, mcode: Mcode) -> None:
        mcode(task)

    found = declared(check_mine)
    assert found.name == "mine"
    assert check_mine.__test__ is True  # type: ignore[attr-defined]
    assert found.program(TASKS[0], "def f(): ...") == Program(solution="def f(): ...", tests="assert f()")
    assert found.program is function_program


def test_a_benchmark_may_put_its_programs_together_itself() -> None:
    def program(task: Task, solution: str) -> Program:
        return Program(solution=solution.upper(), tests=task.id)

    def test_mine(task: Task, mcode: Mcode) -> None:
        mcode(task)

    found = declared(benchmark("mine", tasks=TASKS, program=program)(test_mine))
    assert found.program(TASKS[0], "x") == Program(solution="X", tests="one")


def listed(*tasks: Task) -> TaskSource:
    def test_mine(task: Task, mcode: Mcode) -> None:
        mcode(task)

    return declared(benchmark("mine", tasks=tasks)(test_mine)).tasks


def test_tasks_may_be_listed_in_the_module(tmp_path: Path) -> None:
    found = opened(listed(*TASKS), tmp_path)
    assert list(found.ids) == ["one", "two"]
    assert found.task(1) == TASKS[1]
    assert found.origin == "tasks listed in the test module"


def test_the_fingerprint_of_listed_tasks_is_of_all_their_content(tmp_path: Path) -> None:
    prints = [
        opened(listed(*tasks), tmp_path).fingerprint
        for tasks in (TASKS, TASKS, TASKS[::-1], TASKS[:1], (TASKS[0], Task(id="two", prompt="q", tests="")))
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 4


@pytest.mark.parametrize(("option", "value"), [("data", "rows.jsonl"), ("split", "train")])
def test_options_of_data_sets_mean_nothing_to_listed_tasks(tmp_path: Path, option: str, value: str) -> None:
    with pytest.raises(DataError, match=f"^--mcode-{option} has no meaning for tasks that are listed in a test module"):
        opened(listed(*TASKS), tmp_path, **{option: value})


def test_listed_tasks_have_ids_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"^Task id 'one' is there twice in tasks listed in the test module: ids must be unique\.$"
    ):
        opened(listed(TASKS[0], TASKS[0]), tmp_path)


def test_tasks_are_made_of_rows_when_they_are_wanted(tmp_path: Path) -> None:
    data = written(tmp_path / "a.jsonl", {"task_id": "a", "code": "#x"}, {"task_id": "b", "code": "bad"})
    found = opened(rows(SOURCE, of_code), tmp_path, data=data)
    assert list(found.ids) == ["a", "b"]
    assert found.task(0).reference == "x"
    with pytest.raises(
        DataError, match=rf"^{data}: the row of task b is not of the expected form \(SyntaxError.*\)\.$"
    ):
        found.task(1)


def test_a_task_is_known_by_the_id_that_its_source_gives_it(tmp_path: Path) -> None:
    data = written(tmp_path / "a.jsonl", {"task_id": "a", "code": "x"})
    source = Source(SOURCE.hub, SOURCE.columns, id_format="Mine/{}")
    found = opened(rows(source, of_code), tmp_path, data=data)
    assert [found.task(0).id] == list(found.ids) == ["Mine/a"]


def test_a_published_set_is_recognised_and_another_one_said_not_to_be(tmp_path: Path) -> None:
    data = written(tmp_path / "a.jsonl", {"task_id": "a", "code": "x"})
    plain = opened(rows(SOURCE, of_code), tmp_path, data=data)
    known = Source(SOURCE.hub, SOURCE.columns, published={plain.fingerprint: "Set, 1 task"})
    unknown = Source(SOURCE.hub, SOURCE.columns, published={"0": "Set, 1 task"})
    assert plain.origin == data
    assert opened(rows(known, of_code), tmp_path, data=data).origin == f"{data}: as published (Set, 1 task)"
    assert opened(rows(unknown, of_code), tmp_path, data=data).origin == (
        f"{data}: its content is not recognised as that of a published set"
    )
