"""Starting the server in a process of its own, so that load tests do not share an interpreter with it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass
class Served:
    """Where it is, and, once it has ended, what it saw (``python -m tests.standin`` prints that)."""

    url: str
    summary: dict[str, Any] = field(default_factory=dict)


@contextmanager
def standin_process(script: Path, *arguments: str, seconds: float = 60.0) -> Iterator[Served]:
    """Serve the ``answer`` of a file until left, for at most that many seconds.

    Raises:
        RuntimeError: It did not start, or its script raised.
    """
    command = [sys.executable, "-m", "tests.standin", "--script", str(script), "--seconds", str(seconds), *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        served = Served(process.stdout.readline().strip())
        try:
            yield served
        finally:
            process.terminate()
            output, errors = process.communicate(timeout=5)
    if process.returncode != 0 or not served.url:
        raise RuntimeError(f"the stand-in's process ended with {process.returncode}: {errors.strip()[-500:]}")
    served.summary.update(json.loads(output))
