"""mCode: benchmark code-writing language models with pytest, through Mellea.

These are the public names; each is loaded when it is first used, because pytest imports every plugin at every start.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_mcode._benchmark import Mcode, benchmark, function_program, rows
    from pytest_mcode._errors import DataError, McodeError
    from pytest_mcode._types import Program, Task, TaskResult
    from pytest_mcode.dataset import Row, Source

_HOMES = {
    "DataError": "_errors",
    "Mcode": "_benchmark",
    "McodeError": "_errors",
    "Program": "_types",
    "Row": "dataset",
    "Source": "dataset",
    "Task": "_types",
    "TaskResult": "_types",
    "benchmark": "_benchmark",
    "function_program": "_benchmark",
    "rows": "_benchmark",
}

__all__ = [
    "DataError",
    "Mcode",
    "McodeError",
    "Program",
    "Row",
    "Source",
    "Task",
    "TaskResult",
    "benchmark",
    "function_program",
    "rows",
]


def __getattr__(name: str) -> Any:
    """Load a public name."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value
