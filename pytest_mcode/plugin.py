"""The pytest plugin ``mcode``: declares the options; does nothing more unless ``--mcode-bench`` is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_mcode import options, spelling
from pytest_mcode._errors import McodeError

if TYPE_CHECKING:
    from _pytest.config.argparsing import Parser


def pytest_addoption(parser: Parser) -> None:
    """Declare every option."""
    options.declare(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Turn the names of benchmarks into paths, before pytest looks at paths."""
    try:
        spelling.require_known(args)
        if options.benchmarks(early_config, vars(early_config.known_args_namespace)):
            from pytest_mcode import collect

            collect.inject(early_config, args)
    except McodeError as error:
        raise pytest.UsageError(spelling.spelled(str(error), early_config)) from error


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Put the parts together if a benchmark was named; trylast, so that the terminal reporter is there."""
    config.addinivalue_line("markers", "mcode(benchmark): a benchmark of code-writing models, made by @benchmark")
    try:
        if options.benchmarks(config):
            from pytest_mcode import session

            session.activate(config)
    except McodeError as error:
        raise pytest.UsageError(spelling.spelled(str(error), config)) from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Without ``--mcode-bench``, a benchmark in a project's own tests is one skipped item."""
    if metafunc.definition.get_closest_marker("mcode") is not None and not options.benchmarks(metafunc.config):
        reason = "a benchmark: name it with --mcode-bench to run it"
        metafunc.parametrize("task", [pytest.param(None, marks=pytest.mark.skip(reason=reason))], ids=["tasks"])
