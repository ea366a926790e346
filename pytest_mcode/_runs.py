"""A run, its shards and its sessions, as rows of the database have them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pytest_mcode._tables import RUNS


@dataclass(frozen=True)
class Shard:
    """A part of a run.

    Attributes:
        index: Which one it is, from 0.
        count: Of how many.
        planned: Number of its tasks.
        whole: Number of tasks that were cut into shards; 0 where that is not known.
        selection: SHA-256 (hex) over the ids of its tasks.
        started_at: As stored.
        finished_at: Likewise; None while tasks are left.
    """

    index: int
    count: int
    planned: int
    whole: int
    selection: str
    started_at: str
    finished_at: str | None = None


def planned(shards: Sequence[Shard]) -> int:
    """Number of tasks of a whole run, of which these shards have begun.

    A shard that has not begun will have its share of what was cut; fewer only if it is told to leave some out.
    """
    begun = {shard.index: shard for shard in shards}
    some = shards[0]
    shares = (len(range(index, some.whole, some.count)) for index in range(some.count) if index not in begun)
    return sum(shard.planned for shard in begun.values()) + sum(shares)


def absent(shards: Sequence[Shard]) -> list[int]:
    """The shards of a run, some of which are these, that have not begun."""
    begun = {shard.index for shard in shards}
    return [index for index in range(shards[0].count) if index not in begun] if shards else []


def of_older(config: Mapping[str, Any], planned: int, started_at: str, finished_at: str | None) -> tuple[Shard, ...]:
    """The shard that an older mCode recorded as a run of its own; none if its run was not cut."""
    index, count = config.get("shard-index"), config.get("shard-count", 1)
    return () if index is None or count < 2 else (Shard(index, count, planned, 0, "", started_at, finished_at),)  # noqa: PLR2004


def ended(shards: Sequence[Shard]) -> str | None:
    """When the last of those that have begun was finished; None while one is not."""
    ends = [shard.finished_at for shard in shards]
    return None if None in ends else max(end for end in ends if end is not None)


@dataclass(frozen=True)
class Run:
    """A row of ``runs``: one configuration on one benchmark."""

    id: str
    benchmark: str
    model: str
    backend: str
    config: Mapping[str, Any]
    config_hash: str
    dataset_fingerprint: str
    planned: int
    started_at: str
    finished_at: str | None
    versions: Mapping[str, str]
    shards: tuple[Shard, ...] = ()
    """The parts of it that have begun, if it is cut into any."""


@dataclass(frozen=True)
class Session:
    """A row of ``sessions``: a process that has worked on a run.

    Attributes:
        host: Name of its machine.
        process: Its number there, and where known when it started.
        started_at: As stored.
        ended_at: Likewise; None while it is under way, and where it was killed.
        seconds: Wall seconds up to the last task that it recorded.
        shard: The part of the run that it worked on; None is the whole.
    """

    host: str
    process: str
    started_at: str
    ended_at: str | None = None
    seconds: float = 0.0
    shard: int | None = None


def one_of(parts: Sequence[Run]) -> Run:
    """The run of which several databases have a part each, the oldest first."""
    shards: dict[int, Shard] = {}
    for shard in (shard for part in parts for shard in part.shards):
        other = shards.setdefault(shard.index, shard)
        ends = filter(None, (other.finished_at, shard.finished_at))
        shards[shard.index] = replace(other, finished_at=max(ends, default=None))
    if not shards:
        return replace(parts[0], finished_at=max(filter(None, (part.finished_at for part in parts)), default=None))
    its = tuple(shards[index] for index in sorted(shards))
    return replace(parts[0], planned=planned(its), finished_at=ended(its), shards=its)


def wall(sessions: Iterable[Session]) -> float:
    """Wall seconds in which at least one of these processes worked."""
    seconds, until = 0.0, float("-inf")
    for started, its in sorted((_seconds(session.started_at), session.seconds) for session in sessions):
        seconds += max(0.0, started + its - max(started, until))
        until = max(until, started + its)
    return seconds


def _seconds(stored: str) -> float:
    return datetime.fromisoformat(stored).timestamp()


def taken(run_id: str, index: int | None) -> str:
    """The sentence on a run, or a shard of it, that is there already."""
    which = f"a run {run_id}" if index is None else f"shard {index} of a run {run_id}"
    return f"There is {which} already: add --mcode-resume to go on with it, or name another."


def now() -> str:
    """The time, as it is stored: ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def run_row(run: Run) -> dict[str, Any]:
    """Its row of ``runs``."""
    row = {column.name: getattr(run, column.name) for column in RUNS.columns}
    return {**row, "config": json.dumps(run.config), "versions": json.dumps(run.versions)}


def to_run(row: sa.Row[Any], shards: tuple[Shard, ...]) -> Run:
    """A run from its row, and from those of its shards."""
    config = json.loads(row.config)
    older = of_older(config, row.planned, row.started_at, row.finished_at)
    more = {"config": config, "versions": json.loads(row.versions), "shards": shards or older}
    return Run(**{**row._asdict(), **more})
