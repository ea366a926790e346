from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from pytest_mcode._types import Execution, Program
from pytest_mcode.sandboxes.judging import Judging
from pytest_mcode.sandboxes.levels import plain
from pytest_mcode.sandboxes.pool import Pool
from pytest_mcode.sandboxes.process import ProcessHome
from pytest_mcode.sandboxes.quiet import Quiet, default_directory

#: Passes in a second that it has to itself, and needs longer while its neighbour runs: a file tells it.
SLOW_AMONG_OTHERS = """
import os, time
while os.path.exists({busy!r}):
    time.sleep(0.01)
"""
NEIGHBOUR = "import os, time\nopen({busy!r}, 'w').close()\ntime.sleep(1.5)\nos.unlink({busy!r})"


def run(*programs: Program, locks: Path, timeout: float) -> list[Execution]:
    async def gathered() -> list[Execution]:
        sandbox = Judging(Pool(ProcessHome(plain()), size=2, quiet=Quiet(locks)))
        try:
            started = [asyncio.create_task(sandbox.run(programs[0], timeout=10))]
            await asyncio.sleep(0.4)
            started += [asyncio.create_task(sandbox.run(program, timeout=timeout)) for program in programs[1:]]
            return await asyncio.gather(*started)
        finally:
            await sandbox.aclose()

    return asyncio.run(gathered())


def test_a_timeout_among_others_is_tried_again_alone_and_both_times_are_kept(tmp_path: Path) -> None:
    busy = str(tmp_path / "busy")
    neighbour = Program(NEIGHBOUR.format(busy=busy), "")
    slow = Program(SLOW_AMONG_OTHERS.format(busy=busy), "")
    first, second = run(neighbour, slow, locks=tmp_path / "locks", timeout=0.5)
    assert first.passed
    assert second.passed
    assert second.first_seconds is not None
    assert 0.5 <= second.first_seconds < 0.9
    assert second.seconds < 0.4


def test_a_program_that_never_ends_is_a_timeout_both_times(tmp_path: Path) -> None:
    neighbour = Program("import time; time.sleep(1)", "")
    _, second = run(neighbour, Program("while True: pass", ""), locks=tmp_path / "locks", timeout=0.5)
    assert second.timed_out
    assert second.first_seconds is not None


def test_a_timeout_with_the_machine_to_itself_counts_at_once(tmp_path: Path) -> None:
    class Idle(Quiet):
        @property
        def busy(self) -> bool:
            return self._here > 1

    async def alone() -> Execution:
        sandbox = Judging(Pool(ProcessHome(plain()), size=2, quiet=Idle(tmp_path / "locks")))
        try:
            return await sandbox.run(Program("while True: pass", ""), timeout=0.5)
        finally:
            await sandbox.aclose()

    execution = asyncio.run(alone())
    assert execution.timed_out
    assert execution.first_seconds is None


HOLDER = """
import asyncio, sys
from pathlib import Path
from pytest_mcode.sandboxes.quiet import Quiet, default_directory

async def hold():
    async with Quiet(Path(sys.argv[1])).shared():
        print("held", flush=True)
        await asyncio.sleep(float(sys.argv[2]))

asyncio.run(hold())
"""


def test_being_alone_waits_for_other_processes(tmp_path: Path) -> None:
    async def alone() -> float:
        started = time.monotonic()
        async with Quiet(tmp_path / "locks").alone():
            return time.monotonic() - started

    holder = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path / "locks", "0.5"], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert asyncio.run(alone()) > 0.3
    holder.communicate()


def test_a_process_that_is_killed_holds_nobody_up(tmp_path: Path) -> None:
    async def alone() -> None:
        async with asyncio.timeout(2), Quiet(tmp_path / "locks").alone():
            pass

    holder = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path / "locks", "60"], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    holder.kill()
    holder.communicate()
    asyncio.run(alone())


def test_who_waits_to_be_alone_is_not_overtaken(tmp_path: Path) -> None:
    order: list[str] = []

    async def among(name: str, seconds: float) -> None:
        async with Quiet(tmp_path / "locks").shared():
            order.append(name)
            await asyncio.sleep(seconds)

    async def alone() -> None:
        async with Quiet(tmp_path / "locks").alone():
            order.append("alone")

    async def all_of_them() -> None:
        first = asyncio.create_task(among("before", 0.3))
        await asyncio.sleep(0.05)
        waiting = asyncio.create_task(alone())
        await asyncio.sleep(0.05)
        late = asyncio.create_task(among("after", 0))
        await asyncio.gather(first, waiting, late)

    asyncio.run(all_of_them())
    assert order == ["before", "alone", "after"]


def test_somebody_elses_directory_of_that_name_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ours = default_directory()
    assert default_directory() == ours
    ours.rmdir()
    ours.symlink_to(tmp_path)
    assert default_directory() not in (ours, tmp_path)
    ours.unlink()
    ours.touch()
    assert default_directory().is_dir()
