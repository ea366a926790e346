"""HumanEval+ (Liu et al. 2023): the tasks of HumanEval, each judged by about 80 times as many tests."""

from __future__ import annotations

from dataclasses import replace

from pytest_mcode import Mcode, Row, Source, Task, benchmark, rows
from pytest_mcode.forms import STUB_COLUMNS, plus_program, stub_task

SOURCE = Source(
    hub="evalplus/humanevalplus",
    columns=STUB_COLUMNS,
    published={
        "d81c20f4adcd158f8c26d543f323675195fc54490a451ca24188f6bc8ddce9eb": "HumanEval+, 164 tasks",
    },
)


#: As published, the test of HumanEval/32 passes the polynomial's value where its point belongs, and no solution passes.
WRONG, MEANT = "_poly(*candidate(*inp), inp) <= 0.0001", "abs(_poly(*inp, candidate(*inp))) <= 0.0001"


def to_task(row: Row) -> Task:
    """A task of HumanEval's form, with the one test mended that is wrong."""
    task = stub_task(row)
    return replace(task, tests=task.tests.replace(WRONG, MEANT))


@benchmark("humaneval+", tasks=rows(SOURCE, to_task), program=plus_program)
def test_humaneval_plus(task: Task, mcode: Mcode) -> None:
    mcode(task)
