"""pytest's loop over items, with tasks solved ahead: an item's own protocol runs when its task is done.

So reports, durations, -x and Ctrl-C are pytest's own, while the model server always has as much to do as it can serve.
"""

from __future__ import annotations

import heapq
import queue
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pytest_mcode._errors import DataError
from pytest_mcode.collect import reference
from pytest_mcode.solving import Solving

#: From the ids of collected items to their places, in the order in which they are to be begun.
Order = Callable[[Sequence[str]], Sequence[int]]


class Between(pytest.Item):
    """Stands in for the next item while it is unknown.

    Its only parent is the session: whatever comes next, session fixtures stay, and nothing narrower does.
    """

    def runtest(self) -> None:
        """Never called."""
        raise AssertionError("it only stands in for an item")


class AsCompleted:
    """Items that are under way, by their place in the collection.

    ``events`` gives the place of each item whose task is done, and whatever else is put there.
    """

    def __init__(self, session: pytest.Session, solving: Solving) -> None:
        self._solving = solving
        self._between = Between.from_parent(session, name="mcode")
        self.admitted: dict[int, pytest.Item] = {}
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def admit(self, index: int, item: pytest.Item) -> None:
        """Start solving an item's task; anybody's other test is ready at once."""
        self.admitted[index] = item
        ref = reference(item)
        try:
            task = ref.load() if ref is not None else None
        except DataError:  # its fixture will meet it again, and the report tells
            task = None
        if ref is None or task is None:
            self.events.put(index)
            return
        future = self._solving.start(item.nodeid, task, ref.benchmark, budget(item))
        future.add_done_callback(lambda _: self.events.put(index))

    def run(self, index: int, *, last: bool) -> None:
        """Run an item's protocol."""
        item = self.admitted.pop(index)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None if last else self._between)


class Loop:
    """In place of pytest's loop, in a run without xdist.

    Args:
        solving: Where tasks are solved.
        ahead: How many tasks are under way at once.
        order: In which order items are begun.
    """

    def __init__(self, solving: Solving, ahead: int, order: Order) -> None:
        self._solving, self._ahead, self._order = solving, ahead, order

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Begin items as far ahead as allowed, and run each when its task is done."""
        if session.testsfailed or session.config.option.collectonly:
            return None  # pytest's own loop has the words for these
        loop = AsCompleted(session, self._solving)
        stepwise = bool(session.config.getoption("stepwise", default=False))
        places = range(len(session.items)) if stepwise else self._order([item.nodeid for item in session.items])
        begun = list(enumerate(session.items[place] for place in places))
        todo = iter(begun)
        left, ready = len(begun), list[int]()
        while left:
            while len(loop.admitted) < self._ahead and (following := next(todo, None)) is not None:
                loop.admit(*following)
            heapq.heappush(ready, loop.events.get())
            while ready and (not stepwise or ready[0] == len(begun) - left):  # stepwise counts on the order
                left -= 1
                loop.run(heapq.heappop(ready), last=not left)
                stop_if_asked(session)
        return True


def stop_if_asked(session: pytest.Session) -> None:
    """End the session as pytest's own loop does, after -x, --maxfail or a plugin's wish.

    Raises:
        pytest.Session.Failed: So many tests failed.
        pytest.Session.Interrupted: Something wants to stop.
    """
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)


def budget(item: pytest.Item) -> float | None:
    """The item's time limit in seconds by pytest-timeout, whose own timer sees only the protocol; None if none."""
    mark = item.get_closest_marker("timeout")
    if mark is not None:
        value = mark.args[0] if mark.args else mark.kwargs.get("timeout")
    else:
        value = getattr(item.config, "_env_timeout", None)
    return float(value) if value else None
