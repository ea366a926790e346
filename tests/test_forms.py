from __future__ import annotations

import pytest

from pytest_mcode.forms import mbpp_task, stub_task

STUB = '''import math


def helper(x):
    """Used by area( and def area( in words."""
    return x * x


def area(radius: float) -> float:
    """The area of a circle.

    >>> def area(...)
    """
'''


def row(prompt: str, entry_point: str) -> dict[str, str]:
    body, test = "    return math.pi * helper(radius)\n", "def check(candidate):\n    assert candidate(0) == 0\n"
    return {
        "task_id": "HumanEval/7",
        "prompt": prompt,
        "canonical_solution": body,
        "test": test,
        "entry_point": entry_point,
    }


def test_a_stub_becomes_a_task_whose_tests_check_the_named_function() -> None:
    task = stub_task(row(STUB, "area"))
    assert task.id == "HumanEval/7"
    assert task.prompt == STUB
    assert task.entry_point == "area"
    assert task.tests == "def check(candidate):\n    assert candidate(0) == 0\n\n\ncheck(area)\n"
    assert task.reference == STUB + "    return math.pi * helper(radius)\n"


def test_the_reference_passes_its_own_tests() -> None:
    task = stub_task(row(STUB, "area"))
    exec(task.reference + task.tests, {})


@pytest.mark.parametrize(
    ("prompt", "preamble"),
    [
        (STUB, STUB[: STUB.index("def area(radius")]),
        ("import math\n\ndef area(r):\n", "import math\n\n"),
        ("import math\n\nasync def area(r):\n", "import math\n\n"),
        ("import math\n\nclass area:\n", "import math\n\n"),
        ("def area_of(r):\n    pass\n\ndef area(r):\n", "def area_of(r):\n    pass\n\n"),
        ("def area(r):\n", ""),
        ("def other(r):\n", ""),
    ],
)
def test_what_stands_before_the_stub_is_the_preamble(prompt: str, preamble: str) -> None:
    assert stub_task(row(prompt, "area")).preamble == preamble


def mbpp(code: str, *asserts: str) -> dict[str, object]:
    return {"task_id": 11, "code": code, "test_list": list(asserts)}


def test_an_mbpp_row_becomes_a_prompt_with_its_first_assert_and_tests_with_all_of_them() -> None:
    given = mbpp("def add(a, b):\r\n\treturn a + b\r", "assert add(1, 2) == 3 ", "assert add(0, 0) == 0")
    task = mbpp_task(given, text="Write a function to add two numbers.\n", setup="import math\r\nx = 1")
    assert task.id == "Mbpp/11"
    assert task.prompt == '"""\nWrite a function to add two numbers.\nassert add(1, 2) == 3\n"""\n'
    assert task.tests == "import math\nx = 1\nassert add(1, 2) == 3 \nassert add(0, 0) == 0\n"
    assert task.reference == "def add(a, b):\n\treturn a + b\n"
    assert task.entry_point == "add"
    assert task.preamble == ""


@pytest.mark.parametrize(
    ("code", "assertion", "called"),
    [
        ("def f(x): return x\ndef g(x): return f(x)", "assert g(1) == 1", "g"),
        ("def f(x): return [x]", "assert set(f(1)) == set([1])", "f"),
        ("import math\ndef f(x): return x", "assert math.isclose(f(1), 1)", "f"),
        ("def f(x): return x\ndef g(x): return x", "assert f(1) == g(1)", ""),
        ("f = int", "assert f('1') == 1", ""),
    ],
)
def test_the_entry_point_is_the_one_function_that_the_first_assert_calls(
    code: str, assertion: str, called: str
) -> None:
    assert mbpp_task(mbpp(code, assertion), text="", setup="").entry_point == called


def test_invalid_escapes_of_published_code_are_nobody_s_business() -> None:
    given = mbpp(r"def f(x): return x == '\d'", r"assert f('\d')")
    assert mbpp_task(given, text="", setup="").entry_point == "f"
