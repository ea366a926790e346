"""Images that are built on this machine, by swebench's own builder, from a checkout of its task repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pytest_mcode._errors import SandboxError, UsageError
from pytest_mcode.repositories.issue import Issue

#: How swebench's builder names architectures.
NAMES = {"x86_64": "amd64", "arm64": "arm64"}
#: The builder writes logs below its working directory, so it works in a process of its own.
BUILDER = """
import sys
from swebench.image_builder.docker_build import build_image
from swebench.image_builder.image_spec import ImageSpec
name, recipe, arch, context = sys.argv[1:]
spec = ImageSpec(name, open(recipe).read(), None, arch=arch, context_dir=context)
build_image(spec)
print(spec.name)
"""
#: Characters of a log that are shown.
SHOWN = 300


def build(issue: Issue, tasks: Path, architecture: str) -> str:
    """Build an issue's image, and return its name.

    Raises:
        UsageError: The task repository has no recipe for it, or buildx is not installed.
        SandboxError: The build failed.
    """
    place = (tasks / "tasks" / issue.id).absolute()
    recipe = place / "Dockerfile"
    if not recipe.is_file():
        raise UsageError(f"There is no {recipe}: --mcode-task-repo must be a checkout of SWE-bench's task repository.")
    require_buildx()
    with tempfile.TemporaryDirectory(prefix="mcode-build-") as logs:
        words = [sys.executable, "-c", BUILDER, issue.id, str(recipe), NAMES[architecture], str(place)]
        done = subprocess.run(words, cwd=logs, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        if done.returncode:
            written = [log.read_text(errors="replace") for log in Path(logs).rglob("build_image.log")]
            said = " ".join(("\n".join(written) or done.stderr).split())[-SHOWN:]
            raise SandboxError(f"The image of {issue.id} could not be built (… {said}).")
    return done.stdout.splitlines()[-1]


def require_buildx() -> None:
    """See that the engine's command line has buildx, by which swebench builds.

    Raises:
        UsageError: It does not.
    """
    docker = shutil.which("docker")
    if docker is not None:
        done = subprocess.run([docker, "buildx", "version"], capture_output=True, check=False)  # noqa: S603 - ours
        if done.returncode == 0:
            return
    raise UsageError(
        "swebench builds images by 'docker buildx', which is not installed: install Docker's buildx plugin."
    )
