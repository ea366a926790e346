"""Where the code blocks are in a chat answer.

Fences are found by a scan of lines. To a CommonMark parser, those that follow a line of HTML, or prose on their own
line, or are indented by four columns, are none; and one that a second opening line should end goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: Characters that nobody sees, dropped, and spaces that Python does not take for one.
INVISIBLE = str.maketrans("\xa0\u202f\u3000", "   ", "\ufeff\u200b\u200c\u200d\u2060")

_KEYWORD = (
    r"(?:async[ \t]+)?def[ \t]+\w+[ \t]*\(|class[ \t]+\w+[ \t]*[(:]|@\w|from[ \t]+[\w.]+[ \t]+import\b"
    r"|import[ \t]+[\w.]+(?:[ \t]+as[ \t]+\w+)?[ \t]*(?:[,;#]|$)"
)

#: A line that is hardly prose: it begins a definition, an import or an assignment.
BEGINNING = re.compile(rf"{_KEYWORD}|\w+[ \t]*(?::[^=]*)?=(?!=)")

_CHARACTERS = re.compile(r"`{3,}|~{3,}")
_LIST_MARKER = re.compile(r"[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+\Z")
_LABEL = re.compile(r"[{.]*([\w+#-]*)\S*[ \t]*")
_PYTHON = re.compile(r"py(?:thon)?\d*|pycon|ipython\d*|code|tool_code")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an answer.

    Attributes:
        text: Without the fence's own lines and indentation.
        language: ``python`` for all that mean Python; empty for a fence that names none; None for what is in no fence.
        closed: Whether it has an end of its own, rather than the text's or the next fence's opening line.
    """

    text: str
    language: str | None
    closed: bool


@dataclass(frozen=True, slots=True)
class _Fence:
    """A line with a fence, and what it says of the code it opens."""

    characters: str
    alone: bool  # only space before it
    indent: str  # before each line of the code
    info: str
    language: str
    code: str  # that begins on the fence's own line


def parts(text: str) -> Iterator[Part]:
    """Cut a text with line feeds at its fences."""
    opened: _Fence | None = None
    lines: list[str] = []
    for line in text.split("\n"):
        fence = _fence(line)
        if fence is None or not (_ends(fence, opened) if opened else _opens(fence)):
            lines.append(line)
            continue
        yield _part(opened, lines, closed=not fence.info)
        opened = fence if opened is None or (fence.info and " " not in fence.info) else None
        lines = [opened.code] if opened and opened.code else []
    yield _part(opened, lines, closed=False)


def _part(opened: _Fence | None, lines: list[str], *, closed: bool) -> Part:
    if opened is None:
        return Part("\n".join(lines), None, closed)
    language = opened.language
    if lines and not language and _is_python(lines[0].strip()):
        language, lines = "python", lines[1:]
    if all(line.startswith(opened.indent) for line in lines if line.strip()):
        lines = [line.removeprefix(opened.indent) for line in lines]
    return Part("\n".join(lines), language, closed)


def _is_python(language: str) -> bool:
    """Whether the word after a fence means Python."""
    return _PYTHON.fullmatch(language.lower()) is not None


def _fence(line: str) -> _Fence | None:
    found = _CHARACTERS.search(line)
    if found is None or "`" in line[found.end() :]:
        return None
    before, info = line[: found.start()].translate(INVISIBLE), line[found.end() :].strip()
    label = _LABEL.match(info)
    assert label, "all of it may be empty"
    code = next((text for text in (info, info[label.end() :]) if re.match(_KEYWORD, text)), "")
    language = label[1].lower() if code != info else ""
    return _Fence(
        characters=found[0],
        alone=not before.strip(),
        indent=" " * len(before) if _LIST_MARKER.match(before) else before[: len(before) - len(before.lstrip())],
        info=info,
        language="python" if _is_python(language) else language,
        code=code,
    )


def _opens(fence: _Fence) -> bool:
    """Whether the line opens a fence outside of one; what one of Markdown holds is read as if it were not there."""
    return (fence.alone or fence.characters[0] == "`") and fence.language not in {"markdown", "md"}


def _ends(fence: _Fence, opened: _Fence) -> bool:
    """Whether the line ends the fence, with CommonMark's tolerance; one with a language opens the next."""
    return (
        fence.alone and fence.characters.startswith(opened.characters) and len(fence.indent) <= len(opened.indent) + 3
    )
