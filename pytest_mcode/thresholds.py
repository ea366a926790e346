"""Gates: whether the figures of a session will do, and a status and a last line that say so.

They are judged on the controller once everything is recorded, from the database, for each benchmark of the session:
of a run that was gone on with, all its tasks count. A rate is solve@budget over the tasks that were judged. A run of
which tasks are missing passes no gate, and neither does one in which no task was judged.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mcode import _url, options, paired, recorded
from pytest_mcode._errors import StoreError, UsageError
from pytest_mcode._parse import share
from pytest_mcode._types import Status
from pytest_mcode.outcome import Ruling
from pytest_mcode.report.figures import Figures, figures
from pytest_mcode.report.job import Against, Gate, Judged, difference, markdown
from pytest_mcode.report.terminal import Line, shown
from pytest_mcode.report.words import plural
from pytest_mcode.resume import differences
from pytest_mcode.spelling import spelled, visible
from pytest_mcode.store import wall

if TYPE_CHECKING:
    from pytest_mcode.collect import Planned
    from pytest_mcode.metrics import Record
    from pytest_mcode.paired import Paired
    from pytest_mcode.recorded import Located
    from pytest_mcode.settings import Settings
    from pytest_mcode.store import Run, Store

#: What an SQLite file begins with.
SQLITE = b"SQLite format 3\0"
#: Level of the two-sided test of a loss.
ALPHA = 0.05

#: Runs that may be the baseline of each benchmark, the newest first.
Candidates = Mapping[str, "Sequence[Located]"]


@dataclass(frozen=True)
class Baseline:
    """The run that a benchmark's run is compared with, its tasks, and what of its configuration is another."""

    run: Run
    tasks: Sequence[Record]
    differs: Sequence[str]


def checked(settings: Settings) -> Candidates:
    """Look at all that the gates need, before anything is spent or written.

    Raises:
        UsageError: The summary cannot be written, or there is no such baseline, or gates are asked of a shard.
        StoreError: The baseline's database cannot be read.
    """
    if settings.summary is not None:
        _require_writable(settings.summary)
    if settings.shard_count > 1 and (settings.fail_under is not None or settings.baseline is not None):
        flag = "--mcode-fail-under" if settings.fail_under is not None else "--mcode-baseline"
        raise UsageError(
            f"{flag} judges a whole run, and this is one of {settings.shard_count} shards: leave it out, and judge "
            f"what 'mcode results' says of all shards together."
        )
    if settings.baseline is None:
        return {}
    return {benchmark: _candidates(settings.baseline, settings.db, benchmark) for benchmark in settings.bench}


def _require_writable(name: str) -> None:
    path = Path(name).expanduser()
    why = ""
    if not path.parent.is_dir():
        why = f"there is no directory {path.parent}"
    elif path.is_relative_to("/dev") or (path.exists() and not path.is_file()):
        why = "it is no file"
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        why = "permission denied"
    if why:
        raise UsageError(f"The summary {name} cannot be written ({why}): name another file with --mcode-summary.")


def _candidates(baseline: str, database: str, benchmark: str) -> Sequence[Located]:
    """The finished runs of a benchmark that ``--mcode-baseline`` may mean."""
    paths, run_id = _read(baseline, database)
    wanted = recorded.Wanted(benchmark=benchmark)
    try:
        found = [recorded.named(paths, run_id)] if run_id else recorded.located(paths, wanted)
    except UsageError as error:
        raise UsageError(f"There is no baseline {baseline}: {str(error)[:1].lower()}{str(error)[1:]}") from None
    if run_id:
        (run,) = [its.run for its in found]
        if run.benchmark != benchmark:
            raise UsageError(
                f"The baseline {run.id} is a run of {run.benchmark}, not of {benchmark}: name one of {benchmark}."
            )
        if run.finished_at is None:
            raise UsageError(f"The baseline {run.id} is unfinished: go on with it first, or name another run.")
        return found
    finished = [its for its in found if its.run.finished_at is not None]
    if not finished:
        raise UsageError(f"The baseline {baseline} holds no finished run of {benchmark}: name another file, or a run.")
    return finished


def _read(baseline: str, database: str) -> tuple[list[str], str]:
    """The databases that are named, and the run; empty where its database alone is."""
    file, _, run_id = baseline.rpartition(":")
    for name, its in ((baseline, ""), (file, run_id)):
        if name and Path(name).expanduser().exists():
            paths = recorded.expanded([name])
            for path in paths:
                _require_database(path)
            return paths, its
    if "://" in database or Path(database).expanduser().is_file():
        return [database], baseline
    raise UsageError(
        f"There is no baseline {_url.shown(baseline)}: no such file, and no database {database} that could hold such "
        f"a run."
    )


def _require_database(name: str) -> None:
    try:
        with Path(name).expanduser().open("rb") as file:
            is_database = file.read(len(SQLITE)) == SQLITE
    except OSError as error:
        raise UsageError(f"The baseline {name} cannot be read ({error.strerror}).") from None
    if not is_database:
        raise UsageError(
            f"The baseline {name} is no results database: name one, or FILE:RUN; figures alone, as 'mcode results "
            f"--json' prints them, do not tell which tasks were solved."
        )


def baselines(
    candidates: Candidates, under_way: Collection[str], settings: Settings, facts: Mapping[str, str]
) -> dict[str, Baseline]:
    """The baseline of each benchmark, read as a whole.

    Args:
        candidates: What may be meant.
        under_way: The ids of the runs that are gone on with, which are no baseline of themselves.
        settings: The configuration.
        facts: What the model server tells of the model.

    Raises:
        UsageError: The only run that may be meant is gone on with.
    """
    found = {}
    for benchmark, runs in candidates.items():
        its = next((its for its in runs if its.run.id not in under_way), None)
        if its is None:
            raise UsageError(
                f"The baseline {runs[0].run.id} is the run that is gone on with: name another with --mcode-baseline."
            )
        found[benchmark] = Baseline(its.run, recorded.figures_of(its).tasks, _differs(its.run, settings, facts))
    return found


def _differs(run: Run, settings: Settings, facts: Mapping[str, str]) -> list[str]:
    """What makes the baseline another measurement; another model has another digest anyway."""
    if run.model == settings.model:
        return differences(run, settings, facts)
    return [f"model ({run.model}, now {settings.model})", *differences(run, settings, {})]


def shows_loss(found: Paired, allowed: float) -> bool:
    """Whether a comparison shows that more than ``allowed`` (from 0 to 1) of the tasks was lost.

    The upper end of the 95 % interval of the difference lies below ``-allowed``, so that the difference does, too; and
    the exact test of any difference agrees, which holds the false alarms of small sets down.
    """
    return found.high < -allowed and found.p_value < ALPHA


def gates(found: Figures, settings: Settings, against: Against | None) -> Iterator[Gate]:
    """What came of each gate for one run."""
    why = _unjudged(found)
    if settings.fail_under is not None:
        yield _rate(found, settings, why)
    if against is not None:
        asked = f"--mcode-baseline {against.run.id} --mcode-max-regression {settings.max_regression or 0:g}"
        yield Gate(asked, why, passed=False) if why else Gate(asked, *_compared(against.paired, settings))
    if settings.max_errors is not None or (found.errors and _asked(settings)):
        yield _errors(found, settings, why)


def _asked(settings: Settings) -> bool:
    """Whether there is any gate."""
    return any(value is not None for value in (settings.fail_under, settings.baseline, settings.max_errors))


def _unjudged(found: Figures) -> str:
    """Why no gate can be passed; empty if one can."""
    if found.missing and not found.run.shards:  # of a shard, only its errors are judged
        return f"{found.missing} of {plural(found.run.planned, 'task')} not run, and only a whole run can pass"
    return "" if found.judged else "no task was judged"


def _rate(found: Figures, settings: Settings, why: str) -> Gate:
    lower, least = settings.fail_under_lower, settings.fail_under or 0.0
    asked = f"--mcode-fail-under {100 * least:g}%" + (" --mcode-fail-under-lower" if lower else "")
    rate = found.solved_within(found.samples)
    if why or rate is None:
        return Gate(asked, why, passed=False)
    told = f"solved {found.solved} of {plural(found.judged, 'task')} judged, {shown(rate).strip()}"
    return Gate(asked, told, passed=(rate.low if lower else rate.value) >= least)


def _compared(found: Paired | None, settings: Settings) -> tuple[str, bool]:
    if found is None:
        return "no task was judged by both runs", False
    points = settings.max_regression or 0.0
    lost = shows_loss(found, points / 100)
    more = f"a loss of more than {points:g} points" if points else "a loss"
    told = f"{difference(found)} on {plural(found.n, 'task')}: {more if lost else f'no evidence of {more}'}"
    return told, not lost


def _errors(found: Figures, settings: Settings, why: str) -> Gate:
    most, errors, n = settings.max_errors or "0", found.errors, len(found.tasks)
    few = errors / n <= share(most) if n and most.endswith("%") else errors <= int(most.removesuffix("%"))
    told = why if few and why else f"{errors} of {plural(n, 'task')} met an error"
    return Gate(f"--mcode-max-errors {most}", told, passed=few and not why)


class Gates:
    """On the controller: judges the runs of the session, and tells of it at the very end.

    Args:
        config: Of this session.
        store: Where its runs are recorded.
        settings: The configuration.
        baselines: What each benchmark is compared with, if it is.
    """

    def __init__(
        self, config: pytest.Config, store: Store, settings: Settings, baselines: Mapping[str, Baseline]
    ) -> None:
        self._config, self._store, self._settings, self._baselines = config, store, settings, baselines
        self._judged: list[Judged] = []
        self._missed: list[str] = []
        self._written: list[str] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for the header: what is compared with, since a file says only where it is."""
        return tuple(_told(base) for base in self._baselines.values())

    def agree(self, planned: Planned) -> None:
        """Refuse to compare runs on different data.

        Raises:
            UsageError: The baseline was made on others.
        """
        base = self._baselines.get(planned.benchmark)
        if base is not None and base.run.dataset_fingerprint != planned.fingerprint:
            raise UsageError(
                f"The baseline {base.run.id} was made on other data (fingerprint {base.run.dataset_fingerprint[:12]}, "
                f"now {planned.fingerprint[:12]}): make one on these, or leave out --mcode-baseline."
            )

    def judge(self, runs: Mapping[str, str]) -> Ruling:
        """Judge the runs of this session, by benchmark, as they are recorded."""
        try:
            self._judged = [self._judge(run) for run in reversed(self._store.runs()) if run.id in runs.values()]
        except StoreError as error:
            self._missed = [str(error)] if _asked(self._settings) else []
            return Ruling(passed=not self._missed)
        told = [(its.figures.run.benchmark, gate) for its in self._judged for gate in its.gates]
        self._missed = [f"{name} missed {gate.asked}: {gate.found}" for name, gate in told if not gate.passed]
        if _asked(self._settings):
            self._missed += [f"no task of {name} was selected" for name in self._settings.bench if name not in runs]
        few = [gate.passed for _, gate in told if gate.asked.startswith("--mcode-max-errors")]
        return Ruling(passed=not self._missed, errors_borne=self._settings.max_errors is not None and all(few))

    def _judge(self, run: Run) -> Judged:
        found, base = figures(self._store, run), self._baselines.get(run.benchmark)
        against = Against(base.run, base.differs, paired.compared(base.tasks, found.tasks)) if base else None
        seconds = wall(self._store.sessions(run.id))
        return Judged(found, [*gates(found, self._settings, against)], against, self._store.path, seconds)

    def pytest_sessionfinish(self) -> None:
        """Write the summary for the job's page."""
        text = spelled("\n".join(map(markdown, self._judged)), self._config)
        files = {self._settings.summary: "w", options.step_summary(): "a"} if self._judged else {}
        for name, mode in files.items():
            if name is not None:
                self._written.append(_written(Path(name).expanduser(), mode, text))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Iterator[None]:
        """Tell what came of each gate, after the figures."""
        yield
        told = [(its.figures.run.benchmark, gate) for its in self._judged for gate in its.gates]
        if told:
            terminalreporter.section("mcode gates")
        width = terminalreporter._tw.fullwidth if terminalreporter.isatty else 0  # noqa: SLF001 - it has no public name
        for benchmark, gate in told:
            marks = {"green" if gate.passed else "red": True}
            line = Line(gate.outcome, f"{benchmark} {gate.asked}: {gate.found}", marks)
            terminalreporter.write_line(spelled(line.fitting(width), self._config), **line.marks)
        for sentence in self._written:
            terminalreporter.write_line(visible(sentence))

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Say as the very last line why the status is 1."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None and self._missed:
            terminal.ensure_newline()
            line = " ".join(spelled(f"mcode: {'; '.join(self._missed)}", self._config).split())
            terminal.write_line(line, red=True)


def _told(base: Baseline) -> str:
    solved = sum(task.status is Status.SOLVED for task in base.tasks)
    judged = sum(task.status is not Status.ERROR for task in base.tasks)
    differs = f"; it differs in {'; '.join(base.differs)}" if base.differs else ""
    return f"baseline {base.run.id}, solved {solved}/{judged}{differs}"


def _written(path: Path, mode: str, text: str) -> str:
    """Write a summary, and say so; one that cannot be written takes nothing from the run."""
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        return f"mcode: no summary could be written to {path} ({error.strerror})"
    return f"mcode: wrote a summary to {path}"
