"""One warm sandbox, as the host sees it: a supervisor behind a link that carries bytes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Protocol

from pytest_mcode._errors import SandboxError
from pytest_mcode._types import Execution, Mode
from pytest_mcode.sandboxes.inside import frames
from pytest_mcode.sandboxes.sending import Place, opening

#: Bytes of the longest answer; two streams and a traceback, each byte of which JSON may spell with six.
ANSWER = 1 << 21
#: Seconds that a supervisor may need to start, and beyond a program's own to clean up after it.
START, GRACE = 30.0, 8.0


class Link(Protocol):
    """Carries bytes to a supervisor and back."""

    def send(self, data: bytes) -> None:
        """Send all of ``data``; OSError where it cannot."""
        ...

    def receive(self, seconds: float) -> bytes:
        """What has come, waiting for at most ``seconds``; empty at the end, OSError (TimeoutError) otherwise."""
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
        self._link = open_link()
        self.programs = 0
        self.clean = True
        try:
            self._link.send(opening(place))
            self.hello = self._answer(START)
        except (OSError, EOFError, ValueError, frames.BrokenFrameError) as error:
            said = self._link.last_words().strip()[-300:] or repr(error)
            self.kill()
            raise SandboxError(
                f"The sandbox's Python did not start ({said}): it must be Python 3.8 or newer."
            ) from error

    def run(self, job: dict[str, Any]) -> Execution | None:
        """Execute a job's program; None where its tests pass to the solution what cannot cross between processes.

        Raises:
            SandboxDiedError: There was no answer.
        """
        self.programs += 1
        self.clean = False
        try:
            self._link.send(frames.pack_json(job))
            answer = self._answer(job["timeout"] + GRACE)
        except (OSError, EOFError, ValueError, frames.BrokenFrameError) as error:
            self.kill()
            why = str(error) or type(error).__name__
            raise SandboxDiedError(f"The sandbox died while a program ran in it ({why}).") from error
        self.clean = answer["clean"]
        return None if answer["end"] == "unfit" else seen(answer, Mode(job["mode"]))

    def kill(self) -> None:
        """End the sandbox."""
        self.clean = False
        self._link.kill()

    def _answer(self, seconds: float) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while True:
            data = self._link.receive(max(0.0, until - time.monotonic()))
            if not data:
                raise EOFError("it closed its side")
            for body in self._inbox.feed(data):
                answer: dict[str, Any] = json.loads(body)
                return answer


def seen(answer: dict[str, Any], mode: Mode) -> Execution:
    """From a supervisor's answer to an execution; why a program was stopped is the last line of its stderr."""
    stderr = answer["stderr"] + answer["traceback"]
    if answer["out_of_memory"]:
        stderr += "\nKilled: the program used more memory than it may."
    elif answer["end"] == "output":
        stderr += "\nStopped: the program wrote more output than it may."
    return Execution(
        passed=answer["end"] == "passed",
        timed_out=answer["end"] == "timeout",
        phase=answer["phase"],
        exit_code=answer["exit_code"],
        stdout=answer["stdout"],
        stderr=stderr,
        seconds=answer["seconds"],
        mode=mode,
    )
