"""``mcode``: a thin wrapper around ``pytest -p mcode``, and the reader of results."""

from __future__ import annotations

import gc
import glob
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_mcode import options, spelling
from pytest_mcode._errors import McodeError, StoreError, UsageError
from pytest_mcode._parse import nearest
from pytest_mcode.settings import GROUPS, OPTIONS

if TYPE_CHECKING:
    from pytest_mcode.report.figures import Figures

#: The ini file of ``mcode bench``: an unrelated project's own settings and conftest files cannot break a run.
INI = Path(__file__).parent / "mcode.ini"
#: As pytest has them: interrupted by Ctrl-C, and a command line that cannot be meant.
INTERRUPTED, USAGE = 2, 4
#: What ``mcode bench`` makes flags of: all options but the benchmark, which is named without one.
FLAGS = OPTIONS[1:]
EXAMPLE = "mcode bench humaneval --model granite3.3:8b --samples 5"


@contextmanager
def told() -> Iterator[None]:
    """Show what the user got wrong as one sentence, with pytest's exit status; Ctrl-C ends without a traceback."""
    try:
        yield
    except (McodeError, click.UsageError) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else spelling.plain(str(error))
        click.echo(f"ERROR: {message}", err=True)
        raise SystemExit(USAGE) from None
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        raise SystemExit(INTERRUPTED) from None


class Main(click.Group):
    """All commands: whatever they raise that is meant for the user is `told`."""

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        """Read the words before the command's name."""
        with told():
            return super().make_context(*arguments, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Read the command's own words, and run it."""
        with told():
            return super().invoke(ctx)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Understand a benchmark where a command should be."""
        if args[0] not in self.commands and args[0] in known_benchmarks():
            raise UsageError(f"{args[0]!r} is a benchmark: mcode bench {' '.join(args)}")
        return super().resolve_command(ctx, args)


class Bench(click.Command):
    """A command that takes its own options out of pytest's, wherever they stand, and lists them in groups."""

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the words in the order in which they are usually written."""
        return ["BENCHMARK", "[FILE...]", "[OPTIONS]", "[PYTEST OPTIONS]"]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give click its options alone: it would look for its own in a word such as ``-khe``."""
        ours, others = divided(args)
        return super().parse_args(ctx, [*ours, "--", *others])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the benchmarks, then one section a group of options."""
        from pytest_mcode.collect import packaged

        with formatter.section("Benchmarks"):
            formatter.write_text(f"{', '.join(packaged())}; or one of your own, with the FILE that declares it")
        groups: dict[str, list[tuple[str, str]]] = {name: [] for name in (*GROUPS, "other")}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                groups[next((o.group for o in FLAGS if o.dest == parameter.name), "other")].append(record)
        for name, records in groups.items():
            with formatter.section(name.capitalize()):
                formatter.write_dl(records)


def divided(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments that are mcode's own options, and all others; what follows ``--`` is among the others."""
    known = {f"--{o.name}": o for o in FLAGS}
    ours: list[str] = []
    others: list[str] = []
    left = iter(arguments)
    for argument in left:
        name, given, _ = argument.partition("=")
        if argument == "--":
            others += left
        elif argument in ("-h", "--help"):
            ours.append(argument)
        elif name not in known:
            others.append(argument)
        elif given or known[name].is_switch:
            ours.append(argument)
        else:
            value = next(left, "--")
            if value == "--" or value.partition("=")[0] in known:
                raise click.UsageError(f"{name} needs a value: {name} {known[name].metavar}.")
            ours.append(f"{name}={value}")
    return ours, others


@click.group(
    cls=Main,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="pytest-mcode", prog_name="mcode", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Benchmark code-writing language models with pytest, through Mellea.

    \b
      mcode bench smoke --model reference --sandbox process
      mcode bench humaneval --model granite3.3:8b --samples 5
      mcode results --benchmark humaneval --compare-samples

    'mcode COMMAND --help' says more. A benchmark runs under pytest itself, too:

    \b
      pytest --mcode-bench=humaneval --mcode-model=granite3.3:8b
    """  # noqa: D301 - click's mark for lines to keep
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def bench_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command every option of `Settings` but the benchmark, under its name without the prefix."""
    for opt in reversed(FLAGS):
        if opt.is_switch:
            decorate = click.option(f"--{opt.name}", opt.dest, is_flag=True, default=None, help=opt.described)
        else:
            decorate = click.option(f"--{opt.name}", opt.dest, metavar=opt.metavar, help=opt.described)
        command = decorate(command)
    return command


@main.command(
    cls=Bench,
    short_help="Run a benchmark on a model.",
    epilog="Every option may also be set in the environment: MCODE_MODEL=granite3.3:8b. Exit status: 0 every task was "
    "judged, solved or not; 1 a task met an error or was not run; 2 interrupted; 4 nothing could be run as asked.",
)
@bench_options
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def bench(words: Sequence[str], **given: Any) -> None:
    """Run BENCHMARK on a model.

    \b
      mcode bench humaneval --model granite3.3:8b --samples 5
      mcode bench smoke --model reference --sandbox process
      mcode bench mine test_mine.py --model granite3.3:8b

    Whatever mcode does not know goes to pytest: -n 8, -k EXPRESSION, -x, --lf, --junitxml=FILE; so does all that
    follows a --. The settings and conftest files of the project around are left alone.
    """  # noqa: D301 - click's mark for lines to keep
    if not words or not words[0].strip(", "):
        raise UsageError(f"Name a benchmark ({', '.join(known_benchmarks())}): {EXAMPLE}")
    if words[0].startswith("-"):
        raise UsageError(out_of_order(words[0]))
    arguments = ["-p", "mcode", "-p", spelling.FRONT_END, "-c", str(INI), "--rootdir", str(Path.cwd()), "--noconftest"]
    arguments.append(f"--mcode-bench={words[0]}")
    for opt in FLAGS:
        value = given[opt.dest]
        if value is not None and value is not False:
            arguments.append(opt.flag if opt.is_switch else f"{opt.flag}={value}")
    options.forget_pytest()
    import pytest

    raise SystemExit(pytest.main([*arguments, *words[1:]]))


def known_benchmarks() -> Sequence[str]:
    """The names of the benchmarks that mCode brings."""
    from pytest_mcode.collect import packaged

    return list(packaged())


def out_of_order(word: str) -> str:
    """The sentence on an option that stands where the benchmark should, and is none of ours."""
    meant = spelling.misspelled(word)
    if meant:
        return f"There is no option {word.partition('=')[0]}{meant}."
    return f"Name the benchmark before options of pytest: mcode bench BENCHMARK {word} …"


@main.command(short_help="Show what was recorded.")
@click.option("--benchmark", metavar="NAME", help="Only runs of this benchmark.")
@click.option("--model", metavar="NAME", help="Only runs of this model.")
@click.option("--compare-samples", is_flag=True, help="A row for each number of samples: what more of them gain.")
@click.option("--db", "databases", metavar="PATH", multiple=True, help="Database, repeatable, may be a glob pattern.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts, no table.")
def results(
    benchmark: str | None, model: str | None, databases: Sequence[str], *, compare_samples: bool, as_json: bool
) -> None:
    """Show what was recorded: one row a run, the newest first."""
    with uncollected():
        from pytest_mcode.report import figures, table

        found = recorded(expanded(databases), benchmark, model)
        if as_json:
            click.echo(json.dumps([figures.as_json(f) for f in found], indent=2))
        else:
            table.show(table.by_samples if compare_samples else table.by_run, found)


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage meanwhile: there is none, and over very many rows the search takes a third of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def recorded(paths: Sequence[str], benchmark: str | None, model: str | None) -> list[Figures]:
    """The figures of the runs that were asked for, the newest first.

    Raises:
        UsageError: There is none; the message says why.
    """
    from pytest_mcode import store
    from pytest_mcode.report.figures import of_runs

    found: list[Figures] = []
    runs: list[store.Run] = []
    for path in paths:
        database = store.existing(path)
        found += of_runs(database, benchmark=benchmark, model=model)
        runs += database.runs()
        database.close()
    if not found:
        held = [("benchmark", benchmark, {r.benchmark for r in runs}), ("model", model, {r.model for r in runs})]
        raise UsageError(nothing_found(" and ".join(paths), held))
    return sorted(found, key=lambda f: f.run.started_at, reverse=True)


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


def nothing_found(place: str, filters: Sequence[tuple[str, str | None, set[str]]]) -> str:
    """The sentence on databases in which nothing fits.

    Args:
        place: Their names.
        filters: What was filtered by: its name, what was asked for, and what there is.
    """
    if not any(there for _, _, there in filters):
        return f"No run is recorded in {place} yet: {EXAMPLE}"
    for name, wanted, there in filters:
        if wanted is not None and wanted not in there:
            known = ", ".join(sorted(there))
            return f"No run of {name} {wanted!r} in {place}{nearest(wanted, there)}; there are {known}."
    wanted_all = " with ".join(f"{name} {wanted!r}" for name, wanted, _ in filters)
    return f"No run of {wanted_all} in {place}, only of each with others: 'mcode results' shows all."
