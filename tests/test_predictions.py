from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_mcode._errors import DataError
from pytest_mcode._rows import AttemptRow
from pytest_mcode.predictions import read, written


def attempt(task: str, sample: int, number: int, patch: str | None) -> AttemptRow:
    row: dict[str, Any] = dict.fromkeys(AttemptRow._fields)
    return AttemptRow(**{**row, "task_id": task, "sample": sample, "attempt": number, "solution": patch})


def test_a_prediction_is_the_last_patch_of_the_first_sample() -> None:
    attempts = [
        attempt("b__b-2", 0, 1, "fixed"),
        attempt("b__b-2", 0, 0, "first"),
        attempt("b__b-2", 1, 0, "other"),
        attempt("a__a-1", 0, 0, None),
    ]
    assert list(written(attempts, "granite3.3:8b", ["c__c-3", "a__a-1"])) == [
        {"instance_id": "a__a-1", "model_name_or_path": "granite3.3:8b", "model_patch": ""},
        {"instance_id": "b__b-2", "model_name_or_path": "granite3.3:8b", "model_patch": "fixed"},
        {"instance_id": "c__c-3", "model_name_or_path": "granite3.3:8b", "model_patch": ""},
    ]


ROWS: list[dict[str, Any]] = [
    {"instance_id": "a__a-1", "model_name_or_path": "m", "model_patch": "diff"},
    {"instance_id": "b__b-2", "model_name_or_path": "m", "model_patch": None},
]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(map(json.dumps, ROWS)) + "\n\n",
        json.dumps(ROWS),
        json.dumps({row["instance_id"]: row for row in ROWS}, indent=2),
    ],
    ids=["lines", "a list", "an object"],
)
def test_predictions_are_read_in_each_form_that_swebench_reads(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.jsonl").write_text(text)
    assert read(tmp_path / "p.jsonl") == {"a__a-1": "diff", "b__b-2": ""}


def test_what_is_written_swebench_itself_reads(tmp_path: Path) -> None:
    from swebench.harness.utils import get_predictions_from_file

    rows = list(written([attempt("a__a-1", 0, 0, "diff\n")], "org/model"))
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert get_predictions_from_file(str(tmp_path / "p.jsonl"), "", "test") == rows
    assert read(tmp_path / "p.jsonl") == {"a__a-1": "diff\n"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{\n", "p.jsonl, line 1, is not JSON"),
        ("", "p.jsonl holds no prediction: each line must be an object with instance_id, model_name"),
        ("3\n", "p.jsonl, prediction 1: it must be an object with instance_id"),
        ('{"instance_id": "a", "model_patch": 3}', "model_patch of a must be a text or null, not int"),
        (json.dumps([ROWS[0], ROWS[0]]), "prediction 2: a__a-1 is there twice"),
    ],
)
def test_what_is_no_file_of_predictions_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "p.jsonl").write_text(text)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "p.jsonl")
    assert message in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jsonl cannot be read"):
        read(tmp_path / "none.jsonl")
