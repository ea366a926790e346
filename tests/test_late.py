"""A sandbox that is opened in a thread, beside the first generations."""

from __future__ import annotations

import asyncio
import threading

import pytest

from pytest_mcode._errors import SandboxError
from pytest_mcode._types import Execution, Program, Sandbox
from pytest_mcode.sandboxes.late import Late


class Instant:
    isolation = "none"
    closed = False

    async def check(self) -> None:
        """Nothing to look at."""

    async def run(self, program: Program, *, timeout: float) -> Execution:
        return Execution(passed=True, stdout=f"{program.tests} within {timeout:g}")

    async def aclose(self) -> None:
        self.closed = True


def test_programs_wait_for_a_sandbox_that_is_still_opening() -> None:
    async def scenario() -> list[str]:
        gate = threading.Event()
        opened: list[Sandbox] = []

        def opening() -> Sandbox:
            gate.wait(5)
            opened.append(Instant())
            return opened[-1]

        late = Late(opening)
        runs = [asyncio.ensure_future(late.run(Program("", name), timeout=1)) for name in ("a", "b")]
        await asyncio.sleep(0.05)
        assert not any(run.done() for run in runs)
        gate.set()
        outputs = [(await run).stdout for run in runs]
        await late.aclose()
        assert [sandbox.closed for sandbox in opened if isinstance(sandbox, Instant)] == [True]
        return outputs

    assert asyncio.run(scenario()) == ["a within 1", "b within 1"]


def test_an_opening_that_failed_is_tried_again_by_the_next_program() -> None:
    async def scenario() -> None:
        answers: list[SandboxError | Instant] = [SandboxError("No engine answers."), Instant()]

        def opening() -> Sandbox:
            answer = answers.pop(0)
            if isinstance(answer, SandboxError):
                raise answer
            return answer

        late = Late(opening)
        with pytest.raises(SandboxError, match="No engine answers"):
            await late.run(Program("", ""), timeout=1)
        assert (await late.run(Program("", "again"), timeout=1)).stdout == "again within 1"
        await late.aclose()

    asyncio.run(scenario())


def test_closing_after_a_failed_opening_is_quiet() -> None:
    async def scenario() -> None:
        def opening() -> Sandbox:
            raise SandboxError("No engine answers.")

        await Late(opening).aclose()

    asyncio.run(scenario())
