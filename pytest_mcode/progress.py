"""The live line on a terminal: instead of letters, one line that is rewritten."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_mcode._types import Status
from pytest_mcode.outcome import Recorder
from pytest_mcode.report.words import clock

#: Seconds between two drawings.
INTERVAL = 0.1

#: What pytest makes of a report: its category, letter and word.
Said = tuple[str, str, Any]


@dataclass(frozen=True)
class Tally:
    """How far a session is.

    Attributes:
        planned: Tasks that it is to judge.
        solved: Tasks so far.
        unsolved: Tasks so far.
        errors: Tasks so far that could not be judged.
        failed: Tests of somebody else that failed.
        seconds: Since the first task began; None once the session is over.
    """

    planned: int
    solved: int = 0
    unsolved: int = 0
    errors: int = 0
    failed: int = 0
    seconds: float | None = None


def suits(config: pytest.Config, terminal: Any) -> bool:
    """Whether a line can be rewritten: on a terminal, with no other verbosity asked for, and nobody else writing."""
    return bool(terminal.isatty) and config.get_verbosity() == 0 and config.option.capture in ("fd", "sys")


class Progress:
    """On the controller, where it `suits`: tells by one line what letters would."""

    def __init__(self, recorder: Recorder, terminal: Any) -> None:
        self._recorder, self._terminal = recorder, terminal
        self._started = self._drawn = 0.0
        self._failed, self._length, self._over = 0, 0, False
        terminal.showfspath = False  # the line stands where a module's name would

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, Said, Said]:
        """While the line is live, no test has a letter or a word of its own."""
        category, letter, word = yield
        return (category, letter, word) if self._over else (category, "", "")

    def pytest_runtest_logstart(self) -> None:
        """Start the clock with the first task."""
        if not self._started:
            self._started = time.monotonic()
            self._draw()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Redraw, but not more often than can be read."""
        self._failed += report.failed
        if time.monotonic() - self._drawn > INTERVAL:
            self._draw()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Leave the line as it ended."""
        self._over = True
        if self._started:
            self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        tally = self._tally()
        width = self._terminal._tw.fullwidth - 1  # noqa: SLF001 - the width has no public name
        line = told(tally, width)
        self._terminal.rewrite(line.ljust(width if self._over else self._length), red=tally.errors > 0)
        self._terminal.flush()
        self._length = len(line)
        self._terminal.currentfspath = -2  # whoever writes next begins a line of their own

    def _tally(self) -> Tally:
        unsolved, errors = self._recorder.counts[Status.UNSOLVED], self._recorder.counts[Status.ERROR]
        return Tally(
            self._recorder.planned,
            self._recorder.counts[Status.SOLVED],
            unsolved,
            errors,
            self._failed - unsolved - errors,
            None if self._over else self._drawn - self._started,
        )


def told(tally: Tally, width: int) -> str:
    """The line: tasks done, the share solved, errors, failures of other tests, and the time left at this pace.

    In whole words if ``width`` columns allow it.
    """
    judged = tally.solved + tally.unsolved
    done = judged + tally.errors
    parts = [(f"mcode: {done}/{tally.planned}", f"{done}/{tally.planned}")]
    if judged:
        share = f"{tally.solved / judged:.1%}"
        parts.append((f"solved {tally.solved} ({share})", share))
    if tally.errors:
        parts.append((f"errors {tally.errors}", f"{tally.errors} E"))
    if tally.failed > 0:
        parts.append((f"other tests failed {tally.failed}", f"{tally.failed} F"))
    if done and done < tally.planned and tally.seconds is not None:
        left = f"{clock(tally.seconds / done * (tally.planned - done))} left"
        parts.append((left, left))
    whole, brief = (" · ".join(texts) for texts in zip(*parts, strict=True))
    return whole if len(whole) <= width else brief[:width]
