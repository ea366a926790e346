"""A sweep's file: which runs it asks for, with every value looked at before any of them starts."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product
from math import prod
from pathlib import Path
from typing import Any

from pytest_mcode import doctor
from pytest_mcode._errors import UsageError
from pytest_mcode._option import Option
from pytest_mcode._parse import identifier, nearest
from pytest_mcode.collect import packaged
from pytest_mcode.settings import OPTIONS, Settings, attribute
from pytest_mcode.sweeping.values import (
    CHOOSING,
    KNOWN,
    REFUSED,
    VARIED,
    Texts,
    require_known,
    several,
    single,
    table,
    tables,
)

KEYS = ("name", "benchmark", "options", "grid", "run", "skip")
#: The most runs of a sweep: more were not meant.
MOST = 1000

#: What tells one measurement from another.
Measured = tuple[Any, ...]


@dataclass(frozen=True)
class Asked:
    """One run that a sweep asks for.

    Attributes:
        benchmark: The benchmark's name.
        module: The file that declares it; empty if mCode brings it.
        texts: The options that the file gives, as a command line would.
        settings: The whole configuration, with what the environment gives.
    """

    benchmark: str
    module: str
    texts: Texts
    settings: Settings

    @property
    def measured(self) -> Measured:
        """What makes it another measurement than others."""
        return self.benchmark, self.settings.hashed, *(getattr(self.settings, name) for name in CHOOSING)

    @property
    def data(self) -> tuple[Any, ...]:
        """What its tasks are taken from."""
        return self.benchmark, self.settings.split, self.settings.data

    def value(self, opt: Option) -> Any:
        """The value of an option, and of the temperature the one that is asked of the model."""
        return (
            self.settings.sampling_temperature if opt.name == "temperature" else getattr(self.settings, attribute(opt))
        )

    @property
    def loaded(self) -> tuple[Any, ...]:
        """What a server has to load for it, and which server that is."""
        s = self.settings
        return s.backend, s.base_url, s.model, s.context


@dataclass(frozen=True)
class Sweep:
    """What a file asks for.

    Attributes:
        file: Its path, as it was given.
        name: The sweep's name.
        runs: Each run once, in the order in which they are made: a server has to load each model once.
        notes: What the file's author should know of it.
    """

    file: str
    name: str
    runs: tuple[Asked, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Grid:
    """Every combination of benchmarks and values."""

    benchmarks: Sequence[str]
    values: Mapping[str, Sequence[str]]

    @property
    def size(self) -> int:
        return len(self.benchmarks) * prod(map(len, self.values.values()))

    def runs(self, base: Texts) -> Iterator[Asked]:
        for benchmark, *texts in product(self.benchmarks, *self.values.values()):
            yield _asked(benchmark, {**base, **dict(zip(self.values, texts, strict=True))})


@dataclass(frozen=True)
class _Skip:
    """What makes no sense: a run with one of these values of each of these options is left out."""

    where: str
    benchmarks: Sequence[str]
    values: Mapping[str, Sequence[Any]]

    def holds(self, asked: Asked) -> bool:
        named = not self.benchmarks or asked.benchmark in [_divided(spelled)[1] for spelled in self.benchmarks]
        return named and all(asked.value(KNOWN[name]) in values for name, values in self.values.items())


def read(path: str, database: str | None = None) -> Sweep:
    """Read a sweep's file.

    Args:
        path: The TOML file.
        database: Where results go, if a command line says so.

    Raises:
        UsageError: It cannot be read, or something in it cannot be meant; the message names the file and the key.
    """
    try:
        document = _parsed(path)
        require_known(document, KEYS)
        name = _name(document.get("name"))
        runs, notes = _runs(document, {} if database is None else {"db": database})
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    firsts = list(dict.fromkeys(asked.loaded for asked in runs))
    return Sweep(path, name, tuple(sorted(runs, key=lambda asked: firsts.index(asked.loaded))), tuple(notes))


def _parsed(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).expanduser().read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"it cannot be read ({error.strerror}); name the TOML file of a sweep.") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"it is no TOML file ({error}).") from None


def _name(value: Any) -> str:
    if value is None:
        raise UsageError('the sweep has no name; begin the file with one, such as name = "small-models".')
    try:
        return identifier(value if isinstance(value, str) else "")
    except ValueError as error:
        raise UsageError(f"name is {value!r:.60}, but must be {error}.") from None


def _runs(document: Mapping[str, Any], given: Texts) -> tuple[list[Asked], list[str]]:
    """All runs that a document asks for, each once, and what to say of them."""
    base = {**single(table(document.get("options", {}), "[options]"), "[options]"), **given}
    everywhere = _benchmarks(document["benchmark"], "benchmark") if "benchmark" in document else ()
    varied = [_Grid(everywhere, _varied(document, base))] if "grid" in document or "run" not in document else []
    explicit = [_explicit(one, where, everywhere) for where, one in tables(document, "run")]
    if not all(grid.benchmarks for grid in (*varied, *explicit)):
        raise UsageError(f'no benchmark is named; add benchmark = "humaneval"; there are {", ".join(packaged())}.')
    if (number := sum(grid.size for grid in (*varied, *explicit))) > MOST:
        raise UsageError(f"it asks for {number:,} runs, and {MOST:,} are the most; make several sweeps of it.")
    skips = list(_skips(document))
    made = list(chain.from_iterable(grid.runs(base) for grid in varied))
    kept = [asked for asked in made if not any(skip.holds(asked) for skip in skips)]
    found = _once([*kept, *chain.from_iterable(grid.runs(base) for grid in explicit)])
    idle = [skip.where for skip in skips if not any(map(skip.holds, made))]
    return found, [f"{where} leaves nothing out" for where in idle]


def _once(runs: Iterable[Asked]) -> list[Asked]:
    """The runs without those that would measure again what one before them does."""
    found: dict[Measured, Asked] = {}
    modules = set()
    for asked in runs:
        found.setdefault(asked.measured, asked)
        modules.add((asked.benchmark, asked.module))
    if not found:
        raise UsageError("no run is left; each is left out by a [[skip]].")
    names = [name for name, _ in modules]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two files declare a benchmark {name}; give one of them another name.")
    if len(names) > 1 and any(asked.settings.data is not None for asked in found.values()):
        raise UsageError(f"data is one benchmark's file, and there are {len(names)}; make a sweep of each.")
    return list(found.values())


def _varied(document: Mapping[str, Any], base: Texts) -> Mapping[str, Sequence[str]]:
    grid = several(table(document.get("grid", {}), "[grid]"), "[grid]")
    for key in grid:
        if KNOWN[key] not in VARIED:
            raise UsageError(
                f"{key} has no place in [grid]: no verdict depends on it, so all of its runs would be the same one. "
                f"Put it in [options]."
            )
        if key in base:
            raise UsageError(f"{key} is in [options] and in [grid]; leave it in one of them.")
    return grid


def _explicit(found: Mapping[str, Any], where: str, everywhere: Sequence[str]) -> _Grid:
    if "db" in found:
        raise UsageError(f"db has no place in {where}: a sweep has one database. Put it in [options].")
    return _Grid(*_with_benchmarks(found, where, everywhere))


def _skips(document: Mapping[str, Any]) -> Iterator[_Skip]:
    for where, found in tables(document, "skip"):
        if not found:
            raise UsageError(f"{where} is empty, and would leave out every run; say which.")
        benchmarks, texts = _with_benchmarks(found, where, ())
        yield _Skip(where, benchmarks, {key: list(map(KNOWN[key].parse, given)) for key, given in texts.items()})


def _with_benchmarks(
    found: Mapping[str, Any], where: str, otherwise: Sequence[str]
) -> tuple[Sequence[str], Mapping[str, Sequence[str]]]:
    """The benchmarks that a table names, or else those others, and its options."""
    benchmarks = _benchmarks(found["benchmark"], f"benchmark in {where}") if "benchmark" in found else otherwise
    return benchmarks, several({key: value for key, value in found.items() if key != "benchmark"}, where)


def _benchmarks(value: Any, where: str) -> list[str]:
    """Names of benchmarks, each of one's own behind its file: ``test_mine.py::mine``."""
    names = value if isinstance(value, list) else [value]
    for spelled in names:
        if not isinstance(spelled, str) or not spelled.isprintable():
            raise UsageError(f"{where} holds {spelled!r:.60}, but must be names of benchmarks.")
        module, name = _divided(spelled)
        if "::" in spelled and not Path(module).is_file():
            raise UsageError(f"{where} names the file {module}, which is not there.")
        if not module and name not in packaged():
            raise UsageError(
                f"there is no benchmark {name!r}{nearest(name, packaged())}; there are {', '.join(packaged())}. "
                f'For one of your own, name its file too: "test_mine.py::mine".'
            )
        if not name or name.startswith("-") or "," in name:
            raise UsageError(f"{where} holds {spelled!r:.60}, but must be names of benchmarks.")
    return list(dict.fromkeys(names))


def _divided(spelled: str) -> tuple[str, str]:
    """The file, if one is named, and the name of a benchmark."""
    module, _, name = spelled.rpartition("::")
    return module, name.strip()


def _asked(spelled: str, texts: Texts) -> Asked:
    if "model" not in texts:
        raise UsageError('no model is named; add model = ["granite3.3:8b"] to [grid].')
    module, name = _divided(spelled)
    flags = {KNOWN[key].dest: text for key, text in texts.items()}
    settings = replace(doctor.configured(flags, [] if module else [name]), bench=(name,))
    for o in OPTIONS:
        if o.name in REFUSED and o.name != "bench" and getattr(settings, attribute(o)) != o.default:
            raise UsageError(f"the variable {o.variable} is set, but {REFUSED[o.name]}; unset it.")
    return Asked(name, module, texts, settings)
