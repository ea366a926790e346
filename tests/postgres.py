"""A real PostgreSQL server of the system's package, in a directory of its own, which can be stopped and started."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
#: What is committed must outlive the server, but not the machine: it need not be on the disk.
OPTIONS = ("fsync=off", "shared_buffers=16MB", "max_connections=60")


def binaries() -> Path:
    """Where the server's programs are: the newest of those that Debian keeps apart, or on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name))
    if found:
        return found[-1]
    command = shutil.which("initdb")
    if command is None:
        pytest.skip("no PostgreSQL server is installed (on Debian: apt install postgresql)")
    return Path(command).resolve().parent


class Server:
    """The server; it listens on one port of the loopback interface as long as this object is used."""

    def __init__(self, place: Path) -> None:
        self._programs, self._place, self._data = binaries(), place, place / "data"
        if os.geteuid() == 0:  # which the server refuses to be
            shutil.chown(place, "postgres")
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._run("initdb", "--auth=trust", f"--username={getpass.getuser()}", "--encoding=UTF8", "--no-sync")
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -k {self._place} -c listen_addresses=127.0.0.1 "
        options += " ".join(f"-c {option}" for option in OPTIONS)
        self._run("pg_ctl", "start", "--wait", f"--options={options}", f"--log={self._place / 'log'}")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: ``fast`` ends its sessions, ``immediate`` is a crash."""
        self._run("pg_ctl", "stop", "--wait", f"--mode={mode}")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), f"--pgdata={self._data}", *arguments]
        user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, cwd="/", **user)  # type: ignore[call-overload]

    def url(self, database: str) -> str:
        """The address of a database; the server lets everybody in."""
        return f"postgresql://127.0.0.1:{self.port}/{database}"

    def new(self) -> str:
        """The address of a new database."""
        name = f"mcode_{uuid.uuid4().hex}"
        change(self.url("postgres"), f"CREATE DATABASE {name}")
        return self.url(name)


@contextmanager
def running() -> Iterator[Server]:
    """A server for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="mcode-pg-") as place:  # short: a socket's path is
        server = Server(Path(place))
        try:
            yield server
        finally:
            server.stop("immediate")


class Relay:
    """Stands between a client and the server, and is a bad network when it is told to.

    Args:
        port: Where the server listens.
    """

    def __init__(self, port: int) -> None:
        self._port, self._cut, self._swallowing = port, False, False
        self.swallowed = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []  # client, server, client, server …
        self._muted: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def leading_to(self, url: str) -> str:
        """The address of the same database by way of this relay."""
        return url.replace(f":{self._port}/", f":{self._listening.getsockname()[1]}/")

    def swallow_next_commit(self) -> None:
        """Let the server commit once, and break the connection instead of passing on its answer."""
        self._swallowing = True

    def cut(self) -> None:
        """Break all connections, and let no new ones through."""
        self._cut = True
        self._break(*self._open)

    def mend(self) -> None:
        """Let connections through again."""
        self._cut = False

    def close(self) -> None:
        """Break all connections, and listen no more."""
        self._listening.close()
        self._break(*self._open)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                if self._cut:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._port))
                self._open += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if self._swallowing and b"COMMIT" in data and source in self._open[::2]:
                    self._swallowing = False
                    self._muted.add(source)
                if target in self._muted:  # the server has answered: it has committed
                    self.swallowed += 1
                    break
                target.sendall(data)
        self._break(source, target)

    @staticmethod
    def _break(*sockets: socket.socket) -> None:
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def is_server(address: str) -> bool:
    """Whether an address is of a server, not of a file."""
    return re.match(r"postgres\w*:", address) is not None


def select(address: str, query: str) -> list[Any]:
    """The rows that a query finds, by the driver alone."""
    import psycopg

    with closing(psycopg.connect(address, autocommit=True)) as connection:
        return connection.execute(query.encode()).fetchall()


def change(address: str, *statements: str) -> None:
    """Execute statements, by the driver alone."""
    import psycopg

    with closing(psycopg.connect(address, autocommit=True)) as connection:
        for statement in statements:
            connection.execute(statement.encode())
