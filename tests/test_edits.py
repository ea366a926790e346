from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mcode.repositories.applying import Applied, apply, difference
from pytest_mcode.repositories.edits import Edit, edits

CALC = (
    "def add(a, b):\n    return a - b\n\n\nclass Sum:\n    def of(self, xs):\n        total = 0\n        return total\n"
)
TEXTS = {
    "calc.py": CALC,
    "src/pkg/core.py": "x = 1\ny = 2\nx = 1\nz = 3\n",
    "src/other/core.py": "only = 'here'\n",
    "tests/test_calc.py": "def test():\n    pass\n",
}


def applied(text: str) -> Applied:
    return apply(edits(text), TEXTS)


def block(path: str, old: str, new: str) -> str:
    return f"{path}\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


@pytest.mark.parametrize(
    "head",
    [
        "calc.py\n",
        "### `calc.py`\n\n```python\n",
        "**calc.py**:\n```\n",
        "File: calc.py\n",
        "In ./calc.py the sign is wrong.\n\n./calc.py\n```diff\n",
        "```python calc.py\n",
        "```python:calc.py\n",
        "/testbed/calc.py\n",
    ],
)
def test_the_path_of_a_block_is_found_however_it_is_written(head: str) -> None:
    text = f"{head}<<<<<<< SEARCH\n    return a - b\n=======\n    return a + b\n>>>>>>> REPLACE\n"
    assert applied(text).files == {"calc.py": CALC.replace("a - b", "a + b")}


@pytest.mark.parametrize(
    "marks",
    [
        ("<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE"),
        ("<<<<<<<< ORIGINAL", "========", ">>>>>>>> UPDATED"),
        ("<<<<< SEARCH calc.py", "=====", ">>>>>"),
        ("<<<<<<< search", "=======", ">>>>>>> replace"),
        ("<<<<<<< SEARCH", "=======", "```"),
        ("<<<<<<< SEARCH", "=======", ""),
    ],
)
def test_the_marks_of_a_block_may_be_sloppy(marks: tuple[str, str, str]) -> None:
    begin, middle, end = marks
    text = f"calc.py\n{begin}\n    return a - b\n{middle}\n    return a + b\n{end}\n"
    assert applied(text).files == {"calc.py": CALC.replace("a - b", "a + b")}


def test_several_blocks_are_applied_in_order_and_may_leave_the_path_out() -> None:
    text = block("calc.py", "    return a - b", "    return a") + block("", "    return a", "    return b").lstrip("\n")
    assert applied(text).files == {"calc.py": CALC.replace("a - b", "b")}


@pytest.mark.parametrize(
    ("old", "new", "after"),
    [
        ("def of(self, xs):\n    total = 0", "def of(self, xs):\n    total = sum(xs)", "sum(xs)"),
        ("    7 |         total = 0", "    7 |         total = 1", "1"),
        ("        total = 0   \n        return total", "        total = 2\n        return total", "2"),
        ("    def of(self, xs):\n\n        total = 0", "    def of(self, xs):\n        total = 3", "3"),
        (
            "    def of(self, x):\n        total = 0\n        return total",
            "    def of(self, xs):\n        total = 4\n        return total",
            "4",
        ),
    ],
    ids=[
        "indented otherwise",
        "with line numbers",
        "with blanks at ends",
        "with a blank line more",
        "misquoted a little",
    ],
)
def test_lines_are_found_though_they_differ_a_little(old: str, new: str, after: str) -> None:
    assert applied(block("calc.py", old, new)).files == {"calc.py": CALC.replace("total = 0", f"total = {after}")}


def test_a_diff_is_placed_by_its_lines_and_by_its_numbers_where_those_are_there_twice() -> None:
    text = "--- a/src/pkg/core.py\n+++ b/src/pkg/core.py\n@@ -3,9 +3,9 @@\n-x = 1\n+x = 7\n"
    assert applied(text).files == {"src/pkg/core.py": "x = 1\ny = 2\nx = 7\nz = 3\n"}


def test_a_path_may_lack_its_beginning_or_be_wrong_where_the_lines_tell() -> None:
    assert set(applied(block("pkg/core.py", "y = 2", "y = 3")).files) == {"src/pkg/core.py"}
    assert set(applied(block("sums.py", "    return a - b", "    return a + b")).files) == {"calc.py"}


def test_files_are_made_and_removed() -> None:
    new = "diff --git a/new.py b/new.py\nnew file mode 100644\n--- /dev/null\n+++ b/new.py\n@@ -0,0 +1 @@\n+a = 1\n"
    gone = "--- a/calc.py\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-def add(a, b):\n-    return a - b\n"
    assert applied(new).files == {"new.py": "a = 1\n"}
    assert applied(gone).files == {"calc.py": None}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (block("calc.py", "    return a / b", "x"), "calc.py does not have the lines to be replaced ('return a / b')"),
        (block("none.py", "nothing", "x"), "there is no file none.py"),
        (block("core.py", "q = 1", "x"), "there is no file core.py"),
        ("--- a/../x.py\n+++ b/../x.py\n@@ -0,0 +1 @@\n+a\n", "there is no file ../x.py"),
        (block("calc.py", "", "x = 1"), "calc.py exists, and the block does not say which of its lines to replace"),
        (block("", "x = 1\ny = 9", "").lstrip(), "no single file has the lines of a block without a path ('x = 1')"),
    ],
)
def test_an_edit_without_a_place_is_refused_in_a_sentence(text: str, sentence: str) -> None:
    found = applied(text)
    assert (found.refused, found.patch) == ((sentence,), "")


@pytest.mark.parametrize(
    "text", ["", "Just add them.", "```python\nprint(1)\n```", "calc.py\n<<<<<<< SEARCH\n    return a - b\n"]
)
def test_an_answer_without_an_edit_has_none(text: str) -> None:
    assert edits(text) == []


def test_tests_stay_as_they_are() -> None:
    found = applied(block("tests/test_calc.py", "    pass", "    assert True") + block("calc.py", "a - b", "a + b"))
    assert found.tests == ("tests/test_calc.py",)
    assert set(
        applied(block("tests/test_calc.py", "    pass", "    x") + block("calc.py", "    return a - b", "")).files
    ) == {"calc.py"}


TEXT = st.lists(st.sampled_from(["a", "  b", "", "c = 1", "é", "d\t"]), max_size=8).map("\n".join)


@given(before=TEXT, after=TEXT, ended=st.booleans())
def test_git_makes_the_same_text_of_a_patch(
    before: str, after: str, ended: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before, after = (text + "\n" * ended for text in (before, after))
    if before == after or not before or not after:
        return
    place: Path = tmp_path_factory.mktemp("git")
    (place / "f.py").write_text(before)
    patch = difference("f.py", before, after)
    done = subprocess.run(["git", "apply", "-"], cwd=place, input=patch, text=True, capture_output=True, check=False)
    assert (done.returncode, (place / "f.py").read_text()) == (0, after), done.stderr


@given(st.text(alphabet="<>=+-@ \n`abc./*", max_size=200))
def test_no_text_breaks_the_reading(text: str) -> None:
    for edit in edits(text):
        assert isinstance(edit, Edit)
    apply(edits(text), TEXTS)
