"""Reading the options from flags, environment and ini file, and what else the environment tells.

The nearest wins: flag, environment, ini file, default. No other module of the package reads the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_mcode import _url
from pytest_mcode._errors import UsageError
from pytest_mcode._option import Option
from pytest_mcode.settings import OPTIONS, SEEDS, Settings, attribute

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def declare(parser: pytest.Parser) -> None:
    """Add every option to pytest as a flag and an ini value."""
    group = parser.getgroup("mcode", "mCode: benchmarks of code-writing models")
    for opt in OPTIONS:
        described = opt.described.replace("%", "%%")  # argparse would format it
        if opt.is_switch:
            group.addoption(opt.flag, action="store_const", const="true", dest=opt.dest, help=described)
        else:
            group.addoption(opt.flag, dest=opt.dest, metavar=opt.metavar, help=described)
        kind: Any = opt.kind  # pytest types it as a Literal
        parser.addini(opt.dest, f"{opt.flag}: {opt.help}", type=kind, default=None)


def given(config: pytest.Config, opt: Option, flags: Mapping[str, Any] | None = None) -> tuple[str, str] | None:
    """The option's raw text and where it was given (``--mcode-samples``, ``MCODE_SAMPLES``, ...); None if nowhere.

    An empty variable or ini value is none: that is how a script or a deployment leaves one out.
    """
    import pytest

    flag = (vars(config.option) if flags is None else flags).get(opt.dest)
    if flag is not None:
        return flag, opt.flag
    if os.environ.get(opt.variable, "").strip():
        return os.environ[opt.variable], opt.variable
    try:
        value = config.getini(opt.dest)
    except (TypeError, ValueError, pytest.UsageError) as error:  # before pytest 9.2 the first two
        raise UsageError(f"ini value {opt.dest} cannot be read: {error}.") from None
    return None if value in (None, "") else (str(value), f"ini value {opt.dest}")


def read(opt: Option, text: str, where: str) -> Any:
    """Parse an option's text.

    Raises:
        UsageError: It is not a value of that option; the message says what one would be.
    """
    try:
        return opt.parse(text.strip())
    except ValueError as error:
        raise UsageError(f"{where} is {text!r}, but must be {error}.") from None


def benchmarks(config: pytest.Config, flags: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """The benchmarks that were asked for, before anything else is looked at; empty: mCode stays inert."""
    opt = OPTIONS[0]
    found = given(config, opt, flags)
    return read(opt, *found) if found else ()


def resolve(config: pytest.Config) -> Settings:
    """Read every option from wherever it was given, nearest first.

    Raises:
        UsageError: A value, or a combination of values, that cannot be meant.
    """
    found = {attribute(o): read(o, *raw) for o in OPTIONS if (raw := given(config, o)) is not None}
    if found.get("shard_index") is None and found.get("shard_count", 1) > 1:
        found["shard_index"] = completion_index()
    return checked(Settings(**found))


def completion_index() -> int | None:
    """Which pod of a Kubernetes job this is; None where it is none."""
    name = "JOB_COMPLETION_INDEX"
    text = os.environ.get("JOB_COMPLETION_INDEX", "").strip()
    return read(next(o for o in OPTIONS if o.name == "shard-index"), text, name) if text else None


def checked(settings: Settings) -> Settings:
    """Refuse combinations that cannot be meant; a patch that no model makes is the reference's or nobody's."""
    if settings.agent in ("gold", "empty"):
        if settings.model not in ("", "reference"):
            raise UsageError(f"--mcode-agent={settings.agent} asks no model: leave --mcode-model out.")
        settings = replace(settings, model="reference")
    if not settings.model and settings.solutions is None:
        raise UsageError("No model was named: add --mcode-model=NAME, or --mcode-model=reference to try the harness.")
    if settings.shard_index is None and settings.shard_count > 1:
        raise UsageError(f"--mcode-shard-count={settings.shard_count} needs --mcode-shard-index: which one is this?")
    if settings.shard_index is not None and settings.shard_index >= settings.shard_count:
        raise UsageError(
            f"--mcode-shard-index={settings.shard_index} must be below --mcode-shard-count={settings.shard_count}."
        )
    if settings.seed + settings.samples - 1 > SEEDS:
        raise UsageError(f"--mcode-seed={settings.seed} leaves no seeds for so many samples: {SEEDS} is the last one.")
    _url.database(settings.db)
    if len(settings.bench) > 1:
        _require_for_several(settings)
    if settings.fail_under_lower and settings.fail_under is None:
        raise UsageError("--mcode-fail-under-lower is about --mcode-fail-under: which rate is to be reached?")
    if settings.max_regression is not None and settings.baseline is None:
        raise UsageError("--mcode-max-regression needs --mcode-baseline: which run is it to be compared with?")
    return settings


def _require_for_several(settings: Settings) -> None:
    """Refuse, with several benchmarks, what can be of one alone."""
    if settings.data is not None:
        raise UsageError("--mcode-data is one benchmark's file: name a single benchmark with it.")
    if settings.solutions is not None:
        raise UsageError("--mcode-solutions are one benchmark's: name a single benchmark with it.")
    if settings.run_id is not None:
        raise UsageError("--mcode-run-id is one run's, and each benchmark is a run: name a single benchmark with it.")


def ollama_url(settings: Settings) -> str:
    """Where Ollama listens: ``--mcode-base-url``, ``OLLAMA_HOST`` in any form Ollama takes, or its default."""
    return _url.ollama(settings.base_url or os.environ.get("OLLAMA_HOST", "").strip())


def openai_url(settings: Settings) -> str:
    """Where the OpenAI-compatible server listens: ``--mcode-base-url``, ``OPENAI_BASE_URL``, or vLLM's default."""
    given = os.environ.get("OPENAI_BASE_URL", "").strip() or "http://127.0.0.1:8000/v1"
    return _url.with_scheme(settings.base_url or given)


def api_key() -> str:
    """The key for OpenAI-compatible servers; local ones take any."""
    return os.environ.get("OPENAI_API_KEY") or "none"


def step_summary() -> str | None:
    """The file whose Markdown GitHub shows on the page of the job that is running; None outside of its jobs."""
    return os.environ.get("GITHUB_STEP_SUMMARY") or None


def forget_pytest() -> None:
    """Drop what the environment tells every pytest: it is meant for a project's own tests."""
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        os.environ.pop(name, None)


def default_database() -> str:
    """The database that a run without ``--mcode-db`` writes: ``MCODE_DB``, or the default."""
    opt = next(o for o in OPTIONS if o.name == "db")
    return os.environ.get(opt.variable) or str(opt.default)


def cache_dir() -> Path:
    """Where prepared data sets are kept: ``MCODE_CACHE_DIR``, or the user's cache directory."""
    from pathlib import Path

    import platformdirs

    return Path(os.environ.get("MCODE_CACHE_DIR") or platformdirs.user_cache_dir("mcode", appauthor=False))


def hub_url() -> str | None:
    """Where the Hugging Face hub is; None if ``HF_HUB_OFFLINE`` says that it is not to be asked."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "on", "yes", "true"):
        return None
    return os.environ.get("HF_ENDPOINT", "").strip() or "https://huggingface.co"


def leave_hub_alone() -> None:
    """Have Hugging Face's packages use what they have cached, and nothing else; they read it at their import."""
    os.environ["HF_HUB_OFFLINE"] = "1"


def quieten() -> None:
    """Keep Mellea's log off the terminal; it is read at Mellea's import."""
    os.environ.setdefault("MELLEA_LOGS_CONSOLE", "0")
