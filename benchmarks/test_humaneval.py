"""HumanEval (Chen et al. 2021): 164 functions to complete from their signature and docstring."""

from __future__ import annotations

from pytest_mcode import Mcode, Source, Task, benchmark, rows
from pytest_mcode.forms import STUB_COLUMNS, stub_task

SOURCE = Source(
    hub="openai/openai_humaneval",
    columns=STUB_COLUMNS,
    published={
        "9345bdf84c12086d808c671a8f61f2fa89353e1c147804ec9c2223102d7dadc3": "HumanEval, 164 tasks",
    },
)


@benchmark("humaneval", tasks=rows(SOURCE, stub_task))
def test_humaneval(task: Task, mcode: Mcode) -> None:
    mcode(task)
