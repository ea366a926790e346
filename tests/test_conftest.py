"""The project's own rules for its test sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

RULES = Path(__file__).parents[1] / "conftest.py"


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A directory under the same rules, as CI sees it."""
    monkeypatch.setenv("CI", "true")
    pytester.makeconftest(RULES.read_text())
    return pytester


@pytest.mark.parametrize("workers", [0, 1])
def test_a_skipped_test_fails_the_session_under_ci(project: pytest.Pytester, workers: int) -> None:
    project.makepyfile("import pytest\ndef test_it(): pytest.skip('no engine')\ndef test_other(): pass")
    result = project.runpytest_subprocess("-n", str(workers))
    result.assert_outcomes(skipped=1, passed=1)
    result.stdout.fnmatch_lines(["*skipped, which CI does not allow*", "*::test_it: no engine"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_module_that_skips_itself_fails_the_session_under_ci(project: pytest.Pytester) -> None:
    project.makepyfile("import pytest\npytest.importorskip('no_such_module')")
    result = project.runpytest_subprocess()
    result.stdout.fnmatch_lines(["*skipped, which CI does not allow*", "*could not import 'no_such_module'*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("reason", ["platform: macOS only", "data: no data sets"])
def test_a_skip_that_no_installation_can_change_is_allowed_under_ci(project: pytest.Pytester, reason: str) -> None:
    project.makepyfile(f"import pytest\n@pytest.mark.skip(reason={reason!r})\ndef test_it(): pass")
    result = project.runpytest_subprocess()
    result.assert_outcomes(skipped=1)
    assert result.ret == pytest.ExitCode.OK


def test_an_expected_failure_is_no_skip(project: pytest.Pytester) -> None:
    project.makepyfile("import pytest\n@pytest.mark.xfail\ndef test_it(): assert False")
    result = project.runpytest_subprocess()
    result.assert_outcomes(xfailed=1)
    assert result.ret == pytest.ExitCode.OK


def test_outside_ci_a_skip_is_a_skip(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI")
    project.makepyfile("import pytest\ndef test_it(): pytest.skip('no engine')")
    assert project.runpytest_subprocess().ret == pytest.ExitCode.OK


def test_without_a_container_engine_a_session_ends_as_any_other(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{project.path}/no.sock")
    project.makeini("[pytest]\nfilterwarnings = error")
    project.makepyfile("def test_it(): pass")
    result = project.runpytest_subprocess()
    assert (result.ret, result.stderr.lines) == (pytest.ExitCode.OK, [])


LEAVES_A_CONTAINER = """
import os, docker

def test_it():
    labels = {{"mcode.sandbox": "1", "mcode.pid": str(os.{owner}()), "test": "{mark}"}}
    client = docker.from_env(version="auto")
    client.containers.create("{image}", ["python3"], network_mode="none", labels=labels)
    client.close()
"""


@pytest.fixture
def leaver(project: pytest.Pytester, docker_image: str) -> Iterator[Callable[[str], pytest.RunResult]]:
    """Runs a session that leaves a container behind, in the name of the process that a function of `os` gives."""
    mark = project.path.name

    def run(owner: str) -> pytest.RunResult:
        project.makepyfile(LEAVES_A_CONTAINER.format(image=docker_image, owner=owner, mark=mark))
        result = project.runpytest_subprocess()
        result.assert_outcomes(passed=1)
        return result

    yield run
    client = docker.from_env(version="auto")
    for container in client.containers.list(all=True, filters={"label": f"test={mark}"}):
        container.remove(force=True)
    client.close()


def test_a_container_left_behind_fails_the_session(leaver: Callable[[str], pytest.RunResult]) -> None:
    result = leaver("getpid")
    result.stdout.fnmatch_lines(["*containers left behind*", "*mcode.sandbox*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_container_of_a_session_that_still_runs_is_none_of_ours(leaver: Callable[[str], pytest.RunResult]) -> None:
    assert leaver("getppid").ret == pytest.ExitCode.OK
