def merge_orders(orders: list[dict[str, int]]) -> dict[str, int]:
    """Add up orders, each of which maps items to quantities. A negative quantity gives items back.

    Items whose total is zero or less are left out. The keys of the result are in alphabetical
    order. The orders themselves are not changed.

    >>> merge_orders([{"tea": 2, "milk": 1}, {"tea": 3, "milk": -1}, {"jam": 1}])
    {'jam': 1, 'tea': 5}
    """
    # solution
    totals: dict[str, int] = {}
    for order in orders:
        for item, quantity in order.items():
            totals[item] = totals.get(item, 0) + quantity
    return {item: totals[item] for item in sorted(totals) if totals[item] > 0}


def check(candidate):
    assert candidate([]) == {}
    assert candidate([{}, {"tea": 1}, {}]) == {"tea": 1}
    assert candidate([{"tea": 2, "milk": 1}, {"tea": 3, "milk": -1}, {"jam": 1}]) == {"jam": 1, "tea": 5}
    assert candidate([{"nut": -4}, {"nut": 1}]) == {}
    assert candidate([{"nut": 2}, {"nut": -3}, {"nut": 3}]) == {"nut": 2}
    assert list(candidate([{"pear": 1, "fig": 1}, {"apple": 1, "kiwi": 0}])) == ["apple", "fig", "pear"]
    orders = [{"oil": 1}, {"oil": 2}]
    assert candidate(orders) == {"oil": 3}
    assert orders == [{"oil": 1}, {"oil": 2}]
