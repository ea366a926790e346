"""From the text of an option to its value. What a parser raises completes the sentence "it must be ..."."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

#: What an ini file or the environment may say of a flag without a value.
SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}

#: No count or seed is larger: 32 bits with a sign.
LARGEST = 2**31 - 1
#: Seconds: more than eleven days are more than a system call waits.
LONGEST = 1_000_000.0


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Parse a whole number from ``least`` to ``most``."""
    words = f"a whole number of at least {least}" + ("" if most is None else f" and at most {most}")

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ValueError(words) from None
        if value < least or (most is not None and value > most):
            raise ValueError(words)
        if value > LARGEST:
            raise ValueError(f"{words} and at most {LARGEST}")
        return value

    return parse


def number(least: float, most: float = float("inf"), *, above: bool = False) -> Callable[[str], float]:
    """Parse a finite number from ``least`` to ``most``; ``least`` itself is refused if it must be ``above``."""
    words = f"a number above {least:g}" if above else f"a number of at least {least:g}"
    if most != float("inf"):
        words += f" and at most {most:g}"

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError(words) from None
        enough = value > least if above else value >= least  # false for nan
        if not enough or value > most or value == float("inf"):
            raise ValueError(words)
        if value > LONGEST:
            raise ValueError(f"{words} and at most {LONGEST:.0f}")
        return value

    return parse


def share(text: str) -> float:
    """Parse a share: a number from 0 to 1, or one of per cent with its sign."""
    from decimal import Decimal

    number_, per_cent = text.removesuffix("%"), text.endswith("%")
    try:
        value = Decimal(number_) / (100 if per_cent else 1)  # exact: a rate may be just as large
        inside = 0 <= value <= 1
    except ArithmeticError:  # no number, or none that can be compared
        inside = False
    if not inside:
        raise ValueError("a share from 0 to 1, or in per cent with the sign: 0.6 or 60%")
    return float(value)


def so_many(text: str) -> str:
    """Parse a whole number, or a share in per cent; the text itself is the value."""
    try:
        if text.endswith("%"):
            share(text)
        else:
            whole(0)(text)
    except ValueError:
        raise ValueError("a whole number of at least 0, or a share in per cent: 3 or 2%") from None
    return text


def one_of(*known: str) -> Callable[[str], str]:
    """Parse one of the names."""

    def parse(text: str) -> str:
        if text not in known:
            raise ValueError(f"one of {', '.join(known)}{nearest(text, known)}")
        return text

    return parse


def switch(text: str) -> bool:
    """Parse what an ini file or the environment says of a flag without a value."""
    if text.lower() not in SWITCH:
        raise ValueError("true or false")
    return SWITCH[text.lower()]


def names(text: str) -> tuple[str, ...]:
    """Parse names with commas between."""
    found = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not found:
        raise ValueError("names with commas between")
    return found


def some(text: str) -> str:
    """Parse a text that is not empty."""
    if not text:
        raise ValueError("not empty")
    return text


def identifier(text: str) -> str:
    """Parse a name that can be typed, and part of a file's name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text):
        raise ValueError("up to 100 letters, digits and ._- after a letter or digit")
    return text


def memory(text: str) -> str:
    """Parse an amount of memory as container engines write it."""
    if not re.fullmatch(r"[1-9]\d{0,8}[kmg]", text.lower()):
        raise ValueError("a whole number followed by k, m or g, such as 4g")
    return text.lower()


def namespace(text: str) -> str:
    """Parse where images are in a registry; empty is this machine."""
    if text and not re.fullmatch(r"[a-z0-9]+([._:/-]+[a-z0-9]+)*", text):
        raise ValueError("lower-case letters and digits with ._:/- between, or empty")
    return text


def nearest(name: str, known: Iterable[str]) -> str:
    """Say in parentheses which of ``known`` may have been meant; empty if none comes near."""
    import difflib

    spelled = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), spelled, n=1)
    return f" (did you mean {spelled[close[0]]!r}?)" if close else ""
