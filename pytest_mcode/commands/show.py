"""``mcode show``: one task of a run, with all that was asked, written and judged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pytest_mcode._errors import UsageError
from pytest_mcode.commands.common import as_json, databases

if TYPE_CHECKING:
    from pytest_mcode.report.attempts import Shown

NUMBER = click.IntRange(0)


@click.command(short_help="Show one task of a run: prompt, completions, output.")
@click.argument("run")
@click.argument("task")
@click.option("--sample", type=NUMBER, metavar="N", help="Only this sample, from 0.")
@click.option("--attempt", type=NUMBER, metavar="N", help="Only this attempt of each sample, from 0.")
@databases
@as_json
def show(
    run: str, task: str, *, sample: int | None, attempt: int | None, databases: Sequence[str], as_json: bool
) -> None:
    """Show one TASK of a RUN: its prompt, what the model wrote, and what the tests said of it.

    \b
      mcode show last HumanEval/0
      mcode show 20251103 0 --sample 2 --attempt 1

    RUN is an id, the beginning of one, or 'last' for the newest. TASK is spelled as the data set does; what stands
    before its slash may be left out.
    """  # noqa: D301 - click's mark for lines to keep
    from pytest_mcode import recorded
    from pytest_mcode.report import attempts

    its = recorded.named(recorded.expanded(databases), run)
    found = recorded.task_named(its.run, recorded.results_of(its), task)
    shown = attempts.Shown(its.run, found, tuple(recorded.attempts_of(its, found.task_id)), sample, attempt)
    _require_any(shown)
    if as_json:
        click.echo(json.dumps(attempts.as_json(shown), indent=2))
    else:
        attempts.put(shown)


def _require_any(shown: Shown) -> None:
    """Refuse a sample or an attempt that was not made."""
    wanted = [f"{name} {number}" for name, number in reversed(shown.asked.items()) if number is not None]
    if shown.chosen or not wanted:
        return
    raise UsageError(f"{shown.result.task_id} has no {' of '.join(wanted)} in run {shown.run.id}: {_made(shown)}.")


def _made(shown: Shown) -> str:
    """Which samples and attempts there are."""
    last = {row.sample: row.attempt for row in shown.attempts}
    made = [f"sample {sample} (attempt {'0' if most == 0 else f'0 to {most}'})" for sample, most in last.items()]
    return f"there are {', '.join(made)}" if made else "nothing was generated"
