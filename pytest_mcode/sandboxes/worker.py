"""One warm sandbox, as the host sees it: a supervisor behind a link that carries bytes."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any, Protocol

from pytest_mcode._errors import SandboxError
from pytest_mcode._types import Execution
from pytest_mcode.sandboxes.inside import frames
from pytest_mcode.sandboxes.jobs import Job, seen
from pytest_mcode.sandboxes.sending import Place, opening

#: Bytes of the longest frame of an answer: two streams of each of two processes, and a traceback, 64 KiB each.
ANSWER = 1 << 19
#: Seconds that a supervisor may need to start, beyond a program's own to answer, and then to clean up after it.
START, GRACE, TIDY = 30.0, 5.0, 4.0

#: What is raised where a supervisor is gone, silent, or no supervisor.
FAULTS = (OSError, EOFError, ValueError, LookupError, TypeError, RecursionError, frames.BrokenFrameError)


class Link(Protocol):
    """Carries bytes to a supervisor and back."""

    def send(self, data: bytes) -> None:
        """Send all of ``data``; OSError where it cannot."""
        ...

    def receive(self, seconds: float) -> bytes:
        """What has come, waiting for at most ``seconds``; empty at the end, OSError (TimeoutError) otherwise."""
        ...

    def allow(self, memory: int) -> None:
        """Let all that runs in the sandbox use so many bytes together, if it allows less; OSError where it cannot."""
        ...

    def last_words(self) -> str:
        """What the supervisor or whoever started it wrote to its stderr."""
        ...

    def kill(self) -> None:
        """End the sandbox at once, whatever it does; a second time does nothing."""
        ...


class SandboxDiedError(SandboxError):
    """The sandbox ended, or stopped answering, while a program ran: perhaps because of the program."""


class Worker:
    """Runs one program at a time.

    Args:
        open_link: Starts the sandbox.
        place: What the supervisor finds there.

    Raises:
        SandboxError: It did not start.
    """

    def __init__(self, open_link: Callable[[], Link], place: Place) -> None:
        self._inbox = frames.Inbox(ANSWER)
        self._heard: list[bytes] = []
        self._link = open_link()
        self._allowed = 0
        self.programs = 0
        self.clean = True
        try:
            self._link.send(opening(place))
            self.hello = greeting(self._frame(time.monotonic() + START))
        except FAULTS as error:
            said = self._link.last_words().strip()[-300:] or repr(error)
            self.kill()
            raise SandboxError(
                f"The sandbox's Python did not start ({said}): it must be Python 3.8 or newer."
            ) from error

    def run(self, job: Job) -> Execution:
        """Execute a job's program.

        Raises:
            SandboxDiedError: There was no answer.
        """
        self.programs += 1
        self.clean = False
        try:
            if job.memory > self._allowed:
                self._link.allow(job.memory)
                self._allowed = job.memory
            self._link.send(job.data)
            until = time.monotonic() + job.timeout + GRACE
            execution = seen(self._frame(until), self._frame(until), job.mode)
        except FAULTS as error:
            why = str(error) or type(error).__name__
            raise SandboxDiedError(f"The sandbox died while a program ran in it ({why}).") from error
        with contextlib.suppress(*FAULTS):  # then it is not clean
            self.clean = json.loads(self._frame(time.monotonic() + TIDY))["clean"]
        return execution

    def kill(self) -> None:
        """End the sandbox."""
        self.clean = False
        self._link.kill()

    def _frame(self, until: float) -> bytes:
        while not self._heard:
            data = self._link.receive(max(0.0, until - time.monotonic()))
            if not data:
                raise EOFError("it closed its side")
            self._heard += self._inbox.feed(data)
        return self._heard.pop(0)


def greeting(frame: bytes) -> dict[str, Any]:
    """What a supervisor says of itself first.

    Raises:
        ValueError: It is not that.
    """
    told = json.loads(frame)
    if not isinstance(told, dict) or not {"pid", "python", "interfaces"} <= told.keys():
        raise ValueError("its first words are no greeting")
    return told
