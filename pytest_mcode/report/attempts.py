"""One task of a run with all that was said and done: what ``mcode show`` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from rich.console import Console
from rich.rule import Rule
from rich.syntax import Syntax
from rich.text import Text

from pytest_mcode._rows import AttemptRow, ResultRow
from pytest_mcode._types import Message, Status, Verdict
from pytest_mcode.report.tabular import UNLIMITED, one_line, printer
from pytest_mcode.report.words import model, plural
from pytest_mcode.spelling import plain, visible
from pytest_mcode.store import Run

#: What Pygments calls the colours of the terminal itself, whatever its background is.
THEME = "ansi_dark"
#: Of titles, by verdict or status, and of those that are none of these.
STYLES: Mapping[str, str] = {Verdict.PASSED: "bold green", Status.SOLVED: "bold green", Verdict.ERROR: "bold red"}
OTHERWISE = "bold yellow"


@dataclass(frozen=True)
class Piece:
    """A piece of the page: the ``title`` of task or attempt, the ``head`` of what follows, a ``text``, or ``code``."""

    kind: Literal["title", "head", "text", "code"]
    text: str
    style: str = ""


@dataclass(frozen=True)
class Shown:
    """What is shown of a task.

    Attributes:
        run: The run.
        result: The task.
        attempts: All that were made of it.
        sample: The only sample to show; None is all.
        attempt: The only attempt of each to show; None is all.
    """

    run: Run
    result: ResultRow
    attempts: Sequence[AttemptRow]
    sample: int | None = None
    attempt: int | None = None

    @property
    def asked(self) -> dict[str, int | None]:
        """What was chosen of its attempts."""
        return {"sample": self.sample, "attempt": self.attempt}

    @property
    def chosen(self) -> list[AttemptRow]:
        """The attempts to show."""
        return [
            row for row in self.attempts if self.sample in (None, row.sample) and self.attempt in (None, row.attempt)
        ]


def as_json(shown: Shown) -> dict[str, Any]:
    """The task as JSON values: each attempt with all its texts as they are stored."""
    run, result = shown.run, shown.result
    return {
        "run": run.id,
        "benchmark": run.benchmark,
        "model": run.model,
        "backend": run.backend,
        **result._asdict(),
        "attempts": [_attempt_json(row) for row in shown.chosen],
    }


def _attempt_json(row: AttemptRow) -> dict[str, Any]:
    values = {name: value for name, value in row._asdict().items() if name != "task_id"}
    return {**values, "prompt": [{"role": turn.role, "content": turn.content} for turn in row.turns]}


def pieces(shown: Shown) -> Iterator[Piece]:
    """The page from top to bottom: the task, what was asked, and each attempt with the turns before it."""
    yield from _task(shown)
    told: tuple[Message, ...] = ()
    for row in shown.chosen:
        new = _new(told, row.turns)
        first = not told
        told = (*row.turns, Message("assistant", row.completion or "")) if row.turns else told
        if first:
            yield from _turns(new)
        yield Piece(
            "title", f"sample {row.sample}, attempt {row.attempt}: {row.verdict}", STYLES.get(row.verdict, OTHERWISE)
        )
        yield Piece("text", _spent(row))
        if not first:
            yield from _turns(new)
        yield from _answer(row)
        yield from _outcome(row)


def _task(shown: Shown) -> Iterator[Piece]:
    run, result = shown.run, shown.result
    yield Piece("title", f"{result.task_id}: {result.status}", STYLES.get(result.status, OTHERWISE))
    drawn = len({row.sample for row in shown.attempts})
    made = f"{plural(drawn, 'sample')}, {plural(len(shown.attempts), 'attempt')}"
    lines = [f"{run.benchmark}, {model(run.model, run.backend)}, run {run.id}", f"{made}, {result.seconds:,.1f} s"]
    lines += [plain(result.error)] if result.error else []
    yield Piece("text", "\n".join(lines))


def _new(told: Sequence[Message], turns: Sequence[Message]) -> Sequence[Message]:
    """The turns that were not shown yet: those of a sample go on where its last attempt ended."""
    known = 0
    while known < min(len(told), len(turns)) and told[known] == turns[known]:
        known += 1
    return turns[known:]


def _turns(turns: Iterable[Message]) -> Iterator[Piece]:
    for turn in turns:
        yield Piece("head", f"prompt ({turn.role})")
        yield Piece("text", turn.content)


def _spent(row: AttemptRow) -> str:
    """One line: what the attempt took."""
    parts = []
    if row.completion_tokens is not None or row.prompt_tokens is not None:
        counts = {"prompt": row.prompt_tokens, "completion": row.completion_tokens}
        parts.append(", ".join(f"{count:,} {name}" for name, count in counts.items() if count is not None) + " tokens")
    for seconds, what in ((row.generation_seconds, "generating"), (row.execution_seconds, "executing")):
        if seconds is not None:
            parts.append(f"{seconds:,.2f} s {what}")
    if row.first_execution_seconds is not None:
        parts.append(f"executed again alone after {row.first_execution_seconds:,.2f} s")
    if row.exit_code:
        parts.append(f"exit code {row.exit_code}")
    if row.generation_tries is not None and row.generation_tries > 1:
        parts.append(f"asked {row.generation_tries} times")
    if row.finish_reason not in (None, "stop"):
        parts.append(f"finish reason {row.finish_reason}")
    return ", ".join(parts) or "nothing was generated"


def _answer(row: AttemptRow) -> Iterator[Piece]:
    """What the model wrote, with its code in place; the code apart where it is not that of the text."""
    if row.thinking:
        yield Piece("head", "thinking")
        yield Piece("text", row.thinking)
    if row.completion is None:
        return
    yield Piece("head", "completion")
    code = (row.solution or "").strip("\n")
    before, found, after = row.completion.partition(code) if code else (row.completion, "", "")
    said = Piece("text", before), Piece("code", found), Piece("text", after)
    yield from (replace(piece, text=piece.text.strip("\n")) for piece in said if piece.text.strip())
    if code and not found:
        yield Piece("head", "solution, as it was judged")
        yield Piece("code", code)


def _outcome(row: AttemptRow) -> Iterator[Piece]:
    """What the tests said."""
    for name, text in (("stdout", row.stdout), ("stderr", row.stderr)):
        if text:
            yield Piece("head", name)
            yield Piece("text", text)
    if row.error:
        yield Piece("head", "error")
        yield Piece("text", plain(row.error))


def put(shown: Shown) -> None:
    """Print the page: with rules and colours on a terminal, as plain text anywhere else; no text can act."""
    console = printer(UNLIMITED)
    for number, piece in enumerate(pieces(shown)):
        if number and piece.kind in ("title", "head"):
            console.print()
        console.print(_drawn(piece, console), soft_wrap=piece.kind != "title")


def _drawn(piece: Piece, console: Console) -> Text | Rule:
    """A piece as it is printed; lines are left to the terminal to wrap, so that code can be copied."""
    if piece.kind == "title":
        title = Text(one_line(piece.text), piece.style)
        return Rule(title, align="left", style="dim") if console.is_terminal else Text(f"== {title.plain} ==")
    text = visible(piece.text.replace("\r\n", "\n")).rstrip("\n")
    if piece.kind == "head":
        return Text(f"-- {one_line(text)} --", "bold")
    if piece.kind == "code" and console.is_terminal:
        coloured = Syntax(text, "python", theme=THEME).highlight(text)
        coloured.rstrip()
        return coloured
    return Text(text)
