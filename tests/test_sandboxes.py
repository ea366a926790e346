"""The contract that every sandbox keeps, each test over all of them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from pytest_mcode._errors import SandboxError
from pytest_mcode._types import Execution, Program
from pytest_mcode.sandboxes.docker import DockerHome
from pytest_mcode.sandboxes.judging import Judging
from pytest_mcode.sandboxes.leftovers import labels
from pytest_mcode.sandboxes.levels import Level, bubblewrap, landlocked, plain, unshared, works
from pytest_mcode.sandboxes.pool import Home, Pool
from pytest_mcode.sandboxes.process import ProcessHome
from pytest_mcode.sandboxes.quiet import Quiet

RIGHT = Program("def double(x):\n    return 2 * x\n", "assert double(4) == 8\n")


class Execute(Protocol):
    """Executes one program in the sandbox under test."""

    def __call__(self, solution: str, tests: str = "", *, timeout: float = 10) -> Execution: ...


class Bench:
    """A sandbox under test, with a loop that outlives the single test, as in a run."""

    def __init__(self, make_home: Callable[[], Home], locks: Path) -> None:
        self.make_home, self._locks = make_home, locks
        self._runner = asyncio.Runner()
        self.pool: Judging = self.wait(self._open())

    async def _open(self) -> Judging:
        return Judging(Pool(self.make_home(), size=2, quiet=Quiet(self._locks)))  # whatever else runs on this machine

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def close(self) -> None:
        self.wait(self.pool.aclose())
        self._runner.close()


HOMES = ("bubblewrap", "unshare", "landlock", "plain", "docker")


def make_home(name: str, request: pytest.FixtureRequest) -> Callable[[], Home]:
    """How to open the home of that name; a skip where this machine cannot have it."""
    if name == "docker":
        image: str = request.getfixturevalue("docker_image")
        return lambda: DockerHome(image)
    level = level_of(name)
    if level is None:
        pytest.skip(f"{name} does not work on this machine")
    return lambda: ProcessHome(level)


def level_of(name: str) -> Level | None:
    """The level of that name, if it works on this machine."""
    found = (
        level for level in (*bubblewrap(), *unshared(), *landlocked(), plain()) if level.name == name and works(level)
    )
    return next(found, None)


@pytest.fixture(scope="module", params=HOMES)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    opened = Bench(make_home(request.param, request), tmp_path_factory.mktemp("locks"))
    yield opened
    opened.close()


@pytest.fixture
def execute(bench: Bench) -> Execute:
    def run(solution: str, tests: str = "", *, timeout: float = 10) -> Execution:
        execution: Execution = bench.wait(bench.pool.run(Program(solution, tests), timeout=timeout))
        return execution

    return run


def test_a_right_solution_passes(execute: Execute) -> None:
    execution = execute(RIGHT.solution, RIGHT.tests)
    assert execution.passed
    assert (execution.phase, execution.exit_code, execution.timed_out) == ("done", 0, False)
    assert 0 < execution.seconds < 10


def test_a_wrong_solution_fails_and_its_traceback_shows_the_assertion(execute: Execute) -> None:
    execution = execute("def double(x):\n    return x\n", RIGHT.tests)
    assert not execution.passed
    assert (execution.phase, execution.exit_code) == ("tests", 1)
    assert "assert double(4) == 8" in execution.stderr
    assert execution.stderr.rstrip().endswith("AssertionError")


def test_a_solution_that_does_not_compile_fails_while_loading(execute: Execute) -> None:
    execution = execute("def double(x:\n", RIGHT.tests)
    assert not execution.passed
    assert execution.phase == "solution"
    assert "SyntaxError" in execution.stderr


def test_without_a_package_that_tests_need_nothing_is_judged(bench: Bench) -> None:
    with pytest.raises(SandboxError, match=r"import no_such_package, which the sandbox's Python .* \(/.*No mod"):
        bench.wait(bench.pool.run(Program("", "", needs=("no_such_package",)), timeout=10))


def test_a_package_that_tests_need_is_there_and_imported_once(bench: Bench) -> None:
    needs = Program("", "import sys; print('numpy' in sys.modules); import numpy", needs=("numpy",))
    executions = [bench.wait(bench.pool.run(needs, timeout=10)) for _ in range(2)]
    assert [execution.passed for execution in executions] == [True, True]
    assert executions[1].stdout == "True\n"


def test_a_program_may_use_the_memory_that_it_needs(bench: Bench) -> None:
    greedy = Program("held = bytearray(3 << 29)", "assert len(held) == 3 << 29")
    assert not bench.wait(bench.pool.run(greedy, timeout=10)).passed
    assert bench.wait(bench.pool.run(replace(greedy, memory=1 << 31), timeout=10)).passed
    assert not bench.wait(bench.pool.run(greedy, timeout=10)).passed


def test_what_a_program_prints_is_kept(execute: Execute) -> None:
    execution = execute("import sys\nprint('to stdout')\nprint('to stderr', file=sys.stderr)\n")
    assert execution.passed
    assert execution.stdout == "to stdout\n"
    assert execution.stderr == "to stderr\n"


def test_head_and_tail_of_a_long_output_are_kept(execute: Execute) -> None:
    execution = execute("print('first')\nprint('x' * 1_000_000)\nprint('last')\n")
    assert execution.passed
    assert execution.stdout.startswith("first\nxxx")
    assert execution.stdout.endswith("xxx\nlast\n")
    assert " bytes cut ..." in execution.stdout
    assert len(execution.stdout) < 70_000


def test_output_that_is_no_text_is_spelled_out(execute: Execute) -> None:
    execution = execute(r"import os; os.write(1, b'\xff\x00ok'); print('\ud800')")
    assert execution.passed
    assert execution.stdout == "\\xff\x00ok\\ud800\n"


def test_a_solution_is_a_module_that_is_not_main(execute: Execute) -> None:
    solution = (
        "from __future__ import annotations\nimport pickle, dataclasses\n"
        "@dataclasses.dataclass\nclass Point:\n    x: int\n"
        "if __name__ == '__main__':\n    raise RuntimeError('a main guard ran')\n"
    )
    assert execute(solution, "assert pickle.loads(pickle.dumps(Point(3))) == Point(3)").passed


def test_stdin_is_empty(execute: Execute) -> None:
    execution = execute("input()")
    assert not execution.passed
    assert "EOFError" in execution.stderr


NEVER_PASS = {
    "exit while loading": ("import sys; sys.exit(0)", "assert False"),
    "exit at once while loading": ("import os; os._exit(0)", "assert False"),
    "SystemExit in the function": ("def f():\n    raise SystemExit(0)", "f()\nassert False"),
    "exit at once in the function": ("import os\ndef f():\n    os._exit(0)", "f()\nassert False"),
    "quit in a thread": (
        "import os, threading\nthreading.Timer(0.1, os._exit, (0,)).start()",
        "import time; time.sleep(0.5)\nassert False",
    ),
    "KeyboardInterrupt": ("def f():\n    raise KeyboardInterrupt", "f()"),
    "exit in atexit": ("import atexit, os\natexit.register(os._exit, 0)", "assert False"),
    "excepthook": ("import sys, os\nsys.excepthook = lambda *_: os._exit(0)", "assert False"),
    "AssertionError replaced": ("import builtins\nbuiltins.AssertionError = KeyError", "assert False"),
    "exec replaced": ("import builtins\nbuiltins.exec = lambda *_: None", "assert False"),
    "compile replaced": ("import builtins\nbuiltins.compile = lambda *_, **__: 'pass'", "assert False"),
    "json replaced": (
        "import json\njson.loads = lambda *_: {'tests': ''}\njson.dumps = lambda *_: ''",
        "assert False",
    ),
    "loaded said twice": ("import os\nos.write(3, b'\\0\\0\\0\\1L' * 2)", "assert False"),
    "end claimed with no secret": ("import os\nos.write(3, b'\\0\\0\\0\\1L' + b'\\0\\0\\0\\1S')", "assert False"),
    "a frame too long": ("import os\nos.write(3, b'\\xff' * 4)", "assert False"),
    "pipes closed": ("import os\nos.closerange(0, 200)", "assert False"),
    "killed": ("import os\nos.kill(os.getpid(), 9)", "assert False"),
    "segmentation fault": ("import ctypes\nctypes.string_at(0)", "assert False"),
    "supervisor killed": ("import os\nos.kill(os.getppid(), 9)", "assert False"),
    "supervisor asked to end": ("import os\nos.kill(os.getppid(), 15)", "assert False"),
    "an exception that cannot be printed": (
        "class E(Exception):\n    def __str__(self):\n        raise self\ndef f():\n    raise E",
        "f()",
    ),
    "endless recursion": ("def f():\n    return f()", "f()"),
    "a huge exception": ("def f():\n    raise ValueError('x' * 10_000_000)", "f()"),
    "output without end": ("while True:\n    print('x' * 10000)", "assert False"),
    "too much memory": ("x = bytearray(1 << 34)", "assert False"),
    "no more files": ("import os\nx = [os.open('/dev/null', 0) for _ in range(100_000)]", "assert False"),
    "a huge file": ("open('big', 'wb').write(b'x' * (1 << 28))", "assert False"),
}


@pytest.mark.parametrize(("solution", "tests"), NEVER_PASS.values(), ids=NEVER_PASS.keys())
def test_no_trick_passes_and_the_next_program_is_judged_as_ever(execute: Execute, solution: str, tests: str) -> None:
    assert not execute(solution, tests).passed
    assert execute(RIGHT.solution, RIGHT.tests).passed


@pytest.mark.parametrize(
    "loop",
    [
        "while True: pass",
        "import time; time.sleep(100)",
        "def f():\n    try:\n        while True: pass\n    except BaseException:\n        f()\nf()",
        "import signal, os\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\nwhile True: pass",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    ],
    ids=["busy", "asleep", "catching everything", "blocking signals", "stopped"],
)
def test_a_program_is_stopped_at_its_time_limit(execute: Execute, loop: str) -> None:
    started = time.monotonic()
    execution = execute(loop, timeout=0.5)
    assert execution.timed_out
    assert not execution.passed
    assert 0.5 <= execution.seconds < 1.5
    assert time.monotonic() - started < 4


def test_what_a_timed_out_program_wrote_is_kept(execute: Execute) -> None:
    execution = execute("print('so far', flush=True)\nwhile True: pass", timeout=0.5)
    assert execution.timed_out
    assert execution.stdout == "so far\n"


def test_the_environment_tells_nothing_of_the_host(execute: Execute, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted")
    tests = "import os\nassert 'planted' not in str(dict(os.environ)), os.environ"
    assert execute("", tests).passed


def test_a_file_that_a_program_leaves_is_gone_for_the_next(execute: Execute) -> None:
    leave = "import os\nos.makedirs('a/b')\nopen('a/b/left', 'w').write('x')\nos.chmod('a', 0)\n"
    assert execute(leave).passed
    assert execute("", "import os\nassert os.listdir('.') == [], os.listdir('.')").passed


def test_a_process_that_a_program_leaves_is_ended(execute: Execute) -> None:
    daemon = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        while True:\n"
        "            try: open('alive', 'w').close()\n"
        "            except OSError: pass\n"
        "    os._exit(0)\n"
        "time.sleep(0.1)\n"
    )
    assert execute(daemon).passed
    assert execute("", "import os, time\ntime.sleep(0.2)\nassert not os.path.exists('alive')").passed


def test_a_daemon_that_holds_the_output_open_delays_nobody(execute: Execute) -> None:
    started = time.monotonic()
    assert execute("import os, time\nif os.fork() == 0:\n    time.sleep(30)\n    os._exit(0)").passed
    assert time.monotonic() - started < 3


def test_many_programs_at_once_are_told_apart(bench: Bench) -> None:
    async def all_at_once() -> list[Execution]:
        programs = [Program(f"x = {n}", f"print(x)\nassert x % 2, x == {n}") for n in range(40)]
        return await asyncio.gather(*(bench.pool.run(program, timeout=10) for program in programs))

    executions = bench.wait(all_at_once())
    assert [e.passed for e in executions] == [n % 2 == 1 for n in range(40)]
    assert [e.stdout for e in executions] == [f"{n}\n" for n in range(40)]


def test_leaving_an_execution_ends_its_program(bench: Bench, execute: Execute) -> None:
    async def leave() -> None:
        async with asyncio.timeout(0.5):
            await bench.pool.run(Program("while True: pass", ""), timeout=60)

    started = time.monotonic()
    with pytest.raises(TimeoutError):
        bench.wait(leave())
    assert time.monotonic() - started < 3
    assert execute(RIGHT.solution, RIGHT.tests).passed


def test_the_check_passes_where_programs_run(bench: Bench) -> None:
    bench.wait(bench.pool.check())
    assert bench.pool.isolation


def test_closing_leaves_no_process_behind(bench: Bench) -> None:
    async def open_use_and_close() -> None:
        pool = Judging(Pool(bench.make_home(), size=2))
        await asyncio.gather(*(pool.run(RIGHT, timeout=10) for _ in range(4)))
        await pool.aclose()

    before = descendants()
    bench.wait(open_use_and_close())
    assert descendants() <= before


def descendants() -> set[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,comm="], capture_output=True, text=True, check=True)
    rows = (line.split(maxsplit=2) for line in listed.stdout.splitlines())
    return {int(pid) for pid, parent, command in rows if int(parent) == os.getpid() and command != "ps"}


def left_in(place: Path) -> list[str]:
    """The directories of sandboxes; the locks stay, for the next run."""
    return [path.name for path in place.iterdir() if not path.name.endswith("-locks")]


def descendants_of_init() -> set[str]:
    """Supervisors and their programs whose harness is gone: those of this test's interpreter that init has adopted."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    rows = (line.split(maxsplit=2) for line in listed.stdout.splitlines())
    return {pid for pid, parent, command in rows if parent == "1" and "import builtins, json, os" in command}


HARNESS = """
import asyncio, sys
from pytest_mcode._types import Program
from pytest_mcode.sandboxes.judging import Judging
from pytest_mcode.sandboxes.pool import Pool
from pytest_mcode.sandboxes.docker import DockerHome
from pytest_mcode.sandboxes.process import ProcessHome
from tests.test_sandboxes import level_of

async def main():
    pool = Judging(Pool({home}, size=1))
    await pool.check()
    print("started", flush=True)
    await pool.run(Program("while True: pass", ""), timeout=60)

asyncio.run(main())
"""


def harness(home: str) -> subprocess.Popen[str]:
    """A harness of its own, with a program under way that never ends."""
    script = HARNESS.format(home=home)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


@pytest.mark.parametrize("level", ["bubblewrap", "unshare", "landlock", "plain"])
def test_programs_end_when_the_harness_is_killed(level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = descendants_of_init()
    process = harness(f"ProcessHome(level_of({level!r}))")
    time.sleep(0.3)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 5
    while (left_in(tmp_path) or descendants_of_init() - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left_in(tmp_path) == []
    assert descendants_of_init() <= before


def test_containers_end_when_the_harness_is_killed(docker_image: str) -> None:
    import docker

    client = docker.from_env()
    process = harness(f"DockerHome({docker_image!r})")
    mine: dict[str, str | list[str] | bool] = {"label": [f"mcode.pid={process.pid}"]}
    assert len(client.containers.list(filters=mine)) == 1
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 5
    while client.api.containers(all=True, filters=mine) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert client.api.containers(all=True, filters=mine) == []
    client.close()


def test_a_container_of_a_harness_that_is_gone_is_swept_at_the_next_start(docker_image: str) -> None:
    import docker

    client = docker.from_env()
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = {**labels(), "mcode.pid": str(gone.pid)}
    sleeping = ["python3", "-c", "import time; time.sleep(60)"]
    orphan = client.containers.run(docker_image, sleeping, detach=True, network_mode="none", labels=left)
    kept = client.containers.run(docker_image, sleeping, detach=True, network_mode="none", labels=labels())
    try:
        DockerHome(docker_image)
        present = {container.id for container in client.containers.list(all=True, sparse=True)}
        assert orphan.id not in present
        assert kept.id in present
    finally:
        kept.remove(force=True)
        client.close()


def test_a_container_that_is_killed_under_a_program_costs_no_verdict(docker_image: str) -> None:
    import docker

    async def kill_once() -> Execution:
        pool = Judging(Pool(DockerHome(docker_image), size=1))
        await pool.check()
        running = asyncio.create_task(pool.run(Program("import time; time.sleep(1)", ""), timeout=10))
        await asyncio.sleep(0.3)
        client = docker.from_env()
        newest_first = client.containers.list(filters={"label": [f"mcode.pid={os.getpid()}"]})
        newest_first[0].kill()
        client.close()
        execution = await running
        await pool.aclose()
        return execution

    assert asyncio.run(kill_once()).passed


def refused(make_home: Callable[[], Home]) -> str:
    async def check() -> None:
        pool = Judging(Pool(make_home(), size=1))
        try:
            await pool.check()
        finally:
            await pool.aclose()

    with pytest.raises(SandboxError) as caught:
        asyncio.run(check())
    return str(caught.value)


def test_no_engine_is_told_with_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    message = refused(lambda: DockerHome("python:3.12-slim"))
    assert message.startswith("No Docker engine answers (")
    assert "--mcode-sandbox=process" in message


@pytest.mark.usefixtures("docker_image")
def test_an_image_that_is_not_there_is_told_with_the_next_step() -> None:
    message = refused(lambda: DockerHome("mcode-no-such-image:1"))
    assert message.startswith("The engine does not have the image mcode-no-such-image:1: 'docker pull")


@pytest.mark.usefixtures("docker_image")
def test_an_image_without_python_is_told(tmp_path: Path) -> None:
    import docker

    client = docker.from_env()
    empty = tmp_path / "empty.tar"
    subprocess.run(["tar", "-cf", empty, "-C", tmp_path, "--files-from", "/dev/null"], check=True)
    client.api.import_image_from_file(str(empty), repository="mcode-test-empty", tag="1")
    try:
        assert "mcode-test-empty:1 has no python3" in refused(lambda: DockerHome("mcode-test-empty:1"))
    finally:
        client.images.remove("mcode-test-empty:1")
        client.close()


def test_a_python_that_is_too_old_or_broken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert refused(lambda: ProcessHome(plain())).startswith("The sandbox's Python did not start (")
