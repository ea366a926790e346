"""Timing in pairs: a machine's speed drifts, so contestants run in turn, and ratios are taken round by round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Timed:
    """Seconds of each round of one contestant."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median seconds of a round."""
        return statistics.median(self.seconds)

    def ratio(self, to: Timed) -> float:
        """Median over the rounds of our seconds divided by theirs."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.seconds, to.seconds, strict=True))


def in_turn(contestants: Mapping[str, Callable[[], object]], rounds: int) -> list[Timed]:
    """Run every contestant once to warm up, then ``rounds`` times in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, run in contestants.items():
            started = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return [Timed(name, tuple(found)) for name, found in seconds.items()]


def show(title: str, found: list[Timed], unit: str, count: int) -> None:
    """Print a table: milliseconds for each of ``count`` things, and the ratio to the first contestant."""
    table = Table("", f"ms a {unit}", "min … max", f"ratio to {found[0].name}", title=title, title_justify="left")
    for timed in found:
        each = [1000 * s / count for s in timed.seconds]
        spread = f"{min(each):.1f} … {max(each):.1f}"
        table.add_row(timed.name, f"{1000 * timed.median / count:.2f}", spread, f"{timed.ratio(found[0]):.2f}")
    Console().print(table)
