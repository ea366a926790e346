from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from pytest_mcode._rows import Tasks
from pytest_mcode._types import Status, Verdict
from pytest_mcode.metrics import Rate, Record, estimate, interval, pass_at_k, records, solve_at_budget, verdicts


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


@pytest.mark.parametrize("n", [1, 7, 164, 500])
def test_wilson_s_interval_is_scipys(n: int) -> None:
    for solved in range(0, n + 1, max(1, n // 7)):
        expected = stats.binomtest(solved, n).proportion_ci(0.95, method="wilson")
        rate = interval([1.0] * solved + [0.0] * (n - solved))
        assert [rate.low, rate.high] == pytest.approx([expected.low, expected.high], abs=1e-12)


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


@pytest.mark.parametrize("n", [2, 5, 10, 50, 164, 500])
@pytest.mark.parametrize(("a", "b"), [(0.6, 0.6), (0.2, 1.0), (2.0, 2.0)])
def test_its_ends_are_as_near_the_exact_ones_as_those_of_thousands_of_resamples(n: int, a: float, b: float) -> None:
    chance = np.random.default_rng(n)
    values = [float(v) / 10 for v in chance.binomial(10, chance.beta(a, b, n))]
    drawn = stats.bootstrap(
        (values,), lambda sample, axis: sample.mean(axis), n_resamples=2000, method="percentile", rng=0
    ).confidence_interval
    exact = resampled(values)
    rate, width = interval(values), exact[1] - exact[0]
    assert [rate.low, rate.high] == pytest.approx(exact, abs=0.06 * width)
    if n > 10:
        assert [rate.low, rate.high] == pytest.approx([drawn.low, drawn.high], abs=0.08 * width)


def resampled(values: list[float]) -> list[float]:
    """The percentiles of the mean of all resamples there are, of values that are tenths."""
    single = np.bincount([round(10 * value) for value in values], minlength=11) / len(values)
    every = np.ones(1)
    for _ in values:
        every = np.convolve(every, single)
    return [float(np.searchsorted(np.cumsum(every), share)) / 10 / len(values) for share in (0.025, 0.975)]


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
