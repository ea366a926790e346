def cross_stream(stones: list[int], leap: int) -> int:
    """Return the least effort of crossing a stream on its stones, from the near bank to the far bank.

    The places of the crossing are the near bank, then each stone in its order, then the far bank.
    Every move goes forward: a step to the next place, or a leap over exactly one stone to the place
    behind it. A leap must not directly follow another leap.

    Arriving on stone i takes the effort stones[i], arriving on the far bank none. A leap takes the
    effort leap besides. No effort is negative, and there may be hundreds of stones.

    >>> cross_stream([1, 9, 1], 2)
    4
    >>> cross_stream([5], 3)
    3
    """
    # solution
    efforts = [*stones, 0]
    unreachable = sum(efforts) + leap + 1
    # The least effort so far, where the last move was: a step to the place before, a step here, a leap here.
    before, stepped, leapt = unreachable, 0, unreachable
    for effort in efforts:
        before, stepped, leapt = stepped, min(stepped, leapt) + effort, before + leap + effort
    return min(stepped, leapt)


def check(candidate):
    assert candidate([], 3) == 0
    assert candidate([4], 3) == 3
    assert candidate([4], 9) == 4
    assert candidate([1, 9, 1], 2) == 4
    assert candidate([5, 5, 5], 1) == 11
    assert candidate([0, 8, 0, 8, 0], 3) == 11
    assert candidate([6, 1, 6, 1, 6], 0) == 8
    assert candidate([9, 0, 0, 9], 1) == 2
    assert candidate([3, 3, 3, 3], 100) == 12
    assert candidate([2] * 300, 0) == 400
    assert candidate([2] * 300, 1) == 500
