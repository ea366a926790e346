"""The summary at the end of a run."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from typing import Any

from pytest_mcode._errors import StoreError
from pytest_mcode.metrics import Rate
from pytest_mcode.options import Settings
from pytest_mcode.outcome import Recorder
from pytest_mcode.report.figures import Figures, figures
from pytest_mcode.store import Store


class Summary:
    """On the controller: the figures of each run of this session, read back from the database."""

    def __init__(self, store: Store, recorder: Recorder, settings: Settings) -> None:
        self._store, self._recorder, self._settings = store, recorder, settings
        self._started = time.monotonic()

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Write a section for each run."""
        try:
            found = [figures(self._store, run) for run in self._store.runs() if run.id in self._recorder.runs.values()]
        except StoreError as error:
            terminalreporter.write_line(f"mcode: there is no summary: {error}")
            return
        for figured in reversed(found):
            terminalreporter.ensure_newline()
            terminalreporter.section(f"mcode {figured.run.benchmark}")
            for line in lines(figured, self._settings.db, time.monotonic() - self._started):
                terminalreporter.write_line(line)

    def pytest_unconfigure(self) -> None:
        """Let go of the database."""
        self._store.close()


def lines(found: Figures, database: str, wall: float) -> Iterator[str]:
    """The summary of one run; ``wall`` is the session's seconds so far."""
    run = found.run
    yield _row("run", f"{run.id}, {run.model} ({run.backend})")
    for k in _ks(found.samples):
        rate = found.pass_at(k)
        if rate is not None:
            how = "" if found.samples == 1 else ", unbiased estimator" if found.all_samples else ", first success"
            yield _row(f"pass@{k}", f"{shown(rate)}, first attempts, n = {found.samples} samples{how}")
    if found.samples * found.attempts > 1:
        rate = found.solved_within(found.samples)
        budget = f"{found.samples} x {found.attempts} attempts"
        yield _row("solve@budget", f"{shown(rate)}, {budget}" if rate else "no task was judged")
    if found.errors:
        share = f"; counted as failures {found.solved / len(found.tasks):.1%}" if found.tasks else ""
        yield _row("errors", f"{found.errors} not judged, kept out of the rates{share}")
    verdicts = ", ".join(f"{verdict.value} {n}" for verdict, n in sorted(found.verdicts.items()))
    yield _row("samples", verdicts or "none")
    yield _row("tokens", f"{_count(found.prompt_tokens)} prompt, {_count(found.completion_tokens)} completion")
    spent = f"{found.generation_seconds:,.1f} generating, {found.execution_seconds:,.1f} executing"
    yield _row("seconds", f"{wall:,.1f} wall, {spent}")
    yield _row("database", database)
    command = ["mcode", "results", "--benchmark", run.benchmark, "--model", run.model]
    command += ["--compare-samples"] if found.samples > 1 else []
    yield _row("more", shlex.join([*command, "--db", database]))
    left = run.planned - len(found.tasks)
    yield _row("solved", f"{found.solved}/{found.judged}" + (f", {left} of {run.planned} not run" if left else ""))


def shown(rate: Rate) -> str:
    """A rate with its interval, in per cent."""
    return f"{rate.value:6.1%} [{rate.low:.1%}, {rate.high:.1%}]"


def _ks(samples: int) -> list[int]:
    """Which k to show: 1, the usual ones, and all that were drawn."""
    return sorted({k for k in (1, 2, 5, 10, 100) if k <= samples} | {samples})


def _row(name: str, text: str) -> str:
    return f"{name:<13} {text}"


def _count(tokens: int | None) -> str:
    return "unknown" if tokens is None else f"{tokens:,}"
