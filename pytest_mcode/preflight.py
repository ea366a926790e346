"""What can be known before anything is spent: each check looks at one thing, and says what it found and what to do.

Flags in the sentences have pytest's spelling, as in all messages.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from pytest_mcode import _url, collect, options
from pytest_mcode._errors import McodeError, StoreError, UsageError
from pytest_mcode.settings import Settings
from pytest_mcode.solvers import canary, servers
from pytest_mcode.solvers.told import context_length, context_limit

#: Bytes that a run needs at the least, and that leave it room.
LEAST, ENOUGH = 50 * 10**6, 10**9
#: No clock of a machine with mCode is before this: there was none.
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
#: How far two clocks may differ.
APART = timedelta(minutes=5)
#: How a sandbox begins to tell of its isolation where it leaves files of this machine open.
OPEN = ("none", "unshare")
#: Where a message goes over to what to do next.
TURN = re.compile(r"(?<=\w)[.;:] ")
#: What is read as a whole: a quotation, or what is in parentheses.
WHOLE = re.compile(r"(?<!\w)'[^']*'|\([^()]*\)")


class Status(StrEnum):
    """How a check ended: nothing to do, worth knowing, or to be mended before a run."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """What one check found, in a sentence or a few words, and what to do next; that is empty where nothing is."""

    check: str
    status: Status
    found: str
    next_step: str = ""


def failed(check: str, error: McodeError) -> Finding:
    """An error as a finding: its message ends with what to do next."""
    found, step = divided(str(error))
    return Finding(check, Status.FAIL, found, step)


def divided(text: str) -> tuple[str, str]:
    """A message's last clause, and what is before it; nothing is cut within parentheses or quotes."""
    masked, before = text, ""
    while masked != before:  # once more for each parenthesis within another
        masked, before = WHOLE.sub(lambda found: "x" * len(found[0]), masked), masked
    turns = list(TURN.finditer(masked))
    if not turns:
        return text, ""
    step = text[turns[-1].end() :]
    return text[: turns[-1].start()].rstrip() + ".", step[:1].upper() + step[1:]


def server(settings: Settings) -> Finding:
    """Whether the model server answers."""
    try:
        found = servers.reach(settings)
    except McodeError as error:
        return failed("server", error)
    if found is None:
        return Finding("server", Status.OK, "none is asked")
    version = found.told.get("ollama") or found.told.get("server_version") or ""
    return Finding("server", Status.OK, f"{settings.backend} {version}".strip() + f" at {found.shown}")


def model(settings: Settings) -> Finding:
    """Whether the server has the model under exactly that name; with ``--mcode-pull`` Ollama fetches it."""
    try:
        told = servers.check(settings)
    except McodeError as error:
        return failed("model", error)
    if not servers.is_asked(settings):
        found = "the reference solutions" if settings.solutions is None else f"none: {settings.solutions} is judged"
        return Finding("model", Status.OK, found)
    known = [told[name] for name in ("family", "parameter_size", "quantization", "root", "model_file") if name in told]
    digest = f"digest {told['model_digest'][:12]}" if "model_digest" in told else ""
    return Finding("model", Status.OK, ", ".join(filter(None, [settings.model, *known, digest])))


def context(settings: Settings) -> Finding:
    """Whether the model has as much context as was asked for."""
    try:
        return context_of(settings, servers.check(settings))
    except McodeError as error:
        return failed("context", error)


def context_of(settings: Settings, told: Mapping[str, str]) -> Finding:
    """The same, of a server that was asked already."""
    if not servers.is_asked(settings):
        return Finding("context", Status.OK, "no model is asked")
    limit = context_limit(settings, told)
    if limit:
        return Finding("context", Status.WARN, *divided(limit))
    length = context_length(told)
    if length is None:
        return Finding("context", Status.OK, "the server does not tell")
    asked = f", of which {settings.context} are asked for" if settings.backend == "ollama" else ""
    return Finding("context", Status.OK, f"{length} tokens{asked}")


def answer(settings: Settings) -> Finding:
    """Whether the model answers, and in code: one tiny generation by the real solver."""
    if settings.solutions is not None:
        return Finding("answer", Status.OK, "not asked for: solutions are given")
    if settings.backend == "hf":
        return Finding("answer", Status.OK, "not asked for: the model would be loaded into this process")
    got = canary.ask(settings)
    status = {canary.Kind.GOOD: Status.OK, canary.Kind.CUT: Status.WARN, canary.Kind.NO_CODE: Status.WARN}
    return Finding("answer", status.get(got.kind, Status.FAIL), got.told, got.next_step)


def sandbox(isolation: str) -> Finding:
    """How far a sandbox that has run a program keeps programs from this machine."""
    if isolation.startswith(OPEN):
        step = "Install bubblewrap, or use --mcode-sandbox=docker."
        return Finding("sandbox", Status.WARN, isolation, step)
    return Finding("sandbox", Status.OK, isolation)


def data(settings: Settings) -> Iterator[Finding]:
    """Whether the data set of each benchmark loads; the first time it may have to come from the hub."""
    for name in settings.bench:
        try:
            (tasks,) = collect.prepare(replace(settings, bench=(name,)), options.cache_dir()).values()
        except McodeError as error:
            yield failed(name, error)
        else:
            yield Finding(name, Status.OK, f"{len(tasks.ids)} tasks: {tasks.origin}")


def database(settings: Settings) -> Finding:
    """Whether results can be written; a database that is not there yet is not made."""
    from pytest_mcode.store import Store, rehearse

    file, shown = Path(settings.db).expanduser(), _url.shown(settings.db)
    try:
        if "://" in settings.db:
            rehearse(settings.db)
            return Finding("database", Status.OK, f"{shown} can be written")
        if file.exists():
            store = Store(settings.db)
            try:
                store.finish("")  # a transaction that writes, and changes nothing: no run has that id
            finally:
                store.close()
            return Finding("database", Status.OK, f"{settings.db} can be written")
        with tempfile.TemporaryDirectory(dir=existing(file.parent), prefix=".mcode-") as place:
            Store(f"{place}/results.db").close()
    except StoreError as error:
        return failed("database", error)
    except OSError as error:
        found = f"The results database {settings.db} cannot be made ({error.strerror or error})."
        return Finding("database", Status.FAIL, found, "Name another file with --mcode-db.")
    return Finding("database", Status.OK, f"{settings.db} can be made")


def disk(settings: Settings) -> Finding:
    """Whether there is room where results are written."""
    if "://" in settings.db:
        return Finding("disk", Status.OK, "results go to a server")
    return room("disk", Path(settings.db).expanduser().parent, "name a database elsewhere with --mcode-db")


def temporary(_: Settings) -> Finding:
    """Whether there is room where programs run."""
    return room("temp", Path(tempfile.gettempdir()), "name another directory in TMPDIR")


def room(check: str, path: Path, elsewhere: str, *, least: int = LEAST, enough: int = ENOUGH) -> Finding:
    """Whether so many bytes are free in a directory, or where it will be."""
    place = existing(path)
    total, _, free = shutil.disk_usage(place)
    if not total:
        return Finding(check, Status.OK, f"{place} does not tell")
    found = f"{free / 10**9:,.1f} GB free in {place}" if free >= enough else f"{free / 10**6:,.0f} MB free in {place}"
    if free >= enough:
        return Finding(check, Status.OK, found)
    step = f"Make room for {enough / 10**9:g} GB there, or {elsewhere}."
    return Finding(check, Status.FAIL if free < least else Status.WARN, found, step)


def existing(path: Path) -> Path:
    """The nearest of a directory and those around it that is there."""
    return next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())


def clock(settings: Settings) -> Finding:
    """Whether this machine's time can be right."""
    return time_of(datetime.now(UTC), servers.clock(settings))


def time_of(here: datetime, there: datetime | None) -> Finding:
    """The same, of two times; None is a server that does not tell."""
    step = "Set it, for example by NTP: results are stored with their time, and the newest comes first."
    if here < BEFORE:
        return Finding("clock", Status.WARN, f"This machine's clock is wrong: it says {here:%Y-%m-%d %H:%M} UTC.", step)
    if there is not None and abs(here - there) > APART:
        minutes = abs(here - there).total_seconds() / 60
        found = f"This machine's clock and the model server's are {minutes:,.0f} minutes apart."
        return Finding("clock", Status.WARN, found, step.replace("it", "the wrong one", 1))
    return Finding("clock", Status.OK, f"{here:%Y-%m-%d %H:%M} UTC")


def before_a_run(settings: Settings, told: Mapping[str, str]) -> tuple[str, ...]:
    """What a run should say before it starts, though it can start; ``told`` is what `servers.check` returned.

    Raises:
        UsageError: There is no room for what it writes.
    """
    return warnings([context_of(settings, told), disk(settings), temporary(settings), clock(settings)])


def warnings(found: Iterable[Finding]) -> tuple[str, ...]:
    """The sentences of those findings that are worth knowing.

    Raises:
        UsageError: One of them is to be mended first.
    """
    told = []
    for one in found:
        if one.status is Status.FAIL:
            raise UsageError(f"{one.found.removesuffix('.')}: {one.next_step[:1].lower()}{one.next_step[1:]}")
        if one.status is Status.WARN:
            told.append(f"{one.found.removesuffix('.')}. {one.next_step}")
    return tuple(told)
