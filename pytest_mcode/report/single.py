"""One run with all that is known of it: what ``mcode results --run`` shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_mcode.report.figures import Figures
from pytest_mcode.report.terminal import Line, lines
from pytest_mcode.store import Session, wall

#: What is shown under ``results`` already, or only serves to compare.
KNOWN = ("model", "bench", "selection")


def shown(found: Figures, sessions: Sequence[Session], database: str) -> Iterator[str]:
    """Its figures, then its configuration, what it depends on, and the processes that worked on it."""
    yield from map(str, lines(found, database, wall(sessions)))
    yield from _section("configuration", found.run.config)
    facts = {"fingerprint": found.run.dataset_fingerprint, **found.run.versions}
    yield from _section("provenance", facts)
    yield from _section("sessions", dict(enumerate(map(_told, sessions))))


def _section(title: str, values: Mapping[Any, Any]) -> Iterator[str]:
    yield ""
    yield title
    for name, value in values.items():
        if name not in KNOWN and value not in (None, "", [], False):
            yield f"  {Line(str(name), str(value))}"


def _told(session: Session) -> str:
    until = session.ended_at or "not ended, or killed"
    of = "" if session.shard is None else f"shard {session.shard}, "
    return f"{of}{session.started_at} to {until} on {session.host}, {session.seconds:,.1f} s"
