"""How flags are spelled: ``--mcode-samples`` for pytest, ``--samples`` for ``mcode bench``, and what was misspelled.

Messages are written, and stored, in pytest's spelling; they are shown in that of the command line they answer, and
with nothing in them that a terminal would obey: parts of them come from models, servers and data files.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pytest_mcode._errors import UsageError
from pytest_mcode._parse import nearest
from pytest_mcode.settings import OPTIONS

if TYPE_CHECKING:
    import pytest

#: The plugin that ``mcode bench`` adds to pytest.
FRONT_END = "pytest_mcode.front"
PREFIX = "--mcode-"
#: What moves a terminal's cursor, changes its colours or the order of letters, and how it is written instead.
_ACTING = (*range(9), *range(11, 32), *range(127, 160), 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SHOWN = {code: chr(code).encode("unicode_escape").decode() for code in _ACTING}


EXAMPLE = "mcode bench humaneval --model granite3.3:8b --samples 5"


def visible(text: str) -> str:
    """The text with its control characters spelled out, all but line feeds and tabs, and its lone surrogates."""
    return text.translate(_SHOWN).encode("utf-8", "backslashreplace").decode()


def plain(text: str) -> str:
    """The text as ``mcode`` shows it: with its flags, and `visible`."""
    return visible(text.replace(PREFIX, "--"))


def spelled(text: str, config: pytest.Config) -> str:
    """The text as this session shows it: with the flags that its command line has, and `visible`."""
    return plain(text) if config.pluginmanager.hasplugin(FRONT_END) else visible(text)


def require_known(arguments: Iterable[str]) -> None:
    """Refuse flags that begin as ours do: pytest would only tell its usage.

    Raises:
        UsageError: One is no flag of ours; the message names the nearest.
    """
    known = {o.flag for o in OPTIONS}
    for name in (argument.partition("=")[0] for argument in arguments):
        if name.startswith(PREFIX) and name not in known:
            raise UsageError(f"There is no option {name}{nearest(name, known)}.")


def misspelled(argument: str) -> str:
    """Which flag of ``mcode bench`` an argument may have been meant for; empty if none comes near."""
    name = argument.partition("=")[0].lstrip("-").replace("_", "-")
    if len(name) == 1:
        return ""  # one of pytest's short options
    return nearest(f"--{name}", (plain(o.flag) for o in OPTIONS[1:]))
