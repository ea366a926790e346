"""Printing in one place: the same rows as a table for a terminal or a pipe, as Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar

from rich import box
from rich.console import Console, Group
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pytest_mcode.metrics import Rate
from pytest_mcode.spelling import visible

#: Characters, more than any table has in a line.
UNLIMITED = 10_000
#: What a spreadsheet takes for the beginning of a formula: also in full width, and after what it skips.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
#: What Markdown, or HTML in it, takes for its own anywhere in a cell, and an underscore at the edge of a word.
_MARKS = re.compile(r"[\\`*\[\]<>|~&]|(?<!\w)_|_(?!\w)")

T = TypeVar("T")
#: What a row says in one column. A rate is from 0 to 1, as is a share.
Value = str | int | float | Rate | None


class Form(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True)
class Column(Generic[T]):
    """One column.

    Attributes:
        name: Its head.
        value: What it says of a row, for scripts.
        cell: The same for people; None: as `written`.
        rate: Whether it says a rate with its interval.
        to: Who reads it: scripts are CSV and JSON.
        side: Where its texts stand; None: numbers right, all else left.
        style: Of what it says.
        idle: Whether it tells nothing of a row. Where that is so of every row, it is the first to give way.
        yields: Its place among those that give way to a narrow window; 0 never does.
        folds: Whether it may take two lines when all have given way.
    """

    name: str
    value: Callable[[T], Value]
    cell: Callable[[T], str] | None = None
    rate: bool = False
    to: Literal["all", "people", "scripts"] = "all"
    side: Literal["left", "right"] = "right"
    style: str = ""
    idle: Callable[[T], bool] = lambda _: False
    yields: int = 0
    folds: bool = False

    def shown(self, row: T) -> str:
        """What people read of a row: one line that no terminal obeys."""
        return one_line(self.cell(row) if self.cell else written(self.value(row), rate=self.rate))


@dataclass(frozen=True)
class Listing(Generic[T]):
    """Rows and what is said of each.

    Attributes:
        columns: From left to right.
        rows: From top to bottom.
        caption: What a reader has to know of them.
        ends: Whether a row is the last of a section.
    """

    columns: Sequence[Column[T]]
    rows: Sequence[T]
    caption: str = ""
    ends: Callable[[T], bool] = lambda _: False

    def read_by(self, reader: Literal["people", "scripts"]) -> list[Column[T]]:
        """The columns for people or for scripts."""
        return [column for column in self.columns if column.to in ("all", reader)]


def put(listing: Listing[T], form: Form = Form.TABLE) -> None:
    """Print it: a table fits the window of a terminal, and is plain and as wide as it is anywhere else."""
    if form is Form.TABLE:
        console = printer(UNLIMITED)
        console.print(fitting(listing, console.width))
    else:
        sys.stdout.write({Form.MARKDOWN: markdown, Form.CSV: as_csv, Form.JSON: as_json}[form](listing))


def printer(width: int) -> Console:
    """What prints to a terminal as wide as it is, and plainly in so many characters a line to anything else."""
    if not sys.stdout.isatty():
        return Console(width=width, color_system=None)
    console = Console()
    return Console(color_system=None) if console.no_color else console  # no bold type either


def bare() -> Table:
    """A table without rows, as all of them look."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))


def written(value: Value, *, rate: bool = False) -> str:
    """A value for people: rates in per cent with their intervals, numbers with commas between thousands."""
    if isinstance(value, Rate):
        return f"{100 * value.value:.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}]"
    if value is None:
        return "-" if rate else ""
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def share(part: int, whole: int) -> float | None:
    """A part of a whole, from 0 to 1; None of nothing."""
    return part / whole if whole else None


def percent(value: float | None) -> str:
    """A share in per cent."""
    return "" if value is None else f"{100 * value:.1f}"


def one_line(text: str) -> str:
    """The text in one line, with nothing that a terminal obeys."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def markdown(listing: Listing[T]) -> str:
    """A table of GitHub's Markdown, in which no text is markup; the caption follows."""
    columns = listing.read_by("people")
    lines = [[literal(column.name) for column in columns], ["---:" if c.side == "right" else "---" for c in columns]]
    lines += [[literal(column.shown(row)) for column in columns] for row in listing.rows]
    caption = ["", "  \n".join(map(literal, listing.caption.split("\n")))] if listing.caption else []
    return "\n".join([*(f"| {' | '.join(cells)} |" for cells in lines), *caption, ""])


def literal(text: str) -> str:
    """The text as Markdown shows it unchanged."""
    return _MARKS.sub(r"\\\g<0>", text)


def as_csv(listing: Listing[T]) -> str:
    """Comma-separated values with a head; shares from 0 to 1, a rate as ``name``, and its interval and n after it."""
    columns = listing.read_by("scripts")
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow([name for column in columns for name in _names(column)])
    writer.writerows([cell for column in columns for cell in _cells(column, row)] for row in listing.rows)
    return made.getvalue()


def as_json(listing: Listing[T]) -> str:
    """A list of objects, an object a row; a rate is one of its own."""
    columns = listing.read_by("scripts")
    rows = [{column.name: _json(column.value(row)) for column in columns} for row in listing.rows]
    return json.dumps(rows, indent=2) + "\n"


def _json(value: Value) -> Any:
    return asdict(value) if isinstance(value, Rate) else value


def _names(column: Column[T]) -> list[str]:
    return [column.name, *(f"{column.name}_{part}" for part in ("low", "high", "n") if column.rate)]


def _cells(column: Column[T], row: T) -> list[Value]:
    value = column.value(row)
    if isinstance(value, str):
        value = visible(value)
        return [f"'{value}" if value.startswith(_FORMULA) else value]
    if not column.rate:
        return [value]
    return [value.value, value.low, value.high, value.n] if isinstance(value, Rate) else [None] * 4


def fitting(listing: Listing[T], width: int) -> Group:
    """The table, without the columns that have to give way to a window of so many characters, and its caption."""
    rows = listing.rows
    # once: intervals take their time
    cells = [(column, [column.shown(row) for row in rows]) for column in listing.read_by("people")]
    idle = [c for c, _ in cells if rows and all(map(c.idle, rows))]
    yielding = sorted((c for c, _ in cells if c.yields and c not in idle), key=lambda c: c.yields)
    gone: list[Column[T]] = []
    table = _table(listing, cells)
    for column in (*idle, *yielding):
        if width >= UNLIMITED or _width(table) <= width:  # measuring is as slow as printing
            break
        gone.append(column)
        table = _table(listing, [each for each in cells if each[0] not in gone])
    notes = [listing.caption, f"no room for: {', '.join(c.name for c in gone)}" if gone else ""]
    return Group(table, *(Text(note, "table.caption") for note in notes if note))


def _table(listing: Listing[T], cells: Sequence[tuple[Column[T], Sequence[str]]]) -> Table:
    table = bare()
    for c, _ in cells:
        table.add_column(c.name, justify=c.side, no_wrap=not c.folds, overflow="fold", style=c.style)
    for number, row in enumerate(listing.rows):
        table.add_row(*(Text(column[number]) for _, column in cells), end_section=listing.ends(row))
    return table


def _width(table: Table) -> int:
    console = Console(width=UNLIMITED)
    return Measurement.get(console, console.options, table).maximum
