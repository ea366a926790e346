"""``--model reference``: answers every task with its reference solution, as a model would write it.

It needs no server, goes through the whole pipeline, and must solve everything: the harness's own check.
"""

from __future__ import annotations

from pytest_mcode._errors import ModelError
from pytest_mcode._types import Task

NAME = "reference"


def answer(task: Task) -> str:
    """The task's reference solution in a markdown fence.

    Raises:
        ModelError: The data set has none for this task.
    """
    if not task.reference:
        raise ModelError(f"Task {task.id} has no reference solution: run this benchmark with a real --mcode-model.")
    return f"Here is the solution:\n\n```python\n{task.reference.strip()}\n```\n"
