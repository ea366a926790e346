"""Edits onto the files of a repository, with tolerance for small models' habits, and the patch that comes of it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_mcode.repositories.edits import Edit
from pytest_mcode.repositories.issue import is_test
from pytest_mcode.repositories.source import Texts

#: How alike lines must be that are taken for what a model meant, and by how much more than any others.
ALIKE, APART = 0.9, 0.02
#: Lines of a file in which a likeness is looked for: more would take seconds.
SEARCHED = 20_000
#: Characters of a line that a message quotes.
QUOTED = 80


@dataclass(frozen=True)
class Applied:
    """What became of edits.

    Attributes:
        patch: In git's form; empty if nothing changes.
        files: The changed files with their new texts; None for one that is removed.
        refused: A sentence for each edit that has no place.
        tests: The test files that it would have changed, which are left as they are.
    """

    patch: str
    files: Mapping[str, str | None]
    refused: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()


def apply(edits: Sequence[Edit], texts: Texts) -> Applied:
    """Apply edits in order; each sees what those before it did."""
    files: dict[str, str | None] = {}
    refused: list[str] = []
    tests: list[str] = []
    for edit in edits:
        path = located(edit, {**texts, **{name: text for name, text in files.items() if text is not None}})
        if path is None:
            refused.append(_unknown(edit))
        elif is_test(path):
            tests.append(path)
        elif edit.removes:
            files[path] = None
        else:
            before = files.get(path, texts.get(path))
            after = replaced(before, edit)
            if after is None:
                refused.append(_missing(edit, path))
            else:
                files[path] = after
    patch = "".join(difference(path, texts.get(path), after) for path, after in files.items())
    return Applied(patch, files, tuple(refused), tuple(dict.fromkeys(tests)))


def located(edit: Edit, texts: Texts) -> str | None:
    """The file that an edit is of: by its path, by the end of it, or by its lines where only one file has them."""
    path = edit.path.removeprefix("/testbed/").removeprefix("./").lstrip("/")
    if ".." in path.split("/") or path.startswith(".git/"):
        return None
    if path in texts:
        return path
    for prefix in ("a/", "b/"):
        if path.startswith(prefix) and path[2:] in texts:
            return path[2:]
    ends = [name for name in texts if path and (name.endswith(f"/{path}") or path.endswith(f"/{name}"))]
    if len(ends) == 1:
        return ends[0]
    if path and not any(line.strip() for line in edit.old) and not edit.removes:
        return path  # a new file
    whole = "\n".join(edit.old).strip("\n")
    having = [name for name, text in texts.items() if whole.strip() and whole in text]
    return having[0] if len(having) == 1 else None


def replaced(text: str | None, edit: Edit) -> str | None:
    """A file's text after an edit; None if the edit's lines are not in it."""
    old, new = list(edit.old), list(edit.new)
    if text is None or not text.strip():
        return "\n".join(new).strip("\n") + "\n" if not any(line.strip() for line in old) else None
    if not any(line.strip() for line in old):
        return None  # nowhere in a file that has text
    ends = "\r\n" if "\r\n" in text else "\n"
    lines = text.replace("\r\n", "\n").split("\n")
    found = next(_places(lines, old, new, edit.near), None)
    if found is None:
        return None
    at, size, put = found
    return ends.join([*lines[:at], *put, *lines[at + size :]])


#: Where lines are, how many, and what takes their place.
Found = tuple[int, int, list[str]]


def _places(lines: Sequence[str], old: list[str], new: list[str], near: int | None) -> Iterator[Found]:
    """Where an edit's lines are, from the strictest reading to the most lenient."""
    trimmed_old, trimmed_new = _unnumbered(*_trimmed(old, new))
    for was, now in ((old, new), (trimmed_old, trimmed_new)):
        for at in _nearest(_equal(lines, was, str), near):
            yield at, len(was), now
        for at in _nearest(_equal(lines, was, str.rstrip), near):
            yield at, len(was), _merged(lines[at : at + len(was)], was, now)
    was, now = trimmed_old, trimmed_new
    for at in _nearest(_equal(lines, was, str.strip), near):
        yield at, len(was), _merged(lines[at : at + len(was)], was, now)
    without = [line for line in was if line.strip()]
    for at, size in _sparse(lines, without):
        yield at, size, _merged([line for line in lines[at : at + size] if line.strip()], without, now)
    alike = _alike(lines, was)
    if alike is not None:
        yield alike, len(was), _merged(lines[alike : alike + len(was)], was, now)


def _trimmed(old: list[str], new: list[str]) -> tuple[list[str], list[str]]:
    """Without the blank lines around both."""
    while old and not old[0].strip():
        old, new = old[1:], new[1:] if new and not new[0].strip() else new
    while old and not old[-1].strip():
        old, new = old[:-1], new[:-1] if new and not new[-1].strip() else new
    return old, new


def _unnumbered(old: list[str], new: list[str]) -> tuple[list[str], list[str]]:
    """Without line numbers, if every line of the old ones has one."""
    parted = [line.lstrip().partition("|" if "|" in line else ":") for line in old if line.strip()]
    if not parted or not all(head.strip().isdigit() for head, _, _ in parted):
        return old, new

    def bare(line: str) -> str:
        head, sign, rest = line.lstrip().partition("|" if "|" in line else ":")
        return rest.removeprefix(" ") if sign and head.strip().isdigit() else line

    return [bare(line) for line in old], [bare(line) for line in new]


def _equal(lines: Sequence[str], wanted: Sequence[str], form: Callable[[str], str]) -> list[int]:
    """Where the wanted lines stand, compared in some form."""
    here, there = [form(line) for line in lines], [form(line) for line in wanted]
    if not there:
        return []
    starts = [at for at, line in enumerate(here) if line == there[0]]
    return [at for at in starts if here[at : at + len(there)] == there]


def _nearest(places: list[int], near: int | None) -> list[int]:
    """The places, the nearest to where the model said first."""
    return places if near is None else sorted(places, key=lambda at: abs(at + 1 - near))


def _sparse(lines: Sequence[str], wanted: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where lines stand if blank ones do not count."""
    there = [(at, line.strip()) for at, line in enumerate(lines) if line.strip()]
    texts, needed = [text for _, text in there], [line.strip() for line in wanted]
    for start in range(len(texts) - len(needed) + 1 if needed else 0):
        if texts[start] == needed[0] and texts[start : start + len(needed)] == needed:
            first, last = there[start][0], there[start + len(needed) - 1][0]
            yield first, last - first + 1


def _alike(lines: Sequence[str], wanted: Sequence[str]) -> int | None:
    """The one place whose lines are all but the wanted ones; None if there is none, or several."""
    if len(wanted) < 2 or len(lines) > SEARCHED:  # noqa: PLR2004 - a single line is too little to be sure of
        return None
    whole = "\n".join(line.strip() for line in wanted)
    scores = []
    for at in range(len(lines) - len(wanted) + 1):
        matcher = difflib.SequenceMatcher(
            None, "\n".join(s.strip() for s in lines[at : at + len(wanted)]), whole, autojunk=False
        )
        if (
            matcher.real_quick_ratio() >= ALIKE
            and matcher.quick_ratio() >= ALIKE
            and (score := matcher.ratio()) >= ALIKE
        ):
            scores.append((score, at))
    scores.sort(reverse=True)
    if not scores or (len(scores) > 1 and scores[0][0] - scores[1][0] < APART):
        return None
    return scores[0][1]


def _merged(there: Sequence[str], old: Sequence[str], new: Sequence[str]) -> list[str]:
    """The new lines: those that stay as the file has them, the others indented as their neighbours in the file are."""
    merged: list[str] = []
    for kind, start, end, first, last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            merged += there[start:end]
            continue
        at = next((n for n in (start, start - 1, *range(len(old))) if 0 <= n < len(old) and old[n].strip()), None)
        real, told = ("", "") if at is None else (_indent(there[at]), _indent(old[at]))
        merged += [_moved(line, real, told) for line in new[first:last]]
    return merged


def _moved(line: str, real: str, told: str) -> str:
    """A line, moved by as much as one of the file's lines is from the model's."""
    if not line.strip() or real == told:
        return line
    if len(real) > len(told):
        return real[: len(real) - len(told)] + line
    return line[min(len(told) - len(real), len(_indent(line))) :]


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def difference(path: str, before: str | None, after: str | None) -> str:
    """One file's part of a patch in git's form; empty if nothing changes."""
    if before == after:
        return ""
    head = f"diff --git a/{path} b/{path}\n"
    head += "new file mode 100644\n" if before is None else "deleted file mode 100644\n" if after is None else ""
    old, new = ("/dev/null" if before is None else f"a/{path}"), ("/dev/null" if after is None else f"b/{path}")
    body = difflib.unified_diff(_lines(before), _lines(after), old, new)
    return head + "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in body)


def _lines(text: str | None) -> list[str]:
    """Lines with their ends, parted at newlines alone, as git does."""
    parts = (text or "").split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _unknown(edit: Edit) -> str:
    if not edit.path:
        return f"no single file has the lines of a block without a path ({_quoted(edit)})"
    return f"there is no file {edit.path}"


def _missing(edit: Edit, path: str) -> str:
    if not any(line.strip() for line in edit.old):
        return f"{path} exists, and the block does not say which of its lines to replace"
    return f"{path} does not have the lines to be replaced ({_quoted(edit)})"


def _quoted(edit: Edit) -> str:
    first = next((line.strip() for line in edit.old if line.strip()), "")
    return f"{first[:QUOTED]!r}"
