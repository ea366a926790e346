"""How long runs will take, from the speed of earlier ones of the same model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_mcode._rows import LETTERS
from pytest_mcode._types import Verdict
from pytest_mcode.settings import Settings
from pytest_mcode.store import Store

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass(frozen=True)
class Earlier:
    """What an earlier run tells.

    Attributes:
        benchmark: Of that run.
        backend: Where its completions came from.
        server: The address that it was given; None is the backend's default.
        generations: How many it made; those that ended in an error are not counted.
        seconds: Wall seconds of its sessions, added up.
    """

    benchmark: str
    backend: str
    server: str | None
    generations: int
    seconds: float


@dataclass(frozen=True)
class Speed:
    """Wall seconds a generation, with its execution, as many at once as there were; and of which benchmark."""

    seconds: float
    same_benchmark: bool


def earlier(store: Store, model: str) -> list[Earlier]:
    """What the recorded runs of a model tell of its speed; those in which nothing was generated tell nothing."""
    tasks = store.tasks(model=model)
    found = []
    for run in store.runs(model=model):
        its = tasks.get(run.id)
        seconds = math.fsum(session.seconds for session in store.sessions(run.id))
        if its is None or run.config.get("solutions") or not its.generation_seconds or not seconds:
            continue
        letters = "".join(its.verdicts).replace(" ", "").replace(LETTERS[Verdict.ERROR], "")
        server = run.config.get("base-url")
        found.append(Earlier(run.benchmark, run.backend, server, len(letters), seconds))
    return [one for one in found if one.generations]


def speed(found: Sequence[Earlier], settings: Settings, benchmark: str) -> Speed | None:
    """The speed to expect: of that benchmark's runs if there are any, else of all; None where nothing is known.

    Args:
        found: Earlier runs of the model.
        settings: The configuration; runs on another backend or server tell nothing of it.
        benchmark: Its name.
    """
    place = (settings.backend, settings.stored["base-url"])
    there = [one for one in found if (one.backend, one.server) == place]
    same = [one for one in there if one.benchmark == benchmark]
    basis = same or there
    if not basis:
        return None
    return Speed(math.fsum(one.seconds for one in basis) / sum(one.generations for one in basis), bool(same))


def duration(seconds: float) -> str:
    """A time in the largest unit that leaves it at least one, with two digits or more."""
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= size:
            count = seconds / size
            return f"{count:,.0f} {unit}" if count >= 10 or unit == "min" else f"{count:.1f} {unit}"  # noqa: PLR2004 - digits
    return f"{seconds:.0f} s"
