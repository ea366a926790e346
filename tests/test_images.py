"""Images of instances: pulled from a registry on this machine, built, told, refused and removed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_mcode._errors import McodeError
from pytest_mcode.repositories.boxes import Engine
from pytest_mcode.repositories.images import Image, Images
from pytest_mcode.repositories.issue import Issue
from pytest_mcode.settings import Settings
from tests.registry import Registry

NAME = f"mine-{os.getpid()}/sweb.eval.x86_64.toy_1776_calc-1"


@pytest.fixture(scope="module")
def engine(docker_image: str) -> Iterator[Engine]:  # noqa: ARG001 - one answers
    engine = Engine()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def registry(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Holds an image with one small layer."""
    image = engine.client.images.build(path=str(scratch(tmp_path_factory.mktemp("image"))), rm=True)[0]
    with Registry(tmp_path_factory.mktemp("registry")) as running:
        running.hold(NAME, image)
        engine.client.images.remove(image.id, force=True)
        yield running


def scratch(place: Path) -> Path:
    (place / "Dockerfile").write_text(f"FROM scratch\nCOPY Dockerfile /{place.name}\n")
    return place


def issue(registry: Registry | None = None, name: str = NAME, task: str = "toy__calc-1") -> Issue:
    image = f"{registry.address}/{name}:latest" if registry else f"{name}:latest"
    return Issue(task, "", image, "", "", "", {})


def images(engine: Engine, **options: Any) -> Images:
    return Images(engine, Settings(disk_floor=0.0, **options))


def refusal(found: Images, wanted: Issue) -> str:
    with pytest.raises(McodeError) as caught:
        found.have(wanted)
    return str(caught.value)


def test_an_image_is_pulled_once_and_removed_by_who_pulled_it(engine: Engine, registry: Registry) -> None:
    found, wanted = images(engine), issue(registry)
    assert found.here(wanted) is None
    assert found.needed([wanted], 3).startswith("1 image, 1 to be fetched: about 0.5 GB")
    pulled = found.have(wanted)
    assert (pulled, found.have(wanted)) == (Image(wanted.image, ours=True), Image(wanted.image, ours=False))
    assert found.needed([wanted], 3).startswith("1 image, all there")
    found.remove(Image(wanted.image, ours=False))
    assert found.here(wanted) == wanted.image
    found.remove(pulled)
    assert found.here(wanted) is None


def test_a_namespace_takes_the_image_from_elsewhere(engine: Engine, registry: Registry) -> None:
    found = images(engine, namespace=f"{registry.address}/mine-{os.getpid()}")
    pulled = found.have(issue(name="swebench/sweb.eval.x86_64.toy_1776_calc-1"))
    assert pulled == Image(f"{registry.address}/{NAME}:latest", ours=True)
    found.remove(pulled)


def test_an_image_that_the_registry_does_not_have_is_told(engine: Engine, registry: Registry) -> None:
    told = refusal(images(engine), issue(registry, "other/none"))
    assert told == (
        f"There is no image {registry.address}/other/none:latest for instance toy__calc-1: is --mcode-namespace right?"
    )


def test_an_instance_without_an_image_for_the_architecture_is_told(engine: Engine, registry: Registry) -> None:
    found = images(engine, arch="arm64")
    assert found.names(issue(registry)) == [f"{registry.address}/{NAME.replace('x86_64', 'arm64')}:latest"]
    assert refusal(found, issue(registry)).startswith("Instance toy__calc-1 has no image for arm64 (")


def test_a_registry_s_limit_is_told(engine: Engine, registry: Registry) -> None:
    registry.refusing = 429
    try:
        told = refusal(images(engine), issue(registry))
    finally:
        registry.refusing = 0
    assert told.startswith("The registry gives out no more images for now (")


def test_a_registry_that_cannot_be_reached_is_told(engine: Engine) -> None:
    assert refusal(images(engine), issue(name="127.0.0.1:9/a/b")).endswith("is the registry reachable?")


def test_nothing_is_pulled_below_the_floor(engine: Engine, registry: Registry) -> None:
    found = Images(engine, Settings(disk_floor=900_000.0))
    asked = list(registry.pulled)
    assert "and 900000 are to stay free: make room" in refusal(found, issue(registry))
    assert registry.pulled == asked


def test_with_an_empty_namespace_only_local_images_are_taken(engine: Engine, registry: Registry) -> None:
    asked = list(registry.pulled)
    found = images(engine, namespace="")
    assert found.names(issue(name="swebench/sweb.eval.x86_64.a_1776_b-1", task="a__b-1")) == [
        "swebench/sweb.eval.x86_64.a_1776_b-1:latest",
        "sweb.eval.x86_64.a_1776_b-1:latest",
        "sweb.eval.x86_64.a__b-1:latest",
    ]
    assert "with an empty --mcode-namespace none is pulled: build it" in refusal(found, issue(registry))
    assert registry.pulled == asked


#: Stands in for Docker's command line, which this machine may have without buildx.
BUILDX = """\
#!/bin/sh
[ "$2" = version ] && exit 0
echo "$@" > {place}/asked
echo building {status}
exit {status}
"""


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    place = tmp_path / "repo" / "tasks" / "toy__calc-1"
    place.mkdir(parents=True)
    (place / "Dockerfile").write_text("FROM scratch\n")
    return tmp_path / "repo"


def buildx(place: Path, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "bin").mkdir()
    (place / "bin" / "docker").write_text(BUILDX.format(place=place, status=status))
    (place / "bin" / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}")


def test_a_missing_image_is_built_by_swebench_s_own_builder(
    engine: Engine, tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buildx(tmp_path, 0, monkeypatch)
    found = images(engine, namespace="", task_repo=str(tasks)).have(issue())
    assert found == Image("sweb.eval.x86_64.toy__calc-1:latest", ours=True)
    asked = (tmp_path / "asked").read_text().split()
    assert asked[:4] == ["buildx", "build", "--platform=linux/amd64", "--tag=sweb.eval.x86_64.toy__calc-1:latest"]
    assert asked[-1] == str(tasks / "tasks" / "toy__calc-1")


def test_a_build_that_fails_is_told_with_its_log(
    engine: Engine, tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buildx(tmp_path, 3, monkeypatch)
    told = refusal(images(engine, namespace="", task_repo=str(tasks)), issue())
    assert told.startswith("The image of toy__calc-1 could not be built (")
    assert told.endswith("Docker buildx failed with exit code 3).")


@pytest.mark.parametrize(
    ("task", "message"), [("toy__calc-2", "tasks/toy__calc-2/Dockerfile: --mcode-task-repo must be")]
)
def test_a_task_repository_without_the_instance_is_told(engine: Engine, tasks: Path, task: str, message: str) -> None:
    assert message in refusal(images(engine, namespace="", task_repo=str(tasks)), issue(task=task))


def test_many_images_are_counted_at_once_where_they_are_pruned(engine: Engine) -> None:
    wanted = [issue(name=f"none-{os.getpid()}/x{number}") for number in range(10)]
    assert images(engine).needed(wanted, 3).startswith("10 images, 10 to be fetched: about 5.0 GB")
    pruned = images(engine, prune=True).needed(wanted, 3)
    assert pruned.startswith("10 images, 10 to be fetched, at most 3 of them at once: about 1.5 GB")
