"""Starting a run again from its row alone, and looking at all that a run depends on."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pytest_mcode._errors import UsageError
from pytest_mcode.again import command
from pytest_mcode.settings import OPTIONS, Settings
from pytest_mcode.store import Run, Store

EVERY = Settings(
    bench=("mbpp",),
    model="m",
    backend="openai",
    base_url="http://gpu:8000/v1",
    samples=3,
    all_samples=True,
    temperature=0.35,
    gen_timeout=1e-3,
    limit=7,
    data="a file.jsonl",
    resume=True,
    run_id="old",
    pull=True,
)


def row(settings: Settings, **versions: str) -> Run:
    return Run("old", "mbpp", settings.model, settings.backend, settings.stored, "", "f", 7, "", None, versions)


def test_the_words_carry_what_was_not_the_default_and_belongs_to_no_session() -> None:
    words = command(row(EVERY), ())
    assert words[:2] == ["bench", "mbpp"]
    given = dict(zip(words[2::1], [*words[3::1], ""], strict=True))
    assert given["--temperature"] == "0.35"
    assert given["--gen-timeout"] == "0.001"
    assert given["--data"] == "a file.jsonl"
    assert "--all-samples" in words
    assert not {"--resume", "--run-id", "--pull", "--bench", "--split", "--seed"} & {*words}


def test_what_is_given_anew_takes_the_place_of_what_was() -> None:
    words = command(row(EVERY), ("samples", "all-samples"))
    assert not {"--samples", "--all-samples"} & {*words}


def test_an_older_row_that_lacks_an_option_has_its_default() -> None:
    run = row(EVERY)
    bare = dataclasses.replace(run, config={"model": "m", "bench": ["mbpp"]})
    assert command(bare, ()) == ["bench", "mbpp", "--model", "m"]


def test_a_module_that_is_gone_is_said_to_be() -> None:
    with pytest.raises(UsageError, match=r"^Run old is of the benchmark mbpp in /gone/test_x\.py, which is not there"):
        command(row(EVERY, file="/gone/test_x.py"), ())


def test_every_option_is_carried_or_left_out_on_purpose() -> None:
    kinds: dict[str, object] = {"bool": True, "int": 77, "float": 0.25, "string": "x"}
    changed = {option.name: kinds[option.kind] for option in OPTIONS}
    run = dataclasses.replace(row(EVERY), config={**EVERY.stored, **changed})
    carried = {word.removeprefix("--") for word in command(run, ()) if word.startswith("--")}
    gates = {"fail-under", "fail-under-lower", "baseline", "max-regression", "max-errors", "summary"}
    session = {"bench", "resume", "run-id", "pull"}
    place = {"db", "shard-count", "shard-index"}  # it goes where the old one was found, and does all of it again
    assert {option.name for option in OPTIONS} - carried == {*session, *place, *gates}


def mcode(place: Path, *words: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MCODE_", "PYTEST"))}
    command = [sys.executable, "-m", "pytest_mcode", *words]
    done = subprocess.run(command, cwd=place, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_run_is_shown_whole_and_done_again(tmp_path: Path) -> None:
    options = ("--model", "reference", "--sandbox", "process", "--limit", "2", "--db", "r.db")
    mcode(tmp_path, "bench", "smoke", *options, "--run-id", "first")
    shown = mcode(tmp_path, "results", "--run", "first", "--db", "r.db")
    for line in (
        "  limit         2",
        "  sandbox       process",
        "  fingerprint   ",
        "  python        ",
        "  0             20",
    ):
        assert f"\n{line}" in shown
    again = mcode(tmp_path, "rerun", "first", "--db", "r.db", "--limit", "3", "--run-id", "second")
    assert again.startswith("mcode bench smoke --model reference --concurrency 8 --sandbox process --limit=3")
    assert "solved        3/3" in again
    assert "  limit         3" in mcode(tmp_path, "results", "--run", "second", "--db", "r.db")


@pytest.mark.parametrize("words", [("results", "--run", "first"), ("rerun", "first", "--model", "\x1b[31mreference")])
def test_nothing_of_a_stored_run_moves_the_terminal(tmp_path: Path, words: tuple[str, ...]) -> None:
    with closing(Store(str(tmp_path / "r.db"))) as store:
        store.begin(dataclasses.replace(row(EVERY, dataset="\x1b[31mred"), id="first", model="\x1b[31mm"))
    command = [sys.executable, "-m", "pytest_mcode", *words, "--db", str(tmp_path / "r.db")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert b"\\x1b[31m" in done.stdout
    assert b"\x1b" not in done.stdout + done.stderr


def test_the_help_of_rerun_speaks_of_a_run(tmp_path: Path) -> None:
    told = mcode(tmp_path, "rerun", "--help")
    assert " rerun ID [OPTIONS] [PYTEST OPTIONS]\n" in told
    assert "BENCHMARK" not in told
    assert "--debug-iters K" in told
