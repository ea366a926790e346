"""Where the bottleneck of a run over many shards is: a million generations, in simulated time.

python -m tests.perf.scale [--rows 1 2 …] [--million]

Each row is a run of 100,000 generations, the tenth part of what its hours are told for; with ``--million``, of all of
them. What is real and what is simulated, `tests.perf.simulated` says; where the figures come from, docs/scale.md. It
ends by itself, with the same table on any machine: half a minute of CPU time a row, five minutes with ``--million``.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from dataclasses import replace

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.perf.plans import Found, Plan
from tests.perf.simulated import simulate

MILLION = 1_000_000
#: Seconds of a PostgreSQL server's core for a task of ten samples, and of one sample: measured, see docs/scale.md.
TEN, ONE = 0.0072, 0.0037
#: One server of 32 slots, each at 30 tokens a second: 300 tokens take 10 s, and the recipe's limit of 768 cuts at 25.6.
ONE_SERVER = Plan(
    tasks=10_000, samples=10, shards=1000, concurrency=1, replicas=1, slots=32, seconds=10.0, longest=25.6
)
MANY = replace(ONE_SERVER, concurrency=2, replicas=32)
SINGLE = replace(MANY, tasks=100_000, samples=1, commit=ONE)
#: What is out of the ordinary, and the plan.
PLANS = (
    ("", replace(ONE_SERVER, shards=1, concurrency=32)),
    ("", replace(ONE_SERVER, shards=4, concurrency=8)),
    ("", replace(ONE_SERVER, shards=4, concurrency=10)),
    ("", replace(ONE_SERVER, shards=32)),
    ("", replace(ONE_SERVER, shards=40)),
    ("", replace(ONE_SERVER, shards=8, concurrency=32)),
    ("40 pods at once", replace(ONE_SERVER, pods=40)),
    ("", ONE_SERVER),
    ("gen-timeout 1200", replace(ONE_SERVER, patience=1200.0)),
    ("512 may wait", replace(ONE_SERVER, patience=1200.0, queue=512)),
    ("", replace(MANY, concurrency=1)),
    ("", MANY),
    ("", replace(MANY, shards=128, concurrency=10)),
    ("kept connections", replace(MANY, concurrency=1, sticky=True)),
    ("kept connections", replace(MANY, sticky=True)),
    ("PostgreSQL", replace(MANY, commit=TEN)),
    ("PostgreSQL, n=1", SINGLE),
    ("PostgreSQL, n=1", replace(SINGLE, concurrency=5, replicas=128)),
)
HEADINGS = ("row", "", "shards", "each", "slots", "hours", "used", "tail", "lost", "commits", "db", "start")


def sized(plan: Plan, generations: int) -> Plan:
    """The plan with so many generations."""
    return replace(plan, tasks=generations // plan.samples)


def table(found: Mapping[int, Found]) -> Table:
    """A row a plan, in 80 columns."""
    shown = Table(box=None, pad_edge=False, collapse_padding=True, padding=(0, 1, 0, 0))
    for heading in HEADINGS:
        shown.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for number, one in found.items():
        shown.add_row(*row(number, one))
    return shown


def row(number: int, one: Found) -> list[str]:
    """The cells of a plan; its hours are by proportion those of a million generations."""
    plan, seen = one.plan, one.seen
    return [
        str(number),
        PLANS[number - 1][0],
        f"{plan.shards:,}",
        f"{plan.concurrency}",
        f"{plan.slots * plan.replicas:,}",
        f"{one.wall / 3600 * MILLION / plan.generations:.1f}",
        f"{one.utilisation:.1%}",
        f"{one.tail:.0%}",
        f"{seen.errors / seen.results:.0%}",
        f"{one.commits:.1f}",
        f"{one.database:.0%}" if plan.commit else "",
        f"{one.starting:.1%}",
    ]


def main() -> None:
    """Simulate and print."""
    numbers = range(1, 1 + len(PLANS))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", choices=numbers, default=numbers, metavar="N")
    parser.add_argument("--million", action="store_true", help="all generations of a row")
    chosen = parser.parse_args()
    logging.getLogger("mcode").setLevel(logging.ERROR)  # gates tell whenever they let fewer requests through
    generations = MILLION if chosen.million else MILLION // 10
    waiting = track(chosen.rows, "simulating", console=Console(stderr=True), transient=True)
    found = {number: simulate(sized(PLANS[number - 1][1], generations)) for number in waiting}
    console = Console()
    console.print(f"{generations:,} generations a row; hours of a million")
    console.print(table(found))


if __name__ == "__main__":
    main()
