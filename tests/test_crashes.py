"""Whatever breaks in mid-run, what was finished stays, and going on ends with the rows of an undisturbed run.

The matrix: each fault, without and with xdist, in both sandboxes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks import test_smoke
from pytest_mcode.collect import declared
from pytest_mcode.prompts import evalplus
from pytest_mcode.settings import Settings
from tests.standin.process import ROOT
from tests.test_leftovers import Family, relay, wait_until

MODEL = "granite3.3:8b"
SCRIPT = """
import json
from pathlib import Path
from tests.standin import Reply

ANSWERS = json.loads(Path({answers!r}).read_text())

def answer(request):
    text, cut = ANSWERS[request.messages[0].content][request.options.seed % 2]
    return Reply(text, finish="length" if cut else "stop", prompt_tokens=7, completion_tokens=len(text), seconds=0.15)
"""
#: What a row says, apart from the time that it took.
ROWS = {
    "results": "SELECT task_id, status, solved_sample, solved_attempt, error, verdicts FROM results",
    "samples": "SELECT task_id, sample, seed, status FROM samples",
    "attempts": "SELECT task_id, sample, attempt, verdict, prompt, completion, solution, stdout, exit_code, "
    "prompt_tokens, completion_tokens, finish_reason, error FROM attempts",
}
Rows = dict[str, set[tuple[object, ...]]]


def rows(database: Path) -> Rows:
    with closing(sqlite3.connect(database)) as connection:
        try:
            return {table: set(connection.execute(query)) for table, query in ROWS.items()}
        except sqlite3.OperationalError:
            return {table: set() for table in ROWS}


def count(database: Path) -> int:
    return len(rows(database)["results"]) if database.exists() else 0


def answers() -> dict[str, list[tuple[str, bool]]]:
    """For each smoke task's prompt two answers, right, wrong or cut, as its number has it."""
    benchmark = declared(test_smoke.test_smoke)
    assert benchmark is not None
    tasks = benchmark.tasks.open(Settings(), Path())
    found = {}
    for number in range(len(tasks.ids)):
        task = tasks.task(number)
        right, wrong = (f"```python\n{task.reference}\n```", False), ("```python\nx = 1\n```", False)
        cut = ("```python\ndef f(", True)
        found[evalplus(task).messages[0].content] = [(right, right), (wrong, right), (cut, wrong)][number % 3]
    return {prompt: list(pair) for prompt, pair in found.items()}


class Server:
    """The stand-in model server in a process of its own, always on the same port."""

    def __init__(self, place: Path) -> None:
        (place / "answers.json").write_text(json.dumps(answers()))
        self._script = place / "script.py"
        self._script.write_text(SCRIPT.format(answers=str(place / "answers.json")))
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.standin", "--script", str(self._script), "--port", str(self.port)]
        self._process = subprocess.Popen([*command, "--seconds", "1500"], cwd=ROOT, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    served = Server(tmp_path_factory.mktemp("server"))
    yield served
    served.kill()


@dataclass
class Bench:
    """``mcode bench smoke`` in a directory of its own."""

    place: Path
    options: list[str]
    environment: dict[str, str]
    database: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "pytest_mcode", "bench", "smoke", "--model", MODEL, "--samples", "2"]
        command += ["--concurrency", "2", "--timeout", "20", "--db", str(self.database), *self.options, *arguments]
        process = subprocess.Popen(
            command,
            cwd=self.place,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def run(self, *arguments: str) -> str:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=90)
        assert process.returncode == 0, output
        return output


@pytest.fixture(params=["process", "docker"])
def sandbox(request: pytest.FixtureRequest) -> list[str]:
    if request.param == "docker":
        return ["--sandbox", "docker", "--image", request.getfixturevalue("docker_image")]
    return ["--sandbox", "process"]


@pytest.fixture(params=[(), ("-n2",)], ids=["alone", "xdist"])
def distributed(request: pytest.FixtureRequest) -> tuple[str, ...]:
    chosen: tuple[str, ...] = request.param
    return chosen


@pytest.fixture
def bench(server: Server, sandbox: list[str], distributed: tuple[str, ...], tmp_path: Path) -> Iterator[Bench]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MCODE_", "PYTEST"))}
    environment |= {
        "OLLAMA_HOST": f"http://127.0.0.1:{server.port}",
        "MCODE_CACHE_DIR": str(tmp_path / "cache"),
        "TMPDIR": str(tmp_path),
        "OLLAMA_API_KEY": "",
    }
    made = Bench(tmp_path, [*sandbox, *distributed], environment, tmp_path / "r.db")
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Rows]:
    """By a digest of its options, the rows of a run in which nothing broke."""
    return {}


def expected(bench: Bench, undisturbed: dict[str, Rows]) -> Rows:
    key = hashlib.sha256(json.dumps(bench.options).encode()).hexdigest()
    if key not in undisturbed:
        other = Bench(bench.place, bench.options, bench.environment, bench.place / "undisturbed.db")
        other.run()
        undisturbed[key] = rows(other.database)
    return undisturbed[key]


def in_mid_run(bench: Bench, **environment: str) -> tuple[subprocess.Popen[str], Family]:
    """A run of which some tasks, but not all, are recorded, and its processes."""
    process = bench.start(**environment)
    family = Family(process.pid)
    assert wait_until(lambda: count(bench.database) >= 4 or process.poll() is not None, 30)
    family.look()
    assert process.poll() is None, process.communicate()[0]
    return process, family


def ended(process: subprocess.Popen[str], family: Family) -> str:
    output, _ = process.communicate(timeout=60)
    assert wait_until(lambda: not family.look(), 5), family.look()
    return output


def assert_only_whole_tasks(bench: Bench, whole: Rows) -> None:
    """Nothing half, and nothing that an undisturbed run would not have found."""
    found = rows(bench.database)
    judged = {row[0] for row in found["results"] if row[1] != "error"}
    assert {row for row in found["results"] if row[0] in judged} <= whole["results"]
    for table in ("samples", "attempts"):
        assert {row for row in found[table] if row[0] in judged} == {r for r in whole[table] if r[0] in judged}
        assert {row[0] for row in found[table]} <= {row[0] for row in found["results"]}


def assert_resuming_completes(bench: Bench, whole: Rows) -> None:
    before = rows(bench.database)
    output = bench.run("--resume")
    assert "going on with run" in output or "unfinished run" in output
    assert rows(bench.database) == whole
    assert {row for row in before["results"] if row[1] != "error"} <= whole["results"]
    with closing(sqlite3.connect(bench.database)) as connection:
        assert connection.execute("SELECT count(*), count(finished_at) FROM runs").fetchall() == [(1, 1)]


def interrupt(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it, to all of them


def interrupt_twice(process: subprocess.Popen[str]) -> None:
    interrupt(process)
    time.sleep(0.2)
    if process.poll() is None:
        interrupt(process)


@pytest.mark.parametrize(
    ("end", "statuses"),
    [
        pytest.param(interrupt, {2}, id="Ctrl-C"),
        pytest.param(interrupt_twice, {2, -2, 1}, id="Ctrl-C-twice"),
        pytest.param(subprocess.Popen.terminate, {2}, id="SIGTERM"),
        pytest.param(subprocess.Popen.kill, {-9}, id="kill-9"),
    ],
)
def test_ending_the_run(
    bench: Bench,
    undisturbed: dict[str, Rows],
    end: Callable[[subprocess.Popen[str]], None],
    statuses: set[int],
) -> None:
    whole = expected(bench, undisturbed)
    process, family = in_mid_run(bench)
    end(process)
    output = ended(process, family)
    assert process.returncode in statuses, output
    assert 4 <= count(bench.database) < len(whole["results"])
    assert_only_whole_tasks(bench, whole)
    assert_resuming_completes(bench, whole)


def descendants(process: subprocess.Popen[str], word: str, program: str = "") -> list[int]:
    """Processes below it whose command line has that word and begins with that program's name, the oldest first."""
    command = ["ps", "-ww", "-eo", "pid=,ppid=,args=", "--sort=start_time,pid"]  # -ww: COLUMNS cuts no line
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line.split(None, 2) for line in listed.splitlines()]
    found, mine = [], {str(process.pid)}
    for pid, parent, *arguments in lines:
        if parent in mine:
            mine.add(pid)
            first, _, rest = " ".join(arguments).partition(" ")
            found += [int(pid)] if word in rest and Path(first).name.startswith(program) else []
    return found


@pytest.mark.parametrize("distributed", [("-n2",)], ids=["xdist"], indirect=True)
def test_killing_a_worker(bench: Bench, undisturbed: dict[str, Rows]) -> None:
    whole = expected(bench, undisturbed)
    process, family = in_mid_run(bench)
    os.kill(descendants(process, "exec(eval(sys.stdin")[0], signal.SIGKILL)
    output = ended(process, family)
    assert process.returncode in (0, 1), output
    assert count(bench.database) == len(whole["results"])
    assert_only_whole_tasks(bench, whole)
    if process.returncode == 0:  # no task was held to be the culprit
        assert rows(bench.database) == whole
    else:
        assert_resuming_completes(bench, whole)


def test_killing_a_supervisor(bench: Bench, sandbox: list[str], undisturbed: dict[str, Rows]) -> None:
    whole = expected(bench, undisturbed)
    process, family = in_mid_run(bench)
    if "docker" in sandbox:
        kill_container({process.pid, *descendants(process, "")})
    else:
        os.kill(descendants(process, "builtins, json", "python")[0], signal.SIGKILL)
    output = ended(process, family)
    assert process.returncode == 0, output
    assert rows(bench.database) == whole


def kill_container(owners: set[int]) -> None:
    import docker

    client = docker.from_env()
    mine = [c for c in client.containers.list(filters={"label": "mcode.pid"}) if int(c.labels["mcode.pid"]) in owners]
    mine[0].kill()
    client.close()


@pytest.mark.parametrize("sandbox", ["docker"], indirect=True)
def test_the_engine_dies(bench: Bench, undisturbed: dict[str, Rows]) -> None:
    whole = expected(bench, undisturbed)
    with relay(bench.place) as (address, dead):
        process, family = in_mid_run(bench, DOCKER_HOST=address)
        dead.set()
        output = ended(process, family)
    assert process.returncode == 1, output
    assert "engine" in output
    assert_only_whole_tasks(bench, whole)
    assert_resuming_completes(bench, whole)


def test_the_server_dies_and_is_started_again(bench: Bench, server: Server, undisturbed: dict[str, Rows]) -> None:
    whole = expected(bench, undisturbed)
    process, family = in_mid_run(bench)
    server.kill()
    try:
        output = ended(process, family)
    finally:
        server.start()
    assert process.returncode == 1, output
    assert "--resume goes on with this run" in output
    assert_only_whole_tasks(bench, whole)
    assert_resuming_completes(bench, whole)


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A file system with little more than a run asks for."""
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=60m", "none", str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"platform: no file system can be mounted ({done.stderr.strip()})")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_the_disk_is_full(bench: Bench, undisturbed: dict[str, Rows]) -> None:
    whole = expected(bench, undisturbed)
    with small_disk(bench.place / "disk") as disk:
        bench.database = disk / "r.db"
        process, family = in_mid_run(bench)
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file:
            while shutil.disk_usage(disk).free:
                try:
                    file.write(bytes(min(1 << 20, shutil.disk_usage(disk).free)))
                except OSError:
                    break
        output = ended(process, family)
        assert process.returncode == 2, output
        assert "cannot be used" in output
        filler.unlink()
        assert_only_whole_tasks(bench, whole)
        assert_resuming_completes(bench, whole)


def test_another_writer_locks_the_database_for_a_while(bench: Bench, undisturbed: dict[str, Rows]) -> None:
    whole = expected(bench, undisturbed)
    process, family = in_mid_run(bench)
    with closing(sqlite3.connect(bench.database, isolation_level=None, timeout=20)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(1.5)
        other.execute("ROLLBACK")
    output = ended(process, family)
    assert process.returncode == 0, output
    assert rows(bench.database) == whole


@pytest.mark.parametrize("sandbox", ["process"], indirect=True)
def test_a_damaged_database_is_refused_and_left_as_it_is(bench: Bench) -> None:
    damaged = b"SQLite format 3\0" + bytes(range(256)) * 40
    bench.database.write_bytes(damaged)
    process = bench.start()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 4, output
    assert "cannot be used" in output
    assert bench.database.read_bytes() == damaged
