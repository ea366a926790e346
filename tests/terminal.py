"""A terminal of so many columns: what a command draws on it, and what a user presses."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyte

CTRL_C = b"\x03"
#: Lines of the terminal: more than any command here writes, so that nothing leaves it.
ROWS = 300
SECONDS = 60.0
#: Makes stdin the terminal of its session, so that Ctrl-C reaches all processes, and becomes the command.
LAUNCH = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


@dataclass(frozen=True)
class Shown:
    """What was to be seen.

    Attributes:
        lines: The screen at the end, without the empty lines below.
        drawn: Each state of a line that was rewritten, in order.
        raw: All that was written, with its control sequences.
        status: The command's exit status.
    """

    lines: tuple[str, ...]
    drawn: tuple[str, ...]
    raw: str
    status: int

    @property
    def text(self) -> str:
        """The screen as one text."""
        return "\n".join(self.lines)


def shown(
    command: Sequence[str | Path],
    *,
    columns: int,
    place: Path,
    environment: Mapping[str, str],
    interrupt_at: str | None = None,
) -> Shown:
    """Run a command on a terminal; Ctrl-C is pressed once what was written matches ``interrupt_at``.

    Raises:
        TimeoutError: It did not end.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    variables = {**environment, "TERM": "xterm-256color"}
    words = [sys.executable, "-c", LAUNCH, *map(str, command)]
    with subprocess.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, cwd=place, env=variables, start_new_session=True
    ) as process:
        os.close(theirs)
        raw = _read(ours, interrupt_at, process)
    os.close(ours)
    screen = pyte.Screen(columns, ROWS)
    pyte.Stream(screen).feed(raw)
    lines = "\n".join(line.rstrip() for line in screen.display).rstrip("\n").split("\n")
    drawn = [re.sub(r"\x1b\[[\d;]*m", "", part).rstrip() for part in re.findall(r"\r([^\r\n]+)", raw)]
    return Shown(tuple(lines), tuple(drawn), raw, process.returncode)


def _read(terminal: int, interrupt_at: str | None, process: subprocess.Popen[bytes]) -> str:
    raw, deadline = b"", time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            read = os.read(terminal, 65536)
        except OSError:  # what Linux says when nobody has the terminal open any more
            return raw.decode()
        if not read:
            return raw.decode()
        raw += read
        if interrupt_at is not None and re.search(interrupt_at, raw.decode(errors="replace")):
            os.write(terminal, CTRL_C)
            interrupt_at = None
    process.kill()
    raise TimeoutError(f"the command did not end; it wrote {raw.decode(errors='replace')[-2000:]}")
