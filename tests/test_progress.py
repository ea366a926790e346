"""The live line: what it says, and that it leaves a clean screen whatever else is written."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_mcode.progress import Tally, suits, told
from pytest_mcode.report.words import clock
from tests.terminal import Shown, shown

#: Solved, unsolved and lost tasks, and tests of somebody else that fail, with output, in each phase.
MINE = """
import time
import pytest
from pytest_mcode import Mcode, Task, benchmark

def task(number: int, returned: int | None) -> Task:
    reference = "" if returned is None else f"def f() -> int:\\n    return {returned}"
    return Task(f"mine/{number}", "def f() -> int: ...", "assert f() == 1", entry_point="f", reference=reference)

@benchmark("mine", tasks=[task(number, (1, 1, 1, 2, None)[number % 5]) for number in range(15)])
def test_mine(task: Task, mcode: Mcode) -> None:
    time.sleep(0.12)  # longer than the line's interval
    mcode(task)

@pytest.fixture
def broken() -> None:
    raise ValueError("theirs")

def test_fails() -> None:
    print("noise that was captured")
    assert 1 == 2

def test_meets_an_error(broken: None) -> None: ...

@pytest.mark.skip(reason="not today")
def test_is_skipped() -> None: ...
"""
BENCH: tuple[str | Path, ...] = (Path(sys.executable).with_name("mcode"), "bench", "mine", "test_mine.py")
HOW = ("--model", "reference", "--sandbox", "process", "--db", "r.db")


@pytest.mark.parametrize(
    ("tally", "line"),
    [
        (Tally(164, seconds=0.0), "mcode: 0/164"),
        (Tally(164, 41, seconds=60.0), "mcode: 41/164 · solved 41 (100.0%) · 3:00 left"),
        (Tally(164, 30, 11, seconds=60.0), "mcode: 41/164 · solved 30 (73.2%) · 3:00 left"),
        (Tally(164, 30, 10, 1, seconds=60.0), "mcode: 41/164 · solved 30 (75.0%) · errors 1 · 3:00 left"),
        (Tally(4, errors=2, seconds=1.0), "mcode: 2/4 · errors 2 · 0:01 left"),
        (
            Tally(164, 30, 10, 1, 2, 60.0),
            "mcode: 41/164 · solved 30 (75.0%) · errors 1 · other tests failed 2 · 3:00 left",
        ),
        (Tally(164, 100, 64, seconds=600.0), "mcode: 164/164 · solved 100 (61.0%)"),
        (Tally(164, 30, 10, seconds=None), "mcode: 40/164 · solved 30 (75.0%)"),
    ],
)
def test_the_line_says_how_far_how_well_and_how_long(tally: Tally, line: str) -> None:
    assert told(tally, 200) == line


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (79, "mcode: 41/164 · solved 30 (75.0%) · errors 1 · other tests failed 2 · 3:00 left"),
        (78, "41/164 · 75.0% · 1 E · 2 F · 3:00 left"),
        (39, "41/164 · 75.0% · 1 E · 2 F · 3:00 left"),
        (20, "41/164 · 75.0% · 1 E"),
    ],
)
def test_a_narrow_window_has_a_brief_line(width: int, line: str) -> None:
    assert told(Tally(164, 30, 10, 1, 2, 60.0), width) == line


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (754.0, "12:34"), (3599.7, "1:00:00"), (36061.0, "10:01:01")]
)
def test_time_is_read_like_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not re.match("MCODE_|PYTEST|COLUMNS$|CI$", name)}
    return {**kept, "MCODE_CACHE_DIR": str(tmp_path_factory.getbasetemp() / "cache")}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("progress")
    (made / "test_mine.py").write_text(MINE)
    return made


@pytest.fixture(scope="module", params=[(80,), (40, "-n2")], ids=["alone", "narrow, with workers"])
def screen(request: pytest.FixtureRequest, place: Path, environment: dict[str, str]) -> tuple[Shown, int]:
    columns, *more = request.param
    return shown([*BENCH, *HOW, *more], columns=columns, place=place, environment=environment), columns


class TestScreen:
    """What is left on a terminal, with and without workers."""

    def test_the_line_is_rewritten_as_tasks_end(self, screen: tuple[Shown, int]) -> None:
        seen, _ = screen
        counted = [int(match[1]) for line in seen.drawn if (match := re.match(r"(?:mcode: )?(\d+)/15\b", line))]
        assert counted == sorted(counted)
        assert counted[0] == 0
        assert counted[-1] == 15
        assert len(set(counted)) > 5

    def test_its_last_state_stands_once_and_nothing_beside_it(self, screen: tuple[Shown, int]) -> None:
        seen, columns = screen
        last = "mcode: 15/15 · solved 9 (75.0%) · errors 3 · other tests failed 2"
        assert seen.lines.count(last if columns == 80 else "15/15 · 75.0% · 3 E · 2 F") == 1
        assert not [line for line in seen.lines if " left" in line]
        (before,) = [n for n, line in enumerate(seen.lines) if "15/15" in line]
        assert re.fullmatch(r"collected 18 items|2 workers \[18 items\]", seen.lines[before - 1])
        assert seen.lines[before + 1] == ""
        assert re.fullmatch("=+ ERRORS =+", seen.lines[before + 2])

    def test_an_error_turns_it_red(self, screen: tuple[Shown, int]) -> None:
        seen, columns = screen
        errors = "· errors" if columns == 80 else " E"
        red = re.findall(r"\x1b\[31m\r([^\r\n\x1b]*)", seen.raw)
        assert red
        assert all(errors in line for line in red)
        assert len(red) == len([line for line in seen.drawn if errors in line])

    def test_failures_of_other_tests_are_told_as_ever(self, screen: tuple[Shown, int]) -> None:
        seen, _ = screen
        assert re.search("^E +ValueError: theirs$", seen.text, re.MULTILINE)
        assert re.search("^noise that was captured$", seen.text, re.MULTILINE)
        assert "FAILED test_mine.py::test_fails" in seen.text
        assert "ERROR test_mine.py::test_meets_an_error" in seen.text

    def test_the_screen_ends_with_the_summary(self, screen: tuple[Shown, int]) -> None:
        seen, _ = screen
        assert seen.status == 1
        assert "solved        9/12" in seen.lines[-3:-1]
        assert "1 failed, 9 passed, 1 skipped, 4 errors, 3 unsolved" in "".join(seen.lines[-2:])


def test_ctrl_c_leaves_the_line_and_a_summary_of_what_was_finished(place: Path, environment: dict[str, str]) -> None:
    asked = [*BENCH, *HOW, "-n2"]
    seen = shown(asked, columns=80, place=place, environment=environment, interrupt_at=r"mcode: [2-6]/15")
    assert seen.status == 2
    assert "Traceback" not in seen.text
    (line,) = [line for line in seen.lines if line.startswith("mcode: ") and "/15" in line and "^C" not in line]
    (solved,) = [line for line in seen.lines if line.startswith("solved ")]
    (missing,) = [line for line in seen.lines if line.startswith("not run ")]
    done = int(re.findall(r"\d+", line)[0])
    assert 2 <= done < 15
    assert missing.startswith(f"not run       {15 - done} of 15 tasks")
    counted = re.search(r"solved (\d+)", line)
    assert solved.split()[1].partition("/")[0] == (counted[1] if counted else "0")


@pytest.mark.parametrize(
    ("options", "isatty", "suited"),
    [
        ((), True, True),
        (("-x", "--lf", "--capture=sys"), True, True),
        ((), False, False),
        (("-v",), True, False),
        (("-q",), True, False),
        (("-s",), True, False),
        (("--capture=tee-sys",), True, False),
    ],
)
def test_a_line_suits_a_terminal_on_which_nobody_else_writes(
    pytester: pytest.Pytester, options: tuple[str, ...], isatty: bool, suited: bool
) -> None:
    assert suits(pytester.parseconfig(*options), SimpleNamespace(isatty=isatty)) is suited
