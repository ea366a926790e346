"""How far a run is, as ``mcode watch`` shows it: in all, and each shard with its last sign of life."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from pytest_mcode import metrics
from pytest_mcode._types import Status
from pytest_mcode.report.words import clock, model, plural
from pytest_mcode.spelling import visible
from pytest_mcode.store import Run, Session, absent, wall

#: Seconds without a recorded task after which a shard that should be working stands out.
SILENT = 300.0


class State(StrEnum):
    """What a shard is doing, as far as the database tells; those first that somebody should look at."""

    SILENT = "silent"
    STOPPED = "stopped"
    WORKING = "working"
    NOT_BEGUN = "not begun"
    FINISHED = "finished"


STYLES = {State.SILENT: "red", State.STOPPED: "yellow", State.FINISHED: "green"}


@dataclass(frozen=True)
class Part:
    """A shard, or a whole run that is not cut into any.

    Attributes:
        name: Its number; empty where there is but one part.
        done: Tasks recorded.
        planned: Tasks that it is to have; None where that is not known yet.
        errors: Tasks that could not be judged.
        sessions: Processes that have worked on it.
        silent: Seconds since its last sign of life; None without any.
        state: What it is doing.
    """

    name: str
    done: int
    planned: int | None
    errors: int
    sessions: int
    silent: float | None
    state: State


@dataclass(frozen=True)
class Look:
    """What the database says of a run at one moment.

    Attributes:
        run: Its row.
        counts: How many tasks of each shard came to what; None is no shard.
        sessions: The processes that have worked on it.
        at: The moment.
    """

    run: Run
    counts: Mapping[int | None, Mapping[Status, int]]
    sessions: Sequence[Session]
    at: datetime

    @property
    def totals(self) -> Counter[Status]:
        """How many tasks came to what."""
        added: Counter[Status] = Counter()
        for counts in self.counts.values():
            added.update(counts)
        return added

    @property
    def done(self) -> int:
        """Tasks recorded."""
        return self.totals.total()

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        return self.run.finished_at is not None and not absent(self.run.shards)

    def pace(self, earlier: Look | None = None) -> float:
        """Tasks a second: since an earlier look, or while anybody worked."""
        done, seconds = self.done, wall(self.sessions)
        if earlier is not None:
            done, seconds = done - earlier.done, (self.at - earlier.at).total_seconds()
        return done / seconds if seconds > 0 else 0.0

    def parts(self) -> Iterator[Part]:
        """Its shards in order; one part if it is not cut into any."""
        if not self.run.shards:
            yield self._part(None, "", self.run.planned, self.run.finished_at)
            return
        begun = {shard.index: shard for shard in self.run.shards}
        for index in range(self.run.shards[0].count):
            shard = begun.get(index)
            if shard is None:
                yield Part(str(index), 0, None, 0, 0, None, State.NOT_BEGUN)
            else:
                yield self._part(index, str(index), shard.planned, shard.finished_at)

    def _part(self, index: int | None, name: str, planned: int, finished_at: str | None) -> Part:
        its = [session for session in self.sessions if session.shard == index]
        counts = self.counts.get(index, {})
        signs = [datetime.fromisoformat(s.started_at).timestamp() + s.seconds for s in its]
        silent = max(0.0, self.at.timestamp() - max(signs)) if signs else None
        state = State.FINISHED if finished_at else State.WORKING
        if not finished_at and all(session.ended_at for session in its):
            state = State.STOPPED
        elif not finished_at and (silent or 0) > SILENT:
            state = State.SILENT
        return Part(name, sum(counts.values()), planned, counts.get(Status.ERROR, 0), len(its), silent, state)


def lines(look: Look, earlier: Look | None = None) -> Iterator[str]:
    """What a run has come to so far, a fact a line; ``earlier`` is what its pace is measured from."""
    run, totals = look.run, look.totals
    share = f" ({look.done / run.planned:.0%})" if run.planned else ""
    yield f"run      {run.id}: {run.benchmark}, {model(run.model, run.backend)}"
    yield f"tasks    {look.done} of {run.planned}{share}"
    yield f"solved   {solved(totals)}"
    if totals[Status.ERROR]:
        yield f"errors   {totals[Status.ERROR]}, kept out of the rate"
    yield f"time     {time_left(look, earlier)}"


def line(look: Look, earlier: Look | None = None) -> str:
    """The same in one line, and how many shards do what."""
    states = Counter(part.state for part in look.parts())
    told = ", ".join(f"{states[state]} {state}" for state in State if states[state])
    shards = f", shards: {told}" if look.run.shards else f", {told}"
    errors = look.totals[Status.ERROR]
    tasks = f"{look.done}/{look.run.planned} tasks, solved {solved(look.totals)}"
    head = f"{look.at.astimezone():%H:%M:%S} {look.run.id}: {tasks}"
    return f"{head}{f', errors {errors}' if errors else ''}, {time_left(look, earlier)}{shards}"


def solved(totals: Mapping[Status, int]) -> str:
    """How many tasks were solved of those judged, and the rate with its interval."""
    judged = totals.get(Status.SOLVED, 0) + totals.get(Status.UNSOLVED, 0)
    if not judged:
        return "none judged"
    rate = metrics.interval({1.0: totals.get(Status.SOLVED, 0), 0.0: totals.get(Status.UNSOLVED, 0)})
    return f"{totals.get(Status.SOLVED, 0)}/{judged} = {rate.value:.1%} [{rate.low:.1%}, {rate.high:.1%}]"


def time_left(look: Look, earlier: Look | None) -> str:
    """How many tasks a minute are done, and how long the rest will take at that."""
    pace, left = look.pace(earlier), max(0, look.run.planned - look.done)
    told = f"{60 * pace:.1f} tasks a minute"
    if look.is_over:
        return f"{told}, finished"
    return f"{told}, {clock(left / pace)} left" if pace else f"{told}, time left not known"


def page(look: Look, earlier: Look | None = None, *, rows: int | None = None) -> Group:
    """All of it: the lines, then a row for each shard, of which ``rows`` at most are shown."""
    parts = list(look.parts())
    shown = parts
    if rows is not None and len(parts) > rows:
        order = list(State)
        shown = sorted(parts, key=lambda part: (order.index(part.state), -(part.silent or 0)))[: max(rows, 1)]
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("shard", "tasks", "errors", "sessions", "last sign"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("", no_wrap=True)
    for part in shown:
        ago = "" if part.silent is None else f"{clock(part.silent)} ago"
        tasks = "" if part.planned is None else f"{part.done}/{part.planned}"
        cells = (part.name or "all", tasks, str(part.errors or ""), str(part.sessions or ""), ago)
        made.add_row(*map(Text, cells), Text(part.state, STYLES.get(part.state, "")))
    more = len(parts) - len(shown)
    rest = [Text(f"and {plural(more, 'more shard')}, which can wait")] if more else []
    return Group(*(Text(visible(text)) for text in lines(look, earlier)), Text(), made, *rest)
