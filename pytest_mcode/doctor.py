"""``mcode doctor``: looks at all that a run needs, goes on after what fails, and says what to do about each."""

from __future__ import annotations

import asyncio
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pytest_mcode import collect, options, preflight
from pytest_mcode._errors import McodeError, UsageError
from pytest_mcode._parse import nearest
from pytest_mcode.preflight import Finding, Status
from pytest_mcode.report.tabular import bare, printer
from pytest_mcode.session import check_sandbox
from pytest_mcode.settings import Settings
from pytest_mcode.spelling import plain

if TYPE_CHECKING:
    import pytest

#: Characters in a line where there is no window to fill.
WIDTH = 80
STYLES = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red"}


@dataclass(frozen=True)
class Check:
    """A check, and the one that has to go well before it has anything to look at."""

    name: str
    look: Callable[[Settings], Finding | Iterator[Finding]]
    needs: str = ""


def sandbox(settings: Settings) -> Finding:
    """Whether programs can be executed, and what keeps them from this machine."""
    try:
        return preflight.sandbox(asyncio.run(check_sandbox(settings)))
    except McodeError as error:
        return preflight.failed("sandbox", error)


CHECKS = (
    Check("server", preflight.server),
    Check("model", preflight.model, needs="server"),
    Check("context", preflight.context, needs="model"),
    Check("answer", preflight.answer, needs="model"),
    Check("sandbox", sandbox),
    Check("data", preflight.data),
    Check("database", preflight.database),
    Check("disk", preflight.disk),
    Check("temp", preflight.temporary),
    Check("clock", preflight.clock),
)


@dataclass(frozen=True)
class _Flags:
    """The flags of a command line in the form of pytest's configuration, without an ini file."""

    option: Namespace

    def getini(self, _: str) -> None:
        """Nothing: `mcode` reads no ini file."""


def configured(flags: Mapping[str, str], benchmarks: Sequence[str]) -> Settings:
    """The configuration that ``mcode bench`` would have.

    Raises:
        UsageError: A value, a combination or a name of a benchmark that cannot be meant.
    """
    bench = {"mcode_bench": ",".join(benchmarks)} if benchmarks else {}
    settings = options.resolve(cast("pytest.Config", _Flags(Namespace(**flags, **bench))))
    known = collect.packaged()
    for name in settings.bench:
        if name not in known:
            raise UsageError(
                f"There is no benchmark {name!r}{nearest(name, known)}; there are {', '.join(known)}. "
                f"One of your own is looked at when it runs: leave it out."
            )
    return settings


def examine(settings: Settings, begun: Callable[[str], object]) -> Iterator[Finding]:
    """Run the checks in order, but not those that need one which failed; ``begun`` is told the name of each."""
    broken: set[str] = set()
    for check in CHECKS:
        if check.needs in broken:
            broken.add(check.name)
            continue
        begun(check.name)
        found = check.look(settings)
        for one in [found] if isinstance(found, Finding) else found:
            if one.status is Status.FAIL:
                broken.add(check.name)
            yield one


def run(settings: Settings, *, as_json: bool) -> bool:
    """Examine, print what was found, and return whether nothing failed."""
    screen = Console(stderr=True)
    with screen.status("") as status:  # on a terminal alone

        def begun(name: str) -> None:
            status.update(f"looking at: {name}")
            if settings.pull and name == "model":
                status.stop()  # a download has a bar of its own
            else:
                status.start()

        found = list(examine(settings, begun))
    if as_json:
        document = [{key: plain(value) for key, value in asdict(one).items()} for one in found]
        sys.stdout.write(json.dumps({"ok": not any_failed(found), "checks": document}, indent=2) + "\n")
    else:
        show(found)
    return not any_failed(found)


def any_failed(found: Sequence[Finding]) -> bool:
    """Whether a run could not be made."""
    return any(one.status is Status.FAIL for one in found)


def show(found: Sequence[Finding]) -> None:
    """Print the table, and in one line what it comes to."""
    console = printer(WIDTH)
    console.print(table(found))
    bad = [sum(one.status is status for one in found) for status in (Status.FAIL, Status.WARN)]
    untold = [check.name for check in CHECKS if check.needs and check.name not in {one.check for one in found}]
    last = f"{bad[0]} failed, {bad[1]} to know of" if any(bad) else "all is well"
    console.print(Text(last + (f"; not looked at: {', '.join(untold)}" if untold else "")))


def table(found: Sequence[Finding]) -> Table:
    """A row for each finding; what to do next stands below what was found."""
    made = bare()
    made.add_column("", no_wrap=True)
    made.add_column("check", no_wrap=True)
    made.add_column("found, and what to do next", overflow="fold")
    for one in found:
        step = f"\n→ {plain(one.next_step)}" if one.next_step else ""
        made.add_row(Text(one.status, STYLES[one.status]), Text(one.check), Text(plain(one.found) + step))
    return made
