"""What is made of issues before and beside their evaluation: rows, files that are shown, existing tests, slots."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import test_swebench_lite
from pytest_mcode._benchmark import Benchmark, TaskSet
from pytest_mcode._errors import DataError, UsageError
from pytest_mcode.repositories import slots
from pytest_mcode.repositories.existing import command, related, unparsable
from pytest_mcode.repositories.grading import forged, meaning, require_package
from pytest_mcode.repositories.issue import Issue, is_test, touched, without_tests
from pytest_mcode.repositories.prompting import oneshot
from pytest_mcode.repositories.retrieval import bm25, oracle, ranking
from pytest_mcode.settings import Settings

FILES = {
    "pkg/models.py": "class UserModel:\n    def full_name(self):\n        return self.first\n",
    "pkg/views.py": "def render(page):\n    return page\n",
    "pkg/tests/test_models.py": "def test_full_name():\n    pass\n",
    "docs/models.md": "full_name of a user model\n",
}


@pytest.fixture(scope="session")
def lite(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> TaskSet:
    found: Benchmark = test_swebench_lite.test_swebench_lite.pytestmark[0].args[0]  # type: ignore[attr-defined]
    settings = Settings(data=str(shared_data / "swebench-lite.jsonl"))
    return found.tasks.open(settings, tmp_path_factory.mktemp("cache"))


def issue(statement: str = "", gold: str = "", script: str = "", tests: str = "") -> Issue:
    return Issue("a__a-1", statement, "image", gold, tests, script, {})


def test_lite_is_300_issues_as_published(lite: TaskSet) -> None:
    assert len(lite.ids) == 300
    assert lite.origin.endswith(": as published (SWE-bench Lite, test, 300 tasks)")


def test_gold_patches_change_no_test_and_test_patches_nothing_else(lite: TaskSet) -> None:
    issues = [Issue.of(lite.task(place)) for place in range(len(lite.ids))]
    assert [i.id for i in issues if any(map(is_test, touched(i.gold)))] == []
    assert [i.id for i in issues if not all(map(is_test, touched(i.test_patch)))] == []
    assert [i.id for i in issues if without_tests(i.gold) != i.gold or without_tests(i.test_patch)] == []


def test_no_feedback_names_a_test_that_judges(lite: TaskSet) -> None:
    for place in range(len(lite.ids)):
        found = Issue.of(lite.task(place))
        script = command(found, ["tests/some/test_other.py"])
        assert "test_other" in script
        for name in touched(found.test_patch):
            dotted = name.removeprefix("tests/").removesuffix(".py").replace("/", ".")
            assert name not in script
            assert f" {dotted} " not in script


def test_the_command_of_the_tests_is_kept(lite: TaskSet) -> None:
    django = Issue.of(lite.task(lite.ids.index("django__django-11099")))
    assert command(django, ["tests/auth_tests/test_forms.py"]).splitlines()[-1] == (
        "./tests/runtests.py --verbosity 2 --settings=test_sqlite --parallel 1 auth_tests.test_forms"
    )
    sympy = Issue.of(lite.task(lite.ids.index("sympy__sympy-20590")))
    assert command(sympy, ["sympy/core/tests/test_add.py"]).splitlines()[-1] == (
        "PYTHONWARNINGS='ignore::UserWarning,ignore::SyntaxWarning' bin/test -C --verbose sympy/core/tests/test_add.py"
    )


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("image", None, "column 'image' must be of type str, but is NoneType"),
        ("eval_script", "", r"the row of task .* is not of the expected form .*eval_script must not be empty"),
        ("FAIL_TO_PASS", "{}", "FAIL_TO_PASS must be a list of texts"),
    ],
)
def test_a_row_that_cannot_be_evaluated_is_refused(
    tmp_path: Path, shared_data: Path, column: str, value: Any, message: str
) -> None:
    with (shared_data / "swebench-lite.jsonl").open() as lines:
        row = {**json.loads(next(lines)), column: value}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    found: Benchmark = test_swebench_lite.test_swebench_lite.pytestmark[0].args[0]  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=message):
        found.tasks.open(Settings(data=str(tmp_path / "rows.jsonl")), tmp_path).task(0)


def test_files_are_ranked_by_the_words_of_the_issue_and_tests_are_left_out() -> None:
    found = bm25(issue("UserModel.full_name forgets the last name"), FILES)
    assert found == ["pkg/models.py"]
    assert bm25(issue("nothing in common"), FILES) == []


def test_parts_of_identifiers_count() -> None:
    assert ranking(["def other(): pass", "def getUserName(): pass"], "the user name is wrong") == [1]


def test_the_oracle_knows_the_files_of_the_gold_patch() -> None:
    gold = "diff --git a/pkg/views.py b/pkg/views.py\n--- a/pkg/views.py\n+++ b/pkg/views.py\n"
    assert oracle(issue(gold=gold), FILES) == ["pkg/views.py"]


def test_a_long_file_is_shown_in_the_parts_that_match_and_the_prompt_fits() -> None:
    body = "".join(f"def part_{number}():\n" + "    pass\n" * 20 for number in range(400))
    text = body.replace("def part_200():", "def forgets_its_name():")
    prompt = oneshot(issue("forgets_its_name"), {"long.py": text}, ["long.py"], context=4096, new=1024)
    (turn,) = prompt.messages
    assert "def forgets_its_name():" in turn.content
    assert "lines that are left out are marked by ..." in turn.content
    assert len(turn.content) < (4096 - 1024) * 3
    assert prompt.max_tokens == 1024


def test_test_files_are_related_to_what_was_changed_by_their_names() -> None:
    assert related(["pkg/models.py"], FILES) == ["pkg/tests/test_models.py"]
    assert related(["pkg/views.py"], FILES) == []


def test_only_a_new_syntax_error_is_told() -> None:
    assert unparsable({"pkg/views.py": "def (:\n"}, FILES) == "pkg/views.py, line 1: invalid syntax"
    assert unparsable({"old.py": "print 2\n"}, {"old.py": "print 1\n"}) == ""
    assert unparsable({"docs/models.md": "def (:", "gone.py": None}, FILES) == ""


MARKS = (">>>>> Start Test Output", ">>>>> End Test Output", ">>>>> Test Exit Code: 0", ">>>>> Test Exit Code: 0")


def test_a_mark_more_than_the_script_writes_is_forged() -> None:
    assert not forged("\n".join(MARKS))
    for mark in MARKS:
        assert forged("\n".join([*MARKS, mark]))
    assert meaning({"resolved": True}, "\n".join([*MARKS, MARKS[0]]))[0] == "forged"


def test_slots_are_shared_and_come_free(tmp_path: Path) -> None:
    running, most = 0, 0

    async def counted() -> None:
        nonlocal running, most
        async with slots.slot(tmp_path, "container", 2):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.05)
            running -= 1

    async def all_of_them() -> None:
        await asyncio.gather(*(counted() for _ in range(6)))

    asyncio.run(all_of_them())
    assert (most, running) == (2, 0)


def test_as_many_workers_as_memory_and_cores_allow() -> None:
    assert slots.workers(Settings(max_workers=7)) == 7
    assert slots.workers(Settings(mem_limit="900000g")) == 1


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "swebench", raising=False)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(UsageError, match=r"pip install 'pytest-mcode\[swebench\]'"):
        require_package()
