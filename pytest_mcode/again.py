"""Starting a run again from its row alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mcode._errors import UsageError
from pytest_mcode._option import Option
from pytest_mcode.settings import IMPORTED, OPTIONS

if TYPE_CHECKING:
    from pytest_mcode.store import Run

#: Options of how a session was started and what was asked of its figures, which the next one decides anew.
OF_A_SESSION = (
    *("bench", "resume", "run-id", "pull", "db", "shard-count", "shard-index"),
    *(o.name for o in OPTIONS if o.group == "gates"),
)


def command(run: Run, replaced: Collection[str]) -> list[str]:
    """The words after ``mcode`` that run the same benchmark with the same options: those that were not the default.

    Args:
        run: Its row.
        replaced: Names of options that are given anew.

    Raises:
        UsageError: The module of the benchmark is not there any more.
    """
    file = run.versions.get("file", "")
    if file and not Path(file).is_file():
        raise UsageError(f"Run {run.id} is of the benchmark {run.benchmark} in {file}, which is not there any more.")
    return ["bench", run.benchmark, *([file] if file else []), *_flags(run, {*OF_A_SESSION, *replaced})]


def _flags(run: Run, without: Collection[str]) -> Iterator[str]:
    for opt in OPTIONS:
        value = run.config.get(opt.name, opt.default)
        if opt.name in without or value in (opt.default, IMPORTED, []):
            continue
        yield from [f"--{opt.name}"] if opt.is_switch else [f"--{opt.name}", _text(opt, value)]


def _text(opt: Option, value: Any) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return f"{value:g}" if opt.kind == "float" and float(f"{value:g}") == value else str(value)
