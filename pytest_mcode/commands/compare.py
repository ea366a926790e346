"""``mcode compare``: is one run really better than another?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pytest_mcode._errors import UsageError
from pytest_mcode.commands.common import databases, formats, uncollected

if TYPE_CHECKING:
    from pytest_mcode.recorded import Located


@click.command(
    short_help="See whether one run is really better than another.",
    epilog="Exit status: 0 whichever is better, and where neither is; 4 they cannot be compared as asked.",
)
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option("--model", "models", metavar="NAME", multiple=True, help="The newest run of this model; repeatable.")
@click.option("--benchmark", metavar="NAME", help="Only runs of this benchmark.")
@databases
@click.option(
    "--metric",
    metavar="NAME",
    help="pass@K, pass^K (all of K samples pass), solve@budget, or solve@SxA (S samples of A attempts) [default: "
    "pass@1 where all samples were drawn and none was debugged, else solve@budget]",
)
@click.option("--flips", is_flag=True, help="Name every task that flips, of every pair.")
@click.option("--anyway", is_flag=True, help="Compare runs that were not measured alike, too.")
@formats
def compare(  # noqa: PLR0913 - its options
    runs: Sequence[str],
    models: Sequence[str],
    benchmark: str | None,
    databases: Sequence[str],
    metric: str | None,
    form: str,
    *,
    flips: bool,
    anyway: bool,
) -> None:
    """Compare two runs or more on the tasks that all of them judged.

    \b
      mcode compare 20251103-10 20251103-11
      mcode compare --benchmark humaneval --model granite3.3:2b --model granite3.3:8b
      mcode compare 20251103-10 20251103-11 --metric pass@5 --json

    A RUN is an id, the beginning of one, or 'last'. Every two runs are tested; p-values of more than two runs are
    adjusted for the number of comparisons.
    """  # noqa: D301 - click's mark for lines to keep
    with uncollected():
        from pytest_mcode import recorded
        from pytest_mcode._rows import summed
        from pytest_mcode.report import comparing, comparison, figures, tabular

        its = _chosen(runs, models, benchmark, databases)
        rows = [recorded.results_of(each) for each in its]
        pairs = [(figures.computed(each.run, summed(own)), own) for each, own in zip(its, rows, strict=True)]
        found = comparing.compare(pairs, metric, anyway=anyway)
        comparison.show(found, tabular.Form(form), flips=flips)


def _chosen(
    runs: Sequence[str], models: Sequence[str], benchmark: str | None, databases: Sequence[str]
) -> Sequence[Located]:
    """The runs that were named, then the newest of each model.

    Raises:
        UsageError: They are fewer than two, or one of them twice.
    """
    from pytest_mcode import recorded

    if len(runs) + len(models) < 2:  # noqa: PLR2004 - a run is not compared with itself
        raise UsageError(
            "Name two runs or more: mcode compare RUN RUN, or --model NAME twice for the newest run of each; 'mcode "
            "results' lists them."
        )
    paths = recorded.expanded(databases)
    found = [recorded.named(paths, run, recorded.Wanted(benchmark=benchmark)) for run in runs]
    found += [recorded.newest(paths, recorded.Wanted(benchmark=benchmark, model=model)) for model in models]
    ids = [its.run.id for its in found]
    twice = next((its for its in ids if ids.count(its) > 1), None)
    if twice is not None:
        raise UsageError(f"Run {twice} is named twice: a run is not compared with itself.")
    return found
