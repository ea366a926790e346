"""From what a model wrote to edits: search/replace blocks, unified diffs and patch envelopes, sloppy ones too.

An edit says which lines are to be replaced by which; where they are is found by `applying`, not by line numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

#: Marks of a search/replace block: five to nine signs, and some word that models like.
SEARCH = re.compile(r"^\s*<{5,9}\s*(?:SEARCH|ORIGINAL|HEAD|OLD|BEFORE)?\b[:\s]*(.*?)\s*$", re.IGNORECASE)
MIDDLE = re.compile(r"^\s*={5,9}\s*$")
REPLACE = re.compile(r"^\s*>{5,9}(?:\s*(?:REPLACE|UPDATED|NEW|AFTER)?\b.*)?$", re.IGNORECASE)
FENCE = re.compile(r"^\s*(?:`{3,}|~{3,})\s*(\S*)\s*$")
HUNK = re.compile(r"^@@(?: -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@.*|.*)$")
OLD, NEW = re.compile(r"^--- (?:[ai]/)?(.+?)(?:\t.*)?$"), re.compile(r"^\+\+\+ (?:[bw]/)?(.+?)(?:\t.*)?$")
#: Lines of git's own between the files of a diff.
BETWEEN = re.compile(
    r"^(diff --git |index [0-9a-f]+\.\.|(new|deleted) file mode |(old|new) mode |similarity index |rename (from|to) "
    r"|-- ?$)"
)
ENVELOPE = re.compile(r"^\*\*\* (Update|Add|Delete) File: (.+?)\s*$")
#: A path as models write it above a block: in backticks, bold, as a heading, with a colon behind it.
PATH = re.compile(
    r"^\W*(?:file(?:name|path)?\s*[:=]\s*)?[`*\"'\s]*((?:[\w.+-]+/)*[\w+-]+(?:\.[\w+-]+)+)[`*\"'\s:]*$", re.IGNORECASE
)
#: Lines above a block within which its path is looked for.
ABOVE = 3
NOWHERE = "/dev/null"


@dataclass(frozen=True)
class Edit:
    """Lines to be replaced.

    Attributes:
        path: Of the file; empty if the model did not say.
        old: The lines as the model knows them; none for a file that is new.
        new: What takes their place.
        near: The line number that the model gave, from 1; None if none.
        removes: Whether the file is to be removed.
    """

    path: str
    old: tuple[str, ...]
    new: tuple[str, ...]
    near: int | None = None
    removes: bool = False


def edits(text: str) -> list[Edit]:
    """The edits that an answer holds, in its order; blocks win over diffs, for a diff may be quoted."""
    lines = text.replace("\r\n", "\n").split("\n")
    return list(_blocks(lines)) or list(_envelopes(lines)) or list(_diffs(lines))


def _blocks(lines: Sequence[str]) -> Iterator[Edit]:
    """Search/replace blocks."""
    at, path = 0, ""
    while at < len(lines):
        begun = SEARCH.match(lines[at])
        if begun is None:
            at += 1
            continue
        named = _path(begun[1]) or _above(lines, at)
        path = named or path  # a block without a path goes on with the last one's file
        middle = next((n for n in range(at + 1, len(lines)) if MIDDLE.match(lines[n]) or SEARCH.match(lines[n])), None)
        if middle is None or not MIDDLE.match(lines[middle]):
            at += 1
            continue
        end = _closed(lines, middle + 1)
        old, new = lines[at + 1 : middle], lines[middle + 1 : end]
        if end == len(lines) or not REPLACE.match(lines[end]):
            new = "\n".join(new).rstrip().split("\n") if any(line.strip() for line in new) else []
        if not named and old and (inner := _path(old[0])):
            path, old = inner, old[1:]
        yield Edit(path, tuple(old), tuple(new))
        at = end + bool(end < len(lines) and not SEARCH.match(lines[end]))


def _closed(lines: Sequence[str], at: int) -> int:
    """Where a block ends: at its mark; where a model forgot it, at the end of the fence or before the next block."""
    following = next((n for n in range(at, len(lines)) if SEARCH.match(lines[n])), len(lines))
    marks = (n for n in range(at, following) if REPLACE.match(lines[n]))
    fences = (n for n in range(at, following) if FENCE.match(lines[n]))
    return next(marks, next(fences, following))


def _above(lines: Sequence[str], at: int) -> str:
    """The path in the lines above a block, where fences and blank lines may stand between."""
    looked = 0
    for line in reversed(lines[:at]):
        fence = FENCE.match(line)
        if fence is not None:
            inside = _path(fence[1].partition(":")[2] or fence[1])
            if inside:
                return inside
        elif line.strip():
            found = _path(line)
            if found or REPLACE.match(line):
                return found
            looked += 1
        if looked >= ABOVE:
            break
    return ""


def _path(text: str) -> str:
    found = PATH.match(text.strip().lstrip("#").strip()) if text.strip() else None
    return found[1].removeprefix("./") if found else ""


def _diffs(lines: Sequence[str]) -> Iterator[Edit]:
    """Hunks of unified diffs, whatever their counts say."""
    path, removes, at = "", False, 0
    while at < len(lines):
        old = OLD.match(lines[at])
        new = NEW.match(lines[at + 1]) if old and at + 1 < len(lines) else None
        if old is not None and new is not None:
            removes = new[1] == NOWHERE
            path = (old[1] if removes else new[1]).strip().strip('"')
            at += 2
            continue
        hunk = HUNK.match(lines[at])
        if hunk is None or not path:
            at += 1
            continue
        end = _end(lines, at + 1)
        yield from _hunk(path, lines[at + 1 : end], int(hunk[1]) if hunk[1] else None, removes=removes)
        at = end


def _end(lines: Sequence[str], at: int) -> int:
    """Where a hunk that begins here ends: at the next one, the next file, or the end of the fence."""
    for number in range(at, len(lines)):
        line = lines[number]
        header = OLD.match(line) and number + 1 < len(lines) and NEW.match(lines[number + 1])
        if HUNK.match(line) or BETWEEN.match(line) or FENCE.match(line) or ENVELOPE.match(line) or header:
            return number
        if line.startswith(("*** End", "*** Begin")):
            return number
    return len(lines)


def _hunk(path: str, lines: Sequence[str], near: int | None, *, removes: bool = False) -> Iterator[Edit]:
    """One hunk; a line without a sign is context whose blank was lost."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    old, new = list[str](), list[str]()
    for line in lines:
        sign, rest = line[:1], line[1:]
        if sign == "\\":
            continue
        if sign in ("-", " ", ""):
            old.append(rest)
        if sign in ("+", " ", ""):
            new.append(rest)
        if sign not in ("-", "+", " ", ""):
            old.append(line)
            new.append(line)
    if old != new or removes:
        yield Edit(path, tuple(old), tuple(new), near, removes)


def _envelopes(lines: Sequence[str]) -> Iterator[Edit]:
    """``*** Update File:`` and its like, as some models were trained to write."""
    at = 0
    while at < len(lines):
        header = ENVELOPE.match(lines[at])
        at += 1
        if header is None:
            continue
        kind, path = header[1], header[2].strip("`\"'")
        end = next(
            (n for n in range(at, len(lines)) if ENVELOPE.match(lines[n]) or lines[n].startswith("*** End")), len(lines)
        )
        body = lines[at:end]
        if kind == "Delete":
            yield Edit(path, (), (), removes=True)
        elif kind == "Add":
            yield Edit(path, (), tuple(line.removeprefix("+") for line in body))
        else:
            yield from _update(path, body)
        at = end


def _update(path: str, body: Sequence[str]) -> Iterator[Edit]:
    """The hunks of one file, parted by lines that begin with two at signs."""
    part: list[str] = []
    for line in [*body, "@@"]:
        if line.startswith("@@"):
            yield from _hunk(path, part, None)
            part = []
        else:
            part.append(line)
