"""What ``mcode bench`` adds to pytest: an option that nobody knows gets one sentence, not pytest's usage."""

from __future__ import annotations

import pytest

from pytest_mcode.spelling import misspelled


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(parser: pytest.Parser, args: list[str]) -> None:
    """Refuse what neither pytest nor a plugin has declared; all have by now, as no conftest file will be read."""
    _, unknown = parser.parse_known_and_unknown_args(args)
    if unknown:
        name = unknown[0].partition("=")[0]
        meant = misspelled(name)
        lists = "" if meant else " 'mcode bench --help' lists those of mcode, 'pytest --help' all others."
        raise pytest.UsageError(f"There is no option {name}{meant}.{lists}")
