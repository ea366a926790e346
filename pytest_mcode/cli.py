"""``mcode``: a thin wrapper around ``pytest -p mcode``, and the reader of results."""

from __future__ import annotations

import glob
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from pytest_mcode import options
from pytest_mcode._errors import McodeError, StoreError

#: The ini file of ``mcode bench``: an unrelated project's own settings and conftest files cannot break a run.
INI = Path(__file__).parent / "mcode.ini"


class GroupedHelp(click.Command):
    """A command whose help lists its options under the groups in which they were declared."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section a group."""
        groups: dict[str, list[tuple[str, str]]] = {name: [] for name in options.GROUPS}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                group = next((o.group for o in options.OPTIONS if o.dest == parameter.name), "other")
                groups.setdefault(group, []).append(record)
        for name, records in groups.items():
            if records:
                with formatter.section(name.capitalize()):
                    formatter.write_dl(records)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pytest-mcode")
def main() -> None:
    """Benchmark code-writing language models with pytest, through Mellea."""


def bench_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command every option of `Settings` but the benchmark, under its name without the prefix."""
    for opt in reversed(options.OPTIONS[1:]):
        if opt.is_switch:
            decorate = click.option(f"--{opt.name}", opt.dest, is_flag=True, default=None, help=opt.described)
        else:
            decorate = click.option(f"--{opt.name}", opt.dest, metavar=opt.metavar, help=opt.described)
        command = decorate(command)
    return command


@main.command(cls=GroupedHelp, context_settings={"ignore_unknown_options": True})
@click.argument("benchmark")
@bench_options
@click.argument("pytest_options", nargs=-1, type=click.UNPROCESSED)
def bench(benchmark: str, pytest_options: Sequence[str], **given: Any) -> None:
    """Run BENCHMARK on a model, e.g. mcode bench humaneval --model granite3.3:8b --samples 5.

    Whatever mcode does not know goes to pytest: -n 8, -k EXPRESSION, -x, --lf, --junitxml=FILE …
    """
    import pytest

    if benchmark.startswith("-"):
        raise click.UsageError(f"Name the benchmark before pytest's own options: mcode bench NAME {benchmark} …")
    arguments = ["-p", "mcode", "-c", str(INI), "--rootdir", str(Path.cwd()), "--noconftest"]
    arguments.append(f"--mcode-bench={benchmark}")
    for opt in options.OPTIONS[1:]:
        value = given[opt.dest]
        if value is not None and value is not False:
            arguments.append(opt.flag if opt.is_switch else f"{opt.flag}={value}")
    raise SystemExit(pytest.main([*arguments, *pytest_options]))


@main.command()
@click.option("--benchmark", metavar="NAME", help="Only runs of this benchmark.")
@click.option("--model", metavar="NAME", help="Only runs of this model.")
@click.option("--compare-samples", is_flag=True, help="A row for each number of samples: what more of them gain.")
@click.option("--db", "databases", metavar="PATH", multiple=True, help="Database, repeatable, may be a glob pattern.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts, no table.")
def results(
    benchmark: str | None, model: str | None, databases: Sequence[str], *, compare_samples: bool, as_json: bool
) -> None:
    """Show what was recorded: one row a run, the newest first."""
    from pytest_mcode import store
    from pytest_mcode.report import figures, table

    with told():
        found = []
        for path in expanded(databases):
            database = store.existing(path)
            runs = database.runs(benchmark=benchmark, model=model)
            found += [figures.figures(database, run) for run in runs]
            database.close()
    if as_json:
        click.echo(json.dumps([figures.as_json(f) for f in found], indent=2))
    elif not found:
        raise click.ClickException(nothing_found(benchmark, model))
    else:
        from rich.console import Console

        shape = table.by_samples if compare_samples else table.by_run
        Console(soft_wrap=not sys.stdout.isatty()).print(shape(found))


def expanded(databases: Sequence[str]) -> list[str]:
    """The database files that were named; the configured default if none was.

    Raises:
        StoreError: A pattern matches nothing.
    """
    paths: list[str] = []
    for pattern in databases or [options.default_database()]:
        if glob.has_magic(pattern):
            matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - the pattern may be absolute
            if not matches:
                raise StoreError(f"No results database matches {pattern!r}.")
            paths += matches
        else:
            paths.append(pattern)
    return list(dict.fromkeys(paths))


def nothing_found(benchmark: str | None, model: str | None) -> str:
    """The sentence for a database in which nothing fits."""
    filters = [("of benchmark", benchmark), ("with model", model)]
    wanted = " ".join(f"{words} {value!r}" for words, value in filters if value)
    return f"The database holds no run {wanted}".rstrip() + ": 'mcode results' without filters shows what there is."


@contextmanager
def told() -> Iterator[None]:
    """Show an error of ours as one sentence, with exit status 4 as pytest has for usage."""
    try:
        yield
    except McodeError as error:
        click.echo(f"ERROR: {error}", err=True)
        raise SystemExit(4) from None
