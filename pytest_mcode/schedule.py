"""Everything that knows pytest-xdist."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from pytest_mcode.collect import Plan
from pytest_mcode.outcome import Recorder

PLAN = "mcode_plan"


class Distribution:
    """On the controller: tells workers where to leave what they collected, and gives it to the recorder."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._directory = tempfile.TemporaryDirectory(prefix="mcode-")
        self._path = Path(self._directory.name) / "plan.json"

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Hand a worker what it needs to know."""
        node.workerinput[PLAN] = str(self._path)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_xdist_node_collection_finished(self) -> None:
        """Adopt the plan with the first worker that has collected."""
        if not self._recorder.runs:
            self._recorder.adopt(Plan.read(self._path))

    def pytest_unconfigure(self) -> None:
        """Remove the plan."""
        self._directory.cleanup()


def worker_plan(config: pytest.Config) -> Path | None:
    """Where this process is to leave its plan, if it is an xdist worker."""
    given = getattr(config, "workerinput", {}).get(PLAN)
    return Path(given) if given else None


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is an xdist worker."""
    return hasattr(config, "workerinput")
