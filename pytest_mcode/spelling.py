"""How flags are spelled: ``--mcode-samples`` for pytest, ``--samples`` for ``mcode bench``, and what was misspelled.

Messages are written, and stored, in pytest's spelling; they are shown in that of the command line they answer.
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


def plain(text: str) -> str:
    """The text with its flags as ``mcode`` has them."""
    return text.replace(PREFIX, "--")


def spelled(text: str, config: pytest.Config) -> str:
    """The text with its flags as the command line of this session has them."""
    return plain(text) if config.pluginmanager.hasplugin(FRONT_END) else text


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
    return nearest(f"--{name}", (plain(o.flag) for o in OPTIONS[1:]))
