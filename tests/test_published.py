"""The benchmarks' own declarations against the sets as they are published."""

from __future__ import annotations

import ast
import gzip
import json
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from benchmarks import test_humaneval, test_humaneval_plus, test_mbpp, test_mbpp_plus, test_mbpp_sanitized
from pytest_mcode import DataError, Source, Task
from pytest_mcode._benchmark import Benchmark, TaskSet
from pytest_mcode.settings import Settings

HUMANEVAL, MBPP, SANITIZED = "HumanEval.jsonl.gz", "mbpp.jsonl", "mbpp-sanitized.json"
HUMANEVAL_PLUS, MBPP_PLUS = "HumanEvalPlus-OriginFmt.jsonl.gz", "MbppPlus-OriginFmt.jsonl.gz"


def declared(module: ModuleType) -> tuple[Benchmark, Source]:
    [function] = [value for name, value in vars(module).items() if name.startswith("test_")]
    return function.pytestmark[0].args[0], module.SOURCE


def opened(module: ModuleType, data: Path, cache: Path, split: str | None = None) -> TaskSet:
    return declared(module)[0].tasks.open(Settings(data=str(data), split=split), cache)


def whole(tasks: TaskSet) -> list[Task]:
    return [tasks.task(index) for index in range(len(tasks.ids))]


def raw(path: Path) -> list[dict[str, Any]]:
    body = path.read_bytes()
    text = (gzip.decompress(body) if path.suffix == ".gz" else body).decode()
    rows: list[dict[str, Any]] = (
        json.loads(text) if text[0] == "[" else [json.loads(line) for line in text.splitlines()]
    )
    return rows


def test_humaneval_is_164_tasks(shared_data: Path, tmp_path: Path) -> None:
    found = opened(test_humaneval, shared_data / HUMANEVAL, tmp_path)
    assert list(found.ids) == [f"HumanEval/{number}" for number in range(164)]


def test_mbpp_is_the_500_tasks_of_the_test_split(shared_data: Path, tmp_path: Path) -> None:
    found = opened(test_mbpp, shared_data / MBPP, tmp_path)
    assert list(found.ids) == [f"Mbpp/{number}" for number in range(11, 511)]


def test_sanitized_mbpp_is_257_tasks_of_the_test_split(shared_data: Path, tmp_path: Path) -> None:
    found = opened(test_mbpp_sanitized, shared_data / SANITIZED, tmp_path)
    test_split = {f"Mbpp/{number}" for number in range(11, 511)}
    assert len(found.ids) == len(set(found.ids)) == 257
    assert set(found.ids) < test_split


@pytest.mark.parametrize(
    ("module", "file", "split", "name"),
    [
        (test_humaneval, HUMANEVAL, "test", "HumanEval, 164 tasks"),
        (test_humaneval_plus, HUMANEVAL_PLUS, "test", "HumanEval+, 164 tasks"),
        (test_mbpp_plus, MBPP_PLUS, "test", "MBPP+, 378 tasks"),
        (test_mbpp, MBPP, "test", "MBPP, test, 500 tasks"),
        (test_mbpp, MBPP, "train", "MBPP, train, 374 tasks"),
        (test_mbpp, MBPP, "validation", "MBPP, validation, 90 tasks"),
        (test_mbpp, MBPP, "prompt", "MBPP, prompt, 10 tasks"),
        (test_mbpp_sanitized, SANITIZED, "test", "sanitized MBPP, test, 257 tasks"),
        (test_mbpp_sanitized, SANITIZED, "train", "sanitized MBPP, train, 120 tasks"),
        (test_mbpp_sanitized, SANITIZED, "validation", "sanitized MBPP, validation, 43 tasks"),
        (test_mbpp_sanitized, SANITIZED, "prompt", "sanitized MBPP, prompt, 7 tasks"),
    ],
)
def test_every_split_is_recognised(
    shared_data: Path, tmp_path: Path, module: ModuleType, file: str, split: str, name: str
) -> None:
    found = opened(module, shared_data / file, tmp_path, split)
    assert f", {len(found.ids)} tasks" in name
    assert declared(module)[1].published[found.fingerprint] == name
    assert found.origin.endswith(f": as published ({name})")


@pytest.mark.parametrize(
    "module", [test_humaneval, test_humaneval_plus, test_mbpp, test_mbpp_plus, test_mbpp_sanitized]
)
def test_no_fingerprint_is_declared_but_those_of_its_splits(module: ModuleType) -> None:
    source = declared(module)[1]
    assert len(source.published) == len(source.splits_known)


@pytest.mark.parametrize(
    ("module", "file", "old", "new"),
    [(test_mbpp, MBPP, "text", "prompt"), (test_mbpp_sanitized, SANITIZED, "prompt", "text")],
)
def test_the_other_name_of_the_description_makes_the_same_tasks(
    shared_data: Path, tmp_path: Path, module: ModuleType, file: str, old: str, new: str
) -> None:
    rows = [{new if name == old else name: value for name, value in row.items()} for row in raw(shared_data / file)]
    (tmp_path / "renamed.json").write_text(json.dumps(rows))
    renamed, original = (opened(module, path, tmp_path) for path in (tmp_path / "renamed.json", shared_data / file))
    assert renamed.fingerprint == original.fingerprint
    assert renamed.task(3) == original.task(3)


@pytest.mark.parametrize(
    ("module", "file"), [(test_humaneval, HUMANEVAL), (test_mbpp, MBPP), (test_mbpp_sanitized, SANITIZED)]
)
def test_parquet_makes_the_same_tasks(shared_data: Path, tmp_path: Path, module: ModuleType, file: str) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(raw(shared_data / file)), tmp_path / "rows.parquet")
    found, original = (opened(module, path, tmp_path) for path in (tmp_path / "rows.parquet", shared_data / file))
    assert found.fingerprint == original.fingerprint
    assert whole(found) == whole(original)


def test_a_set_that_was_changed_is_not_recognised(shared_data: Path, tmp_path: Path) -> None:
    rows = raw(shared_data / HUMANEVAL)
    rows[7]["test"] += " "
    (tmp_path / "mine.json").write_text(json.dumps(rows))
    found = opened(test_humaneval, tmp_path / "mine.json", tmp_path)
    assert found.origin.endswith("mine.json: its content is not recognised as that of a published set")


def test_another_benchmark_s_file_is_refused(shared_data: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"row 1: there is no column 'test_imports'; it must have task_id, prompt, code"
    ):
        opened(test_mbpp_sanitized, shared_data / MBPP, tmp_path)


@pytest.mark.parametrize(
    ("module", "file"),
    [
        (test_humaneval, HUMANEVAL),
        (test_humaneval_plus, HUMANEVAL_PLUS),
        (test_mbpp, MBPP),
        (test_mbpp_plus, MBPP_PLUS),
        (test_mbpp_sanitized, SANITIZED),
    ],
)
def test_every_task_is_whole(shared_data: Path, tmp_path: Path, module: ModuleType, file: str) -> None:
    for task in whole(opened(module, shared_data / file, tmp_path)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", (DeprecationWarning, SyntaxWarning))  # published code has invalid escapes
            defined = [node.name for node in ast.parse(task.reference).body if isinstance(node, ast.FunctionDef)]
            ast.parse(task.preamble)
            ast.parse(task.tests)
            ast.parse(task.prompt + ("" if task.prompt.startswith('"""') else "    pass"))
        assert task.entry_point in defined
        assert task.entry_point in task.prompt
        assert "\r" not in task.reference + task.tests


@pytest.mark.parametrize(
    ("module", "file", "mended"),
    [
        (test_humaneval_plus, HUMANEVAL_PLUS, ["HumanEval/32"]),
        (test_mbpp_plus, MBPP_PLUS, ["Mbpp/737", "Mbpp/787", "Mbpp/794"]),
    ],
)
def test_of_the_plus_sets_those_tests_are_mended_that_are_wrong_as_published(
    shared_data: Path, tmp_path: Path, module: ModuleType, file: str, mended: list[str]
) -> None:
    published = [row["test"].replace("\r\n", "\n") for row in raw(shared_data / file)]
    tasks = whole(opened(module, shared_data / file, tmp_path))
    assert [task.id for task, test in zip(tasks, published, strict=True) if test not in task.tests] == mended


def test_humaneval_shows_helpers_that_a_solution_may_rely_on(shared_data: Path, tmp_path: Path) -> None:
    preambles = {t.id: t.preamble for t in whole(opened(test_humaneval, shared_data / HUMANEVAL, tmp_path))}
    assert {task_id for task_id, preamble in preambles.items() if "def " in preamble} == {
        *("HumanEval/10", "HumanEval/32", "HumanEval/38", "HumanEval/50")
    }
    assert sum(bool(preamble.strip()) for preamble in preambles.values()) == 26
