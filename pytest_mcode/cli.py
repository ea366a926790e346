"""``mcode``: a thin wrapper around ``pytest -p mcode``, and the reader of results."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from pytest_mcode import _url, options, spelling
from pytest_mcode._errors import McodeError, UsageError
from pytest_mcode._option import Option
from pytest_mcode.commands.compare import compare
from pytest_mcode.commands.exchange import export, import_, score
from pytest_mcode.commands.merge import merge
from pytest_mcode.commands.page import report
from pytest_mcode.commands.results import results
from pytest_mcode.commands.show import show
from pytest_mcode.commands.sweep import sweep
from pytest_mcode.commands.watch import watch
from pytest_mcode.settings import GROUPS, OPTIONS

#: The ini file of ``mcode bench``: an unrelated project's own settings and conftest files cannot break a run.
INI = Path(__file__).parent / "mcode.ini"
#: As pytest has them: something failed, interrupted by Ctrl-C, and a command line that cannot be meant.
FAILED, INTERRUPTED, USAGE = 1, 2, 4
#: What ``mcode bench`` makes flags of: all options but the benchmark, which is named without one.
FLAGS = OPTIONS[1:]


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

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands in the order of their use."""
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Understand a benchmark where a command should be."""
        if args[0] not in self.commands and args[0] in known_benchmarks():
            raise UsageError(f"{args[0]!r} is a benchmark: mcode bench {' '.join(args)}")
        return super().resolve_command(ctx, args)


class Grouped(click.Command):
    """A command with the options of `Settings`, which its help lists in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section a group of options."""
        groups: dict[str, list[tuple[str, str]]] = {name: [] for name in (*GROUPS, "other")}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                groups[next((o.group for o in FLAGS if o.dest == parameter.name), "other")].append(record)
        for name, records in groups.items():
            with formatter.section(name.capitalize()):
                formatter.write_dl(records)


class Passing(Grouped):
    """A command that takes its own options out of pytest's, wherever they stand."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give click its options alone: it would look for its own in a word such as ``-khe``."""
        ours, others = divided(args)
        return super().parse_args(ctx, [*ours, "--", *others])


class Bench(Passing):
    """A command whose first word is a benchmark."""

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the words in the order in which they are usually written."""
        return ["BENCHMARK", "[FILE...]", "[OPTIONS]", "[PYTEST OPTIONS]"]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the benchmarks, then one section a group of options."""
        from pytest_mcode.collect import packaged

        with formatter.section("Benchmarks"):
            formatter.write_text(f"{', '.join(packaged())}; or one of your own, with the FILE that declares it")
        super().format_options(ctx, formatter)


class Rerun(Passing):
    """A command whose first word is a run."""

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the words in the order in which they are usually written."""
        return ["ID", "[OPTIONS]", "[PYTEST OPTIONS]"]


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
    "judged, solved or not; 1 a task met an error or was not run, or a gate was missed; 2 interrupted; 4 nothing could "
    "be run as asked.",
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
        raise UsageError(f"Name a benchmark ({', '.join(known_benchmarks())}): {spelling.EXAMPLE}")
    if words[0].startswith("-"):
        raise UsageError(out_of_order(words[0]))
    arguments = ["-p", "mcode", "-p", spelling.FRONT_END, "-c", str(INI), "--rootdir", str(Path.cwd()), "--noconftest"]
    arguments.append(f"--mcode-bench={words[0]}")
    arguments += flags(given, "--mcode-")
    options.forget_pytest()
    import pytest

    raise SystemExit(pytest.main([*arguments, *words[1:]]))


def flags(given: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Options that were given, as flags with that prefix."""
    for opt, value in chosen(given).items():
        yield f"{prefix}{opt.name}" if opt.is_switch else f"{prefix}{opt.name}={value}"


def chosen(given: Mapping[str, Any]) -> dict[Option, Any]:
    """The options that were given, of all that `bench_options` made."""
    return {opt: given[opt.dest] for opt in FLAGS if given[opt.dest] not in (None, False)}


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


main.add_command(results)
main.add_command(compare)
main.add_command(report)
main.add_command(show)
main.add_command(export)
main.add_command(import_)
main.add_command(score)
main.add_command(sweep)
main.add_command(watch)
main.add_command(merge)


@main.command(cls=Rerun, short_help="Run again what a run did.")
@bench_options
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def rerun(words: Sequence[str], **given: Any) -> None:
    """Start a new run as the run ID was, from its row alone: the same benchmark and options.

    Options that are given here replace those of the run; --db is where the run is found, and where the new one goes.
    """
    from pytest_mcode import again, recorded

    if not words or words[0].startswith("-"):
        raise UsageError("Name the run that is to be done again: mcode rerun ID; 'mcode results' lists them.")
    db = given["mcode_db"]
    run = recorded.named(recorded.expanded([db] if db else []), words[0]).run
    replaced = [opt.name for opt in chosen(given)]
    command = [*again.command(run, replaced), *flags(given, "--"), *words[1:]]
    click.echo(spelling.visible(f"mcode {shlex.join(map(_url.spoken, command))}"))
    main(command)


@main.command(
    cls=Grouped,
    short_help="See whether a run could be made as asked.",
    epilog="Exit status: 0 nothing failed; 1 something did; 4 the command line cannot be meant.",
)
@bench_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts, no table.")
@click.argument("benchmarks", metavar="[BENCHMARK]...", nargs=-1)
def doctor(benchmarks: Sequence[str], *, as_json: bool, **given: Any) -> None:
    """Look at all that a run needs, and say what to do about what is missing.

    \b
      mcode doctor --model granite3.3:8b
      mcode doctor humaneval --model granite3.3:8b --sandbox process

    It asks the model for one small function, has the sandbox execute a program, loads the data set of each BENCHMARK,
    and looks at server, database, disk and clock. It takes the options of 'mcode bench', and records nothing.
    """  # noqa: D301 - click's mark for lines to keep
    from pytest_mcode import doctor as examination

    texts = {opt.dest: "true" if opt.is_switch else value for opt, value in chosen(given).items()}
    settings = examination.configured(texts, benchmarks)
    raise SystemExit(0 if examination.run(settings, as_json=as_json) else FAILED)
