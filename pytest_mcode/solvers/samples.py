"""Reading the samples that other tools write: JSONL, gzipped or not, or a directory of programs as EvalPlus writes it.

A file is read line by line. Whatever is wrong with it is a `DataError` that names the file and the line.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_mcode import _files
from pytest_mcode._errors import DataError
from pytest_mcode._types import Completion
from pytest_mcode.settings import IMPORTED
from pytest_mcode.solvers.given import Drawn, Kind, Origin, unknown

#: The fields that may hold a sample's text, the first of a line that has several; and what they hold.
TEXTS = {"solution": Kind.SOLUTION, "model_patch": Kind.SOLUTION, "completion": Kind.COMPLETION}
#: The fields that may name its task.
IDS = ("task_id", "instance_id")
#: Suffixes that are no part of a model's name.
SUFFIXES = (".gz", ".jsonl", ".json", ".raw")


@dataclass(frozen=True)
class Known:
    """The tasks that samples may be of.

    Attributes:
        benchmark: Its name.
        ids: Its task ids; None where they are not known yet.
    """

    benchmark: str
    ids: Collection[str] | None

    def named(self, text: str, place: str) -> str:
        """The task of that id, which may lack what stands before the slash: 11 is Mbpp/11.

        Raises:
            DataError: There is none.
        """
        if self.ids is None or text in self.ids:
            return text
        ends = [task_id for task_id in self.ids if task_id.rpartition("/")[2] == text]
        if len(ends) != 1:
            raise DataError(unknown(place, text, self.benchmark, self.ids))
        return ends[0]


def origin(path: Path) -> Origin:
    """What is known of a file or directory of samples before it is read to its end.

    Raises:
        DataError: It is not there, or its first line is no sample.
    """
    if path.is_dir():
        return Origin(Kind.SOLUTION, path.name, IMPORTED, {}, {}, str(path))
    first = next(_rows(path), None)
    if first is None:
        raise DataError(f"{path} is empty: it must hold a JSON object a line, with 'task_id' and 'solution'.")
    place, row = first
    kind, _ = _text(row, place)
    named = row.get("model_name_or_path")
    model = named if isinstance(named, str) and named else _stem(path)
    return Origin(kind, model, IMPORTED, {}, {"solutions_sha256": _sha256(path)}, str(path))


def read(path: Path, kind: Kind, known: Known) -> Iterator[Drawn]:
    """The samples of a file, which are all of one kind, or of a directory, in order.

    Raises:
        DataError: A line is no sample, of another kind than the first, or of no task of the benchmark.
    """
    if path.is_dir():
        yield from _programs(path, known)
        return
    for place, row in _rows(path):
        found, text = _text(row, place)
        if found is not kind:
            raise DataError(
                f"{place} holds {_a(found)}, and the first line {_a(kind)}: a file holds one kind, so cut it in two."
            )
        if row.get("padded") is not True:  # an export fills up what was not run
            finish = row.get("finish_reason")
            completion = Completion(text, finish_reason=finish if isinstance(finish, str) else None)
            yield Drawn(known.named(_task_id(row, place), place), (completion,), place)


def _a(kind: Kind) -> str:
    return f"{'an' if kind is Kind.ANSWER else 'a'} {kind}"


def _text(row: Mapping[str, Any], place: str) -> tuple[Kind, str]:
    """What a line holds, and the kind of it."""
    if "attempt" in row:
        raise DataError(f"{place} is an attempt of a run: export its samples with --format evalplus or raw instead.")
    name = next((name for name in TEXTS if name in row), None)
    if name is None:
        raise DataError(f"{place} has neither a field 'solution' nor 'completion'; it has {_names(row)}.")
    if not isinstance(row[name], str):
        raise DataError(
            f"{place}: the field {name!r} must be a text, but is {type(row[name]).__name__}: "
            f"several samples of a task are a line each."
        )
    said = row.get("kind")  # an export says more than the field's name
    return Kind(said) if name == "completion" and said in list(Kind) else TEXTS[name], row[name]


def _task_id(row: Mapping[str, Any], place: str) -> str:
    name = next((name for name in IDS if name in row), None)
    if name is None:
        raise DataError(f"{place} has no field 'task_id'; it has {_names(row)}.")
    if isinstance(row[name], bool) or not isinstance(row[name], str | int):
        raise DataError(f"{place}: the field {name!r} must be a text, but is {type(row[name]).__name__}.")
    return str(row[name])


def _names(row: Mapping[str, Any]) -> str:
    return ", ".join(repr(name) for name in list(row)[:8]) or "none"


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects of a file, each with its place in words; empty lines do not count."""
    try:
        with path.open("rb") as file:
            zipped = file.read(len(_files.GZIP)) == _files.GZIP
        with gzip.open(path) if zipped else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    place = f"{path}, line {number}"
                    yield place, _row(line, place)
    except FileNotFoundError:
        raise DataError(f"There is no file {path}: name one with samples, a JSON object a line.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error


def _row(line: bytes, place: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line.decode("utf-8-sig").strip())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place} is not JSON: {error}.") from error
    if not isinstance(row, dict):
        raise DataError(f"{place} must be a JSON object, but is {type(row).__name__}.")
    return row


def _programs(path: Path, known: Known) -> Iterator[Drawn]:
    """The programs of a directory: ``HumanEval_0/0.py`` is the first sample of HumanEval/0."""
    for folder in sorted(place for place in path.iterdir() if place.is_dir()):
        files = sorted(folder.glob("*.py"), key=lambda file: (len(file.name), file.name))
        for file in files:
            if not file.stem.isdecimal():
                raise DataError(f"{file} must be named by the number of its sample: {folder.name}/0.py.")
            try:
                text = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise DataError(f"{file} cannot be read: {error}.") from error
            yield Drawn(known.named(folder.name.replace("_", "/"), str(file)), (Completion(text),), str(file))


def _stem(path: Path) -> str:
    name = path.name
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name or path.name


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
