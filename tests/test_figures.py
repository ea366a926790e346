from __future__ import annotations

import dataclasses
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pytest_mcode import metrics
from pytest_mcode._types import Attempt, Completion, Execution, Sample, Status, TaskResult, Verdict
from pytest_mcode.metrics import Rate
from pytest_mcode.report.figures import Figures, as_json, figures, of_runs
from pytest_mcode.store import Run, Store
from tests.known import Known, Truth, build

RUN = Run(
    id="r1",
    benchmark="humaneval",
    model="granite3.3:8b",
    backend="ollama",
    config={"samples": 2, "debug-iters": 1, "all-samples": False},
    config_hash="0123456789ab",
    dataset_fingerprint="f" * 64,
    planned=5,
    started_at="2025-01-01T00:00:00.000+00:00",
    finished_at=None,
    versions={},
)


def attempt(index: int, verdict: Verdict, *, tokens: int | None = 10) -> Attempt:
    written = Completion("text", prompt_tokens=tokens, completion_tokens=tokens and 2 * tokens, seconds=1.5)
    passed = verdict is Verdict.PASSED
    executed = None if verdict is Verdict.NO_CODE else Execution(passed=passed, seconds=0.25)
    return Attempt(index, verdict, written, "code", executed)


def sample(index: int, *verdicts: Verdict) -> Sample:
    return Sample(index, index, tuple(attempt(i, verdict) for i, verdict in enumerate(verdicts)))


RESULTS = (
    TaskResult("t/0", (sample(0, Verdict.PASSED),), 2.0),
    TaskResult("t/1", (sample(0, Verdict.FAILED, Verdict.NO_CODE), sample(1, Verdict.PASSED)), 6.0),
    TaskResult("t/2", (sample(0, Verdict.FAILED, Verdict.FAILED), sample(1, Verdict.FAILED, Verdict.TIMEOUT)), 8.0),
    TaskResult("t/3", (Sample(0, 0, (Attempt(0, Verdict.ERROR, error="No server."),)),), 0.5),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "results.db"))
    yield opened
    opened.close()


def found(store: Store, run: Run, *results: TaskResult) -> Figures:
    store.begin(run)
    for result in results:
        store.put(run.id, result)
    return figures(store, run)


def value(rate: Rate | None) -> float | None:
    return None if rate is None else rate.value


def test_a_run_is_counted_by_task_sample_and_token(store: Store) -> None:
    f = found(store, RUN, *RESULTS)
    assert (f.samples, f.attempts, f.all_samples) == (2, 2, False)
    assert (f.solved, f.judged, f.errors, len(f.tasks)) == (2, 3, 1, 4)
    assert f.statuses == {Status.SOLVED: 2, Status.UNSOLVED: 1, Status.ERROR: 1}
    assert f.verdicts == {
        Verdict.PASSED: 2,
        Verdict.NO_CODE: 1,
        Verdict.FAILED: 1,
        Verdict.TIMEOUT: 1,
        Verdict.ERROR: 1,
    }
    assert (f.prompt_tokens, f.completion_tokens) == (80, 160)
    assert (f.seconds, f.generation_seconds, f.execution_seconds) == (16.5, 12.0, 1.75)


def test_rates_leave_errors_out(store: Store) -> None:
    f = found(store, RUN, *RESULTS)
    assert value(f.pass_at(1)) == pytest.approx(1 / 3)
    assert value(f.pass_at(2)) == pytest.approx(2 / 3)
    assert value(f.solved_within(1)) == pytest.approx(1 / 3)
    assert value(f.solved_within(2)) == pytest.approx(2 / 3)
    assert f.pass_at(3) is None
    assert f.solved_within(3) is None


def test_with_all_samples_drawn_pass_at_k_is_estimated(store: Store) -> None:
    run = dataclasses.replace(RUN, config={**RUN.config, "all-samples": True})
    both = TaskResult("t/0", (sample(0, Verdict.PASSED), sample(1, Verdict.FAILED, Verdict.FAILED)), 1.0)
    assert value(found(store, run, both, RESULTS[2]).pass_at(1)) == 0.25


def test_a_run_of_which_nothing_is_recorded_has_no_rates(store: Store) -> None:
    f = found(store, RUN)
    assert (f.solved, f.judged, f.errors, f.seconds) == (0, 0, 0, 0.0)
    assert (f.pass_at(1), f.solved_within(1), f.prompt_tokens, f.completion_tokens) == (None, None, None, None)


def test_tokens_are_those_that_the_server_told(store: Store) -> None:
    silent = TaskResult("t/0", (Sample(0, 0, (attempt(0, Verdict.PASSED, tokens=None),)),), 1.0)
    assert found(store, RUN, silent).prompt_tokens is None
    told = found(store, dataclasses.replace(RUN, id="r2"), silent, RESULTS[1])
    assert (told.prompt_tokens, told.completion_tokens) == (30, 60)


def test_figures_are_given_to_scripts_as_json(store: Store) -> None:
    given = as_json(found(store, RUN, *RESULTS))
    assert json.loads(json.dumps(given)) == given
    assert given["run"]["id"] == "r1"
    assert given["run"]["config"] == {"samples": 2, "debug-iters": 1, "all-samples": False}
    assert {name: given[name] for name in ("solved", "judged", "recorded", "errors")} == {
        "solved": 2,
        "judged": 3,
        "recorded": 4,
        "errors": 1,
    }
    assert given["verdicts"] == {"passed": 2, "no_code": 1, "failed": 1, "timeout": 1, "error": 1}
    assert list(given["pass@k"]) == list(given["solve@samples"]) == ["1", "2"]
    assert given["pass@k"]["1"] == {
        "value": pytest.approx(1 / 3),
        "low": pytest.approx(0.0615, abs=1e-4),
        "high": pytest.approx(0.7923, abs=1e-4),
        "n": 3,
    }
    assert given["solve@samples"]["2"]["value"] == pytest.approx(2 / 3)
    assert given["completion_tokens"] == 160


def test_what_cannot_be_known_is_null_in_json(store: Store) -> None:
    repaired = TaskResult("t/0", (sample(0, Verdict.FAILED, Verdict.PASSED),), 1.0)
    given = as_json(found(store, RUN, repaired))
    assert given["pass@k"]["1"]["value"] == 0.0
    assert given["pass@k"]["2"] is None
    assert given["solve@samples"]["1"]["value"] == 1.0


def test_the_figures_of_all_runs_are_those_of_each(store: Store) -> None:
    later = dataclasses.replace(RUN, id="r2", started_at="2025-01-02T00:00:00.000+00:00")
    empty = dataclasses.replace(RUN, id="r3", started_at="2025-01-03T00:00:00.000+00:00")
    each = [found(store, empty), found(store, later, *RESULTS[:2]), found(store, RUN, *RESULTS)]
    assert of_runs(store) == each
    assert of_runs(store, model="granite3.3:8b") == each
    assert of_runs(store, benchmark="mbpp") == []


def drawn(chance: random.Random, number: int, *, all_samples: bool) -> TaskResult:
    """A task of up to four samples of up to three attempts, some of which told tokens and seconds."""
    samples: list[Sample] = []
    while len(samples) < 4 and (all_samples or not samples or samples[-1].status is not Verdict.PASSED):
        attempts: list[Attempt] = []
        while len(attempts) < 3 and not (attempts and attempts[-1].verdict in (Verdict.PASSED, Verdict.ERROR)):
            verdict = chance.choice([*Verdict, Verdict.FAILED, Verdict.FAILED, Verdict.PASSED])
            written = Completion("x", prompt_tokens=chance.choice([None, 7, 11]), seconds=chance.random())
            executed = Execution(passed=verdict is Verdict.PASSED, seconds=chance.expovariate(9))
            rest = chance.choice([(None, None), (written, None), (written, executed)])
            attempts.append(Attempt(len(attempts), verdict, rest[0], "x", rest[1]))
        samples.append(Sample(len(samples), 0, tuple(attempts)))
    return TaskResult(f"t/{number}", tuple(samples), chance.random())


@pytest.mark.parametrize("all_samples", [False, True])
def test_figures_from_tallies_are_those_from_the_attempts(store: Store, *, all_samples: bool) -> None:
    chance = random.Random(1)
    results = [drawn(chance, number, all_samples=all_samples) for number in range(200)]
    results.append(TaskResult("t/200", (), 1.0, fault="The worker died."))
    run = dataclasses.replace(RUN, config={"samples": 4, "debug-iters": 2, "all-samples": all_samples})
    tallied = found(store, run, *results)
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("UPDATE results SET verdicts = NULL")
        connection.execute("CREATE TRIGGER locked BEFORE UPDATE ON results BEGIN SELECT RAISE(ABORT, 'locked'); END")
        connection.commit()
    assert figures(store, run) == tallied  # made of the attempts, because the database cannot be written
    assert as_json(figures(store, run)) == as_json(tallied)

    samples = [sample for result in results for sample in result.samples]
    completions = [a.completion for sample in samples for a in sample.attempts if a.completion]
    assert tallied.statuses == Counter(result.status for result in results)
    assert tallied.verdicts == Counter(sample.status for sample in samples)
    assert tallied.prompt_tokens == sum(completion.prompt_tokens or 0 for completion in completions)
    assert tallied.completion_tokens is None
    assert tallied.generation_seconds == pytest.approx(sum(completion.seconds for completion in completions))
    judged = [result for result in results if result.status is not Status.ERROR]
    for budget in (1, 2, 3, 4):
        solved = [any(s.status is Verdict.PASSED for s in result.samples[:budget]) for result in judged]
        assert value(tallied.solved_within(budget)) == pytest.approx(sum(solved) / len(judged))
    at_once = [result.samples[0].attempts[0].verdict is Verdict.PASSED for result in judged]
    if not all_samples:
        assert value(tallied.pass_at(1)) == pytest.approx(sum(at_once) / len(judged))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return build(tmp_path_factory.mktemp("known") / "known.db")


@pytest.fixture(scope="module")
def known_figures(known: Known) -> dict[str, Figures]:
    with closing(Store(known.path)) as opened:
        return {each.run.id: each for each in of_runs(opened)}


def truths(known: Known, known_figures: dict[str, Figures]) -> list[tuple[Truth, Figures]]:
    return [(truth, known_figures[run]) for run, truth in known.truths.items()]


def test_every_figure_of_the_known_runs_is_the_one_counted_by_hand(
    known: Known, known_figures: dict[str, Figures]
) -> None:
    for truth, f in truths(known, known_figures):
        assert (f.solved, f.judged, f.errors, f.verdicts) == (truth.solved, truth.judged, truth.errors, truth.samples)
        assert {k: value(f.pass_at(k)) for k in truth.pass_at} == close(truth.pass_at)
        assert {k: value(f.pass_hat(k)) for k in truth.pass_hat} == close(truth.pass_hat)
        assert {budget: value(f.within(*budget)) for budget in truth.within} == close(truth.within)
        assert (f.prompt_tokens, f.completion_tokens) == (truth.prompt_tokens, truth.completion_tokens)
        spent = f.generation_seconds, f.execution_seconds, f.seconds
        assert spent == pytest.approx((truth.generation_seconds, truth.execution_seconds, truth.seconds))


def close(values: Mapping[Any, float | None]) -> dict[Any, object]:
    return {key: None if of is None else pytest.approx(of) for key, of in values.items()}


def test_the_attempts_of_a_run_are_counted_by_verdict(known: Known, known_figures: dict[str, Figures]) -> None:
    assert known_figures[known.repaired].attempt_verdicts == {
        Verdict.PASSED: 16,
        Verdict.FAILED: 61,
        Verdict.TIMEOUT: 12,
        Verdict.TRUNCATED: 11,
        Verdict.NO_CODE: 5,
        Verdict.ERROR: 1,
    }


def test_errors_are_in_the_denominator_of_the_rate_of_all(known: Known, known_figures: dict[str, Figures]) -> None:
    of_all = known_figures[known.repaired].of_all
    assert of_all is not None
    assert of_all.value == pytest.approx(16 / 24)
    assert of_all.n == 24
    assert value(known_figures[known.one].of_all) == pytest.approx(8 / 24)


def test_the_smallest_difference_is_what_the_exact_test_shows_by_simulation(known_figures: dict[str, Figures]) -> None:
    for f in known_figures.values():
        least = f.smallest_difference
        assert least is not None
        assert simulated_power(f.judged, least) == pytest.approx(0.8, abs=0.02)


def simulated_power(n: int, difference: float) -> float:
    """How often McNemar's exact test finds a difference of two runs of which a fifth of the tasks flips, or more."""
    flips = max(0.2, difference)
    up, down = (flips + difference) / 2, (flips - difference) / 2
    chance, seen = np.random.default_rng(1), 0
    draws = chance.multinomial(n, [up, down, max(0.0, 1 - up - down)], size=20_000)
    for (gained, lost, _), number in Counter(map(tuple, draws.tolist())).items():
        p_value = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
        seen += number * (p_value <= 0.05 and gained > lost)
    return seen / len(draws)


def test_a_few_tasks_show_no_difference(store: Store) -> None:
    assert found(store, RUN, *RESULTS).smallest_difference is None
    assert found(store, dataclasses.replace(RUN, id="r2")).smallest_difference is None


def test_scripts_are_told_all_rates_and_costs(known: Known, known_figures: dict[str, Figures]) -> None:
    with closing(Store(known.path)) as opened:
        given = as_json(known_figures[known.repaired], metrics.costs(opened.results(known.repaired)))
    assert json.loads(json.dumps(given)) == given
    assert given["solve@budget"]["2"]["1"] is None
    assert [given["solve@budget"]["1"][a]["value"] for a in "123"] == pytest.approx([6 / 22, 8 / 22, 10 / 22])
    assert given["solve@budget"]["3"]["3"] == given["solve@samples"]["3"]
    assert given["pass^k"] == {"1": None, "2": None, "3": None}
    assert (given["of_all"]["value"], given["of_all"]["n"]) == (pytest.approx(16 / 24), 24)
    assert given["attempt_verdicts"]["failed"] == 61
    # 6,300 tokens and 245 s of the 22 judged tasks, 16 of them solved; 210 s of generating
    costs = [given[f"{what}_a_{each}"] for what in ("tokens", "seconds") for each in ("task", "solved_task")]
    assert costs == pytest.approx([6300 / 22, 6300 / 16, 245 / 22, 245 / 16])
    assert given["tokens_a_second"] == pytest.approx(30)


def test_without_costs_they_are_null(store: Store) -> None:
    given = as_json(found(store, RUN, *RESULTS))
    assert (given["tokens_a_task"], given["smallest_difference"]) == (None, None)
