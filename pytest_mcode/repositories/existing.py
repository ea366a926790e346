"""What a developer would see of a patch: whether its files parse, and what the repository's existing tests say.

Nothing here knows of the tests that judge. Their script tells how the repository's tests are run at all; which of them
are run follows from the changed files alone.
"""

from __future__ import annotations

import ast
import re
import shlex
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from pytest_mcode.repositories.boxes import Box
from pytest_mcode.repositories.grading import PATCH, apply_commands, statuses
from pytest_mcode.repositories.issue import Issue, is_test, touched
from pytest_mcode.repositories.source import Texts

#: Test files that are run for a patch at most.
MOST = 3
#: Seconds for them.
PATIENCE = 300.0
#: Characters of their output that are shown.
SHOWN = 2000
#: How swebench's parsers spell tests that did not pass.
BAD = ("FAILED", "ERROR")
START, END = ">>>>> Start Test Output", ">>>>> End Test Output"


def unparsable(files: Mapping[str, str | None], texts: Texts) -> str:
    """The first syntax error that a patch brings into a file; empty if there is none."""
    for path, text in files.items():
        if not path.endswith(".py") or text is None:
            continue
        error = _syntax(text)
        if error is not None and (path not in texts or _syntax(texts[path]) is None):
            return f"{path}, line {error.lineno}: {error.msg}"
    return ""


def _syntax(text: str) -> SyntaxError | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError):
        return None
    return None


def related(changed: Sequence[str], texts: Texts) -> list[str]:
    """Existing test files that are named for the changed ones: ``tests/test_calc.py`` for ``calc.py``."""
    found: dict[str, None] = {}
    tests = sorted(path for path in texts if is_test(path) and PurePosixPath(path).name != "conftest.py")
    for path in changed:
        stem = PurePosixPath(path).stem.strip("_")
        names = (f"test_{stem}.py", f"{stem}_test.py", f"tests_{stem}.py")
        near = [test for test in tests if PurePosixPath(test).name in names]
        found |= dict.fromkeys(sorted(near, key=lambda test: (-_shared(test, path), test)))
    return list(found)[:MOST]


def _shared(one: str, other: str) -> int:
    return len(set(PurePosixPath(one).parts) & set(PurePosixPath(other).parts))


def command(issue: Issue, tests: Sequence[str]) -> str:
    """The script that runs some test files as the repository's tests are run; empty if that cannot be told."""
    lines = issue.script.split("\n")
    starts = [number for number, line in enumerate(lines) if START in line]
    ends = [number for number, line in enumerate(lines) if END in line]
    if not starts or not ends:
        return ""
    tested = "\n".join(lines[starts[0] + 1 : ends[0]]).strip()
    judged = touched(issue.test_patch)
    words = [word for word in _words(tested) if word not in judged and not _names(word, judged)]
    if not words or "\n" in tested:
        return ""
    django = any(word.endswith("runtests.py") for word in words)
    files = [_dotted(test) for test in tests] if django else [shlex.quote(test) for test in tests]
    setup = [line for line in lines[: starts[0]] if re.match(r"(source|conda activate|cd|export|locale-gen) ?", line)]
    return "\n".join([*setup, " ".join([*words, *files]), ""])


def _words(line: str) -> list[str]:
    """The words of a command as they are written, quotes and all."""
    return re.findall(r"(?:[^\s'\"]|'[^']*'|\"[^\"]*\")+", line)


def _names(word: str, judged: Sequence[str]) -> bool:
    """Whether a word names one of the tests that judge in dots, as Django's runner wants it."""
    return any(word and _dotted(name).endswith(word) for name in judged)


def _dotted(path: str) -> str:
    return path.removeprefix("tests/").removesuffix(".py").replace("/", ".")


async def complaint(box: Box, issue: Issue, patch: str, changed: Sequence[str], texts: Texts) -> str:
    """The output of existing tests that passed before a patch and do not any more; empty if there are none."""
    tests = related(changed, texts)
    script = command(issue, tests) if tests else ""
    if not script:
        return ""
    before = await box.run(["/bin/bash", "-c", script], seconds=PATIENCE)
    await box.write(PATCH, patch.encode("utf-8", "surrogateescape"))
    if (await box.run([*apply_commands()[0].split(), PATCH], seconds=PATIENCE)).exit_code != 0:
        return ""
    after = await box.run(["/bin/bash", "-c", script], seconds=PATIENCE)
    if after.timed_out and not before.timed_out:
        return f"{', '.join(tests)} did not end within {PATIENCE:g} s."
    broken = sorted(newly_bad(statuses(issue, before.text), statuses(issue, after.text)))
    if not broken and not (before.exit_code == 0 and after.exit_code != 0):
        return ""
    named = f"These existing tests passed before, and fail now: {', '.join(broken[: MOST * 2])}.\n\n" if broken else ""
    return f"{named}{after.text.strip()[-SHOWN:]}"


def newly_bad(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """Tests that did not fail before, and do now."""
    return (name for name, status in after.items() if status in BAD and before.get(name) not in BAD)
