"""Going on with a run that was interrupted: which one it is, what is left of it, and why another may not be mixed in.

A run is unfinished while a planned task is not judged: it was not reached, or met an error. What goes on with it must
be the same measurement: every option that changes answers, the selection of tasks, the data set and the model itself.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pytest_mcode._errors import UsageError
from pytest_mcode.collect import Done, Planned
from pytest_mcode.report.words import plural
from pytest_mcode.settings import OPTIONS, Settings, effective_temperature

if TYPE_CHECKING:
    from pytest_mcode.store import Run, Session, Shard

#: Options that choose the tasks of a run; they are no part of the configuration's hash.
SELECTING = ("limit", "shard-count", "split")
#: Runs that are looked through for one that was probably meant.
RECENT = 20
#: What a server tells that must be the same, and what it is called.
MODEL_FACTS = {"model_digest": "the model's digest", "solutions_digest": "the content of --mcode-solutions"}


class Stored(Protocol):
    """What is needed of a store."""

    def runs(self, *, benchmark: str | None = None, model: str | None = None) -> list[Run]:
        """The runs of that benchmark and model, newest first."""
        ...

    def judged(self, run_id: str, shard: int | None = None) -> Collection[str]:
        """The tasks of a run, or of one of its shards, that were judged."""
        ...

    def sessions(self, run_id: str) -> Sequence[Session]:
        """The pieces of a run, in order."""
        ...


@dataclass(frozen=True)
class Unfinished:
    """A run, or a shard of one, that can be gone on with: ``judged`` of its tasks need not run again."""

    run: Run
    judged: frozenset[str]
    shard: Shard | None = None

    @property
    def planned(self) -> int:
        """How many tasks it has."""
        return self.run.planned if self.shard is None else self.shard.planned

    @property
    def selection(self) -> str:
        """The digest of their ids; empty where it is not known."""
        whole = self.run.versions.get("selection", "")
        return whole if self.shard is None else self.shard.selection or whole

    @property
    def told(self) -> str:
        """How far it is."""
        of = "" if self.shard is None else f" of shard {self.shard.index}"
        return f"{len(self.judged)} of {plural(self.planned, 'task')}{of} judged"


@dataclass(frozen=True)
class Resumption:
    """What a session goes on with.

    Attributes:
        runs: By benchmark, where one is gone on with.
        notes: Lines for the header.
    """

    runs: Mapping[str, Unfinished]
    notes: tuple[str, ...] = ()

    @property
    def done(self) -> dict[str, Done]:
        """What collection has to leave out."""
        return {name: Done(u.run.dataset_fingerprint, u.judged) for name, u in self.runs.items()}

    def agreed(self, planned: Planned) -> Run | None:
        """The run that these tasks belong to; None: a new one.

        Raises:
            UsageError: They are not the tasks of that run.
        """
        found = self.runs.get(planned.benchmark)
        if found is None:
            return None
        run = found.run
        require_same_data(run, planned)
        if found.selection not in ("", planned.selection):
            part = "" if found.shard is None else f"Shard {found.shard.index} of "
            raise UsageError(
                f"{part}{'run' if part else 'Run'} {run.id} has {plural(found.planned, 'task')} and these "
                f"{planned.planned} are not the same: select what it selected (-k, paths), or start a new run without "
                f"--mcode-resume."
            )
        return run


NEW = Resumption({})


def require_same_data(run: Run, planned: Planned) -> None:
    """Refuse to mix results of different data.

    Raises:
        UsageError: They are.
    """
    if planned.fingerprint != run.dataset_fingerprint:
        raise UsageError(
            f"Run {run.id} was made on other data (fingerprint {run.dataset_fingerprint[:12]}, now "
            f"{planned.fingerprint[:12]}): its results cannot be mixed with these; start a new run without "
            f"--mcode-resume."
        )


def resumption(store: Stored, settings: Settings, facts: Mapping[str, str]) -> Resumption:
    """Which runs this session goes on with; without ``--mcode-resume``, only what could be said of them.

    Args:
        store: The results database.
        settings: The configuration.
        facts: What the model server tells of the model.

    Raises:
        UsageError: The run that was asked for is another measurement, or still under way.
    """
    runs, notes = dict[str, Unfinished](), _of_shard(settings)
    for benchmark in settings.bench:
        found = _found(store, settings, facts, benchmark)
        if found is not None and settings.resume:
            runs[benchmark] = found
            notes.append(f"mcode: going on with run {found.run.id}: {found.told}")
        elif found is not None:
            notes.append(f"mcode: run {found.run.id} is unfinished ({found.told}): --mcode-resume goes on with it")
        elif settings.resume:
            notes.append(f"mcode: no unfinished run of this configuration on {benchmark}: this is a new one")
    return Resumption(runs, tuple(notes))


def _found(store: Stored, settings: Settings, facts: Mapping[str, str], benchmark: str) -> Unfinished | None:
    if settings.run_id is not None:
        return _named(store, settings, facts, benchmark)
    runs = store.runs(benchmark=benchmark, model=settings.model)
    alike = [run for run in runs if not differences(run, settings, facts) and _has(run, settings)]
    for run in alike if settings.resume else alike[:1]:  # a newer finished one has taken an older one's place
        found = _unfinished(store, run, settings)
        if found is not None:
            return found
    if settings.resume:
        _refuse_another(store, settings, facts, runs[:RECENT])
    return None


def _refuse_another(store: Stored, settings: Settings, facts: Mapping[str, str], runs: Sequence[Run]) -> None:
    """Say what has changed since the newest unfinished run, if there is one: it was probably meant."""
    for run in runs:
        changed = differences(run, settings, facts)
        if changed and _unfinished(store, run, settings) is not None:
            raise UsageError(
                f"There is no unfinished run of this configuration: the newest, {run.id}, differs in "
                f"{'; '.join(changed)}. Give the same options, or leave out --mcode-resume."
            )


def _named(store: Stored, settings: Settings, facts: Mapping[str, str], benchmark: str) -> Unfinished | None:
    """The run of the id that was given; None if there is none yet, or this shard of it has not begun."""
    from pytest_mcode.store import taken

    run = next((run for run in store.runs() if run.id == settings.run_id), None)
    if run is None:
        return None
    joins = bool(run.shards) and not _has(run, settings)
    if not settings.resume and not joins:
        raise UsageError(taken(run.id, settings.shard_index if run.shards else None))
    require_no_differences(run, settings, facts, benchmark)
    if joins:
        return None
    found = _recorded(store, run, settings)
    writer = under_way(_sessions(store, found))
    if writer:
        raise UsageError(f"Run {run.id} is still under way (process {writer} on this machine): wait for it, or end it.")
    return found


def _unfinished(store: Stored, run: Run, settings: Settings) -> Unfinished | None:
    """What is left of a run; None if nothing is, or another process is at it."""
    found = _recorded(store, run, settings)
    return None if len(found.judged) >= found.planned or under_way(_sessions(store, found)) else found


def _recorded(store: Stored, run: Run, settings: Settings) -> Unfinished:
    """How far a run, or this shard of it, is."""
    shard = next((shard for shard in run.shards if shard.index == settings.shard_index), None)
    return Unfinished(run, frozenset(store.judged(run.id, shard.index if shard else None)), shard)


def _sessions(store: Stored, found: Unfinished) -> list[Session]:
    """The pieces of a run, or of one shard of it."""
    its = store.sessions(found.run.id)
    return [s for s in its if found.shard is None or s.shard in (None, found.shard.index)]


def _has(run: Run, settings: Settings) -> bool:
    """Whether it is a run of the tasks of this session, not one of another shard's alone."""
    return not run.shards or any(shard.index == settings.shard_index for shard in run.shards)


def _of_shard(settings: Settings) -> list[str]:
    """The line on which shard this is, if it is one."""
    if settings.shard_count == 1:
        return []
    its = "a run of its own: one --mcode-run-id for all makes them one run"
    run = its if settings.run_id is None else f"a part of run {settings.run_id}"
    return [f"mcode: shard {settings.shard_index} of 0 to {settings.shard_count - 1}, {run}"]


def require_no_differences(run: Run, settings: Settings, facts: Mapping[str, str], benchmark: str) -> None:
    """Refuse a run that is another measurement.

    Raises:
        UsageError: It is.
    """
    others = [] if run.benchmark == benchmark else [f"benchmark ({run.benchmark}, now {benchmark})"]
    others += [] if run.model == settings.model else [f"model ({run.model}, now {settings.model})"]
    others += differences(run, settings, facts)
    if others:
        raise UsageError(f"Run {run.id} differs in {'; '.join(others)}: give the same options, or start another run.")


def differences(run: Run, settings: Settings, facts: Mapping[str, str]) -> list[str]:
    """What makes a run another measurement than this one, each with both values."""
    return _differences((run.config, run.versions), (settings.stored, facts))


def between(run: Run, other: Run) -> list[str]:
    """What makes two recorded runs different measurements, each with both values."""
    rows = ("benchmark", "model", "backend", "dataset_fingerprint")
    pairs = [(name.replace("_", " "), getattr(run, name), getattr(other, name)) for name in rows]
    found = [f"{name} ({_shown(a)}, now {_shown(b)})" for name, a, b in pairs if a != b]
    return found + _differences((run.config, run.versions), (other.config, other.versions))


#: A configuration, and what the model server told.
_Told = tuple[Mapping[str, Any], Mapping[str, str]]


def _differences(before: _Told, now: _Told) -> list[str]:
    (old, known), (new, facts) = before, now
    defaults = {o.name: o.default for o in OPTIONS if o.newer}
    configs = [{**defaults, **each, "temperature": _temperature(each)} for each in (old, new)]
    names = [o.name for o in OPTIONS if o.answers and o.name != "model"] + list(SELECTING)
    found = [(name, *(config.get(name) for config in configs)) for name in names if all(name in c for c in configs)]
    told = [(words, known.get(fact), facts.get(fact)) for fact, words in MODEL_FACTS.items()]
    found += [(words, a, b) for words, a, b in told if a and b]  # who does not tell cannot differ
    return [f"{name} ({_shown(a)}, now {_shown(b)})" for name, a, b in found if a != b]


def _temperature(config: Mapping[str, Any]) -> float:
    return effective_temperature(config.get("temperature"), config.get("samples", 1))


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)[:20]


def this_process(pid: int | None = None) -> str:
    """What tells a process from every other of this machine: its number, and where known when it started."""
    number = os.getpid() if pid is None else pid
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        return f"{number}:{fields[19]}"
    except (OSError, IndexError):
        return str(number)


def under_way(sessions: Sequence[Session]) -> str | None:
    """The number of the process that is still writing the run, if that can be seen from here."""
    for session in sessions:
        pid = session.process.partition(":")[0]
        if session.host != platform.node() or session.ended_at or not pid.isdecimal() or int(pid) == os.getpid():
            continue
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            continue
        except PermissionError:
            pass
        if this_process(int(pid)) == session.process:
            return pid
    return None
