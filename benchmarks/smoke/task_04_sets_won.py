def sets_won(score: str) -> tuple[int, int]:
    """Count the sets that each of two teams has won.

    A score is one set or more, with one space between two sets. A set is the points of the first
    team, a hyphen and the points of the second team; points are decimal digits. Who has more
    points has won the set. Raises ValueError for a text of any other form, and for a set in which
    both have the same points.

    >>> sets_won("25-21 19-25 25-9")
    (2, 1)
    """
    # solution
    first = second = 0
    for played in score.split(" "):
        left, hyphen, right = played.partition("-")
        if not (hyphen and left.isdecimal() and right.isdecimal()) or int(left) == int(right):
            raise ValueError(f"not a set: {played!r}")
        if int(left) > int(right):
            first += 1
        else:
            second += 1
    return first, second


def check(candidate):
    assert candidate("25-21 19-25 25-9") == (2, 1)
    assert candidate("0-1") == (0, 1)
    assert candidate("9-11 11-9") == (1, 1)
    assert candidate("100-98 25-3 25-7 25-8") == (4, 0)
    for bad in ("", "25", "25-", "-25", "25:21", "25-21,25-9", "25-21-3", "2x-21", "25-21 next", "7-7", "25-21 07-7"):
        try:
            candidate(bad)
        except ValueError:
            continue
        raise AssertionError(f"{bad!r} raises no ValueError")
