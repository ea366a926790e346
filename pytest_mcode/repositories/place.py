"""Where issues of repositories are worked on: images and containers of one process, within the machine's limits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from pytest_mcode.repositories import slots
from pytest_mcode.repositories.boxes import Box, Engine
from pytest_mcode.repositories.grading import Evaluation, evaluate, load, require_package
from pytest_mcode.repositories.images import Images
from pytest_mcode.repositories.issue import Issue
from pytest_mcode.sandboxes.quiet import default_directory
from pytest_mcode.settings import Settings


class Place:
    """The engine and its images; made on the loop that uses it.

    Raises:
        UsageError: swebench is not installed.
        SandboxError: No engine answers.
    """

    isolation = (
        "a container of the instance's image for each patch, without network, with few capabilities, and with memory "
        "and process limits"
    )

    def __init__(self, settings: Settings) -> None:
        require_package()
        self.settings = settings
        self.engine = Engine()
        self.images = Images(self.engine, settings)
        self.workers = slots.workers(settings)
        self._locks = default_directory()
        self._warm: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def ready(self, issue: Issue) -> AsyncIterator[Ready]:
        """The issue's image, which is had one ahead of the containers that run, and removed again with --mcode-prune.

        Raises:
            McodeError: It cannot be had.
        """
        self._warm = self._warm or asyncio.create_task(asyncio.to_thread(load))  # seconds, beside the first generation
        async with slots.slot(self._locks, "image", self.workers + 1):
            image = await asyncio.to_thread(self.images.have, issue)
            try:
                yield Ready(issue, image.name, self)
            finally:
                if self.settings.prune:
                    await asyncio.shield(asyncio.to_thread(self.images.remove, image))

    @contextlib.asynccontextmanager
    async def box(self, image: str) -> AsyncIterator[Box]:
        """A container, once one more may run."""
        memory, platform = self.settings.mem_limit, self.images.platform
        async with (
            slots.slot(self._locks, "container", self.workers),
            self.engine.box(image, memory, platform) as box,
        ):
            yield box

    def told(self, issues: Sequence[Issue]) -> str:
        """What the images of a run will take, in a line.

        Raises:
            SandboxError: There is no room for them.
        """
        return f"{self.images.needed(issues, self.workers + 1)}; {self.workers} at once"

    async def aclose(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self.engine.close)


@dataclass(frozen=True)
class Ready:
    """An issue whose image is there."""

    issue: Issue
    image: str
    place: Place

    def box(self) -> contextlib.AbstractAsyncContextManager[Box]:
        """A fresh container of it."""
        return self.place.box(self.image)

    async def evaluate(self, patch: str | None) -> Evaluation:
        """Judge a patch in a fresh container; see `pytest_mcode.repositories.grading.evaluate`."""
        async with self.box() as box:
            return await evaluate(box, self.issue, patch, self.place.settings.eval_timeout)
