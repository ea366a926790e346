from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_mcode.dealer import Dealer

IDS = [f"t{number}" for number in range(8)]


class Worker:
    """A worker of our own that remembers what it was told."""

    def __init__(self) -> None:
        self.given: list[int] = []
        self.shutting_down = False

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        self.given += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def in_order(ids: Sequence[str]) -> Sequence[int]:
    return range(len(ids))


def started(workers: int, window: int, total: int = 100, count: int = 8) -> tuple[Dealer, list[Worker]]:
    dealer, nodes = Dealer(workers, window, total, in_order), [Worker() for _ in range(workers)]
    for node in nodes:
        dealer.add_node(node)
    for node in nodes:
        assert not dealer.collection_is_completed
        dealer.add_node_collection(node, IDS[:count])
    assert dealer.collection_is_completed
    dealer.schedule()
    return dealer, nodes


def replaced(dealer: Dealer, count: int = 8) -> Worker:
    node = Worker()
    dealer.add_node(node)
    dealer.add_node_collection(node, IDS[:count])
    dealer.schedule()
    return node


def test_tests_are_dealt_in_turn_up_to_the_window() -> None:
    _, (one, two) = started(workers=2, window=3)
    assert (one.given, two.given) == ([0, 2, 4], [1, 3, 5])


def test_a_worker_gets_one_more_for_each_that_it_has_run() -> None:
    dealer, (one, two) = started(workers=2, window=1)
    dealer.mark_test_complete(two, 1)
    dealer.mark_test_complete(two, 2)
    assert (one.given, two.given) == ([0], [1, 2, 3])


def test_all_together_hold_no_more_than_the_total_but_each_may_hold_one() -> None:
    _, nodes = started(workers=2, window=3, total=3)
    assert [len(node.given) for node in nodes] == [2, 1]
    _, nodes = started(workers=3, window=3, total=1)
    assert [len(node.given) for node in nodes] == [1, 1, 1]


def test_workers_end_when_nothing_is_left_to_deal() -> None:
    dealer, (one,) = started(workers=1, window=2, count=3)
    ended = [one.shutting_down]
    dealer.mark_test_complete(one, 0)
    ended.append(one.shutting_down)
    assert ended == [False, True]
    assert not dealer.tests_finished
    dealer.mark_test_complete(one, 1)
    dealer.mark_test_complete(one, 2)
    assert dealer.tests_finished


def test_the_given_order_is_followed() -> None:
    dealer, node = Dealer(1, 2, 100, lambda ids: sorted(range(len(ids)), reverse=True)), Worker()
    dealer.add_node(node)
    dealer.add_node_collection(node, IDS)
    dealer.schedule()
    assert node.given == [7, 6]


def test_a_worker_that_dies_with_one_test_names_it() -> None:
    dealer, (one, _) = started(workers=2, window=1)
    assert dealer.remove_node(one) == "t0"
    node = replaced(dealer)
    assert 0 not in node.given


def test_a_second_death_names_the_culprit_and_the_others_run() -> None:
    dealer, (one,) = started(workers=1, window=4, count=4)
    assert dealer.remove_node(one) is None
    lost, run = [], []
    for _ in range(10):
        node = replaced(dealer, count=4)
        while not dealer.tests_finished:
            held = [index for index in node.given if index not in run]
            if 2 in held:  # the test that kills every worker
                culprit = dealer.remove_node(node)
                if culprit is not None:
                    lost.append(culprit)
                break
            dealer.mark_test_complete(node, held[0])
            run.append(held[0])
        if dealer.tests_finished:
            break
    assert lost == ["t2"]
    assert sorted(run) == [0, 1, 3]


def test_no_worker_holds_two_suspects() -> None:
    dealer, (one, two) = started(workers=2, window=3, count=8)
    dealer.remove_node(one)
    held_before = set(two.given)
    assert held_before == {1, 3, 5}
    dealer.mark_test_complete(two, 1)
    dealer.mark_test_complete(two, 3)
    suspects = {0, 2, 4} & set(two.given)
    assert len(suspects) == 1


def test_a_worker_that_collected_other_tests_is_refused() -> None:
    dealer, (_, _) = started(workers=2, window=1)
    node = Worker()
    dealer.add_node(node)
    with pytest.raises(RuntimeError, match="collected other tests"):
        dealer.add_node_collection(node, ["something else"])
