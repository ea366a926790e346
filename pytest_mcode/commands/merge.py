"""``mcode merge``: one database of many, and whether it holds all that was planned."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from pytest_mcode import spelling
from pytest_mcode._errors import UsageError
from pytest_mcode.commands.common import as_json, uncollected

#: Exit status where something is missing, or there twice.
INCOMPLETE = 1


@click.command(
    short_help="Put the shards of runs into one database.",
    epilog="Exit status: 0 nothing is missing; 1 a shard or a task is, or a task has two results; 4 a run is another "
    "measurement in one database than in another: then nothing was written.",
)
@click.option("--check", is_flag=True, help="Only tell what is missing or there twice; write nothing.")
@as_json
@click.argument("out", metavar="OUT")
@click.argument("sources", metavar="DB...", nargs=-1)
def merge(out: str, sources: Sequence[str], *, check: bool, as_json: bool) -> None:
    """Bring all runs of the databases DB into the database OUT, which is made if it is not there.

    \b
      mcode merge all.db shards/
      mcode merge postgresql://db/mcode shard-*.db
      mcode merge --check all.db shards/

    Each DB is a file, a directory, a glob pattern or an address of PostgreSQL. Runs and tasks keep their ids; what OUT
    has already stays, so that it may be done again whenever a shard has gone on. Of a task that could not be judged in
    one database and was judged in another, the judged one counts.
    """  # noqa: D301 - click's mark for lines to keep
    if not sources:
        raise UsageError("Name the databases that are to be merged: mcode merge OUT DB...")
    with uncollected():
        from pytest_mcode import merging, recorded

        found = merging.merged(out, recorded.expanded(sources), check=check)
        if as_json:
            click.echo(json.dumps([merging.as_json(whole) for whole in found], indent=2))
        else:
            for line in (line for whole in found for line in whole.told()):
                click.echo(spelling.visible(line))
            if not found:
                click.echo("There is no run in these databases.")
    raise SystemExit(0 if all(whole.is_whole for whole in found) else INCOMPLETE)
