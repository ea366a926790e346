"""Honest solutions that a careless way of keeping tests and solution apart would judge otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mcode._types import Mode

ISOLATED, TWO_PHASE = Mode.ISOLATED, Mode.TWO_PHASE


@dataclass(frozen=True)
class Unusual:
    """An honest solution.

    Attributes:
        solution: Source of a function ``f``.
        tests: What it passes.
        reference: The task's own solution; empty: the same.
        mode: How it is judged: in two phases only where the reference, too, needs it.
    """

    solution: str
    tests: str
    reference: str = ""
    mode: Mode = ISOLATED


def of_plain(solution: str, tests: str, plain: str) -> Unusual:
    """A solution of a task whose own reference returns ``plain``, an ordinary value."""
    return Unusual(solution, tests, f"def f(*_, **__):\n    return {plain}\n")
