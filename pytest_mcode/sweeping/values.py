"""From the values of a sweep's file to the texts that a command line would have, each looked at by its own parser."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pytest_mcode import options
from pytest_mcode._errors import UsageError
from pytest_mcode._option import Option
from pytest_mcode._parse import nearest
from pytest_mcode.settings import OPTIONS

#: Options that mean nothing in a sweep, and why.
REFUSED = {
    "bench": "benchmarks stand at the top of the file, as benchmark",
    "run-id": "each run of a sweep gets an id of its own",
    "resume": "a sweep goes on with its runs anyway",
    "sweep": "the name of the sweep stands at the top of the file, as name",
    "solutions": "it has no model asked, which is what a sweep is for",
    "shard-count": "a sweep runs whole benchmarks",
    "shard-index": "a sweep runs whole benchmarks",
}
KNOWN = {o.name: o for o in OPTIONS if o.name not in REFUSED}
#: Options that no verdict depends on, and that make another run all the same: they choose tasks.
CHOOSING = ("limit", "split", "data")
#: What the runs of a grid may differ in.
VARIED = tuple(o for o in KNOWN.values() if o.answers or o.name in CHOOSING)

#: Texts of options by name.
Texts = Mapping[str, str]


def require_known(keys: Collection[str], known: Collection[str], where: str = "") -> None:
    """Refuse a key that nobody knows.

    Raises:
        UsageError: There is one; the message has the nearest that is known.
    """
    for key in keys:
        if key not in known:
            place = f" in {where}" if where else ""
            there = "'mcode bench --help' lists the options" if where else f"there are {', '.join(known)}"
            raise UsageError(f"there is no {key!r}{place}{nearest(key, known)}; {there}.")


def table(found: Any, where: str) -> Mapping[str, Any]:
    """A table of the file.

    Raises:
        UsageError: It is none.
    """
    if not isinstance(found, dict):
        raise UsageError(f"{where} is {found!r:.60}, but must be a table of options.")
    return found


def tables(document: Mapping[str, Any], key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The tables of a list such as ``[[run]]``, each with what it is called in messages.

    Raises:
        UsageError: It is no list of tables.
    """
    found = document.get(key, [])
    if not isinstance(found, list):
        raise UsageError(f"{key} is one table, but may be several; write [[{key}]].")
    for number, one in enumerate(found, 1):
        where = f"[[{key}]] number {number}"
        yield where, table(one, where)


def several(found: Mapping[str, Any], where: str) -> dict[str, list[str]]:
    """The options of a table, each with one value or a list of them.

    Raises:
        UsageError: A key is no option of a sweep, or a value none of that option.
    """
    values = {}
    for key, value in found.items():
        opt = _option(key, where)
        listed = value if isinstance(value, list) else [value]
        if not listed:
            raise UsageError(f"{key} in {where} is an empty list; leave it out, or give it a value.")
        values[key] = [_text(opt, one, where) for one in listed]
    return values


def single(found: Mapping[str, Any], where: str) -> dict[str, str]:
    """The options of a table, each with one value.

    Raises:
        UsageError: As `several`, or a value is a list.
    """
    for key, value in found.items():
        if isinstance(value, list):
            raise UsageError(f"{key} in {where} is a list, but must be one value; what is varied belongs in [grid].")
    return {key: texts[0] for key, texts in several(found, where).items()}


def _option(key: str, where: str) -> Option:
    if key in REFUSED:
        raise UsageError(f"{key} has no place in {where}: {REFUSED[key]}.")
    if key == "benchmark":
        raise UsageError(f"benchmark has no place in {where}; it stands at the top of the file.")
    require_known([key], KNOWN, where)
    return KNOWN[key]


def _text(opt: Option, value: Any, where: str) -> str:
    if not isinstance(value, str | int | float):
        raise UsageError(f"{opt.name} in {where} holds {value!r:.60}, but must be a text, a number, true or false.")
    text = str(value).lower() if isinstance(value, bool) else str(value).strip()
    if not text.isprintable():
        raise UsageError(f"{opt.name} in {where} is {text!r:.60}, which holds a character that cannot be typed.")
    options.read(opt, text, f"{opt.name} in {where}")
    return text
