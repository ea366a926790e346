def island_date(days: int) -> tuple[int, int, int]:
    """Return the date on an island's calendar as (year, month, day), each counted from 1.

    days is the number of days since the first day of year 1, whose date is (1, 1, 1). A year has 12
    months of 30 days and then, as month 13, its rest days: 6 of them in a year that is divisible by
    4, 5 in any other. Raises ValueError if days is negative.

    >>> island_date(31)
    (1, 2, 2)
    >>> island_date(364)
    (1, 13, 5)
    """
    # solution
    if days < 0:
        raise ValueError("the calendar begins with year 1")
    year = 1
    while days >= (length := 366 if year % 4 == 0 else 365):
        days -= length
        year += 1
    return year, days // 30 + 1, days % 30 + 1


def check(candidate):
    assert candidate(0) == (1, 1, 1)
    assert candidate(29) == (1, 1, 30)
    assert candidate(30) == (1, 2, 1)
    assert candidate(359) == (1, 12, 30)
    assert candidate(360) == (1, 13, 1)
    assert candidate(365) == (2, 1, 1)
    assert candidate(3 * 365 + 365) == (4, 13, 6)
    assert candidate(3 * 365 + 366) == (5, 1, 1)
    assert candidate(25 * 1461 - 1) == (100, 13, 6)
    assert candidate(25 * 1461 + 45) == (101, 2, 16)
    try:
        candidate(-1)
    except ValueError:
        return
    raise AssertionError("a negative number of days raises no ValueError")
