"""How runs that were compared are shown: what was compared, two tables, the flips, and a verdict in words."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from pytest_mcode.metrics import Costs
from pytest_mcode.report.comparing import ALPHA, Comparison, Pair, Side, lettered
from pytest_mcode.report.tabular import (
    UNLIMITED,
    Column,
    Form,
    Listing,
    fitting,
    literal,
    markdown,
    one_line,
    printer,
    put,
)
from pytest_mcode.report.terminal import Line
from pytest_mcode.report.words import model, plural
from pytest_mcode.spelling import plain

#: How many tasks of a list are named on a terminal.
NAMED = 12


def show(found: Comparison, form: Form, *, flips: bool) -> None:
    """Print it; ``flips``: name every task that flips, also on a terminal, and for every pair."""
    if form is Form.JSON:
        sys.stdout.write(json.dumps(as_json(found), indent=2) + "\n")
    elif form is Form.CSV:
        put(pairs(found), form)
    elif form is Form.MARKDOWN:
        sys.stdout.write(as_markdown(found, flips=flips))
    else:
        _print(found, flips=flips)


def _print(found: Comparison, *, flips: bool) -> None:
    console = printer(UNLIMITED)
    width = console.width if sys.stdout.isatty() else 0

    def tell(lines: Iterator[Line]) -> None:
        for line in lines:
            style = " ".join(name for name, holds in line.marks.items() if holds)
            console.print(Text(plain(line.fitting(width)), style), soft_wrap=True)

    tell(head(found))
    for table in (fitting(rates(found), console.width), fitting(pairs(found), console.width)):
        console.print()
        console.print(table)
    console.print()
    tell(flipped(found, NAMED if width and not flips else None, every=flips))
    tell(foot(found))


def as_markdown(found: Comparison, *, flips: bool) -> str:
    """The same for a page: no text in it is markup."""

    def listed(lines: Iterator[Line]) -> str:
        return "".join(f"- {literal(plain(f'{line.name}: {line.text}'))}\n" for line in lines)

    tables = f"{markdown(rates(found))}\n{markdown(pairs(found))}"
    verdict = "".join(f"\n**{literal(plain(sentence(pair, found)))}**\n" for pair in found.pairs)
    told = [line for line in foot(found) if line.name != "verdict"]
    return f"{listed(head(found))}\n{tables}\n{listed(flipped(found, None, every=flips))}{listed(iter(told))}{verdict}"


def head(found: Comparison) -> Iterator[Line]:
    """Which runs, on which tasks, and by what."""
    for side in found.sides:
        run = side.figures.run
        often = f"{side.figures.samples} x {side.figures.attempts} attempts"
        yield Line(side.label, one_line(f"{model(run.model, run.backend)}, {often}, run {run.id}"))
    benchmarks = dict.fromkeys(side.figures.run.benchmark for side in found.sides)
    yield Line("tasks", one_line(f"{found.n} of {', '.join(benchmarks)} that all of them judged"))
    for side in found.sides:
        for tasks, why in ((side.errors, "could not be judged by"), (side.absent, "are not recorded of")):
            if tasks:
                yield Line("left out", f"{len(tasks)} that {why} {side.label}: {named(tasks, 3)}")
    its = [f"{name} ({lettered(values)})" for name, values in found.differing.items() if name != "model"]
    if its:
        yield Line("differing", one_line("; ".join(its)))
    yield Line("metric", f"{found.metric.name}: {lettered([side.how for side in found.sides])}")


def rates(found: Comparison) -> Listing[Side]:
    """A row for each run."""
    first = Column[Side]("pass@1", lambda side: side.pass_at_1, rate=True)
    metric = Column[Side](found.metric.name, lambda side: side.rate, rate=True, style="bold")
    columns = (
        Column[Side]("run", lambda side: side.label, side="left"),
        *(() if found.metric.name == "pass@1" else (first,)),
        metric,
        _cost("tokens/task", lambda costs: costs.tokens_a_task, 2),
        _cost("tokens/solved", lambda costs: costs.tokens_a_solved_task, 1),
        _cost("s/task", lambda costs: costs.seconds_a_task, 3),
    )
    return Listing(columns, found.sides, "rates in per cent with 95 % intervals; completion tokens, wall seconds")


def _cost(name: str, cost: Callable[[Costs], float | None], yields: int) -> Column[Side]:
    def value(side: Side) -> float | None:
        return None if side.costs is None else cost(side.costs)

    return Column(name, value, idle=lambda side: value(side) is None, yields=yields)


def pairs(found: Comparison) -> Listing[Pair]:
    """A row for each two runs."""
    several = len(found.pairs) > 1
    columns = (
        Column[Pair]("pair", _name, to="people", side="left"),
        Column[Pair]("first", lambda pair: pair.first.figures.run.id, to="scripts"),
        Column[Pair]("second", lambda pair: pair.second.figures.run.id, to="scripts"),
        Column[Pair]("metric", lambda _: found.metric.name, to="scripts"),
        Column[Pair]("n", lambda pair: pair.paired.n, to="scripts"),
        Column[Pair]("difference", lambda pair: pair.paired.difference, to="scripts"),
        Column[Pair]("difference_low", lambda pair: pair.paired.low, to="scripts"),
        Column[Pair]("difference_high", lambda pair: pair.paired.high, to="scripts"),
        Column[Pair]("difference", lambda _: None, difference, to="people", style="bold"),
        Column[Pair]("p_value", lambda pair: pair.paired.p_value, to="scripts"),
        Column[Pair]("p_adjusted", lambda pair: pair.adjusted, to="scripts"),
        Column[Pair]("p", lambda _: None, lambda pair: p(pair.paired.p_value), to="people"),
        *((Column[Pair]("p (Holm)", lambda _: None, lambda pair: p(pair.adjusted), to="people"),) if several else ()),
        Column[Pair]("test", lambda pair: pair.paired.test, to="scripts"),
        Column[Pair]("gained", lambda pair: len(pair.paired.gained)),
        Column[Pair]("lost", lambda pair: len(pair.paired.lost)),
        Column[Pair]("smallest_difference", lambda pair: pair.paired.smallest, to="scripts"),
        Column[Pair]("seen from", lambda _: None, lambda pair: _points(pair.paired.smallest), to="people"),
    )
    tests = " and ".join(dict.fromkeys(pair.paired.test for pair in found.pairs))
    caption = [
        f"differences in points with 95 % intervals; p: {tests}",
        f"p (Holm): adjusted for {len(found.pairs)} comparisons, each two runs" if several else "",
        "seen from: the difference that so many tasks show with 80 % power",
    ]
    return Listing(columns, found.pairs, "\n".join(filter(None, caption)))


def difference(pair: Pair) -> str:
    """In points, with its interval."""
    its = pair.paired
    return f"{100 * its.difference:+.1f} [{100 * its.low:+.1f}, {100 * its.high:+.1f}]"


def p(value: float) -> str:
    """A p-value."""
    return f"{value:.4f}" if value >= 0.0001 else "<0.0001"  # noqa: PLR2004 - the last digit that is shown


def _points(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def flipped(found: Comparison, most: int | None, *, every: bool) -> Iterator[Line]:
    """The tasks on which one of two runs does better; of several pairs only if every pair is asked for."""
    if len(found.pairs) > 1 and not every:
        yield Line("flips", "--flips names the tasks of every pair")
        return
    for pair in found.pairs:
        for better, worse, tasks in (
            (pair.second, pair.first, pair.paired.gained),
            (pair.first, pair.second, pair.paired.lost),
        ):
            yield Line(
                f"{better.label} over {worse.label}", f"{len(tasks)}: {named(tasks, most)}" if tasks else "no task"
            )


def named(tasks: Sequence[str], most: int | None) -> str:
    """Tasks by their ids, the first of them if they are many."""
    if most is None or len(tasks) <= most + 1:  # the last one takes no more room than to say that there is one
        return one_line(", ".join(tasks))
    return one_line(f"{', '.join(tasks[:most])} and {len(tasks) - most} more")


def foot(found: Comparison) -> Iterator[Line]:
    """What to beware of, and what it comes to."""
    for warning in cautions(found):
        yield Line("warning", one_line(warning), {"yellow": True})
    for pair in found.pairs:
        yield Line("verdict", one_line(sentence(pair, found)), {"bold": True, "green": pair.better is not None})


def cautions(found: Comparison) -> Iterator[str]:
    """What a reader has to beware of; also that a set of this size does not show such differences."""
    yield from found.warnings
    small = [pair for pair in found.pairs if (least := pair.paired.smallest) and abs(pair.paired.difference) < least]
    if not all(pair.paired.smallest for pair in found.pairs):
        yield f"{plural(found.n, 'task')} are too few to show any difference."
    for told, meaning in (
        ([pair for pair in small if not pair.better], "may be there and not be seen"),
        ([pair for pair in small if pair.better], "looks larger than it is, on average, where it is seen"),
    ):
        if told:
            points = " and ".join(dict.fromkeys(_points(pair.paired.smallest) for pair in told))
            yield (
                f"{', '.join(map(_name, told))}: {plural(found.n, 'task')} with so many flips show differences from "
                f"{points} points on; a smaller one {meaning}."
            )


def _name(pair: Pair) -> str:
    return f"{pair.second.label} - {pair.first.label}"


def sentence(pair: Pair, found: Comparison) -> str:
    """What two runs come to, in words."""
    its, better = pair.paired, pair.better
    p_value = f"p={p(pair.adjusted)}".replace("=<", "<")
    figures = f"{found.metric.name} on {plural(its.n, 'task')}, {p_value}"
    if better is None:
        return (
            f"no evidence of a difference between {pair.first.label} and {pair.second.label} "
            f"({100 * its.difference:+.1f} points of {figures})"
        )
    worse = pair.first if better is pair.second else pair.second
    return f"{better.label} is better than {worse.label} (by {100 * abs(its.difference):.1f} points of {figures})"


def as_json(found: Comparison) -> dict[str, Any]:
    """The comparison as JSON values; that of two runs has what is said of the pair beside the rest."""
    told = [_pair(pair, found) for pair in found.pairs]
    return {
        "metric": found.metric.name,
        "n": found.n,
        **(told[0] if len(told) == 1 else {}),
        "alpha": ALPHA,
        "runs": [_side(side, found) for side in found.sides],
        "pairs": told,
        "differing": {name: list(values) for name, values in found.differing.items()},
        "warnings": list(cautions(found)),
    }


def _pair(pair: Pair, found: Comparison) -> dict[str, Any]:
    its = pair.paired
    return {
        "first": pair.first.figures.run.id,
        "second": pair.second.figures.run.id,
        "n": its.n,
        "difference": its.difference,
        "interval": [its.low, its.high],
        "p_value": its.p_value,
        "p_adjusted": pair.adjusted,
        "test": its.test,
        "flips": {"gained": list(its.gained), "lost": list(its.lost)},
        "smallest_difference": its.smallest,
        "better": None if pair.better is None else pair.better.figures.run.id,
        "verdict": sentence(pair, found),
    }


def _side(side: Side, found: Comparison) -> dict[str, Any]:
    its, run = side.figures, side.figures.run
    return {
        "label": side.label,
        "id": run.id,
        **{name: getattr(run, name) for name in ("benchmark", "model", "backend")},
        **{name: getattr(its, name) for name in ("samples", "attempts", "all_samples", "missing")},
        "pass@1": None if side.pass_at_1 is None else asdict(side.pass_at_1),
        found.metric.name: asdict(side.rate),
        "how": side.how,
        "errors": list(side.errors),
        "absent": list(side.absent),
        "costs": None if side.costs is None else as_costs(side.costs),
    }


def as_costs(costs: Costs) -> dict[str, float | None]:
    """What tasks took, as JSON values; null is not known."""
    names = ("tokens_a_task", "tokens_a_solved_task", "tokens_a_second", "seconds_a_task", "seconds_a_solved_task")
    return {**asdict(costs), **{name: getattr(costs, name) for name in names}}
