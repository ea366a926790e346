"""Where programs run: a table of sandboxes by name."""

from __future__ import annotations

import os

from pytest_mcode._types import Sandbox
from pytest_mcode.settings import Settings


def open_sandbox(settings: Settings) -> Sandbox:
    """Make the sandbox that the settings name; it starts with the first program.

    Raises:
        SandboxError: It cannot be used here; the message says what to do next.
    """
    from pytest_mcode.sandboxes.judging import Judging
    from pytest_mcode.sandboxes.pool import Home, Pool

    def process() -> Home:
        from pytest_mcode.sandboxes.process import ProcessHome

        return ProcessHome()

    def docker() -> Home:
        from pytest_mcode.sandboxes.docker import DockerHome

        return DockerHome(settings.image)

    homes = {"docker": docker, "process": process}
    return Judging(Pool(homes[settings.sandbox](), size=settings.sandboxes or os.cpu_count() or 1))
