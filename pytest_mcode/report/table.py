"""The table of ``mcode results``."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from pytest_mcode.metrics import Rate
from pytest_mcode.report.figures import Figures

#: Columns that may take two lines on a narrow terminal, beside the names.
RATES = ("pass@1", "pass@k", "solve@budget")


def by_run(found: Sequence[Figures]) -> Table:
    """One row a run."""
    table = _table("pass@1", "solve@budget", "errors", "tokens", "seconds", "run")
    for f in found:
        budget = f.solved_within(f.samples)
        table.add_row(
            *_named(f),
            _percent(f.pass_at(1)),
            f"{_percent(budget)} ({f.samples} x {f.attempts})",
            str(f.errors),
            "" if f.completion_tokens is None else f"{f.completion_tokens:,}",
            f"{f.seconds:,.0f}",
            f.run.id,
        )
    return table


def by_samples(found: Sequence[Figures]) -> Table:
    """One row for each number of samples of each run, so that the gain from more samples is seen."""
    table = _table("samples", "pass@k", "solve@budget", "gain", "run")
    for f in found:
        before: float | None = None
        for samples in range(1, f.samples + 1):
            budget = f.solved_within(samples)
            gain = "" if before is None or budget is None else f"{100 * (budget.value - before):+.1f}"
            table.add_row(
                *_named(f),
                f"{samples} of {f.samples}",
                _percent(f.pass_at(samples)),
                _percent(budget),
                gain,
                f.run.id,
                end_section=samples == f.samples,
            )
            before = None if budget is None else budget.value
    return table


def _table(*columns: str) -> Table:
    table = Table(caption="rates in per cent with 95 % intervals; errors are kept out of them", caption_justify="left")
    for name in ("benchmark", "model", "solved", *columns):
        text = name in ("benchmark", "model", "run")
        table.add_column(
            name, justify="left" if text else "right", overflow="fold", no_wrap=name not in ("model", "run", *RATES)
        )
    return table


def _named(f: Figures) -> tuple[str, str, str]:
    return escape(f.run.benchmark), escape(f.run.model), f"{f.solved}/{f.judged}"


def _percent(rate: Rate | None) -> str:
    return "-" if rate is None else f"{100 * rate.value:.1f} [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
