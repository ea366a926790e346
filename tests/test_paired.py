from __future__ import annotations

import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from pytest_mcode._errors import UsageError
from pytest_mcode._types import Status
from pytest_mcode.metrics import Record
from pytest_mcode.paired import Paired, compared, metric, values


def tasks(*samples: str) -> list[Record]:
    """Tasks 0 … by the letters of their attempts; ``e`` is one that could not be judged."""
    return [Record(f"t/{number}", status(its), its) for number, its in enumerate(samples)]


def status(samples: str) -> Status:
    if "p" in samples:
        return Status.SOLVED
    return Status.ERROR if "e" in samples else Status.UNSOLVED


def found(first: list[Record], second: list[Record], name: str = "solve@budget", drawn: int = 1) -> Paired:
    value = metric(name).of(drawn, whole=True)
    paired = compared(first, second, value)
    assert paired is not None
    return paired


def test_flips_are_counted_on_the_tasks_that_both_judged() -> None:
    first = tasks("p", "p", "f", "f", "e", "p")
    second = tasks("p", "f", "p", "f", "p", "e")
    paired = found(first, second)
    assert (paired.n, paired.gained, paired.lost) == (4, ("t/2",), ("t/1",))
    assert (paired.first.value, paired.second.value, paired.difference) == (0.5, 0.5, 0.0)


def test_tasks_are_matched_by_their_ids_in_whatever_order_they_come() -> None:
    first, second = tasks("p", "p", "f"), tasks("f", "p", "p")
    assert found(first, second[::-1]) == found(first, second)
    assert found(first, second[1:]).n == 2


def test_without_a_common_task_there_is_no_comparison() -> None:
    assert compared(tasks("p", "e"), tasks("e", "f")) is None
    assert compared([], []) is None


@pytest.mark.parametrize(("gained", "lost"), [(9, 1), (3, 3), (0, 6)])
def test_tasks_solved_or_not_get_mcnemar_s_exact_test(gained: int, lost: int) -> None:
    first = tasks(*"f" * gained, *"p" * lost, *"pf" * 5)
    second = tasks(*"p" * gained, *"f" * lost, *"pf" * 5)
    paired = found(first, second)
    assert paired.test == "exact McNemar"
    assert paired.p_value == pytest.approx(mcnemar([[5, lost], [gained, 5]], exact=True).pvalue)
    assert paired.difference == pytest.approx((gained - lost) / (gained + lost + 10))
    assert paired.low < paired.difference < paired.high


def test_shares_of_samples_get_the_permutation_test_and_the_bootstrap() -> None:
    first = tasks("p f f", "f f f", "p p f", "f f f", "p f f", "f f p", "f f f", "f p f")
    second = tasks("p p f", "p f f", "p p p", "f f f", "p p p", "f f p", "p p f", "f f f")
    paired = found(first, second, "pass@1", 3)
    changes = [1 / 3, 1 / 3, 1 / 3, 0, 2 / 3, 0, 2 / 3, -1 / 3]
    assert paired.test == "paired permutation"
    assert paired.difference == pytest.approx(sum(changes) / 8)
    exact = stats.permutation_test((changes,), sum, permutation_type="samples", n_resamples=10_000)
    assert paired.p_value == pytest.approx(exact.pvalue)
    drawn = stats.bootstrap((changes,), lambda each, axis: each.mean(axis), method="percentile", rng=1)
    assert [paired.low, paired.high] == pytest.approx(list(drawn.confidence_interval), abs=0.03)
    assert paired.smallest is not None
    assert 0.2 < paired.smallest < 0.45


def test_runs_that_differ_nowhere_may_still_differ_on_other_tasks() -> None:
    shared = found(tasks(*["p f"] * 24), tasks(*["p f"] * 24), "pass@1", 2)
    assert (shared.difference, shared.p_value) == (0.0, 1.0)
    assert (shared.low, shared.high) == pytest.approx((-0.1066, 0.1066), abs=1e-3)  # 1.96 √(2 / 26) / √26
    assert shared.smallest == pytest.approx(0.3094, abs=1e-4)


def test_a_difference_that_is_the_same_on_every_task_tells_nothing_of_others() -> None:
    paired = found(tasks("p f", "p f"), tasks("p p", "p p"), "pass@1", 2)
    assert (paired.difference, paired.low, paired.high) == (0.5, -1.0, 1.0)


def test_more_comparisons_at_once_show_larger_differences_only() -> None:
    first, second = tasks(*"p" * 30, *"f" * 30), tasks(*"p" * 25, *"f" * 25, *"p" * 10)
    alone, together = compared(first, second), compared(first, second, tests=10)
    assert alone is not None
    assert together is not None
    assert alone.smallest is not None
    assert together.smallest is not None
    assert alone.smallest < together.smallest
    assert alone.p_value == together.p_value


def test_five_tasks_show_no_difference() -> None:
    assert found(tasks(*"fffff"), tasks(*"ppppp")).smallest is None


@pytest.mark.parametrize(
    ("name", "worth"),
    [
        ("pass@1", {"t/0": 2 / 3, "t/1": 1 / 3, "t/2": 0.0}),
        ("pass@2", {"t/0": 1.0, "t/1": 2 / 3, "t/2": 0.0}),
        ("pass^2", {"t/0": 1 / 3, "t/1": 0.0, "t/2": 0.0}),
        ("solve@1x1", {"t/0": 1.0, "t/1": 0.0, "t/2": 0.0, "t/3": 1.0}),
        ("solve@2x2", {"t/0": 1.0, "t/1": 1.0, "t/2": 0.0, "t/3": 1.0}),
        ("solve@budget", {"t/0": 1.0, "t/1": 1.0, "t/2": 0.0, "t/3": 1.0}),
    ],
)
def test_a_metric_tells_what_a_task_of_all_samples_is_worth(name: str, worth: dict[str, float]) -> None:
    found = tasks("p p ff", "ff fp p", "ff ff ff", "p e ff", "e ff ff")  # the last two met an error
    assert values(found, metric(name).of(3, whole=True)) == pytest.approx(worth)


@pytest.mark.parametrize(
    ("name", "worth"),
    [
        ("pass@1", {"t/0": 1.0, "t/1": 0.0, "t/2": 0.0, "t/3": 0.0}),
        ("pass@2", {"t/0": 1.0, "t/1": 1.0, "t/3": 0.0}),
        ("pass^2", {}),
        ("solve@2x1", {"t/0": 1.0, "t/1": 1.0, "t/3": 0.0}),
        ("solve@budget", {"t/0": 1.0, "t/1": 1.0, "t/2": 1.0, "t/3": 0.0}),
    ],
)
def test_a_metric_tells_what_a_task_is_worth_whose_sampling_stopped(name: str, worth: dict[str, float]) -> None:
    found = tasks("p", "ff p", "fp", "ff ff ff")
    assert values(found, metric(name).of(3, whole=False)) == worth


def test_a_sample_that_met_an_error_did_not_solve_a_task_that_another_did() -> None:
    found = tasks("e fp", "fe p")
    assert values(found, metric("solve@1x2").of(2, whole=True)) == {"t/0": 0.0, "t/1": 0.0}
    assert values(found, metric("solve@2x2").of(2, whole=True)) == {"t/0": 1.0, "t/1": 1.0}


@pytest.mark.parametrize(
    "name", ["", "pass", "pass@", "pass@0", "pass@-1", "solve@1", "solve@0x1", "pass@1 ", "pass@\u0661"]
)
def test_a_name_that_is_no_metric_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(UsageError, match=r"must be pass@K, pass\^K .* solve@budget .* or solve@SxA"):
        metric(name)
