"""``mcode results``: what was recorded, a row a run, a budget, or a part of a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from pytest_mcode import spelling
from pytest_mcode._errors import UsageError
from pytest_mcode.commands.common import Filters, filters, formats, uncollected

if TYPE_CHECKING:
    from pytest_mcode.recorded import Located
    from pytest_mcode.report.figures import Figures
    from pytest_mcode.report.tabular import Listing

PARTS = ("verdict", "task", "sample")


@click.command(short_help="Show what was recorded.")
@filters
@click.option("--compare-samples", is_flag=True, help="A row for each number of samples: what more of them gain.")
@click.option("--compare-attempts", is_flag=True, help="A row for each number of attempts: what debugging gains.")
@click.option("--by", type=click.Choice(PARTS), help="A row for each verdict, task or sample of a run.")
@formats
def results(filters: Filters, *, compare_samples: bool, compare_attempts: bool, by: str | None, form: str) -> None:
    """Show what was recorded: one row a run, the newest first; with --run, all that is known of one.

    \b
      mcode results --benchmark humaneval --model granite3.3:8b --compare-samples
      mcode results --run last --by task --csv > tasks.csv
      mcode results --db shards/ --since 7d --format markdown

    In JSON a run is an object with all its figures, or with --by a part is.
    """  # noqa: D301 - click's mark for lines to keep
    asked = {"--compare-samples": compare_samples, "--compare-attempts": compare_attempts, f"--by {by}": by}
    views = [flag for flag, given in asked.items() if given]
    if len(views) > 1:
        raise UsageError(f"{' and '.join(views)} are different tables: ask for one at a time.")
    with uncollected():
        from pytest_mcode import recorded
        from pytest_mcode.report import tabular

        paths, wanted = recorded.expanded(filters.databases), filters.wanted
        its = [recorded.named(paths, wanted.run, wanted)] if wanted.run else recorded.located(paths, wanted)
        found = recorded.all_figures(its, wanted)
        if form == "json" and not by:
            _print_json(its, found)
        elif form == "table" and wanted.run and not views:
            _print_whole(its[0], found[0])
        else:
            tabular.put(_listing((views or ["--by run"])[0], its, found), tabular.Form(form))


def _listing(view: str, its: Sequence[Located], found: Sequence[Figures]) -> Listing[Any]:
    from pytest_mcode import recorded
    from pytest_mcode.report import breakdown, table

    if view == "--by task":
        return breakdown.by_task(found, {run.run.id: recorded.results_of(run) for run in its})
    shapes: Mapping[str, Callable[[Sequence[Figures]], Listing[Any]]] = {
        "--by run": table.by_run,
        "--compare-samples": table.by_samples,
        "--compare-attempts": table.by_attempts,
        "--by verdict": breakdown.by_verdict,
        "--by sample": breakdown.by_sample,
    }
    return shapes[view](found)


def _print_json(its: Sequence[Located], found: Sequence[Figures]) -> None:
    from pytest_mcode import metrics, recorded
    from pytest_mcode.report import figures

    costs = [metrics.costs(recorded.results_of(run)) for run in its]
    click.echo(json.dumps([figures.as_json(*each) for each in zip(found, costs, strict=True)], indent=2))


def _print_whole(its: Located, found: Figures) -> None:
    from pytest_mcode import metrics, recorded
    from pytest_mcode.report import single

    costs, sessions = metrics.costs(recorded.results_of(its)), recorded.sessions_of(its)
    click.echo("\n".join(map(spelling.plain, single.whole(found, costs, sessions, its.shown))))
