"""What a supervisor is told of a program, and what it tells of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pytest_mcode._types import Execution, Mode, Program
from pytest_mcode.sandboxes.inside import frames


@dataclass(frozen=True)
class Job:
    """A program for a supervisor.

    Attributes:
        mode: How its tests are kept out of the solution's reach.
        timeout: Seconds after which it is stopped.
        data: What is sent: see `pytest_mcode.sandboxes.inside.supervisor`.
    """

    mode: Mode
    timeout: float
    data: bytes


def packed(program: Program, mode: Mode, timeout: float, limits: dict[str, int]) -> Job:
    """Put the parts of a program together for its processes."""
    opening = {"limits": limits, "solution": program.solution}
    if mode is Mode.ISOLATED and program.isolation is not None:
        how = program.isolation
        tester = {"limits": limits, "prelude": how.prelude, "calls": how.calls, "tests": program.tests}
        parts = frames.pack_json({**opening, "role": "solver"}), frames.pack_json({**tester, "role": "tester"})
    else:
        tests = program.tests.encode("utf-8", "surrogatepass")
        parts = frames.pack_json({**opening, "role": "two-phase"}), frames.pack(tests)
    head = {"mode": mode.value, "timeout": timeout, "parts": [len(part) for part in parts]}
    return Job(mode, timeout, b"".join((frames.pack_json(head), *parts)))


def seen(told: bytes, written: bytes, mode: Mode) -> Execution:
    """From a supervisor's answer to an execution; why a program was stopped is the last line of its stderr."""
    answer: dict[str, Any] = json.loads(told)
    traceback, *streams = _streams(answer["streams"], written)
    half = len(streams) // 2
    stderr = "".join(streams[half:]) + traceback.partition("\n")[2]
    return Execution(
        passed=answer["end"] == "passed",
        timed_out=answer["end"] == "timeout",
        phase=answer["phase"],
        exit_code=answer["exit_code"],
        stdout="".join(streams[:half]),
        stderr=stderr + _reason(answer),
        seconds=answer["seconds"],
        mode=mode,
    )


def _reason(answer: dict[str, Any]) -> str:
    if answer["out_of_memory"]:
        return "\nKilled: the program used more memory than it may."
    reasons = {
        "output": "\nStopped: the program wrote more output than it may.",
        "unfit": "\nStopped: the tests passed to the solution what cannot cross between two processes.",
    }
    return reasons.get(answer["end"], "")


def _streams(sizes: list[tuple[int, int]], written: bytes) -> list[str]:
    texts = []
    for total, kept in sizes:
        texts.append(_text(written[:kept], total))
        written = written[kept:]
    return texts


def _text(kept: bytes, total: int) -> str:
    """What was kept, with a line in place of what was cut; bytes that are no UTF-8 are spelled out."""
    if total > len(kept):
        half = len(kept) // 2
        cut = f"\n... {total - len(kept)} bytes cut ...\n".encode()
        kept = kept[:half] + cut + kept[half:]
    return kept.decode("utf-8", "backslashreplace")
