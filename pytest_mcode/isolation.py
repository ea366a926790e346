"""Which tasks can be judged with the solution in one process and the tests in another: decided by the task alone.

The tests must use nothing of the solution but functions that they call, as the reference solution defines them. Helpers
that the prompt shows are the task's own: the tests run these, not what a solution put in their place. Whether what
crosses is plain data is seen when they run; then the reference decides again (`sandboxes.judging`).
"""

from __future__ import annotations

import ast
import builtins
import functools
import symtable

from pytest_mcode._source import parsed
from pytest_mcode._types import Isolation


@functools.lru_cache(maxsize=4096)  # every attempt at a task asks again
def isolation(tests: str, reference: str, preamble: str = "") -> Isolation | None:
    """How tests can be kept apart from solutions like ``reference``; None where they cannot, or it cannot be told."""
    (tree, _), (defined, _) = parsed(tests), parsed(reference)
    if tree is None or defined is None:
        return None
    imports = [node for node in defined.body if isinstance(node, ast.Import | ast.ImportFrom)]
    functions = _functions(defined)
    wanted = _free_names(tests)
    shown, _ = parsed(preamble)
    given = wanted & (_functions(shown) if shown else set())
    calls = wanted & functions - given
    others = wanted - functions - given - _imported(imports) - set(dir(builtins))
    if not calls or others or _looked_into(tree, calls):
        return None
    prelude = [*map(ast.unparse, imports), *([preamble] if given else [])]
    return Isolation(tuple(sorted(calls)), "\n".join(prelude), reference)


def _functions(module: ast.Module) -> set[str]:
    return {node.name for node in module.body if isinstance(node, ast.FunctionDef)}


def _free_names(source: str) -> set[str]:
    """Names that a module uses and does not define; builtins are among them."""
    module = symtable.symtable(source, "<solution>", "exec")
    bound = {s.get_name() for s in module.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    used = {s.get_name() for s in module.get_symbols() if s.is_referenced()}
    tables = module.get_children()
    while tables:
        table = tables.pop()
        used |= {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
        bound |= {s.get_name() for s in table.get_symbols() if s.is_declared_global() and s.is_assigned()}
        tables += table.get_children()
    return used - bound


def _imported(imports: list[ast.Import | ast.ImportFrom]) -> set[str]:
    """Names that import statements bind; a star binds none that can be told."""
    return {(alias.asname or alias.name.split(".")[0]) for node in imports for alias in node.names}


def _looked_into(tests: ast.Module, calls: set[str]) -> bool:
    """Whether the tests take an attribute of a function: a proxy has none of them."""
    return any(
        isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in calls
        for node in ast.walk(tests)
    )
