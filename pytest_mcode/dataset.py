"""The only loader of data sets: from the hub through Hugging Face `datasets`, or from a local file, into a cache.

The cache is one JSON row a line beside an index of ids and offsets, so that whoever needs tasks next, xdist workers
above all, reads the row it wants and imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from pytest_mcode import _files, _hub
from pytest_mcode._errors import DataError
from pytest_mcode._parse import nearest

#: Raised by one when a cache entry is laid out otherwise.
FORMAT = 1
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """Where a benchmark's rows come from and what they must look like.

    Attributes:
        hub: Name on the Hugging Face hub, or path of a file that is shipped with the benchmark.
        columns: Each column that is needed, and its type; the fingerprint covers these and no others.
        config: The hub's configuration name, where the set has several.
        split: The split that the benchmark proper is.
        id_format: From the row's ``task_id`` to the task id that is shown.
        renamed: From the column names of the original release to those of the hub.
        splits: For each split the ids it holds, first and last, for files that hold all of them.
        published: Known fingerprints, and what each one is.
        other_splits: Further splits that the hub has.
    """

    hub: str | Path
    columns: Mapping[str, type]
    config: str | None = None
    split: str = "test"
    id_format: str = "{}"
    renamed: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    published: Mapping[str, str] = field(default_factory=dict)
    other_splits: tuple[str, ...] = ()

    @property
    def splits_known(self) -> tuple[str, ...]:
        """The splits that can be asked for."""
        return tuple(self.splits) or (self.split, *self.other_splits)


@dataclass(frozen=True)
class Rows:
    """Prepared rows of one split: ids in order, rows read on demand.

    Attributes:
        ids: Task ids in the data set's order.
        fingerprint: SHA-256 (hex) over the canonical content of the needed columns of all rows.
        origin: Where the rows came from.
        offsets: Byte offset of each row in ``file``.
        file: The cache's JSONL file.
    """

    ids: tuple[str, ...]
    fingerprint: str
    origin: str
    offsets: tuple[int, ...]
    file: Path

    def __getitem__(self, index: int) -> Row:
        """Read one row.

        Raises:
            DataError: The cache was changed or removed meanwhile.
        """
        try:
            with self.file.open("rb") as lines:
                lines.seek(self.offsets[index])
                row: Row = json.loads(lines.readline())
        except (OSError, ValueError) as error:
            raise DataError(f"The data set cache {self.file} was changed meanwhile ({error}): run again.") from error
        return row


def open_rows(source: Source, *, split: str | None, data: str | None, cache: Path) -> Rows:
    """Return the rows of a split, loading them first if nobody did before; safe to call from many processes.

    Raises:
        DataError: They cannot be had, or are not what the source says; the message says what to do.
    """
    split = split or source.split
    known = source.splits_known
    if split not in known:
        near = nearest(split, known)
        raise DataError(f"There is no split {split!r} of {source.hub}{near}: choose one of {', '.join(known)}.")
    local = data or (source.hub if isinstance(source.hub, Path) else None)
    file = None if local is None else _files.existing(local)
    index = cache / "datasets" / f"{cache_key(source, split, file)}.json"
    try:
        prepared = read_cache(index)
        if prepared is not None:
            return prepared
        index.parent.mkdir(parents=True, exist_ok=True)
        with _files.lock(index.with_suffix(".lock")):
            return read_cache(index) or prepare(index, source, split, file)
    except OSError as error:
        raise DataError(
            f"The data set cache {index.parent} cannot be used: {error}. Set MCODE_CACHE_DIR to a directory that can."
        ) from error


def cache_key(source: Source, split: str, file: Path | None) -> str:
    """Name the cache entry: a local file's by its size and time too, so that an edited file is loaded again."""
    columns = sorted((name, kind.__name__) for name, kind in source.columns.items())
    renamed, bounds = sorted(source.renamed.items()), source.splits.get(split)
    parts: list[Any] = [FORMAT, str(source.hub), source.config, split, columns, renamed, bounds, source.id_format]
    if file is not None:
        stat = file.stat()
        parts += [str(file.resolve()), stat.st_size, stat.st_mtime_ns]
    name = Path(str(source.hub)).name.lower()
    return f"{name}-{split}-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}"


def prepare(index: Path, source: Source, split: str, file: Path | None) -> Rows:
    """Load the split, write the cache entry, and read it."""
    rows, origin = load(source, split, file)
    ids = [source.id_format.format(row["task_id"]) for row in rows]
    require_unique(ids, origin)
    lines = [written(row, task_id, origin) for task_id, row in zip(ids, rows, strict=True)]
    *offsets, size = accumulate(map(len, lines), initial=0)
    about = {"ids": ids, "fingerprint": fingerprint(rows), "origin": origin, "offsets": offsets, "size": size}
    _files.replace(index.with_suffix(".jsonl"), b"".join(lines))
    _files.replace(index, json.dumps(about).encode())  # last: its presence says that all is there
    found = read_cache(index)
    assert found is not None
    return found


def written(row: Row, task_id: str, origin: str) -> bytes:
    """A row as the cache holds it.

    Raises:
        DataError: It holds what JSON cannot, as a row of Parquet may.
    """
    try:
        return json.dumps(row).encode() + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"{origin}: the row of task {task_id} holds a value that JSON does not have ({error})."
        ) from error


def read_cache(index: Path) -> Rows | None:
    """A cache entry; None if there is none, or it is damaged and must be made again."""
    file = index.with_suffix(".jsonl")
    try:
        about = json.loads(index.read_bytes())
        if file.stat().st_size != about["size"]:
            return None
        found = Rows(tuple(about["ids"]), about["fingerprint"], about["origin"], tuple(about["offsets"]), file)
    except (FileNotFoundError, ValueError, LookupError, TypeError, RecursionError):
        return None
    texts = (*found.ids, found.fingerprint, found.origin)
    whole = [type(text) for text in texts] == [str] * len(texts) and len(found.offsets) == len(found.ids) > 0
    return found if whole and all(type(at) is int and 0 <= at < about["size"] for at in found.offsets) else None


def load(source: Source, split: str, file: Path | None) -> tuple[list[dict[str, Any]], str]:
    """Load the split's rows, reduced to the needed columns, and say where they came from."""
    if file is None:
        raw, origin = _hub.load(str(source.hub), source.config, split), f"{source.hub}, {source.config or 'default'}"
    else:
        raw, origin = _files.read_rows(file), str(file)
    rows = [normal(source, row, f"{origin}, row {number}") for number, row in enumerate(raw, 1)]
    if split in source.splits:
        first, last = source.splits[split]
        rows = [row for row in rows if first <= row["task_id"] <= last]
    if not rows:
        raise DataError(f"{origin} holds no task of split {split!r}: is it the right file?")
    return rows, f"{origin}, split {split}" if len(source.splits_known) > 1 else origin


def normal(source: Source, row: Row, where: str) -> dict[str, Any]:
    """One row with exactly the needed columns, under the hub's names."""
    named = {new: row[old] for old, new in source.renamed.items() if old in row} | dict(row)
    for column, kind in source.columns.items():
        if column not in named:
            raise DataError(f"{where}: there is no column {column!r}; it must have {', '.join(source.columns)}.")
        if not isinstance(named[column], kind):
            found = type(named[column]).__name__
            raise DataError(f"{where}: column {column!r} must be of type {kind.__name__}, but is {found}.")
    return {column: named[column] for column in source.columns}


def require_unique(ids: Sequence[str], origin: str) -> None:
    """Refuse ids that are there twice: a task is known by its id alone.

    Raises:
        DataError: One is.
    """
    twice = next((task_id for task_id, times in Counter(ids).items() if times > 1), None)
    if twice is not None:
        raise DataError(f"Task id {twice!r} is there twice in {origin}: ids must be unique.")


def fingerprint(rows: Sequence[Mapping[str, Any]]) -> str:
    """SHA-256 over the rows' canonical JSON, one a line, keys sorted: the same content gives the same digest."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    return digest.hexdigest()
