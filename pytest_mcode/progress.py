"""The live line on a terminal: instead of letters, one line that is rewritten."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pytest_mcode._types import Status
from pytest_mcode.outcome import Recorder

#: Seconds between two drawings.
INTERVAL = 0.1


class Progress:
    """Registered on the controller when stdout is a terminal and no verbosity was asked for."""

    def __init__(self, recorder: Recorder, terminal: Any) -> None:
        self._recorder, self._terminal = recorder, terminal
        self._started = self._drawn = 0.0

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Count a task without printing its letter: the line tells."""
        if getattr(report, "mcode_unsolved", False):
            return "unsolved", "", ""
        return ("passed", "", "") if report.passed and report.when == "call" else None

    def pytest_runtest_logstart(self) -> None:
        """Start the clock with the first task."""
        self._started = self._started or time.monotonic()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self) -> None:
        """Redraw, but not more often than can be read."""
        if time.monotonic() - self._drawn > INTERVAL:
            self._draw()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Leave the line as it ended."""
        self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        line = told(self._recorder, self._drawn - (self._started or self._drawn))
        self._terminal.rewrite(line[: self._terminal._tw.fullwidth - 1], erase=True)  # noqa: SLF001 - the width has no public name


def told(recorder: Recorder, seconds: float) -> str:
    """The line: how many tasks are done, the share solved, errors, and the time left at this pace."""
    counts = recorder.counts
    done, judged = sum(counts.values()), counts[Status.SOLVED] + counts[Status.UNSOLVED]
    parts = [f"{done}/{recorder.planned}"]
    if judged:
        parts.append(f"solved {counts[Status.SOLVED]} ({counts[Status.SOLVED] / judged:.1%})")
    if counts[Status.ERROR]:
        parts.append(f"errors {counts[Status.ERROR]}")
    if done and done < recorder.planned:
        parts.append(f"{clock(seconds / done * (recorder.planned - done))} left")
    return "mcode: " + " · ".join(parts)


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss, or m:ss below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
