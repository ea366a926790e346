from __future__ import annotations

import json
import math
import os
import pty
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from pytest_mcode.cli import main
from tests.known import BETTER, ODD, ONE, REPAIRED, SAMPLED, TASKS, Known, build


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return build(tmp_path_factory.mktemp("known") / "results.db")


@pytest.fixture
def changed(tmp_path: Path) -> Known:
    """A database of a test's own, which it may change."""
    return build(tmp_path / "results.db")


def compare(known: Known, *words: str) -> Result:
    return CliRunner().invoke(main, ["compare", *words, "--db", known.path])


def told(known: Known, *words: str) -> str:
    done = compare(known, *words)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def given(known: Known, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(told(known, *words, "--json"))
    return found


def refusal(known: Known, *words: str) -> str:
    done = compare(known, *words)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (4, "", 1)
    return done.stderr


def change(known: Known, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(known.path)) as connection:
        connection.execute(statement, values)
        connection.commit()


def configure(known: Known, run: str, **options: object) -> None:
    with closing(sqlite3.connect(known.path)) as connection:
        (config,) = connection.execute("SELECT config FROM runs WHERE id = ?", [run]).fetchone()
    change(known, "UPDATE runs SET config = ? WHERE id = ?", json.dumps({**json.loads(config), **options}), run)


def test_a_better_run_is_told_with_all_that_shows_it(known: Known) -> None:
    found = given(known, ONE, BETTER)
    assert (found["metric"], found["n"], found["test"]) == ("pass@1", 24, "exact McNemar")
    assert found["difference"] == pytest.approx(8 / 24)
    half = 1.959964 * math.sqrt((12 / 26 - (8 / 26) ** 2) / 26)  # Bonett and Price (2012), of 9 and 1 flips
    assert found["interval"] == pytest.approx([8 / 26 - half, 8 / 26 + half], abs=1e-6)
    assert found["p_value"] == found["p_adjusted"] == pytest.approx(22 / 1024)
    assert found["p_value"] == pytest.approx(mcnemar([[7, 1], [9, 7]], exact=True).pvalue)
    assert found["flips"] == {"gained": list(known.gained), "lost": list(known.lost)}
    assert found["smallest_difference"] == pytest.approx(0.361, abs=1e-3)
    assert found["better"] == BETTER
    assert found["verdict"] == "B is better than A (by 33.3 points of pass@1 on 24 tasks, p=0.0215)"
    assert [run["pass@1"]["value"] for run in found["runs"]] == pytest.approx([8 / 24, 16 / 24])


def test_the_better_run_is_found_whichever_is_named_first(known: Known) -> None:
    found = given(known, BETTER, ONE)
    assert found["difference"] == pytest.approx(-8 / 24)
    assert found["flips"] == {"gained": list(known.lost), "lost": list(known.gained)}
    assert found["verdict"].startswith("A is better than B (by 33.3 points")


def test_runs_that_differ_no_more_than_by_chance_are_no_evidence(known: Known) -> None:
    found = given(known, BETTER, REPAIRED)
    assert (found["metric"], found["n"], found["difference"], found["p_value"]) == ("solve@budget", 22, 0.0, 1.0)
    assert found["flips"] == {"gained": ["HumanEval/7"], "lost": ["HumanEval/16"]}
    assert found["better"] is None
    assert "no evidence of a difference between A and B (+0.0 points" in found["verdict"]
    assert any("a smaller one may be there and not be seen" in warning for warning in found["warnings"])


def test_all_samples_are_compared_by_their_share_of_passes(known: Known) -> None:
    found = given(known, ONE, SAMPLED)
    assert (found["metric"], found["test"]) == ("pass@1", "paired permutation")
    assert found["difference"] == pytest.approx(59 / 120 - 8 / 24)
    assert found["runs"][1]["how"] == "estimated without bias from 5 samples"
    assert found["flips"] == {"gained": list(TASKS[8:18]), "lost": list(TASKS[5:8])}
    assert found["p_value"] == pytest.approx(0.0164, abs=0.003)  # of all 2^13 ways to sign the differences: 0.0161


@pytest.mark.parametrize(
    ("metric", "rates"),
    [
        ("pass@1", [59 / 120, 8 / 24]),
        ("pass^1", [59 / 120, 8 / 24]),
        ("solve@1x1", [13 / 24, 8 / 24]),
        ("solve@budget", [18 / 24, 8 / 24]),
    ],
)
def test_a_metric_may_be_asked_for(known: Known, metric: str, rates: list[float]) -> None:
    found = given(known, SAMPLED, ONE, "--metric", metric)
    assert found["metric"] == metric
    assert [run[metric]["value"] for run in found["runs"]] == pytest.approx(rates)
    assert [run["pass@1"]["value"] for run in found["runs"]] == pytest.approx([59 / 120, 8 / 24])


@pytest.mark.parametrize(
    ("runs", "metric", "sentence"),
    [
        ((SAMPLED, ONE), "pass@7", f"pass@7 needs 7 samples, but run A ({SAMPLED}) has 5: ask for fewer."),
        ((SAMPLED, ONE), "pass^2", f"pass^2 needs 2 samples, but run B ({ONE}) has 1: ask for fewer."),
        ((ONE, REPAIRED), "solve@1x2", f"solve@1x2 needs 2 attempts, but run A ({ONE}) has 1: ask for fewer."),
        ((SAMPLED, REPAIRED), "pass@2", f"pass@2 cannot be known of run B ({REPAIRED}): sampling ended at the first"),
        ((SAMPLED, REPAIRED), "pass^3", "samples are missing of 22 of its 22 tasks. Draw them with --all-samples"),
        ((SAMPLED, REPAIRED), "solve@2x1", "samples are missing of 4 of its 22 tasks."),
        ((ONE, BETTER), "pass@0", "--metric is 'pass@0', but must be pass@K, pass^K"),
        ((ONE, BETTER), "pass@1\n", "--metric is 'pass@1\\n', but must be"),
    ],
)
def test_a_metric_that_a_run_cannot_tell_is_refused(
    known: Known, runs: tuple[str, str], metric: str, sentence: str
) -> None:
    assert sentence in refusal(known, *runs, "--metric", metric)


def test_the_newest_run_of_each_model_is_compared(known: Known) -> None:
    models = ("--model", "granite3.3:2b", "--model", "granite3.3:8b")
    found = given(known, *models, "--benchmark", "humaneval")
    assert [run["id"] for run in found["runs"]] == [ONE, REPAIRED]
    assert [run["id"] for run in given(known, "20251103-11", "last")["runs"]] == [BETTER, REPAIRED]


def test_more_than_two_runs_are_compared_pair_by_pair_and_adjusted(known: Known) -> None:
    found = given(known, ONE, BETTER, REPAIRED)
    ids = [(pair["first"], pair["second"]) for pair in found["pairs"]]
    assert ids == [(ONE, BETTER), (ONE, REPAIRED), (BETTER, REPAIRED)]
    p_values = [pair["p_value"] for pair in found["pairs"]]
    assert p_values == pytest.approx([22 / 1024, 2 / 256, 1.0])
    adjusted = multipletests(p_values, method="holm")[1]
    assert [pair["p_adjusted"] for pair in found["pairs"]] == pytest.approx(list(adjusted))
    assert "p_value" not in found
    alone = given(known, BETTER, REPAIRED)["smallest_difference"]
    assert found["pairs"][2]["smallest_difference"] > alone  # at a third of the level
    assert {pair["n"] for pair in found["pairs"]} == {22}


def test_tasks_that_one_run_could_not_judge_or_has_not_are_left_out_and_told(changed: Known) -> None:
    change(changed, "DELETE FROM results WHERE run_id = ? AND task_id = 'HumanEval/3'", ONE)
    change(changed, "UPDATE runs SET planned = 23 WHERE id = ?", ONE)
    found = given(changed, ONE, REPAIRED)
    assert found["n"] == 21
    assert found["runs"][0]["absent"] == ["HumanEval/3"]
    assert found["runs"][1]["errors"] == ["HumanEval/21", "HumanEval/22"]
    text = told(changed, ONE, REPAIRED)
    assert "left out      1 that are not recorded of A: HumanEval/3\n" in text
    assert "left out      2 that could not be judged by B: HumanEval/21, HumanEval/22\n" in text


def test_a_run_that_is_unfinished_is_told_to_be(changed: Known) -> None:
    change(changed, "DELETE FROM results WHERE run_id = ? AND task_id = 'HumanEval/3'", ONE)
    assert "A is unfinished: 1 of its 24 tasks are not recorded." in given(changed, ONE, BETTER)["warnings"]


def test_runs_without_a_task_in_common_are_refused(changed: Known) -> None:
    change(changed, "UPDATE results SET task_id = 'x' || task_id WHERE run_id = ?", ONE)
    assert "There is no task that all of these runs judged (tasks judged: A 24, B 24)." in refusal(changed, ONE, BETTER)


@pytest.mark.parametrize(
    ("statement", "options", "sentence"),
    [
        ("UPDATE runs SET benchmark = 'mine' WHERE id = ?", {}, "benchmark A mine, B humaneval"),
        ("UPDATE runs SET dataset_fingerprint = 'ab' WHERE id = ?", {}, "data set (fingerprint) A ab, B 3d3d3d3d3d3d"),
        ("", {"recipe": "other"}, "recipe A other, B evalplus"),
        ("", {"timeout": 7.5}, "timeout A 7.5, B 2"),
    ],
)
def test_runs_that_were_not_measured_alike_are_compared_only_if_that_is_asked_for(
    changed: Known, statement: str, options: Mapping[str, object], sentence: str
) -> None:
    if statement:
        change(changed, statement, ONE)
    configure(changed, ONE, **options)
    refused = refusal(changed, ONE, BETTER)
    assert sentence in refused
    assert "--anyway" in refused
    found = given(changed, ONE, BETTER, "--anyway")
    assert found["difference"] == pytest.approx(8 / 24)
    assert any(sentence in warning for warning in found["warnings"])


def test_techniques_that_differ_are_compared_and_told(known: Known) -> None:
    found = given(known, ONE, REPAIRED)
    assert found["differing"] == {
        "model": ["granite3.3:2b", "granite3.3:8b"],
        "samples": [1, 3],
        "debug-iters": [0, 2],
        "temperature": [0.0, 0.8],
    }
    assert "The budgets differ (A 1 x 1, B 3 x 3): what they gain is part of the difference." in found["warnings"]
    assert "debug-iters (A 0, B 2)" in told(known, ONE, REPAIRED)


def test_what_the_common_tasks_took_is_told(known: Known) -> None:
    costs = given(known, ONE, REPAIRED)["runs"][1]["costs"]
    assert (costs["tasks"], costs["solved"], costs["completion_tokens"]) == (22, 16, 6300)
    assert costs["tokens_a_solved_task"] == pytest.approx(6300 / 16)
    assert costs["tokens_a_second"] == pytest.approx(30.0)


def test_the_text_tells_rates_difference_flips_and_verdict(known: Known) -> None:
    lines = told(known, ONE, BETTER).splitlines()
    assert lines[:3] == [
        f"A             granite3.3:2b (ollama), 1 x 1 attempts, run {ONE}",
        f"B             granite3.3:8b (ollama), 1 x 1 attempts, run {BETTER}",
        "tasks         24 of humaneval that all of them judged",
    ]
    cells = [line.split() for line in lines]
    assert ["A", "33.3", "[18.0,", "53.3]", "50.0", "150.0", "1.2"] in cells
    assert ["B", "-", "A", "+33.3", "[+7.5,", "+54.1]", "0.0215", "9", "1", "36.1"] in cells
    assert lines[-4] == f"B over A      9: {', '.join(known.gained)}"
    assert lines[-3] == "A over B      1: HumanEval/7"
    assert lines[-1] == "verdict       B is better than A (by 33.3 points of pass@1 on 24 tasks, p=0.0215)"


def test_flips_are_in_their_natural_order_and_obey_nobody(changed: Known) -> None:
    change(
        changed, "UPDATE results SET status = 'solved', verdicts = 'p' WHERE run_id = ? AND task_id LIKE 'odd%'", BETTER
    )
    text = told(changed, ONE, BETTER)
    assert "10: HumanEval/8, HumanEval/9, HumanEval/10, " in text
    assert 'HumanEval/16, odd/<b>"a, b"</b> |`\\x1b[31mü\\u202e\n' in text
    assert given(changed, ONE, BETTER)["flips"]["gained"][-1] == ODD


def test_the_page_of_a_job_gets_tables_in_which_nothing_is_markup(changed: Known) -> None:
    change(
        changed, "UPDATE results SET status = 'solved', verdicts = 'p' WHERE run_id = ? AND task_id LIKE 'odd%'", BETTER
    )
    change(changed, "UPDATE runs SET model = 'a|<img>*b*' WHERE id = ?", ONE)
    text = told(changed, ONE, BETTER, "--format", "markdown")
    assert "| B - A | +37.5 " in text
    assert "- A: a\\|\\<img\\>\\*b\\* (ollama)" in text
    assert 'odd/\\<b\\>"a, b"\\</b\\> \\|\\`' in text
    assert "\n**B is better than A (by 37.5 points of pass@1 on 24 tasks, p=0.0117)**\n" in text


def test_spreadsheets_get_a_row_for_each_pair(known: Known) -> None:
    head, *rows = told(known, ONE, BETTER, SAMPLED, "--csv").splitlines()
    assert head.startswith("first,second,metric,n,difference,difference_low,difference_high,p_value,p_adjusted,test,")
    assert [row.split(",")[:4] for row in rows] == [
        [ONE, BETTER, "pass@1", "24"],
        [ONE, SAMPLED, "pass@1", "24"],
        [BETTER, SAMPLED, "pass@1", "24"],
    ]


def test_few_tasks_are_told_to_show_nothing(changed: Known) -> None:
    change(changed, "DELETE FROM results WHERE task_id NOT IN ('HumanEval/8', 'HumanEval/9')")
    found = given(changed, ONE, BETTER)
    assert (found["n"], found["p_value"], found["smallest_difference"]) == (2, 0.5, None)
    assert "2 tasks are too few to show any difference." in found["warnings"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "Name two runs or more: mcode compare RUN RUN"),
        ((ONE,), "Name two runs or more"),
        (("--model", "granite3.3:8b"), "Name two runs or more"),
        ((ONE, ONE[:12]), f"Run {ONE} is named twice: a run is not compared with itself."),
        ((ONE, "2025"), "Several runs begin with 2025"),
        ((ONE, "nothing"), "There is no run nothing in"),
        ((ONE, BETTER, "--benchmark", "humanevil"), "did you mean 'humaneval'?"),
    ],
)
def test_runs_that_cannot_be_meant_are_refused(known: Known, words: tuple[str, ...], sentence: str) -> None:
    assert sentence in refusal(known, *words)


def on_terminal(known: Known, columns: int, *words: str) -> list[str]:
    """What a terminal of that width shows."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "dumb"}
    command = [sys.executable, "-m", "pytest_mcode", "compare", *words, "--db", known.path]
    with subprocess.Popen(command, stdout=theirs, stdin=theirs, env=environment):
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the other end is closed
            while more := os.read(ours, 65536):
                shown += more
    os.close(ours)
    return shown.decode().splitlines()


def test_a_terminal_of_80_columns_holds_it_and_a_long_list_is_cut_there(changed: Known) -> None:
    change(changed, "UPDATE results SET status = 'unsolved', verdicts = 'f' WHERE run_id = ?", ONE)
    lines = on_terminal(changed, 80, ONE, BETTER)
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert "16: HumanEval/0, " in text
    assert "HumanEval/12 and 4 more" in text
    assert "HumanEval/16" in "".join(on_terminal(changed, 80, ONE, BETTER, "--flips"))
    assert "HumanEval/16" in told(changed, ONE, BETTER)
