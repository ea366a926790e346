"""Patches in the form that SWE-bench's tools exchange: ``{"instance_id", "model_name_or_path", "model_patch"}``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_mcode._errors import DataError
from pytest_mcode._rows import AttemptRow

#: What each row must have; the patch may be null, which is none.
COLUMNS = ("instance_id", "model_name_or_path", "model_patch")


def written(attempts: Iterable[AttemptRow], model: str, tasks: Iterable[str] = ()) -> Iterator[dict[str, str]]:
    """The prediction of each task, in the order of the ids: the last attempt's patch of its first sample.

    SWE-bench scores one patch a task. A sample that was drawn after another had failed would need the tests that judge
    to be chosen, so the first one it is.

    Args:
        attempts: Of one run, in any order.
        model: The run's model.
        tasks: Ids of tasks that are to be there even without an attempt: their patch is empty.
    """
    last: dict[str, AttemptRow] = {}
    for row in attempts:
        if row.sample == 0 and (row.task_id not in last or row.attempt > last[row.task_id].attempt):
            last[row.task_id] = row
    for task in sorted({*last, *tasks}):
        patch = last[task].solution if task in last else None
        yield {"instance_id": task, "model_name_or_path": model, "model_patch": patch or ""}


def read(path: Path) -> dict[str, str]:
    """The patch of each instance of a file of predictions; an empty one is none.

    Takes JSONL, a JSON list, and a JSON object by instance, as swebench itself does.

    Raises:
        DataError: The file cannot be read, or is not of that form.
    """
    found: dict[str, str] = {}
    for number, row in enumerate(_rows(path), 1):
        where = f"{path}, prediction {number}"
        if not isinstance(row, dict) or not isinstance(row.get("instance_id"), str):
            raise DataError(f"{where}: it must be an object with instance_id, model_name_or_path and model_patch.")
        name, patch = row["instance_id"], row.get("model_patch")
        if patch is not None and not isinstance(patch, str):
            raise DataError(f"{where}: model_patch of {name} must be a text or null, not {type(patch).__name__}.")
        if name in found:
            raise DataError(f"{where}: {name} is there twice; a file of predictions has one patch an instance.")
        found[name] = patch or ""
    if not found:
        raise DataError(f"{path} holds no prediction: each line must be an object with {', '.join(COLUMNS)}.")
    return found


def _rows(path: Path) -> list[Any]:
    """The rows of a file, whichever of the forms it has."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The predictions {path} cannot be read ({error}).") from error
    try:
        whole = json.loads(text)
    except ValueError:
        return _lines(path, text)
    if isinstance(whole, Mapping):
        return [whole] if "instance_id" in whole else list(whole.values())
    return whole if isinstance(whole, list) else [whole]


def _lines(path: Path, text: str) -> list[Any]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise DataError(f"{path}, line {number}, is not JSON ({error}).") from error
    return rows
