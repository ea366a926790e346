"""SWE-bench-Live (Zhang et al. 2025): issues of recent months; its rows must carry what swebench 5 evaluates by."""

from __future__ import annotations

from pytest_mcode import Mcode, Source, Task, benchmark, rows
from pytest_mcode.forms import ISSUE_COLUMNS, ISSUE_NAMES, issue_task

SOURCE = Source(
    hub="SWE-bench-Live/SWE-bench-Live",
    columns=ISSUE_COLUMNS,
    renamed=ISSUE_NAMES,
    other_splits=("lite", "verified", "full"),
)


@benchmark("swebench-live", tasks=rows(SOURCE, issue_task), repository=True)
def test_swebench_live(task: Task, mcode: Mcode) -> None:
    mcode(task)
