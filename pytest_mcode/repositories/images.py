"""Images of instances: which one, had or pulled or built, and removed again; and the room that they need."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_mcode._errors import SandboxError
from pytest_mcode.repositories.boxes import PLATFORMS, Engine, told
from pytest_mcode.repositories.issue import Issue
from pytest_mcode.sandboxes.docker import reason
from pytest_mcode.settings import Settings

#: Gigabytes that an image takes: Lite's 300 images come to more than 100 together, most of them shared layers.
EACH = 0.5
GIGA = 10**9
#: Where the engine keeps images, if it does not tell of a directory that can be seen from here.
USUAL = Path("/var/lib/docker")


@dataclass(frozen=True)
class Image:
    """An image that is there; ``ours`` if this process has pulled or built it."""

    name: str
    ours: bool


class Images:
    """Finds, pulls, builds and removes images; its calls block."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine, self._settings = engine, settings
        asked = settings.arch
        self.architecture = engine.architecture if asked == "auto" else asked

    @property
    def platform(self) -> str | None:
        """What the engine is asked for, where it is not what the engine would take by itself."""
        return None if self._settings.arch == "auto" else PLATFORMS[self.architecture]

    def names(self, issue: Issue) -> list[str]:
        """The names under which an issue's image may be there, the first being the one that is pulled."""
        name = issue.image.replace(".x86_64.", f".{self.architecture}.")
        bare = name.rpartition("/")[2]
        asked = self._settings.namespace
        if asked:
            return [f"{asked}/{bare}"]
        built = f"sweb.eval.{self.architecture}.{issue.id}:latest".lower()
        return [name] if asked is None else list(dict.fromkeys([name, bare, built]))

    def here(self, issue: Issue) -> str | None:
        """The name of the image, if the engine has it."""
        import docker

        for name in self.names(issue):
            with told("look for an image"):
                try:
                    self._engine.client.images.get(name)
                except docker.errors.ImageNotFound:
                    continue
                return name
        return None

    def have(self, issue: Issue) -> Image:
        """See that the image is there.

        Raises:
            SandboxError: It can neither be found nor pulled nor built.
        """
        found = self.here(issue)
        if found is not None and not self._settings.force_rebuild:
            return Image(found, ours=False)
        self.require_room()
        if self._settings.namespace == "":
            return self._built(issue, found)
        return self._pulled(issue)

    def require_room(self) -> None:
        """See that enough is free for one more image.

        Raises:
            SandboxError: It is not.
        """
        free, floor = self.free(), self._settings.disk_floor
        if free is not None and free < floor:
            raise SandboxError(
                f"{free:.1f} GB are free where images are, and {floor:g} are to stay free: make room ('docker system "
                f"df' shows what takes it), add --mcode-prune, or lower --mcode-disk-floor."
            )

    def free(self) -> float | None:
        """Gigabytes that are free where the engine keeps images; None if that cannot be seen from here."""
        with told("tell of itself"):
            root = Path(self._engine.client.info().get("DockerRootDir") or USUAL)
        return shutil.disk_usage(root).free / GIGA if root.is_dir() else None

    def remove(self, image: Image) -> None:
        """Remove an image that this process has brought; others are left."""
        import contextlib

        import docker

        if image.ours:
            with contextlib.suppress(docker.errors.DockerException, OSError):  # another container may use it still
                self._engine.client.images.remove(image.name)

    def needed(self, issues: Sequence[Issue], at_once: int) -> str:
        """What the images of a run will take, in a line.

        Raises:
            SandboxError: There is no room for them.
        """
        missing = [issue for issue in issues if self.here(issue) is None]
        free = self.free()
        room = (
            "" if free is None else f"; {free:.0f} GB are free there, of which {self._settings.disk_floor:g} stay free"
        )
        if not missing:
            return f"{plural(len(issues))}, all there{room}"
        held = min(len(missing), at_once) if self._settings.prune else len(missing)
        need = held * EACH
        if free is not None and free - need < self._settings.disk_floor:
            raise SandboxError(
                f"{held} images to fetch need about {need:.0f} GB, and {free:.0f} are free where images are, of which "
                f"{self._settings.disk_floor:g} are to stay free: make room, add --mcode-prune, or name fewer tasks "
                f"with --mcode-limit."
            )
        kept = f", at most {held} of them at once" if self._settings.prune else ""
        return f"{plural(len(issues))}, {len(missing)} to be fetched{kept}: about {need:.1f} GB{room}"

    def _pulled(self, issue: Issue) -> Image:
        import docker
        from docker.utils import parse_repository_tag

        name = self.names(issue)[0]
        repository, tag = parse_repository_tag(name)
        try:
            self._engine.client.images.pull(repository, tag=tag or "latest", platform=self.platform)
        except docker.errors.APIError as error:
            raise SandboxError(self._refused(issue, name, error)) from error
        except (docker.errors.DockerException, OSError) as error:
            raise SandboxError(f"The Docker engine does not answer any more: {reason(error)}.") from error
        return Image(name, ours=True)

    def _refused(self, issue: Issue, name: str, error: Any) -> str:
        """Why a pull failed, and what to do about it."""
        words = str(error).lower()
        if "toomanyrequests" in words or "rate limit" in words:
            return (
                f"The registry gives out no more images for now ({name}): log in ('docker login'), or wait and resume."
            )
        if isinstance_not_found(error) or "manifest unknown" in words or "access denied" in words or "denied" in words:
            if self.architecture == "arm64":
                return (
                    f"Instance {issue.id} has no image for arm64 ({name}): use --mcode-arch=x86_64, which runs "
                    f"emulated, or leave it out."
                )
            return f"There is no image {name} for instance {issue.id}: is --mcode-namespace right?"
        if "no space left" in words:
            return f"There was no room for the image {name}: make room, or add --mcode-prune."
        return f"The image {name} could not be pulled ({reason(error)}): is the registry reachable?"

    def _built(self, issue: Issue, found: str | None) -> Image:
        """Build an image from the task repository by swebench's own builder."""
        where = self._settings.task_repo
        if where is None:
            if found is not None:
                return Image(found, ours=False)
            raise SandboxError(
                f"The engine has no image for instance {issue.id} ({', '.join(self.names(issue))}), and with "
                f"an empty --mcode-namespace none is pulled: build it, or name SWE-bench's task repository with "
                f"--mcode-task-repo."
            )
        from pytest_mcode.repositories.building import build

        return Image(build(issue, Path(where), self.architecture), ours=True)


def isinstance_not_found(error: Exception) -> bool:
    """Whether the engine said that there is no such image."""
    import docker

    return isinstance(error, docker.errors.NotFound)


def plural(number: int) -> str:
    """So many images, in words."""
    return f"{number} image{'s' if number != 1 else ''}"
