from __future__ import annotations

import pytest

from pytest_mcode._types import Execution, Message, Task, Verdict
from pytest_mcode.prompts import FEEDBACK_CHARACTERS, RECIPES, feedback, repair


def test_the_evalplus_recipe_is_as_published() -> None:
    task = Task(id="t", prompt='\ndef f(x):\n    """Doc."""\n\n', tests="")
    prompt = RECIPES["evalplus"](task)
    assert prompt.messages == (
        Message(
            "user",
            "Please provide a self-contained Python script that solves the following problem in a markdown code "
            'block:\n```python\ndef f(x):\n    """Doc."""\n```\n',
        ),
    )
    assert prompt.max_tokens == 768
    assert prompt.stop == ()


def test_a_repair_tells_what_was_wrong_if_it_may() -> None:
    assert repair("It raised.") == Message(
        "user",
        "Your code did not pass.\n\nIt raised.\n\n"
        "Fix it, and reply with the complete corrected code in a markdown code block.",
    )
    assert repair("") == Message(
        "user",
        "Your code did not pass.\n\nFix it, and reply with the complete corrected code in a markdown code block.",
    )


@pytest.mark.parametrize(
    ("verdict", "execution", "told"),
    [
        (Verdict.PASSED, Execution(passed=True), ""),
        (Verdict.NO_CODE, None, "The reply held no Python code."),
        (Verdict.TRUNCATED, None, "The reply was cut off at its length limit."),
        (Verdict.TIMEOUT, Execution(passed=False, timed_out=True), "It did not finish within 2.5 seconds."),
        (
            Verdict.FAILED,
            Execution(passed=False, stdout="out", stderr=" AssertionError\n"),
            "```\nAssertionError\n```",
        ),
        (Verdict.FAILED, Execution(passed=False, stdout="out\n"), "```\nout\n```"),
        (Verdict.FAILED, Execution(passed=False), "It ended before the tests had run to their end."),
        (
            Verdict.TRUNCATED,
            Execution(passed=False, stderr="SyntaxError"),
            "The reply was cut off at its length limit.\n\n```\nSyntaxError\n```",
        ),
        (
            Verdict.TRUNCATED,
            Execution(passed=False, timed_out=True),
            "The reply was cut off at its length limit.\n\nIt did not finish within 2.5 seconds.",
        ),
    ],
)
def test_the_debug_loop_is_told_what_the_sandbox_saw(verdict: Verdict, execution: Execution | None, told: str) -> None:
    assert feedback("tests", verdict, execution, 2.5) == told


def test_the_debug_loop_is_told_nothing_if_nothing_is_to_feed_it() -> None:
    assert feedback("none", Verdict.FAILED, Execution(passed=False, stderr="AssertionError"), 1.0) == ""
    assert feedback("none", Verdict.NO_CODE, None, 1.0) == ""


def test_only_the_end_of_a_long_output_is_told() -> None:
    execution = Execution(passed=False, stderr="x" * 10_000 + "the end")
    told = feedback("tests", Verdict.FAILED, execution, 1.0)
    assert told.endswith("xthe end\n```")
    assert len(told) == FEEDBACK_CHARACTERS + len("```\n\n```")
