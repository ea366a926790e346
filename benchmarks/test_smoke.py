"""Twenty small tasks of our own, shipped with mCode: a check of a model and of the harness, not a measure.

They are in HumanEval's form; each is a module of its own in smoke/, where it says how they are written.
"""

from __future__ import annotations

import re
from pathlib import Path

from pytest_mcode import Mcode, Task, benchmark
from pytest_mcode.forms import stub_task


def to_task(number: int, module: Path) -> Task:
    """Cut a module's text; the last function or class before the cut is the one to write."""
    prompt, rest = module.read_text(encoding="utf-8").split("    # solution\n")
    solution, check, test = rest.partition("def check(")
    return stub_task(
        {
            "task_id": f"smoke/{number}",
            "prompt": prompt,
            "canonical_solution": solution,
            "test": check + test,
            "entry_point": re.findall(r"^(?:def|class) (\w+)", prompt, re.MULTILINE)[-1],
        }
    )


TASKS = [to_task(*at) for at in enumerate(sorted(Path(__file__).with_name("smoke").glob("task_*.py")))]


@benchmark("smoke", tasks=TASKS)
def test_smoke(task: Task, mcode: Mcode) -> None:
    mcode(task)
