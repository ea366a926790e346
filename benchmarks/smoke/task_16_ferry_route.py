from dataclasses import dataclass


@dataclass(frozen=True)
class Ferry:
    """A ferry that sails from one port to another, in this direction only."""

    origin: str
    target: str
    minutes: int


def ferry_route(ferries: list[Ferry], start: str, goal: str) -> list[str]:
    """Return the ports of the route from start to goal that takes the fewest minutes at sea.

    Changing ferries takes no time, and all minutes are above zero. The ports include start and goal;
    where these are the same the route is that one port. There is never more than one fastest route,
    and there may be hundreds of ferries. Raises ValueError if there is no route.

    >>> ferries = [Ferry("Oban", "Mull", 50), Ferry("Mull", "Iona", 10), Ferry("Oban", "Iona", 75)]
    >>> ferry_route(ferries, "Oban", "Iona")
    ['Oban', 'Mull', 'Iona']
    """
    # solution
    import heapq

    reached = [(0, [start])]
    done: set[str] = set()
    while reached:
        minutes, route = heapq.heappop(reached)
        port = route[-1]
        if port == goal:
            return route
        if port not in done:
            done.add(port)
            for ferry in ferries:
                if ferry.origin == port:
                    heapq.heappush(reached, (minutes + ferry.minutes, [*route, ferry.target]))
    raise ValueError(f"no route from {start} to {goal}")


def check(candidate):
    ferries = [
        Ferry("A", "B", 7),
        Ferry("A", "C", 3),
        Ferry("C", "B", 2),
        Ferry("B", "D", 2),
        Ferry("C", "D", 8),
        Ferry("D", "A", 1),
        Ferry("A", "B", 9),
        Ferry("E", "D", 1),
        Ferry("D", "F", 20),
        Ferry("A", "F", 28),
    ]
    assert candidate(ferries, "A", "B") == ["A", "C", "B"]
    assert candidate(ferries, "A", "D") == ["A", "C", "B", "D"]
    assert candidate(ferries, "D", "B") == ["D", "A", "C", "B"]
    assert candidate(ferries, "A", "F") == ["A", "C", "B", "D", "F"]
    assert candidate(ferries, "B", "A") == ["B", "D", "A"]
    assert candidate(ferries, "E", "E") == ["E"]
    assert candidate([], "X", "X") == ["X"]
    ladder = [Ferry(f"{n}{a}", f"{n + 1}{b}", 1 + (b != "r")) for n in range(30) for a in "lr" for b in "lr"]
    assert candidate(ladder, "0l", "30r") == ["0l"] + [f"{n}r" for n in range(1, 31)]
    for start, goal in (("A", "E"), ("F", "A"), ("Z", "A")):
        try:
            candidate(ferries, start, goal)
        except ValueError:
            continue
        raise AssertionError(f"{start} to {goal} raises no ValueError")
