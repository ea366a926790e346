"""Solutions that are given: what is read of a file, what is a program as it stands, how attempts are judged anew."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_mcode._errors import DataError
from pytest_mcode._types import Attempt, Completion, Judgement, Prompt, Task, Verdict
from pytest_mcode.settings import SAMPLES, Settings
from pytest_mcode.solvers import given, samples
from pytest_mcode.solvers.given import Drawn, Given, GivenSolver, Kind, Origin, code_in, lay_out
from pytest_mcode.solvers.samples import Known

STUB = Task("HumanEval/0", 'def f(x):\n    """Return x."""\n', "", entry_point="f")
KNOWN = Known("humaneval", ["HumanEval/0", "HumanEval/1", "HumanEval/10"])


def file(place: Path, *rows: object) -> Path:
    path = place / "some_model.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def read(path: Path, known: Known = KNOWN) -> list[Drawn]:
    return list(samples.read(path, samples.origin(path).kind, known))


def texts(drawn: Sequence[Drawn]) -> list[tuple[str, str]]:
    return [(one.task_id, one.attempts[0].text) for one in drawn if isinstance(one.attempts[0], Completion)]


def line(task: str = "HumanEval/0", **more: object) -> dict[str, object]:
    return {"task_id": task, **more}


def test_samples_are_read_in_order_whatever_else_their_lines_hold(tmp_path: Path) -> None:
    path = file(
        tmp_path,
        line(solution="a", entry_point="f"),
        "",
        line("HumanEval/1", solution="b"),
        line(solution="c\u2028"),
    )
    assert texts(read(path)) == [("HumanEval/0", "a"), ("HumanEval/1", "b"), ("HumanEval/0", "c\u2028")]
    assert samples.origin(path).model == "some_model"


def test_a_zipped_file_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    path = tmp_path / "m.raw.jsonl.gz"
    path.write_bytes(gzip.compress(b'\xef\xbb\xbf{"task_id": "HumanEval/0", "completion": "a"}\n'))
    assert texts(read(path)) == [("HumanEval/0", "a")]
    assert samples.origin(path).model == "m"


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(b'{"task_id": "HumanEval/0", "solution": ""}\n')
    # by sha256sum
    assert samples.origin(path).facts == {
        "solutions_sha256": "7effccc0900d04ae4c9cfdff9964742dfaa75d53a97d3391467205b1a090a90c"
    }


def test_padding_is_left_out(tmp_path: Path) -> None:
    assert texts(read(file(tmp_path, line(solution="a"), line("HumanEval/1", solution="", padded=True)))) == [
        ("HumanEval/0", "a")
    ]


def test_an_id_may_lack_its_beginning(tmp_path: Path) -> None:
    assert texts(read(file(tmp_path, {"task_id": 10, "solution": "a"}, line("1", solution="b")))) == [
        ("HumanEval/10", "a"),
        ("HumanEval/1", "b"),
    ]


def test_predictions_of_swebench_are_solutions(tmp_path: Path) -> None:
    path = file(tmp_path, {"instance_id": "a__a-1", "model_name_or_path": "gpt", "model_patch": "diff"})
    assert texts(read(path, Known("swebench-lite", ["a__a-1"]))) == [("a__a-1", "diff")]
    assert samples.origin(path).model == "gpt"


def test_a_directory_is_read_as_evalplus_writes_it(tmp_path: Path) -> None:
    from evalplus.data.utils import write_directory

    place = tmp_path / "m_temp_0.0"
    rows = [{"task_id": task, "solution": f"{task} {n}"} for task in ("HumanEval/10", "HumanEval/1") for n in range(11)]
    write_directory(place, rows)
    drawn = texts(read(place))
    assert drawn[:11] == [("HumanEval/1", f"HumanEval/1 {n}") for n in range(11)]
    assert len(drawn) == 22
    assert samples.origin(place).model == "m_temp_0.0"


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ("{", "line 2 is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)."),
        ("[" * 100_000, "line 2 is not JSON: maximum recursion depth exceeded"),
        ("[1]", "line 2 must be a JSON object, but is list."),
        (line(), "line 2 has neither a field 'solution' nor 'completion'; it has 'task_id'."),
        ({"solution": ""}, "line 2 has no field 'task_id'; it has 'solution'."),
        ({"task_id": None, "solution": ""}, "line 2: the field 'task_id' must be a text, but is NoneType."),
        ({"task_id": True, "solution": ""}, "line 2: the field 'task_id' must be a text, but is bool."),
        (
            line(solution=["a"]),
            "line 2: the field 'solution' must be a text, but is list: several samples of a task are a line each.",
        ),
        (
            line(completion="a"),
            "line 2 holds a completion, and the first line a solution: a file holds one kind, so cut it in two.",
        ),
        (
            line("HumanEval/11", solution=""),
            "line 2: humaneval has no task 'HumanEval/11' (did you mean 'HumanEval/1'?): is it the right benchmark and",
        ),
        (
            line("x", solution=""),
            "line 2: humaneval has no task 'x' (its ids are like 'HumanEval/0'): is it the right benchmark and split?",
        ),
        (
            line(solution="", attempt=0),
            "line 2 is an attempt of a run: export its samples with --format evalplus or raw instead.",
        ),
    ],
)
def test_what_is_no_sample_is_told_with_its_line(bad: object, sentence: str, tmp_path: Path) -> None:
    path = file(tmp_path, line(solution="a"), bad)
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}, {sentence}")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^There is no file .*gone\.jsonl: name one with samples"):
        read(tmp_path / "gone.jsonl")
    with pytest.raises(DataError, match=r"some_model\.jsonl is empty: it must hold a JSON object a line"):
        read(file(tmp_path))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(json.dumps(line(solution="a")).encode() * 999)[:60])
    with pytest.raises(DataError, match=r"cut\.gz cannot be read: Compressed file ended"):
        read(tmp_path / "cut.gz")
    (tmp_path / "HumanEval_0").mkdir()
    (tmp_path / "HumanEval_0" / "first.py").write_text("")
    with pytest.raises(DataError, match=r"first\.py must be named by the number of its sample: HumanEval_0/0\.py\."):
        read(tmp_path)


@pytest.mark.parametrize(
    ("kind", "text", "code"),
    [
        (Kind.SOLUTION, "def f(x):\n    return x\n", "def f(x):\n    return x\n"),
        (Kind.SOLUTION, "def f(:", "def f(:"),
        (Kind.SOLUTION, 's = "```"', 's = "```"'),
        (Kind.SOLUTION, "Here:\n```python\ndef f(x): return x\n```", None),
        (Kind.SOLUTION, " \n", None),
        (Kind.COMPLETION, "    return x\n", STUB.prompt + "    return x\n"),
        (Kind.COMPLETION, "\n    return x\n", STUB.prompt + "\n    return x\n"),
        (Kind.COMPLETION, "    return (\n", None),
        (Kind.COMPLETION, "def f(x):\n    return x\n", None),
        (Kind.COMPLETION, "", None),
        (Kind.ANSWER, "    return x\n", None),
    ],
)
def test_a_text_is_a_program_as_it_stands_or_an_answer(kind: Kind, text: str, code: str | None) -> None:
    assert code_in(kind, STUB, text) == code


def laid_out(place: Path, *drawn: Sequence[Completion | str], kind: Kind = Kind.ANSWER) -> Given:
    origin = Origin(kind, "m", "imported", {}, {}, "here")
    made = lay_out(place, origin, (Drawn(STUB.id, attempts, f"line {number}") for number, attempts in enumerate(drawn)))
    assert given.read(place) == made
    return made


def judged(solver: GivenSolver, seed: int, *verdicts: Verdict) -> list[tuple[str, Verdict]]:
    """The texts of a sample's attempts and what they came to, where these are the verdicts in order."""

    async def judge(index: int, completion: Completion) -> Judgement:
        return Judgement(Attempt(index, verdicts[index], completion, completion.code), "")

    attempts = asyncio.run(solver.sample(STUB, Prompt((), 1), judge, seed=seed))
    return [(one.completion.text if one.completion else one.error, one.verdict) for one in attempts]


def test_attempts_are_judged_as_they_were_to_the_first_that_passes(tmp_path: Path) -> None:
    loop = [Completion(text) for text in ("a", "b", "c")]
    solver = GivenSolver(laid_out(tmp_path, loop, loop[:1]), first=7)
    failed, passed = Verdict.FAILED, Verdict.PASSED
    assert judged(solver, 7, failed, passed) == [("a", failed), ("b", passed)]
    assert judged(solver, 7, failed, failed, failed) == [("a", failed), ("b", failed), ("c", failed)]
    assert judged(solver, 8, failed) == [("a", failed)]
    assert judged(solver, 9) == []


def test_a_completion_that_there_never_was_is_an_error_again(tmp_path: Path) -> None:
    solver = GivenSolver(laid_out(tmp_path, [Completion("a"), "The server was gone."]), first=0)
    assert judged(solver, 0, Verdict.FAILED) == [("a", Verdict.FAILED), ("The server was gone.", Verdict.ERROR)]


def test_a_task_has_as_many_samples_as_were_given_of_it(tmp_path: Path) -> None:
    made = laid_out(tmp_path, [Completion("a")], [Completion("b")])
    assert made.suited(Settings(samples=5), STUB).samples == 2
    assert made.suited(Settings(samples=1), STUB).samples == 1
    assert made.origin.options == {"samples": 2, "all_samples": True}
    assert made.origin.told == "here: 1 tasks, 2 samples each"


def test_tasks_with_fewer_samples_are_taken_to_have_stopped_at_a_pass(tmp_path: Path) -> None:
    drawn = [Drawn(task, [Completion("")], "") for task in ("a", "b", "b", "b")]
    made = lay_out(tmp_path, Origin(Kind.ANSWER, "m", "imported", {}, {}, "here"), drawn)
    assert made.origin.options == {"samples": 3, "all_samples": False}
    assert made.origin.told == "here: 2 tasks, 1 to 3 samples each"


def test_any_text_is_laid_out_and_read_back(tmp_path: Path) -> None:
    text = "\ud800\x00\u2028\r\n\x1b[31m"
    made = laid_out(tmp_path, [Completion(text, thinking=text, finish_reason="length")])
    assert made.attempts(STUB.id, 0) == [Completion(text, thinking=text, finish_reason="length")]


def test_too_many_samples_of_a_task_are_refused(tmp_path: Path) -> None:
    drawn = (Drawn("a", [], f"line {number}") for number in range(1, SAMPLES + 2))
    with pytest.raises(DataError, match=r"^line 10001: there are more than 10000 samples of task a\.$"):
        lay_out(tmp_path, Origin(Kind.ANSWER, "m", "imported", {}, {}, "here"), drawn)


def test_a_task_that_a_benchmark_of_ones_own_lacks_is_told_with_its_place(tmp_path: Path) -> None:
    made = laid_out(tmp_path, [Completion("a")])
    made.require_known([STUB.id], "mine")
    with pytest.raises(DataError, match=r"^line 0: mine has no task 'HumanEval/0' \(its ids are like 'x'\)"):
        made.require_known(["x"], "mine")
