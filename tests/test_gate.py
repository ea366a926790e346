from __future__ import annotations

import asyncio
import logging

import pytest

from pytest_mcode.gate import Gate


def limit(gate: Gate) -> int:
    return int(gate.limit)


def test_a_gate_lets_no_more_through_at_once_than_it_may() -> None:
    async def peak() -> int:
        gate, inside, most = Gate(3), 0, 0

        async def request() -> None:
            nonlocal inside, most
            async with gate.request():
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.001)
                inside -= 1

        await asyncio.gather(*(request() for _ in range(20)))
        return most

    assert asyncio.run(peak()) == 3


def test_a_request_that_is_left_gives_its_place_back() -> None:
    async def left() -> None:
        gate = Gate(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), gate.request():
                await asyncio.sleep(1)
        async with asyncio.timeout(1), gate.request():
            pass

    asyncio.run(left())


def test_a_busy_server_is_given_half_and_then_one_more_for_each_round_that_goes_well() -> None:
    gate = Gate(16)
    gate.busy()
    assert limit(gate) == 8
    for _ in range(9):
        gate.served(1.0)
    assert limit(gate) == 9
    for _ in range(200):
        gate.served(1.0)
    assert limit(gate) == 16


def test_a_server_that_is_always_busy_still_gets_one_request() -> None:
    gate = Gate(16)
    for _ in range(20):
        gate.busy()
    assert limit(gate) == 1


def test_a_server_that_slows_down_is_given_less_but_never_little() -> None:
    gate = Gate(16)
    for _ in range(16):
        gate.served(1.0)
    for _ in range(1000):
        gate.served(10.0)
    assert 4 <= limit(gate) < 16


def test_a_few_slow_answers_among_many_change_nothing() -> None:
    gate = Gate(16)
    for number in range(1000):
        gate.served(10.0 if number % 20 == 0 else 0.5)
    assert limit(gate) == 16


def test_a_change_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "mcode"):
        Gate(8).busy()
    assert caplog.messages == ["The model server says that it is busy: at most 4 requests at once, not 8."]
