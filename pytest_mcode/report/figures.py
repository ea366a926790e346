"""The figures of one run, computed once for every way of showing them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from pytest_mcode import metrics
from pytest_mcode._rows import Tasks
from pytest_mcode._types import Status, Verdict
from pytest_mcode.metrics import Rate, Rates, Record
from pytest_mcode.store import Run, Store


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

    @cached_property
    def _pass_at(self) -> Rates:
        return metrics.pass_at_k(self.tasks, self.samples, all_samples=self.all_samples)

    @cached_property
    def _solved_within(self) -> Rates:
        return metrics.solve_at_budget(self.tasks, self.samples)


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


def as_json(found: Figures) -> dict[str, Any]:
    """The figures as JSON values; rates are null where they cannot be known."""
    return {
        "run": {**asdict(found.run), "shards": [asdict(shard) for shard in found.run.shards]},
        "solved": found.solved,
        "judged": found.judged,
        "recorded": len(found.tasks),
        "errors": found.errors,
        "faults": dict(found.faults),
        "verdicts": {verdict.value: number for verdict, number in found.verdicts.items()},
        "pass@k": {str(k): _rate(found.pass_at(k)) for k in range(1, found.samples + 1)},
        "solve@samples": {str(n): _rate(found.solved_within(n)) for n in range(1, found.samples + 1)},
        "prompt_tokens": found.prompt_tokens,
        "completion_tokens": found.completion_tokens,
        "seconds": found.seconds,
        "generation_seconds": found.generation_seconds,
        "execution_seconds": found.execution_seconds,
    }


def _rate(rate: Rate | None) -> dict[str, float] | None:
    return None if rate is None else asdict(rate)
