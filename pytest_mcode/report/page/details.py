"""All that was recorded of a task's attempts, packed for the page: unpacked in the browser when it is asked for."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import chain
from typing import Any

from pygments.lexer import RegexLexer
from pygments.lexers.diff import DiffLexer
from pygments.lexers.python import PythonLexer
from pygments.token import Token, _TokenType

from pytest_mcode._rows import AttemptRow

#: Code that is longer is not coloured: nobody reads it as code.
COLOURED = 100_000
#: So many pieces of code are remembered: those of a task, and of a run, are often the same.
CHUNKS = 2**16
QUOTES = ('"""', "'''")
#: What is coloured, and the letter that says so; a kind of token counts as the first that it belongs to.
KINDS: tuple[tuple[_TokenType, str], ...] = (
    (Token.Comment, "c"),
    (Token.String, "s"),
    (Token.Number, "n"),
    (Token.Operator.Word, "k"),
    (Token.Keyword, "k"),
    (Token.Name.Function, "f"),
    (Token.Name.Class, "f"),
    (Token.Name.Builtin, "b"),
    (Token.Name.Exception, "b"),
    (Token.Name.Decorator, "d"),
    (Token.Generic.Inserted, "i"),
    (Token.Generic.Deleted, "x"),
    (Token.Generic.Heading, "f"),
    (Token.Generic.Subheading, "d"),
)
#: Texts of an attempt that may be long and are often the same: they are kept once for each task.
TEXTS = ("completion", "thinking", "solution", "stdout", "stderr")
#: The other columns that the page shows.
SHOWN = (
    *("sample", "attempt", "verdict", "exit_code", "generation_seconds", "generation_tries", "execution_seconds"),
    *("execution_mode", "first_execution_seconds", "prompt_tokens", "completion_tokens", "finish_reason", "error"),
)
_PYTHON, _DIFF = PythonLexer(), DiffLexer()


class Packer:
    """Packs tasks, one by one."""

    def __init__(self) -> None:
        self._lexed = lru_cache(CHUNKS)(_lexed)

    def packed(self, runs: Mapping[int, Sequence[AttemptRow]], faults: Mapping[int, str]) -> str:
        """A task, gzipped JSON in base64.

        Args:
            runs: Its attempts, by the number of the run.
            faults: Why it could not be judged, by the number of the run.
        """
        texts: dict[str, int] = {}
        attempts = {number: [_told(row, texts) for row in rows] for number, rows in runs.items()}
        solutions = {row.solution for rows in runs.values() for row in rows if row.solution}
        marks = {texts[code]: self.marks(code) for code in solutions if len(code) <= COLOURED}
        told = {"runs": attempts, "faults": faults, "texts": list(texts), "marks": marks}
        plain = json.dumps(told, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return base64.b64encode(gzip.compress(plain.encode("utf-8", "backslashreplace"), mtime=0)).decode("ascii")

    def marks(self, code: str) -> str:
        """How code is coloured: ``k3-1f5`` is three units of a keyword, one of nothing, five of a name.

        A unit is one of UTF-16, in which browsers count.
        """
        lexer = _DIFF if re.match(r"(diff|---|Index:) ", code) else _PYTHON
        runs: list[tuple[str, int]] = []
        for letter, length in chain.from_iterable(self._lexed(lexer, chunk) for chunk in chunks(code)):
            if runs and runs[-1][0] == letter:
                length += runs.pop()[1]  # noqa: PLW2901 - one run with what stands before
            runs.append((letter, length))
        return "".join(f"{letter}{length}" for letter, length in runs)


def chunks(code: str) -> Iterator[str]:
    """Code in pieces that can be coloured one by one: lines, and with them what a long string goes on with."""
    chunk: list[str] = []
    quoted = [0, 0]
    for line in code.splitlines(keepends=True):
        chunk.append(line)
        quoted = [(number + line.count(quotes)) % 2 for number, quotes in zip(quoted, QUOTES, strict=True)]
        if not any(quoted) and not line.endswith("\\\n"):
            yield "".join(chunk)
            chunk = []
    yield "".join(chunk)


def _lexed(lexer: RegexLexer, chunk: str) -> list[tuple[str, int]]:
    """The letter and the length in units of UTF-16 of each token."""
    tokens = lexer.get_tokens_unprocessed(chunk)
    return [(_letter(kind), len(text.encode("utf-16-le", "surrogatepass")) // 2) for _, kind, text in tokens]


@cache
def _letter(kind: _TokenType) -> str:
    return next((letter for known, letter in KINDS if kind[: len(known)] == known), "-")  # a kind is a path of names


def _told(row: AttemptRow, texts: dict[str, int]) -> dict[str, Any]:
    """An attempt as JSON values, its texts as their numbers; what it has not is left out."""
    values = row._asdict()
    told = {name: _short(values[name]) for name in SHOWN if values[name] not in (None, "")}
    told |= {name: _number(values[name], texts) for name in TEXTS if values[name]}
    if row.turns:
        told["turns"] = [[turn.role, _number(turn.content, texts)] for turn in row.turns]
    return told


def _short(value: Any) -> Any:
    """Seconds to the millisecond: further digits compress badly."""
    return round(value, 3) if isinstance(value, float) else value


def _number(text: str, texts: dict[str, int]) -> int:
    return texts.setdefault(text, len(texts))


def batches(sizes: Iterable[tuple[str, int]], most: int = 400) -> Iterator[list[str]]:
    """Tasks in their order, as many at a time as have no more attempts than that, but at least one."""
    batch: list[str] = []
    total = 0
    for task, size in sizes:
        if batch and total + size > most:
            yield batch
            batch, total = [], 0
        batch.append(task)
        total += size
    if batch:
        yield batch
