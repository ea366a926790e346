"""What SQLite and PostgreSQL do differently: how they are opened, how writers wait, what they lack of each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from pytest_mcode import _url
from pytest_mcode._errors import StoreError

Texts = sa.ColumnElement[Any]
_STALE = "UPDATE results SET verdicts = NULL WHERE run_id = {0}.run_id AND task_id = {0}.task_id"
_STALE += " AND verdicts IS NOT NULL;"
#: Seconds until a writer is waited for no longer, and until the transaction of a client that is gone is ended.
WAIT, IDLE = 60, 60
#: How the driver connects: a network that is silent for half a minute counts as lost.
CONNECTION = {
    "application_name": "mcode",
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "prepare_threshold": None,  # a pooler may hand each transaction to another process of the server
}
#: The classes and codes of errors after which the same transaction may succeed: the connection, a conflict of two
#: transactions, a server that goes down or comes up, too many clients, a lock that was waited for in vain.
PASSING = ("08", "40", "57P", "53300", "55P03", "25P03")
#: How a server that answers, but not to us, puts it when that will pass.
STARTING = ("starting up", "shutting down", "in recovery", "too many", "connection slots", "not yet accepting")


class Dialect(Protocol):
    """What the store needs to know of a kind of database.

    Attributes:
        shown: Its address without what logs in, for messages.
        advice: What to do where it cannot be used.
        triggers: The statements that take a tally off its task when somebody changes attempts by hand.
        copying: The statements that let this connection alone see a copy of the results, and change it.
    """

    shown: str
    advice: str
    triggers: Sequence[str]
    copying: Sequence[str]

    def engine(self) -> sa.Engine:
        """What connects when it is first needed."""
        ...

    def make_place(self) -> None:
        """Make what a new database needs around it."""
        ...

    def is_there(self) -> bool:
        """Whether there is anything to connect to, as far as that is known without."""
        ...

    def begin(self, connection: sa.Connection) -> None:
        """Begin a transaction that writes."""
        ...

    def look(self, connection: sa.Connection) -> None:
        """Begin a transaction whose queries all see the same state."""
        ...

    def lock(self, connection: sa.Connection, *names: str) -> None:
        """Let one transaction at a time go on under these names."""
        ...

    def settle(self, connection: sa.Connection) -> None:
        """Set up what a database keeps, once it has its tables."""
        ...

    def array(self, column: sa.ColumnElement[Any], order: sa.ColumnElement[Any]) -> Texts:
        """The column's values as one JSON array."""
        ...

    def text(self, text: str) -> str:
        """The text as this database can hold it."""
        ...

    def is_passing(self, error: Exception, *, reached: bool) -> bool:
        """Whether the same may succeed a little later; ``reached`` is whether the database ever answered."""
        ...


class SQLite:
    """A file."""

    advice = "name another file with --mcode-db"
    triggers: Sequence[str] = tuple(
        f"CREATE TRIGGER IF NOT EXISTS attempts_{event.lower()} AFTER {event} ON attempts BEGIN "
        f"{' '.join(map(_STALE.format, rows))} END"
        for event, rows in (("INSERT", ("new",)), ("UPDATE", ("old", "new")), ("DELETE", ("old",)))
    )
    copying: Sequence[str] = (
        "BEGIN",
        "CREATE TEMP TABLE results AS SELECT * FROM main.results",
        "CREATE INDEX temp.results_by_task ON results (run_id, task_id)",
    )

    def __init__(self, path: str) -> None:
        self.shown, self._file = path, Path(path).expanduser()

    def engine(self) -> sa.Engine:
        made = sa.create_engine(sa.URL.create("sqlite", database=str(self._file)))
        sa.event.listen(made, "connect", _set_up_sqlite)
        return made

    def make_place(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)

    def is_there(self) -> bool:
        return self._file.is_file()

    def begin(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def look(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    def lock(self, connection: sa.Connection, *names: str) -> None:
        """Nothing: who writes is alone."""

    def settle(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")  # lets readers in while a run writes

    def array(self, column: sa.ColumnElement[Any], order: sa.ColumnElement[Any]) -> Texts:  # noqa: ARG002
        return sa.func.json_group_array(column)  # in the order of the primary key, by which the rows are grouped

    def text(self, text: str) -> str:
        return text

    def is_passing(self, error: Exception, *, reached: bool) -> bool:  # noqa: ARG002
        return False  # the driver itself has waited for other writers


class PostgreSQL:
    """A server's database, by URL."""

    advice = "see that its server runs and lets you in, or name another database with --mcode-db"
    triggers: Sequence[str] = (
        (
            "CREATE OR REPLACE FUNCTION mcode_stale() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF TG_OP <> 'INSERT' THEN {_STALE.format('OLD')} END IF; "
            f"IF TG_OP <> 'DELETE' THEN {_STALE.format('NEW')} END IF; "
            "RETURN NULL; END $$"
        ),
        "DROP TRIGGER IF EXISTS attempts_stale ON attempts",
        (
            "CREATE TRIGGER attempts_stale AFTER INSERT OR UPDATE OR DELETE ON attempts "
            "FOR EACH ROW EXECUTE FUNCTION mcode_stale()"
        ),
    )
    copying: Sequence[str] = (
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "CREATE TEMP TABLE results ON COMMIT DROP AS SELECT * FROM results",
        "CREATE INDEX ON results (run_id, task_id)",
    )

    def __init__(self, address: str) -> None:
        self.shown, self._address = _url.shown(address), address

    def engine(self) -> sa.Engine:
        try:
            return sa.create_engine(self._url(), pool_size=1, max_overflow=4, connect_args=CONNECTION)
        except ImportError:
            raise StoreError(
                f"{self.shown} needs the driver of PostgreSQL, which is not installed: "
                f"pip install 'pytest-mcode[postgres]'."
            ) from None

    def _url(self) -> sa.URL:
        try:
            url = sa.make_url(f"postgresql+psycopg://{self._address.partition('://')[2]}")
            understood = "@" not in f"{url.host or ''}{url.database or ''}" and url.port != 0
        except (ValueError, sa.exc.ArgumentError):  # what they say may show a password
            understood = False
        if not understood:
            raise StoreError(
                f"{self.shown} cannot be understood: name a database as postgresql://USER@HOST:PORT/DATABASE, "
                f"with %40 for @, %3A for : and %2F for / in a password."
            ) from None
        return url

    def make_place(self) -> None:
        """Nothing: a database is made by who runs the server."""

    def is_there(self) -> bool:
        return True

    def begin(self, connection: sa.Connection) -> None:
        times = f"SET LOCAL lock_timeout = '{WAIT}s'; SET LOCAL idle_in_transaction_session_timeout = '{IDLE}s'"
        connection.exec_driver_sql(times)

    def look(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")

    def lock(self, connection: sa.Connection, *names: str) -> None:
        key = sa.func.hashtextextended(json.dumps(["mcode", *names]), 0)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))

    def settle(self, connection: sa.Connection) -> None:
        """Nothing."""

    def array(self, column: sa.ColumnElement[Any], order: sa.ColumnElement[Any]) -> Texts:
        return sa.cast(sa.func.json_agg(aggregate_order_by(column, order)), sa.Text)

    def text(self, text: str) -> str:
        return text.replace("\0", "\\x00")  # the only character that it does not take

    def is_passing(self, error: Exception, *, reached: bool) -> bool:
        if not isinstance(error, sa.exc.DBAPIError):
            return False
        code = getattr(error.orig, "sqlstate", None)
        if code is not None:
            return str(code).startswith(PASSING)
        if not isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
            return error.connection_invalidated
        told = str(error.orig)  # no code: there was no connection, or it broke
        return reached or "FATAL:" not in told or any(words in told for words in STARTING)


def dialect_of(address: str) -> Dialect:
    """The kind of database that an address or a path names.

    Raises:
        UsageError: It is the address of something else.
    """
    return PostgreSQL(_url.database(address)) if "://" in address else SQLite(address)


def _set_up_sqlite(connection: Any, _: object) -> None:
    """NORMAL is safe with WAL against all but a power cut."""
    connection.isolation_level = None  # transactions are begun by us: the driver's own leave out changes of tables
    for pragma in ("busy_timeout=30000", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
