"""How a run is named, the same in header and summary."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from pytest_mcode.solvers.reference import NAME as REFERENCE


def model(name: str, backend: str) -> str:
    """Who writes the solutions."""
    return "reference solutions" if name == REFERENCE else f"{name} ({backend})"


def marks(config: Mapping[str, Any]) -> str:
    """What of a stored configuration must be said wherever its figures are: how patches were made, with what help."""
    agent, said = config.get("agent", "oneshot"), []
    if agent != "oneshot":
        said.append(f"{agent} agent")
    elif config.get("retrieval") == "oracle":
        said.append("oracle retrieval: shown the files of the gold patch")
    return ", ".join(said)


def named(name: str, config: Mapping[str, Any]) -> str:
    """A model's name with these marks, as tables have it."""
    agent = config.get("agent", "oneshot")
    if agent != "oneshot":
        return f"{name} ({agent})"
    return f"{name} (oracle)" if config.get("retrieval") == "oracle" else name


def tries(samples: int, attempts: int) -> str:
    """How often a task may be tried."""
    return f"{plural(samples, 'sample')} of {plural(attempts, 'attempt')} a task"


def fault(report: pytest.TestReport) -> str:
    """One line on why a test did not end as it should."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        first = str(crash.message).partition("\n")[0]
        return f"{first} ({crash.path}:{crash.lineno})"
    return " ".join(report.longreprtext.strip().splitlines()[-1:]) or "the test did not end"


def plural(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def in_order(task: str) -> list[tuple[int, str]]:
    """A key by which ``mine/9`` comes before ``mine/10``."""
    parts = re.split(r"(0*\d+)", task, flags=re.ASCII)  # each other one is a number: the longer is the greater
    return [(len(part.lstrip("0")), part.lstrip("0")) if place % 2 else (-1, part) for place, part in enumerate(parts)]


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss, or m:ss below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
