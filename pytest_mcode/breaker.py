"""A circuit breaker: a fault that lasts ends the session, instead of marking task after task as an error."""

from __future__ import annotations

from collections.abc import Callable

from pytest_mcode._types import Status, TaskResult

#: Errors in a row after which it is asked whether server and sandbox are still there.
FEW = 5


class Breaker:
    """Looks at results in the order in which they come.

    Args:
        under_way: Tasks under way at once. Faults are quick: so many and a few more may come before the first verdict
            of a server that fails every other request.
        look: Says in a sentence what is missing of server and sandbox; empty if nothing is. It may take seconds.
    """

    def __init__(self, under_way: int, look: Callable[[], str]) -> None:
        self._most, self._look = under_way + FEW, look
        self._row = 0

    def tripped(self, result: TaskResult) -> str:
        """Count a result; why the session has to end, or empty."""
        self._row = self._row + 1 if result.status is Status.ERROR else 0
        if self._row == 0 or (self._row % FEW and self._row < self._most):
            return ""
        missing = self._look() if self._row % FEW == 0 else ""
        if missing:
            return f"stopped: {missing} When it is mended, --mcode-resume goes on with this run."
        if self._row < self._most:
            return ""
        return (
            f"stopped: {self._row} tasks in a row met an error, the last one: {result.error} When it is mended, "
            f"--mcode-resume goes on with this run."
        )
