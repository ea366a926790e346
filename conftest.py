"""Rules that hold for every test session of the project: under CI nothing is skipped, and no sandbox is left behind."""

from __future__ import annotations

import gc
import os
import time
import warnings
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import docker

pytest_plugins = ["pytester"]

#: Under CI a test may be skipped only for a reason that begins with one of these: what no installation can change.
ALLOWED_SKIPS = ("platform:", "data:")
#: The label of every container that the docker sandbox makes.
LABEL = "mcode.sandbox"
#: Seconds that a container has to go away after its sandbox was closed.
GRACE = 3.0


def pytest_configure(config: pytest.Config) -> None:
    """Apply the rules in the process that reports, not in an xdist worker."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(LeftContainers(), "left-containers")
        if os.environ.get("CI", "").lower() not in {"", "0", "false"}:
            config.pluginmanager.register(NoSkips(), "no-skips")


class NoSkips:
    """Fails the session, and lists them, if tests were skipped that could have run."""

    def __init__(self) -> None:
        self._skipped: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that skipped itself."""
        self._note(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a skipped test; an expected failure is not one."""
        if not hasattr(report, "wasxfail"):
            self._note(report)

    def _note(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            reason = reason.removeprefix("Skipped: ")
            if not reason.startswith(ALLOWED_SKIPS):
                self._skipped.append(f"{report.nodeid}: {reason}")

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Turn success into failure."""
        yield
        fail_if(self._skipped, session)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List what was skipped."""
        told(terminalreporter, "skipped, which CI does not allow", self._skipped)


class LeftContainers:
    """Fails the session, and lists them, if its sandboxes left containers behind."""

    def __init__(self) -> None:
        self._started = time.time()
        self._left: list[str] = []

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Look once everything of the session is closed."""
        yield
        deadline = time.monotonic() + GRACE
        while (left := list(left_containers(self._started))) and time.monotonic() < deadline:
            time.sleep(0.2)
        self._left = left
        fail_if(left, session)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List what was left."""
        told(terminalreporter, "containers left behind", self._left)


def left_containers(since: float) -> Iterator[str]:
    """The sandbox containers made since a time (seconds of the epoch) whose owner no longer runs, or is this process.

    Containers of another session that is still going on are not ours to judge.
    """
    client = engine()
    if isinstance(client, str):
        return  # no engine, so no containers
    try:
        for container in client.containers.list(all=True, sparse=True, filters={"label": LABEL}):
            labels = container.attrs["Labels"]
            owner = int(labels.get("mcode.pid", 0))
            if container.attrs["Created"] >= int(since) and (owner == os.getpid() or not alive(owner)):
                yield f"{container.short_id} {labels}"
    finally:
        client.close()


def engine() -> docker.DockerClient | str:
    """A client of the container engine; a sentence where none answers."""
    import docker

    try:
        return docker.from_env(version="auto", timeout=10)
    except docker.errors.DockerException as error:
        why = f"no container engine answers ({error})"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # the client leaves the socket of a failed attempt open, for which pytest would fail the session
    return why


@pytest.fixture(scope="session")
def container_engine() -> Iterator[docker.DockerClient]:
    """A client of the container engine; a skip for want of one fails under CI."""
    client = engine()
    if isinstance(client, str):
        pytest.skip(client)
    yield client
    client.close()


def alive(pid: int) -> bool:
    """Whether a process runs; 0, which names none, does not."""
    try:
        if pid:
            os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return bool(pid)


def fail_if(found: list[str], session: pytest.Session) -> None:
    """Let a session that would have succeeded fail if anything was found."""
    if found and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def told(reporter: pytest.TerminalReporter, title: str, found: list[str]) -> None:
    """Write a section of the terminal summary, if there is anything to say."""
    if found:
        reporter.section(title, red=True)
        for line in found:
            reporter.line(line, red=True)
