"""SWE-bench Lite (Jimenez et al. 2024): 300 issues of twelve Python repositories, each to be settled by a patch."""

from __future__ import annotations

from pytest_mcode import Mcode, Source, Task, benchmark, rows
from pytest_mcode.forms import ISSUE_COLUMNS, ISSUE_NAMES, issue_task

SOURCE = Source(
    hub="SWE-bench/SWE-bench_Lite",
    columns=ISSUE_COLUMNS,
    renamed=ISSUE_NAMES,
    other_splits=("dev",),
    published={
        "ad766f3877ceda8bdeceb27af64f2703f48e9c77e60009f582cb2750e8dc2afa": "SWE-bench Lite, test, 300 tasks",
    },
)


@benchmark("swebench-lite", tasks=rows(SOURCE, issue_task), repository=True)
def test_swebench_lite(task: Task, mcode: Mcode) -> None:
    mcode(task)
