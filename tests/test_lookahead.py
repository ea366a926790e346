"""Many tasks under way at once: the server is kept busy, and what pytest tells stays right."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.standin import Reply, StandIn, status
from tests.standin.script import Request

MODEL = "granite3.3:8b"
TASKS = """
from pytest_mcode import Mcode, Task, benchmark

def task(number: int) -> Task:
    prompt = f"def f{number}() -> int: ..."
    return Task(f"t/{number}", prompt, f"assert f{number}() == {number}", f"f{number}", f"def f{number}(): return 0")

@benchmark("many", tasks=[task(number) for number in range(COUNT)])
def test_many(task: Task, mcode: Mcode) -> None:
    BODY
    mcode(task)
"""


def number_of(request: Request) -> int:
    return int(request.messages[0].content.partition("def f")[2].partition("(")[0])


def solving(seconds: Callable[[int], float] = lambda _: 0.0) -> Callable[[Request], Reply]:
    """Right answers, each after its own time."""

    def answer(request: Request) -> Reply:
        number = number_of(request)
        return Reply(f"```python\ndef f{number}() -> int:\n    return {number}\n```", seconds=seconds(number))

    return answer


class Project:
    """A directory with a benchmark of ``count`` tasks, and a database."""

    def __init__(self, place: Path, count: int, body: str = "pass") -> None:
        self.place = place
        (place / "test_many.py").write_text(TASKS.replace("COUNT", str(count)).replace("BODY", body))

    def command(self, *arguments: str) -> list[str]:
        asked = ["--mcode-bench=many", f"--mcode-model={MODEL}", "--mcode-sandbox=process", "--mcode-db=r.db"]
        return [sys.executable, "-m", "pytest", *asked, "test_many.py", *arguments]

    def environment(self, server: StandIn) -> Mapping[str, str]:
        return {**os.environ, "OLLAMA_HOST": server.url, "OPENAI_BASE_URL": server.openai_url}

    def run(self, server: StandIn, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.place,
            env=self.environment(server),
            capture_output=True,
            text=True,
            check=False,
        )

    def rows(self, query: str) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(self.place / "r.db")
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def statuses(self) -> dict[object, object]:
        return dict(self.rows("select task_id, status from results"))  # type: ignore[arg-type]  # pairs


def all_solved(count: int) -> dict[object, object]:
    return {f"t/{number}": "solved" for number in range(count)}


@pytest.mark.parametrize(
    ("arguments", "peak"),
    [
        (("--mcode-concurrency=6",), 6),
        (("--mcode-concurrency=1",), 1),
        ((), 4),
        (("-n2",), 4),
        (("-n2", "--mcode-concurrency=3"), 6),
        (("-n4",), 4),
        (("--mcode-backend=openai",), 30),
    ],
    ids=["as asked", "one", "Ollama's default", "divided", "of each worker", "one a worker", "OpenAI's default"],
)
def test_the_server_gets_as_many_requests_at_once_as_it_serves(
    tmp_path: Path, arguments: tuple[str, ...], peak: int
) -> None:
    project = Project(tmp_path, 30)
    with StandIn(solving(lambda _: 0.3), slots=64) as server:
        done = project.run(server, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.log.peak_in_flight == peak
    assert project.statuses() == all_solved(30)


def test_the_choice_is_printed_and_stored(tmp_path: Path) -> None:
    project = Project(tmp_path, 1)
    with StandIn(solving()) as server:
        done = project.run(server)
    assert "mcode: 4 requests at once (the default for ollama; --mcode-concurrency sets it)" in done.stdout
    ((config,),) = project.rows("select config from runs")
    assert json.loads(str(config))["concurrency"] == 4


@pytest.mark.parametrize("distributed", [(), ("-n2",)], ids=["alone", "xdist"])
def test_a_slow_task_holds_nobody_up_and_each_is_recorded_when_it_is_done(
    tmp_path: Path, distributed: tuple[str, ...]
) -> None:
    project = Project(tmp_path, 12)
    with StandIn(solving(lambda number: 1.5 if number == 0 else 0.1)) as server:
        done = project.run(server, "-v", "--durations=1", "--mcode-concurrency=4", *distributed)
    assert done.returncode == 0
    told = [line for line in done.stdout.splitlines() if "PASSED" in line]
    assert "[t/0]" in told[-1]
    (slowest,) = (line for line in done.stdout.splitlines() if "s call" in line)
    assert 1.5 <= float(slowest.partition("s")[0]) < 4
    assert "[t/0]" in slowest


def test_tasks_that_took_long_before_are_begun_first(tmp_path: Path) -> None:
    project = Project(tmp_path, 8)
    with StandIn(solving(lambda number: 2.0 * (number == 5))) as server:
        project.run(server, "--mcode-concurrency=1")
        first = len(server.log.exchanges)
        project.run(server, "--mcode-concurrency=1")
    assert number_of(server.log.exchanges[0].request) == 0
    assert number_of(server.log.exchanges[first].request) == 5


def test_all_samples_of_a_task_are_drawn_side_by_side(tmp_path: Path) -> None:
    project = Project(tmp_path, 1)
    with StandIn(solving(lambda _: 0.3)) as server:
        done = project.run(server, "--mcode-samples=4", "--mcode-all-samples")
    assert done.returncode == 0
    assert server.log.peak_in_flight == 4
    assert sorted(project.rows("select sample, seed from samples")) == [(n, n) for n in range(4)]


def test_with_early_stop_the_samples_of_a_task_stay_in_order(tmp_path: Path) -> None:
    project = Project(tmp_path, 1)
    with StandIn(lambda _: Reply("```python\nx = 1\n```", seconds=0.05)) as server:
        project.run(server, "--mcode-samples=4")
    assert server.log.peak_in_flight == 1
    assert [exchange.request.options.seed for exchange in server.log.exchanges] == [0, 1, 2, 3]


def test_a_busy_server_is_given_fewer_requests_and_every_task_is_judged(tmp_path: Path) -> None:
    project = Project(tmp_path, 40)
    with StandIn(solving(lambda _: 0.05), slots=2, queue=2) as server:
        done = project.run(server, "--mcode-concurrency=16")
    assert done.returncode in (0, 1)
    refused = sum(exchange.reply is not None and exchange.reply.status == 503 for exchange in server.log.exchanges)
    assert set(project.statuses().values()) <= {"solved", "error"}
    assert len(project.statuses()) == 40
    assert refused < 40


@pytest.mark.parametrize("distributed", [(), ("-n2",)], ids=["alone", "xdist"])
def test_x_stops_at_the_first_unsolved_task_that_is_done(tmp_path: Path, distributed: tuple[str, ...]) -> None:
    project = Project(tmp_path, 40)

    def answer(request: Request) -> Reply:
        return Reply("```python\nx = 1\n```") if number_of(request) == 3 else solving(lambda _: 0.2)(request)

    with StandIn(answer) as server:
        done = project.run(server, "-x", "--mcode-concurrency=4", *distributed)
    assert done.returncode == (2 if distributed else 1)  # as xdist and pytest themselves end after -x
    assert project.statuses()["t/3"] == "unsolved"
    assert len(project.statuses()) < 40
    assert server.log.exchanges[-1].outcome is not None


@pytest.mark.parametrize("distributed", [(), ("-n2",)], ids=["alone", "xdist"])
def test_pytest_timeout_ends_a_task_that_is_solved_ahead(tmp_path: Path, distributed: tuple[str, ...]) -> None:
    project = Project(tmp_path, 6)
    with StandIn(solving(lambda number: 30.0 if number == 2 else 0.0)) as server:
        done = project.run(server, "--timeout=1.5", *distributed)
    assert done.returncode == 1
    assert project.statuses() == {**all_solved(6), "t/2": "error"}


def test_stepwise_keeps_to_the_order_of_the_tasks(tmp_path: Path) -> None:
    project = Project(tmp_path, 6)

    def answer(request: Request) -> Reply:
        wrong = number_of(request) == 2 and request.number == 1
        return Reply("```python\nx = 1\n```") if wrong else solving(lambda number: 0.3 if number == 0 else 0.0)(request)

    with StandIn(answer) as server:
        project.run(server, "--sw")
        assert project.statuses() == {"t/0": "solved", "t/1": "solved", "t/2": "unsolved"}
        project.run(server, "--sw")
    assert project.statuses() == all_solved(6)


def test_a_worker_that_is_killed_in_mid_run_costs_its_task_alone(tmp_path: Path) -> None:
    body = "import os, signal\n    if task.id == 't/7': os.kill(os.getpid(), signal.SIGKILL)"
    project = Project(tmp_path, 24, body)
    with StandIn(solving(lambda _: 0.1)) as server:
        done = project.run(server, "-n2", "--mcode-concurrency=4")
    assert done.returncode == 1
    assert project.statuses() == {**all_solved(24), "t/7": "error"}


@pytest.mark.parametrize("distributed", [(), ("-n2",)], ids=["alone", "xdist"])
def test_an_interrupt_ends_the_run_at_once_and_cancels_what_is_under_way(
    tmp_path: Path, distributed: tuple[str, ...]
) -> None:
    project = Project(tmp_path, 20)
    with StandIn(solving(lambda number: 0.1 if number < 4 else 60.0)) as server:
        command, environment = project.command("--mcode-concurrency=4", *distributed), project.environment(server)
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and server.log.peak_in_flight < 4 + 4 * bool(distributed):
            time.sleep(0.05)
        time.sleep(1)
        started = time.monotonic()
        process.terminate()
        process.communicate(timeout=30)
        seconds = time.monotonic() - started
    assert process.returncode == 2
    assert seconds < 6
    assert project.statuses() == all_solved(4)


@pytest.mark.parametrize("mode", ["loadscope", "loadfile", "worksteal"])
def test_other_ways_of_distribution_are_xdists_own(tmp_path: Path, mode: str) -> None:
    project = Project(tmp_path, 6)
    with StandIn(solving()) as server:
        done = project.run(server, "-n2", f"--dist={mode}")
    assert done.returncode == 0
    assert project.statuses() == all_solved(6)


def test_somebody_elses_tests_run_beside(tmp_path: Path) -> None:
    project = Project(tmp_path, 6)
    (tmp_path / "test_other.py").write_text(
        "import pytest\n\n@pytest.fixture(scope='module')\ndef thing():\n    yield 1\n\n"
        "@pytest.mark.parametrize('n', range(5))\ndef test_other(thing, n):\n    assert thing == 1\n"
    )
    with StandIn(solving(lambda _: 0.1)) as server:
        done = project.run(server, "test_other.py")
    assert done.returncode == 0
    assert "11 passed" in done.stdout


def test_a_refused_request_is_not_a_failed_task(tmp_path: Path) -> None:
    project = Project(tmp_path, 2)

    def answer(request: Request) -> Reply:
        return status(429) if request.number == 1 else solving()(request)

    with StandIn(answer) as server:
        done = project.run(server)
    assert done.returncode == 0
    assert project.rows("select distinct generation_tries from attempts") == [(2,)]


def test_what_our_loop_uses_of_xdist_is_there() -> None:
    from xdist.remote import WorkerInteractor

    source = Path(sys.modules[WorkerInteractor.__module__].__file__ or "").read_text()
    assert "self.channel.setcallback(self.handle_command, endmarker=Marker.SHUTDOWN)" in source
    assert '"runtest_protocol_complete", item_index=self.item_index, duration=duration' in source
    assert 'name == "runtests"' in source
    assert 'kwargs["indices"]' in source
    assert 'name == "shutdown"' in source
    assert callable(WorkerInteractor.sendevent)
