"""From benchmark names to pytest items: where the modules are, which tasks become items, and what they are called."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_mcode import options, spelling
from pytest_mcode._benchmark import Benchmark, TaskSet
from pytest_mcode._errors import DataError, UsageError
from pytest_mcode._parse import nearest
from pytest_mcode._rows import storable
from pytest_mcode._types import Task
from pytest_mcode.settings import Settings
from pytest_mcode.solvers.given import GIVEN

MARK = "mcode"
#: What was selected of each benchmark.
SELECTED = pytest.StashKey[Mapping[str, "Planned"]]()
_PACKAGE = Path(__file__).parent
#: A wheel carries benchmarks/ inside the package; a checkout has it beside the package.
HOME = next((place for place in (_PACKAGE / "benchmarks", _PACKAGE.parent / "benchmarks") if place.is_dir()), _PACKAGE)


def packaged() -> dict[str, Path]:
    """The module of each benchmark that mCode brings, by the benchmark's name."""
    return {_name(path): path for path in sorted(HOME.glob("test_*.py"))}


def _name(module: Path) -> str:
    name = module.stem.removeprefix("test_").replace("_", "-")
    return f"{name.removesuffix('-plus')}+" if name.endswith("-plus") else name


def inject(config: pytest.Config, args: list[str]) -> None:
    """Make ``--mcode-bench=NAME`` collect what the path of its module would, but leave the rootdir where it is.

    Paths on the command line win: then the names only choose among what is found there.

    Raises:
        UsageError: There is no such benchmark.
    """
    flags = config.known_args_namespace
    _paste_back(flags.file_or_dir, args, config.invocation_params.dir)
    if flags.file_or_dir:
        return
    known = packaged()
    names = options.benchmarks(config, vars(flags))
    for name in names:
        if name not in known:
            raise UsageError(
                f"There is no benchmark {name!r}{nearest(name, known)}; there are {', '.join(known)}. "
                f"For one of your own, name its file too."
            )
    paths = [str(known[name]) for name in names]
    args[:0] = paths  # in front: at the end an option with an optional value, such as --debug, would take them
    flags.file_or_dir.extend(paths)


def _paste_back(paths: list[str], args: list[str], here: Path) -> None:
    """Understand the ids that a run prints (benchmarks/test_mbpp.py::…) from any directory."""
    for number, path in enumerate(paths):
        head, separator, tail = path.partition("::")
        module = HOME / Path(head).name
        if head.startswith("benchmarks/") and module.is_file() and not (here / head).exists():
            paths[number] = args[args.index(path)] = f"{module}{separator}{tail}"


def prepare(settings: Settings, cache: Path) -> dict[str, TaskSet]:
    """Load and cache the tasks of packaged benchmarks, so that no worker has to, and a fault is told at once.

    Raises:
        DataError: A data set cannot be had.
    """
    known = packaged()
    prepared = {}
    for name in settings.bench:
        if name in known:
            found = next(b for b in _benchmarks(known[name]) if b.name == name)
            prepared[name] = found.tasks.open(settings, cache)
    return prepared


def chosen(tasks: TaskSet, settings: Settings, among: Sequence[int] | None = None) -> Sequence[int]:
    """The places of the tasks that are to be run: those that were named, of these the first, and of these the shard's.

    Args:
        tasks: Of the benchmark.
        settings: What was asked for.
        among: The places that can be run at all; None: all.

    Raises:
        DataError: There is no task of a name that was given.
    """
    places = range(len(tasks.ids)) if among is None else among
    if settings.instance:
        known = {task_id: place for place, task_id in enumerate(tasks.ids)}
        for name in settings.instance:
            if name not in known:
                raise DataError(f"There is no task {name!r} in {tasks.origin}{nearest(name, known)}.")
        named = {known[name] for name in settings.instance}
        places = [place for place in places if place in named]
    return places[: settings.limit][settings.shard_index or 0 :: settings.shard_count]


def repositories(names: Iterable[str]) -> frozenset[str]:
    """Those of the packaged benchmarks whose tasks are issues of repositories."""
    known = packaged()
    return frozenset(b.name for name in names if name in known for b in _benchmarks(known[name]) if b.repository)


def issues(settings: Settings, prepared: Mapping[str, TaskSet]) -> list[Task]:
    """The tasks to be run that are issues of repositories, of the packaged benchmarks among ``prepared``.

    Raises:
        DataError: A row is not of the expected form, or there is no task of a name that was given.
    """
    found = sorted(repositories(prepared))
    return [prepared[name].task(place) for name in found for place in chosen(prepared[name], settings)]


def _benchmarks(module: Path) -> Iterator[Benchmark]:
    spec = importlib.util.spec_from_file_location(f"_mcode_{module.stem}", module)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    for value in vars(loaded).values():
        found = declared(value)
        if found is not None:
            yield found


def declared(function: object) -> Benchmark | None:
    """The benchmark that a test function was made by ``@benchmark``, if it was."""
    marks = getattr(function, "pytestmark", ()) if callable(function) else ()
    return next((mark.args[0] for mark in marks if mark.name == MARK), None)


@dataclass(frozen=True)
class TaskRef:
    """A task's place in its benchmark: what an item is parametrized with."""

    benchmark: Benchmark
    tasks: TaskSet
    index: int

    @property
    def id(self) -> str:
        """The task's id."""
        return self.tasks.ids[self.index]

    def load(self) -> Task:
        """Make the task.

        Raises:
            DataError: Its row is not of the expected form.
        """
        return self.tasks.task(self.index)


@dataclass(frozen=True)
class Done:
    """What an earlier session has judged of a benchmark: of data with that fingerprint, these tasks."""

    fingerprint: str
    judged: frozenset[str]


@dataclass(frozen=True)
class Planned:
    """What a run is about to do on one benchmark.

    Attributes:
        benchmark: Its name.
        fingerprint: Of its data.
        origin: Of its data, in words.
        tasks: Task ids that are left to judge, by the node id of their items.
        selection: SHA-256 (hex) over the ids of all selected tasks, in any order.
        planned: How many these are.
        whole: How many tasks were cut into shards, before any was left out by name.
        file: The module that declares it; empty if mCode brings it.
    """

    benchmark: str
    fingerprint: str
    origin: str
    tasks: Mapping[str, str]
    selection: str
    planned: int
    whole: int
    file: str


@dataclass(frozen=True)
class Plan:
    """All that was collected, a `Planned` for each benchmark."""

    benchmarks: tuple[Planned, ...]

    def find(self, nodeid: str) -> tuple[str, str] | None:
        """Benchmark and task id of an item; None for somebody else's test."""
        return next(((p.benchmark, p.tasks[nodeid]) for p in self.benchmarks if nodeid in p.tasks), None)

    def write(self, path: Path) -> None:
        """Leave the plan for the controller; every worker collects the same, so any of them may."""
        whole = path.with_suffix(f".{os.getpid()}")
        whole.write_text(json.dumps(asdict(self)))
        whole.replace(path)

    @staticmethod
    def read(path: Path) -> Plan:
        """Read a plan that a worker left."""
        return Plan(tuple(Planned(**raw) for raw in json.loads(path.read_text())["benchmarks"]))


class Collection:
    """Makes items of the tasks of the chosen benchmarks, on every process that collects."""

    def __init__(self, settings: Settings, cache: Path, done: Mapping[str, Done]) -> None:
        self._settings, self._cache, self._done = settings, cache, done
        self._declared: set[str] = set()
        self._opened: dict[str, tuple[Path, TaskSet, int]] = {}

    def pytest_pycollect_makemodule(self, module_path: Path, parent: Any) -> pytest.Module | None:
        """Name packaged modules benchmarks/…, wherever they are installed."""
        if module_path.parent != HOME:
            return None
        return pytest.Module.from_parent(parent, path=module_path, nodeid=f"benchmarks/{module_path.name}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, obj: object) -> list[pytest.Item] | None:
        """Leave out benchmarks that were not named."""
        found = declared(obj)
        if found is None:
            return None
        self._declared.add(found.name)
        return None if found.name in self._settings.bench else []

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrize a benchmark's function with its tasks: limit first, then the shard."""
        mark = metafunc.definition.get_closest_marker(MARK)
        if mark is None:
            return
        found: Benchmark = mark.args[0]
        try:
            tasks = found.tasks.open(self._settings, self._cache)
            among = _answerable(metafunc.config, found.name, tasks.ids)
            places = chosen(tasks, self._settings, among)
            whole = chosen(tasks, replace(self._settings, shard_count=1, shard_index=None), among)
        except DataError as error:
            raise pytest.Collector.CollectError(spelling.spelled(str(error), metafunc.config)) from error
        self._opened[found.name] = metafunc.definition.path, tasks, len(whole)
        refs = [TaskRef(found, tasks, index) for index in places]
        metafunc.parametrize("task", refs, ids=[ref.id for ref in refs], indirect=True)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what is judged already, and keep a project's own warning filters from turning into verdicts."""
        self._require_named(config)
        items[:] = [item for item in items if reference(item) or item.get_closest_marker(MARK) is None]
        found = config.stash[SELECTED] = self._selected(items)
        judged = {name: done.judged for name, done in self._done.items() if _is_of(done, found.get(name))}
        gone = [item for item in items if _is_judged(item, judged)] if judged else []
        if gone:
            config.hook.pytest_deselected(items=gone)
            items[:] = [item for item in items if not _is_judged(item, judged)]
        for item in items:
            if item.get_closest_marker(MARK) is not None:
                item.add_marker(pytest.mark.filterwarnings("ignore"))

    def _selected(self, items: list[pytest.Item]) -> dict[str, Planned]:
        """What was selected of each benchmark, before what is judged already was left out.

        A shard may have no task: it is a part of its run all the same.
        """
        found: dict[str, dict[str, str]] = {}
        if self._settings.shard_count > 1:
            found = {name: {} for name in self._opened}
        for item in items:
            ref = reference(item)
            if ref is not None:
                found.setdefault(ref.benchmark.name, {})[item.nodeid] = ref.id
        return {name: _planned(name, *self._opened[name], tasks) for name, tasks in found.items()}

    def _require_named(self, config: pytest.Config) -> None:
        """Refuse a name that the given paths do not hold; ``--lf`` may have left its file out."""
        for name in self._settings.bench:
            if name not in self._declared and not getattr(config.option, "lf", False):
                there = ", ".join(sorted(self._declared)) or "none"
                near = nearest(name, self._declared)
                raise pytest.UsageError(f"There is no benchmark {name!r} in what was named{near}; there are {there}.")


def _answerable(config: pytest.Config, benchmark: str, ids: Sequence[str]) -> Sequence[int]:
    """The places of the tasks that can be answered: all, unless solutions were given."""
    given = config.stash.get(GIVEN, None)
    if given is None:
        return range(len(ids))
    given.require_known(ids, benchmark)
    return [index for index, task_id in enumerate(ids) if task_id in given]


def _is_of(done: Done, planned: Planned | None) -> bool:
    """Whether that was judged of these data; of others, the controller will refuse to mix it in."""
    return planned is not None and planned.fingerprint == done.fingerprint


def _is_judged(item: pytest.Item, judged: Mapping[str, frozenset[str]]) -> bool:
    ref = reference(item)
    if ref is None:
        return False
    its = storable(ref.id)
    return not judged.get(ref.benchmark.name, frozenset()).isdisjoint({its, its.replace("\0", "\\x00")})


def _planned(name: str, path: Path, there: TaskSet, whole: int, tasks: Mapping[str, str]) -> Planned:
    digest = hashlib.sha256(json.dumps(sorted(tasks.values())).encode()).hexdigest()
    file = "" if path.parent == HOME else str(path)
    return Planned(name, there.fingerprint, there.origin, tasks, digest, len(tasks), whole, file)


def plan(session: pytest.Session) -> Plan:
    """What this session is about to do: of what was selected, the items that are there."""
    there = {item.nodeid for item in session.items}
    return Plan(
        tuple(
            replace(p, tasks={node: task for node, task in p.tasks.items() if node in there})
            for p in session.config.stash.get(SELECTED, {}).values()
        )
    )


def reference(item: pytest.Item) -> TaskRef | None:
    """The task of an item; None for somebody else's test."""
    callspec = getattr(item, "callspec", None)
    ref = callspec.params.get("task") if callspec is not None else None
    return ref if isinstance(ref, TaskRef) else None
