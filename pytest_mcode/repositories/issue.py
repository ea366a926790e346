"""A task whose solution is a patch: an issue of a repository, in SWE-bench's form."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from pytest_mcode._types import Task

#: Directories of tests, and names of test files, as SWE-bench parts a pull request into its patch and its tests.
TEST_DIRECTORIES = frozenset({"test", "tests", "testing", "e2e"})
TEST_NAME = re.compile(r"test_.*\.py|.*_tests?\.py|tests?\.py|conftest\.py")
#: Where an image has the repository.
HOME = "/testbed"


@dataclass(frozen=True)
class Issue:
    """One instance of SWE-bench.

    Attributes:
        id: As the data set spells it.
        statement: The issue's text.
        image: The name of its image, as the data set has it.
        gold: The patch that settled it.
        test_patch: The tests that judge, which no model sees.
        script: The script that puts the tests in place and runs them.
        row: The whole row, for swebench.
    """

    id: str
    statement: str
    image: str
    gold: str
    test_patch: str
    script: str
    row: dict[str, Any]

    @classmethod
    def of(cls, task: Task) -> Issue:
        """The issue that a task of `pytest_mcode.forms.issue_task` holds."""
        row = json.loads(task.extra["row"])
        return cls(task.id, task.prompt, row["image"], task.reference, task.tests, row["eval_script"], row)


def is_test(path: str) -> bool:
    """Whether a file of a repository belongs to its tests: no patch of a model may touch it."""
    *directories, name = path.split("/")
    return not TEST_DIRECTORIES.isdisjoint(directories) or TEST_NAME.fullmatch(name) is not None


def touched(patch: str) -> list[str]:
    """The files that a patch of git's changes, in its order."""
    return list(dict.fromkeys(re.findall(r"^diff --git a/.*? b/(.*)$", patch, re.MULTILINE)))


def without_tests(patch: str) -> str:
    """The parts of a patch of git's that are of no test file, old or new."""
    parts = re.split(r"(?m)^(?=diff --git )", patch)
    return "".join(part for part in parts if part.startswith("diff --git ") and not _of_tests(part))


def _of_tests(part: str) -> bool:
    head = part.partition("\n@@")[0]
    names = re.findall(r"^(?:---|\+\+\+|rename from|rename to|copy to) (?:[ab]/)?\"?(.*?)\"?$", head, re.MULTILINE)
    return any(is_test(name) for name in [*names, *touched(part)] if name != "/dev/null")
