"""One run with all that is known of it: what ``mcode results --run`` shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_mcode.metrics import Costs
from pytest_mcode.report import breakdown
from pytest_mcode.report.figures import Figures
from pytest_mcode.report.tabular import percent, share
from pytest_mcode.report.terminal import Line, lines, shown, usual
from pytest_mcode.store import Session, wall

#: What is shown under ``results`` already, or only serves to compare.
KNOWN = ("model", "bench", "selection")


def whole(found: Figures, costs: Costs | None, sessions: Sequence[Session], database: str) -> Iterator[str]:
    """Its figures, then its configuration, what it depends on, and the processes that worked on it."""
    yield from map(str, lines(found, database, wall(sessions)))
    yield from _section("solve@budget, samples x attempts", _curve(found))
    yield from _section("verdicts", _verdicts(found))
    yield from _section("costs of the tasks that were judged", _costs(costs) if costs else {})
    yield from _section("configuration", found.run.config)
    facts = {"fingerprint": found.run.dataset_fingerprint, **found.run.versions}
    yield from _section("provenance", facts)
    yield from _section("sessions", dict(enumerate(map(_told, sessions))))


def _section(title: str, values: Mapping[Any, Any]) -> Iterator[str]:
    told = {name: value for name, value in values.items() if name not in KNOWN and value not in (None, "", [], False)}
    if told:
        yield ""
        yield title
    for name, value in told.items():
        yield f"  {Line(str(name), str(value))}"


def _curve(found: Figures) -> dict[str, str]:
    """The rate of each budget; a dash where a pass ended the sampling, and nobody knows."""
    if found.samples * found.attempts == 1:
        return {}
    budgets = [(samples, attempts) for samples in usual(found.samples) for attempts in usual(found.attempts)]
    rates = {f"{samples} x {attempts}": found.within(samples, attempts) for samples, attempts in budgets}
    return {budget: "     -" if rate is None else shown(rate) for budget, rate in rates.items()}


def _verdicts(found: Figures) -> dict[str, str]:
    """The share of samples and of attempts that came to each."""
    told = {}
    for its in breakdown.verdicts(found):
        counts = {"samples": (its.samples, its.all_samples)}
        if found.attempts > 1:
            counts["attempts"] = its.attempts, its.all_attempts
        parts = [f"{part} of {all_} {name} ({percent(share(part, all_))}%)" for name, (part, all_) in counts.items()]
        told[its.verdict.value] = ", ".join(parts)
    return told


def _costs(costs: Costs) -> dict[str, str]:
    """Completion tokens and wall seconds of a task; for a solved one, with what was spent on failures."""
    tokens = {"a task": costs.tokens_a_task, "a solved task": costs.tokens_a_solved_task}
    tokens["a second of a request"] = costs.tokens_a_second
    seconds = {"a task": costs.seconds_a_task, "a solved task": costs.seconds_a_solved_task}
    return {"tokens": _each(tokens), "seconds": _each(seconds)}


def _each(values: Mapping[str, float | None]) -> str:
    return ", ".join(f"{value:,.1f} {what}" for what, value in values.items() if value is not None)


def _told(session: Session) -> str:
    until = session.ended_at or "not ended, or killed"
    of = "" if session.shard is None else f"shard {session.shard}, "
    return f"{of}{session.started_at} to {until} on {session.host}, {session.seconds:,.1f} s"
