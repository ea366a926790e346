"""The wheel: what is in it, and that it works without the checkout, in a directory of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Bounds that are promised; others may move.
REQUIRED = {
    "pytest>=9",
    "pytest-xdist<4,>=3.8",
    "pytest-timeout>=2.4",
    "pytest-json-report>=1.5",
    "mellea<0.9,>=0.8",
    "datasets>=4",
    "docker>=7",
    "sqlalchemy<3,>=2",
    "click>=8.1",
    "rich>=13",
}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the checkout with what is installed: nothing is downloaded."""
    into = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(into), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = into.iterdir()
    return built


@pytest.fixture(scope="module")
def contents(wheel: Path) -> dict[str, str]:
    """The text of each file in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


@pytest.fixture(scope="module")
def metadata(contents: dict[str, str]) -> Message:
    return Parser().parsestr(contents["pytest_mcode-0.1.0.dist-info/METADATA"])


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment with the wheel, and with the dependencies of this one, but not the checkout."""
    place = tmp_path_factory.mktemp("installed")
    venv.create(place, with_pip=False, symlinks=True)
    scripts = place / "bin"
    command = [sys.executable, "-m", "pip", "--python", str(scripts / "python"), "install", "--quiet", "--no-deps"]
    subprocess.run([*command, "--no-index", str(wheel)], check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    # its own .pth files, such as the one of the checkout, are not read that way
    (packages / "dependencies.pth").write_text("\n".join({sysconfig.get_path(kind) for kind in ("purelib", "platlib")}))
    return scripts


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Run:
    """Runs a command of that environment in an empty directory."""

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not re.match("MCODE_|PYTEST|PYTHON", name)}
        environment = {**kept, "MCODE_CACHE_DIR": str(tmp_path / "cache")}
        empty = tmp_path / "empty"
        empty.mkdir(exist_ok=True)
        line = [str(installed / words[0]), *words[1:]]
        return subprocess.run(line, cwd=empty, env=environment, capture_output=True, text=True, check=False)

    return command


def assert_solved(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^solved +20/20$", done.stdout, re.MULTILINE), done.stdout
    assert "warning" not in done.stdout + done.stderr


def test_the_wheel_has_the_package_and_its_benchmarks(contents: dict[str, str]) -> None:
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "pytest_mcode").rglob("*.py")}
    benchmarks = {f"pytest_mcode/{path.relative_to(ROOT)}" for path in (ROOT / "benchmarks").rglob("*.py")}
    assert len(benchmarks) > 20
    assert {name for name in contents if name.endswith(".py")} == sources | benchmarks


def test_the_wheel_has_what_is_no_module(contents: dict[str, str]) -> None:
    others = {name for name in contents if not name.endswith(".py")}
    about = "pytest_mcode-0.1.0.dist-info"
    assert others == {
        "pytest_mcode/py.typed",
        "pytest_mcode/mcode.ini",
        *(str(path.relative_to(ROOT)) for path in (ROOT / "pytest_mcode/report/page/assets").iterdir()),
        *(f"{about}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")),
    }
    assert contents[f"{about}/licenses/LICENSE"] == (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_plugin_and_the_command_are_both_called_mcode(contents: dict[str, str]) -> None:
    assert contents["pytest_mcode-0.1.0.dist-info/entry_points.txt"].split("\n\n") == [
        "[console_scripts]\nmcode = pytest_mcode.cli:main",
        "[pytest11]\nmcode = pytest_mcode.plugin\n",
    ]


def test_the_dependencies_have_the_bounds_that_are_promised(metadata: Message) -> None:
    required = [str(line) for line in metadata.get_all("Requires-Dist", [])]
    assert {line for line in required if ";" not in line} >= REQUIRED
    assert metadata["Requires-Python"] == ">=3.11"
    assert "dev" in metadata.get_all("Provides-Extra", [])
    assert metadata["License-Expression"] == "Apache-2.0"


def test_the_installed_package_is_the_one_that_runs(run: Run, installed: Path) -> None:
    done = run("python", "-c", "import pytest_mcode.collect as c; print(c.__file__, c.HOME, sep='\\n')")
    file, home = (Path(line) for line in done.stdout.splitlines())
    assert installed.parent in file.parents
    assert home == file.parent / "benchmarks"


def test_every_smoke_task_is_solved_from_the_wheel(run: Run) -> None:
    assert_solved(run("mcode", "bench", "smoke", "--model", "reference", "--sandbox", "process"))


def test_every_smoke_task_is_solved_from_the_wheel_in_docker(run: Run, docker_image: str) -> None:
    assert_solved(run("mcode", "bench", "smoke", "--model", "reference", "--image", docker_image))


def test_the_wheel_is_a_plugin_of_pytest(run: Run) -> None:
    options = ("--mcode-bench=smoke", "--mcode-model=reference", "--mcode-sandbox=process")
    done = run("python", "-m", "pytest", "-p", "mcode", *options, "-n", "2")
    assert_solved(done)
    assert "mcode-0.1.0" in done.stdout
