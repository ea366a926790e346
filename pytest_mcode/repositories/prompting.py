"""The oneshot prompt: the issue, and as much of the retrieved files as the model's context holds."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_mcode._types import Message, Prompt
from pytest_mcode.repositories.issue import Issue
from pytest_mcode.repositories.retrieval import ranking
from pytest_mcode.repositories.source import Texts

#: New tokens of an answer, unless --mcode-max-tokens says otherwise.
NEW = 2048
#: Characters of source that make a token, on the safe side.
CHARACTERS = 3.0
#: Of the context, what is left for the turns of a debug loop and what is counted wrongly.
SPARE = 0.9
#: Lines of an issue that are shown at most: some hold whole logs.
STATEMENT = 400
#: Lines of a part of a file that is too long to be shown whole.
PART = 40
#: A line at which a long file may be cut.
BORDER = re.compile(r"(?:async def|def|class|@)\b|@")
GAP = "...\n"

ASKED = """\
You are fixing an issue in a Python repository.

<issue>
{issue}
</issue>

{files}Fix the issue by changing the repository's source, not its tests. Answer with one or more blocks of exactly \
this form, each below the path of its file:

path/to/file.py
<<<<<<< SEARCH
lines that are in the file now, copied exactly
=======
the lines that replace them
>>>>>>> REPLACE

Copy enough lines to make each place unique, and keep the indentation.
"""
SHOWN = "These are the files that seem most relevant{cut}:\n\n{files}\n"
CUT = f" (lines that are left out are marked by {GAP.strip()})"


def oneshot(issue: Issue, texts: Texts, chosen: Sequence[str], *, context: int, new: int | None) -> Prompt:
    """The prompt for a patch.

    Args:
        issue: What is to be settled.
        texts: The repository.
        chosen: Its files that are to be shown, the most important first.
        context: The model's, in tokens.
        new: Tokens that are kept for the answer; None for the default.
    """
    new = new or NEW
    statement = "\n".join(issue.statement.strip().replace("\r\n", "\n").split("\n")[:STATEMENT])
    room = int((context * SPARE - new) * CHARACTERS) - len(ASKED)
    statement = statement[: max(room, 0)]
    parts = packed(chosen, texts, statement, room - len(statement))
    shown = "\n".join(f"{path}\n```python\n{text.rstrip()}\n```\n" for path, text in parts)
    files = SHOWN.format(files=shown, cut=CUT if any(GAP in text for _, text in parts) else "") if parts else ""
    return Prompt((Message("user", ASKED.format(issue=statement, files=files)),), new)


def packed(chosen: Sequence[str], texts: Texts, statement: str, room: int) -> list[tuple[str, str]]:
    """As many files as there is room for, in characters; of one that is too long, the parts that match the issue."""
    found = []
    for number, path in enumerate(chosen):
        text = texts[path]
        share = room if number or len(chosen) == 1 else room * 2 // 3  # the first file may not push out all others
        shown = text if len(text) <= share else excerpt(text, statement, share)
        if not shown or len(shown) + len(path) > room:
            continue
        found.append((path, shown))
        room -= len(shown) + len(path) + 20
        if room <= 0:
            break
    return found


def excerpt(text: str, statement: str, room: int) -> str:
    """The parts of a file that match an issue best, in the file's order; empty if not even one has room."""
    parts = parted(text)
    order = ranking(["".join(part) for part in parts], statement)
    taken, left = set[int](), room
    for number in order:
        size = sum(map(len, parts[number])) + len(GAP)
        if size <= left:
            taken.add(number)
            left -= size
    shown, last = [], -1
    for number in sorted(taken):
        shown += ([GAP] if number != last + 1 else []) + parts[number]
        last = number
    return "".join(shown) + (GAP if shown and last != len(parts) - 1 else "")


def parted(text: str) -> list[list[str]]:
    """Lines of a file in parts that begin with functions and classes, none much longer than a screen."""
    parts: list[list[str]] = [[]]
    for line in text.splitlines(keepends=True):
        border = BORDER.match(line.lstrip()) is not None and not (parts[-1] and parts[-1][-1].lstrip().startswith("@"))
        if parts[-1] and ((border and len(parts[-1]) > 5) or len(parts[-1]) >= PART):  # noqa: PLR2004 - tiny parts tell nothing
            parts.append([])
        parts[-1].append(line)
    return parts
