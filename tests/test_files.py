from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from pytest_mcode import _files
from pytest_mcode._errors import DataError

ROWS = [{"task_id": 1, "text": "add"}, {"task_id": 2, "text": "ünd\u2028"}]
LINES = '{"task_id": 1, "text": "add"}\r\n\n{"task_id": 2, "text": "ünd\u2028"}\n'
LIST = '\n[{"task_id": 1, "text": "add"},\n {"task_id": 2, "text": "ünd\u2028"}]'


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("rows.jsonl", LINES.encode()),
        ("rows.jsonl", LINES.encode("utf-8-sig")),
        ("rows.jsonl.gz", gzip.compress(LINES.encode())),
        ("rows.json", LIST.encode()),
        ("rows.json", LINES.encode()),
        ("rows.json.gz", gzip.compress(LIST.encode())),
        ("rows.jsonl", gzip.compress(LIST.encode())),
    ],
)
def test_json_is_read_in_every_form(tmp_path: Path, name: str, body: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(body)
    assert _files.read_rows(path) == ROWS


def test_parquet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.PARQUET"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    assert _files.read_rows(path) == ROWS


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("a.jsonl", b'{"a": 1}\n\n{"a": 2,}\n', "a.jsonl, line 3 is not JSON: "),
        ("a.jsonl", b'{"a": 1}\n2\n', "a.jsonl, row 2: a row must be a JSON object, but is int."),
        ("a.jsonl", b"[" * 100_000, "a.jsonl is not JSON: "),
        ("a.jsonl", b"{" + b'"a":{' * 100_000, "a.jsonl, line 1 is not JSON: "),
        ("a.json", b"[1, 2", "a.json is not JSON: "),
        ("a.json", b'["x"]', "a.json, row 1: a row must be a JSON object, but is str."),
        ("a.jsonl", b"\xff\xfe", "a.jsonl cannot be read: "),
        ("a.jsonl.gz", gzip.compress(b"{}" * 99)[:-9], "a.jsonl.gz cannot be read: "),
        ("a.jsonl.gz", gzip.compress(b"{}")[:-1] + b"\xff", "a.jsonl.gz cannot be read: "),
        ("a.jsonl.gz", b"\x1f\x8b\x08\x00" + b"\xff" * 30, "a.jsonl.gz cannot be read: "),
        ("a.parquet", b"PAR1 no more", "a.parquet cannot be read as Parquet: "),
        ("a.parquet", b"", "a.parquet cannot be read as Parquet: "),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused_by_name(
    tmp_path: Path, name: str, body: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(body)
    with pytest.raises(DataError) as caught:
        _files.read_rows(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path}/{said}")
    assert str(caught.value).endswith(".")


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"^There is no data file .*none\.jsonl: --mcode-data takes a JSON, JSONL\(\.gz"
    ):
        _files.existing(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match=r"^There is no data file"):
        _files.existing(str(tmp_path))


def test_a_file_in_the_home_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "rows.jsonl").touch()
    assert _files.existing("~/rows.jsonl") == tmp_path / "rows.jsonl"


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    path.write_bytes(b"old")
    _files.replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
