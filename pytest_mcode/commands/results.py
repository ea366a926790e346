"""``mcode results``: what was recorded, a row a run."""

from __future__ import annotations

import json

import click

from pytest_mcode import spelling
from pytest_mcode.commands.common import Filters, as_json, filters, uncollected


@click.command(short_help="Show what was recorded.")
@filters
@click.option("--compare-samples", is_flag=True, help="A row for each number of samples: what more of them gain.")
@as_json
def results(filters: Filters, *, compare_samples: bool, as_json: bool) -> None:
    """Show what was recorded: one row a run, the newest first; with --run, all that is known of one."""
    with uncollected():
        from pytest_mcode import recorded
        from pytest_mcode.report import figures, single, table

        paths, wanted = recorded.expanded(filters.databases), filters.wanted
        its = [recorded.named(paths, wanted.run)] if wanted.run else recorded.located(paths, wanted)
        found = recorded.all_figures(its, wanted)
        if wanted.run and not as_json and not compare_samples:
            told = single.shown(found[0], recorded.sessions_of(its[0]), its[0].shown)
            click.echo("\n".join(map(spelling.plain, told)))
        elif as_json:
            click.echo(json.dumps([figures.as_json(f) for f in found], indent=2))
        else:
            table.show(table.by_samples if compare_samples else table.by_run, found)
