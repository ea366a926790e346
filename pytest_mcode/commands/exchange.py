"""``mcode export``, ``import`` and ``score``: runs for other tools, their samples for us, and both judged again."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from pytest_mcode import _url, spelling
from pytest_mcode._errors import UsageError
from pytest_mcode.commands.common import databases
from pytest_mcode.settings import RUN

if TYPE_CHECKING:
    from pytest_mcode.recorded import Located

#: The forms, and the suffixes that tell one; of several that fit a name, the first counts.
FORMATS = ("evalplus", "raw", "swebench", "csv", "parquet", "jsonl", "eee")
SUFFIXES = {".raw.jsonl": "raw", ".jsonl": "evalplus", ".csv": "csv", ".parquet": "parquet", ".json": "eee"}
#: Options of a run that say where its solutions came from and which tasks it had: those of its samples are meant.
NOT_AGAIN = ("solutions", "limit", "shard-count", "shard-index", "db", "base-url", "concurrency")
#: As pytest has them: every task was judged, and some task met an error.
RAN = (0, 1)


@click.command(short_help="Write a run for other tools.")
@click.argument("run_id", metavar="RUN")
@click.option("--format", "form", type=click.Choice(FORMATS), help="What to write; the suffix of --out tells it, too.")
@click.option("--out", default="-", metavar="FILE", help="Where to [default: standard output]; .gz zips it.")
@click.option("--first", is_flag=True, help="The first attempt of each sample, not the last.")
@click.option("--organization", default="unknown", metavar="NAME", help="Who made the run, in an eee record.")
@databases
def export(
    run_id: str, *, form: str | None, out: str, first: bool, organization: str, databases: Sequence[str]
) -> None:
    """Write the run RUN, or the only one whose id begins so, in a form that other tools read.

    \b
      mcode export 20251103 --out samples.jsonl
      mcode export 20251103 --out attempts.parquet

    \b
      evalplus   EvalPlus's samples.jsonl: a solution a sample
      raw        the same with what the model wrote
      swebench   SWE-bench's predictions: a patch an instance
      csv, parquet, jsonl
                 a row an attempt, with all that is known of it
      eee        an Every Eval Ever record of the rates
    """  # noqa: D301 - click's mark for lines to keep
    from pytest_mcode import recorded

    form = form or _guessed(out)
    its = recorded.named(recorded.expanded(databases), run_id)
    if form == "parquet" and out == "-" and sys.stdout.isatty():
        raise UsageError("Parquet is no text: name a file with --out.")
    with _opened(out) as file:
        told = _record(its, organization, file) if form == "eee" else _lines(its, form, first=first, out=file)
    click.echo(spelling.visible(f"{told} of run {its.run.id}" + ("" if out == "-" else f" written to {out}")), err=True)
    for note in _notes(its, form):
        click.echo(spelling.plain(note), err=True)


def _guessed(out: str) -> str:
    """The form that the name of a file tells.

    Raises:
        UsageError: It tells none.
    """
    name = "samples.jsonl" if out == "-" else out.lower().removesuffix(".gz")
    found = next((form for suffix, form in SUFFIXES.items() if name.endswith(suffix)), None)
    if found is None:
        raise UsageError(f"The name {out} tells no format: add --format, one of {', '.join(FORMATS)}.")
    return found


@contextmanager
def _opened(out: str) -> Iterator[BinaryIO]:
    from pytest_mcode.report import exports

    if out == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(out).expanduser()
    if path.is_dir():
        raise UsageError(f"{out} is a directory: name a file in it.")
    with exports.whole(path) as file:
        yield file


def _lines(its: Located, form: str, *, first: bool, out: BinaryIO) -> str:
    from pytest_mcode import recorded
    from pytest_mcode.report import exports

    return exports.FORMATS[form](exports.Export(its.run, recorded.attempts_of(its), first), out)


def _record(its: Located, organization: str, out: BinaryIO) -> str:
    from pytest_mcode import recorded
    from pytest_mcode.report import record
    from pytest_mcode.report.words import plural

    made = record.record(recorded.figures_of(its), organization, time.time())
    out.write(json.dumps(made, indent=2).encode() + b"\n")
    return f"Every Eval Ever record with {plural(len(made['evaluation_results']), 'rate')}"


def _notes(its: Located, form: str) -> Iterator[str]:
    """What somebody who judges the samples must know of them."""
    config = its.run.config
    if form not in ("evalplus", "raw"):
        return
    if config["samples"] > 1 and not config["all-samples"]:
        yield "Sampling stopped at the first pass: pass@k that is estimated from these samples is too high."
    if config["debug-iters"]:
        yield "Debug iterations saw the tests: rates of last attempts are no pass@k; --first writes first attempts."


class Forwarding(click.Command):
    """A command that keeps its own options, and hands every other word on to ``mcode bench``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give click its own options alone, wherever they stand before a ``--``."""
        names = {name for parameter in self.get_params(ctx) for name in parameter.opts if name.startswith("-")}
        own, others, left = list[str](), list[str](), iter(args)
        for word in left:
            if word == "--":
                others += [word, *left]
            elif word in ("-h", "--help") or word.partition("=")[0] in names:
                own += [word] if "=" in word or word in ("-h", "--help") else [word, *([next(left)] if left else [])]
            else:
                others.append(word)
        return super().parse_args(ctx, [*own, "--", *others])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the words in the order in which they have to be written."""
        return ["FILE" if self.name == "import" else "FILE|RUN", "[OPTIONS]", "[BENCH OPTIONS]", "[PYTEST OPTIONS]"]


_BENCHMARK = click.option("--benchmark", metavar="NAME", help="The benchmark whose tasks they solve.")
_EPILOG = (
    "All options of 'mcode bench' and of pytest work: --sandbox process, --limit 10, -n 2, --resume. Exit status: as "
    "that of 'mcode bench'."
)


@click.command("import", cls=Forwarding, short_help="Judge samples that were made elsewhere.", epilog=_EPILOG)
@_BENCHMARK
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def import_(context: click.Context, words: Sequence[str], *, benchmark: str | None) -> None:
    """Judge the samples of FILE, and record them as a run.

    \b
      mcode import samples.jsonl --benchmark humaneval --model granite3.3:8b

    FILE has a JSON object a line, with 'task_id' and 'solution' (a program) or 'completion' (a model's answer, or what
    goes on where the prompt ends); it may be gzipped, or a directory as EvalPlus writes it. Only its tasks are judged.
    """  # noqa: D301 - click's mark for lines to keep
    if not words or words[0].startswith("-"):
        raise UsageError("Name the samples first: mcode import samples.jsonl --benchmark humaneval.")
    if benchmark is None:
        raise UsageError(f"Name the benchmark whose tasks {words[0]} solves: --benchmark humaneval.")
    raise SystemExit(_bench(context, [benchmark, "--solutions", *words]))


@click.command(cls=Forwarding, short_help="Judge a run's solutions again.", epilog=_EPILOG)
@_BENCHMARK
@click.option("--db", metavar="PATH", help="Database of the run, and of the new one.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def score(context: click.Context, words: Sequence[str], *, benchmark: str | None, db: str | None) -> None:
    """Judge the completions of RUN again, as a new run, and tell what changed.

    \b
      mcode score 20251103-141500-c0ffee
      mcode score 20251103-141500-c0ffee --timeout 5

    No model is asked: its completions go through extraction, sandbox and tests as they are now. Options that are given
    replace those of the run. Where it is in other databases than --db, name them after an @: ID@shards. A FILE of
    samples is judged as 'mcode import' does.
    """  # noqa: D301 - click's mark for lines to keep
    if not words or words[0].startswith("-"):
        raise UsageError("Name the run first: mcode score ID; 'mcode results' lists them.")
    given = [*(["--db", db] if db else []), *words[1:]]
    if Path(words[0]).expanduser().exists():
        context.invoke(import_, words=[words[0], *given], benchmark=benchmark)
    from pytest_mcode import again, options, recorded

    database = db or options.default_database()
    run_id, _, place = words[0].partition("@")
    its = recorded.named(recorded.expanded([place or database]), run_id)
    if benchmark not in (None, its.run.benchmark):
        raise UsageError(f"Run {its.run.id} is of {its.run.benchmark}, not of {benchmark}: leave --benchmark out.")
    origin = RUN + its.run.id + (f"@{place}" if place else "")
    _, *command = again.command(its.run, NOT_AGAIN)
    command += ["--solutions", origin, *given]
    click.echo(spelling.visible(f"mcode bench {shlex.join(map(_url.spoken, command))}"))
    status = _bench(context, command)
    if status in RAN:
        _tell(its, database)
    raise SystemExit(status)


def _bench(context: click.Context, words: Sequence[str]) -> int:
    """Run ``mcode bench`` with these words, and return its exit status."""
    try:
        context.find_root().command.main(["bench", *words], prog_name="mcode")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0


def _tell(its: Located, database: str) -> None:
    """Tell what the newest run that was made of a run's completions changed."""
    from pytest_mcode import recorded
    from pytest_mcode.report import rejudged

    wanted = recorded.Wanted(benchmark=its.run.benchmark, model=its.run.model)
    found = recorded.located(recorded.expanded([database]), wanted)
    new = next((one for one in found if one.run.versions.get("rejudged") == its.run.id), None)
    if new is not None:
        told = rejudged.lines(its.run.id, new.run.id, recorded.results_of(its), recorded.results_of(new))
        click.echo("\n".join(["", *told]))
