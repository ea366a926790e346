from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from pytest_mcode._types import Status, Verdict
from pytest_mcode.metrics import Rate, Record, estimate, interval, pass_at_k, records, solve_at_budget

P, F, E = (Verdict.PASSED,), (Verdict.FAILED,), (Verdict.ERROR,)
REPAIRED = (Verdict.FAILED, Verdict.PASSED)
SPENT = (Verdict.FAILED, Verdict.TIMEOUT)


def task(*samples: tuple[Verdict, ...]) -> Record:
    ends = [sample[-1] for sample in samples]
    unsolved = Status.ERROR if Verdict.ERROR in ends or not ends else Status.UNSOLVED
    return Record("t", Status.SOLVED if Verdict.PASSED in ends else unsolved, samples)


def first_success(tasks: Sequence[Record], k: int, drawn: int) -> float | None:
    rate = pass_at_k(tasks, k, drawn=drawn, all_samples=False)
    return None if rate is None else rate.value


def unbiased(tasks: Sequence[Record], k: int, drawn: int) -> float | None:
    rate = pass_at_k(tasks, k, drawn=drawn, all_samples=True)
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
    tasks = [task(P), task(F), task(F), task(REPAIRED)]
    assert first_success(tasks, 1, 1) == 0.25


def test_errors_are_no_failures() -> None:
    tasks = [task(P), task(F), task(E), task()]
    rate = pass_at_k(tasks, 1, drawn=1, all_samples=False)
    assert rate is not None
    assert (rate.value, rate.n) == (0.5, 2)
    budget = solve_at_budget(tasks, 1, 1)
    assert budget is not None
    assert (budget.value, budget.n) == (0.5, 2)


def test_nothing_is_known_where_no_task_was_judged() -> None:
    for all_samples in (False, True):
        assert pass_at_k([], 1, drawn=1, all_samples=all_samples) is None
        assert pass_at_k([task(E)], 1, drawn=1, all_samples=all_samples) is None
    assert solve_at_budget([task(E)], 1, 1) is None


@pytest.mark.parametrize("all_samples", [False, True])
@pytest.mark.parametrize("k", [-1, 0, 4])
def test_a_k_that_is_not_one_of_the_samples_is_refused(k: int, *, all_samples: bool) -> None:
    assert pass_at_k([task(F, F, F)], k, drawn=3, all_samples=all_samples) is None
    assert pass_at_k([task(F, F, F)], 3, drawn=3, all_samples=all_samples) is not None


def test_sampling_that_stops_early_counts_the_first_success_within_k() -> None:
    tasks = [task(P), task(F, P), task(F, F, P), task(F, F, F)]
    assert [first_success(tasks, k, 3) for k in (1, 2, 3)] == [0.25, 0.5, 0.75]


def test_all_samples_are_averaged_over_tasks() -> None:
    tasks = [task(P, P, F), task(F, F, P), task(F, F, F)]
    assert unbiased(tasks, 1, 3) == pytest.approx((2 / 3 + 1 / 3 + 0) / 3)
    assert unbiased(tasks, 2, 3) == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert unbiased(tasks, 3, 3) == pytest.approx(2 / 3)


def test_a_task_solved_before_a_sample_met_an_error_has_too_few_samples_to_estimate_from() -> None:
    tasks = [task(P, E), task(P, F, F), task(F, F, F)]
    rate = pass_at_k(tasks, 3, drawn=3, all_samples=True)
    assert rate is not None
    assert (rate.value, rate.n) == (0.5, 2)
    assert unbiased([task(P, F, E)], 1, 3) is None


def test_debug_iterations_are_no_samples() -> None:
    tasks = [task(REPAIRED, P, SPENT), task(SPENT, SPENT, SPENT)]
    assert unbiased(tasks, 1, 3) == pytest.approx(1 / 6)
    budget = solve_at_budget(tasks, 1, 2)
    assert budget is not None
    assert budget.value == 0.5


def test_what_a_repair_kept_from_being_drawn_is_not_guessed() -> None:
    tasks = [task(SPENT, REPAIRED), task(P)]
    assert [first_success(tasks, k, 3) for k in (1, 2, 3)] == [0.5, 0.5, None]


def test_a_repair_by_the_last_sample_keeps_nothing_from_being_drawn() -> None:
    assert first_success([task(SPENT, SPENT, REPAIRED), task(P)], 3, 3) == 0.5


def test_the_budget_counts_samples_and_attempts() -> None:
    found = [task(P), task(REPAIRED), task(SPENT, P), task(SPENT, REPAIRED), task(SPENT, SPENT)]
    rates = {(n, k): solve_at_budget(found, n, k) for n in (1, 2) for k in (1, 2)}
    assert {place: rate and rate.value for place, rate in rates.items()} == {
        (1, 1): 0.2,
        (1, 2): 0.4,
        (2, 1): 0.4,
        (2, 2): 0.8,
    }


def test_rows_become_records_in_order() -> None:
    results = [{"task_id": "b", "status": "solved"}, {"task_id": "a", "status": "error"}]
    attempts = [
        {"task_id": "b", "sample": 1, "verdict": "no_code"},
        {"task_id": "b", "sample": 1, "verdict": "passed"},
        {"task_id": "b", "sample": 0, "verdict": "timeout"},
        {"task_id": "unfinished", "sample": 0, "verdict": "passed"},
    ]
    assert records(results, attempts) == [
        Record("b", Status.SOLVED, ((Verdict.TIMEOUT,), (Verdict.NO_CODE, Verdict.PASSED))),
        Record("a", Status.ERROR, ()),
    ]


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
    return [task(*(P if passes else F for passes in chance.random(10) < chance.beta(0.6, 0.6))) for _ in range(2000)]


def stopped(tasks: Sequence[Record]) -> list[Record]:
    return [task(*t.samples[: 1 + next((i for i, s in enumerate(t.samples) if s == P), 9)]) for t in tasks]


def true_pass_at(k: int) -> float:
    """Of tasks whose chance is Beta(0.6, 0.6): 1 - E[(1 - p)^k]."""
    return 1 - math.prod((0.6 + i) / (1.2 + i) for i in range(k))


@pytest.mark.parametrize("k", [1, 2, 5, 10])
def test_both_ways_to_pass_at_k_are_unbiased_and_their_intervals_hold_the_truth(drawn: list[Record], k: int) -> None:
    whole = pass_at_k(drawn, k, drawn=10, all_samples=True)
    early = pass_at_k(stopped(drawn), k, drawn=10, all_samples=False)
    for rate in (whole, early):
        assert rate is not None
        assert rate.value == pytest.approx(true_pass_at(k), abs=0.025)
        assert rate.low < true_pass_at(k) < rate.high
        assert rate.n == 2000


def test_the_estimator_over_samples_that_stopped_early_would_be_biased(drawn: list[Record]) -> None:
    counts = [(len(t.samples), t.samples.count(P)) for t in stopped(drawn)]
    biased = sum(estimate(n, passed, 1) for n, passed in counts) / len(counts)
    assert biased > true_pass_at(1) + 0.08
