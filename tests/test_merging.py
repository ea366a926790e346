"""Bringing the databases of shards together, and telling what is missing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pytest_mcode.cli import main
from pytest_mcode.store import Run, Shard, Store
from tests import postgres
from tests.test_shards import Start, sql, start, told
from tests.test_store import NOT_JUDGED, RUN, SOLVED

__all__ = ["start"]

CONFIG = {"samples": 3, "debug-iters": 1, "all-samples": False, "timeout": 60.0, "shard-count": 3, "limit": None}
WHOLE = replace(RUN, config=CONFIG, planned=7)
IDS = [f"t/{number}" for number in range(7)]


def shard_of(index: int) -> Shard:
    return Shard(index, 3, len(IDS[index::3]), 7, f"s{index}", f"2025-01-0{index + 1}")


def write(path: Path, index: int, *, leave_out: int = 0, run: Run = WHOLE, seconds: float = 4.5) -> str:
    """A database of one shard; the last tasks of it may be left out."""
    with closing(Store(str(path))) as store:
        ids = IDS[index::3]
        store.begin(replace(run, started_at=f"2025-01-0{index + 1}"), shard_of(index), tasks=ids)
        store.enter(run.id, f"host{index}", "1", index)
        for task_id in ids[: len(ids) - leave_out]:
            store.put(run.id, replace(SOLVED, task_id=task_id, seconds=seconds))
        if not leave_out:
            store.finish(run.id)
        store.leave(run.id)
    return str(path)


Quick = Callable[..., Result]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Quick:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MCODE_DB", raising=False)
    (tmp_path / "shards").mkdir()
    return lambda *words: CliRunner().invoke(main, words, prog_name="mcode")


@pytest.fixture(params=["sqlite", "postgresql"])
def out(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "all.db")
    server: postgres.Server = request.getfixturevalue("postgresql")
    return server.new()


ROWS = {
    "runs": "SELECT id, planned, finished_at IS NULL, config FROM runs",
    "shards": "SELECT shard, planned, tasks, finished_at IS NULL FROM shards ORDER BY shard",
    "results": "SELECT task_id, shard, status, verdicts, seconds FROM results ORDER BY task_id",
    "attempts": "SELECT task_id, sample, attempt, prompt, solution, stderr FROM attempts ORDER BY 1, 2, 3",
    "sessions": "SELECT session, host, shard, ended_at IS NULL FROM sessions ORDER BY session",
}


def rows(address: str) -> dict[str, list[Any]]:
    return {table: sql(address, query) for table, query in ROWS.items()}


def test_shards_are_brought_together_and_again_without_a_change(quick: Quick, out: str, tmp_path: Path) -> None:
    for index in range(3):
        write(tmp_path / "shards" / f"{index}.db", index)
    merged = quick("merge", out, "shards")
    assert (merged.exit_code, merged.output) == (0, "run r1: 7 of 7 tasks, 3 of 3 shards\n")
    found = rows(out)
    assert [row[:3] for row in found["runs"]] == [("r1", 7, 0)]
    assert found["shards"][1] == (1, 2, '["t/1", "t/4"]', 0)
    assert [row[:2] for row in found["results"]] == [(task_id, int(task_id[2:]) % 3) for task_id in IDS]
    assert len(found["attempts"]) == 21
    assert found["sessions"] == [(index, f"host{index}", index, 0) for index in range(3)]
    assert quick("merge", out, "shards").exit_code == 0
    assert rows(out) == found
    assert quick("merge", out, out, "shards/*.db").exit_code == 0
    assert rows(out) == found


def test_a_directory_of_shards_and_what_was_merged_of_it_have_the_same_figures(
    quick: Quick, out: str, tmp_path: Path
) -> None:
    for index in range(3):
        write(tmp_path / "shards" / f"{index}.db", index, leave_out=index == 1)
    quick("merge", out, "shards")
    apart, together = (json.loads(quick("results", "--json", "--db", place).output) for place in ("shards", out))
    assert apart[0]["recorded"] == 6
    for found in (apart, together):
        found[0]["run"]["config"].pop("shard-index", None)
    assert apart == together
    tables = [quick("results", "--db", place).output for place in ("shards", out)]
    assert "6/6 of 7" in tables[0]
    assert tables[0] == tables[1]


def test_what_is_missing_is_told_and_comes_with_the_shard_that_went_on(quick: Quick, out: str, tmp_path: Path) -> None:
    write(tmp_path / "shards" / "0.db", 0, leave_out=2)
    write(tmp_path / "shards" / "2.db", 2)
    told_of = "run r1: 3 of 7 tasks, 2 of 3 shards\n  not begun: shard 1, with 2 tasks\n  missing: t/3, t/6\n"
    merged = quick("merge", out, "shards")
    assert (merged.exit_code, merged.output) == (1, told_of)
    assert sql(out, "SELECT planned, finished_at IS NULL FROM runs") == [(7, 1)]
    for index in (0, 1):
        (tmp_path / "shards" / f"{index}.db").unlink(missing_ok=True)
        write(tmp_path / "shards" / f"{index}.db", index)
    assert quick("merge", out, "shards").output == "run r1: 7 of 7 tasks, 3 of 3 shards\n"
    assert sql(out, "SELECT planned, finished_at IS NULL FROM runs") == [(7, 0)]


def test_checking_writes_nothing(quick: Quick, out: str, tmp_path: Path) -> None:
    write(tmp_path / "shards" / "0.db", 0, leave_out=1)
    if postgres.is_server(out):
        Store(out).close()
    checked = quick("merge", "--check", out, "shards")
    assert (checked.exit_code, checked.output.splitlines()[0]) == (1, "run r1: 2 of 7 tasks, 1 of 3 shards")
    if postgres.is_server(out):
        assert sql(out, "SELECT id FROM runs") == []
    else:
        assert not Path(out).exists()


def test_a_task_that_was_judged_takes_the_place_of_an_error_and_not_the_other_way_round(
    quick: Quick, out: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "shards" / "0.db", 0)
    again = write(tmp_path / "shards" / "0-again.db", 0)
    for place, task_id in ((path, "t/0"), (again, "t/3")):
        with closing(Store(place)) as store:
            store.put("r1", replace(NOT_JUDGED, task_id=task_id))
    assert " errors" not in quick("merge", out, path, again).output
    assert sql(out, "SELECT task_id, status FROM results ORDER BY task_id") == [
        *(("t/0", "solved"), ("t/3", "solved"), ("t/6", "solved"))
    ]
    assert quick("merge", out, path).output.startswith("run r1: 3 of 7 tasks")
    assert sql(out, "SELECT DISTINCT status FROM results") == [("solved",)]


def test_a_shard_that_was_run_twice_counts_once_and_is_told(quick: Quick, tmp_path: Path) -> None:
    write(tmp_path / "shards" / "1.db", 1)
    write(tmp_path / "shards" / "1b.db", 1, seconds=9.0)
    merged = quick("merge", "all.db", "shards")
    assert merged.exit_code == 1
    line = "  twice: t/1, judged in shards/1.db, which counts, and otherwise in shards/1b.db"
    assert line in merged.output.splitlines()
    assert sql(str(tmp_path / "all.db"), "SELECT DISTINCT seconds FROM results") == [(4.5,)]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"config": {**CONFIG, "timeout": 5.0}}, "timeout (60.0, now 5.0)"),
        ({"config": {**CONFIG, "limit": 5}}, "limit (none, now 5)"),
        ({"dataset_fingerprint": "e" * 64}, "dataset fingerprint (ffffffffffffffffffff, now eeeeeeeeeeeeeeeeeeee)"),
        ({"model": "qwen"}, "model (granite3.3:8b, now qwen)"),
    ],
)
def test_another_measurement_under_the_same_id_is_refused_before_anything_is_written(
    quick: Quick, tmp_path: Path, changed: dict[str, Any], sentence: str
) -> None:
    write(tmp_path / "shards" / "0.db", 0)
    write(tmp_path / "shards" / "1.db", 1, run=replace(WHOLE, **changed))
    merged = quick("merge", "all.db", "shards")
    assert merged.exit_code == 4
    assert merged.output == (
        f"ERROR: Run r1 in shards/1.db is not the run of that id in shards/0.db: it differs in {sentence}. "
        f"Merge them into different databases, or leave one out.\n"
    )
    assert sql(str(tmp_path / "all.db"), "SELECT id FROM runs") == []


def test_different_runs_keep_their_ids(quick: Quick, tmp_path: Path) -> None:
    write(tmp_path / "shards" / "0.db", 0)
    with closing(Store(str(tmp_path / "shards" / "x.db"))) as store:
        store.begin(replace(RUN, id="r0", planned=3, started_at="2024"))
        store.put("r0", SOLVED)
    merged = quick("merge", "all.db", "shards", "--json")
    assert merged.exit_code == 1
    first, second = json.loads(merged.output)
    assert (first["run"], first["planned"], first["tasks_missing_unknown"], first["shards"]) == ("r0", 3, 2, 1)
    assert (second["run"], second["shards_absent"], second["tasks_missing"]) == ("r1", [1, 2], [])


def test_shards_of_an_older_mcode_are_brought_together_and_again(quick: Quick, tmp_path: Path) -> None:
    for index in range(2):
        with closing(Store(str(tmp_path / "shards" / f"{index}.db"))) as store:
            config = {**CONFIG, "shard-count": 2, "shard-index": index}
            store.begin(replace(RUN, config=config, planned=1 + index, started_at=f"2025-01-0{index + 1}"))
            store.put("r1", replace(SOLVED, task_id=f"t/{index}"))
            store.finish("r1")
    for _ in range(2):
        merged = quick("merge", "all.db", "shards")
        told_of = "run r1: 2 of 3 tasks, 2 of 2 shards\n  missing: 1 task, of unknown id\n"
        assert (merged.exit_code, merged.output) == (1, told_of)
    assert sql(str(tmp_path / "all.db"), "SELECT task_id, shard FROM results ORDER BY 1") == [("t/0", 0), ("t/1", 1)]


@pytest.mark.parametrize("words", [("merge",), ("merge", "all.db")])
def test_what_is_to_be_merged_has_to_be_named(quick: Quick, words: tuple[str, ...]) -> None:
    merged = quick(*words)
    assert merged.exit_code == 4
    assert merged.output.startswith("ERROR: ")
    assert quick("merge", "all.db", "none.db").exit_code == 4


def test_a_run_in_shards_has_the_rows_of_one_that_was_not_cut(start: Start, tmp_path: Path) -> None:
    shards = [
        start("--run-id", "a", "--shard-count", "3", "--shard-index", str(index), "--db", f"{index}.db")
        for index in range(3)
    ]
    for each in (*shards, start("--run-id", "b", "--db", "b.db")):
        told(each)
    places = [str(tmp_path / f"{index}.db") for index in range(3)]
    merged = CliRunner().invoke(main, ["merge", str(tmp_path / "a.db"), *places])
    assert (merged.exit_code, merged.output) == (0, "run a: 7 of 7 tasks, 3 of 3 shards\n")
    same = {
        "results": "SELECT task_id, status, solved_sample, solved_attempt, error, verdicts FROM results ORDER BY 1",
        "samples": "SELECT task_id, sample, seed, status FROM samples ORDER BY 1, 2",
        "attempts": "SELECT task_id, sample, attempt, verdict, prompt, solution, stdout FROM attempts ORDER BY 1, 2, 3",
    }
    for query in same.values():
        with closing(sqlite3.connect(tmp_path / "a.db")) as ours, closing(sqlite3.connect(tmp_path / "b.db")) as whole:
            assert ours.execute(query).fetchall() == whole.execute(query).fetchall() != []
