"""The figures of one run, computed once for every way of showing them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from typing import Any

from pytest_mcode import _statistics, metrics
from pytest_mcode._rows import LETTERS, Tasks
from pytest_mcode._types import Status, Verdict
from pytest_mcode.metrics import Costs, Rate, Rates, Record
from pytest_mcode.store import Run, Store

#: Of two runs that are compared: the share of tasks that one solves and the other does not, and the chance to see it.
DISCORDANT, POWER = 0.2, 0.8
#: What is told of the costs, in their own names.
COSTS = ("tokens_a_task", "tokens_a_solved_task", "tokens_a_second", "seconds_a_task", "seconds_a_solved_task")


@dataclass(frozen=True)
class Figures:
    """What a run came to.

    Attributes:
        run: Its row.
        samples: Samples a task was to have.
        attempts: Attempts a sample was to have at most.
        all_samples: Whether samples were drawn even after one had passed.
        tasks: Its tasks, as far as they are recorded.
        statuses: How many tasks came to what.
        verdicts: How many samples came to what.
        faults: The sentence of each task that could not be judged, by its id.
        prompt_tokens: Over all attempts; None if the server told none.
        completion_tokens: Likewise.
        seconds: Wall seconds of all tasks, added up.
        generation_seconds: Seconds spent in generations, added up.
        execution_seconds: Seconds spent in executions, added up.
    """

    run: Run
    samples: int
    attempts: int
    all_samples: bool
    tasks: tuple[Record, ...]
    statuses: Mapping[Status, int]
    verdicts: Mapping[Verdict, int]
    faults: Mapping[str, str]
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float
    generation_seconds: float
    execution_seconds: float

    @property
    def solved(self) -> int:
        """Tasks solved."""
        return self.statuses.get(Status.SOLVED, 0)

    @property
    def judged(self) -> int:
        """Tasks judged: all that are recorded but errors."""
        return len(self.tasks) - self.errors

    @property
    def errors(self) -> int:
        """Tasks that could not be judged."""
        return self.statuses.get(Status.ERROR, 0)

    @property
    def missing(self) -> int:
        """Tasks that were planned and are not recorded."""
        return max(0, self.run.planned - len(self.tasks))

    def pass_at(self, k: int) -> Rate | None:
        """pass@k of first attempts; None where it cannot be known."""
        return self._pass_at(k)

    def solved_within(self, samples: int) -> Rate | None:
        """solve@budget of so many samples with all their attempts; None where it cannot be known."""
        return self._solved_within(samples)

    def pass_hat(self, k: int) -> Rate | None:
        """pass^k of first attempts; None where it cannot be known."""
        return self._pass_hat(k)

    def within(self, samples: int, attempts: int) -> Rate | None:
        """solve@budget of so many samples of so many attempts; None where it cannot be known."""
        return self._within(samples, attempts)

    @cached_property
    def of_all(self) -> Rate | None:
        """Share of all recorded tasks that were solved, errors among them; None if there is none."""
        return metrics.of_all(self.tasks)

    @cached_property
    def attempt_verdicts(self) -> Mapping[Verdict, int]:
        """How many attempts came to what."""
        letters = Counter("".join(task.verdicts for task in self.tasks))
        return {verdict: letters[letter] for verdict, letter in LETTERS.items() if letters[letter]}

    @property
    def smallest_difference(self) -> float | None:
        """The difference to another run that these tasks show with `POWER`, if `DISCORDANT` of them flip, or more.

        None if they show none: there are too few.
        """
        found = _statistics.smallest_difference(self.judged, DISCORDANT, power=POWER)
        return None if math.isinf(found) else found

    @cached_property
    def _pass_at(self) -> Rates:
        return cache(metrics.pass_at_k(self.tasks, self.samples, all_samples=self.all_samples))

    @cached_property
    def _pass_hat(self) -> Rates:
        return cache(metrics.pass_hat_k(self.tasks, self.samples, all_samples=self.all_samples))

    @cached_property
    def _solved_within(self) -> Rates:
        return cache(metrics.solve_at_budget(self.tasks, self.samples))

    @cached_property
    def _within(self) -> Callable[[int, int], Rate | None]:
        def rate(samples: int, attempts: int) -> Rate | None:
            if attempts == self.attempts:  # the same, and known of the first pass of each task
                return self.solved_within(samples)
            return metrics.solve_within(self.tasks, samples, attempts, self.samples)

        return cache(rate)


def figures(store: Store, run: Run) -> Figures:
    """The figures of a run."""
    return computed(run, store.tasks(run_id=run.id).get(run.id, Tasks()))


def of_runs(store: Store, *, benchmark: str | None = None, model: str | None = None) -> list[Figures]:
    """The figures of the runs of that benchmark and model, newest first; None is any."""
    tasks = store.tasks(benchmark=benchmark, model=model)
    return [computed(run, tasks.get(run.id, Tasks())) for run in store.runs(benchmark=benchmark, model=model)]


def computed(run: Run, tasks: Tasks) -> Figures:
    """Compute the figures of a run from its tasks."""
    records = metrics.records(tasks)
    return Figures(
        run=run,
        samples=run.config["samples"],
        attempts=1 + run.config["debug-iters"],
        all_samples=run.config["all-samples"],
        tasks=tuple(records),
        statuses={Status(status): number for status, number in Counter(tasks.status).items()},
        verdicts=metrics.verdicts(records),
        faults=tasks.faults,
        prompt_tokens=tasks.prompt_tokens,
        completion_tokens=tasks.completion_tokens,
        seconds=tasks.seconds,
        generation_seconds=tasks.generation_seconds,
        execution_seconds=tasks.execution_seconds,
    )


def as_json(found: Figures, costs: Costs | None = None) -> dict[str, Any]:
    """The figures as JSON values; rates are null where they cannot be known.

    Args:
        found: The figures.
        costs: What the judged tasks took; None if none was judged, or nobody looked.
    """
    samples, attempts = range(1, found.samples + 1), range(1, found.attempts + 1)
    return {
        "run": {**asdict(found.run), "shards": [asdict(shard) for shard in found.run.shards]},
        "solved": found.solved,
        "judged": found.judged,
        "recorded": len(found.tasks),
        "errors": found.errors,
        "faults": dict(found.faults),
        "verdicts": {verdict.value: number for verdict, number in found.verdicts.items()},
        "attempt_verdicts": {verdict.value: number for verdict, number in found.attempt_verdicts.items()},
        "pass@k": {str(k): _rate(found.pass_at(k)) for k in samples},
        "pass^k": {str(k): _rate(found.pass_hat(k)) for k in samples},
        "solve@samples": {str(n): _rate(found.solved_within(n)) for n in samples},
        "solve@budget": {str(n): {str(a): _rate(found.within(n, a)) for a in attempts} for n in samples},
        "of_all": _rate(found.of_all),
        "smallest_difference": found.smallest_difference,
        "prompt_tokens": found.prompt_tokens,
        "completion_tokens": found.completion_tokens,
        "seconds": found.seconds,
        "generation_seconds": found.generation_seconds,
        "execution_seconds": found.execution_seconds,
        **{name: getattr(costs, name, None) for name in COSTS},
    }


def _rate(rate: Rate | None) -> dict[str, float] | None:
    return None if rate is None else asdict(rate)
