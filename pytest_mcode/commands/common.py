"""What several commands have in common: how databases and runs are named on a command line."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import click

from pytest_mcode._errors import UsageError

if TYPE_CHECKING:
    from pytest_mcode.recorded import Wanted

FORMATS = ("table", "markdown", "csv", "json")

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
    sweep: str | None
    databases: Sequence[str]

    @property
    def wanted(self) -> Wanted:
        """Which runs are asked for."""
        from pytest_mcode import recorded

        since = recorded.since(self.since)
        return recorded.Wanted(self.benchmark, self.model, self.backend, self.run_id, since, self.sweep)


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that choose runs and name databases, as its argument ``filters``."""

    @functools.wraps(command)
    def gathering(**given: Any) -> Any:
        return command(filters=Filters(**{each.name: given.pop(each.name) for each in fields(Filters)}), **given)

    since = "Only runs that started then or later: 2025-11-03, 2025-11-03T14:00, or 7d, 12h, 30m ago."
    wrapped: Callable[..., Any] = gathering
    for decorate in (
        databases,
        click.option("--sweep", metavar="NAME", help="Only runs of this sweep."),
        click.option("--since", metavar="TIME", help=since),
        click.option("--run", "run_id", metavar="ID", help="Only this run: its id, the beginning of it, or 'last'."),
        click.option("--backend", metavar="NAME", help="Only runs of this backend."),
        click.option("--model", metavar="NAME", help="Only runs of this model."),
        click.option("--benchmark", metavar="NAME", help="Only runs of this benchmark."),
    ):
        wrapped = decorate(wrapped)
    return wrapped


def formats(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--format`` and its shorthands, as its argument ``form``: one of `FORMATS`."""

    @functools.wraps(command)
    def choosing(*, form: str | None, as_json: bool, as_csv: bool, **given: Any) -> Any:
        asked = {"--json": "json" if as_json else None, "--csv": "csv" if as_csv else None, f"--format {form}": form}
        told = {flag: name for flag, name in asked.items() if name}
        if len(set(told.values())) > 1:
            raise UsageError(f"{' and '.join(told)} ask for different formats: give one of them.")
        return command(form=next(iter(told.values()), FORMATS[0]), **given)

    kinds = click.Choice(FORMATS)
    help_ = "How to print it."
    wrapped: Callable[..., Any] = choosing
    for decorate in (
        click.option("--csv", "as_csv", is_flag=True, help="The same as --format csv, for spreadsheets."),
        click.option("--json", "as_json", is_flag=True, help="The same as --format json, for scripts."),
        click.option("--format", "form", type=kinds, help=help_),
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
