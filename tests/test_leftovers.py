"""After any end of a run the machine is as it was: no container, no process of a program."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pytest_mcode.sandboxes.leftovers import LABEL, OWNER

BENCH = ("--mcode-bench=mine", "--mcode-model=reference", "--mcode-db=r.db", "--mcode-timeout=30")
#: The last task never ends.
MINE = """
from pytest_mcode import Mcode, Task, benchmark

def task(number: int, body: str) -> Task:
    reference = f"def f() -> int:\\n    {body}"
    return Task(f"mine/{number}", "def f() -> int: ...", "assert f() == 1", entry_point="f", reference=reference)

@benchmark("mine", tasks=[task(0, "return 1"), task(1, "return 1"), task(2, "BODY")])
def test_mine(task: Task, mcode: Mcode) -> None:
    mcode(task)
"""


class Family:
    """The processes that a run starts, and the supervisors in its containers, collected while it lasts."""

    def __init__(self, root: int) -> None:
        self._root, self._seen = root, set[int]()

    def look(self) -> set[int]:
        """Take note of who is there now, and return all who were seen and still are."""
        listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
        parents = {int(pid): int(parent) for pid, parent in map(str.split, listed.stdout.splitlines())}
        mine, found = {self._root}, {self._root}
        while found:
            found = {pid for pid, parent in parents.items() if parent in found} - mine
            mine |= found
        self._seen |= mine | contained(mine) - {0}
        return self._seen & parents.keys()


def contained(owners: set[int]) -> set[int]:
    """The supervisors of containers that those processes own; without an engine there are none."""
    import docker

    try:
        client = docker.from_env()
    except docker.errors.DockerException:
        return set()
    found = set()
    for container in client.api.containers(filters={"label": LABEL}):
        if int(container["Labels"][OWNER]) in owners:
            with suppress(docker.errors.NotFound):
                found.add(int(client.api.inspect_container(container["Id"])["State"]["Pid"]))
    client.close()
    return found


@pytest.fixture(params=["process", "docker"])
def sandbox(request: pytest.FixtureRequest) -> list[str]:
    """Options that name a sandbox."""
    if request.param == "docker":
        return ["--mcode-sandbox=docker", f"--mcode-image={request.getfixturevalue('docker_image')}"]
    return ["--mcode-sandbox=process"]


def start(place: Path, sandbox: list[str], body: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    (place / "test_mine.py").write_text(MINE.replace("BODY", body))
    command = [sys.executable, "-m", "pytest", *BENCH, *sandbox, "test_mine.py", *arguments]
    return subprocess.Popen(
        command,
        cwd=place,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def in_mid_run(process: subprocess.Popen[str], place: Path) -> Family:
    """Wait until all tasks but the endless one are recorded; the family of the run at that time."""
    family = Family(process.pid)
    assert wait_until(lambda: recorded(place) == 2, 30)
    time.sleep(0.5)
    assert process.poll() is None
    assert len(family.look()) > 1
    return family


def recorded(place: Path) -> int:
    """How many tasks the database has."""
    connection = sqlite3.connect(place / "r.db")
    try:
        ((count,),) = connection.execute("select count(*) from results")
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()
    return int(count)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.mark.parametrize("distributed", [(), ("-n2",)], ids=["alone", "xdist"])
def test_a_run_that_ends_by_itself(tmp_path: Path, sandbox: list[str], distributed: tuple[str, ...]) -> None:
    process = start(tmp_path, sandbox, "return 1", *distributed)
    family, most = Family(process.pid), 0
    while process.poll() is None:
        most = max(most, len(family.look()))
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert most > 1
    assert wait_until(lambda: not family.look(), 5)


@pytest.mark.parametrize("distributed", [(), ("-n2",)], ids=["alone", "xdist"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["INT", "TERM", "KILL"])
def test_a_run_that_is_ended(
    tmp_path: Path, sandbox: list[str], number: signal.Signals, distributed: tuple[str, ...]
) -> None:
    process = start(tmp_path, sandbox, "while True: pass", *distributed)
    family = in_mid_run(process, tmp_path)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == (-9 if number is signal.SIGKILL else 2)
    assert wait_until(lambda: not family.look(), 5), family.look()
    assert recorded(tmp_path) == 2


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def relay(place: Path) -> Iterator[tuple[str, threading.Event]]:
    """A socket that leads to the real engine until the event is set: then the engine seems to die."""
    dead, path = threading.Event(), place / "engine.sock"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()
    opened: list[socket.socket] = [listening]

    def accept() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            engine = socket.socket(socket.AF_UNIX)
            engine.connect("/var/run/docker.sock")
            opened.extend((client, engine))
            for ends in ((client, engine), (engine, client)):
                threading.Thread(target=pump, args=ends, daemon=True).start()

    def die() -> None:
        dead.wait()
        path.unlink(missing_ok=True)
        for end in opened:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    threading.Thread(target=accept, daemon=True).start()
    ending = threading.Thread(target=die)
    ending.start()
    try:
        yield f"unix://{path}", dead
    finally:
        dead.set()
        ending.join()


def test_an_engine_that_dies_in_mid_run_is_an_error_and_no_failure(tmp_path: Path, docker_image: str) -> None:
    with relay(tmp_path) as (address, dead):
        docker = ["--mcode-sandbox=docker", f"--mcode-image={docker_image}"]
        process = start(tmp_path, docker, "while True: pass", DOCKER_HOST=address)
        family = in_mid_run(process, tmp_path)
        dead.set()
        output, _ = process.communicate(timeout=40)
    assert process.returncode == 1, output
    assert "1 error" in output
    assert "engine" in output
    assert wait_until(lambda: not family.look(), 5)
