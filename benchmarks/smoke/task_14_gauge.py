class Gauge:
    """Statistics of a stream of numbers, without keeping the numbers.

    Gauge() has seen none. gauge.add(value) takes in one more.
    gauge.count, gauge.mean and gauge.variance tell of those seen so far; the variance is the mean
    squared distance from the mean. Reading mean or variance raises ValueError while count is 0.
    one + other is a new gauge, as if it had seen all that both have seen; they stay as they are.

    All are exact up to rounding, even where numbers are huge and lie close together: the variance of
    1e9 + 1, 1e9 + 2 and 1e9 + 3 is 2/3, within a millionth of it.

    >>> gauge = Gauge()
    >>> for value in (2.0, 4.0, 9.0):
    ...     gauge.add(value)
    >>> gauge.count, gauge.mean
    (3, 5.0)
    >>> round(gauge.variance, 6)
    8.666667
    """

    # solution
    def __init__(self, count: int = 0, mean: float = 0.0, squares: float = 0.0) -> None:
        self.count = count
        self.centre = mean
        self.squares = squares  # the sum of squared distances from the mean

    def add(self, value: float) -> None:
        self.count += 1
        distance = value - self.centre
        self.centre += distance / self.count
        self.squares += distance * (value - self.centre)

    @property
    def mean(self) -> float:
        if not self.count:
            raise ValueError("no numbers yet")
        return self.centre

    @property
    def variance(self) -> float:
        if not self.count:
            raise ValueError("no numbers yet")
        return self.squares / self.count

    def __add__(self, other: "Gauge") -> "Gauge":
        count = self.count + other.count
        if not count:
            return Gauge()
        distance = other.centre - self.centre
        mean = self.centre + distance * other.count / count
        squares = self.squares + other.squares + distance**2 * self.count * other.count / count
        return Gauge(count, mean, squares)


def check(candidate):
    from math import isclose

    def fed(*values: float) -> Gauge:
        gauge: Gauge = candidate()
        for value in values:
            gauge.add(value)
        return gauge

    assert (candidate().count, fed(7.5).count) == (0, 1)
    assert isclose(fed(7.5).mean, 7.5)
    assert isclose(fed(7.5).variance, 0.0, abs_tol=1e-12)
    assert isclose(fed(2, 4, 9).variance, 26 / 3)
    assert isclose(fed(1e9 + 1, 1e9 + 2, 1e9 + 3).variance, 2 / 3, rel_tol=1e-6)
    assert isclose((fed(1e9 + 1, 1e9 + 2) + fed(1e9 + 3)).variance, 2 / 3, rel_tol=1e-6)
    left, right = fed(-1, 0.5), fed(10, 20, 30)
    both = left + right
    assert (left.count, right.count, both.count) == (2, 3, 5)
    assert isclose(both.mean, 11.9)
    assert isclose(both.variance, fed(-1, 0.5, 10, 20, 30).variance)
    assert isclose(left.mean, -0.25)
    assert isclose((candidate() + left).mean, -0.25)
    assert isclose((left + candidate()).variance, left.variance)
    for gauge in (candidate(), candidate() + candidate()):
        for name in ("mean", "variance"):
            try:
                getattr(gauge, name)
            except ValueError:
                continue
            raise AssertionError(f"the {name} of nothing raises no ValueError")
