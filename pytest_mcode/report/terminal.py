"""The summary at the end of a run."""

from __future__ import annotations

import shlex
import textwrap
import time
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest

from pytest_mcode import _url, options
from pytest_mcode._errors import StoreError
from pytest_mcode._types import Verdict
from pytest_mcode.metrics import Rate
from pytest_mcode.report.figures import DISCORDANT, POWER, Figures, figures
from pytest_mcode.report.words import fault, in_order, marks, model, plural, tries
from pytest_mcode.settings import Settings
from pytest_mcode.spelling import spelled, visible
from pytest_mcode.store import Store

#: How many sentences on errors are shown, and how many tasks of each are named.
SENTENCES, NAMED = 5, 3


class Begun(Protocol):
    """What the summary needs of the recorder."""

    @property
    def runs(self) -> Mapping[str, str]:
        """The id of each run of this session, by its benchmark."""
        ...


@dataclass(frozen=True)
class Line:
    """One line: its name, its text, and how a terminal marks it (``red``, ``bold`` …); ``whole`` is to be copied."""

    name: str
    text: str
    marks: Mapping[str, bool] = field(default_factory=dict)
    whole: bool = False

    def __str__(self) -> str:
        return f"{self.name:<13} {self.text}"

    def fitting(self, width: int) -> str:
        """The line, on several if it is wider than a window; a ``width`` of 0 is no window."""
        if self.whole or not width:
            return str(self)
        under = " " * 14
        return textwrap.fill(str(self), width, subsequent_indent=under, break_on_hyphens=False, drop_whitespace=True)


class Summary:
    """On the controller: the figures of each run of this session, read back from the database."""

    def __init__(self, store: Store, begun: Begun, settings: Settings) -> None:
        self._store, self._begun, self._settings = store, begun, settings
        self._started = time.monotonic()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None]:
        """Write a section for each run after pytest's own, and in place of its list of our errors."""
        try:
            found = [figures(self._store, run) for run in self._store.runs() if run.id in self._begun.runs.values()]
        except StoreError as error:
            yield
            terminalreporter.write_line(f"mcode: there is no summary: {spelled(str(error), terminalreporter.config)}")
            return
        listed = {spelled(sentence, terminalreporter.config) for f in found for sentence in f.faults.values()}
        with without(terminalreporter, listed):
            yield
        for figured in reversed(found):
            self._write(terminalreporter, figured)
        if not found:
            names = ", ".join(self._settings.bench)
            terminalreporter.write_line(f"mcode: no task of {names} was selected, nothing was run.", yellow=True)

    def _write(self, terminal: Any, found: Figures) -> None:
        terminal.ensure_newline()
        terminal.section(visible(f"mcode {found.run.benchmark}"))
        width = terminal._tw.fullwidth if terminal.isatty else 0  # noqa: SLF001 - the width has no public name
        its = [s for s in self._store.sessions(found.run.id) if s.shard in (None, self._settings.shard_index)]
        earlier = sum(session.seconds for session in its[:-1])
        for line in lines(found, self._store.path, earlier + time.monotonic() - self._started):
            terminal.write_line(spelled(line.fitting(width), terminal.config), **line.marks)

    def pytest_unconfigure(self) -> None:
        """Let go of the database."""
        self._store.close()


@contextmanager
def without(terminal: Any, sentences: Collection[str]) -> Iterator[None]:
    """Have pytest leave out, for a while, the errors on which the summary has these sentences; ``-v`` lists them all.

    Where there is a traceback, pytest shows the first.
    """
    errors = terminal.stats.get("error", [])
    if not errors or terminal.verbosity > 0:
        yield
        return
    told: set[str] = set()
    left = []
    for error in errors:
        is_sentence = isinstance(error.longrepr, str)
        sentence = error.longrepr if is_sentence else fault(error)
        if sentence not in sentences or not (is_sentence or sentence in told):
            left.append(error)
        told.add(sentence)
    terminal.stats["error"] = left
    yield
    terminal.stats["error"] = errors


def lines(found: Figures, database: str, wall: float) -> Iterator[Line]:
    """The summary of one run; ``wall`` is the seconds of all its sessions so far."""
    run = found.run
    often = f", {tries(found.samples, found.attempts)}" if found.samples * found.attempts > 1 else ""
    marked = f", {marks(run.config)}" if marks(run.config) else ""
    yield Line("model", model(run.model, run.backend) + often + marked)
    yield Line("run", f"{run.id} in {database}")
    yield from rates(found)
    yield from errors(found)
    if found.missing:
        rest = f"; all rates are of the {found.judged} that were judged" if found.judged else ""
        of = f" of {run.shards[0].count} shards" if run.shards else ""
        yield Line("not run", f"{found.missing} of {plural(run.planned, 'task')}{of}{rest}", {"yellow": True})
    yield from spent(found, wall)
    if found.judged:
        yield Line("resolution", resolution(found))
    yield Line("more", shlex.join(command(found, database)), whole=True)
    solved = f"{found.solved}/{found.judged}"
    yield Line("solved", solved, {"bold": True, "green": found.solved == found.judged > 0})


def rates(found: Figures) -> Iterator[Line]:
    """pass@k of first attempts for k up to n, and what all attempts came to."""
    n = found.samples
    first = ", first attempts" if found.attempts > 1 else ""
    how = (
        f" sample{first}"
        if n == 1
        else f"{first}, unbiased estimate"
        if found.all_samples
        else f"{first}, success within k"
    )
    for k in usual(n):
        rate = found.pass_at(k)
        if rate is not None:
            yield Line(f"pass@{k}", f"{shown(rate)}  n = {n}{how}", {"bold": k == 1})
    every = found.pass_hat(n) if n > 1 else None
    if every is not None:
        yield Line(f"pass^{n}", f"{shown(every)}  all {n} samples pass{first}")
    if found.samples * found.attempts > 1:
        rate = found.solved_within(found.samples)
        budget = f"{found.samples} x {found.attempts} attempts"
        yield Line("solve@budget", f"{shown(rate)}  {budget}" if rate else "no task was judged")


def errors(found: Figures) -> Iterator[Line]:
    """How many tasks could not be judged, both rates, and the sentences on them, each with its first tasks."""
    if not found.errors:
        return
    share = f"solved {found.solved / found.judged:.1%} of the others, " if found.judged else ""
    text = f"{found.errors} of {len(found.tasks)} not judged: {share}{found.solved / len(found.tasks):.1%} of all"
    yield Line("errors", text, {"red": True})
    groups = grouped(found.faults)
    for sentence, tasks in groups[:SENTENCES]:
        more = f" and {len(tasks) - NAMED} more" if len(tasks) > NAMED else ""
        yield Line("", f"{', '.join(tasks[:NAMED])}{more}: {sentence}", {"red": True})
    if len(groups) > SENTENCES:
        rest = sum(len(tasks) for _, tasks in groups[SENTENCES:])
        yield Line("", f"and {plural(rest, 'task')} with {len(groups) - SENTENCES} other sentences", {"red": True})


def grouped(faults: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """The sentences on tasks, each with its tasks, the most frequent first; they may differ by the task's id."""
    groups: dict[str, list[str]] = {}
    for task, sentence in sorted(faults.items(), key=lambda fault: in_order(fault[0])):
        groups.setdefault(sentence.replace(task, "\0"), []).append(task)
    largest = sorted(groups.items(), key=lambda group: -len(group[1]))
    return [(sentence.replace("\0", tasks[0]), tasks) for sentence, tasks in largest]


def spent(found: Figures, wall: float) -> Iterator[Line]:
    """What the samples came to, and what they took."""
    verdicts = [f"{verdict.value} {found.verdicts[verdict]}" for verdict in Verdict if verdict in found.verdicts]
    of = f" of {sum(found.verdicts.values())} samples" if found.samples > 1 else ""
    yield Line("verdicts", f"{', '.join(verdicts)}{of}" if verdicts else "none")
    counts = {"prompt": found.prompt_tokens, "completion": found.completion_tokens}
    tokens = [f"{count:,} {name}" for name, count in counts.items() if count is not None]
    if tokens:
        yield Line("tokens", ", ".join(tokens))
    added = f"{found.generation_seconds:,.1f} generating, {found.execution_seconds:,.1f} executing"
    yield Line("seconds", f"{wall:,.1f} wall; added up over tasks: {added}")


def command(found: Figures, database: str) -> list[str]:
    """How to see more of it."""
    words = ["mcode", "results", "--benchmark", found.run.benchmark, "--model", found.run.model]
    words += ["--compare-samples"] if found.samples > 1 else []
    return words if database == _url.shown(options.default_database()) else [*words, "--db", database]


def usual(most: int) -> list[int]:
    """The numbers of samples or attempts that are shown, up to the most there may be, which always is."""
    return sorted({k for k in (1, 2, 5, 10, 100) if k <= most} | {most})


def resolution(found: Figures) -> str:
    """How small a difference between this run and another of the same tasks can be and still be seen."""
    least = found.smallest_difference
    if least is None:
        return f"no difference to another run is seen with {plural(found.judged, 'task')}"
    flips = f"{DISCORDANT:.0%} of tasks flip" if least < DISCORDANT else "all flips one way"
    return f"differences of {100 * least:.1f} points and more ({POWER:.0%} power, {flips})"


def shown(rate: Rate) -> str:
    """A rate with its interval, in per cent."""
    return f"{rate.value:6.1%} [{rate.low:.1%}, {rate.high:.1%}]"
