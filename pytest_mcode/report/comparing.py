"""Runs against one another: on which tasks they are compared, what each comes to there, and what the pairs say."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

from pytest_mcode import _statistics, metrics, paired
from pytest_mcode._errors import UsageError
from pytest_mcode._rows import ResultRow
from pytest_mcode.metrics import Costs, Rate, Record
from pytest_mcode.paired import BUDGET, Metric, Paired, Value
from pytest_mcode.report.figures import Figures
from pytest_mcode.report.words import in_order, plural
from pytest_mcode.settings import OPTIONS, effective_temperature
from pytest_mcode.store import Run

#: The level of the tests.
ALPHA = 0.05
#: Options that must be the same, or the tasks are not; the other options are techniques, which are compared.
SAME = ("recipe", "timeout")
#: Every option that may change a verdict but those.
TECHNIQUES = tuple(o for o in OPTIONS if o.answers and o.name not in (*SAME, "model"))


@dataclass(frozen=True)
class Side:
    """One of the runs.

    Attributes:
        label: Its letter.
        figures: What it came to on all its tasks.
        tasks: The tasks that all runs judged, in natural order.
        value: What each of them is worth by the metric.
        how: How that is told.
        costs: What these tasks took.
        errors: The tasks that it could not judge.
        absent: The tasks that another run has recorded and it has not.
    """

    label: str
    figures: Figures
    tasks: tuple[Record, ...]
    value: Value
    how: str
    costs: Costs | None
    errors: tuple[str, ...]
    absent: tuple[str, ...]

    @cached_property
    def rate(self) -> Rate:
        """By the metric."""
        return metrics.interval(paired.values(self.tasks, self.value).values())

    @cached_property
    def pass_at_1(self) -> Rate | None:
        """Of first attempts; None where errors leave nothing to estimate it from."""
        known = paired.values(self.tasks, value(paired.metric("pass@1"), self.figures))
        return metrics.interval(known.values()) if known else None


@dataclass(frozen=True)
class Pair:
    """Two of the runs; ``adjusted`` is the p-value, adjusted for all pairs (Holm)."""

    first: Side
    second: Side
    paired: Paired
    adjusted: float

    @property
    def better(self) -> Side | None:
        """The run that is better; None if there is no evidence that one is."""
        if self.adjusted >= ALPHA:
            return None
        return self.second if self.paired.difference > 0 else self.first


@dataclass(frozen=True)
class Comparison:
    """Two runs or more, on the tasks that all of them judged.

    Attributes:
        metric: What they are compared by.
        sides: The runs.
        pairs: Each two of them.
        differing: What else differs between the runs, and its value in each.
        warnings: What a reader of the figures has to know, a sentence each.
    """

    metric: Metric
    sides: tuple[Side, ...]
    pairs: tuple[Pair, ...]
    differing: Mapping[str, tuple[Any, ...]]
    warnings: tuple[str, ...]

    @property
    def n(self) -> int:
        """The tasks that all of them judged."""
        return self.sides[0].rate.n


Rows = Sequence[ResultRow]


def compare(runs: Sequence[tuple[Figures, Rows]], asked: str | None = None, *, anyway: bool = False) -> Comparison:
    """Compare runs, each given as its figures and rows.

    Args:
        runs: Two or more.
        asked: The name of a metric; None: pass@1 where all samples of all of them were drawn, and no debug iteration
            is part of them; else solve@budget.
        anyway: Whether to compare what was measured in different ways, too.

    Raises:
        UsageError: There is no such metric, one of the runs cannot tell it, they have no task in common, or they were
            measured in different ways.
    """
    if len(runs) > len(string.ascii_uppercase):
        raise UsageError(f"{len(runs)} runs are too many to be compared at once: name at most 26.")
    named = dict(zip(string.ascii_uppercase, (figures for figures, _ in runs), strict=False))
    metric = paired.metric(asked or usual(list(named.values())))
    unlike = list(_unlike(named))
    if unlike and not anyway:
        raise UsageError(
            f"These runs were not measured alike: {'; '.join(unlike)}. A difference may come from that alone; compare "
            f"them all the same with --anyway."
        )
    for label, figures in named.items():
        _require(metric, label, figures)
    sides = tuple(_sides(named, [rows for _, rows in runs], metric))
    warnings = (*(f"Not measured alike: {each}." for each in unlike), *_warnings(sides, metric))
    return Comparison(metric, sides, tuple(_pairs(sides)), _differing(named), warnings)


def usual(runs: Sequence[Figures]) -> str:
    """The name of the metric that says most of these runs."""
    return "pass@1" if all(whole(figures) and figures.attempts == 1 for figures in runs) else BUDGET


def whole(figures: Figures) -> bool:
    """Whether every sample of a run was drawn."""
    return figures.all_samples or figures.samples == 1


def _unlike(named: Mapping[str, Figures]) -> Iterator[str]:
    """What makes the tasks of runs different ones, and its value in each."""
    values = {
        "benchmark": [its.run.benchmark for its in named.values()],
        "data set (fingerprint)": [its.run.dataset_fingerprint[:12] for its in named.values()],
        **{o.name: [setting(its.run, o.name) for its in named.values()] for o in OPTIONS if o.name in SAME},
    }
    for name, its in values.items():
        if len(set(its)) > 1:
            yield f"{name} {lettered(its)}"


def lettered(values: Sequence[Any]) -> str:
    """A value for each run, by its letter."""
    shown = ("-" if value is None else f"{value:g}" if isinstance(value, float) else value for value in values)
    return ", ".join(f"{label} {value}" for label, value in zip(string.ascii_uppercase, shown, strict=False))


def setting(run: Run, name: str) -> Any:
    """An option of a run; earlier runs had its default where it is newer than they are."""
    if name == "temperature":
        return effective_temperature(run.config.get(name), run.config["samples"])
    return run.config.get(name, next(o.default for o in OPTIONS if o.name == name))


def value(metric: Metric, figures: Figures) -> Value:
    """What a task of a run is worth."""
    return metric.of(figures.samples, whole=whole(figures))


def _differing(named: Mapping[str, Figures]) -> dict[str, tuple[Any, ...]]:
    runs = [figures.run for figures in named.values()]
    values: dict[str, tuple[Any, ...]] = {"model": tuple(run.model for run in runs)}
    values |= {o.name: tuple(setting(run, o.name) for run in runs) for o in TECHNIQUES}
    if len(set(values["model"])) == 1:
        values["model's digest"] = tuple(run.versions.get("model_digest") for run in runs)
    return {name: its for name, its in values.items() if any(each != its[0] for each in its)}


def _require(metric: Metric, label: str, figures: Figures) -> None:
    """Refuse what a run cannot tell.

    Raises:
        UsageError: It drew too little.
    """
    run = f"run {label} ({figures.run.id})"
    drawn = (metric.samples, figures.samples, "sample"), (metric.attempts, figures.attempts, "attempt")
    for asked, there, what in drawn:
        if asked > there:
            raise UsageError(f"{metric.name} needs {plural(asked, what)}, but {run} has {there}: ask for fewer.")
    judged = metrics.judged(figures.tasks)
    unknown = len(judged) - len(paired.values(judged, value(metric, figures)))
    if unknown and not whole(figures):
        raise UsageError(
            f"{metric.name} cannot be known of {run}: sampling ended at the first pass, so that samples are missing of "
            f"{unknown} of its {plural(len(judged), 'task')}. Draw them with --mcode-all-samples, or ask for pass@1 or "
            f"{BUDGET}."
        )


def _sides(named: Mapping[str, Figures], rows: Sequence[Rows], metric: Metric) -> Iterator[Side]:
    judged = {label: set(paired.values(its.tasks, value(metric, its))) for label, its in named.items()}
    recorded = {label: {task.task_id for task in its.tasks} for label, its in named.items()}
    common, every = set.intersection(*judged.values()), set.union(*recorded.values())
    if not common:
        counts = lettered([len(its) for its in judged.values()])
        raise UsageError(f"There is no task that all of these runs judged (tasks judged: {counts}).")
    for (label, its), own in zip(named.items(), rows, strict=True):
        tasks = [task for task in its.tasks if task.task_id in common]
        yield Side(
            label,
            its,
            tuple(sorted(tasks, key=lambda task: in_order(task.task_id))),
            value(metric, its),
            _how(metric, its),
            metrics.costs(row for row in own if row.task_id in common),
            tuple(sorted(recorded[label] - judged[label], key=in_order)),
            tuple(sorted(every - recorded[label], key=in_order)),
        )


def _how(metric: Metric, figures: Figures) -> str:
    if metric.name == BUDGET:
        return f"{figures.samples} x {figures.attempts}"
    if metric.kind == "solve@":
        return f"within {metric.samples} x {metric.attempts} of {figures.samples} x {figures.attempts}"
    if figures.samples == 1:
        return "of 1 sample"
    if whole(figures):
        return f"estimated without bias from {figures.samples} samples"
    return "of the first sample" if metric.samples == 1 else f"success within {metric.samples} samples"


def _pairs(sides: Sequence[Side]) -> Iterator[Pair]:
    both = list(combinations(sides, 2))
    found = [paired.compared(a.tasks, b.tasks, a.value, b.value, tests=len(both)) for a, b in both]
    told = [pair for pair in found if pair is not None]  # all of them: there are common tasks
    adjusted = _statistics.holm([pair.p_value for pair in told])
    for (a, b), pair, p_value in zip(both, told, adjusted, strict=True):
        yield Pair(a, b, pair, p_value)


def _warnings(sides: Sequence[Side], metric: Metric) -> Iterator[str]:
    for side in sides:
        if side.figures.missing:
            planned = side.figures.run.planned
            yield f"{side.label} is unfinished: {side.figures.missing} of its {planned} tasks are not recorded."
    budgets = [f"{side.figures.samples} x {side.figures.attempts}" for side in sides]
    if metric.name == BUDGET and len(set(budgets)) > 1:
        yield f"The budgets differ ({lettered(budgets)}): what they gain is part of the difference."
