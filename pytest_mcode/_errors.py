"""Every error mCode raises on purpose. A message says what happened, why, and what to do next.

McodeError
├── UsageError           an option, a name or a combination that cannot be meant
├── DataError            a data set that cannot be loaded, or is not what it should be
├── StoreError           a database that cannot be read or written
└── InfrastructureError  the fault of neither the user's input nor the model: never counted as a failure
    ├── ModelError       the model server: unreachable, refused, cut off, empty
    └── SandboxError     the sandbox: no engine, no image, no Python, broken protocol
"""

from __future__ import annotations


class McodeError(Exception):
    """Base of all errors below; its text is shown to the user as it stands."""


class UsageError(McodeError):
    """An option, a name or a combination of options that cannot be meant."""


class DataError(McodeError):
    """A data set that cannot be loaded, or is not what it should be."""


class StoreError(McodeError):
    """A results database that cannot be read or written."""


class InfrastructureError(McodeError):
    """The fault of anything but the model: the attempt's verdict is ``error``."""


class ModelError(InfrastructureError):
    """The model server did not answer, or what it sent is no answer of the model.

    Attributes:
        passing: Whether the same request may succeed a little later.
        busy: Whether the server refused it because it has too many.
    """

    def __init__(self, message: str, *, passing: bool = False, busy: bool = False) -> None:
        super().__init__(message)
        self.passing, self.busy = passing, busy


class SandboxError(InfrastructureError):
    """The sandbox could not execute the program."""
