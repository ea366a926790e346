"""The real EvalPlus reads what is exported, and comes to the same verdict on each sample, right or wrong.

Its data sets are made here, in its own form, from the published ones: the inputs of the base tests are those with
which the tests call the reference.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import gzip
import io
import json
import os
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_mcode.report.exports import MBPP_PLUS

#: Seconds of the base tests with the reference: on a busy machine, what takes longer may be a timeout to either side.
SLOW = 0.2
#: Tasks whose tests draw their inputs at random.
RANDOM = ("HumanEval/32", "HumanEval/38", "HumanEval/44", "HumanEval/50", "HumanEval/53")


@dataclass(frozen=True)
class Problem:
    """A task in EvalPlus's terms.

    Attributes:
        id: As EvalPlus spells it.
        prompt: What a solution begins with.
        body: The rest of the reference.
        name: The function.
        tests: Its base tests; they call ``candidate``, or the function by its name.
    """

    id: str
    prompt: str
    body: str
    name: str
    tests: str

    @property
    def reference(self) -> str:
        return self.prompt + self.body

    def inputs(self) -> list[list[Any]] | None:
        """The arguments of each call of the base tests; None where they are slow, or JSON does not carry them."""
        from evalplus.data.mbpp import mbpp_deserialize_inputs

        calls: list[list[Any]] = []
        space: dict[str, Any] = {}
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(self.reference, space)
            space[self.name] = space["candidate"] = listening(space[self.name], calls)
            started = time.process_time()
            try:
                exec(self.tests, space)
                carried = json.loads(json.dumps(calls))
                if self.id.startswith("Mbpp/"):
                    carried = mbpp_deserialize_inputs(self.id, carried)
            except (TypeError, ValueError, AttributeError):
                return None
        fast = time.process_time() - started < SLOW
        return calls if fast and repr(carried) == repr(calls) else None

    def row(self, inputs: Sequence[Any]) -> dict[str, Any]:
        """EvalPlus's row of it."""
        return {
            "task_id": self.id,
            "prompt": self.prompt,
            "canonical_solution": self.body,
            "entry_point": self.name,
            "contract": "",
            "base_input": inputs,
            "plus_input": [],
            "atol": 0,
        }


def listening(function: Callable[..., Any], calls: list[list[Any]]) -> Callable[..., Any]:
    """The function, which keeps the arguments of the calls from outside of it."""
    depth = [0]

    def called(*arguments: Any) -> Any:
        if not depth[0]:
            calls.append(copy.deepcopy([*arguments]))
        depth[0] += 1
        try:
            return function(*arguments)
        finally:
            depth[0] -= 1

    return called


def humaneval(data: Path) -> Iterator[Problem]:
    with gzip.open(data / "HumanEval.jsonl.gz", "rt") as lines:
        for row in map(json.loads, lines):
            tests = f"{row['test']}\n\ncheck(candidate)"
            yield Problem(row["task_id"], row["prompt"], row["canonical_solution"], row["entry_point"], tests)


def mbpp(data: Path) -> Iterator[Problem]:
    """The tasks of the test split that EvalPlus judges and whose asserts say which value is right."""
    for row in map(json.loads, (data / "mbpp.jsonl").read_text().splitlines()):
        number = int(row["task_id"])
        code = row["code"].replace("\r\n", "\n")
        asserts = [ast.parse(test.strip()).body[0] for test in row["test_list"]]
        calls = [called for node in asserts if (called := equated(node))]
        names = {*calls}
        if 11 <= number <= 510 and MBPP_PLUS >> number & 1 and len(calls) == len(asserts) and len(names) == 1:
            tests = "\n".join([row["test_setup_code"], *row["test_list"]])
            yield Problem(f"Mbpp/{number}", "", code, names.pop(), tests)


def equated(test: ast.stmt) -> str | None:
    """The function whose value an assert says; None if it says something else."""
    match test:
        case ast.Assert(test=ast.Compare(left=ast.Call(func=ast.Name(id=name)), ops=[ast.Eq()])):
            return name
    return None


#: Slips that are easily made.
COMPARISONS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq}
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Mod: ast.FloorDiv}


class Mutant(ast.NodeTransformer):
    """Changes the n-th place of a program at which a slip is easy."""

    def __init__(self, place: int) -> None:
        self.left = place

    def due(self) -> bool:
        self.left -= 1
        return self.left == -1

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        swapped = COMPARISONS.get(type(node.ops[0]))
        if swapped and self.due():
            node.ops[0] = swapped()
        return self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        swapped = OPERATORS.get(type(node.op))
        if swapped and self.due():
            node.op = swapped()
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if type(node.value) is int and self.due():
            return ast.Constant(node.value + 1)
        return node


def solutions(problem: Problem, number: int) -> list[str]:
    """Two samples of a task: its reference, or nothing that works, and a mutant of the reference."""
    broken = ("", "def nothing(:\n", f"raise SystemExit(0)\n{problem.reference}", "import os\nos._exit(0)\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mutant = ast.unparse(ast.fix_missing_locations(Mutant(number % 3).visit(ast.parse(problem.reference))))
    return [broken[number // 4 % 4] if number % 4 == 3 else problem.reference, mutant]


def mcode(place: Path, *words: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MCODE_", "PYTEST"))}
    command = [sys.executable, "-m", "pytest_mcode", *words]
    environment = {**kept, "MCODE_CACHE_DIR": str(place / "cache")}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def write(path: Path, rows: Sequence[object]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@dataclass(frozen=True)
class Case:
    """A benchmark, its problems, its file, and the variable that tells EvalPlus where its own is."""

    benchmark: str
    problems: Callable[[Path], Iterator[Problem]]
    file: str
    variable: str


@pytest.mark.parametrize(
    "case",
    [
        Case("humaneval", humaneval, "HumanEval.jsonl.gz", "HUMANEVAL_OVERRIDE_PATH"),
        Case("mbpp", mbpp, "mbpp.jsonl", "MBPP_OVERRIDE_PATH"),
    ],
    ids=lambda case: case.benchmark,
)
def test_evalplus_reads_the_export_and_agrees_on_every_sample(case: Case, shared_data: Path, tmp_path: Path) -> None:
    known = {problem.id: (problem, problem.inputs()) for problem in case.problems(shared_data)}
    fit = {task_id: (problem, inputs) for task_id, (problem, inputs) in known.items() if inputs is not None}
    judged = [problem for problem, _ in fit.values() if problem.id not in RANDOM][::2]
    assert len(judged) >= 70
    samples = [
        {"task_id": problem.id, "solution": text}
        for number, problem in enumerate(judged)
        for text in solutions(problem, number)
    ]
    write(tmp_path / "made.jsonl", samples)
    words = ["--data", str(shared_data / case.file), "--sandbox", "process", "--timeout", "5", "--db", "r.db"]
    mcode(tmp_path, "import", "made.jsonl", "--benchmark", case.benchmark, "--run-id", "mixed", *words)
    mcode(tmp_path, "export", "mixed", "--db", "r.db", "--out", "samples.jsonl")

    write(tmp_path / "data.jsonl", [problem.row(inputs) for problem, inputs in fit.values()])
    found = evaluated(tmp_path, case)
    connection = sqlite3.connect(tmp_path / "r.db")
    ours = {
        (task, sample): verdict
        for task, sample, verdict in connection.execute("select task_id, sample, verdict from attempts")
    }
    connection.close()
    theirs = {(task, sample): found[task][sample] for task, sample in ours}
    passed = {key for key, verdict in ours.items() if verdict == "passed"}
    assert passed == {key for key, status in theirs.items() if status == "pass"}
    assert len(judged) / 2 < len(passed) < 1.6 * len(judged)
    padded = found.keys() - {task for task, _ in ours}
    assert len(padded) == len(fit) - len(judged) > 0
    assert all(found[task] == ["fail"] for task in padded)


def evaluated(place: Path, case: Case) -> dict[str, list[str]]:
    """EvalPlus's own verdicts on the base tests, by task."""
    command = [sys.executable, "-W", "ignore", "-m", "evalplus.evaluate", "--dataset", case.benchmark]
    command += ["--samples", "samples.jsonl", "--base_only", "--parallel", "2"]
    environment = {**os.environ, case.variable: str(place / "data.jsonl"), "XDG_CACHE_HOME": str(place / "evalplus")}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((place / "samples_eval_results.json").read_text())["eval"]
    return {task: [one["base_status"] for one in samples] for task, samples in results.items()}


def test_the_tasks_that_evalplus_expects_are_those_of_its_data(shared_data: Path) -> None:
    from pytest_mcode.report.exports import expected

    for benchmark, file, form in (
        ("humaneval", "HumanEvalPlus-OriginFmt.jsonl.gz", "{}"),
        ("mbpp", "MbppPlus-OriginFmt.jsonl.gz", "Mbpp/{}"),
    ):
        with gzip.open(shared_data / file, "rt") as lines:
            assert {form.format(json.loads(line)["task_id"]) for line in lines} == {*expected(benchmark, ())}
