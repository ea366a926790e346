"""What several commands have in common: how databases and runs are named on a command line."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pytest_mcode.recorded import Wanted

databases = click.option(
    "--db", "databases", metavar="PATH", multiple=True, help="Database, repeatable: file, directory or glob pattern."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts, no table.")


@dataclass(frozen=True)
class Filters:
    """What was said of the runs that are asked for, and of where to look for them; see `filters`."""

    benchmark: str | None
    model: str | None
    backend: str | None
    run_id: str | None
    since: str | None
    databases: Sequence[str]

    @property
    def wanted(self) -> Wanted:
        """Which runs are asked for."""
        from pytest_mcode import recorded

        return recorded.Wanted(self.benchmark, self.model, self.backend, self.run_id, recorded.since(self.since))


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that choose runs and name databases, as its argument ``filters``."""

    @functools.wraps(command)
    def gathering(**given: Any) -> Any:
        return command(filters=Filters(**{each.name: given.pop(each.name) for each in fields(Filters)}), **given)

    since = "Only runs that started then or later: 2025-11-03, 2025-11-03T14:00, or 7d, 12h, 30m ago."
    wrapped: Callable[..., Any] = gathering
    for decorate in (
        databases,
        click.option("--since", metavar="TIME", help=since),
        click.option("--run", "run_id", metavar="ID", help="Only this run; the beginning of its id will do."),
        click.option("--backend", metavar="NAME", help="Only runs of this backend."),
        click.option("--model", metavar="NAME", help="Only runs of this model."),
        click.option("--benchmark", metavar="NAME", help="Only runs of this benchmark."),
    ):
        wrapped = decorate(wrapped)
    return wrapped


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage meanwhile: there is none, and over very many rows the search takes a third of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
