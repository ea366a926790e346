"""From what a model wrote to the solution in it.

    answer -> without reasoning -> one turn -> blocks of code -> the block that answers -> joined -> with the preamble

Two rules hold throughout. Packaging is taken off: reasoning, fences, prompts, invisible characters, prose. What the
model wrote as code is judged as it stands: example calls, main guards, a wrong function name and syntax errors stay,
since to drop or mend them would credit the model with what it did not do. (The sandbox executes a solution under a
``__name__`` other than ``__main__``, so main guards do not run; calls outside of one do.)

Choices that a reader may wonder about:

- An answer that never left its thinking has no code: nobody can tell its drafts from its result.
- Of several blocks that define the entry point, the last that parses wins: a correction follows its draft. Stubs, and
  blocks that only call or import it, do not compete.
- A text is mended only if it does not parse as it is and parses then, so strings in valid code keep every character.
- A body without its ``def`` line stays one, and fails: its signature is not known here.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from pytest_mcode._fences import BEGINNING, INVISIBLE, Part, parts
from pytest_mcode._source import (
    Definition,
    bound,
    is_act,
    is_stub,
    joined,
    longest,
    parsed,
    tries,
    trimmed,
    used,
    with_preamble,
)

#: Characters read of an answer, reasoning not counted. A solution has a few thousand; more is a model in a loop.
READ = 100_000

_JSON_KEYS = ("code", "solution", "python", "answer")

_SPECIAL = r"<[|\uff5c][\w\u2581]+[|\uff5c]>"
_TAGS = r"(?:seed:)?think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad|analysis"
_BEGIN = (
    rf"(?:<(?:{_TAGS})>|\[THINK\]|◁think▷|<\|begin_of_thought\|>|<\|START_THINKING\|>"
    r"|<\|channel\|>(?:analysis|commentary)<\|message\|>)"
)
_THINKING = re.compile(
    rf"(?P<begin>^(?:[ \t]*{_SPECIAL}(?:assistant\b)?)*[ \t]*{_BEGIN})|(?P<quoted>{_BEGIN})"
    rf"|(?P<end></(?:{_TAGS})>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>|<\|END_THINKING\|>"
    r"|<\|channel\|>final<\|message\|>)"
    r"|(?P<answer>^[ \t]*(?:<answer>|<response>|<solution>|<\|begin_of_solution\|>|<\|START_RESPONSE\|>))",
    re.IGNORECASE | re.MULTILINE,
)
_TURN_BEGINS = re.compile(rf"(?:\s*{_SPECIAL}(?:assistant\b)?|\s*<s>)+[ \t]*\n?")
_TURN_ENDS = re.compile(
    r"<[|\uff5c](?:end|eo[mts]|im_end|return)[\w\u2581]*[|\uff5c]>(?![\"'`])"
    rf"|(?:{_SPECIAL}|<end_of_turn>|<eos>)[ \t\r]*(?:$|<)|</s>\s*(?:\Z|<s>|\[INST)",
    re.MULTILINE,
)

_DEFINITION = re.compile(r"^([ \t]*)(?:(?:async[ \t]+)?def[ \t]+\w+[ \t]*\(|class[ \t]+\w+[ \t]*[(:])", re.MULTILINE)
_HINT = re.compile(
    r"^[ \t]*(?:(?:async|class|def|for|from|if|import|return|while|with)\b|@\w|\w+[ \t]*=)", re.MULTILINE
)
_NUMBER = re.compile(r"[ \t]*(\d+)[.:|)]?(?:[ \t]|$)")


class _Rank(IntEnum):
    """How well a block answers; of equals the last is taken."""

    NOTHING = 0
    STATEMENTS = 1  # parses, but defines nothing
    BROKEN_OTHER = 2  # does not parse; seems to define something
    OTHER = 3  # defines something that is no test
    STUB = 4  # defines the entry point, without a body
    BROKEN = 5  # does not parse; seems to define the entry point
    ASSIGNED = 6  # assigns the entry point
    DEFINED = 7


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """A piece of code: its tree and what that binds at module level, if it parses, and how well it answers."""

    code: str
    language: str
    tree: ast.Module | None
    binds: Mapping[str, ast.AST]
    rank: _Rank

    @property
    def uses(self) -> set[str]:
        """Names that it needs from elsewhere."""
        return used(self.tree) if self.tree else set()


def extract(text: str, *, entry_point: str, preamble: str) -> str | None:
    """Turn what a model wrote into a solution. Deterministic, and raises for no text.

    Args:
        text: The answer: chat with fences, bare code, or a JSON object with the code.
        entry_point: The name that the tests use; empty where there is no single one.
        preamble: Imports and helpers that the prompt shows; those that the solution lacks are put before it.

    Returns:
        Python source with line feeds alone, no empty lines around it and a line feed at its end; it need not parse.
        None where there is no code.
    """
    answer = _unwrapped(_one_turn(_without_reasoning(text))[:READ])
    blocks = _blocks(_with_line_feeds(answer), entry_point)
    if not blocks:
        return None
    chosen = max(reversed(blocks), key=lambda block: block.rank)
    shown = _with_line_feeds(preamble)
    solution = with_preamble(_with_helpers(chosen, blocks, shown), shown)
    return solution.strip("\n").rstrip() + "\n"


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _without_reasoning(text: str) -> str:
    """The text outside of its thinking.

    An end without a beginning ends what the chat template began. A pair that begins within a line is text or code.
    """
    kept: list[str] = []
    at, thinking, quoted = 0, False, False
    for mark in _THINKING.finditer(text):
        if thinking and (mark["end"] or mark["answer"]):
            at, thinking = mark.end(), False
        elif not thinking and mark["begin"]:
            kept.append(text[at : mark.start()])
            thinking = True
        elif not thinking and mark["end"] and not quoted:
            kept, at = [], mark.end()
        elif not thinking:
            quoted = bool(mark["quoted"])
    return "".join(kept) + ("" if thinking else text[at:])


def _one_turn(text: str) -> str:
    """The first turn of the text, without the chat template's tokens around it."""
    begin = _TURN_BEGINS.match(text)
    text = text[begin.end() :] if begin else text
    end = _TURN_ENDS.search(text)
    return text[: end.start()] if end else text


def _unwrapped(text: str) -> str:
    """The code in a JSON object, if the text is that and nothing else."""
    body = text.strip().removeprefix("```json").removesuffix("```").strip()
    if not body.startswith("{"):
        return text
    try:
        found = json.loads(body, strict=False)
    except (ValueError, RecursionError):
        return text
    return next((found[key] for key in _JSON_KEYS if isinstance(found.get(key), str)), text)


def _blocks(answer: str, entry_point: str) -> list[_Block]:
    """All blocks of code, in order; bare code counts where no fence has the entry point, and comes first.

    In an answer that is a program as a whole, fences are parts of its texts.
    """
    whole = _block(answer, entry_point) if parsed(answer)[0] else None
    if whole and whole.rank >= (_Rank.ASSIGNED if entry_point else _Rank.OTHER):
        return _bare(answer, entry_point)
    found = [part for part in parts(answer) if part.text.strip()]
    blocks = [_fenced(part, part.language, entry_point) for part in found if part.language is not None]
    if all(block.rank < _Rank.ASSIGNED for block in blocks):
        blocks = _bare("\n".join(part.text for part in found if part.language is None), entry_point) + blocks
    return [block for block in blocks if _is_code(block)]


def _fenced(part: Part, language: str, entry_point: str) -> _Block:
    """The block of a fence; without what follows the code if the fence was never closed and the rest answers."""
    if not part.closed:
        block = _block(longest(part.text), entry_point, language)
        if block.rank >= (_Rank.ASSIGNED if entry_point else _Rank.OTHER):
            return block
    return _block(part.text, entry_point, language)


def _bare(text: str, entry_point: str) -> list[_Block]:
    """The blocks of code in a text without fences."""
    whole = _block(text, entry_point)
    if whole.tree and _is_code(whole):
        code = trimmed(whole.code, whole.tree)
        return [whole if code == whole.code else _block(code, entry_point)]
    lines = _at_margin(text.translate(INVISIBLE)).split("\n")
    blocks: list[_Block] = []
    at = 0
    for _ in tries(text):
        at = next((number for number in range(at, len(lines)) if _begins(lines, number)), len(lines))
        rest = "\n".join(lines[at:])
        code = longest(rest)
        if code or rest.startswith("@") or _DEFINITION.match(rest):
            blocks.append(_block(code, entry_point) if code else _broken(rest, entry_point))
        at += code.count("\n") + 1
    return blocks


def _begins(lines: Sequence[str], at: int) -> bool:
    """Whether code begins there: what follows a decorator goes on."""
    return BEGINNING.match(lines[at]) is not None and not (at and lines[at - 1].startswith("@"))


def _at_margin(text: str) -> str:
    """The text with its code at the margin, if all of that is indented."""
    indents = [found[1] for found in _DEFINITION.finditer(text)]
    if not indents or "" in indents:
        return text
    return "\n".join(line.removeprefix(indents[0]) for line in text.split("\n"))


def _block(code: str, entry_point: str, language: str = "") -> _Block:
    """The first variant of the code that parses, else the code as it is."""
    tried: set[str] = set()
    for variant in _variants(code):
        if variant not in tried:
            tree, _ = parsed(variant)
            if tree and (tree.body or not tried):
                binds = bound(tree)
                return _Block(variant, language, tree, binds, _rank_of(binds, entry_point))
            tried.add(variant)
    return _broken(code, entry_point, language)


def _broken(code: str, entry_point: str, language: str = "") -> _Block:
    """The block of code that does not parse, ranked by what it seems to define."""
    rank = _Rank.BROKEN_OTHER if _DEFINITION.search(code) else _Rank.NOTHING
    name = re.escape(entry_point)
    if name and re.search(rf"^[ \t]*(?:(?:async )?def|class) +{name}\b|^{name} *=", code, re.MULTILINE):
        rank = _Rank.BROKEN
    return _Block(code, language, None, {}, rank)


def _variants(code: str) -> Iterator[str]:
    yield code
    yield (visible := code.translate(INVISIBLE))
    yield (even := textwrap.dedent(visible))
    yield _unprompted(even)
    yield _unnumbered(even)
    yield even.partition("```")[0]


def _unprompted(code: str) -> str:
    """What was typed in a REPL, if the code is a transcript."""
    if not code.lstrip().startswith(">>>"):
        return code
    return "\n".join(line[4:] for line in code.split("\n") if line.startswith((">>>", "...")))


def _unnumbered(code: str) -> str:
    """The lines without their numbers, if each has its own."""
    lines = [line for line in code.split("\n") if line.strip()]
    numbers = [_NUMBER.match(line) for line in lines]
    if any(number is None or number[1] != str(at) for at, number in enumerate(numbers, start=1)):
        return code
    return textwrap.dedent("\n".join(_NUMBER.sub("", line, count=1) for line in lines))


def _rank_of(binds: Mapping[str, ast.AST], entry_point: str) -> _Rank:
    found = binds.get(entry_point)
    if isinstance(found, Definition):
        return _Rank.STUB if is_stub(found) else _Rank.DEFINED
    if isinstance(found, ast.Name):
        return _Rank.ASSIGNED
    defined = [name for name, node in binds.items() if isinstance(node, Definition)]
    return _Rank.STATEMENTS if all(name.lower().startswith("test") for name in defined) else _Rank.OTHER


def _is_code(block: _Block) -> bool:
    """Whether the block is Python to be judged; one that is not called so must show it."""
    if block.language == "python":
        return bool(block.tree.body if block.tree else _HINT.search(block.code))
    if block.language:
        return block.rank >= _Rank.ASSIGNED
    return any(map(is_act, block.tree.body)) if block.tree else block.rank >= _Rank.BROKEN_OTHER


def _with_helpers(chosen: _Block, blocks: Sequence[_Block], preamble: str) -> str:
    """The chosen block with the blocks that bind names it needs: before it, unless they need it themselves."""
    if len(blocks) == 1:
        return chosen.code
    shown, _ = parsed(preamble)
    given = set(bound(shown)) if shown else set()
    binders = {
        name: block
        for imported in (True, False)  # a definition is better than a later test's import
        for block in blocks
        for name, node in block.binds.items()
        if isinstance(node, (ast.Import, ast.ImportFrom)) is imported
    }
    own = chosen.binds.keys() | given
    helpers: set[_Block] = set()
    needed = chosen.uses - own
    while needed:
        helper = binders.get(needed.pop())
        if helper and helper not in helpers:
            helpers.add(helper)
            needed |= helper.uses - own
    if not helpers:
        return chosen.code
    after = {helper for helper in helpers if helper.uses & chosen.binds.keys()}
    ordered = [block for block in blocks if block in helpers - after]
    ordered += [chosen, *(block for block in blocks if block in after)]
    return joined(block.code for block in ordered)
