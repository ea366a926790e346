"""A database as the store uses it: one transaction after the other, each tried again where its connection was lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa
import tenacity

from pytest_mcode._dialects import dialect_of
from pytest_mcode._errors import StoreError
from pytest_mcode._tables import migrate, version_of

T = TypeVar("T")
Work = Callable[[sa.Connection], T]


class AbsentError(StoreError):
    """A database that must be there already, and is not."""


def _silent(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Patience:
    """How long a server is tried again; a file never is.

    Attributes:
        first: Seconds, where it was not reached yet.
        again: Seconds, where its connection was lost.
        told: Takes a sentence when it is tried again, and when it is back.
    """

    first: float = 0.0
    again: float = 300.0
    told: Callable[[str], None] = _silent


class Database:
    """A database whose tables are made on first use.

    What is given to `read` and `write` is called again after a lost connection, also if only the answer to its commit
    was lost: it must come to the same when it is done twice.

    Args:
        address: A SQLite file, or the URL of a database of PostgreSQL.
        patience: How long a server is tried again.

    Raises:
        StoreError: It cannot be used; the message names it and the cause. So for all that follows.
    """

    def __init__(self, address: str, patience: Patience) -> None:
        self.dialect = dialect_of(address)
        self._patience, self._reached = patience, False
        with self._errors():
            self._engine = self.dialect.engine()

    def prepare(self, migrations: Sequence[Sequence[str]], *, making: bool = True) -> None:
        """Bring the tables up to date, unless they are; ``making`` also makes them where there are none."""
        shown = self.dialect.shown
        if making:
            with self._errors():
                self.dialect.make_place()
        version = self.read(lambda connection: version_of(connection, shown)) if making or self.is_there() else 0
        if version == 1 + len(migrations):
            return
        if not version and not making:
            raise AbsentError(
                f"There is no results database {shown}: run 'mcode bench' first, or name one with --mcode-db."
            )
        self.write(lambda connection: self._migrate(connection, migrations))
        with self._errors(), self._engine.connect() as connection:
            self.dialect.settle(connection)

    def is_there(self) -> bool:
        """Whether there is anything to connect to, as far as that is known without."""
        return self.dialect.is_there()

    def rehearse(self, migrations: Sequence[Sequence[str]]) -> None:
        """See whether the tables can be made and written, and leave all as it is."""
        with self._errors(), self._engine.connect() as connection:
            self.dialect.begin(connection)
            self._migrate(connection, migrations)
            connection.rollback()

    def _migrate(self, connection: sa.Connection, migrations: Sequence[Sequence[str]]) -> None:
        self.dialect.lock(connection, "tables")  # one process at a time
        migrate(connection, self.dialect.shown, migrations, self.dialect.triggers)

    def read(self, work: Work[T]) -> T:
        """What one connection reads."""

        def once() -> T:
            with self._engine.connect() as connection:
                return work(connection)

        return self._kept(once)

    def look(self, work: Work[T]) -> T:
        """What one connection reads, all of the same state, whoever writes in between."""

        def whole(connection: sa.Connection) -> T:
            self.dialect.look(connection)
            return work(connection)

        return self.read(whole)

    def write(self, work: Work[T]) -> T:
        """One transaction, all of it or nothing; another writer is waited for."""

        def once() -> T:
            with self._engine.begin() as connection:
                self.dialect.begin(connection)
                return work(connection)

        return self._kept(once)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that many rows are read from while they are asked for; it is not tried again."""
        with self._errors(), self._engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _kept(self, once: Callable[[], T]) -> T:
        started, seconds = time.monotonic(), self._patience.again if self._reached else self._patience.first
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._is_passing),
            stop=tenacity.stop_after_delay(seconds),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=5),  # many shards do not come back at once
            before_sleep=lambda state: self._tell(state, seconds),
            reraise=True,
        )
        with self._errors():
            done = retrying(once)
        if retrying.statistics["attempt_number"] > 1:
            self._patience.told(f"{self.dialect.shown} is back after {time.monotonic() - started:.0f} s")
        self._reached = True
        return done

    def _is_passing(self, error: BaseException) -> bool:
        return isinstance(error, Exception) and self.dialect.is_passing(error, reached=self._reached)

    def _tell(self, state: tenacity.RetryCallState, seconds: float) -> None:
        error = state.outcome.exception() if state.outcome else None
        if state.attempt_number == 1 and error is not None:
            shown = self.dialect.shown
            self._patience.told(f"{shown} does not answer ({_cause(error)}): trying again for {seconds:.0f} s")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise StoreError(
                f"The results database {self.dialect.shown} cannot be used ({_cause(error)}): {self.dialect.advice}."
            ) from error


def _cause(error: BaseException) -> str:
    """What the driver says, in one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split())
