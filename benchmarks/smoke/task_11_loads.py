from collections.abc import Iterable, Iterator


def loads(parcels: Iterable[int], limit: int) -> Iterator[list[int]]:
    """Yield the loads in which a van takes parcels away, given the weight of each parcel.

    Parcels are taken in their order. A load is as many as weigh no more than limit together; the
    next parcel begins the next load, and the last load is what is left. All weights are above zero.

    The parcels may never end: a load is yielded as soon as the parcel that begins the next one has
    been read. Raises ValueError on reaching a parcel that alone is heavier than limit; the load
    before it need not be yielded.

    >>> list(loads([3, 4, 2, 5, 1], 7))
    [[3, 4], [2, 5], [1]]
    """
    # solution
    load: list[int] = []
    for parcel in parcels:
        if parcel > limit:
            raise ValueError(f"a parcel of {parcel} is too heavy")
        if sum(load) + parcel > limit:
            yield load
            load = []
        load.append(parcel)
    if load:
        yield load


def check(candidate):
    from itertools import count, islice, repeat

    assert list(candidate([], 5)) == []
    assert list(candidate([3, 4, 2, 5, 1], 7)) == [[3, 4], [2, 5], [1]]
    assert list(candidate([5, 5, 5], 5)) == [[5], [5], [5]]
    assert list(candidate(iter([1, 1, 1]), 5)) == [[1, 1, 1]]
    assert list(candidate((1, 5, 1, 5, 1), 6)) == [[1, 5], [1, 5], [1]]
    assert list(islice(candidate(repeat(2), 5), 3)) == [[2, 2], [2, 2], [2, 2]]
    weights = count(1)
    assert next(iter(candidate(weights, 7))) == [1, 2, 3]
    assert next(weights) == 5
    try:
        list(candidate([2, 9, 2], 8))
    except ValueError:
        return
    raise AssertionError("a parcel above the limit raises no ValueError")
