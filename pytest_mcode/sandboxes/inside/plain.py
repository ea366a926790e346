"""Plain data between the solution's process and the tests': values of the standard types, and nothing that acts.

The solution's side may send what it likes. The tests' side builds only what `KNOWN` names, and nothing that it has
built may be changed: a pickle can set attributes of whatever it has at hand, ``Fraction.__eq__`` no less than a
numerator. So no object comes across that equals everything, or runs code when it is touched.
"""

from __future__ import annotations

import collections
import collections.abc
import datetime
import decimal
import fractions
import io
import itertools
import pickle
from collections.abc import Callable
from types import FunctionType
from typing import Any

from . import errors

PROTOCOL = 4
#: Values taken out of an iterator that a solution returns: an endless one must end somewhere.
ITERATED = 1_000_000


class NotPlainError(BaseException):
    """A value that cannot cross: its type acts, or is not known. No test's ``except Exception`` may take it."""


def iterator(values: list[Any], *ending: Any) -> Any:
    """Stand in for an iterator that gave those values, and then raised what ``ending`` tells, if it did."""
    return _ending(values, *ending) if ending else iter(values)


def _ending(values: list[Any], told: Any) -> collections.abc.Iterator[Any]:
    yield from values
    raise errors.rebuilt(told) or NotPlainError("an iterator that gives more values than can cross")


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
_TYPES = (
    *(bool, int, float, complex, str, bytes, bytearray, tuple, list, set, frozenset),
    *(dict, range, slice),
    *(collections.Counter, collections.OrderedDict, collections.defaultdict, collections.deque),
    *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone),
    *(decimal.Decimal, fractions.Fraction),
)
KNOWN = {(kind.__module__, kind.__qualname__): kind for kind in _TYPES}
_CONTENT: dict[type, Any] = {
    bool: bool,
    int: int.__int__,
    float: float.__float__,
    complex: complex.__pos__,
    str: str.__str__,
    bytes: lambda value: b"".join((value,)),
    bytearray: lambda value: bytes(memoryview(value)),
    tuple: lambda value: list(tuple.__iter__(value)),
    list: lambda value: list(list.__iter__(value)),
    set: lambda value: list(set.__iter__(value)),
    frozenset: lambda value: list(frozenset.__iter__(value)),
    dict: lambda value: list(dict.items(value)),
    collections.Counter: lambda value: dict(dict.items(value)),
}
"""What a value of a subclass holds, past every method that the subclass may replace: the base type makes it again."""


class _Writer(pickle.Pickler):
    """Writes any value as plain data: a subclass as what it is a subclass of, an iterator as its values."""

    def reducer_override(self, value: Any) -> Any:
        kind = type(value)
        if kind in _OWN:
            return _OWN[kind](value)
        if kind in _TYPES or _is_maker(value):
            return NotImplemented
        for base in kind.__mro__:
            if base in _OWN or base in _CONTENT or base in _TYPES:
                return _as(base, value)
        return _other(value)


def _is_maker(value: Any) -> bool:
    """Whether it is what makes a value of a known type."""
    return value in _TYPES if isinstance(value, type) else isinstance(value, FunctionType) and value in _OURS.values()


def _as(base: Any, value: Any) -> Any:
    """A value of a subclass."""
    if base in _OWN:
        return _OWN[base](value)
    if base in _CONTENT:
        return base, (_CONTENT[base](value),)
    return base, base.__reduce_ex__(value, PROTOCOL)[1]


def _default(value: Any) -> Any:
    """A defaultdict; of what it makes for new keys, only empty values of the known types cross."""
    make = value.default_factory
    return collections.defaultdict, (make if make in _TYPES else None,), None, None, iter(list(dict.items(value)))


_OWN: dict[type, Callable[[Any], Any]] = {
    collections.defaultdict: _default,
    collections.OrderedDict: lambda value: (
        collections.OrderedDict,
        (),
        None,
        None,
        iter(list(collections.OrderedDict.items(value))),
    ),
    collections.deque: lambda value: (
        collections.deque,
        ((), value.maxlen),
        None,
        iter(list(collections.deque.__iter__(value))),
    ),
    type({}.keys()): lambda value: (keys, (list(value),)),
    type({}.values()): lambda value: (dict_values, (list(value),)),
    type({}.items()): lambda value: (items, (list(value),)),
}
"""Types of which we know better what to write than they do."""


def _other(value: Any) -> Any:
    """What is no subclass of a known type, yet reads like one."""
    if type(value).__module__ == "numpy" and hasattr(value, "item") and not hasattr(type(value), "__len__"):
        return type(value.item()), (value.item(),)
    if isinstance(value, collections.abc.Iterator):
        return iterator, _taken(value)
    raise NotPlainError(f"a value of type {type(value).__name__}")


def _taken(source: collections.abc.Iterator[Any]) -> tuple[Any, ...]:
    values: list[Any] = []
    try:
        values.extend(itertools.islice(source, ITERATED))
    except NotPlainError:
        raise
    except Exception as error:
        return values, errors.told(error)
    return (values,) if len(values) < ITERATED else (values, None)


class _Maker:
    """What a reader has in hand of a type that could be changed: it makes values, and takes no attribute."""

    __slots__ = ("_kind", "_made")

    def __init__(self, kind: Any, made: list[tuple[Any, list[Any]]]) -> None:
        self._kind, self._made = kind, made

    def __call__(self, *args: Any) -> Any:
        value = self._kind(*args)
        self._made.append((value, _inside(value)))
        return value

    def __setstate__(self, _state: Any) -> None:
        raise NotPlainError("a type that is to be changed")


def _inside(value: Any) -> list[Any]:
    """All that a pickle could set of a value after its making."""
    slots = [name for kind in type(value).__mro__ for name in kind.__dict__.get("__slots__", ())]
    held = getattr(value, "__dict__", {})
    return [*(getattr(value, name, None) for name in slots), *held.keys(), *held.values()]


def _is_open(kind: Any) -> bool:
    """Whether attributes of the type, or of its values, can be set."""
    if kind.__dictoffset__:
        return True
    try:
        kind.__mcode__ = None
        del kind.__mcode__
    except TypeError:
        return False
    return True


_OPEN = tuple(kind for kind in _TYPES if _is_open(kind))


class _Reader(pickle.Unpickler):
    """Builds nothing but what is known."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self._made: list[tuple[Any, list[Any]]] = []

    def find_class(self, module: str, name: str) -> Any:
        known: Any = _OURS.get(name) if module == __name__ else KNOWN.get((module, name))
        if known is None:
            raise NotPlainError(f"a value of type {name}")
        return _Maker(known, self._made) if module == __name__ or known in _OPEN else known

    def persistent_load(self, _pid: Any) -> Any:
        raise NotPlainError("a persistent value")

    def check(self) -> None:
        """See that what could be changed was not."""
        for value, before in self._made:
            after = _inside(value)
            if len(after) != len(before) or any(a is not b for a, b in zip(after, before)):
                raise NotPlainError("a value that was changed after its making")


def dump(value: Any, *others: Any, kind: bytes = b"") -> memoryview:
    """Write a value, and of ``others`` those before the first that is not plain; ``kind`` stands before them.

    Raises:
        NotPlainError: The value is not plain.
    """
    into = io.BytesIO()
    into.write(kind)
    writer = _Writer(into, PROTOCOL)
    _write(writer, value)
    written = into.tell()
    try:
        for other in others:
            _write(writer, other)
            written = into.tell()
    except NotPlainError:
        pass
    return into.getbuffer()[:written]


def _write(writer: _Writer, value: Any) -> None:
    try:
        writer.dump(value)
    except NotPlainError:
        raise
    except Exception as error:
        raise NotPlainError(f"a value that cannot be written ({type(error).__name__})") from error


def load(data: bytes, start: int = 0) -> list[Any]:
    """Read the values that `dump` wrote, from a side that is not trusted; they begin at ``start``.

    Raises:
        NotPlainError: One is not plain, or no such thing at all.
    """
    stream = io.BytesIO(data)
    stream.seek(start)
    reader = _Reader(stream)
    values: list[Any] = []
    try:
        while not values or stream.tell() < len(data):
            values.append(reader.load())
        reader.check()
    except NotPlainError:
        raise
    except Exception as error:
        raise NotPlainError(f"a value that cannot be read ({type(error).__name__})") from error
    return values


def put_back(args: tuple[Any, ...], kwargs: dict[str, Any], after: Any) -> None:
    """Let arguments show what a call did to them in place; ``after`` is (args, kwargs), and not to be trusted."""
    if type(after) is not tuple or [type(part) for part in after] != [tuple, dict]:
        return
    pairs = [*zip(args, after[0]), *((kwargs[name], theirs) for name, theirs in after[1].items() if name in kwargs)]
    for mine, theirs in pairs:
        if type(mine) is type(theirs) and not _same(mine, theirs):
            _fill(mine, theirs)


def _same(mine: Any, theirs: Any) -> bool:
    """Whether equal in value, and in the types of what is directly inside: 1 is no True."""
    if mine != theirs:
        return False
    if isinstance(mine, dict):
        mine, theirs = mine.values(), theirs.values()
    elif not isinstance(mine, (list, collections.deque)):
        return True
    return list(map(type, mine)) == list(map(type, theirs))


def _fill(mine: Any, theirs: Any) -> None:
    if isinstance(mine, (list, bytearray)):
        mine[:] = theirs
    elif isinstance(mine, (dict, set)):
        mine.clear()
        mine.update(theirs)
    elif isinstance(mine, collections.deque):
        mine.clear()
        mine.extend(theirs)
