"""SWE-bench Verified (OpenAI 2024): 500 issues of SWE-bench that people found well posed and fairly tested."""

from __future__ import annotations

from pytest_mcode import Mcode, Source, Task, benchmark, rows
from pytest_mcode.forms import ISSUE_COLUMNS, ISSUE_NAMES, issue_task

SOURCE = Source(
    hub="SWE-bench/SWE-bench_Verified",
    columns=ISSUE_COLUMNS,
    renamed=ISSUE_NAMES,
)


@benchmark("swebench-verified", tasks=rows(SOURCE, issue_task), repository=True)
def test_swebench_verified(task: Task, mcode: Mcode) -> None:
    mcode(task)
