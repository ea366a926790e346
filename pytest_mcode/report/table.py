"""The tables of ``mcode results``. A column is one entry of a list; a narrow window leaves some out, and says so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pytest_mcode.metrics import Rate
from pytest_mcode.report.figures import Figures
from pytest_mcode.report.words import named
from pytest_mcode.spelling import visible

CAPTION = "rates in per cent with 95 % intervals; errors are kept out of them"
#: Characters, more than any table has in a line.
UNLIMITED = 10_000


@dataclass(frozen=True)
class Row:
    """What a row is about: a run, with so many of its samples, and whether it ends a section."""

    figures: Figures
    samples: int
    ends: bool = False

    @property
    def tries(self) -> int:
        """How often a task may have been tried."""
        return self.samples * self.figures.attempts

    @property
    def gain(self) -> str:
        """Points won by the last sample: of solve@budget, or of pass@k where there are no debug iterations."""
        rate = self.figures.pass_at if self.figures.attempts == 1 else self.figures.solved_within
        now, before = rate(self.samples), rate(self.samples - 1) if self.samples > 1 else None
        return "" if now is None or before is None else f"{100 * (now.value - before.value):+.1f}"


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: Its head.
        cell: What it says of a row.
        side: Where its texts stand.
        style: Of what it says.
        idle: Whether it tells nothing of a row. Where that is so of every row, it is the first to give way.
        yields: Its place among those that give way to a narrow window; 0 never does.
        folds: Whether it may take two lines when all have given way.
    """

    name: str
    cell: Callable[[Row], str]
    side: Literal["left", "right"] = "right"
    style: str = ""
    idle: Callable[[Row], bool] = lambda _: False
    yields: int = 0
    folds: bool = False


def _solved(row: Row) -> str:
    f = row.figures
    return f"{f.solved}/{f.judged}" + (f" of {f.run.planned}" if f.missing else "")


def _tokens(row: Row) -> str:
    return "" if row.figures.completion_tokens is None else f"{row.figures.completion_tokens:,}"


def _percent(rate: Rate | None) -> str:
    return "-" if rate is None else f"{100 * rate.value:.1f} [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"


def _budget(row: Row) -> str:
    return _percent(row.figures.solved_within(row.samples))


BENCHMARK = Column("benchmark", lambda row: row.figures.run.benchmark, "left")
MODEL = Column("model", lambda row: named(row.figures.run.model, row.figures.run.config), "left", folds=True)
SOLVED = Column("solved", _solved, yields=5)
ERRORS = Column("errors", lambda row: str(row.figures.errors), idle=lambda row: row.figures.errors == 0, yields=6)
RUN = Column("run", lambda row: row.figures.run.id, "left", yields=3)
BY_RUN = (
    BENCHMARK,
    MODEL,
    SOLVED,
    Column("pass@1", lambda row: _percent(row.figures.pass_at(1)), style="bold", folds=True),
    Column("solve@budget", _budget, idle=lambda row: row.tries == 1, yields=7),
    Column("tries", lambda row: f"{row.samples} x {row.figures.attempts}", idle=lambda row: row.tries == 1, yields=4),
    ERRORS,
    Column("tokens", _tokens, idle=lambda row: row.figures.completion_tokens is None, yields=2),
    Column("seconds", lambda row: f"{row.figures.seconds:,.0f}", yields=1),
    RUN,
)
BY_SAMPLES = (
    BENCHMARK,
    MODEL,
    SOLVED,
    Column("samples", lambda row: f"{row.samples} of {row.figures.samples}"),
    Column("pass@k", lambda row: _percent(row.figures.pass_at(row.samples)), style="bold", folds=True),
    Column("solve@budget", _budget, idle=lambda row: row.figures.attempts == 1, yields=7),
    Column("gain", lambda row: row.gain),
    ERRORS,
    RUN,
)


def by_run(found: Sequence[Figures], width: int = UNLIMITED) -> Table:
    """One row a run, in so many characters a line."""
    return fitting(BY_RUN, [Row(f, f.samples) for f in found], width)


def by_samples(found: Sequence[Figures], width: int = UNLIMITED) -> Table:
    """One row for each number of samples of each run, so that the gain from more samples is seen."""
    return fitting(BY_SAMPLES, [Row(f, k, k == f.samples) for f in found for k in range(1, f.samples + 1)], width)


def show(shape: Callable[[Sequence[Figures], int], Table], found: Sequence[Figures]) -> None:
    """Print a table: fit for the window on a terminal, plain and as wide as it is anywhere else."""
    console = printer(UNLIMITED)
    console.print(shape(found, console.width))


def printer(width: int) -> Console:
    """What prints to a terminal as wide as it is, and plainly in so many characters a line to anything else."""
    if not sys.stdout.isatty():
        return Console(width=width, color_system=None)
    console = Console()
    return Console(color_system=None) if console.no_color else console  # no bold type either


def fitting(columns: Sequence[Column], rows: Sequence[Row], width: int) -> Table:
    """The table, without the columns that have to give way."""
    written = [
        (column, [visible(column.cell(row)) for row in rows]) for column in columns
    ]  # once: intervals take their time
    idle = [c for c in columns if rows and all(map(c.idle, rows))]
    yielding = sorted((c for c in columns if c.yields and c not in idle), key=lambda c: c.yields)
    gone: list[Column] = []
    table = _table(written, rows, gone)
    for column in (*idle, *yielding):
        if width >= UNLIMITED or _width(table) <= width:  # measuring is as slow as printing
            break
        gone.append(column)
        table = _table(written, rows, gone)
    return table


def _table(written: Sequence[tuple[Column, Sequence[str]]], rows: Sequence[Row], gone: Sequence[Column]) -> Table:
    left = [(column, cells) for column, cells in written if column not in gone]
    note = f"\nno room for: {', '.join(c.name for c in gone)}" if gone else ""
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        caption=CAPTION + note,
        caption_justify="left",
    )
    for c, _ in left:
        table.add_column(c.name, justify=c.side, no_wrap=not c.folds, overflow="fold", style=c.style)
    for number, row in enumerate(rows):
        table.add_row(*(Text(cells[number]) for _, cells in left), end_section=row.ends)
    return table


def _width(table: Table) -> int:
    console = Console(width=UNLIMITED)
    return Measurement.get(console, console.options, table).maximum
