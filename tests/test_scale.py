"""The simulation of docs/scale.md against what can be worked out without it."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_mcode._types import TaskResult
from pytest_mcode.store import Run, Store
from tests.perf import commits, scale
from tests.perf.plans import Plan
from tests.perf.simulated import Clock, simulate

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
#: Generations of exactly ten seconds, an execution of exactly one, pods that are there at once.
EXACT = Plan(
    tasks=60,
    samples=1,
    shards=1,
    concurrency=1,
    replicas=1,
    slots=100,
    seconds=10.0,
    spread=0.0,
    judging=1.0,
    start=0.0,
    created=float("inf"),
)
#: Generations as they vary.
VARIED = replace(EXACT, tasks=600, spread=0.6, judging=0.1, longest=25.6)


def test_one_shard_with_one_request_takes_the_sum_of_all() -> None:
    assert simulate(replace(EXACT, start=7.0, commit=0.5)).wall == pytest.approx(7 + 60 * (10 + 1 + 0.5))


def test_no_generation_is_longer_than_the_token_limit_lets_it_be() -> None:
    assert simulate(replace(EXACT, longest=4.0)).wall == pytest.approx(60 * (4 + 1))


@pytest.mark.parametrize(("shards", "seconds"), [(2, 330), (3, 220), (60, 11)])
def test_shards_that_never_wait_take_their_part_of_it(shards: int, seconds: float) -> None:
    assert simulate(replace(EXACT, shards=shards)).wall == pytest.approx(seconds)


def test_one_process_sends_as_many_requests_as_it_may_while_it_executes() -> None:
    found = simulate(replace(EXACT, concurrency=4))
    assert found.wall == pytest.approx(60 * 10 / 4 + 1)
    assert found.seen.present / found.wall == pytest.approx(4 * 150 / 151)


@pytest.mark.parametrize(("shards", "concurrency"), [(10, 1), (60, 1), (1, 30), (3, 10)])
def test_requests_beyond_the_slots_gain_nothing(shards: int, concurrency: int) -> None:
    found = simulate(replace(EXACT, slots=5, shards=shards, concurrency=concurrency, judging=0.0))
    assert found.wall == pytest.approx(60 * 10 / 5)
    assert found.utilisation == pytest.approx(1)


@pytest.mark.parametrize(("shards", "slots"), [(3, 8), (8, 8), (12, 4), (40, 4)])
def test_throughput_keeps_to_the_bounds_of_a_closed_queue(shards: int, slots: int) -> None:
    found = simulate(replace(VARIED, shards=shards, slots=slots, judging=5.0))
    served = found.seen.served / 600
    least = 600 * max(served / slots, (served + 5) / shards)
    # the last shard has more to do than the mean: by four of its standard deviations at most, and a rest of a task
    deviation = served * 0.6 * (600 / shards) ** 0.5
    assert least <= found.wall <= least + 4 * deviation + 25.6 + 5


@pytest.mark.parametrize("plan", [VARIED, replace(VARIED, shards=30, slots=4), replace(VARIED, concurrency=9, slots=4)])
def test_the_mean_number_at_the_servers_is_the_rate_times_the_stay(plan: Plan) -> None:
    found = simulate(plan)
    rate, stay = found.seen.answered / found.wall, found.seen.stayed / found.seen.answered
    assert found.seen.answered == 600
    assert found.seen.present / found.wall == pytest.approx(rate * stay)


def test_a_generation_lasts_as_long_as_its_distribution_says() -> None:
    plan = replace(VARIED, tasks=3000, shards=100)
    assert plan.mean == pytest.approx(9.7666, abs=1e-4)  # by numerical integration
    assert simulate(plan).seen.served / 3000 == pytest.approx(plan.mean, abs=3 * 5.5 / 3000**0.5)
    assert replace(plan, longest=float("inf")).mean == 10


def test_every_task_of_every_shard_is_recorded_once(tmp_path: Path) -> None:
    plan = replace(VARIED, tasks=50, samples=2, shards=7, concurrency=3)
    stores = [Store(str(tmp_path / f"{shard}.db")) for shard in range(7)]
    for store in stores:
        store.begin(Run("r", "b", "m", "ollama", {}, "", "", 50, "2026-01-01", None, {}))

    def record(shard: int, result: TaskResult) -> None:
        stores[shard].put("r", result)

    simulate(plan, record)
    held = [[row.task_id for row in store.results("r")] for store in stores]
    attempts = sum(len(list(store.attempts("r"))) for store in stores)
    for store in stores:
        store.close()
    assert sorted(len(ids) for ids in held) == [7, 7, 7, 7, 7, 7, 8]
    assert sorted(int(task_id) for ids in held for task_id in ids) == list(range(50))
    assert attempts == 100


@pytest.mark.parametrize(("shards", "loses"), [(59, False), (60, False), (61, True)])
def test_requests_that_wait_longer_than_their_deadline_are_lost(shards: int, loses: bool) -> None:
    """Of k shards at a server of one slot each takes ten seconds, and k - 1 others before."""
    plan = replace(EXACT, tasks=shards * 2, shards=shards, slots=1, judging=0.0, patience=600.5)
    found = simulate(plan)
    assert (found.seen.errors > 0) is loses
    assert found.seen.answered + found.seen.errors == found.seen.results == shards * 2


@pytest.mark.parametrize(("shards", "refuses"), [(8, False), (9, True)])
def test_a_server_refuses_what_finds_no_place_in_its_queue(shards: int, refuses: bool) -> None:
    found = simulate(replace(EXACT, tasks=90, shards=shards, slots=3, queue=5))
    assert (found.seen.refused > 0) is refuses


def test_a_database_that_is_slower_than_the_servers_sets_the_pace() -> None:
    found = simulate(replace(EXACT, shards=60, commit=3.0))
    assert found.wall == pytest.approx(11 + 60 * 3)
    assert found.database == pytest.approx(180 / 191)


def test_pods_are_created_one_after_the_other_and_start_before_they_ask() -> None:
    found = simulate(replace(EXACT, shards=60, start=4.0, created=0.5))
    assert found.seen.began == {shard: pytest.approx(2 * shard + 4) for shard in range(60)}
    assert found.wall == pytest.approx(59 * 2 + 4 + 11)
    assert found.starting == pytest.approx(122 / 133)
    assert found.tail == pytest.approx(133 / 74 - 1)


def test_shards_beyond_the_pods_wait_for_a_place() -> None:
    found = simulate(replace(EXACT, shards=20, pods=10, start=4.0))
    assert found.wall == pytest.approx(2 * (4 + 3 * 11))
    assert found.starting == pytest.approx(4 / 74)


def test_shards_that_stay_with_a_server_wait_while_another_is_idle() -> None:
    plan = replace(EXACT, shards=20, replicas=20, slots=1, judging=0.0)
    assert simulate(plan).wall == pytest.approx(3 * 10)
    most = simulate(replace(plan, sticky=True)).wall / 30  # shards at the server that most were sent to
    assert most == pytest.approx(round(most))
    assert 2 <= most <= 6


def test_the_same_plan_always_comes_to_the_same() -> None:
    plan = replace(VARIED, shards=12, slots=4, replicas=2, concurrency=2, sticky=True)
    assert simulate(plan).seen == simulate(plan).seen


def test_what_nothing_can_wake_is_no_endless_wait() -> None:
    with asyncio.Runner(loop_factory=Clock) as runner, pytest.raises(RuntimeError, match="what never comes"):
        runner.run(asyncio.Event().wait())


def test_an_hour_passes_at_once() -> None:
    began = time.monotonic()
    assert simulate(replace(EXACT, tasks=1, seconds=3600.0, patience=4000.0)).wall == pytest.approx(3601)
    assert time.monotonic() - began < 5


def test_what_a_writer_counts_is_in_the_database(tmp_path: Path) -> None:
    address = str(tmp_path / "results.db")
    done, spent = commits.write(address, 0, samples=3, starts=0.0, seconds=0.3)
    store = Store(address)
    [run] = store.runs()
    assert len(store.results(run.id)) == done > 0
    assert len(list(store.attempts(run.id))) == 3 * done
    assert spent > 0
    store.close()


def test_the_least_hours_on_the_page_are_the_work_over_the_slots() -> None:
    rows = re.findall(
        r"^\| (\d+) \| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE.read_text(), re.M
    )
    assert [row[0] for row in rows] == ["1", "32", "128"]
    for servers, slots, hours, rate, ten, one in rows:
        assert int(slots.replace(",", "")) == 32 * int(servers)
        served = 32 * int(servers) / scale.ONE_SERVER.mean
        cores = served / 10 * scale.TEN, served * scale.ONE
        assert (hours, rate) == (f"{1e6 / served / 3600:.1f}", f"{served:.1f}")
        assert (ten, one) == tuple(f"{busy:.1f}" for busy in cores)
