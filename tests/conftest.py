from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import DockerClient

from tests import postgres

#: Names an image for the docker sandbox; without it, any image among those present locally will do that looks right.
IMAGE_VARIABLE = "MCODE_TEST_IMAGE"
SUITABLE = re.compile(r"mcode-sandbox:|(.*/)?python:3(\.([89]|\d\d)\b|-|$)")


@pytest.fixture(scope="session")
def docker_image(container_engine: DockerClient) -> str:
    """The tag of a local image with Python, behind an engine that answers; a skip for want of one fails under CI."""
    present = sorted(tag for image in container_engine.images.list() for tag in image.tags)
    wanted = os.environ.get(IMAGE_VARIABLE)
    if wanted:
        if wanted not in present:
            pytest.fail(f"{IMAGE_VARIABLE} names {wanted}, which is not among the local images: {present}")
        return wanted
    found = [tag for tag in present if SUITABLE.match(tag)]
    if not found:
        pytest.skip("no local image with Python: build one with .ci/image, or pull python:3-slim")
    return found[0]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of published data sets, which is no part of the project."""
    data = Path(__file__).parents[2] / "shared" / "data"
    if not data.is_dir():
        pytest.skip("data: no ../shared/data beside the checkout")
    return data


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgres.Server]:
    """A PostgreSQL server of this session; a test that stops it starts it again."""
    with postgres.running() as server:
        yield server


@pytest.fixture(autouse=True)
def locks_of_its_own(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Let no run that a test starts wait for the timeouts of another test's."""
    if "pytester" in request.fixturenames:
        monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))


@pytest.fixture(autouse=True, scope="session")
def no_summary_of_this_session() -> Iterator[None]:
    """Let no run that a test starts write to the page of the CI job that runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("GITHUB_STEP_SUMMARY", raising=False)
        yield
