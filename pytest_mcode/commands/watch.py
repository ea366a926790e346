"""``mcode watch``: how far a run is, while it goes on, wherever its shards run."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from pytest_mcode import spelling
from pytest_mcode.commands.common import databases

if TYPE_CHECKING:
    from pytest_mcode._types import Status
    from pytest_mcode.report.live import Look
    from pytest_mcode.store import Session, Store

#: Seconds over which the pace is measured, and that must have passed before it is.
SPAN, LEAST = 120.0, 20.0
#: Lines of a window that are not rows of shards.
AROUND = 10


@click.command(
    short_help="Show how far a run is, while it goes on.",
    epilog="It ends when the run is finished; Ctrl-C ends it before, and the run goes on. In a pipe it prints a line "
    "whenever something has changed.",
)
@databases
@click.option(
    "--interval", type=click.FloatRange(min=0.1), default=2.0, show_default=True, help="Seconds between looks."
)
@click.option("--once", is_flag=True, help="Look once, and end.")
@click.argument("run", metavar="[RUN]", required=False)
def watch(run: str | None, databases: Sequence[str], *, interval: float, once: bool) -> None:
    """Show how far RUN is: tasks, solved, errors, pace, time left, and each shard with its last sign of life.

    \b
      mcode watch nightly --db postgresql://db/mcode
      mcode watch --once

    RUN is an id or the beginning of one; the newest, if none is given. The run may be under way anywhere, and its
    shards may be in several databases.
    """  # noqa: D301 - click's mark for lines to keep
    from pytest_mcode import recorded
    from pytest_mcode.report import live, tabular
    from pytest_mcode.store import existing

    places = recorded.expanded(databases)
    its = recorded.named(places, run) if run else recorded.newest(places, recorded.Wanted())
    with ExitStack() as opened:
        stores = [opened.enter_context(closing(existing(place))) for place in its.places]
        looks = _looks(lambda: _look(stores, its.run.id), 0 if once else interval)
        if once:
            tabular.printer(tabular.UNLIMITED).print(live.page(next(looks)[0]))
        elif sys.stdout.isatty():
            _live(looks)
        else:
            _plain(looks)


def _look(stores: Sequence[Store], run_id: str) -> Look:
    from pytest_mcode.report.live import Look
    from pytest_mcode.store import one_of

    parts = sorted((run for store in stores for run in store.runs(run_id=run_id)), key=lambda run: run.started_at)
    counts: dict[int | None, Mapping[Status, int]] = {}
    sessions: dict[tuple[str, str, str], Session] = {}
    for store in stores:
        for shard, its in store.progress(run_id).items():  # of a shard that is in two databases, that which is farther
            counts[shard] = max(counts.get(shard, {}), its, key=lambda counted: sum(counted.values()))
        sessions |= {(each.host, each.process, each.started_at): each for each in store.sessions(run_id)}
    return Look(one_of(parts), counts, list(sessions.values()), datetime.now(UTC))


def _looks(look: Callable[[], Look], interval: float) -> Iterator[tuple[Look, Look | None]]:
    """What is seen each time, with what the pace is measured from; until the run is over."""
    seen: deque[Look] = deque()
    while True:
        now = look()
        while seen and (now.at - seen[0].at).total_seconds() > SPAN:
            seen.popleft()
        earlier = seen[0] if seen and (now.at - seen[0].at).total_seconds() >= LEAST else None
        yield now, None if now.is_over else earlier
        if now.is_over:
            return
        seen.append(now)
        time.sleep(interval)


def _live(looks: Iterator[tuple[Look, Look | None]]) -> None:
    from rich.live import Live

    from pytest_mcode.report import live, tabular

    console = tabular.printer(tabular.UNLIMITED)
    with Live(console=console, auto_refresh=False) as screen:
        for now, earlier in looks:
            screen.update(live.page(now, earlier, rows=max(1, console.height - AROUND)), refresh=True)


def _plain(looks: Iterator[tuple[Look, Look | None]]) -> None:
    from pytest_mcode.report import live

    before = None
    for now, earlier in looks:
        state = now.done, now.run, [part.state for part in now.parts()]
        if state != before:
            click.echo(spelling.visible(live.line(now, earlier)))
            sys.stdout.flush()
        before = state
