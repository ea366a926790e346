"""What a supervisor is told of a program, and what it tells of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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
        memory: Bytes that the program must be able to use; 0: what the sandbox allows.
    """

    mode: Mode
    timeout: float
    data: bytes
    memory: int = 0


def packed(program: Program, mode: Mode, timeout: float, limits: dict[str, int]) -> Job:
    """Put the parts of a program together for its processes."""
    limits = {**limits, "DATA": max(limits["DATA"], program.memory)}
    opening = {"limits": limits, "solution": program.solution}
    if mode is Mode.ISOLATED and program.isolation is not None:
        how = program.isolation
        tester = {"limits": limits, "prelude": how.prelude, "calls": how.calls, "tests": program.tests}
        parts = frames.pack_json({**opening, "role": "solver"}), frames.pack_json({**tester, "role": "tester"})
    else:
        tests = program.tests.encode("utf-8", "surrogatepass")
        parts = frames.pack_json({**opening, "role": "two-phase"}), frames.pack(tests)
    sizes = [len(part) for part in parts]
    head = {"mode": mode.value, "timeout": timeout, "needs": program.needs, "parts": sizes}
    return Job(mode, timeout, b"".join((frames.pack_json(head), *parts)), program.memory)


def seen(told: bytes, written: bytes, mode: Mode) -> Execution:
    """From a supervisor's answer to an execution; why a program was stopped is the last line of its stderr.

    Raises:
        ValueError: It is no such answer: a program may have taken the supervisor's place.
    """
    answer = _answer(told)
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


def _answer(told: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(told)
    except RecursionError as error:
        raise ValueError("an answer that is nested too deeply") from error
    parts: dict[str, Any] = answer if isinstance(answer, dict) else {}
    wrong = [name for name, fits in _FITS.items() if not fits(parts.get(name))]
    if wrong:
        raise ValueError(f"an answer whose {wrong[0]} cannot be meant")
    return parts


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _LARGEST


def _are_sizes(value: Any) -> bool:
    """Whether it is the total and kept bytes of each stream."""
    pairs = value if isinstance(value, list) else ()
    return bool(pairs) and all(isinstance(pair, list) and list(map(_is_count, pair)) == [True, True] for pair in pairs)


#: The largest number that a database takes.
_LARGEST = 1 << 63
#: Whether a part of a supervisor's answer is what it should be.
_FITS: Mapping[str, Callable[[Any], bool]] = {
    "end": lambda value: isinstance(value, str),
    "phase": lambda value: isinstance(value, str),
    "exit_code": lambda value: value is None or (type(value) is int and abs(value) < _LARGEST),
    "seconds": lambda value: type(value) in (int, float) and 0 <= value < _LARGEST,
    "out_of_memory": lambda value: isinstance(value, bool),
    "streams": _are_sizes,
}


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
