"""The shape of the code: what may import what, where heavy packages and the environment come in, how long a part is."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pytest_mcode"
INSIDE = PACKAGE / "sandboxes" / "inside"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
FILES = ROOT / "docs" / "files.md"
PARTS = ROOT / "docs" / "parts.md"

#: The layers from the lowest up, as docs/architecture.md has them. A module may import from the layers below its own
#: and from what stands before it in its own; a folder, also from itself.
LAYERS = {
    "words": ("_errors", "_types", "_parse", "_url"),
    "configuration": ("_option", "settings", "options", "spelling"),
    "stages": (
        *("_files", "_hub", "dataset", "_source", "_fences", "extract"),
        *("isolation", "prompts", "gate", "_rows", "_statistics", "metrics", "paired"),
        *("_tables", "_runs", "_shards", "_dialects", "_database", "_copies", "_tallies", "store", "_wire"),
        "predictions",
    ),
    "parts": ("solvers/", "sandboxes/", "repositories/", "report/"),
    "benchmark": ("_benchmark", "forms", "__init__"),
    "task": ("solve", "settle"),
    "session": (
        *("recorded", "replay", "engine", "solving", "collect", "preflight", "breaker", "provenance", "resume"),
        *("merging", "fixtures", "outcome", "thresholds", "loop", "dealer", "schedule", "progress", "session"),
    ),
    "entry points": ("plugin", "front", "again", "doctor", "sweeping/", "commands/", "cli", "__main__"),
    "benchmarks": ("benchmarks/",),
}
ORDER = [unit for units in LAYERS.values() for unit in units]

#: Packages that cost time or memory to import, and the files or the folder that may.
HEAVY: dict[str, str | tuple[str, ...]] = {
    "click": ("cli.py", "commands/"),
    "bm25s": "repositories/retrieval.py",
    "datasets": "_hub.py",
    "docker": ("sandboxes/", "repositories/"),
    "filelock": "_files.py",
    "jinja2": "report/page/",
    "mellea": "solvers/",
    "numpy": "_statistics.py",
    "pandas": "nothing",
    "platformdirs": "options.py",
    "plotly": "nothing",  # the page takes its script as a file
    "pyarrow": ("_files.py", "report/exports.py"),
    "rich": (
        "report/tabular.py",
        "report/live.py",
        "commands/watch.py",
        "report/comparison.py",
        "report/attempts.py",
        "solvers/pulling.py",
        "doctor.py",
    ),
    "scipy": "_statistics.py",
    "swebench": ("repositories/grading.py", "repositories/building.py"),
    "sqlalchemy": (
        "_tables.py",
        "_runs.py",
        "_shards.py",
        "_dialects.py",
        "_database.py",
        "_tallies.py",
        "_copies.py",
        "store.py",
    ),
    "tenacity": ("_database.py", "solvers/generation.py"),
    "xdist": "nothing",
}
#: The functions that may catch any exception: what they call raises what it likes.
BOUNDARIES = {
    ("_hub.py", "load"),
    ("solvers/backends.py", "open_backend"),
    ("solvers/generation.py", "once"),
}
LINES = 350
#: Lines of a function: the middle one, 95 of 100, and the longest.
MEDIAN, MOST, LONGEST = 12, 45, 85


def modules() -> list[Path]:
    return sorted([*PACKAGE.rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")])


def short(path: Path) -> str:
    """A file as the tables name it."""
    return str(path.relative_to(PACKAGE if PACKAGE in path.parents else ROOT))


def unit(path: Path) -> str:
    """The module or the folder that a file counts as."""
    name = short(path)
    return name.partition("/")[0] + "/" if "/" in name else name.removesuffix(".py")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    """The full name of everything that a file imports, anywhere in it."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) + 1 - node.level], *filter(None, [node.module])] if node.level else []
            yield from (f"{'.'.join(base) or node.module}.{alias.name}" for alias in node.names)


def found(name: str) -> Path | None:
    """The file of our own that an imported name comes from."""
    parts = name.split(".")
    if parts[0] not in ("pytest_mcode", "benchmarks"):
        return None
    path = ROOT.joinpath(*parts)
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if path.is_dir() else found(name.rpartition(".")[0])


def ours(path: Path) -> set[Path]:
    return {target for name in imported(path) if (target := found(name)) and target != path}


def documented(page: Path, heading: str) -> list[list[str]]:
    """The cells of the table below a heading of a page, without its own head."""
    section = page.read_text(encoding="utf-8").partition(f"# {heading}\n")[2].partition("\n## ")[0]
    table = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in table[2:]]


def test_every_module_has_its_place() -> None:
    assert {unit(path) for path in modules()} == set(ORDER)


def test_imports_go_down_only() -> None:
    upwards = [
        f"{short(path)} imports {short(target)}"
        for path in modules()
        for target in ours(path)
        if ORDER.index(unit(target)) > ORDER.index(unit(path))
    ]
    assert upwards == []


def test_no_modules_import_one_another() -> None:
    graph = {path: ours(path) for path in modules()}
    done: set[Path] = set()
    while free := [path for path, targets in graph.items() if path not in done and targets <= done]:
        done.update(free)
    assert [short(path) for path in graph.keys() - done] == []


def test_benchmarks_import_what_anybody_may() -> None:
    names = {name for path in (ROOT / "benchmarks").glob("*.py") for name in imported(path) if found(name)}
    assert {name for name in names if not re.fullmatch(r"pytest_mcode(\.forms)?\.[a-zA-Z]\w*", name)} == set()


def test_the_layers_are_documented_as_they_are_tested() -> None:
    rows = documented(ARCHITECTURE, "Layers")
    assert {name: tuple(re.findall(r"`([^`]+)`", units)) for name, units, *_ in rows} == LAYERS
    assert [name for name, *_ in rows] == list(LAYERS)


def test_every_file_is_listed_with_the_first_line_of_its_docstring() -> None:
    files = [path for path in modules() if PACKAGE in path.parents]
    lines = {f"`{short(path)}`": (ast.get_docstring(tree(path)) or "").partition("\n")[0] for path in files}
    told = {row[0]: row[1] for row in [*documented(FILES, "Files"), *documented(PARTS, "Parts")]}
    assert {file: line.replace("``", "`") for file, line in lines.items()} == told


@pytest.mark.parametrize("package", HEAVY)
def test_a_heavy_package_comes_in_at_one_place(package: str) -> None:
    importers = {short(path) for path in modules() if any(name.split(".")[0] == package for name in imported(path))}
    assert {file for file in importers if not file.startswith(HEAVY[package])} == set()


def test_the_plugin_imports_none_of_them() -> None:
    code = (
        "import sys, pytest; had = set(sys.modules); import pytest_mcode.plugin; "  # pytest itself has pygments
        f"print(sorted({set(HEAVY)} & set(sys.modules) - had))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_environment_is_read_in_one_place() -> None:
    names = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
    readers = {
        short(path)
        for path in modules()
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Attribute) and node.attr in names)
        or (isinstance(node, ast.ImportFrom) and names & {alias.name for alias in node.names})
    }
    # inside a sandbox it is another environment, and options.py is not there
    assert {file for file in readers if not file.startswith("sandboxes/inside/")} == {"options.py"}


def test_any_exception_is_caught_at_the_boundaries_only() -> None:
    catching = {
        (short(path), function.name)
        for path in modules()
        if INSIDE not in path.parents  # a program may raise whatever it likes
        for function in ast.walk(tree(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.ExceptHandler) and catches_any(node.type)
    }
    assert catching == BOUNDARIES


def catches_any(kind: ast.expr | None) -> bool:
    names = {node.id for node in ast.walk(kind) if isinstance(node, ast.Name)} if kind else {"Exception"}
    return bool(names & {"Exception", "BaseException"})


def test_what_runs_inside_a_sandbox_is_python_3_8_with_nothing_installed() -> None:
    for path in sorted(INSIDE.glob("*.py")):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
        names = {name.split(".")[0] for name in imported(path) if found(name) is None}
        assert names <= sys.stdlib_module_names, path.name
        assert {target.parent for target in ours(path)} <= {INSIDE}, path.name


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    long = {short(path): lines for path in modules() if (lines := path.read_bytes().count(b"\n")) > LINES}
    assert long == {}


def test_functions_are_short() -> None:
    lengths = sorted(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert statistics.median(lengths) <= MEDIAN
    assert lengths[len(lengths) * 95 // 100] <= MOST
    assert lengths[-1] <= LONGEST
