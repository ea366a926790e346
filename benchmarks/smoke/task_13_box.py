class Box:
    """A box with three sides, where it does not matter which way round it lies.

    Box(a, b, c) takes three whole numbers; ValueError if any of them is below 1.
    Two boxes are equal if their sides are the same in any order, and equal boxes have equal hashes;
    a box is not equal to anything that is not a box.
    repr(box) is Box(...) with the sides in ascending order. box.volume is an attribute or property.
    "small in large" tells whether box small fits into box large when turned suitably, sides
    parallel to sides; a box fits into one of its own size.

    >>> Box(3, 1, 2) == Box(1, 2, 3)
    True
    >>> Box(3, 1, 2)
    Box(1, 2, 3)
    >>> Box(4, 1, 2) in Box(2, 9, 4)
    True
    """

    # solution
    def __init__(self, a: int, b: int, c: int) -> None:
        if min(a, b, c) < 1:
            raise ValueError("a side must be at least 1")
        self.sides = sorted((a, b, c))
        self.volume = a * b * c

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Box) and self.sides == other.sides

    def __hash__(self) -> int:
        return hash(tuple(self.sides))

    def __repr__(self) -> str:
        return f"Box({', '.join(map(str, self.sides))})"

    def __contains__(self, other: "Box") -> bool:
        return all(inner <= outer for inner, outer in zip(other.sides, self.sides, strict=True))


def check(candidate):
    assert repr(candidate(30, 1, 2)) == "Box(1, 2, 30)"
    assert candidate(3, 1, 2).volume == 6
    assert candidate(3, 1, 2) == candidate(2, 3, 1)
    assert candidate(1, 1, 2) != candidate(1, 2, 2)
    assert candidate(1, 1, 6) != candidate(1, 2, 3)
    assert candidate(1, 2, 3) != (1, 2, 3)
    assert len({candidate(1, 2, 3), candidate(3, 2, 1), candidate(3, 3, 1)}) == 2
    assert candidate(4, 1, 2) in candidate(2, 9, 4)
    assert candidate(1, 2, 3) in candidate(3, 2, 1)
    assert candidate(5, 1, 1) not in candidate(4, 4, 4)
    assert candidate(2, 2, 2) not in candidate(1, 9, 9)
    for sides in ((0, 1, 2), (1, -1, 2), (1, 2, 0)):
        try:
            candidate(*sides)
        except ValueError:
            continue
        raise AssertionError(f"{sides} raises no ValueError")
