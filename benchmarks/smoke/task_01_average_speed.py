def average_speed(legs: list[tuple[float, float]]) -> float:
    """Return the average speed of a whole journey in km/h: all of its distance over all of its time.

    Each leg is a pair: its distance in km, and the speed in km/h at which it was travelled.
    There is at least one leg, and all numbers are above zero.

    >>> average_speed([(60.0, 30.0), (60.0, 60.0)])
    40.0
    """
    # solution
    distance = sum(km for km, _ in legs)
    hours = sum(km / speed for km, speed in legs)
    return distance / hours


def check(candidate):
    from math import isclose

    assert isclose(candidate([(60.0, 30.0), (60.0, 60.0)]), 40.0)
    assert isclose(candidate([(12.5, 50.0)]), 50.0)
    assert isclose(candidate([(1.0, 10.0), (9.0, 90.0)]), 50.0)
    assert isclose(candidate([(10.0, 100.0), (0.1, 1.0)]), 50.5)
    assert isclose(candidate([(1.0, 3.0), (1.0, 7.0), (1.0, 11.0)]), 693 / 131)
    assert isclose(candidate([(0.1, 0.3)] * 30), 0.3)
