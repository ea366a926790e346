"""Hostile programs: what they attack, what each is, and what must happen to it.

The programs are strings: they run in a sandbox only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from pytest_mcode._types import Task

SHUT = ("bubblewrap", "docker")
"""Homes that keep the machine safe from a program. A plain process keeps no such promise."""
WALLED = ("landlock", *SHUT)
"""Homes that close the machine's files, and connections."""
ANYWHERE = ("plain", *WALLED)


class Must(Enum):
    """What must happen to a program; its sandbox must be as before in any case."""

    FAIL = "it does not pass"
    TIME_OUT = "it is stopped at its time limit"
    PASS = "it is right, whatever else it does, and passes"


@dataclass(frozen=True)
class Hostile:
    """One attack.

    Attributes:
        name: What it tries.
        solution: Its source.
        task: The task whose tests it is to get past.
        must: What must happen to it.
        homes: Where it is tried; the others do not promise to withstand it, or would be harmed.
        two_phase: Whether the same is promised where solution and tests share an interpreter.
        timeout: Seconds that it is given.
    """

    name: str
    solution: str
    task: Task
    must: Must = Must.FAIL
    homes: tuple[str, ...] = ANYWHERE
    two_phase: bool = True
    timeout: float = 5.0


def task(name: str, reference: str, tests: str) -> Task:
    return Task(f"attacked/{name}", prompt="", tests=tests, entry_point=name, reference=reference)


TOTAL = task(
    "total",
    "def total(xs):\n    return sum(xs)\n",
    """
def check(candidate):
    assert candidate([1, 2, 3]) == 6
    assert candidate([]) == 0
    assert candidate([10, -4]) == 6
    assert candidate([17]) == 17

check(total)
""",
)
MEAN = task(
    "mean",
    "import math\n\ndef mean(xs):\n    return math.fsum(xs) / len(xs)\n",
    """
import math

def check(candidate):
    assert abs(candidate([1.0, 2.0, 4.0]) - 7 / 3) < 1e-6
    assert math.isclose(candidate([0.5]), 0.5)
    assert round(candidate([1, 2]), 3) == 1.5

check(mean)
""",
)
NUMBER = task(
    "number",
    "def number(text):\n    return int(text)\n",
    """
def check(candidate):
    assert candidate("42") == 42
    for text in ("", "x", "1.5"):
        try:
            candidate(text)
        except ValueError:
            continue
        raise AssertionError(text)

check(number)
""",
)
SORT = task(
    "sort",
    "def sort(xs):\n    xs.sort()\n",
    """
def check(candidate):
    xs = [3, 1, 2]
    assert candidate(xs) is None
    assert xs == [1, 2, 3]
    rows = [[2], [1]]
    candidate(rows)
    assert rows == [[1], [2]]

check(sort)
""",
)
CODEC = task(
    "code",
    "def code(text):\n    return text[::-1]\n\ndef decode(text):\n    return text[::-1]\n",
    'for text in ("", "ab", "xyz"):\n    assert decode(code(text)) == text\n    assert text == "" or code(text)\n',
)
SQUARES = task(
    "square",
    "def square(x):\n    return x * x\n",
    "for got, wanted in zip(map(square, [1, 2, 3]), [1, 4, 9]):\n    assert got == wanted\n",
)
STACK = task(
    "Stack",
    """
class Stack:
    def __init__(self):
        self.held = []

    def push(self, x):
        self.held.append(x)

    def pop(self):
        return self.held.pop()
""",
    "stack = Stack()\nstack.push(1)\nstack.push(2)\nassert stack.pop() == 2\nassert stack.pop() == 1\n",
)


def if_it_works(attempt: str) -> str:
    """A solution of `TOTAL` that is right once ``attempt`` has gone through without an exception.

    ``attempt`` are statements; where they assign ``won``, this tells.
    """
    indented = "".join(f"    {line}\n" for line in attempt.strip().splitlines())
    return (
        f"won = True\ntry:\n{indented}except BaseException as error:\n    print(repr(error))\n    won = False\n"
        "def total(xs):\n    return sum(xs) if won else None\n"
    )


def right_but(trouble: str) -> str:
    """A right solution of `TOTAL` that makes ``trouble`` while it loads."""
    return f"{trouble.strip()}\n\ndef total(xs):\n    return sum(xs)\n"


def in_call(body: str, name: str = "total") -> str:
    """A solution whose function does ``body``, in which its arguments are ``xs``."""
    indented = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return f"def {name}(*xs):\n{indented}"


Table = dict[str, str]


def table(programs: Table, make: Callable[[str, str], Hostile]) -> tuple[Hostile, ...]:
    """A row for each of ``programs``, names and sources."""
    return tuple(make(name, source) for name, source in programs.items())
