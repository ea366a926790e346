"""Evaluation of a patch by swebench's own specification and grading, in a container of ours.

``resolved`` is what swebench's report says. A log that holds swebench's own marks more often than its script writes
them was forged: then the patch stays unresolved, whatever the report says.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pytest_mcode._errors import SandboxError, UsageError
from pytest_mcode.repositories.boxes import Box
from pytest_mcode.repositories.issue import Issue

PATCH, SCRIPT = "/tmp/patch.diff", "/eval.sh"  # noqa: S108 - the container's
#: Seconds for what only git does.
BRIEF = 120.0
#: Names of tests that a reason lists.
LISTED = 5
CLEAN = "git checkout -- . ; git clean -fd"


@dataclass(frozen=True)
class Evaluation:
    """What became of a patch.

    Attributes:
        resolved: swebench's report says so.
        kind: In a word: ``resolved``, ``unresolved``, ``does_not_apply``, ``timed_out``, ``broken_tests``, ``forged``.
        told: What was seen, in a sentence.
        log: The tests' output, or git's where the patch does not apply.
        report: swebench's.
        seconds: Of the tests.
        exit_code: Of the script; None if it was stopped or not run.
        suspect: Whether swebench finds marks of a broken environment rather than of a wrong patch.
    """

    resolved: bool
    kind: str
    told: str
    log: str = ""
    report: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    exit_code: int | None = None
    suspect: bool = False


def require_package() -> None:
    """See that swebench is there, in its current form.

    Raises:
        UsageError: It is not.
    """
    if find_spec("swebench") is None or find_spec("bm25s") is None:
        raise UsageError(
            "Instances of SWE-bench are graded by its own package, which is not installed: "
            "pip install 'pytest-mcode[swebench]'."
        )
    from importlib.metadata import version

    if version("swebench").partition(".")[0] != "5":
        raise UsageError(
            f"swebench {version('swebench')} is installed, and grading needs version 5: pip install 'swebench>=5,<6'."
        )


def load() -> None:
    """Import what an evaluation needs of swebench, which takes seconds."""
    apply_commands()


async def evaluate(box: Box, issue: Issue, patch: str | None, seconds: float) -> Evaluation:
    """Apply a patch in a fresh container, run the tests, and have swebench grade them.

    Args:
        box: A container of the issue's image, in which nothing was done yet.
        issue: What is to be settled.
        patch: In git's form; None runs the tests of the repository as it is.
        seconds: For the tests.

    Raises:
        SandboxError: It could not be done, through no fault of the patch.
    """
    spec = await asyncio.to_thread(specification, issue)
    if patch is not None:
        refused = await _apply(box, patch)
        if refused is not None:
            return Evaluation(False, "does_not_apply", "git and patch refuse it.", log=refused)
    await box.write(SCRIPT, spec.eval_script.encode())
    # through one pipe: the marks, which the script traces to stderr, stand where they belong
    ran = await box.run(["/bin/bash", "-c", f"/bin/bash {SCRIPT} 2>&1"], seconds=seconds)
    if ran.timed_out:
        late = f"The tests did not end within {seconds:g} s."
        return Evaluation(False, "timed_out", late, ran.text, seconds=ran.seconds)
    report = await asyncio.to_thread(graded, spec, patch or "", ran.text)
    memory = " The container's memory was spent." if await box.out_of_memory() else ""
    kind, words = meaning(report, ran.text)
    return Evaluation(
        kind == "resolved",
        kind,
        words + memory,
        ran.text,
        report,
        ran.seconds,
        ran.exit_code,
        bool(report.get("infra_failure")) or bool(memory),
    )


async def _apply(box: Box, patch: str) -> str | None:
    """Apply a patch as swebench's own runner does, by each of its commands in turn; git's output if none can."""
    commands = await asyncio.to_thread(apply_commands)
    await box.write(PATCH, patch.encode("utf-8", "surrogateescape"))
    said = ""
    for number, command in enumerate(commands):
        if number:
            await box.run(["/bin/bash", "-c", CLEAN], seconds=BRIEF)
        ran = await box.run([*command.split(), PATCH], seconds=BRIEF)
        if ran.exit_code == 0:
            return None
        said = said or ran.text
    if (await box.run(["git", "apply", "--check", "--reverse", PATCH], seconds=BRIEF)).exit_code == 0:
        return None
    return said


def apply_commands() -> Sequence[str]:
    """The commands by which swebench applies patches."""
    from swebench.harness.run_evaluation import GIT_APPLY_CMDS

    found: Sequence[str] = GIT_APPLY_CMDS
    return found


def specification(issue: Issue) -> Any:
    """What swebench makes of a row.

    Raises:
        SandboxError: It cannot.
    """
    from swebench.harness.log_parsers import PARSER_REGISTRY
    from swebench.harness.utils import make_test_spec

    try:
        spec = make_test_spec(issue.row)
    except (LookupError, TypeError, ValueError) as error:
        raise SandboxError(f"swebench cannot read the row of {issue.id} ({error!r}): is it of version 5?") from error
    if spec.log_parser not in PARSER_REGISTRY:
        raise SandboxError(f"swebench has no parser {spec.log_parser!r}, which the row of {issue.id} names.")
    return spec


def statuses(issue: Issue, log: str) -> dict[str, str]:
    """How each test ended, as swebench's parser reads an output without its marks."""
    from swebench.harness.log_parsers import PARSER_REGISTRY

    found: dict[str, str] = PARSER_REGISTRY[issue.row["log_parser"]](log, specification(issue))
    return found


def graded(spec: Any, patch: str, log: str) -> dict[str, Any]:
    """The report that swebench makes of an output."""
    from swebench.harness.grading import get_eval_report

    prediction = {"instance_id": spec.instance_id, "model_name_or_path": "mcode", "model_patch": patch}
    with tempfile.TemporaryDirectory(prefix="mcode-") as place:
        file = Path(place) / "test_output.txt"
        file.write_text(log, encoding="utf-8")
        report: dict[str, Any] = get_eval_report(spec, prediction, str(file), include_tests_status=True)
    found: dict[str, Any] = report[spec.instance_id]
    return found


def meaning(report: Mapping[str, Any], log: str) -> tuple[str, str]:
    """What a report says, in a word and in a sentence."""
    if forged(log):
        return "forged", "The output holds the marks of swebench's script more often than the script writes them."
    if report.get("resolved"):
        return "resolved", "swebench's report says resolved."
    tests = report.get("tests_status")
    if tests is None:
        why = report.get("infra_failure_reason")
        return "broken_tests", "swebench finds no results in the output" + (f" ({why})." if why else ".")
    failed = {name: found["failure"] for name, found in tests.items()}
    parts = [_listed(failed[name], words) for name, words in WORDS.items() if failed.get(name)]
    return "unresolved", " ".join(parts)


WORDS = {
    "FAIL_TO_PASS": "of the tests that were to pass failed",
    "PASS_TO_PASS": "of the tests that passed before fail",
}


def _listed(names: Sequence[str], words: str) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{len(names)} {words}: {', '.join(names[:LISTED])}{more}."


def forged(log: str) -> bool:
    """Whether the tests' output holds marks that only the script may write, each once."""
    from swebench.harness.constants import END_TEST_OUTPUT, START_TEST_OUTPUT, TEST_EXIT_CODE

    # the script traces what it does: the line that writes the exit code is seen once as a command, once as its output
    return log.count(START_TEST_OUTPUT) > 1 or log.count(END_TEST_OUTPUT) > 1 or log.count(TEST_EXIT_CODE + ":") > 2  # noqa: PLR2004
