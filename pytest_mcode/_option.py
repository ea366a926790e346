"""What an option of a run is: how it is spelled, explained and read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any, NamedTuple


class Option(NamedTuple):
    """How one setting is spelled, explained and read."""

    name: str
    help: str
    group: str
    parse: Callable[[str], Any]
    default: Any
    metavar: str
    answers: bool
    """Whether another value may change a verdict: then it is part of the configuration's hash."""
    newer: bool
    """Whether earlier runs had no such option: then its default is no part of that hash, and theirs hold."""
    kind: str
    """Its type in a TOML ini file: ``bool``, ``int``, ``float`` or ``string``."""

    @property
    def flag(self) -> str:
        """Its pytest flag."""
        return f"--mcode-{self.name}"

    @property
    def dest(self) -> str:
        """Its ini name, and its attribute on pytest's options."""
        return "mcode_" + self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return self.dest.upper()

    @property
    def is_switch(self) -> bool:
        """Whether its flag takes no value."""
        return self.kind == "bool"

    @property
    def described(self) -> str:
        """Its help with the default, as flags show it."""
        if self.is_switch or self.default in (None, "", ()):
            return self.help
        shown = f"{self.default:g}" if self.kind == "float" else self.default
        return f"{self.help} [default: {shown}]"


def option(  # noqa: PLR0913 - each is a part of what an option is
    default: Any,
    text: str,
    group: str,
    parse: Callable[[str], Any],
    metavar: str = "",
    *,
    answers: bool = False,
    newer: bool = False,
) -> Any:
    """Declare one option as a field of `Settings`."""
    return field(default=default, metadata={"option": (text, group, parse, metavar, answers, newer)})
