"""What the page says: runs on the same data set form a group, in which they are compared and their tasks shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from pytest_mcode import _statistics, metrics
from pytest_mcode.metrics import Rate
from pytest_mcode.paired import Paired, compared
from pytest_mcode.report.figures import Figures
from pytest_mcode.report.words import in_order
from pytest_mcode.settings import OPTIONS

#: With more runs than this in a group, they are compared with its first alone.
BASELINES = 16
#: The options that may tell runs apart, with their defaults: those that can change a verdict.
TELLING = {o.name: o.default for o in OPTIONS if o.answers and o.name != "model"}


@dataclass(frozen=True)
class Row:
    """A run of the page.

    Attributes:
        number: From 1, within its group.
        label: Its model, and what tells it from the other runs of the group.
        figures: What it came to.
    """

    number: int
    label: str
    figures: Figures

    @property
    def name(self) -> str:
        """Number and label."""
        return f"{self.number} {self.label}"

    @property
    def pass_at_1(self) -> Rate | None:
        """Of first attempts."""
        return self.figures.pass_at(1)

    @property
    def budget(self) -> Rate | None:
        """Of all samples with all their attempts."""
        return self.figures.solved_within(self.figures.samples)

    @property
    def with_errors(self) -> Rate | None:
        """The same with every error counted as a failure; None where there is no error."""
        return metrics.of_all(self.figures.tasks) if self.figures.errors else None

    @property
    def seconds_a_task(self) -> float | None:
        """Wall seconds, over all tasks that are recorded."""
        return self.figures.seconds / len(self.figures.tasks) if self.figures.tasks else None

    @property
    def tokens_a_task(self) -> float | None:
        """Completion tokens, over all tasks that are recorded; None if the server told none."""
        its = self.figures
        return None if its.completion_tokens is None or not its.tasks else its.completion_tokens / len(its.tasks)

    @cached_property
    def by_samples(self) -> Sequence[tuple[int, Rate | None, Rate | None]]:
        """For each number of samples: pass@k, and solve@budget."""
        its = self.figures
        return [(k, its.pass_at(k), its.solved_within(k)) for k in range(1, its.samples + 1)]

    @cached_property
    def by_attempts(self) -> Sequence[tuple[int, Rate | None, Rate | None]]:
        """For each number of attempts: the share solved by the first sample, and by any sample, within so many."""
        its = self.figures

        def within(samples: int, attempts: int) -> Rate | None:
            return metrics.solve_within(its.tasks, samples, attempts, its.samples)

        return [(a, within(1, a), within(its.samples, a)) for a in range(1, its.attempts + 1)]


@dataclass(frozen=True)
class Comparison:
    """A run against its baseline; the p-value is adjusted for all comparisons with that baseline (Holm)."""

    run: Row
    paired: Paired | None
    adjusted: float | None


@dataclass(frozen=True)
class Group:
    """Runs whose tasks are the same: of one benchmark and one content of its data set.

    Attributes:
        title: The benchmark, and where needed which data set.
        runs: In the order of their numbers.
        tasks: The ids of all tasks that any of them recorded, in natural order.
    """

    title: str
    runs: tuple[Row, ...]
    tasks: tuple[str, ...]

    @property
    def baselines(self) -> Sequence[Row]:
        """The runs that others are compared with."""
        if len(self.runs) < 2:  # noqa: PLR2004 - a run is not compared with itself
            return ()
        return self.runs if len(self.runs) <= BASELINES else self.runs[:1]

    def against(self, baseline: Row) -> Sequence[Comparison]:
        """All other runs against one, on the tasks that both judged."""
        others = [run for run in self.runs if run is not baseline]
        found = [compared(baseline.figures.tasks, run.figures.tasks, tests=len(others)) for run in others]
        told = iter(_statistics.holm([pair.p_value for pair in found if pair]))
        return [Comparison(run, pair, next(told) if pair else None) for run, pair in zip(others, found, strict=True)]

    @cached_property
    def cells(self) -> Sequence[Mapping[str, str]]:
        """Of each run, by task: the first letter of what it came to, then its tally."""
        return [{task.task_id: task.status.value[0] + task.verdicts for task in run.figures.tasks} for run in self.runs]

    @property
    def outcomes(self) -> Mapping[str, Any]:
        """What the matrix of tasks and runs is drawn from, as JSON values; null is a task that a run has not."""
        return {
            "title": self.title,
            "runs": [{"number": run.number, "label": run.label, "id": run.figures.run.id} for run in self.runs],
            "tasks": list(self.tasks),
            "cells": [[its.get(task) for its in self.cells] for task in self.tasks],
        }

    @property
    def options(self) -> Sequence[tuple[str, Sequence[str]]]:
        """Options and provenance: a name, and its value in each run; those that are empty everywhere are left out."""
        facts = [_facts(run.figures) for run in self.runs]
        names = dict.fromkeys(name for its in facts for name in its)
        rows = [(name, [_told(its.get(name)) for its in facts]) for name in names]
        return [(name, values) for name, values in rows if any(values)]


def grouped(found: Sequence[Figures]) -> list[Group]:
    """The groups in the order of their first run; so are the runs in each."""
    order = list(dict.fromkeys(map(_data, found)))
    groups = groupby(sorted(found, key=lambda its: order.index(_data(its))), _data)
    titles = [benchmark for benchmark, _ in order]
    return [
        _group(benchmark if titles.count(benchmark) == 1 else f"{benchmark} ({data[:8]})", list(its))
        for (benchmark, data), its in groups
    ]


def _data(its: Figures) -> tuple[str, str]:
    return its.run.benchmark, its.run.dataset_fingerprint


def _group(title: str, found: Sequence[Figures]) -> Group:
    differing = [name for name in TELLING if len({_told(its.run.config.get(name)) for its in found}) > 1]
    runs = tuple(Row(number, _label(its, differing), its) for number, its in enumerate(found, 1))
    tasks = {task.task_id for its in found for task in its.tasks}
    return Group(title, runs, tuple(sorted(tasks, key=in_order)))


def _label(its: Figures, differing: Sequence[str]) -> str:
    """The model, and its value of each option that is not the same in all runs, unless that is the default."""
    config = {name: its.run.config[name] for name in differing if its.run.config.get(name) not in (None, TELLING[name])}
    return ", ".join([its.run.model, *(name if value is True else f"{name} {value}" for name, value in config.items())])


def _facts(its: Figures) -> dict[str, Any]:
    run = its.run
    told = {"run": run.id, "started": run.started_at, "finished": run.finished_at, "planned": run.planned}
    return {**told, **run.config, "fingerprint": run.dataset_fingerprint, **run.versions}


def _told(value: Any) -> str:
    """A value of an option; a switch that is on is ``yes``."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value in (None, "", False) else "yes" if value is True else str(value)


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which of (cost, rate) no other beats: there is none that costs no more, rates no less, and differs in one."""

    def beaten(cost: float, rate: float) -> bool:
        return any(c <= cost and r >= rate and (c, r) != (cost, rate) for c, r in points)

    return [number for number, point in enumerate(points) if not beaten(*point)]
