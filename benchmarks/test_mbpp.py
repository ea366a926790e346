"""MBPP (Austin et al. 2021): the test split, ids 11 to 510, 500 tasks; three asserts judge each."""

from __future__ import annotations

from pytest_mcode import Mcode, Row, Source, Task, benchmark, rows
from pytest_mcode.forms import MBPP_SPLITS, mbpp_task

SOURCE = Source(
    hub="google-research-datasets/mbpp",
    config="full",
    columns={"task_id": int, "text": str, "code": str, "test_setup_code": str, "test_list": list},
    id_format="Mbpp/{}",
    renamed={"prompt": "text"},
    splits=MBPP_SPLITS,
    published={
        "48de2abbd03cf6c1ca823988e47fbf39a8fddeedf68d9be63fafd26fa241a795": "MBPP, test, 500 tasks",
        "8781a29c07f2ec394cf352f986f8cafe96e62191e96389d280b6713180d2e5f1": "MBPP, train, 374 tasks",
        "1719a26ada6df3942ba3f54ece51f9f66ffb07a722307f978d2d01a793075660": "MBPP, validation, 90 tasks",
        "fe6148446adbf6268d9622a142cf416704a5beee3a8f323b771c4a865f31e0f4": "MBPP, prompt, 10 tasks",
    },
)


def to_task(row: Row) -> Task:
    """A task of the full set; its setup code belongs to the tests: it may use what the solution defines."""
    return mbpp_task(row, text=row["text"], setup=row["test_setup_code"])


@benchmark("mbpp", tasks=rows(SOURCE, to_task))
def test_mbpp(task: Task, mcode: Mcode) -> None:
    mcode(task)
