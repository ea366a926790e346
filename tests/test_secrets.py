"""What logs in at a server is told to that server, and to nobody and nothing else."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.standin import Answer, Reply, Request, StandIn, fixed, status

#: In the environment, in the server's address, and where a user may have put one by mistake.
KEY, PASSWORD = "sk-mcodeK3yThatNobodyMaySee", "mcodeP4sswordThatNobodyMaySee"
#: How the password travels: as `curl -u` sends it.
LOGIN = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
PLANTED = (KEY, PASSWORD, LOGIN)

MINE = """
from pytest_mcode import Mcode, Task, benchmark

TASK = Task("mine/0", "def f() -> int: ...", "assert f() == 1", entry_point="f", reference="def f():\\n    return 1")

@benchmark("mine", tasks=[TASK])
def test_mine(task: Task, mcode: Mcode) -> None:
    mcode(task)
"""
#: A solution that looks for secrets wherever a program could find them, prints what it finds, and fails.
THIEF = """```python
import glob, os, sys

def f():
    for name, value in os.environ.items():
        print(name, value)
    for path in glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline"):
        try:
            print(path, open(path, errors="replace").read())
        except OSError as error:
            print(path, error)
    print(sys.argv)
    return 2
```"""


def echo(request: Request) -> Reply:
    """A server, or a proxy before it, that shows all it was sent with its error."""
    return status(500, f"cannot serve {dict(request.headers)}")


@dataclass(frozen=True)
class Ended:
    """A command that has ended, and all that it left."""

    place: Path
    status: int
    said: str
    written: dict[str, bytes] = field(default_factory=dict)

    def holding(self, secret: str) -> list[str]:
        """Where the secret is."""
        return [name for name, body in self.written.items() if secret.encode() in body or secret in name]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "test_mine.py").write_text(MINE)
    (tmp_path / "tmp").mkdir()
    return tmp_path


def everything(place: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a directory, and every directory by its name alone."""
    for path in place.rglob("*"):
        yield str(path.relative_to(place)), path.read_bytes() if path.is_file() else b""


def run(place: Path, backend: str, url: str, *more: str) -> Ended:
    """Run the benchmark with everything on that may tell of it."""
    command = [sys.executable, "-m", "pytest", "--mcode-bench=mine", "test_mine.py", "--mcode-model=granite3.3:8b"]
    command += [f"--mcode-backend={backend}", "--mcode-sandbox=process", "--mcode-db=r.db", "--junitxml=out.xml", "-v"]
    command += ["-rA", "--log-file=log.txt", "--log-level=DEBUG", "--json-report", "--json-report-file=out.json"]
    servers = {"OLLAMA_HOST": url, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": KEY, "TMPDIR": str(place / "tmp")}
    environment = {**os.environ, **servers, "MCODE_CACHE_DIR": str(place / "cache"), "COLUMNS": "200"}
    done = subprocess.run([*command, *more], cwd=place, env=environment, capture_output=True, timeout=120, check=False)
    written = {**dict(everything(place)), "stdout": done.stdout, "stderr": done.stderr}
    return Ended(place, done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace"), written)


def with_login(url: str) -> str:
    return url.replace("http://", f"http://me:{PASSWORD}@")


@pytest.mark.parametrize("backend", ["ollama", "openai"])
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (fixed("```python\ndef f():\n    return 1\n```"), 0),
        (fixed(THIEF), 0),
        (status(401), 1),
        (echo, 1),
    ],
    ids=["good", "thief", "401", "echo"],
)
def test_a_key_is_told_to_the_server_alone(backend: str, answer: Answer | Reply, expected: int, place: Path) -> None:
    script = answer if callable(answer) else lambda _: answer
    with StandIn(script) as server:
        ended = run(place, backend, server.url if backend == "ollama" else server.openai_url)
        sent = [exchange.request.headers.get("authorization") for exchange in server.log.exchanges]
    assert ended.status == expected, ended.said
    assert {f"Bearer {KEY}"} == {*sent} or backend == "ollama"
    assert {secret: ended.holding(secret) for secret in PLANTED} == {secret: [] for secret in PLANTED}


@pytest.mark.parametrize("fault", ["none", "echo"])
def test_a_login_in_the_address_is_told_to_the_server_alone(fault: str, place: Path) -> None:
    with StandIn(echo if fault == "echo" else fixed("```python\ndef f():\n    return 1\n```")) as server:
        ended = run(place, "openai", "http://unused.invalid", f"--mcode-base-url={with_login(server.openai_url)}")
        sent = {exchange.request.headers.get("authorization") for exchange in server.log.exchanges}
    assert ended.status == (0 if fault == "none" else 1), ended.said
    assert sent == {f"Basic {LOGIN}"}
    assert {secret: ended.holding(secret) for secret in PLANTED} == {secret: [] for secret in PLANTED}


@pytest.mark.parametrize("backend", ["ollama", "openai"])
@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/v1", "http://[::1/v1", "http://127.0.0.1:port/v1", "ftp://host"]
)
def test_a_server_that_cannot_be_reached_learns_nothing_and_nobody_else_does(
    backend: str, address: str, place: Path
) -> None:
    for url in (with_login(address), address.replace("http://", f"http://me:pass/{PASSWORD}@"), address):
        ended = run(place, backend, url)
        assert ended.status == 4, ended.said
        assert ended.said.count("ERROR: ") == 1, ended.said
        assert "Traceback" not in ended.said
        assert {secret: ended.holding(secret) for secret in PLANTED} == {secret: [] for secret in PLANTED}
        assert not (place / "r.db").exists()
