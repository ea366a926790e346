from __future__ import annotations

import pytest

from pytest_mcode.schedule import Share


@pytest.mark.parametrize(
    ("requests", "each", "workers", "of_one"),
    [(4, False, 1, 4), (4, False, 2, 2), (4, False, 3, 1), (4, False, 8, 1), (32, False, 5, 6), (3, True, 8, 3)],
)
def test_the_requests_of_a_server_are_divided_unless_they_were_asked_of_each(
    requests: int, each: bool, workers: int, of_one: int
) -> None:
    assert Share(requests, each=each).of_one(workers) == of_one


@pytest.mark.parametrize("workers", range(1, 12))
def test_all_processes_together_send_no_more_than_the_server_serves(workers: int) -> None:
    for requests in range(1, 40):
        share = Share(requests, each=False)
        one, everyone = share.tasks(workers)
        assert min(share.of_one(workers) * workers, everyone) <= requests
        assert one >= 1


def test_tasks_are_ready_while_others_are_answered() -> None:
    assert Share(8, each=False).tasks(2) == (8, 16)
    assert Share(8, each=True).tasks(2) == (16, 32)
    assert Share(100, each=True).tasks(1) == (132, 132)
