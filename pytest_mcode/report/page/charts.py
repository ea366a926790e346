"""The page's charts, as plotly draws them: JSON values alone, so that plotly's Python side need not be loaded.

Colours are no part of them: each trace says in ``meta`` which run it is of, and the page colours it as its theme asks.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_mcode.metrics import Rate
from pytest_mcode.report.page.content import Group, Row, pareto
from pytest_mcode.spelling import visible

#: Told apart without colour, too.
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon", "triangle-down")
DASHES = ("solid", "dash")
#: Up to so many samples or attempts, each has its tick.
TICKS = 12
#: The characters that a legend has room for in a narrow window.
ROOM = 30
Point = tuple[float, Rate]


@dataclass(frozen=True)
class Chart:
    """A chart and what it shows as a table: rows of a run, a figure's name, x, and the rate.

    Attributes:
        title: What it says.
        note: How to read it.
        x: Name of the axis.
        spec: Its traces and layout for plotly.
        points: Each point: name of its run, name of its line, x, rate, and whether it is on the Pareto front.
    """

    title: str
    note: str
    x: str
    spec: dict[str, Any]
    points: Sequence[tuple[str, str, float, Rate, bool]]


def charts(group: Group) -> list[Chart]:
    """The charts of a group: costs, then curves; those without a point are left out."""
    made = [
        _cost(group, "Rate against seconds", "wall seconds a task", lambda run: run.seconds_a_task),
        _cost(group, "Rate against tokens", "completion tokens a task", lambda run: run.tokens_a_task),
        _curves(
            "More samples",
            "pass@k of first attempts; solve@budget counts all attempts of each sample.",
            "samples",
            _over_samples(group),
        ),
        _curves(
            "More attempts",
            "Tasks solved within so many attempts of the first sample, and of all samples where that is known.",
            "attempts a sample",
            _over_attempts(group),
        ),
    ]
    return [chart for chart in made if chart.points]


def _cost(group: Group, title: str, x: str, cost: Callable[[Row], float | None]) -> Chart:
    told = [(run, cost(run), run.budget) for run in group.runs]
    points = [(run, spent, rate) for run, spent, rate in told if spent is not None and rate is not None]
    front = set(pareto([(spent, rate.value) for _, spent, rate in points]))
    traces = [_trace(run, "solve@budget", [(spent, rate)], lines=False) for run, spent, rate in points]
    ahead = sorted((spent, rate.value) for number, (_, spent, rate) in enumerate(points) if number in front)
    if ahead:
        traces.append(_front(ahead))
    rows = [(run.name, "solve@budget", spent, rate, n in front) for n, (run, spent, rate) in enumerate(points)]
    note = "solve@budget with 95 % intervals. The dotted line is the Pareto front: no run is both cheaper and better."
    return Chart(title, note, x, _spec(traces, x), rows)


def _curves(title: str, note: str, x: str, lines: Iterable[tuple[Row, str, Sequence[Point]]]) -> Chart:
    lines = list(lines)
    names = list(dict.fromkeys(name for _, name, _ in lines))
    traces = [_trace(run, name, points, dash=DASHES[names.index(name) % 2]) for run, name, points in lines]
    rows = [(run.name, name, at, rate, False) for run, name, points in lines for at, rate in points]
    spec = _spec(traces, x)
    spec["layout"]["xaxis"] |= {"tickformat": "d", "rangemode": "normal"}
    if max((at for _, _, at, _, _ in rows), default=0) <= TICKS:
        spec["layout"]["xaxis"] |= {"dtick": 1}
    return Chart(title, note, x, spec, rows)


def _over_samples(group: Group) -> Iterator[tuple[Row, str, Sequence[Point]]]:
    for run in group.runs:
        if run.figures.samples > 1:
            yield from _known(run, "pass@k", [(k, rate) for k, rate, _ in run.by_samples])
            if run.figures.attempts > 1:
                yield from _known(run, "solve@budget", [(k, rate) for k, _, rate in run.by_samples])


def _over_attempts(group: Group) -> Iterator[tuple[Row, str, Sequence[Point]]]:
    for run in group.runs:
        if run.figures.attempts > 1:
            yield from _known(run, "first sample", [(a, rate) for a, rate, _ in run.by_attempts])
            if run.figures.samples > 1:
                yield from _known(run, "all samples", [(a, rate) for a, _, rate in run.by_attempts])


def _known(run: Row, name: str, points: Iterable[tuple[int, Rate | None]]) -> Iterator[tuple[Row, str, list[Point]]]:
    """The line, if any of its points is known."""
    known: list[Point] = [(at, rate) for at, rate in points if rate is not None]
    if known:
        yield run, name, known


def _trace(run: Row, name: str, points: Sequence[Point], *, lines: bool = True, dash: str = "solid") -> dict[str, Any]:
    rates = [rate for _, rate in points]
    after = f": {name}" if lines else ""
    room = ROOM - len(after)
    label = run.name if len(run.name) <= room else f"{run.name[: room - 1]}…"
    return {
        "type": "scatter",
        "mode": "lines+markers" if lines else "markers",
        "name": html.escape(visible(label + after), quote=False),  # plotly reads some tags
        "meta": {"run": run.number},
        "x": [at for at, _ in points],
        "y": [100 * rate.value for rate in rates],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [100 * (rate.high - rate.value) for rate in rates],
            "arrayminus": [100 * (rate.value - rate.low) for rate in rates],
            "thickness": 1,
            "width": 3,
        },
        "customdata": [[100 * rate.low, 100 * rate.high] for rate in rates],
        "hovertemplate": "%{x:,.4~g}: %{y:.1f} [%{customdata[0]:.1f}, %{customdata[1]:.1f}]",
        "line": {"dash": dash, "width": 2},
        "marker": {"symbol": SYMBOLS[(run.number - 1) % len(SYMBOLS)], "size": 9},
    }


def _front(points: Sequence[tuple[float, float]]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "Pareto front",
        "meta": {"run": 0},
        "x": [spent for spent, _ in points],
        "y": [100 * rate for _, rate in points],
        "line": {"dash": "dot", "width": 2, "shape": "hv"},
        "hoverinfo": "skip",
    }


def _spec(traces: Sequence[dict[str, Any]], x: str) -> dict[str, Any]:
    axis = {"automargin": True, "zeroline": False}
    return {
        "data": list(traces),
        "layout": {
            "xaxis": {**axis, "title": {"text": x}, "rangemode": "tozero"},
            "yaxis": {**axis, "title": {"text": "per cent of tasks"}, "range": [0, 102]},
            "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
            "legend": {"orientation": "h", "yref": "container", "y": 0, "x": 0, "xanchor": "left", "yanchor": "bottom"},
            "hoverlabel": {"namelength": -1},
            "dragmode": False,
        },
    }
