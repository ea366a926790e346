"""``mcode sweep``: a grid of runs as one, planned, made and reported."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_mcode import spelling
from pytest_mcode._errors import UsageError
from pytest_mcode._parse import nearest

if TYPE_CHECKING:
    from pytest_mcode.sweeping.file import Measured
    from pytest_mcode.sweeping.plan import Plan

#: Exit statuses, as `mcode bench` has them.
FAILED, INTERRUPTED = 1, 2
#: Where the words for pytest are kept, which click is not given.
WORDS = "pytest_mcode.words"
#: What would have pytest select tasks, of which the plan knows nothing.
SELECTING = ("-k", "-m", "--lf", "--last-failed", "--deselect", "--sw", "--stepwise", "--mcode-")


class Divided(click.Command):
    """A command that leaves what follows a ``--`` to pytest."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give click what comes before, and refuse the rest where a plan could not hold."""
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[WORDS] = args[end + 1 :]
        for word in ctx.meta[WORDS]:
            if word.startswith(SELECTING):
                raise UsageError(f"{word} would change what the runs of the sweep are: say it in its file.")
        try:
            return super().parse_args(ctx, args[:end])
        except click.NoSuchOption as error:
            meant = nearest(error.option_name, [name for parameter in self.params for name in parameter.opts])
            others = "" if meant else " Those of a run stand in FILE; those of pytest after a --, such as -- -n 4."
            raise UsageError(f"There is no option {error.option_name}{meant}.{others}") from None

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the words in the order in which they are usually written."""
        return ["FILE", "[OPTIONS]", "[-- PYTEST OPTIONS]"]


@click.command(
    cls=Divided,
    short_help="Run a grid of options as one sweep.",
    epilog="Exit status: 0 every task of every run was judged; 1 not so; 2 interrupted; 4 nothing could be run as "
    "asked.",
)
@click.argument("file")
@click.option("--db", metavar="PATH", help="Results database, in place of the file's.")
@click.option("--plan", "only_plan", is_flag=True, help="Show the plan, and run nothing.")
@click.option("--yes", "-y", is_flag=True, help="Start without asking.")
@click.pass_context
def sweep(context: click.Context, file: str, *, db: str | None, only_plan: bool, yes: bool) -> None:
    """Make all runs that the TOML file FILE asks for, as one named sweep.

    \b
      mcode sweep small-models.toml --plan
      mcode sweep small-models.toml
      mcode sweep small-models.toml --yes -- -n 4

    The plan comes first: every run with its tasks, how many generations are left at most and, where earlier runs of
    the model tell, how long they take. Then the runs are made one after the other, a model at a time. The same
    command again goes on with what is left. At the end there is one table, and a page beside the database.
    """  # noqa: D301 - click's mark for lines to keep
    from pytest_mcode.sweeping.file import read
    from pytest_mcode.sweeping.plan import planned
    from pytest_mcode.sweeping.sizing import sizes

    asked = read(file, db)
    known = sizes(asked.runs)
    plan = planned(asked, known)
    _show(plan, whole=only_plan or bool(plan.left))
    if only_plan:
        return
    if plan.left:
        _agree(plan, yes=yes)
    statuses = _made(plan, context.meta[WORDS])
    whole = _report(planned(asked, known), statuses)
    raise SystemExit(0 if whole else FAILED)


def _show(plan: Plan, *, whole: bool) -> None:
    from pytest_mcode.report import tabular
    from pytest_mcode.sweeping import told

    if whole:
        tabular.put(told.listing(plan))
    for line in (told.summary(plan), *told.remarks(plan)):
        click.echo(spelling.plain(line))


def _agree(plan: Plan, *, yes: bool) -> None:
    """Make sure that the plan is meant, and that nobody else is at it."""
    for step in plan.steps:
        if step.writer and step.run is not None:
            raise UsageError(
                f"Run {step.run.id} of this sweep is still under way (process {step.writer} on this machine): wait for "
                f"it, or end it."
            )
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("Nothing was started, as there is no terminal to ask on: add --yes.")
    try:
        meant = click.confirm("Start?", default=True)
    except click.Abort:
        click.echo()
        meant = False
    if not meant:
        click.echo("Nothing was started.")
        raise SystemExit(INTERRUPTED)


def _made(plan: Plan, words: Sequence[str]) -> dict[Measured, int | None]:
    """Make the runs that are left; the exit status of each, None where it was left out."""
    from pytest_mcode.sweeping import running

    statuses = {ended.step.asked.measured: ended.status for ended in running.run(plan, words, click.echo)}
    if INTERRUPTED in statuses.values():
        again = shlex.join(["mcode", "sweep", plan.sweep.file])
        click.echo(spelling.plain(f"\nThe sweep was stopped; the same command goes on with it: {again}"), err=True)
        raise SystemExit(INTERRUPTED)
    return statuses


def _report(plan: Plan, statuses: Mapping[Measured, int | None]) -> bool:
    """Print what the sweep came to and write its page; whether every run is as it should be."""
    from pytest_mcode import recorded
    from pytest_mcode.commands import page
    from pytest_mcode.report import tabular
    from pytest_mcode.sweeping import told

    its = [recorded.Located(step.run, (plan.database,)) for step in plan.steps if step.run is not None]
    click.echo()
    if its:
        figures = recorded.all_figures(its, recorded.Wanted())
        tabular.put(told.results(plan.steps, figures))
        for line in told.highest(plan.steps, figures):
            click.echo(spelling.plain(line))
        if len(its) > 1:
            click.echo("whether one run is really better than another: mcode compare RUN RUN")
        name = f"{plan.sweep.name}.html"
        out = Path(name) if "://" in plan.database else Path(plan.database).expanduser().with_name(name)
        page.write(its, out, title=f"Sweep {plan.sweep.name}")
        click.echo(spelling.plain(f"page: {out}"))
    faults = list(told.faults(plan.steps, statuses))
    for line in faults:
        click.echo(spelling.plain(line), err=True)
    return not faults
