"""A task's result as text, on its way from the process that solved it to the controller that records it.

ASCII JSON: execnet, which carries xdist's reports, refuses some of what models write.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pytest_mcode._types import Attempt, Completion, Execution, Message, Mode, Sample, TaskResult, Verdict


def dump(result: TaskResult) -> str:
    """Write a result as text."""
    return json.dumps(asdict(result))


def load(text: str) -> TaskResult:
    """Read a result that `dump` wrote."""
    raw = json.loads(text)
    return TaskResult(**{**raw, "samples": tuple(_sample(sample) for sample in raw["samples"])})


def _sample(raw: Mapping[str, Any]) -> Sample:
    return Sample(**{**raw, "attempts": tuple(_attempt(attempt) for attempt in raw["attempts"])})


def _attempt(raw: Mapping[str, Any]) -> Attempt:
    completion, execution = raw["completion"], raw["execution"]
    return Attempt(
        index=raw["index"],
        verdict=Verdict(raw["verdict"]),
        completion=completion and _completion(completion),
        solution=raw["solution"],
        execution=execution and Execution(**{**execution, "mode": Mode(execution["mode"])}),
        error=raw["error"],
    )


def _completion(raw: Mapping[str, Any]) -> Completion:
    return Completion(**{**raw, "prompt": tuple(Message(**turn) for turn in raw["prompt"])})
