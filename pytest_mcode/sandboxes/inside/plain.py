"""Plain data between the solution's process and the tests': values of the standard types, and nothing that acts.

The solution's side may send what it likes; the tests' side builds only what `KNOWN` names, so that an object that
equals everything, or runs code when it is touched, does not come across.
"""

from __future__ import annotations

import builtins
import collections
import datetime
import decimal
import fractions
import io
import itertools
import pickle
from collections.abc import Iterable
from typing import Any

PROTOCOL = 4
#: Values taken out of an iterator that a solution returns: an endless one must end somewhere.
ITERATED = 1_000_000


class NotPlainError(BaseException):
    """A value that cannot cross: its type acts, or is not known. No test's ``except Exception`` may take it."""


def iterator(values: list[Any]) -> Any:
    """Stand in for an iterator that gave those values."""
    return iter(values)


def keys(values: list[Any]) -> Any:
    """Stand in for the keys of a dictionary."""
    return dict.fromkeys(values).keys()


def dict_values(values: list[Any]) -> Any:
    """Stand in for the values of a dictionary."""
    return dict(enumerate(values)).values()


def items(pairs: list[Any]) -> Any:
    """Stand in for the items of a dictionary."""
    return dict(pairs).items()


_OURS = {f.__name__: f for f in (iterator, keys, dict_values, items)}
_VIEWS = {type({}.keys()): keys, type({}.values()): dict_values, type({}.items()): items}
_BASES = (bool, int, float, complex, str, bytes, bytearray, tuple, list, set, frozenset)
_TYPES = (
    *_BASES,
    *(dict, range, slice),
    *(collections.Counter, collections.OrderedDict, collections.defaultdict, collections.deque),
    *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone),
    *(decimal.Decimal, fractions.Fraction),
)
KNOWN = {(kind.__module__, kind.__qualname__): kind for kind in _TYPES}


class _Writer(pickle.Pickler):
    """Writes any value as plain data: a subclass as what it is a subclass of, an iterator as its values."""

    def reducer_override(self, value: Any) -> Any:
        kind = type(value)
        if kind in _VIEWS:
            return _VIEWS[kind], (list(value),)
        if kind is collections.defaultdict:
            return collections.defaultdict, (None,), None, None, iter(list(value.items()))
        if kind in _TYPES or value in _OURS.values() or (isinstance(value, type) and value in _TYPES):
            return NotImplemented
        return _reduced(value)


def _reduced(value: Any) -> Any:
    """The nearest plain value to one of a type that is not known."""
    for base in _BASES:
        if isinstance(value, base):
            make: Any = base
            return base, (make(value),)
    if isinstance(value, dict):
        return dict, (list(value.items()),)
    if type(value).__module__ == "numpy" and hasattr(value, "item") and not hasattr(type(value), "__len__"):
        return type(value.item()), (value.item(),)
    if isinstance(value, collections.abc.Iterator):
        return iterator, (list(itertools.islice(value, ITERATED)),)
    raise NotPlainError(f"a value of type {type(value).__name__}")


class _Reader(pickle.Unpickler):
    """Builds nothing but what is known."""

    def find_class(self, module: str, name: str) -> Any:
        known = _OURS.get(name) if module == __name__ else KNOWN.get((module, name))
        if known is None:
            raise NotPlainError(f"a value of type {name}")
        return known

    def persistent_load(self, _pid: Any) -> Any:
        raise NotPlainError("a persistent value")


def dump(value: Any) -> bytes:
    """Write a value.

    Raises:
        NotPlainError: It is not plain.
    """
    into = io.BytesIO()
    try:
        _Writer(into, PROTOCOL).dump(value)
    except NotPlainError:
        raise
    except Exception as error:
        raise NotPlainError(f"a value that cannot be read ({type(error).__name__})") from error
    return into.getvalue()


def load(data: bytes) -> Any:
    """Read what `dump` wrote, from a side that is not trusted.

    Raises:
        NotPlainError: It is not plain, or no such thing at all.
    """
    try:
        return _Reader(io.BytesIO(data)).load()
    except NotPlainError:
        raise
    except Exception as error:
        raise NotPlainError(f"a value that cannot be read ({type(error).__name__})") from error


def put_back(before: Iterable[Any], after: Any) -> None:
    """Let arguments show what a call did to them in place."""
    if type(after) is not tuple:
        return
    for mine, theirs in zip(before, after):
        if type(mine) is not type(theirs) or mine == theirs:
            continue
        if isinstance(mine, (list, bytearray)):
            mine[:] = theirs
        elif isinstance(mine, (dict, set)):
            mine.clear()
            mine.update(theirs)
        elif isinstance(mine, collections.deque):
            mine.clear()
            mine.extend(theirs)


def exception(name: Any, args: Any) -> BaseException | None:
    """A built-in exception of that name; None if there is none."""
    kind = getattr(builtins, name, None) if type(name) is str else None
    if not (isinstance(kind, type) and issubclass(kind, BaseException)) or type(args) is not tuple:
        return None
    try:
        return kind(*args)
    except Exception:
        return None
