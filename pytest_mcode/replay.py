"""A session whose solutions are given, by a file of samples or an earlier run: read, checked and laid out at its start.

What the solutions were made with, the number of samples above all, comes with them and is not asked for again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mcode._benchmark import TaskSet
from pytest_mcode._errors import UsageError
from pytest_mcode._types import Completion, Solver, Task
from pytest_mcode.settings import OPTIONS, RUN, Settings, attribute
from pytest_mcode.solvers import given, open_solver, samples
from pytest_mcode.solvers.given import GIVEN, Drawn, Given, GivenSolver, Kind, Origin

if TYPE_CHECKING:
    from pytest_mcode._rows import AttemptRow
    from pytest_mcode.recorded import Located

#: What a user decides anew when solutions are judged: all other options that change answers are the solutions' own.
JUDGING = (*(o.name for o in OPTIONS if o.group == "judging"), "model", "backend", "solutions")


def begun(config: pytest.Config, settings: Settings, tasks: Mapping[str, TaskSet]) -> Settings:
    """Lay out the solutions that were given, if any were, for this process and its workers.

    Args:
        config: Of this session.
        settings: As the user has them.
        tasks: Of the benchmarks whose tasks are known already.

    Returns:
        The settings as the solutions were made.

    Raises:
        UsageError: The run is not there, or an option says otherwise than it.
        DataError: The file cannot be read, or holds what is no sample of a task of the benchmark.
        StoreError: The database of the run cannot be read.
    """
    if settings.solutions is None:
        return settings
    directory = tempfile.TemporaryDirectory(prefix="mcode-")
    config.add_cleanup(directory.cleanup)
    (benchmark,) = settings.bench
    known = samples.Known(benchmark, frozenset(tasks[benchmark].ids) if benchmark in tasks else None)
    if settings.solutions.startswith(RUN):
        laid_out = _of_run(settings, Path(directory.name), known)
    else:
        path = Path(settings.solutions).expanduser()
        origin = samples.origin(path)
        laid_out = given.lay_out(Path(directory.name), origin, samples.read(path, origin.kind, known))
    config.stash[GIVEN] = laid_out
    return agreed(settings, laid_out.origin)


def continued(config: pytest.Config, settings: Settings, directory: Path | None) -> Settings:
    """On a worker: take what the controller has laid out, if anything; the settings as `begun` returned them."""
    if directory is None:
        return settings
    config.stash[GIVEN] = given.read(directory)
    return agreed(settings, config.stash[GIVEN].origin)


def agreed(settings: Settings, origin: Origin) -> Settings:
    """The settings with what the solutions were made with.

    Raises:
        UsageError: One of them was set to something else.
    """
    names = {attribute(o): o for o in OPTIONS}
    for name, value in origin.options.items():
        asked = getattr(settings, name)
        if asked not in (names[name].default, value):
            raise UsageError(
                f"{names[name].flag} is {asked}, but the solutions in {origin.told} were made with {value}: leave it "
                f"out."
            )
    return replace(settings, **origin.options, model=settings.model or origin.model, backend=origin.backend)


def opener(config: pytest.Config, settings: Settings) -> Callable[[], Solver]:
    """What opens the solver of this process."""
    laid_out = config.stash.get(GIVEN, None)
    return partial(open_solver, settings) if laid_out is None else partial(GivenSolver, laid_out, settings.seed)


def suited(config: pytest.Config) -> Callable[[Settings, Task], Settings]:
    """What makes the settings of one task: it has as many samples as were given."""
    laid_out = config.stash.get(GIVEN, None)
    return laid_out.suited if laid_out is not None else lambda settings, _: settings


def facts(config: pytest.Config) -> Mapping[str, str]:
    """What a run stores of the solutions that were given; nothing if none were."""
    laid_out = config.stash.get(GIVEN, None)
    return {} if laid_out is None else laid_out.origin.facts


def _of_run(settings: Settings, directory: Path, known: samples.Known) -> Given:
    """Lay out the completions of a run."""
    from pytest_mcode import recorded

    run_id, _, place = (settings.solutions or "").removeprefix(RUN).partition("@")
    its = recorded.named(recorded.expanded([place or settings.db]), run_id)
    if its.run.benchmark != known.benchmark:
        raise UsageError(
            f"Run {its.run.id} is of {its.run.benchmark}, not of {known.benchmark}: judge it as what it is."
        )
    if settings.model not in ("", its.run.model):
        raise UsageError(f"Run {its.run.id} is of {its.run.model}, not of {settings.model}: leave --mcode-model out.")
    laid_out = given.lay_out(directory, _origin(its), _drawn(its))
    if known.ids is not None:
        laid_out.require_known(known.ids, known.benchmark)
    return laid_out


def _origin(its: Located) -> Origin:
    """What is known of a run's completions."""
    run, defaults = its.run, {o.name: o.default for o in OPTIONS}
    made_with = {**defaults, **run.config}
    options = {attribute(o): made_with[o.name] for o in OPTIONS if o.answers and o.name not in JUDGING}
    kind = Kind(run.versions.get("solutions_kind", Kind.ANSWER))
    return Origin(kind, run.model, run.backend, options, {"rejudged": run.id}, f"run {run.id}")


def _drawn(its: Located) -> Iterator[Drawn]:
    from pytest_mcode import recorded

    for (task_id, sample), rows in groupby(recorded.attempts_of(its), attrgetter("task_id", "sample")):
        yield Drawn(task_id, [_attempt(row, its.run.id) for row in rows], f"run {its.run.id}, sample {sample}")


def _attempt(row: AttemptRow, run_id: str) -> Completion | str:
    if row.completion is None:
        return f"Run {run_id} has no completion here: {row.error}"
    stored: dict[str, Any] = {
        "thinking": row.thinking,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "finish_reason": row.finish_reason,
        "seconds": row.generation_seconds,
        "tries": row.generation_tries,
    }
    told = {name: value for name, value in stored.items() if value is not None}
    return Completion(row.completion, prompt=row.turns, **told)
