"""How Ollama fetches a model, as it goes on: a bar on a terminal, a line for each tenth anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from pytest_mcode._errors import ModelError, UsageError

#: Told of each step: what is done, and how many bytes are there, and of how many.
Show = Callable[[str, int, int], None]


def follow(model: str, steps: Iterable[Mapping[str, Any]]) -> None:
    """Show the steps of ``/api/pull`` on stderr until the model is there.

    Raises:
        UsageError: Ollama could not fetch it.
        ModelError: The steps end before the model is there.
    """
    layers: dict[str, tuple[int, int]] = {}
    with (bar if sys.stderr.isatty() else lines)(model) as show:
        for step in steps:
            if step.get("error"):
                raise UsageError(
                    f"Ollama could not fetch the model {model!r} ({step['error']}): see whether it is a name of "
                    f"https://ollama.com/library, and whether Ollama's machine has network and room for it."
                )
            status, total = str(step.get("status", "")), int(step.get("total") or 0)
            if total:
                layers[str(step.get("digest", ""))] = int(step.get("completed") or 0), total
            done, whole = (sum(numbers) for numbers in zip(*layers.values(), strict=True)) if layers else (0, 0)
            show(status, done, whole)
            if status == "success":
                return
    raise ModelError(f"Ollama stopped fetching {model!r} before it was there: run again, and it goes on from there.")


@contextmanager
def bar(model: str) -> Iterator[Show]:
    """A bar with size, speed and time left, which goes when all is done."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(None), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"pulling {model}", total=None)

        def show(_: str, done: int, whole: int) -> None:
            progress.update(task, completed=done, total=whole or None)

        yield show


@contextmanager
def lines(model: str) -> Iterator[Show]:
    """A line for each tenth of what is known to come, for a log."""
    told = 0

    def show(_: str, done: int, whole: int) -> None:
        nonlocal told
        tenths = 10 * done // whole if whole else 0
        if tenths > told:
            told = tenths
            sys.stderr.write(f"mcode: pulling {model}: {10 * tenths} % of {decimal(whole)}\n")
            sys.stderr.flush()

    yield show
