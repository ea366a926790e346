"""The process sandbox: a supervisor on this machine, in namespaces where that is allowed (`levels`)."""

from __future__ import annotations

import math
import os
import selectors
import subprocess
import tempfile
from typing import Any

from pytest_mcode._errors import SandboxError
from pytest_mcode.sandboxes import levels
from pytest_mcode.sandboxes.levels import Level
from pytest_mcode.sandboxes.sending import ARGUMENTS, Place

#: Bytes that a program may have.
MEMORY = 1 << 30


class ProcessHome:
    """Sandboxes are processes on this machine, as closed as it allows.

    Args:
        level: How they are closed; None is the best that works here.

    Raises:
        SandboxError: On Windows, which has neither fork nor resource limits.
    """

    def __init__(self, level: Level | None = None) -> None:
        if os.name != "posix":
            raise SandboxError("The process sandbox needs Linux or macOS: use --mcode-sandbox=docker here.")
        self._level = level or levels.best()
        self.place = Place(
            alone=self._level.alone, writable=self._level.writable, walled=self._level.walled, readable=levels.SYSTEM
        )

    @property
    def isolation(self) -> str:
        """What keeps programs apart from the host."""
        return self._level.isolation

    def limits(self, timeout: float) -> dict[str, int]:
        """What one program may use."""
        return {**resource_limits(timeout, MEMORY), **self._level.limits}

    def start(self) -> ProcessLink:
        """Start a supervisor."""
        directory = (
            None if self._level.writable else tempfile.TemporaryDirectory(prefix="mcode-", ignore_cleanup_errors=True)
        )
        return ProcessLink([*self._level.command, *ARGUMENTS], directory, self._level.uid)

    def accept(self, hello: dict[str, Any]) -> None:
        """See that it is as closed as the level promises."""
        if self._level.alone and (hello["pid"] != 1 or hello["interfaces"] not in ([], ["lo"])):
            raise SandboxError(f"The {self._level.name} sandbox is not closed: {hello}.")


def resource_limits(timeout: float, memory: int) -> dict[str, int]:
    """Limits that every home sets; CPU seconds exceed the wall's, so that the wall's are the ones that are met."""
    return {
        "CPU": math.ceil(timeout) + 2,
        "DATA": memory,
        "FSIZE": 1 << 26,
        "NOFILE": 256,
        "MSGQUEUE": 0,  # queues outlive their program, and not every namespace shows what is left
        "CORE": 0,
        "STACK": 1 << 26,
    }


class ProcessLink:
    """A supervisor's stdin and stdout; ``directory``, if it has one on the host, goes with it."""

    def __init__(
        self, command: list[str], directory: tempfile.TemporaryDirectory[str] | None, uid: int | None = None
    ) -> None:
        self._directory = directory
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the sandbox
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            bufsize=0,
            cwd="/" if directory is None else directory.name,
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            start_new_session=True,  # Ctrl-C is the harness's to deal with
            user=uid,
            group=uid,
            extra_groups=None if uid is None else (),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._out, selectors.EVENT_READ)

    def send(self, data: bytes) -> None:
        """Write to its stdin."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._in.write(rest) :]

    def receive(self, seconds: float) -> bytes:
        """Read from its stdout."""
        if not self._ready.select(seconds):
            raise TimeoutError("it does not answer")
        return self._out.read(1 << 18)

    def allow(self, memory: int) -> None:
        """Nothing is to be done: each process has its own limit."""

    def last_words(self) -> str:
        """Its stderr so far."""
        self._words.seek(0)
        return self._words.read().decode("utf-8", "replace")

    def kill(self) -> None:
        """Let the supervisor end what runs and itself, which it does when its stdin ends; else kill it."""
        if self._in.closed:
            return
        self._in.close()
        try:
            self._process.wait(timeout=4)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._ready.close()
        self._out.close()
        self._words.close()
        if self._directory is not None:
            remove(self._directory)


def remove(directory: tempfile.TemporaryDirectory[str]) -> None:
    """Remove a directory, in which a program may have made a tree deeper than Python can follow."""
    try:
        directory.cleanup()
    except RecursionError:
        subprocess.run(["rm", "-rf", "--", directory.name], check=False)  # noqa: S603, S607 - the system's own
