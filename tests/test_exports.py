"""What is written for other tools is what was recorded, whole or not at all."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from pytest_mcode._types import Attempt, Completion, Sample, TaskResult, Verdict
from pytest_mcode.cli import main
from pytest_mcode.report.exports import ROWS
from pytest_mcode.store import Store
from tests import known
from tests.known import HOSTILE, HOSTILE_TASK, ODD, Known, build


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return build(tmp_path_factory.mktemp("known") / "r.db")


def export(*words: str) -> Result:
    return CliRunner().invoke(main, ["export", *words])


def exported(*words: str) -> list[Any]:
    done = export(*words)
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def own(rows: list[Any]) -> list[Any]:
    """The rows that are no padding."""
    return [row for row in rows if "padded" not in row]


def test_a_sample_is_a_line_with_the_solution_of_its_last_attempt(runs: Known) -> None:
    rows = own(exported(runs.repaired, "--db", runs.path))
    drawn = [row["task_id"] for row in rows]
    # 22 tasks were judged, and drew 43 samples; the error at task 21 has no completion
    assert len(rows) == 42
    assert drawn.count("HumanEval/12") == 2
    repaired = [row["solution"] for row in rows if row["task_id"] == "HumanEval/8"]
    assert repaired == [known.written(8, Verdict.PASSED)]
    assert not {"HumanEval/21", "HumanEval/22"} & {*drawn}


def test_the_first_attempts_are_written_on_demand(runs: Known) -> None:
    rows = own(exported(runs.repaired, "--first", "--db", runs.path))
    (first,) = [row["solution"] for row in rows if row["task_id"] == "HumanEval/8"]
    assert first == known.written(8, Verdict.FAILED)


def test_the_tasks_that_evalplus_misses_get_an_empty_solution_that_is_marked(runs: Known) -> None:
    rows = exported(runs.repaired, "--db", runs.path)
    padding = [row for row in rows if "padded" in row]
    assert {row["solution"] for row in padding} == {""}
    assert {row["task_id"] for row in rows} == {f"HumanEval/{number}" for number in range(164)} | {ODD}
    assert len(padding) == 143


def test_no_code_is_an_empty_solution_and_no_padding(runs: Known) -> None:
    (row,) = [row for row in own(exported(runs.one, "--db", runs.path)) if row["task_id"] == "HumanEval/19"]
    assert row == {"task_id": "HumanEval/19", "solution": ""}


def test_completions_come_as_they_were_written(runs: Known) -> None:
    rows = exported(runs.repaired, "--format", "raw", "--first", "--db", runs.path)
    (hostile,) = [row["completion"] for row in rows if row["task_id"] == HOSTILE_TASK]
    assert hostile == HOSTILE
    (cut,) = [row for row in exported(runs.one, "--format", "raw", "--db", runs.path) if row["task_id"].endswith("/18")]
    assert cut["finish_reason"] == "length"
    assert cut["kind"] == "answer"


def test_what_is_known_of_the_samples_is_told_beside_them(runs: Known) -> None:
    told = export(runs.repaired, "--db", runs.path).stderr
    assert told.startswith("42 EvalPlus samples, and an empty one for 143 tasks without, of run 20251103-130000-d0e1f2")
    assert "Sampling stopped at the first pass: pass@k that is estimated from these samples is too high." in told
    assert "Debug iterations saw the tests" in told
    assert export(runs.sampled, "--db", runs.path).stderr.count("\n") == 1


def test_rows_of_attempts_hold_every_column_of_the_database(runs: Known, tmp_path: Path) -> None:
    with closing(sqlite3.connect(runs.path)) as connection:
        connection.row_factory = sqlite3.Row
        query = "select * from attempts where run_id = ? order by task_id, sample, attempt"
        stored = [dict(row) for row in connection.execute(query, [runs.repaired])]
    assert export(runs.repaired, "--db", runs.path, "--out", str(tmp_path / "a.parquet")).exit_code == 0
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    of_run = {"benchmark": "humaneval", "model": "granite3.3:8b"}
    assert table.to_pylist() == [{**of_run, **row} for row in stored]
    assert {str(table.schema.field(name).type) for name in ("attempt", "prompt_tokens", "exit_code")} == {"int64"}
    lines = exported(runs.repaired, "--format", "jsonl", "--db", runs.path)
    assert lines == [{**of_run, **row, "prompt": json.loads(row["prompt"] or "null")} for row in stored]
    assert len(stored) == 106


def test_a_spreadsheet_gets_no_formula_and_a_terminal_nothing_to_obey(tmp_path: Path) -> None:
    texts = ("=1+1", "-x", "@a", "\x1b[31m", 'a "b",\nc', "\u202e", "plain")
    database = tmp_path / "r.db"
    with closing(Store(str(database))) as store:
        store.begin(replace(known.row(known.RUNS[0]), id="r"))
        for number, text in enumerate(texts):
            attempt = Attempt(0, Verdict.NO_CODE, Completion(text))
            store.put("r", TaskResult(f"t/{number}", (Sample(0, 0, (attempt,)),), 0.0))
    told = export("r", "--db", str(database), "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(told)))
    assert [row["completion"] for row in rows] == [
        "'=1+1",
        "'-x",
        "'@a",
        "\\x1b[31m",
        'a "b",\nc',
        "\\u202e",
        "plain",
    ]


def test_patches_are_predictions_of_swebench_and_nothing_else(tmp_path: Path) -> None:
    database = str(tmp_path / "r.db")
    with closing(Store(database)) as store:
        store.begin(replace(known.row(known.RUNS[0]), id="r", benchmark="swebench-lite"))
        made = [
            Sample(number, number, (Attempt(0, Verdict.FAILED, Completion("..."), f"patch {number}"),))
            for number in (0, 1)
        ]
        store.put("r", TaskResult("astropy__astropy-12907", tuple(made), 1.0))
    assert exported("r", "--format", "swebench", "--db", database) == [
        {
            "instance_id": "astropy__astropy-12907",
            "model_name_or_path": "granite3.3:2b",
            "model_patch": "patch 0",
        }
    ]
    refused = export("r", "--db", database)
    assert refused.exit_code == 4
    assert refused.stderr == (
        "ERROR: Run r is of patches, and --format evalplus of functions: use --format swebench.\n"
    )


def test_functions_are_no_predictions_of_swebench(runs: Known) -> None:
    done = export(runs.one, "--format", "swebench", "--db", runs.path)
    assert "is of humaneval, which has no patches: use --format raw." in done.stderr


def test_the_shards_of_two_databases_are_written_as_one_run(runs: Known, tmp_path: Path) -> None:
    for shard in range(2):
        with closing(Store(str(tmp_path / f"{shard}.db"))) as store:
            run = known.row(known.RUNS[2])
            store.begin(replace(run, config={**run.config, "shard-index": shard, "shard-count": 2}, planned=12))
            column = [line.split()[2] for line in known.SCRIPT.strip().splitlines()]
            for number in range(shard, 24, 2):
                store.put(run.id, known.result(known.RUNS[2], number, column[number]))
    whole = exported(runs.sampled, "--db", runs.path)
    assert len(own(whole)) == 120
    parted = exported(runs.sampled, "--db", str(tmp_path))
    assert sorted(map(json.dumps, parted)) == sorted(map(json.dumps, whole))


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("s.jsonl", b'{"task_id": '),
        ("s.raw.jsonl", b'{"task_id": "HumanEval/0", "completion"'),
        ("s.csv", b"run_id,benchmark,model,task_id,sample,attempt,verdict,"),
        ("s.parquet", b"PAR1"),
        ("s.json", b'{\n  "schema_version": "0.3.0"'),
    ],
)
def test_the_name_of_the_file_tells_its_format(name: str, first: bytes, runs: Known, tmp_path: Path) -> None:
    assert export(runs.one, "--db", runs.path, "--out", str(tmp_path / name)).exit_code == 0
    assert (tmp_path / name).read_bytes().startswith(first)


def test_a_name_that_tells_no_format_is_refused(runs: Known, tmp_path: Path) -> None:
    done = export(runs.one, "--db", runs.path, "--out", str(tmp_path / "s.xml"))
    assert done.exit_code == 4
    assert done.stderr.endswith(
        "tells no format: add --format, one of evalplus, raw, swebench, csv, parquet, jsonl, eee.\n"
    )


def test_a_file_is_zipped_by_its_name_the_same_each_time(runs: Known, tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "a.jsonl"):
        export(runs.one, "--db", runs.path, "--out", str(tmp_path / name))
    zipped = (tmp_path / "a.jsonl.gz").read_bytes()
    assert gzip.decompress(zipped) == (tmp_path / "a.jsonl").read_bytes()
    export(runs.one, "--db", runs.path, "--out", str(tmp_path / "a.jsonl.gz"))
    assert (tmp_path / "a.jsonl.gz").read_bytes() == zipped


def test_what_fails_leaves_the_file_as_it_was(runs: Known, tmp_path: Path) -> None:
    file = tmp_path / "s.jsonl"
    file.write_text("before")
    assert export(runs.one, "--format", "swebench", "--db", runs.path, "--out", str(file)).exit_code == 4
    assert file.read_text() == "before"
    assert [*tmp_path.iterdir()] == [file]


def test_a_file_that_cannot_be_written_is_told_in_a_sentence(runs: Known, tmp_path: Path) -> None:
    done = export(runs.one, "--db", runs.path, "--out", str(tmp_path / "none" / "s.jsonl"))
    assert done.exit_code == 4
    assert done.stderr.endswith("cannot be written (No such file or directory): name another with --out.\n")
    done = export(runs.one, "--db", runs.path, "--out", str(tmp_path), "--format", "raw")
    assert done.stderr.endswith("is a directory: name a file in it.\n")


def test_a_pipe_is_written_to_and_not_replaced(runs: Known, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert export(runs.one, "--db", runs.path, "--out", str(pipe), "--format", "eee").exit_code == 0
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert json.loads(os.read(reader, 1 << 20))["eval_library"] == {"name": "pytest-mcode", "version": "0.1.0"}
    os.close(reader)


def test_more_attempts_than_a_batch_are_all_written(tmp_path: Path) -> None:
    database = str(tmp_path / "r.db")
    number = ROWS + 1
    with closing(Store(database)) as store:
        store.begin(replace(known.row(known.RUNS[0]), id="r"))
        drawn = [Sample(n, n, (Attempt(0, Verdict.NO_CODE, Completion(str(n))),)) for n in range(number)]
        store.put("r", TaskResult("HumanEval/0", tuple(drawn), 1.0))
    export("r", "--db", database, "--out", str(tmp_path / "a.parquet"))
    column = pyarrow.parquet.read_table(tmp_path / "a.parquet")["completion"].to_pylist()
    assert column == [str(n) for n in range(number)]


def record(run: str, runs: Known) -> Any:
    return json.loads(export(run, "--format", "eee", "--organization", "ACME", "--db", runs.path).stdout)


def test_a_record_has_the_rates_of_the_run_and_their_intervals(runs: Known) -> None:
    made = record(runs.sampled, runs)
    scores = {
        (one["metric_config"]["metric_id"], *one["metric_config"]["metric_parameters"].values()): one["score_details"]
        for one in made["evaluation_results"]
    }
    assert {key: round(details["score"], 9) for key, details in scores.items()} == {
        ("pass_at_k", 1): round(59 / 120, 9),
        ("pass_at_k", 2): round(15 / 24, 9),
        ("pass_at_k", 5): round(18 / 24, 9),
        ("mcode.solve_at_budget", 5, 1): round(18 / 24, 9),
    }
    assert {details["details"]["tasks"] for details in scores.values()} == {"24"}
    methods = {
        key: one["uncertainty"]["confidence_interval"]["method"].partition(" ")[0] for key, one in scores.items()
    }
    assert [key for key, method in methods.items() if method == "percentile"] == [("pass_at_k", 1), ("pass_at_k", 2)]
    (one,) = record(runs.one, runs)["evaluation_results"]
    # Wilson's interval of 8 of 24, by statsmodels 0.14
    interval = one["score_details"]["uncertainty"]["confidence_interval"]
    assert interval["method"] == "Wilson score"
    assert [round(interval[end], 4) for end in ("lower", "upper")] == [0.1797, 0.5329]


def test_a_record_is_of_the_published_form(runs: Known) -> None:
    made = record(runs.repaired, runs)
    assert {*made} == {
        *("schema_version", "evaluation_id", "evaluation_timestamp", "retrieved_timestamp", "source_metadata"),
        *("eval_library", "model_info", "evaluation_results"),
    }
    assert made["evaluation_id"] == f"humaneval/granite3.3:8b/{made['retrieved_timestamp']}"
    assert made["evaluation_timestamp"] == "1762174800"
    assert made["source_metadata"]["source_organization_name"] == "ACME"
    assert made["model_info"]["inference_engine"] == {"name": "Ollama", "version": "0.12.3"}
    assert made["model_info"]["additional_details"]["deployment_type"] == "self_deployed"
    assert all(isinstance(value, str) for value in details(made))
    assert {one["score_details"]["details"]["errors"] for one in made["evaluation_results"]} == {"2"}


def details(node: Any) -> list[Any]:
    """The values of all additional details, which the schema wants to be texts."""
    if isinstance(node, list):
        return [value for one in node for value in details(one)]
    if not isinstance(node, dict):
        return []
    its = [value for name in ("additional_details", "details") for value in node.get(name, {}).values()]
    return its + [value for one in node.values() for value in details(one)]
