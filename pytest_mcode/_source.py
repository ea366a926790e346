"""What Python source says of itself, read but never executed."""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence

#: What binds a name to more than a value.
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

#: How many characters a search may parse, one text over and over: bounds its time, far above what answers need.
SEARCHED = 200_000

_FILENAME = "<solution>"
_BUILTINS = frozenset(dir(builtins))
_STATEMENT = re.compile(r"(?![\s#)\]}]|(?:else|elif|except|finally)\b).")
_FUTURE = re.compile(r"^from __future__ import .*\n?", re.MULTILINE)


def parsed(code: str) -> tuple[ast.Module | None, int]:
    """The tree of ``code``, or None and the line (from 1) of its first error. Raises for no text."""
    # Not `catch_warnings`, which swaps the filters of all threads. This filter names only what is parsed here, and
    # goes before those that turn warnings into errors.
    warnings.filterwarnings("ignore", module=_FILENAME)
    try:
        return ast.parse(code, _FILENAME), 0
    except SyntaxError as error:
        return None, error.lineno or 1
    except (ValueError, RecursionError, MemoryError):
        return None, 1


def bound(tree: ast.AST) -> Mapping[str, ast.AST]:
    """The names that statements bind at module level, and what binds them: a definition rather than anything else."""
    found: dict[str, ast.AST] = {}
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, Definition):
            found[node.name] = node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update((name, node) for name in _imported(node) if name not in found)
        elif isinstance(node, ast.Name):
            found.setdefault(node.id, node)
        elif not isinstance(node, ast.expr) or isinstance(getattr(node, "ctx", None), ast.Store):
            nodes.extend(child for child in reversed([*ast.iter_child_nodes(node)]) if not _is_lookup(child))
    return found


def _is_lookup(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", None), ast.Load | ast.Del)


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    """The names an import binds; all of a module's are ``module.*``."""
    if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
        return [f"{node.module}.*"]
    return [alias.asname or alias.name.partition(".")[0] for alias in node.names]


def used(tree: ast.AST) -> set[str]:
    """The names that the tree looks up and binds nowhere, in no scope; builtins are not counted."""
    looked_up: set[str] = set()
    known = set(_BUILTINS)
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                looked_up.add(name)
            case ast.Name(id=name) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                known.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                known.add(name)
            case ast.Import() | ast.ImportFrom():
                known.update(_imported(node))
    return looked_up - known


def is_stub(node: Definition) -> bool:
    """Whether a definition only stands for one: an ellipsis in it, or nothing but docstring, ``pass`` and a refusal."""
    body = node.body[ast.get_docstring(node) is not None :]
    return any(_is_ellipsis(statement) for statement in body) or all(_is_filler(statement) for statement in body)


def _is_ellipsis(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and getattr(statement.value, "value", None) is ...


def _is_filler(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass():
            return True
        case ast.Raise(exc=ast.Name(id=name) | ast.Call(func=ast.Name(id=name))):
            return name == "NotImplementedError"
    return False


def is_act(statement: ast.stmt) -> bool:
    """Whether the statement does more than words that happen to parse: a name, ``pass``, ``Output: 5``."""
    if isinstance(statement, ast.AnnAssign):
        return statement.value is not None
    return not isinstance(statement, (ast.Expr, ast.Pass, ast.Break, ast.Continue))


def tries(text: str) -> range:
    """The turns of a search that parses ``text`` in each of them; three are what answers need."""
    return range(min(16, 1 + SEARCHED // (len(text) + 1)))


def longest(code: str) -> str:
    """The longest beginning of whole statements that parses, without prose after it; may be empty."""
    lines = code.split("\n")
    for _ in tries(code):
        tree, line = parsed("\n".join(lines))
        if tree is not None:
            return trimmed("\n".join(lines), tree)
        lines = lines[: _statement_of(lines, line)]
    return ""


def _statement_of(lines: Sequence[str], line: int) -> int:
    """The index of the line that begins the top-level statement which has ``line`` (from 1)."""
    for at in reversed(range(1, min(line, len(lines)))):
        if _STATEMENT.match(lines[at]) and not lines[at - 1].startswith("@"):
            return at
    return 0


def trimmed(code: str, tree: ast.Module) -> str:
    """The code without idle statements at its ends: prose that happens to parse, and would raise NameError."""
    busy = [at for at, statement in enumerate(tree.body) if not _is_idle(statement)]
    if not busy:
        return ""
    lines = code.split("\n")
    first = _span(tree.body[busy[0]])[0] if busy[0] else 1
    last = _span(tree.body[busy[-1]])[1] if busy[-1] + 1 < len(tree.body) else len(lines)
    return "\n".join(lines[first - 1 : last])


def _is_idle(statement: ast.stmt) -> bool:
    kinds = {type(node) for node in ast.walk(statement)}
    calls = ast.Call in kinds and isinstance(statement, ast.Expr)
    return ast.Name in kinds and not calls and not is_act(statement)


def _span(statement: ast.stmt) -> tuple[int, int]:
    """First and last line of a statement, from 1, decorators included."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    return first, statement.end_lineno or first


def with_preamble(code: str, preamble: str) -> str:
    """The code, after the parts of the preamble that bind what it does not, and what those parts use.

    Whether the code uses them is not asked: tests may. Code that does not parse gets all; a preamble that does not
    parse helps nobody.
    """
    shown, _ = parsed(preamble)
    tree, _ = parsed(code)
    if shown is None or not shown.body:
        return code
    if tree is None:
        return f"{preamble.strip()}\n\n\n{code}"
    missing = _missing(shown, tree)
    if not missing:
        return code
    lines = preamble.split("\n")
    spans = dict.fromkeys(_span(statement) for statement in missing)
    parts = ["\n".join(lines[first - 1 : last]) for first, last in spans]
    at = _end_of_futures(tree)
    lines = code.split("\n")
    return "\n".join([*lines[:at], *parts, "\n", *lines[at:]])


def _missing(shown: ast.Module, tree: ast.Module) -> list[ast.stmt]:
    own = bound(tree).keys()
    wanted: set[str] = set()
    missing: list[ast.stmt] = []
    for statement in reversed(shown.body):
        names = bound(statement).keys()
        if names - own or names & wanted:
            missing.append(statement)
            wanted |= used(statement)
    return missing[::-1]


def _end_of_futures(tree: ast.Module) -> int:
    """The last line that ``from __future__`` imports reach, which nothing may stand before; 0 if there are none."""
    spans = [_span(statement) for statement in tree.body]
    futures = [isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body]
    end = max((last for (_, last), future in zip(spans, futures, strict=True) if future), default=0)
    return max((last for first, last in spans if first <= end), default=0)


def joined(pieces: Iterable[str]) -> str:
    """The pieces as one module, with their ``from __future__`` imports first."""
    code = "\n\n\n".join(piece.strip("\n") for piece in pieces)
    futures = dict.fromkeys(line.strip() for line in _FUTURE.findall(code))
    return "\n".join([*futures, _FUTURE.sub("", code)])
