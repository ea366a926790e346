"""One benchmark session: which parts this process needs, and how they are put together."""

from __future__ import annotations

import asyncio
import importlib.metadata
import platform
import secrets
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import pytest

from pytest_mcode import collect, options, schedule
from pytest_mcode.fixtures import Fixtures
from pytest_mcode.options import Settings
from pytest_mcode.outcome import Recorder, Reporting, WorkerPlan
from pytest_mcode.sandboxes import open_sandbox
from pytest_mcode.solvers import open_solver

if TYPE_CHECKING:
    from pytest_mcode.store import Store

#: Packages whose versions a run stores, because they may change what it finds.
PACKAGES = ("pytest-mcode", "mellea", "pytest", "pytest-xdist", "datasets")


def activate(config: pytest.Config) -> None:
    """Register what this process needs: a worker solves, a controller records, a plain run does both.

    Raises:
        McodeError: Something that the run needs is not there; nothing was spent and nothing written.
    """
    settings = options.resolve(config)
    cache = options.cache_dir()
    register = config.pluginmanager.register
    register(collect.Collection(settings, cache), "mcode-collection")
    register(Reporting(), "mcode-reporting")
    register(Fixtures(settings, partial(open_solver, settings), partial(open_sandbox, settings)), "mcode-fixtures")
    if schedule.is_worker(config):
        path = schedule.worker_plan(config)
        assert path is not None
        register(WorkerPlan(path), "mcode-plan")
        return
    prepared = collect.prepare(settings, cache)
    register(Header(settings, {name: tasks.origin for name, tasks in prepared.items()}), "mcode-header")
    if not config.option.collectonly:
        record(config, settings)


def record(config: pytest.Config, settings: Settings) -> None:
    """On the controller: look before anything is spent, then record rows, progress and summary."""
    from pytest_mcode.report.terminal import Summary
    from pytest_mcode.solvers import servers
    from pytest_mcode.store import Store

    server = servers.check(settings)
    asyncio.run(check_sandbox(settings))
    store = Store(settings.db)
    recorder = Recorder(store, partial(begin, store, settings, server))
    register = config.pluginmanager.register
    register(recorder, "mcode-recorder")
    register(Summary(store, recorder, settings), "mcode-summary")
    if config.pluginmanager.hasplugin("dsession") or config.getoption("numprocesses", None):
        register(schedule.Distribution(recorder), "mcode-distribution")
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and terminal.isatty and config.get_verbosity() == 0:
        from pytest_mcode.progress import Progress

        register(Progress(recorder, terminal), "mcode-progress")
    register(Terminable(), "mcode-terminable")


async def check_sandbox(settings: Settings) -> None:
    """Execute a trivial program where the others will run."""
    sandbox = open_sandbox(settings)
    try:
        await sandbox.check()
    finally:
        await sandbox.aclose()


def begin(store: Store, settings: Settings, server: Mapping[str, str], planned: collect.Planned) -> str:
    """Record the start of a run and return its id."""
    from pytest_mcode.store import Run, now

    run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    store.begin(
        Run(
            id=run_id,
            benchmark=planned.benchmark,
            model=settings.model,
            backend=settings.backend,
            config=settings.stored,
            config_hash=settings.hashed,
            dataset_fingerprint=planned.fingerprint,
            planned=len(planned.tasks),
            started_at=now(),
            finished_at=None,
            versions={**versions(), **server, "dataset": planned.origin},
        )
    )
    return run_id


def versions() -> dict[str, str]:
    """Versions of what a run's results depend on."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "platform": platform.platform(), **found}


class Header:
    """What a run says of itself before it starts."""

    def __init__(self, settings: Settings, origins: Mapping[str, str]) -> None:
        self._settings, self._origins = settings, origins

    def pytest_report_header(self) -> list[str]:
        """A line on model and sandbox, one on each data set, and what was asked for in vain."""
        s = self._settings
        tries = f"{s.samples} sample(s) of {1 + s.debug_iters} attempt(s), temperature {s.sampling_temperature:g}"
        lines = [f"mcode: {s.model} ({s.backend}), {tries}, sandbox {s.sandbox}"]
        lines += [f"mcode: {name} from {origin}" for name, origin in self._origins.items()]
        if s.samples > 1 and s.sampling_temperature == 0:
            lines.append("mcode: at temperature 0 the samples of a task will be alike: is --mcode-temperature meant?")
        if s.retrieval is not None:
            lines.append(f"mcode: --mcode-retrieval={s.retrieval} has no effect on this benchmark.")
        return lines


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
