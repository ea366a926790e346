"""The Markdown summary of a run, for the page of a CI job."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_mcode.paired import Paired
from pytest_mcode.report.figures import Figures
from pytest_mcode.report.terminal import grouped, rates, spent
from pytest_mcode.report.words import in_order, model, plural
from pytest_mcode.store import Run

#: Rows of a table of tasks at the most, and letters of a cell: GitHub refuses a summary above 1 MiB.
ROWS, LETTERS = 100, 300
#: What Markdown or HTML would act on.
_ACTING = re.compile(r"[\\`*_\[\]<>&|~#$!]|:(?=//)|(?<=www)\.", re.IGNORECASE)


@dataclass(frozen=True)
class Gate:
    """What came of one gate; flags are spelled as pytest's.

    Attributes:
        asked: The flags that ask for it.
        found: What was found, in words.
        passed: Whether that will do.
    """

    asked: str
    found: str
    passed: bool

    @property
    def outcome(self) -> str:
        """In a word."""
        return "passed" if self.passed else "missed"


@dataclass(frozen=True)
class Against:
    """A run beside its baseline.

    Attributes:
        run: The baseline's row.
        differs: What is not the same in both configurations.
        paired: The comparison; None if they have no task in common that both judged.
    """

    run: Run
    differs: Sequence[str]
    paired: Paired | None


@dataclass(frozen=True)
class Judged:
    """A run at its end.

    Attributes:
        figures: What it came to.
        gates: What came of each gate.
        against: The baseline, if there is one.
        database: Where it is recorded.
        wall: Wall seconds of all its sessions.
    """

    figures: Figures
    gates: Sequence[Gate]
    against: Against | None
    database: str
    wall: float


def markdown(judged: Judged) -> str:
    """The summary; what came from models, servers and data in it is text, and nothing else."""
    run = judged.figures.run
    lines = [f"## mCode: {escaped(run.benchmark)}, {escaped(model(run.model, run.backend))}", ""]
    lines += [*_gates(judged.gates), *_figures(judged)]
    if judged.against is not None:
        lines += _against(judged.against)
    return "\n".join([*lines, *_errors(judged.figures)])


def escaped(text: str) -> str:
    """A text that a model, a server or a data set may have written, as Markdown that shows it, on one line."""
    short = " ".join(text.split())
    short = short if len(short) <= LETTERS else f"{short[:LETTERS]} …"
    return _ACTING.sub(lambda found: f"\\{found[0]}", short)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table of texts, which are escaped here, and the empty line after it."""
    cells = [head, ["---"] * len(head), *([escaped(cell) for cell in row] for row in rows)]
    return [*(f"| {' | '.join(row)} |" for row in cells), ""]


def _gates(gates: Sequence[Gate]) -> list[str]:
    if not gates:
        return []
    missed = sum(not gate.passed for gate in gates)
    told = f"**{missed} of {plural(len(gates), 'gate')} missed.**" if missed else "All gates passed."
    rows = [(gate.outcome, gate.asked, gate.found) for gate in gates]
    return [told, "", *_table(("outcome", "gate", "found"), rows)]


def _figures(judged: Judged) -> list[str]:
    found = judged.figures
    lines = [*rates(found), *spent(found, judged.wall)]
    rows = [("solved", f"{found.solved} of {plural(found.judged, 'task')} judged")]
    rows += [("errors", str(found.errors))] if found.errors else []
    rows += [("not run", f"{found.missing} of {found.run.planned}")] if found.missing else []
    rows += [(line.name, line.text) for line in lines]
    return _table(("figure", ""), [*rows, ("run", f"{found.run.id} in {judged.database}")])


def _against(against: Against) -> Iterator[str]:
    run, paired = against.run, against.paired
    yield from (f"### Against {escaped(run.id)}, {escaped(model(run.model, run.backend))}", "")
    if against.differs:
        yield from (f"The baseline differs in {escaped('; '.join(against.differs))}.", "")
    if paired is None:
        yield from ("No task was judged by both runs.", "")
        return
    yield from _table(
        ("figure", ""),
        [
            ("tasks judged by both", str(paired.n)),
            ("solved by the baseline", f"{paired.first.value:.1%}"),
            ("solved now", f"{paired.second.value:.1%}"),
            ("difference", difference(paired)),
        ],
    )
    for name, tasks in (("lost", paired.lost), ("gained", paired.gained)):
        if tasks:
            yield from _folded(f"{plural(len(tasks), 'task')} {name}", tasks)


def difference(paired: Paired) -> str:
    """The difference in points of per cent with its interval, and the test."""
    points = f"{100 * paired.difference:+.1f} points [{100 * paired.low:+.1f}, {100 * paired.high:+.1f}]"
    return f"{points}, p = {paired.p_value:.2g} ({paired.test})"


def _folded(title: str, tasks: Sequence[str]) -> Iterator[str]:
    """A list of tasks that a click unfolds."""
    yield from ("<details>", f"<summary>{title}</summary>", "")
    shown = sorted(tasks, key=in_order)[:ROWS]
    yield from _table(("task",), [(task,) for task in shown])
    if len(tasks) > len(shown):
        yield from (f"and {len(tasks) - len(shown)} more", "")
    yield from ("</details>", "")


def _errors(found: Figures) -> list[str]:
    groups = grouped(found.faults)
    if not groups:
        return []
    rows = [(str(len(tasks)), ", ".join(tasks), sentence) for sentence, tasks in groups[:ROWS]]
    more = [f"and {len(groups) - ROWS} other sentences", ""] if len(groups) > ROWS else []
    return ["### Errors", "", *_table(("tasks", "which", "error"), rows), *more]
