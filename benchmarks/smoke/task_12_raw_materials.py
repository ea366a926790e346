def raw_materials(item: str, count: int, recipes: dict[str, dict[str, int]]) -> dict[str, int]:
    """Return how many of each raw material it takes to make count pieces of an item.

    recipes maps a product to the parts that one piece of it is made of, and how many of each. Parts
    may be products too, at any depth, but none contains itself. A product may be made of nothing.
    What has no recipe is a raw material, and may be the item itself. count and all quantities are
    at least 1.

    >>> recipes = {"chair": {"leg": 4, "seat": 1}, "leg": {"wood": 2}, "seat": {"wood": 3, "felt": 1}}
    >>> raw_materials("chair", 2, recipes) == {"wood": 22, "felt": 2}
    True
    """
    # solution
    if item not in recipes:
        return {item: count}
    needed: dict[str, int] = {}
    for part, each in recipes[item].items():
        for material, number in raw_materials(part, count * each, recipes).items():
            needed[material] = needed.get(material, 0) + number
    return needed


def check(candidate):
    recipes = {
        "chair": {"leg": 4, "seat": 1},
        "leg": {"wood": 2},
        "seat": {"wood": 3, "felt": 1},
        "set": {"chair": 6, "table": 1, "wood": 1},
        "table": {"top": 1, "leg": 4},
        "gap": {"hole": 3, "felt": 1},
        "hole": {},
    }
    assert candidate("wood", 5, recipes) == {"wood": 5}
    assert candidate("wood", 1, {}) == {"wood": 1}
    assert candidate("leg", 3, recipes) == {"wood": 6}
    assert candidate("chair", 2, recipes) == {"wood": 22, "felt": 2}
    assert candidate("set", 1, recipes) == {"wood": 75, "felt": 6, "top": 1}
    assert candidate("set", 10, recipes) == {"wood": 750, "felt": 60, "top": 10}
    assert candidate("gap", 2, recipes) == {"felt": 2}
    assert candidate("hole", 4, recipes) == {}
    deep = {f"n{i}": {f"n{i + 1}": 2} for i in range(20)}
    assert candidate("n0", 1, deep) == {"n20": 2**20}
