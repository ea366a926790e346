"""Every option, declared once.

From the fields of `Settings` come the pytest flags (``--mcode-samples``), the ini values (``mcode_samples``), the
environment variables (``MCODE_SAMPLES``), the flags of ``mcode bench`` (``--samples``), the help, the stored
configuration and its hash. The nearest wins: flag, environment, ini file, default. No other module of the package
reads the environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_mcode import _url
from pytest_mcode._errors import UsageError
from pytest_mcode._parse import names, number, one_of, some, switch, whole

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

BACKENDS = ("ollama", "openai", "litellm", "hf")
SANDBOXES = ("docker", "process")
FEEDBACK = ("tests", "none")
RECIPES = ("evalplus",)
#: The largest seed: 32 bits with a sign are what every server takes.
SEEDS = 2**31 - 1
GROUPS = ("what to run", "model", "sampling", "judging", "prompts", "results")


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


def option(
    default: Any,
    text: str,
    group: str,
    parse: Callable[[str], Any],
    metavar: str = "",
    *,
    answers: bool = False,
) -> Any:
    """Declare one option as a field of `Settings`."""
    return field(default=default, metadata={"option": (text, group, parse, metavar, answers)})


@dataclass(frozen=True, eq=False, repr=False)  # bare: building it is most of what an inert plugin costs
class Settings:
    """The configuration of a run, every value checked. Seconds are seconds of wall time."""

    bench: tuple[str, ...] = option((), "benchmarks, with commas between", "what to run", names, "NAMES")
    model: str = option("", "model name as the server knows it, or 'reference'", "model", some, "NAME", answers=True)
    backend: str = option(
        "ollama", "Mellea backend: " + ", ".join(BACKENDS), "model", one_of(*BACKENDS), "NAME", answers=True
    )
    base_url: str | None = option(
        None, "model server, when not the backend's default or OLLAMA_HOST", "model", some, "URL"
    )
    gen_timeout: float = option(300.0, "seconds for one generation", "model", number(0, above=True), "SECONDS")
    concurrency: int | None = option(
        None, "requests at once, of each process [default: what the server serves]", "model", whole(1), "N"
    )
    context: int = option(
        16384, "context window to ask of the server, in tokens", "model", whole(256), "TOKENS", answers=True
    )
    samples: int = option(
        1, "independent samples a task, stopping at the first that passes", "sampling", whole(1), "N", answers=True
    )
    all_samples: bool = option(False, "draw every sample even after one passed", "sampling", switch, answers=True)
    debug_iters: int = option(0, "fix attempts after a failure, a sample", "sampling", whole(0), "K", answers=True)
    temperature: float | None = option(
        None,
        "sampling temperature [default: 0 for one sample, 0.8 for several]",
        "sampling",
        number(0, 2),
        "T",
        answers=True,
    )
    top_p: float | None = option(
        None, "nucleus sampling [default: the server's]", "sampling", number(0, 1, above=True), "P", answers=True
    )
    seed: int = option(
        0, "seed of the first sample; sample n uses seed + n", "sampling", whole(0, SEEDS), "N", answers=True
    )
    max_tokens: int | None = option(
        None, "limit of new tokens [default: the recipe's]", "sampling", whole(1), "N", answers=True
    )
    limit: int | None = option(None, "only the first N tasks", "what to run", whole(1), "N")
    shard_count: int = option(1, "cut the tasks into this many shards", "what to run", whole(1), "N")
    shard_index: int | None = option(None, "which shard to run, from 0", "what to run", whole(0), "I")
    split: str | None = option(None, "split of the data set [default: the benchmark's]", "what to run", some, "NAME")
    data: str | None = option(
        None, "local JSON, JSONL(.gz) or Parquet file with the hub's columns", "what to run", some, "PATH"
    )
    sandbox: str = option(
        "docker", "where programs run: " + ", ".join(SANDBOXES), "judging", one_of(*SANDBOXES), "NAME", answers=True
    )
    image: str = option(
        "python:3.12-slim",
        "image of the docker sandbox, any with Python >= 3.8",
        "judging",
        some,
        "IMAGE",
        answers=True,
    )
    sandboxes: int | None = option(None, "warm sandboxes of a process [default: one a core]", "judging", whole(1), "N")
    timeout: float = option(
        60.0, "seconds for one execution", "judging", number(0, above=True), "SECONDS", answers=True
    )
    recipe: str = option(
        "evalplus",
        "published prompt convention: " + ", ".join(RECIPES),
        "prompts",
        one_of(*RECIPES),
        "NAME",
        answers=True,
    )
    feedback: str = option(
        "tests",
        "what a debug iteration is told: the tests' output, or none of it",
        "prompts",
        one_of(*FEEDBACK),
        "NAME",
        answers=True,
    )
    retrieval: str | None = option(None, "reserved: has no effect on these benchmarks", "prompts", some, "NAME")
    db: str = option("experiments/results/results.db", "results database", "results", some, "PATH")

    @property
    def sampling_temperature(self) -> float:
        """Greedy for one sample; samples that must differ need a temperature."""
        if self.temperature is not None:
            return self.temperature
        return 0.0 if self.samples == 1 else 0.8

    @property
    def stored(self) -> dict[str, Any]:
        """The configuration as it is written to the database: JSON values, without credentials."""
        values = {o.name: getattr(self, attribute(o)) for o in OPTIONS}
        server = None if self.base_url is None else _url.without_credentials(self.base_url)
        database = _url.without_credentials(self.db) if "://" in self.db else self.db
        return {**values, "bench": list(self.bench), "base-url": server, "db": database}

    @property
    def hashed(self) -> str:
        """Twelve hex digits over every option whose value may change a verdict."""
        import hashlib
        import json

        answers = {o.name: getattr(self, attribute(o)) for o in OPTIONS if o.answers}
        answers["temperature"] = self.sampling_temperature
        return hashlib.sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()[:12]


def _kind(annotation: str) -> str:
    bare = annotation.removesuffix(" | None")
    return bare if bare in ("bool", "int", "float") else "string"


OPTIONS: tuple[Option, ...] = tuple(
    Option(f.name.replace("_", "-"), text, group, parse, f.default, metavar, answers, _kind(str(f.type)))
    for f in fields(Settings)
    for text, group, parse, metavar, answers in [f.metadata["option"]]
)


def attribute(opt: Option) -> str:
    """Name of an option's field of `Settings`."""
    return opt.name.replace("-", "_")


def declare(parser: pytest.Parser) -> None:
    """Add every option to pytest as a flag and an ini value."""
    group = parser.getgroup("mcode", "mCode: benchmarks of code-writing models")
    for opt in OPTIONS:
        if opt.is_switch:
            group.addoption(opt.flag, action="store_const", const="true", dest=opt.dest, help=opt.described)
        else:
            group.addoption(opt.flag, dest=opt.dest, metavar=opt.metavar, help=opt.described)
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
    return checked(Settings(**found))


def checked(settings: Settings) -> Settings:
    """Refuse combinations that cannot be meant."""
    if not settings.model:
        raise UsageError("No model was named: add --mcode-model=NAME, or --mcode-model=reference to try the harness.")
    if settings.shard_index is None and settings.shard_count > 1:
        raise UsageError(f"--mcode-shard-count={settings.shard_count} needs --mcode-shard-index: which one is this?")
    if settings.shard_index is not None and settings.shard_index >= settings.shard_count:
        raise UsageError(
            f"--mcode-shard-index={settings.shard_index} must be below --mcode-shard-count={settings.shard_count}."
        )
    if settings.data is not None and len(settings.bench) > 1:
        raise UsageError("--mcode-data is one benchmark's file: name a single benchmark with it.")
    return settings


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
