"""Recipes: published prompt conventions, by name, so that rates can be compared with published ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pytest_mcode._types import Execution, Message, Prompt, Task, Verdict

Recipe = Callable[[Task], Prompt]

#: The end of an output says why it failed; a small model's context must not drown in the rest.
FEEDBACK_CHARACTERS = 2000
CUT = "The reply was cut off at its length limit."


def evalplus(task: Task) -> Prompt:
    """EvalPlus's convention for chat models: one user turn, the problem in a Python fence, 768 new tokens."""
    request = (
        "Please provide a self-contained Python script that solves the following problem in a markdown code block:"
    )
    return Prompt(
        messages=(Message("user", f"{request}\n```python\n{task.prompt.strip()}\n```\n"),),
        max_tokens=768,
    )


RECIPES: Mapping[str, Recipe] = {"evalplus": evalplus}


def repair(feedback: str) -> Message:
    """The turn that asks for another attempt after a failure."""
    told = f"Your code did not pass.\n\n{feedback}\n\n" if feedback else "Your code did not pass.\n\n"
    return Message("user", f"{told}Fix it, and reply with the complete corrected code in a markdown code block.")


def feedback(kind: str, verdict: Verdict, execution: Execution | None, seconds: float) -> str:
    """What the debug loop tells the model of a failure.

    Args:
        kind: ``tests`` for the output of the benchmark's tests, ``none`` for nothing.
        verdict: What the attempt came to.
        execution: What the sandbox saw, if there was code to run.
        seconds: The time limit of an execution.
    """
    if verdict is Verdict.PASSED or kind == "none":
        return ""
    return f"{CUT if verdict is Verdict.TRUNCATED else ''}\n\n{_seen(verdict, execution, seconds)}".strip()


def _seen(verdict: Verdict, execution: Execution | None, seconds: float) -> str:
    if execution is None:
        return "" if verdict is Verdict.TRUNCATED else "The reply held no Python code."
    if execution.timed_out:
        return f"It did not finish within {seconds:g} seconds."
    output = execution.stderr.strip() or execution.stdout.strip()
    if not output:
        return "It ended before the tests had run to their end."
    return f"```\n{output[-FEEDBACK_CHARACTERS:]}\n```"
