from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from pytest_mcode._statistics import (
    bootstrap,
    holm,
    mcnemar,
    mcnemar_power,
    paired_interval,
    permutation,
    smallest_difference,
    smallest_mean,
    wilson,
)


@pytest.mark.parametrize("n", [1, 7, 164, 500])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_s_interval_is_that_of_statsmodels(n: int, confidence: float) -> None:
    for solved in range(0, n + 1, max(1, n // 7)):
        expected = proportion_confint(solved, n, 1 - confidence, method="wilson")
        assert wilson(solved, n, confidence) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("n", "p"), [(24, 0.5), (24, 0.9), (164, 0.3), (164, 0.95)])
def test_wilson_s_interval_holds_the_truth_about_as_often_as_it_says(n: int, p: float) -> None:
    chances = stats.binom.pmf(np.arange(n + 1), n, p)
    held = [low <= p <= high for low, high in (wilson(solved, n, 0.95) for solved in range(n + 1))]
    assert float(chances @ held) == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize("n", [10, 50, 164])
def test_the_bootstrap_is_scipy_s_but_for_chance(n: int) -> None:
    chance = np.random.default_rng(n)
    values = chance.binomial(5, chance.beta(0.6, 0.6, n)) / 5
    counts = {float(value): int(number) for value, number in zip(*np.unique(values, return_counts=True), strict=True)}
    drawn = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    low, high = bootstrap(counts, 0.95)
    assert [low, high] == pytest.approx([drawn.low, drawn.high], abs=0.06 * (drawn.high - drawn.low))
    assert bootstrap(counts, 0.95) == (low, high)  # its draws are always the same


def test_the_bootstrap_holds_the_truth_about_as_often_as_it_says() -> None:
    """Tasks pass with chances of Beta(0.6, 0.6), each sampled five times: pass@1 is 0.5."""
    chance = np.random.default_rng(7)
    held = 0
    for _ in range(400):
        values, numbers = np.unique(chance.binomial(5, chance.beta(0.6, 0.6, 100)) / 5, return_counts=True)
        low, high = bootstrap({float(v): int(k) for v, k in zip(values, numbers, strict=True)}, 0.95)
        held += low <= 0.5 <= high
    assert held / 400 == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (9, 1), (5, 5), (2, 17), (0, 6), (60, 40)])
def test_mcnemar_s_exact_test_is_that_of_statsmodels(gained: int, lost: int) -> None:
    expected = reference_mcnemar([[50, lost], [gained, 30]], exact=True).pvalue if gained + lost else 1.0
    assert mcnemar(gained, lost) == pytest.approx(expected)


def test_mcnemar_s_test_finds_a_difference_where_there_is_none_no_more_often_than_it_says() -> None:
    flips = stats.binom.pmf(np.arange(31), 64, 0.2)
    found = [
        sum(stats.binom.pmf(gained, m, 0.5) for gained in range(m + 1) if mcnemar(gained, m - gained) < 0.05)
        for m in range(31)
    ]
    assert 0.02 < float(flips @ found) <= 0.05


@pytest.mark.parametrize("differences", [[0.2, 0.4, -0.2, 0.6, 0.0, 0.2], [1.0] * 6, [0.5, -0.5], [0.25] * 9 + [-1.0]])
def test_the_permutation_test_tries_every_sign_where_there_are_few(differences: list[float]) -> None:
    told = [each for each in differences if each]
    signs = itertools.product((1, -1), repeat=len(told))
    sums = [abs(math.fsum(sign * each for sign, each in zip(its, told, strict=True))) for its in signs]
    extreme = sum(each >= abs(math.fsum(told)) - 1e-9 for each in sums)
    assert permutation(differences) == pytest.approx(extreme / len(sums))


def test_the_permutation_test_of_flips_alone_is_mcnemar_s() -> None:
    assert permutation([1.0] * 9 + [-1.0] + [0.0] * 14) == pytest.approx(mcnemar(9, 1))
    assert permutation([1.0] * 30 + [-1.0] * 15) == pytest.approx(mcnemar(30, 15), abs=0.01)
    assert permutation([0.0] * 5) == 1.0


@pytest.mark.parametrize(("gained", "lost", "n"), [(9, 1, 24), (0, 0, 24), (40, 25, 164)])
def test_the_interval_of_a_difference_is_the_adjusted_formula_s(gained: int, lost: int, n: int) -> None:
    first, second = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = 1.959963984540054 * math.sqrt((first + second - (first - second) ** 2) / (n + 2))
    assert paired_interval(gained, lost, n, 0.95) == pytest.approx((first - second - half, first - second + half))


def test_the_interval_of_a_difference_ends_where_differences_do() -> None:
    assert paired_interval(2, 0, 2, 0.95)[1] == 1.0
    assert paired_interval(0, 2, 2, 0.95)[0] == -1.0


def drawn(n: int, gain: float, loss: float) -> Iterator[tuple[int, int, float]]:
    """Numbers of tasks gained and lost in 4,000 comparisons, and the share of comparisons that came to them."""
    made = np.random.default_rng(3).multinomial(n, [gain, loss, 1 - gain - loss], 4000)
    for (gained, lost, _), number in zip(*np.unique(made, axis=0, return_counts=True), strict=True):
        yield int(gained), int(lost), number / 4000


@pytest.mark.parametrize(
    ("n", "gain", "loss", "share"),
    [(24, 0.3, 0.05, 0.95), (164, 0.12, 0.05, 0.95), (164, 0.1, 0.1, 0.95), (50, 0.02, 0.02, 1.0)],
)
def test_the_interval_of_a_difference_holds_the_truth_at_least_about_as_often_as_it_says(
    n: int, gain: float, loss: float, share: float
) -> None:
    held = 0.0
    for gained, lost, number in drawn(n, gain, loss):
        low, high = paired_interval(gained, lost, n, 0.95)
        held += number * (low <= gain - loss <= high)
    assert held == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize(("n", "discordant"), [(24, 0.4), (164, 0.2), (164, 0.1), (500, 0.2), (50, 0.0)])
def test_the_smallest_difference_is_seen_four_times_out_of_five(n: int, discordant: float) -> None:
    least = smallest_difference(n, discordant)
    flips = max(discordant, least)
    seen = sum(
        number
        for gained, lost, number in drawn(n, (flips + least) / 2, (flips - least) / 2)
        if gained > lost and mcnemar(gained, lost) < 0.05
    )
    assert seen == pytest.approx(0.8, abs=0.025)


@pytest.mark.parametrize(
    ("n", "few", "many"), [(164, 7.0, 10.1), (378, 4.7, 6.6), (500, 4.1, 5.7)], ids=["HumanEval", "MBPP+", "MBPP test"]
)
def test_the_published_sets_show_differences_of_as_many_points_as_docs_statistics_tells(
    n: int, few: float, many: float
) -> None:
    found = [round(100 * smallest_difference(n, discordant), 1) for discordant in (0.1, 0.2)]
    assert found == [few, many]


@pytest.mark.parametrize("n", range(6))
def test_fewer_than_six_tasks_show_nothing(n: int) -> None:
    assert smallest_difference(n, 0.5) == math.inf


def test_six_flips_one_way_are_the_fewest_that_show_something() -> None:
    assert mcnemar_power(6, 1.0, 1.0, 0.05) == 1.0
    assert smallest_difference(6, 0.0) == pytest.approx(0.8 ** (1 / 6), abs=1e-5)


def test_more_tasks_or_a_weaker_level_show_smaller_differences() -> None:
    assert smallest_difference(500, 0.2) < smallest_difference(164, 0.2) < smallest_difference(164, 0.2, alpha=0.01)
    assert smallest_difference(164, 0.2, power=0.5) < smallest_difference(164, 0.2) < smallest_difference(164, 0.4)


@pytest.mark.parametrize(("n", "spread"), [(164, 0.05), (500, 0.1)])
def test_the_smallest_mean_is_seen_about_four_times_out_of_five(n: int, spread: float) -> None:
    least = smallest_mean(n, spread)
    drawn = np.random.default_rng(6).normal(least, math.sqrt(spread - least**2), (400, n))
    seen = np.mean([stats.ttest_1samp(each, 0).pvalue < 0.05 for each in drawn])
    assert seen == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize(
    "p_values", [[0.01], [0.01, 0.04, 0.03, 0.005], [1.0, 0.5, 0.5], [0.04, 0.04, 0.04], [0.9, 1e-9], []]
)
def test_holm_s_adjustment_is_that_of_statsmodels(p_values: list[float]) -> None:
    expected = list(multipletests(p_values, method="holm")[1]) if p_values else []
    assert holm(p_values) == pytest.approx(expected)
