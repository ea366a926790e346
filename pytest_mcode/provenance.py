"""What a run's results depend on beside its configuration: versions, the machine, the checkout."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess

#: Packages that may change what a run finds.
PACKAGES = ("pytest-mcode", "mellea", "pytest", "pytest-xdist", "datasets")
#: Seconds that git may take.
PATIENCE = 5.0


def versions() -> dict[str, str]:
    """Versions of packages, Python and the system, and the machine's name."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {**found, "python": platform.python_version(), "platform": platform.platform(), "host": platform.node()}


def commit() -> str:
    """The commit of the checkout that we are in, with a plus sign where files differ from it; empty outside of one."""
    head = _git("rev-parse", "HEAD")
    return head + "+" if head and _git("status", "--porcelain", "--untracked-files=no") else head


def _git(*words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - git, with our own words
            ["git", *words],  # noqa: S607 - the one that the user has
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
