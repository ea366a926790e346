"""Containers of instances: no network, limits, labels, and commands that end at their deadline.

The engine's client blocks, so its calls run in threads. Leaving a command early ends its container, and with it the
thread's wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import select
import socket
import tarfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_mcode._errors import SandboxError
from pytest_mcode.repositories.issue import HOME
from pytest_mcode.sandboxes.docker import HEADER, STDOUT, reason
from pytest_mcode.sandboxes.leftovers import labels, sweep

PROCESSES = 512
#: What a container's root keeps: test suites change owners and end processes.
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL")
#: Bytes kept of one command's output; whatever comes after them is read and dropped.
KEPT = 64 << 20
#: Seconds from the end of a deadline to the kill, and to where the host stops waiting.
KILL, GRACE = 5, 15
#: Exit codes of ``timeout``: stopped, and killed.
STOPPED = (124, 137)
#: How the engine names its architecture, and how images do.
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}


@dataclass(frozen=True)
class Ran:
    """What a command did.

    Attributes:
        output: Stdout, and stderr too unless it was asked for apart.
        exit_code: None if the host had to end it.
        timed_out: Whether it reached its deadline.
        seconds: Of wall time.
    """

    output: bytes
    exit_code: int | None
    timed_out: bool
    seconds: float

    @property
    def text(self) -> str:
        """The output as text."""
        return self.output.decode("utf-8", "replace")


class Engine:
    """The container engine.

    Raises:
        SandboxError: None answers.
    """

    def __init__(self) -> None:
        import docker

        try:
            self.client: Any = docker.from_env(timeout=60)
            sweep(self.client)
        except (docker.errors.DockerException, OSError) as error:
            raise SandboxError(
                f"No Docker engine answers ({reason(error)}): start Docker; instances of repositories run nowhere else."
            ) from error

    @property
    def architecture(self) -> str:
        """Of the machine that the engine runs on, as images name it."""
        with told("tell its version"):
            return ARCHITECTURES.get(self.client.version().get("Arch", ""), "x86_64")

    @contextlib.asynccontextmanager
    async def box(self, image: str, memory: str, platform: str | None = None) -> AsyncIterator[Box]:
        """A started container, which is gone afterwards."""
        made = asyncio.ensure_future(asyncio.to_thread(self._start, image, memory, platform))
        try:
            box = await asyncio.shield(made)
        except asyncio.CancelledError:
            made.add_done_callback(lambda one: None if one.exception() else one.result().kill())
            raise
        try:
            yield box
        finally:
            await asyncio.shield(asyncio.to_thread(box.kill))

    def _start(self, image: str, memory: str, platform: str | None) -> Box:
        import docker

        with told(f"start a container of {image}"):
            container = self.client.containers.create(
                image,
                ["-f", "/dev/null"],
                entrypoint=["tail"],
                user="0:0",
                init=True,
                network_mode="none",
                working_dir=HOME,
                mem_limit=memory,
                memswap_limit=memory,
                pids_limit=PROCESSES,
                cap_drop=["ALL"],
                cap_add=list(CAPABILITIES),
                security_opt=["no-new-privileges"],
                ipc_mode="private",
                oom_score_adj=500,
                log_config=docker.types.LogConfig(type="none"),
                labels=labels(),
                platform=platform,
            )
            box = Box(container)
            try:
                container.start()
            except docker.errors.APIError:
                box.kill()
                raise
        return box

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


class Box:
    """A running container of an instance."""

    def __init__(self, container: Any) -> None:
        self._container, self._gone = container, False

    async def run(self, command: Sequence[str], *, seconds: float, stderr: bool = True) -> Ran:
        """Run a command in the repository for at most ``seconds``.

        Raises:
            SandboxError: The container or its engine is gone.
        """
        try:
            return await asyncio.to_thread(self.execute, command, seconds, stderr=stderr)
        except asyncio.CancelledError:
            self.kill()
            raise

    async def write(self, path: str, data: bytes) -> None:
        """Write a file."""
        await asyncio.to_thread(self.put, path, data)

    async def out_of_memory(self) -> bool:
        """Whether the engine ended something in it for the memory it took."""
        return await asyncio.to_thread(self._out_of_memory)

    def kill(self) -> None:
        """Remove it, which ends all that runs in it."""
        import docker

        if not self._gone:
            self._gone = True
            with contextlib.suppress(docker.errors.DockerException, OSError):  # it is gone, or going
                self._container.remove(force=True, v=True)

    def execute(self, command: Sequence[str], seconds: float, *, stderr: bool = True) -> Ran:
        """What `run` does, in the thread that calls it."""
        api, started = self._container.client.api, time.monotonic()
        words = ["timeout", "-k", str(KILL), f"{seconds:g}", *command]
        with told("run a command in a container"):
            made = api.exec_create(self._container.id, words, workdir=HOME, stderr=stderr)["Id"]
            attached = api.exec_start(made, socket=True)
            stream: socket.socket = getattr(attached, "_sock", attached)
            try:
                output, whole = received(stream, started + seconds + GRACE)
            finally:
                stream.close()
                attached.close()
            code = api.exec_inspect(made)["ExitCode"] if whole else None
        if whole and code is None:
            raise SandboxError("The container of an instance was ended from outside.")
        spent = time.monotonic() - started
        late = not whole or (code in STOPPED and spent >= seconds)
        return Ran(output, code, late, spent)

    def put(self, path: str, data: bytes) -> None:
        """What `write` does, in the thread that calls it."""
        packed, about = io.BytesIO(), tarfile.TarInfo(path.lstrip("/"))
        about.size, about.mtime = len(data), int(time.time())
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.addfile(about, io.BytesIO(data))
        with told("write a file into a container"):
            self._container.put_archive("/", packed.getvalue())

    def _out_of_memory(self) -> bool:
        with told("tell of a container"):
            self._container.reload()
        return bool(self._container.attrs["State"].get("OOMKilled"))


def received(stream: socket.socket, until: float) -> tuple[bytes, bool]:
    """What comes until the stream ends, and whether it ended in time; pieces are those of `sandboxes.docker`."""
    output, raw = bytearray(), bytearray()
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([stream], [], [], left)[0]:
            return bytes(output), False
        data = stream.recv(1 << 17)
        if not data:
            return bytes(output), True
        raw += data
        while len(raw) >= HEADER and len(raw) >= HEADER + (size := int.from_bytes(raw[4:HEADER], "big")):
            if raw[0] >= STDOUT and len(output) < KEPT:
                output += raw[HEADER : HEADER + size]
            del raw[: HEADER + size]


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """Say in one sentence what the engine could not do."""
    import docker

    try:
        yield
    except docker.errors.ImageNotFound as error:
        raise SandboxError(f"The engine could not {what}: it does not have the image any more.") from error
    except docker.errors.APIError as error:
        raise SandboxError(f"The engine could not {what}: {reason(error)}.") from error
    except (docker.errors.DockerException, OSError) as error:
        raise SandboxError(f"The Docker engine does not answer any more: {reason(error)}.") from error
