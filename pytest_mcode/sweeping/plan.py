"""What a sweep is about to do: its runs in order, what is recorded of each, and what is left to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from pytest_mcode._option import Option
from pytest_mcode.resume import differences, under_way
from pytest_mcode.store import Run, Store, if_there
from pytest_mcode.sweeping.file import Asked, Sweep
from pytest_mcode.sweeping.forecast import Earlier, Speed, earlier, speed
from pytest_mcode.sweeping.sizing import Size
from pytest_mcode.sweeping.values import VARIED


@dataclass(frozen=True)
class Step:
    """One run of a sweep, and how far it is.

    Attributes:
        asked: What the file asks for.
        differs: What it has that not all runs of the sweep have, beside benchmark and model.
        tasks: Its tasks; None where their number is unknown.
        run: Its row; None if it was not begun.
        judged: How many of its tasks are judged.
        writer: The process of this machine that is at it now; None if there is none.
        speed: How fast it will be; None where nothing tells.
    """

    asked: Asked
    differs: str
    tasks: int | None
    run: Run | None = None
    judged: int = 0
    writer: str | None = None
    speed: Speed | None = None

    @property
    def done(self) -> bool:
        """Whether every task of it is judged."""
        return self.run is not None and self.judged >= self.run.planned

    @property
    def state(self) -> str:
        """How far it is, in a word or two."""
        if self.writer:
            return "under way"
        if self.run is None:
            return "new"
        return "done" if self.done else f"{self.judged} of {self.run.planned}"

    @property
    def generations(self) -> int | None:
        """How many are left at most: if no sample passes before its last attempt, nor a task before its last sample."""
        if self.tasks is None:
            return None
        s = self.asked.settings
        return max(0, self.tasks - self.judged) * s.samples * (1 + s.debug_iters)

    @property
    def seconds(self) -> float | None:
        """How long these take; None where it cannot be said."""
        if self.done:
            return 0.0
        return None if self.speed is None or self.generations is None else self.generations * self.speed.seconds

    @property
    def title(self) -> str:
        """The run in a line."""
        return ", ".join(filter(None, [self.asked.benchmark, self.asked.settings.model, self.differs]))


@dataclass(frozen=True)
class Plan:
    """All steps of a sweep.

    Attributes:
        sweep: What the file asks for.
        steps: Its runs, in the order in which they are made.
        others: Runs of the sweep that its file does not ask for, or that others have taken the place of.
        notes: What else is to be known.
    """

    sweep: Sweep
    steps: tuple[Step, ...]
    others: tuple[Run, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def database(self) -> str:
        """Where results go."""
        return self.sweep.runs[0].settings.db

    @property
    def left(self) -> list[Step]:
        """The steps that are not done."""
        return [step for step in self.steps if not step.done]


def planned(sweep: Sweep, sizes: Mapping[tuple[Any, ...], Size]) -> Plan:
    """Look at what is recorded of each run; a database that is not there yet is not made.

    Args:
        sweep: What the file asks for.
        sizes: Of the benchmarks of its runs, as `sizing.sizes` makes them.

    Raises:
        StoreError: The database cannot be read.
    """
    told = labels(sweep.runs)
    bare = [Step(asked, told[asked.measured], sizes[asked.data].limited(asked.settings.limit)) for asked in sweep.runs]
    unknown = [f"{key[0]}: {one.why}" for key, one in sizes.items() if one.why]
    plan = Plan(sweep, tuple(bare), notes=(*sweep.notes, *unknown))
    found = if_there(plan.database)
    if found is None:
        return plan
    with closing(found) as store:
        mine = [run for run in store.runs() if run.config.get("sweep") == sweep.name]
        judged = {run.id: len(store.judged(run.id)) for run in mine}
        mine.sort(key=lambda run: judged[run.id] < run.planned)  # of two the whole one, and else the newer
        steps = []
        for step in bare:
            run = next((run for run in mine if is_of(run, step.asked, sizes[step.asked.data])), None)
            steps.append(step if run is None else _begun(store, step, run, judged[run.id]))
        taken = {step.run.id for step in steps if step.run is not None}
        others = tuple(run for run in mine if run.id not in taken)
        return replace(plan, steps=_timed(store, steps), others=others)


def is_of(run: Run, asked: Asked, size: Size) -> bool:
    """Whether a run of the sweep is the one that is asked for: the same configuration on the same tasks."""
    tasks = size.limited(asked.settings.limit)
    return (
        (run.benchmark, run.model, run.config.get("data"))
        == (asked.benchmark, asked.settings.model, asked.settings.data)
        and not differences(run, asked.settings, {})
        and size.fingerprint in ("", run.dataset_fingerprint)
        and tasks in (None, run.planned)
    )


def _begun(store: Store, step: Step, run: Run, judged: int) -> Step:
    return replace(step, tasks=run.planned, run=run, judged=judged, writer=under_way(store.sessions(run.id)))


def _timed(store: Store, steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps with the speed to expect of those that are left."""
    models = {step.asked.settings.model for step in steps if not step.done}
    known = {model: earlier(store, model) for model in models}
    return tuple(step if step.done else replace(step, speed=_speed(known, step.asked)) for step in steps)


def _speed(known: Mapping[str, Sequence[Earlier]], asked: Asked) -> Speed | None:
    return speed(known[asked.settings.model], asked.settings, asked.benchmark)


def labels(runs: Sequence[Asked]) -> dict[tuple[Any, ...], str]:
    """Of each run what it has that not all have, beside benchmark and model: ``samples 5, temperature 0.8``."""
    varying = [o for o in VARIED if o.name != "model" and len({asked.value(o) for asked in runs}) > 1]
    return {asked.measured: ", ".join(filter(None, (_told(o, asked.value(o)) for o in varying))) for asked in runs}


def _told(opt: Option, value: Any) -> str:
    if opt.is_switch:
        return opt.name if value else ""
    return f"{opt.name} {'default' if value is None else f'{value:g}' if opt.kind == 'float' else value}"
