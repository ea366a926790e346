"""Exceptions between two processes: what a solution raised, told as plain data, and built again where the tests run."""

from __future__ import annotations

import builtins
from typing import Any

#: A told exception: its type's name, names of the built-in types it derives from, its arguments, and its text.
PARTS = 4


def told(error: BaseException) -> tuple[str, tuple[str, ...], tuple[Any, ...], str]:
    """Describe an exception, whose type need not exist anywhere else."""
    bases: list[type] = []
    for kind in type(error).__mro__[:-1]:
        if getattr(builtins, kind.__name__, None) is kind and not any(issubclass(base, kind) for base in bases):
            bases.append(kind)
    args = error.__reduce__()[1] if type(error) is bases[0] else error.args  # an OSError's arguments lack its file
    return type(error).__name__, tuple(base.__name__ for base in bases), tuple(args), _text(error)


def rebuilt(description: Any) -> BaseException | None:
    """An exception as described, of a built-in type or a new one derived from them; None if it is none."""
    if type(description) is not tuple or len(description) != PARTS:
        return None
    name, names, args, text = description
    if not (type(name) is type(text) is str and type(names) is type(args) is tuple and names):
        return None
    kinds = [getattr(builtins, base, None) if type(base) is str else None for base in names]
    if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
        return None
    return _made(_kind(name, tuple(kinds), text), args)


def _text(error: BaseException) -> str:
    try:
        return str.__str__(str(error))
    except Exception:
        return ""


def _kind(name: str, bases: tuple[Any, ...], text: str) -> Any:
    if bases == (getattr(builtins, name, None),):
        return bases[0]
    try:
        return type(name, bases, {"__module__": "solution", "__str__": lambda _: text})
    except (TypeError, ValueError):  # such types cannot be combined, or no type can be called that
        return bases[0]


def _made(kind: Any, args: tuple[Any, ...]) -> BaseException:
    """An instance of the nearest type that takes those arguments."""
    for nearest in kind.__mro__:
        try:
            made = nearest(*args)
        except Exception:
            made = None
        if isinstance(made, BaseException):
            return made
    return BaseException()
