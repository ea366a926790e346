"""What is said of a sweep: its plan before it starts, and at the end what it came to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pytest_mcode.report import table
from pytest_mcode.report.figures import Figures
from pytest_mcode.report.tabular import Column, Listing
from pytest_mcode.report.words import plural
from pytest_mcode.sweeping.file import Measured
from pytest_mcode.sweeping.forecast import duration
from pytest_mcode.sweeping.plan import Plan, Step


def _time(step: Step) -> str:
    if step.done:
        return ""
    if step.seconds is None:
        return "?"
    return duration(step.seconds) + ("" if step.speed is None or step.speed.same_benchmark else " *")


COLUMNS = (
    Column[Step]("benchmark", lambda step: step.asked.benchmark, side="left", folds=True),
    Column[Step]("model", lambda step: step.asked.settings.model, side="left", folds=True),
    Column[Step]("options", lambda step: step.differs, side="left", folds=True, idle=lambda step: not step.differs),
    Column[Step]("tasks", lambda step: "?" if step.tasks is None else step.tasks),
    Column[Step]("generations", lambda step: "?" if step.generations is None else step.generations or ""),
    Column[Step]("time", _time),
    Column[Step]("state", lambda step: step.state, side="left"),
)


def listing(plan: Plan) -> Listing[Step]:
    """The plan, a row a run, with a section for each model."""
    models = [step.asked.loaded for step in plan.steps]
    last = {model: place for place, model in enumerate(models)}
    ends = [plan.steps[place] for place in last.values()]
    return Listing(COLUMNS, plan.steps, "\n".join(_caption(plan)), lambda step: any(step is end for end in ends))


def _caption(plan: Plan) -> Iterator[str]:
    if not plan.left:
        return
    yield "generations and time: of what is left, at most"
    bases = {None if step.speed is None else step.speed.same_benchmark for step in plan.left}
    if True in bases:
        yield "time: at the speed of earlier runs of the model on the benchmark"
    if False in bases:
        yield "*: at the speed of its runs on other benchmarks"
    if None in bases:
        yield "?: no earlier run of the model tells" if all(s.tasks is not None for s in plan.left) else "?: not known"


def summary(plan: Plan) -> str:
    """How many runs are left, with how many generations and, as far as it is known, how long they take."""
    states = Counter("done" if step.done else "new" if step.run is None else "begun" for step in plan.steps)
    counts = ", ".join(f"{states[state]} {state}" for state in ("done", "begun", "new") if states[state])
    text = f"{plan.sweep.name}: {plural(len(plan.steps), 'run')}, {counts}"
    generations = [step.generations for step in plan.left if step.generations is not None]
    seconds = [step.seconds for step in plan.left if step.seconds is not None]
    if generations:
        text += f"; at most {sum(generations):,} generations{_of(len(generations), plan)}"
    if seconds:
        text += f", {duration(math.fsum(seconds))}{_of(len(seconds), plan)}"
    return text


def _of(known: int, plan: Plan) -> str:
    """A reminder that something is known of some of the runs alone."""
    return f" (of {known} of the {len(plan.left)} runs)" if known < len(plan.left) else ""


def remarks(plan: Plan) -> Iterator[str]:
    """What else is to be known of a plan."""
    yield from (f"note: {note}" for note in plan.notes)
    for run in plan.others:
        yield f"note: run {run.id} ({run.benchmark}, {run.model}) is of this sweep, but not in its file: left alone"


def results(steps: Sequence[Step], found: Sequence[Figures]) -> Listing[table.Row]:
    """The figures of the runs, in the order of the plan, with what they differ in."""
    told = {step.run.id: step.differs for step in steps if step.run is not None}
    made = table.by_run(found)
    differs = Column[table.Row](
        "options",
        lambda row: told[row.figures.run.id],
        side="left",
        folds=True,
        idle=lambda row: not told[row.figures.run.id],
    )
    names = [column.name for column in made.columns]
    after = names.index("model") + 1
    return Listing([*made.columns[:after], differs, *made.columns[after:]], made.rows, made.caption, made.ends)


def highest(steps: Sequence[Step], found: Sequence[Figures]) -> Iterator[str]:
    """Which run has the highest pass@1 of each benchmark that has several."""
    titles = {step.run.id: step.title for step in steps if step.run is not None}
    for benchmark in dict.fromkeys(its.run.benchmark for its in found):
        rates = {its.run.id: rate.value for its in found if its.run.benchmark == benchmark and (rate := its.pass_at(1))}
        best = [run for run, value in rates.items() if value == max(rates.values())]
        if len(rates) > 1:
            more = f" and {len(best) - 1} more" if len(best) > 1 else ""
            yield f"highest pass@1: {100 * rates[best[0]]:.1f}, {titles[best[0]]}{more}"


def faults(steps: Sequence[Step], statuses: Mapping[Measured, int | None]) -> Iterator[str]:
    """What kept runs from being whole, or from ending well.

    Args:
        steps: As they are now.
        statuses: The exit status of each run that was made; None where it was left out.
    """
    for step in steps:
        status = statuses.get(step.asked.measured, 0)
        if status == 0:  # also where some tasks met an error, if the run's own gate bears that
            continue
        how = f"ended with status {status}" if status is not None else "was left out"
        of = "not begun" if step.run is None else f"{step.judged} of {plural(step.run.planned, 'task')} judged"
        yield f"not as it should be: {step.title}: {how}, {of}"
