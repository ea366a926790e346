"""One benchmark session: which parts this process needs, and how they are put together."""

from __future__ import annotations

import asyncio
import platform
import secrets
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mcode import collect, options, replay, schedule
from pytest_mcode._benchmark import TaskSet
from pytest_mcode._errors import McodeError
from pytest_mcode._types import Task
from pytest_mcode.breaker import Breaker
from pytest_mcode.fixtures import Fixtures
from pytest_mcode.loop import Loop
from pytest_mcode.outcome import Recorder, Reporting, WorkerPlan
from pytest_mcode.provenance import commit, versions
from pytest_mcode.report.words import marks, model, tries
from pytest_mcode.repositories.issue import Issue
from pytest_mcode.repositories.place import Place
from pytest_mcode.resume import NEW, Resumption, require_no_differences, require_same_data, resumption, this_process
from pytest_mcode.sandboxes import open_sandbox
from pytest_mcode.settings import Settings
from pytest_mcode.solvers.given import GIVEN
from pytest_mcode.solving import Parts, Solving
from pytest_mcode.spelling import spelled

if TYPE_CHECKING:
    from pytest_mcode.store import Run, Store


#: Seconds that a database's server which cannot be reached is tried again before a run: it may just be starting.
WAIT = 30.0


def activate(config: pytest.Config) -> None:
    """Register what this process needs: a worker solves, a controller records, a plain run does both.

    Raises:
        McodeError: Something that the run needs is not there; nothing was spent and nothing written.
    """
    settings = options.resolve(config)
    cache = options.cache_dir()
    register = config.pluginmanager.register
    register(Reporting(), "mcode-reporting")
    worker = schedule.worker(config)
    if worker is not None:
        settings = replay.continued(config, settings, worker.solutions)
        register(collect.Collection(settings, cache, worker.done), "mcode-collection")
        solving = solve_here(config, replace(settings, concurrency=worker.concurrency))
        register(WorkerPlan(worker.plan), "mcode-plan")
        solving.prepare()  # while the workers agree on what there is to do
        if worker.ahead:
            register(schedule.WorkerLoop(solving), "mcode-loop")
        return
    prepared = collect.prepare(settings, cache)
    settings = replay.begun(config, settings, prepared)
    found = Found() if config.option.collectonly else record(config, settings, prepared)
    register(collect.Collection(settings, cache, found.resumed.done), "mcode-collection")
    origins = {name: tasks.origin for name, tasks in prepared.items()}
    register(Header(settings, found, origins), "mcode-header")


@dataclass(frozen=True)
class Found:
    """What a look at server and sandbox found, in words: what isolates programs, and how many requests are sent."""

    isolation: str = "not needed"
    requests: str = ""
    resumed: Resumption = NEW
    notes: tuple[str, ...] = ()


def solve_here(config: pytest.Config, settings: Settings) -> Solving:
    """Let this process solve tasks."""
    solver, sandbox = replay.opener(config, settings), partial(open_sandbox, settings)
    parts = Parts(solver, sandbox, partial(Place, settings), replay.suited(config))
    solving = Solving(settings, parts)
    config.pluginmanager.register(Fixtures(solving), "mcode-fixtures")
    return solving


def record(config: pytest.Config, settings: Settings, prepared: Mapping[str, TaskSet]) -> Found:
    """On the controller: look before anything is spent, then record rows, progress and summary."""
    with ThreadPoolExecutor(1) as thread:  # while a sandbox starts, the packages that this process needs are loaded
        sandbox = thread.submit(lambda: asyncio.run(check_sandbox(settings)))
        from pytest_mcode.preflight import before_a_run
        from pytest_mcode.report.terminal import Summary
        from pytest_mcode.solvers import servers
        from pytest_mcode.store import Patience, Store
        from pytest_mcode.thresholds import Gates, baselines, checked

        candidates = checked(settings)
        server = {**servers.check(settings), **replay.facts(config)}
        capacity = servers.capacity(settings)
        isolation = sandbox.result()
    chosen = replace(settings, concurrency=capacity.requests)
    issues = collect.issues(settings, prepared)
    notes = (*before_a_run(settings, server), *images_of(settings, issues))
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    store = Store(settings.db, patience=Patience(first=WAIT, told=partial(tell, terminal)))
    resumed = resumption(store, settings, server)
    share = schedule.Share(capacity.requests, each=settings.concurrency is not None)
    ahead = 1 + bool(issues) if capacity.requests == 1 else schedule.with_ready(capacity.requests)  # an image ahead
    breaker = Breaker(ahead, partial(missing, settings))
    under_way = [unfinished.run.id for unfinished in resumed.runs.values()]
    gates = Gates(config, store, settings, baselines(candidates, under_way, settings, server))
    facts = {**server, "isolation": isolation}
    recorder = Recorder(config, store, partial(begin, store, chosen, facts, resumed), breaker, gates)
    order = partial(longest_first, store, settings.model, recorder)
    register = config.pluginmanager.register
    register(recorder, "mcode-recorder")
    register(Summary(store, recorder, settings), "mcode-summary")
    register(gates, "mcode-gates")  # after the summary: what is registered last writes last
    if schedule.is_controller(config):
        register(schedule.Distribution(config, recorder, share, order, resumed.done), "mcode-distribution")
    else:
        register(Loop(solve_here(config, chosen), ahead, order), "mcode-loop")
    if terminal is not None:
        from pytest_mcode import progress

        if progress.suits(config, terminal):
            register(progress.Progress(recorder, terminal), "mcode-progress")
    register(Terminable(), "mcode-terminable")
    return Found(isolation, capacity.told, resumed, (*notes, *gates.notes))


def tell(terminal: Any, sentence: str) -> None:
    """Say what holds up a run, in a line of its own."""
    if terminal is not None:
        terminal.ensure_newline()
        terminal.write_line(spelled(f"mcode: {sentence}.", terminal.config))
        terminal.flush()


def longest_first(store: Store, model: str, recorder: Recorder, ids: Sequence[str]) -> Sequence[int]:
    """Items by the seconds that their tasks took before, longest first and unknown ones before them."""
    known: dict[str, Mapping[str, float]] = {}
    seconds = []
    for nodeid in ids:
        benchmark, task_id = recorder.place(nodeid) or ("", "")
        if benchmark not in known:
            known[benchmark] = store.seconds(benchmark, model)
        seconds.append(known[benchmark].get(task_id, float("inf")))
    return sorted(range(len(ids)), key=lambda place: -seconds[place])


def missing(settings: Settings) -> str:
    """What of the model server and the sandbox is not there any more, in a sentence; empty if both are."""
    from pytest_mcode.solvers import servers

    try:
        servers.check(replace(settings, pull=False))
        asyncio.run(check_sandbox(settings))
    except McodeError as error:
        return str(error)
    return ""


async def check_sandbox(settings: Settings) -> str:
    """See that programs and patches can be executed where they will be; what keeps them apart from the host."""
    issues = collect.repositories(settings.bench)
    found = [await check_place(settings)] if issues else []
    if not settings.bench or set(settings.bench) - issues:
        found.append(await check_programs(settings))
    return "; ".join(found)


async def check_place(settings: Settings) -> str:
    """See that containers of instances can be had."""
    place = await asyncio.to_thread(Place, settings)
    await place.aclose()
    return place.isolation


def images_of(settings: Settings, tasks: Sequence[Task]) -> tuple[str, ...]:
    """What the images of these tasks will take, in a line; none where there are no such tasks."""
    if not tasks:
        return ()

    async def look() -> str:
        place = await asyncio.to_thread(Place, settings)
        try:
            return await asyncio.to_thread(place.told, [Issue.of(task) for task in tasks])
        finally:
            await place.aclose()

    return (asyncio.run(look()),)


async def check_programs(settings: Settings) -> str:
    """Execute a trivial program where the others will run."""
    sandbox = open_sandbox(settings)
    try:
        await sandbox.check()
        return sandbox.isolation
    finally:
        await sandbox.aclose()


def begin(
    store: Store, settings: Settings, found: Mapping[str, str], resumed: Resumption, planned: collect.Planned
) -> str:
    """Record the start of a run, with what was found of server and sandbox, or go on with one; return its id.

    Raises:
        UsageError: The tasks are not those of the run that was to be gone on with.
    """
    run = resumed.agreed(planned)
    run_id = begun(store, settings, found, planned) if run is None else run.id
    store.enter(run_id, platform.node(), this_process(), settings.shard_index if settings.shard_count > 1 else None)
    return run_id


def begun(store: Store, settings: Settings, found: Mapping[str, str], planned: collect.Planned) -> str:
    """Record the start of a new run, or of a shard of one, and return its id."""
    from pytest_mcode.store import Run, Shard, now

    run_id = settings.run_id or f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    facts = {"dataset": planned.origin, "selection": planned.selection, "file": planned.file, "commit": commit()}
    run = Run(
        id=run_id,
        benchmark=planned.benchmark,
        model=settings.model,
        backend=settings.backend,
        config=settings.stored,
        config_hash=settings.hashed,
        dataset_fingerprint=planned.fingerprint,
        planned=planned.planned,
        started_at=now(),
        finished_at=None,
        versions={**versions(), **found, **{name: fact for name, fact in facts.items() if fact}},
    )
    if settings.shard_count == 1:
        store.begin(run)
        return run_id
    which = settings.shard_index or 0, settings.shard_count
    shard = Shard(*which, planned.planned, planned.whole, planned.selection, run.started_at)
    versions_of_all = {name: fact for name, fact in run.versions.items() if name != "selection"}
    run = replace(run, config={**run.config, "shard-index": None}, versions=versions_of_all)
    store.begin(run, shard, tasks=planned.tasks.values(), agreed=partial(require_alike, settings, found, planned))
    return run_id


def require_alike(settings: Settings, found: Mapping[str, str], planned: collect.Planned, run: Run) -> None:
    """Refuse to join a run that another shard has begun, if that is another measurement.

    Raises:
        UsageError: It is.
    """
    require_same_data(run, planned)
    require_no_differences(run, settings, found, planned.benchmark)


class Header:
    """What a run says of itself before it starts."""

    def __init__(self, settings: Settings, found: Found, origins: Mapping[str, str]) -> None:
        self._settings, self._found, self._origins = settings, found, origins

    def pytest_report_header(self, config: pytest.Config) -> list[str]:
        """A line on the model, one on the sandbox, one on each data set, and what was asked for in vain."""
        s = self._settings
        given = config.stash.get(GIVEN, None)
        how = tries(s.samples, 1 + s.debug_iters)
        how += "" if given else f", temperature {s.sampling_temperature:g}"
        lines = [f"mcode: {model(s.model, s.backend)}, {how}"]
        lines += [f"mcode: solutions from {given.origin.told}"] if given else []
        lines += [f"mcode: {self._found.requests}"] if self._found.requests else []
        where = s.sandbox if set(s.bench) - collect.repositories(s.bench) else "docker"
        lines += [f"mcode: sandbox {where}, isolation: {self._found.isolation}"]
        lines += [f"mcode: {name}, {origin}" for name, origin in self._origins.items()]
        lines += self._found.resumed.notes
        lines += [f"mcode: {note}" for note in self._found.notes]
        if s.samples > 1 and s.sampling_temperature == 0 and not given:
            lines.append("mcode: at temperature 0 the samples of a task will be alike: is --mcode-temperature meant?")
        issues = collect.repositories(s.bench)
        lines += [f"mcode: {marks(s.stored)}"] if issues and marks(s.stored) else []
        if s.retrieval is not None and not issues:
            lines.append(f"mcode: --mcode-retrieval={s.retrieval} has no effect on this benchmark.")
        return [spelled(line, config) for line in lines]


class Terminable:
    """Lets SIGTERM end a run as Ctrl-C does; by default it would end it without a word."""

    def __init__(self) -> None:
        self._before = signal.signal(signal.SIGTERM, self._exit)

    def pytest_unconfigure(self) -> None:
        """Leave the signal as it was."""
        signal.signal(signal.SIGTERM, self._before)

    @staticmethod
    def _exit(*_: object) -> None:
        pytest.exit("SIGTERM", returncode=pytest.ExitCode.INTERRUPTED)
