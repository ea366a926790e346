"""MBPP+ (Liu et al. 2023): 378 hand-verified tasks of MBPP, each judged by about 35 times as many tests."""

from __future__ import annotations

from dataclasses import replace

from pytest_mcode import Mcode, Row, Source, Task, benchmark, rows
from pytest_mcode.forms import mbpp_plus_task, plus_program

SOURCE = Source(
    hub="evalplus/mbppplus",
    columns={"task_id": int, "prompt": str, "code": str, "test_imports": list, "test_list": list, "test": str},
    id_format="Mbpp/{}",
    published={
        "20e8e48700c8397b9b668c8591684eda128bd32304b4ebf00aba6a9d1d2947af": "MBPP+, 378 tasks",
    },
)


#: As published, the tests of Mbpp/737, 787 and 794 compare and then assert nothing, so that any solution passes.
COMPARED = "        exact_match = exp == (out is not None)\n"


def to_task(row: Row) -> Task:
    """A task of MBPP+'s form, with the tests made to assert what they compare."""
    task = mbpp_plus_task(row)
    return replace(task, tests=task.tests.replace(COMPARED, f"{COMPARED}    assert exact_match\n"))


@benchmark("mbpp+", tasks=rows(SOURCE, to_task), program=plus_program)
def test_mbpp_plus(task: Task, mcode: Mcode) -> None:
    mcode(task)
