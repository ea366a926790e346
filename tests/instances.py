"""Instances of SWE-bench with images that are built here, with no container registry.

The toy is a repository of our own. The real ones are rows of SWE-bench Lite, over the nearest release on PyPI: what
their gold patch did after it is undone, so that the row holds word for word.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
BASE = "mcode-instance:test"
PACKAGES = (
    *("git", "bash", "coreutils", "grep", "sed", "findutils", "gawk", "patch", "procps"),
    *("python3-pip", "python3-setuptools", "python3-wheel", "python3-pytest"),
)
#: What the scripts of SWE-bench expect of an image.
ACTIVATE = "conda() { :; }\n"
DOCKERFILE = """\
FROM {base}
COPY root /
ENV PYTHONPATH=/site:/testbed/src:/testbed HOME=/root PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8
ENV PIP_NO_INDEX=1 PIP_NO_BUILD_ISOLATION=0 PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore
ENV SETUPTOOLS_SCM_PRETEND_VERSION={version} PATH=/usr/local/bin:/usr/bin:/bin
WORKDIR /testbed
"""
FILES = {
    "calc.py": '''\
"""Sums and products."""


def add(a, b):
    """Return the sum of two numbers."""
    return a - b


def mul(a, b):
    """Return the product of two numbers."""
    return a * b
''',
    "shapes/__init__.py": "",
    "shapes/area.py": '''\
"""Areas of shapes."""

from calc import mul


def rectangle(width, height):
    """Return the area of a rectangle."""
    return mul(width, height)
''',
    "text/words.py": '''\
"""Counting words in a text."""


def words(text):
    """Return how many words a text has."""
    return len(text.split())
''',
    "tests/test_calc.py": "import calc\n\n\ndef test_mul():\n    assert calc.mul(2, 3) == 6\n",
}
TESTS = FILES["tests/test_calc.py"] + "\n\ndef test_add():\n    assert calc.add(2, 3) == 5\n"
STATEMENT = "calc.add returns the difference\n\n`calc.add(2, 3)` gives -1, but the sum of the two numbers is 5.\n"
SCRIPT = """\
#!/bin/bash
set -uxo pipefail
source /opt/miniconda3/bin/activate
conda activate testbed
cd /testbed
git config --global --add safe.directory /testbed
git -c core.fileMode=false diff {base}
git checkout {base} tests/test_calc.py
git apply -v - <<'EOF_114329324912'
{tests}
EOF_114329324912
: '>>>>> Start Test Output'
python -m pytest -rA -p no:cacheprovider tests/test_calc.py
: '>>>>> End Test Output'
git checkout {base} tests/test_calc.py
"""


@dataclass(frozen=True)
class Real:
    """A row of Lite whose repository can be had from PyPI, and what its tests need."""

    id: str
    release: str
    needs: tuple[str, ...] = ()
    lacks: Mapping[str, str] = field(default_factory=dict)
    """Files of the repository that the release leaves out."""


#: sympy's own runner of tests, which takes these flags and then files.
SYMPY_TEST = """\
#!/usr/bin/env python3
import sys
import sympy
files = [word for word in sys.argv[1:] if not word.startswith("-")]
sys.exit(0 if sympy.test(*files, verbose="--verbose" in sys.argv, colors=False) else 1)
"""

REAL = (
    Real(
        "pallets__flask-5063",
        "flask==2.3.0",
        (
            "werkzeug==2.3.8",
            "jinja2==3.1.4",
            "click==8.1.7",
            "itsdangerous==2.2.0",
            "blinker==1.8.2",
            "markupsafe==2.1.5",
            "python-dotenv==1.0.1",
        ),
    ),
    Real("sympy__sympy-20590", "sympy==1.7.1", ("mpmath==1.3.0",), {"bin/test": SYMPY_TEST}),
    Real(
        "pytest-dev__pytest-11143",
        "pytest==8.0.0",
        ("iniconfig==2.0.0", "packaging==24.1", "pluggy==1.3.0", "attrs==23.2.0", "setuptools-scm==8.1.0"),
    ),
)


def git(place: Path, *words: str, given: str | None = None) -> str:
    """Run git with a name of its own."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "advice.detachedHead=false"]
    done = subprocess.run(
        ["git", *identity, *words], cwd=place, check=True, capture_output=True, text=True, input=given
    )
    return done.stdout


def commit(place: Path) -> str:
    """Put a directory under git; its first commit."""
    git(place, "init", "-q", "-b", "main")
    git(place, "add", "-A", "-f")
    git(place, "commit", "-q", "-m", "all")
    git(place, "commit", "-q", "--allow-empty", "-m", "base")  # `git show`, which scripts do, would print the tree else
    return git(place, "rev-parse", "HEAD").strip()


def toy(
    place: Path, image: str = "mcode-test/sweb.eval.x86_64.toy_1776_calc-1:latest", **changed: Any
) -> dict[str, Any]:
    """The toy's row, and its repository in ``place/root/testbed``; ``changed`` are files, by their path or None."""
    home = place / "root" / "testbed"
    for name, text in FILES.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    base = commit(home)
    patch = difference(home, "calc.py", FILES["calc.py"].replace("a - b", "a + b"))
    tests = difference(home, "tests/test_calc.py", TESTS)
    return {
        "repo": "pytest-dev/pytest",
        "instance_id": "toy__calc-1",
        "base_commit": base,
        "patch": patch,
        "test_patch": tests,
        "problem_statement": STATEMENT,
        "version": "1",
        "FAIL_TO_PASS": json.dumps(["tests/test_calc.py::test_add"]),
        "PASS_TO_PASS": json.dumps(["tests/test_calc.py::test_mul"]),
        "log_parser": "parse_log_pytest",
        "eval_type": "pass_and_fail",
        "eval_script": SCRIPT.format(base=base, tests=tests),
        "image": image,
        **changed,
    }


def difference(home: Path, name: str, text: str) -> str:
    """The patch that makes a file's text this one; the file is left as it was."""
    before = (home / name).read_text()
    (home / name).write_text(text)
    patch = git(home, "diff")
    (home / name).write_text(before)
    return patch


def base_image() -> None:
    """Build the image that all instances begin with from the distribution's own packages, unless it is there."""
    if shutil.which("apt-get") is None:
        pytest.skip("platform: no apt-get, to build an instance's image with")
    subprocess.run([ROOT / ".ci" / "image", BASE, *PACKAGES], check=True, capture_output=True)


def build(place: Path, row: Mapping[str, Any]) -> None:
    """Build an instance's image from what is in ``place/root``."""
    import docker

    root = place / "root"
    (root / "opt/miniconda3/bin").mkdir(parents=True)
    (root / "opt/miniconda3/bin/activate").write_text(ACTIVATE)
    local = root / "usr/local/bin"
    local.mkdir(parents=True)
    (local / "python").symlink_to("/usr/bin/python3")
    (local / "pytest").write_text('#!/bin/sh\nexec python3 -m pytest "$@"\n')
    (local / "pytest").chmod(0o755)
    (place / "Dockerfile").write_text(DOCKERFILE.format(base=BASE, version=f"{row['version']}.0"))
    client = docker.from_env(timeout=300)
    try:
        client.images.build(path=str(place), tag=row["image"], rm=True, forcerm=True, network_mode="none")
    finally:
        client.close()


def real(place: Path, found: Real, row: Mapping[str, Any], downloads: Path) -> None:
    """Put the repository of a real row in ``place/root/testbed``, as it was before its gold patch."""
    downloads.mkdir(parents=True, exist_ok=True)
    name, _, version = found.release.partition("==")
    packed = sorted(downloads.glob(f"*{version}.tar.gz"))
    packed = [path for path in packed if path.name.lower().startswith(name)]
    if not packed:
        pip("download", "--no-deps", "--no-binary", ":all:", "-d", str(downloads), found.release)
        packed = [path for path in downloads.glob(f"*{version}.tar.gz") if path.name.lower().startswith(name)]
    home = place / "root" / "testbed"
    with tarfile.open(packed[0]) as archive:
        archive.extractall(place, filter="data")
    (place / "root").mkdir()
    shutil.move(next(path for path in place.iterdir() if path.is_dir() and path.name != "root"), home)
    undone(home, row["patch"])
    undone(home, row["test_patch"])
    for name, text in found.lacks.items():
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(text)
        (home / name).chmod(0o755)
    base = commit(home)
    # git takes our commit wherever the row names the real one
    git(home, "update-ref", f"refs/replace/{row['base_commit']}", base)
    if found.needs:
        pip("install", "--target", str(place / "root/site"), "--no-deps", *found.needs)


def undone(home: Path, patch: str) -> None:
    """Take back what a patch did; nothing if the release is from before it."""
    try:
        git(home, "apply", "--reverse", "-", given=patch)
    except subprocess.CalledProcessError:
        git(home, "apply", "--check", "-", given=patch)


def pip(*words: str) -> None:
    """Run pip as the user would."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    subprocess.run([sys.executable, "-m", "pip", "-q", *words], check=True, capture_output=True, env=environment)


def written(rows: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """A data set of rows."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
