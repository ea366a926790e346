"""Intervals and tests through SciPy and NumPy, which are imported here alone, and only when they are called."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

#: Draws of a bootstrap, and permutations where there are too many to try them all; their seed makes them repeatable.
RESAMPLES, PERMUTATIONS, SEED = 2_000, 9_999, 20_240_229

Interval = tuple[float, float]


def wilson(successes: int, n: int, confidence: float) -> Interval:
    """Wilson's score interval of a share (Wilson 1927)."""
    from scipy.stats import binomtest

    low, high = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return float(low), float(high)


def bootstrap(counts: Mapping[float, int], confidence: float) -> Interval:
    """The percentile bootstrap of a mean over tasks (Efron 1979), all resamples drawn at once.

    Args:
        counts: How many tasks have each value. A resample of n tasks holds each value a multinomial number of times.
        confidence: The share of such intervals that hold the truth.
    """
    import numpy as np

    n = sum(counts.values())
    values = np.array(sorted(counts), dtype=float)
    shares = np.array([counts[value] for value in sorted(counts)], dtype=float) / n
    means = np.random.default_rng(SEED).multinomial(n, shares, RESAMPLES) @ values / n
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def mcnemar(gained: int, lost: int) -> float:
    """The exact two-sided p-value of McNemar's test: so many flips either way, were both as likely."""
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost, 0.5).pvalue) if gained + lost else 1.0


def permutation(differences: Sequence[float]) -> float:
    """The two-sided p-value of the paired permutation test on the mean: each difference might have had either sign."""
    import numpy as np
    from scipy.stats import permutation_test

    told = np.array([difference for difference in differences if difference], dtype=float)
    if not len(told):
        return 1.0  # nothing differs, whichever way round

    def mean(first: Any, second: Any, axis: int) -> Any:  # arrays of SciPy's making
        return np.mean(first - second, axis=axis)

    found = permutation_test(
        (told, np.zeros_like(told)),
        mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        batch=1_000,
        rng=np.random.default_rng(SEED),
    )
    return float(found.pvalue)


def paired_interval(gained: int, lost: int, n: int, confidence: float) -> Interval:
    """The adjusted Wald interval of a difference of paired shares (Bonett and Price 2012), from -1 to 1."""
    first, second = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = _z((1 + confidence) / 2) * math.sqrt((first + second - (first - second) ** 2) / (n + 2))
    return max(-1.0, first - second - half), min(1.0, first - second + half)


@lru_cache(maxsize=1024)
def smallest_difference(n: int, discordant: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest difference of two paired shares that McNemar's exact test shows with that power on n tasks.

    Args:
        n: Tasks that both were asked.
        discordant: The share of tasks that one solves and the other does not; a larger difference needs as many.
        alpha: Level of the two-sided test.
        power: Chance of seeing such a difference.

    Returns:
        From 0 to 1; infinite where so few tasks show no difference at all.
    """
    from scipy.optimize import brentq

    def missing(difference: float) -> float:
        return mcnemar_power(n, max(discordant, difference), difference, alpha) - power

    return float(brentq(missing, 0.0, 1.0, xtol=1e-6)) if n and missing(1.0) >= 0 else math.inf


def mcnemar_power(n: int, discordant: float, difference: float, alpha: float) -> float:
    """The chance that McNemar's exact test finds such a difference, in the right direction, on n tasks."""
    import numpy as np
    from scipy.stats import binom

    fewest, most = binom.ppf([1e-9, 1 - 1e-9], n, discordant)
    flips = np.arange(max(1, fewest), most + 1)
    gains = binom.isf(alpha / 2, flips, 0.5)  # with more of so many flips one way, p is at most alpha
    seen = binom.sf(gains, flips, (1 + difference / discordant) / 2 if discordant else 0.5)
    return float(binom.pmf(flips, n, discordant) @ seen)


def smallest_mean(n: int, spread: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The same for the mean of n differences whose mean square is ``spread``, by the normal approximation."""
    # solves n d² = (z₁ √s + z₂ √(s - d²))² (Connor 1987) for d
    z_alpha, z_power, d = _z(1 - alpha / 2), _z(power), 0.0
    for _ in range(100):
        d = (z_alpha * math.sqrt(spread) + z_power * math.sqrt(max(0.0, spread - d * d))) / math.sqrt(n)
    return d


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for that many tests, step down (Holm 1979), in the order in which they came."""
    adjusted, highest, m = [0.0] * len(p_values), 0.0, len(p_values)
    for rank, place in enumerate(sorted(range(m), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (m - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def _z(share: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(share)
