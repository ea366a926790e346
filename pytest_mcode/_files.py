"""Local files of rows: JSON, JSONL, either gzipped, and Parquet; and the lock around preparing them."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_mcode._errors import DataError

GZIP = b"\x1f\x8b"


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a file lock, so that of many processes one prepares and the others wait."""
    import filelock

    with filelock.FileLock(path):
        yield


def replace(path: Path, content: bytes) -> None:
    """Write a file that is either whole or not there; only for the holder of a lock."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def existing(name: str | Path) -> Path:
    """The file of that name.

    Raises:
        DataError: There is none.
    """
    path = Path(name).expanduser()
    try:
        there = path.is_file()
    except OSError:  # the name is too long, or a directory on the way to it is closed
        there = False
    if not there:
        raise DataError(f"There is no data file {name}: --mcode-data takes a JSON, JSONL(.gz) or Parquet file.")
    return path


def read_rows(path: Path) -> list[Mapping[str, Any]]:
    """Read every row of a file: Parquet by its name, else a JSON list or one JSON object a line, gzipped or not.

    Raises:
        DataError: It is none of these; the message has the line where there are lines.
    """
    if path.suffix.lower() == ".parquet":
        return parquet(path)
    text = read_text(path)
    rows = whole(path, text) if text.lstrip().startswith("[") else lines(path, text)
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise DataError(f"{path}, row {number}: a row must be a JSON object, but is {type(row).__name__}.")
    return rows


def read_text(path: Path) -> str:
    """The text of a file, which may be gzipped and begin with a byte order mark."""
    try:
        body = path.read_bytes()
        return (gzip.decompress(body) if body.startswith(GZIP) else body).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error


def whole(path: Path, text: str) -> list[Any]:
    """The rows of a file that is one JSON list."""
    try:
        rows: list[Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}.") from error
    return rows


def lines(path: Path, text: str) -> list[Any]:
    """The rows of a file with one JSON object a line."""
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path}, line {number} is not JSON: {error}.") from error
    return rows


def parquet(path: Path) -> list[Mapping[str, Any]]:
    """The rows of a Parquet file."""
    import pyarrow
    import pyarrow.parquet

    try:
        rows: list[Mapping[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    except (OSError, ValueError, OverflowError, pyarrow.ArrowException) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}.") from error
    return rows
