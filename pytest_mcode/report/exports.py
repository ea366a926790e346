"""What a run recorded, in the forms that other tools read: a line a sample, or a row an attempt.

Attempts are read while they are written, so that of a large run no more than a task is in memory.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, get_args, get_type_hints

from pytest_mcode._errors import StoreError, UsageError
from pytest_mcode._rows import AttemptRow
from pytest_mcode.report.words import plural
from pytest_mcode.spelling import visible
from pytest_mcode.store import Run

T = TypeVar("T")
#: Rows of Parquet that are written at once.
ROWS = 500
#: Tasks of HumanEval, and as set bits those of MBPP that EvalPlus judges, its MBPP+ v0.2.0.
HUMANEVAL = 164
MBPP_PLUS = int(
    "3fbf7df76befdeff3fbfd7f0000000000000000001aebf5ddddfdf7febf33fdfc000000000000000000ffd2dfede3bb7f7cf"
    "6706df0000000000000000001f63b74fff7ff7bbcb5ef4dc000000000001de700027ebff9d2b7fffff5adffef000000001f5"
    "bdc",
    16,
)
#: What a spreadsheet takes for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: Columns of attempts, and what each holds: those of the run's row, then the attempt's own.
OF_RUN = ("run_id", "benchmark", "model")
COLUMNS: Mapping[str, Any] = {**dict.fromkeys(OF_RUN, str), **get_type_hints(AttemptRow)}


@dataclass(frozen=True)
class Export:
    """What is to be written.

    Attributes:
        run: Its row.
        attempts: Its attempts, those of a task together and in order.
        first: Whether the first attempt of each sample is meant, not the last.
    """

    run: Run
    attempts: Iterator[AttemptRow]
    first: bool = False

    @property
    def is_of_patches(self) -> bool:
        """Whether its solutions are patches of repositories."""
        return self.run.benchmark.startswith("swebench")

    def samples(self) -> Iterator[AttemptRow]:
        """The attempt of each sample that is meant."""
        for _, attempts in groupby(self.attempts, attrgetter("task_id", "sample")):
            rows = list(attempts)
            yield rows[0 if self.first else -1]


def evalplus(export: Export, out: BinaryIO) -> str:
    """EvalPlus's ``samples.jsonl``; tasks that it expects and the run has not are filled up with empty solutions."""
    _refuse_patches(export, "evalplus")
    seen: set[str] = set()
    told = plural(_write_lines(_solutions(export, seen), out), "EvalPlus sample")
    missing = (task_id for task_id in expected(export.run.benchmark, seen) if task_id not in seen)
    padded = _write_lines(({"task_id": task_id, "solution": "", "padded": True} for task_id in missing), out)
    return told + (f", and an empty one for {plural(padded, 'task')} without," if padded else "")


def raw(export: Export, out: BinaryIO) -> str:
    """What the model wrote, as it came."""
    _refuse_patches(export, "raw")
    kind = export.run.versions.get("solutions_kind", "answer")
    told = ({**_named(row), "completion": row.completion, "kind": kind} for row in _answered(export))
    return plural(_write_lines(told, out), "completion")


def swebench(export: Export, out: BinaryIO) -> str:
    """SWE-bench's predictions, one an instance: its first sample's.

    Raises:
        UsageError: The run is of another benchmark.
    """
    if not export.is_of_patches:
        raise UsageError(f"Run {export.run.id} is of {export.run.benchmark}, which has no patches: use --format raw.")
    told = (
        {"instance_id": row.task_id, "model_name_or_path": export.run.model, "model_patch": row.solution or ""}
        for row in export.samples()
        if row.sample == 0
    )
    return plural(_write_lines(told, out), "SWE-bench prediction")


def as_jsonl(export: Export, out: BinaryIO) -> str:
    """A JSON object an attempt; the prompt is a list of turns."""
    rows = ({**row, "prompt": json.loads(row["prompt"] or "null")} for row in _rows(export))
    return f"{plural(_write_lines(rows, out), 'attempt')} as JSONL"


def as_csv(export: Export, out: BinaryIO) -> str:
    """A row an attempt, for spreadsheets: no text is a formula or moves a terminal."""
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
    writer = csv.DictWriter(text, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    number = _each(_rows(export), lambda row: writer.writerow({name: _cell(value) for name, value in row.items()}))
    text.detach()
    return f"{plural(number, 'attempt')} as CSV"


def parquet(export: Export, out: BinaryIO) -> str:
    """A row an attempt, each column with its type."""
    import pyarrow as arrow
    import pyarrow.parquet

    types = {str: arrow.string(), int: arrow.int64(), float: arrow.float64()}
    schema = arrow.schema([(name, types[(*get_args(kind), kind)[0]]) for name, kind in COLUMNS.items()])
    rows, number = _rows(export), 0
    with arrow.parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        while batch := list(islice(rows, ROWS)):
            writer.write_table(arrow.Table.from_pylist(batch, schema))
            number += len(batch)
    return f"{plural(number, 'attempt')} as Parquet"


#: What writes each form, and returns in words how much that was.
FORMATS: Mapping[str, Callable[[Export, BinaryIO], str]] = {
    "evalplus": evalplus,
    "raw": raw,
    "swebench": swebench,
    "csv": as_csv,
    "parquet": parquet,
    "jsonl": as_jsonl,
}


def _refuse_patches(export: Export, name: str) -> None:
    if export.is_of_patches:
        raise UsageError(f"Run {export.run.id} is of patches, and --format {name} of functions: use --format swebench.")


def _answered(export: Export) -> Iterator[AttemptRow]:
    """The samples that the model answered: those that met an error before tell nothing of it."""
    return (row for row in export.samples() if row.completion is not None)


def _named(row: AttemptRow) -> dict[str, Any]:
    """The fields that all lines of samples have; that an answer was cut tells which failure it was."""
    return {"task_id": row.task_id, **({"finish_reason": "length"} if row.finish_reason == "length" else {})}


def _solutions(export: Export, seen: set[str]) -> Iterator[Mapping[str, Any]]:
    for row in _answered(export):
        seen.add(row.task_id)
        yield {**_named(row), "solution": row.solution or ""}


def expected(benchmark: str, seen: Collection[str]) -> Iterator[str]:
    """The tasks that EvalPlus asserts to be there beside those of a benchmark that were seen."""
    if benchmark.startswith("humaneval") or any(task_id.startswith("HumanEval/") for task_id in seen):
        yield from (f"HumanEval/{number}" for number in range(HUMANEVAL))
    elif benchmark.startswith("mbpp") or any(task_id.startswith("Mbpp/") for task_id in seen):
        yield from (f"Mbpp/{number}" for number in range(MBPP_PLUS.bit_length()) if MBPP_PLUS >> number & 1)


def _rows(export: Export) -> Iterator[dict[str, Any]]:
    of_run = dict(zip(OF_RUN, (export.run.id, export.run.benchmark, export.run.model), strict=True))
    return ({**of_run, **row._asdict()} for row in export.attempts)


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _write_lines(rows: Iterator[Mapping[str, Any]], out: BinaryIO) -> int:
    """Write a line of JSON each; in ASCII: readers open it in whatever encoding they have."""
    return _each(rows, lambda row: out.write(json.dumps(row).encode() + b"\n"))


def _each(rows: Iterable[T], write: Callable[[T], object]) -> int:
    """Write each, and return how many they are."""
    number = 0
    for row in rows:
        write(row)
        number += 1
    return number


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file that is there when all of it is written, and else as it was before; gzipped if its name says so.

    Raises:
        StoreError: It cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    special = path.exists() and not path.is_file()  # a device or a pipe is written to, not replaced
    try:
        with path.open("wb") if special else part.open("xb") as file:
            if path.suffix == ".gz":
                with gzip.GzipFile(path.stem, "wb", fileobj=file, mtime=0) as zipped:
                    yield zipped  # type: ignore[misc]  # all that is asked of it is to write
            else:
                yield file
        if not special:
            part.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror or error}): name another with --out.") from error
    finally:
        part.unlink(missing_ok=True)
