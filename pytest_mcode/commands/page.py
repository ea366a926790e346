"""``mcode report``: runs as one HTML file, which is read from disk in any browser."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from pytest_mcode import spelling
from pytest_mcode._errors import StoreError, UsageError
from pytest_mcode.commands.common import Filters, filters

if TYPE_CHECKING:
    from pytest_mcode._rows import AttemptRow
    from pytest_mcode.recorded import Located
    from pytest_mcode.report.figures import Figures

DEFAULT = "mcode-report.html"
#: Megabytes from which on a page is slow to open, and the bytes of a file in which it says what it is.
LARGE, HEAD = 10, 1_000


@click.command(short_help="Write runs as one HTML file.")
@filters
@click.option("--out", metavar="FILE", default=DEFAULT, help=f"The file; - is standard output. [default: {DEFAULT}]")
@click.option("--title", metavar="TEXT", help="Its heading.")
@click.option("--force", is_flag=True, help="Replace FILE even if it is no report.")
@click.option("--open", "opening", is_flag=True, help="Open it in the browser.")
@click.argument("runs", metavar="[RUN]...", nargs=-1)
def report(filters: Filters, *, out: str, title: str | None, force: bool, opening: bool, runs: Sequence[str]) -> None:
    """Write runs as one HTML file, with nothing in it that is fetched.

    It shows rates, costs, curves, each task in each run, and each attempt with all its texts. A RUN is an id or the
    beginning of one; without any, it is all runs that the options choose. The first is what others are compared with:
    of those that were named the first, else the oldest.
    """
    found = chosen(filters, runs)
    heading = title or ("mCode: " + ", ".join(dict.fromkeys(its.run.benchmark for its in found)))
    if out == "-":
        if opening:
            raise UsageError("--open needs a file: leave out '--out -'.")
        _print(found, heading)
        return
    path = Path(out).expanduser()
    check(path, force=force)
    write(found, path, title=heading)
    click.echo(spelling.visible(described(path, found)))
    if opening:
        _open(path)


def chosen(filters: Filters, runs: Sequence[str]) -> list[Located]:
    """The runs that were named, in that order; else those that the options choose, the oldest first.

    Raises:
        UsageError: There is none, or one that was named is not among those that the options choose.
    """
    from pytest_mcode import recorded

    paths, wanted = recorded.expanded(filters.databases), filters.wanted
    if not runs:
        return recorded.located(paths, wanted)[::-1]
    named = [recorded.named(paths, run, wanted) for run in runs]
    return list({its.run.id: its for its in named}.values())


def check(path: Path, *, force: bool) -> None:
    """See whether the file may be written.

    Raises:
        UsageError: It is a directory or in none, or it holds something else than a report and force is not given.
    """
    from pytest_mcode.report.page.render import MARK

    if path.is_dir():
        raise UsageError(f"{path} is a directory: name a file in it.")
    if not path.parent.is_dir():
        raise UsageError(f"There is no directory {path.parent}: make it first, or name another file.")
    if path.exists() and not force:
        with path.open("rb") as file:
            ours = MARK.encode() in file.read(HEAD)
        if not ours:
            raise UsageError(f"{path} is no report of mCode's: name another file, or replace it with --force.")


def write(found: Sequence[Located], out: Path, *, title: str) -> None:
    """Write runs as one HTML file; whatever was there is replaced, once all is written.

    Args:
        found: The runs, in the order in which they are numbered; the first is the baseline.
        out: The file.
        title: Its heading.

    Raises:
        StoreError: A database cannot be read, or the file cannot be written.
    """
    unfinished = out.with_name(f"{out.name}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8", newline="\n") as file:
            _into(file, found, title)
        unfinished.replace(out)
    except OSError as error:
        raise StoreError(f"{out} cannot be written ({error.strerror or error}): name another file.") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _print(found: Sequence[Located], title: str) -> None:
    """Write the page to standard output, once all of it is there."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n") as file:
        _into(file, found, title)
        file.flush()
        file.seek(0)
        shutil.copyfileobj(file.buffer, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _into(file: TextIO, found: Sequence[Located], title: str) -> None:
    from pytest_mcode import recorded
    from pytest_mcode.report.page.render import rendered
    from pytest_mcode.store import now

    figures = [recorded.figures_of(its) for its in found]
    located = {its.run.id: its for its in found}
    tasks = sum(len(its.tasks) for its in figures)
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=tasks, label="Tasks", file=sys.stderr, hidden=hidden) as bar:

        def attempts(its: Figures, wanted: Sequence[str]) -> Iterator[AttemptRow]:
            yield from recorded.attempts_of(located[its.run.id], *wanted)
            bar.update(len(wanted))

        file.writelines(rendered(figures, attempts, title=title, when=now()))


def described(path: Path, found: Sequence[Located]) -> str:
    """What was written, and what to do if it is too much."""
    size = path.stat().st_size / 1e6
    much = "; it may be slow to open: name fewer runs" if size > LARGE else ""
    return f"{path}: {len(found)} run{'s' if len(found) > 1 else ''}, {size:.1f} MB{much}"


def _open(path: Path) -> None:
    import webbrowser

    if not webbrowser.open(path.resolve().as_uri()):
        raise UsageError(f"There is no browser to open {path} with: copy it to where there is one.")
