"""How tasks are dealt to xdist's workers: one by one, so that none waits at a busy worker while another is idle."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol


class Node(Protocol):
    """A worker, as xdist's scheduler sees it."""

    @property
    def shutting_down(self) -> bool:
        """Whether it takes no more tests."""
        ...

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        """Give it tests, by their places in its collection."""
        ...

    def shutdown(self) -> None:
        """Let it end when it has run what it holds."""
        ...


class Dealer:
    """An xdist scheduler: every worker holds at most ``window`` tests, all together at most ``total``.

    What a worker held when it died is suspected of having killed it, and dealt again so that no worker holds two
    suspects: a second death names the culprit, and only that test is lost.

    Args:
        workers: How many workers are to collect before tests are dealt.
        window: Tests that one worker may hold.
        total: Tests that all may hold together; each worker may always hold one.
        order: Places of the collected ids in the order in which they are dealt.
    """

    def __init__(self, workers: int, window: int, total: int, order: Callable[[Sequence[str]], Sequence[int]]) -> None:
        self._workers, self._window, self._total, self._order = workers, window, total, order
        self._collections: dict[Node, list[str]] = {}
        self._held: dict[Node, list[int]] = {}
        self._pending: deque[int] = deque()
        self._suspects: set[int] = set()
        self._ids: list[str] | None = None

    @property
    def nodes(self) -> list[Node]:
        """The workers that are there."""
        return list(self._held)

    @property
    def collection_is_completed(self) -> bool:
        """Whether all workers have collected."""
        return len(self._collections) >= self._workers

    @property
    def has_pending(self) -> bool:
        """Whether a test is left to run or running."""
        return bool(self._pending) or any(self._held.values())

    @property
    def tests_finished(self) -> bool:
        """Whether every test has run."""
        return self.collection_is_completed and not self.has_pending

    def add_node(self, node: Node) -> None:
        """Take a new worker."""
        self._held[node] = []

    def add_node_collection(self, node: Node, collection: Sequence[str]) -> None:
        """Take what a worker has collected; it must be what the others have.

        Raises:
            RuntimeError: It is not.
        """
        self._collections[node] = list(collection)
        expected = self._ids or next(iter(self._collections.values()))
        if self._collections[node] != expected:
            raise RuntimeError(f"{node} collected other tests than the workers before it")

    def schedule(self) -> None:
        """Deal, all having collected; again when a worker was replaced."""
        if self._ids is None:
            self._ids = next(iter(self._collections.values()))
            self._pending.extend(self._order(self._ids))
        self._deal()

    def mark_test_complete(self, node: Node, item_index: int, duration: float = 0) -> None:  # noqa: ARG002 - xdist's
        """Take back a test that has run."""
        self._held[node].remove(item_index)
        self._suspects.discard(item_index)
        self._deal()

    def mark_test_pending(self, item: str) -> None:
        """Deal a test again, first."""
        assert self._ids is not None
        self._pending.appendleft(self._ids.index(item))
        self._deal()

    def remove_pending_tests_from_node(self, node: Node, indices: Sequence[int]) -> None:
        """Never called: nothing is ever stolen."""
        raise NotImplementedError(f"{node} was to give {indices} back")

    def remove_node(self, node: Node) -> str | None:
        """Let a worker go; the test that killed it, as far as that can be told."""
        held = self._held.pop(node)
        self._collections.pop(node, None)
        if self._ids is not None:
            self._workers = 0  # a replacement is dealt to as soon as it has collected
        if not held:
            return None
        culprit = held[0] if len(held) == 1 else next(iter(self._suspects.intersection(held)), None)
        again = [index for index in held if index != culprit]
        self._suspects.update(again if culprit is None else ())
        self._pending.extendleft(reversed(again))
        self._deal()
        return None if culprit is None or self._ids is None else self._ids[culprit]

    def _deal(self) -> None:
        """Give every worker one test after the other, as long as there are tests and room."""
        for depth in range(self._window):
            for node, held in self._held.items():
                if len(held) <= depth and self._has_room(node, held) and node in self._collections:
                    index = self._next_for(held)
                    if index is not None:
                        held.append(index)
                        node.send_runtest_some([index])
        if not self._pending:
            for node in self._held:
                if not node.shutting_down:
                    node.shutdown()

    def _has_room(self, node: Node, held: list[int]) -> bool:
        whole = sum(map(len, self._held.values()))
        return not node.shutting_down and (not held or whole < self._total)

    def _next_for(self, held: list[int]) -> int | None:
        """The next test for a worker that holds those: not a second suspect."""
        fit = (i for i in self._pending if i not in self._suspects or not self._suspects.intersection(held))
        index = next(fit, None)
        if index is not None:
            self._pending.remove(index)
        return index
