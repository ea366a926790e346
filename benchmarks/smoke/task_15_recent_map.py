from typing import Any


class RecentMap:
    """A mapping that keeps only the entries that were used last.

    RecentMap(capacity) holds at most capacity entries; ValueError if capacity is below 1.
    Writing (recent[key] = value) and reading (recent[key]) an entry use it. Reading a key that is not
    there raises KeyError. Writing a new key to a full map drops the entry whose last use is longest
    ago. len(recent) and "key in recent" work as for a dictionary and use nothing. Iterating gives the
    keys, the one whose last use is longest ago first, and uses nothing.

    >>> recent = RecentMap(2)
    >>> recent["a"] = 1
    >>> recent["b"] = 2
    >>> recent["a"]
    1
    >>> recent["c"] = 3
    >>> list(recent)
    ['a', 'c']
    """

    # solution
    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("the capacity must be at least 1")
        self.capacity = capacity
        self.entries: dict[Any, Any] = {}  # a dictionary keeps its keys in the order of insertion

    def __getitem__(self, key: Any) -> Any:
        value = self.entries.pop(key)
        self.entries[key] = value
        return value

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries.pop(key, None)
        if len(self.entries) == self.capacity:
            del self.entries[next(iter(self.entries))]
        self.entries[key] = value

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, key: Any) -> bool:
        return key in self.entries

    def __iter__(self) -> Any:
        return iter(list(self.entries))


def check(candidate):
    recent = candidate(3)
    assert (len(recent), list(recent), "a" in recent) == (0, [], False)
    for key in "abc":
        recent[key] = key.upper()
    assert recent["a"] == "A"
    recent["d"] = None
    assert list(recent) == ["c", "a", "d"]
    assert "b" not in recent
    recent["a"] = "new"
    assert list(recent) == ["c", "d", "a"]
    assert "c" in recent
    recent[5] = 5
    assert len(recent) == 3
    assert list(recent) == ["d", "a", 5]
    assert (recent["d"], recent["a"]) == (None, "new")
    single = candidate(1)
    single["x"], single["y"] = 1, 2
    assert list(single) == ["y"]
    try:
        single["x"]
    except KeyError:
        assert list(single) == ["y"]
    else:
        raise AssertionError("reading a key that is not there raises no KeyError")
    try:
        candidate(0)
    except ValueError:
        return
    raise AssertionError("a capacity of 0 raises no ValueError")
