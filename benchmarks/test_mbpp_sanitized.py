"""MBPP sanitized (Austin et al. 2021): the hand-verified tasks; 257 of them are in the test split."""

from __future__ import annotations

from pytest_mcode import Mcode, Row, Source, Task, benchmark, rows
from pytest_mcode.forms import MBPP_SPLITS, mbpp_task

SOURCE = Source(
    hub="google-research-datasets/mbpp",
    config="sanitized",
    columns={"task_id": int, "prompt": str, "code": str, "test_imports": list, "test_list": list},
    id_format="Mbpp/{}",
    renamed={"text": "prompt"},
    splits=MBPP_SPLITS,
    published={
        "14388abe74284187ee43c81c43a8bacb526bea148b0ab7bd487ab0d6307fbbfb": "sanitized MBPP, test, 257 tasks",
        "aac599a5294ef1d87942990df787c6eb730fb0556796c0b90edf09e50d03d66c": "sanitized MBPP, train, 120 tasks",
        "b0f32e4ad2dff6b6b4fe969bf379b417e14665b3e7a8e5bd47254b11eeb4ed97": "sanitized MBPP, validation, 43 tasks",
        "bd505471808e049155a928eab6edec5a76a90a49c02149240c0399190858d503": "sanitized MBPP, prompt, 7 tasks",
    },
)


def to_task(row: Row) -> Task:
    """A task of the sanitized set; its imports belong to the tests."""
    return mbpp_task(row, text=row["prompt"], setup="\n".join(row["test_imports"]))


@benchmark("mbpp-sanitized", tasks=rows(SOURCE, to_task))
def test_mbpp_sanitized(task: Task, mcode: Mcode) -> None:
    mcode(task)
