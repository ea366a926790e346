from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from pytest_mcode._errors import DataError
from pytest_mcode.dataset import Rows, Source, fingerprint, open_rows

SOURCE = Source(
    hub="somebody/numbers",
    columns={"task_id": int, "text": str},
    id_format="No/{}",
    renamed={"prompt": "text"},
    splits={"test": (11, 19), "train": (21, 29)},
)
PLAIN = Source(hub="somebody/plain", columns={"task_id": str, "text": str})


def written(path: Path, *rows: object) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def numbered(*ids: int) -> list[dict[str, object]]:
    return [{"task_id": i, "text": f"t{i}", "unused": i} for i in ids]


def opened(source: Source, data: str | None, tmp_path: Path, split: str | None = None) -> Rows:
    return open_rows(source, split=split, data=data, cache=tmp_path / "cache")


def refusal(source: Source, data: str | None, tmp_path: Path, split: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        opened(source, data, tmp_path, split)
    return str(caught.value)


def test_the_rows_of_a_split_are_those_within_its_ids(tmp_path: Path) -> None:
    data = written(tmp_path / "a.jsonl", *numbered(10, 11, 21, 12, 19, 20, 29))
    test, train = opened(SOURCE, data, tmp_path), opened(SOURCE, data, tmp_path, "train")
    assert test.ids == ("No/11", "No/12", "No/19")
    assert [test[i] for i in range(3)] == [{"task_id": i, "text": f"t{i}"} for i in (11, 12, 19)]
    assert test.origin == f"{data}, split test"
    assert train.ids == ("No/21", "No/29")
    assert train[1] == {"task_id": 29, "text": "t29"}


def test_a_set_with_one_split_is_taken_as_it_is(tmp_path: Path) -> None:
    data = written(tmp_path / "a.jsonl", {"task_id": "b", "text": "x"}, {"task_id": "a", "text": "y"})
    rows = opened(PLAIN, data, tmp_path)
    assert rows.ids == ("b", "a")
    assert rows.origin == data


def test_a_column_of_the_original_release_is_known_by_either_name(tmp_path: Path) -> None:
    hub = opened(SOURCE, written(tmp_path / "a.jsonl", {"task_id": 11, "text": "x"}), tmp_path)
    original = opened(SOURCE, written(tmp_path / "b.jsonl", {"prompt": "x", "task_id": 11}), tmp_path)
    both = opened(SOURCE, written(tmp_path / "c.jsonl", {"text": "x", "prompt": "y", "task_id": 11}), tmp_path)
    assert hub[0] == original[0] == both[0] == {"task_id": 11, "text": "x"}
    assert hub.fingerprint == original.fingerprint == both.fingerprint


def test_the_fingerprint_is_of_the_content_that_is_used() -> None:
    row = {"task_id": 1, "text": "ü\ud800"}
    assert fingerprint([row]) == "52a03f564dffb0a6bc46a480a1c690d416ddb1d9f4d97c02dcc23d1613cc2169"


def test_the_fingerprint_ignores_other_columns_and_sees_every_row_and_their_order(tmp_path: Path) -> None:
    first, other, swapped, changed = (
        opened(SOURCE, written(tmp_path / f"{n}.jsonl", *rows), tmp_path).fingerprint
        for n, rows in enumerate(
            [
                numbered(11, 12),
                [{**row, "unused": None} for row in numbered(11, 12)],
                numbered(12, 11),
                [numbered(11)[0], {"task_id": 12, "text": "t"}],
            ]
        )
    )
    assert first == other
    assert len({first, swapped, changed}) == 3


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"task_id": 11}], ", row 1: there is no column 'text'; it must have task_id, text."),
        ([*numbered(11), {"text": ""}], ", row 2: there is no column 'task_id'; it must have task_id, text."),
        ([{"task_id": "11", "text": ""}], ", row 1: column 'task_id' must be of type int, but is str."),
        ([{"task_id": 11, "text": None}], ", row 1: column 'text' must be of type str, but is NoneType."),
        (numbered(1, 2), " holds no task of split 'test': is it the right file?"),
        ([], " holds no task of split 'test': is it the right file?"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_row_and_column(tmp_path: Path, rows: list[object], said: str) -> None:
    data = written(tmp_path / "a.jsonl", *rows)
    assert refusal(SOURCE, data, tmp_path) == data + said


def test_a_task_id_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    data = written(tmp_path / "a.jsonl", *numbered(11, 12, 11))
    assert refusal(SOURCE, data, tmp_path) == (
        f"Task id 'No/11' is there twice in {data}, split test: ids must be unique."
    )


def test_a_split_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    assert refusal(SOURCE, None, tmp_path, "trian") == (
        "There is no split 'trian' of somebody/numbers (did you mean 'train'?): choose one of test, train."
    )
    assert refusal(PLAIN, None, tmp_path, "x") == "There is no split 'x' of somebody/plain: choose one of test."


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refusal(SOURCE, "none.jsonl", tmp_path).startswith("There is no data file none.jsonl")


def test_a_file_shipped_with_a_benchmark_needs_no_option(tmp_path: Path) -> None:
    written(tmp_path / "own.jsonl", {"task_id": "a", "text": "x"})
    own = dataclasses.replace(PLAIN, hub=tmp_path / "own.jsonl")
    assert opened(own, None, tmp_path).ids == ("a",)
    other = written(tmp_path / "b.jsonl", {"task_id": "b", "text": "x"})
    assert opened(own, other, tmp_path).ids == ("b",)


def test_an_edited_file_is_loaded_again(tmp_path: Path) -> None:
    data = written(tmp_path / "a.jsonl", *numbered(11))
    assert opened(SOURCE, data, tmp_path).ids == ("No/11",)
    written(tmp_path / "a.jsonl", *numbered(12))
    os.utime(data, ns=(1, 1))
    assert opened(SOURCE, data, tmp_path).ids == ("No/12",)


def test_what_is_prepared_is_read_without_a_lock(tmp_path: Path) -> None:
    data = written(tmp_path / "a.jsonl", *numbered(11))
    opened(SOURCE, data, tmp_path)
    before = sorted((tmp_path / "cache" / "datasets").iterdir())
    for lock in (tmp_path / "cache" / "datasets").glob("*.lock"):
        lock.unlink()
    assert opened(SOURCE, data, tmp_path).ids == ("No/11",)
    assert sorted((tmp_path / "cache" / "datasets").iterdir()) == [p for p in before if p.suffix != ".lock"]


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
@pytest.mark.parametrize("damage", [b"", b"{"])
def test_a_damaged_cache_is_made_again(tmp_path: Path, suffix: str, damage: bytes) -> None:
    data = written(tmp_path / "a.jsonl", *numbered(11))
    opened(SOURCE, data, tmp_path)
    [entry] = (tmp_path / "cache" / "datasets").glob(f"*{suffix}")
    entry.write_bytes(damage)
    assert opened(SOURCE, data, tmp_path)[0] == {"task_id": 11, "text": "t11"}
    entry.unlink()
    assert opened(SOURCE, data, tmp_path)[0] == {"task_id": 11, "text": "t11"}


def test_a_cache_that_goes_away_meanwhile_is_told(tmp_path: Path) -> None:
    rows = opened(SOURCE, written(tmp_path / "a.jsonl", *numbered(11)), tmp_path)
    rows.file.write_bytes(b"gone")
    with pytest.raises(DataError, match=r"^The data set cache .* was changed meanwhile \(.*\): run again\.$"):
        rows[0]
    rows.file.unlink()
    with pytest.raises(DataError, match=r"was changed meanwhile"):
        rows[0]


def test_a_cache_that_cannot_be_written_is_told_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    told = refusal(SOURCE, written(tmp_path / "a.jsonl", *numbered(11)), tmp_path)
    assert told.startswith(f"The data set cache {tmp_path}/cache/datasets cannot be used: ")
    assert told.endswith("Set MCODE_CACHE_DIR to a directory that can.")


def test_rows_may_hold_what_no_file_can(tmp_path: Path) -> None:
    data = written(tmp_path / "a.jsonl", {"task_id": "a", "text": "lone \ud800, null \x00, line \u2028 end\r\n"})
    assert opened(PLAIN, data, tmp_path)[0]["text"] == "lone \ud800, null \x00, line \u2028 end\r\n"
