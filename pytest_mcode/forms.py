"""The forms in which function benchmarks are published, from their rows to tasks."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pytest_mcode._benchmark import function_program
from pytest_mcode._types import Program, Task
from pytest_mcode.dataset import Row

#: Columns of HumanEval's form, which several sets follow.
STUB_COLUMNS: Mapping[str, type] = {
    "task_id": str,
    "prompt": str,
    "canonical_solution": str,
    "test": str,
    "entry_point": str,
}

#: Bytes that EvalPlus lets a program have.
PLUS_MEMORY = 4 << 30

#: First and last id of each of MBPP's splits, as its paper cuts the set.
MBPP_SPLITS: Mapping[str, tuple[int, int]] = {
    "test": (11, 510),
    "train": (601, 974),
    "validation": (511, 600),
    "prompt": (1, 10),
}

#: Columns of SWE-bench's form since its version 5, which carries all that an evaluation needs.
ISSUE_COLUMNS: Mapping[str, type] = {
    "task_id": str,
    "repo": str,
    "base_commit": str,
    "version": str,
    "problem_statement": str,
    "patch": str,
    "test_patch": str,
    "FAIL_TO_PASS": object,
    "PASS_TO_PASS": object,
    "image": str,
    "eval_script": str,
    "log_parser": str,
    "eval_type": str,
}

#: What the releases call the task's id.
ISSUE_NAMES: Mapping[str, str] = {"instance_id": "task_id"}


def issue_task(row: Row) -> Task:
    """A task of SWE-bench's form: an issue of a repository, and the patch that settled it as the reference.

    The row is kept whole in ``extra``: it is what swebench's own grading reads. The hub has lists of tests as JSON,
    local files also as lists.
    """
    if not row["image"] or not row["eval_script"]:
        raise ValueError("image and eval_script must not be empty")
    for column in ("FAIL_TO_PASS", "PASS_TO_PASS"):
        tests = json.loads(row[column]) if isinstance(row[column], str) else row[column]
        if not isinstance(tests, list) or not all(isinstance(test, str) for test in tests):
            raise ValueError(f"{column} must be a list of texts, or one as JSON")
    whole = {name: row[name] for name in ISSUE_COLUMNS if name != "task_id"}
    return Task(
        id=row["task_id"],
        prompt=row["problem_statement"],
        tests=row["test_patch"],
        reference=row["patch"],
        extra={"row": json.dumps({"instance_id": row["task_id"], **whole})},
    )


def stub_task(row: Row) -> Task:
    """A task of HumanEval's form: the prompt ends in the stub that the solution completes.

    What the prompt shows before the stub, imports and helpers, is what a solution may rely on.
    """
    prompt, entry_point = row["prompt"], row["entry_point"]
    return Task(
        id=row["task_id"],
        prompt=prompt,
        tests=f"{row['test']}\n\ncheck({entry_point})\n",
        entry_point=entry_point,
        reference=prompt + row["canonical_solution"],
        preamble=_before_stub(prompt, entry_point),
    )


def mbpp_task(row: Row, *, text: str, setup: str) -> Task:
    """A task of MBPP's form: the prompt is a docstring of the description and the first assert, naming the function.

    Args:
        row: With ``task_id``, ``code`` and ``test_list``.
        text: The description.
        setup: What the tests need; it runs after the solution, whose classes it may use.
    """
    asserts: Sequence[str] = row["test_list"]
    if not all(isinstance(test, str) for test in asserts):
        raise ValueError("test_list must hold texts")
    code = _lines(row["code"])
    return Task(
        id=f"Mbpp/{row['task_id']}",
        prompt=f'"""\n{text.strip()}\n{asserts[0].strip()}\n"""\n',
        tests=_lines("\n".join([setup, *asserts, ""])),
        entry_point=_called(asserts[0], code),
        reference=code,
    )


def mbpp_plus_task(row: Row) -> Task:
    """A task of MBPP+'s form: as `mbpp_task`, judged by the whole program in ``test``."""
    base = mbpp_task(row, text=row["prompt"], setup="")
    return replace(base, tests=_lines("\n".join([*row["test_imports"], row["test"]])))


def plus_program(task: Task, solution: str) -> Program:
    """The program of a task of EvalPlus's: its tests import NumPy, and may use as much memory as EvalPlus lets them."""
    return function_program(task, solution, needs=("numpy",), memory=PLUS_MEMORY)


def _lines(source: str) -> str:
    """Source with line ends as Python itself reads them."""
    return source.replace("\r\n", "\n").replace("\r", "\n")


def _before_stub(prompt: str, entry_point: str) -> str:
    """What a prompt shows before its last top-level definition of that name; empty if there is none."""
    stubs = list(re.finditer(rf"^(async def|def|class) {re.escape(entry_point)}\b", prompt, re.MULTILINE))
    return prompt[: stubs[-1].start()] if stubs else ""


def _called(assertion: str, code: str) -> str:
    """The function of the reference that an assert calls; empty if there is no single one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # published code has invalid escapes
        try:
            module, test = ast.parse(code), ast.parse(assertion.strip())
        except (RecursionError, MemoryError) as error:
            raise ValueError("it is nested too deeply to be read") from error
    defined = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
    names = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)} & defined
    return names.pop() if len(names) == 1 else ""
