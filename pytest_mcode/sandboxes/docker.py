"""The docker sandbox: the supervisor as PID 1 of a warm container, with no network and nothing of the host in it."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

from pytest_mcode._errors import SandboxError
from pytest_mcode.sandboxes.leftovers import labels, sweep
from pytest_mcode.sandboxes.levels import PLACES
from pytest_mcode.sandboxes.process import resource_limits
from pytest_mcode.sandboxes.sending import ARGUMENTS, Place

MEMORY = 1 << 29
PROCESSES = 64
#: Bytes of a header that the engine puts before each piece of the attached streams.
HEADER = 8
STDOUT = 1


class DockerHome:
    """Sandboxes are containers of one image.

    Args:
        image: Any image with ``python3``, 3.8 or newer.

    Raises:
        SandboxError: No engine answers.
    """

    isolation = (
        "a container without network or capabilities beyond changing and ending the programs' own users, "
        "read-only, with memory, process and file limits"
    )
    place = Place(alone=True, writable=PLACES, many_uids=True)

    def __init__(self, image: str) -> None:
        import docker

        self._image = image
        try:
            self._client = docker.from_env(timeout=30)
            sweep(self._client)
        except (docker.errors.DockerException, OSError) as error:
            raise SandboxError(
                f"No Docker engine answers ({reason(error)}): start Docker, or use --mcode-sandbox=process, "
                f"whose isolation depends on the machine."
            ) from error

    def limits(self, timeout: float) -> dict[str, int]:
        """What one program may use, within the container's own limits."""
        return {**resource_limits(timeout, MEMORY), "NPROC": PROCESSES}

    def start(self) -> DockerLink:
        """Start a container."""
        import docker

        with self._told():
            container = self._client.containers.create(
                self._image,
                list(ARGUMENTS),
                entrypoint=["python3"],
                stdin_open=True,
                auto_remove=True,
                init=False,
                user="0:0",
                working_dir="/",
                network_mode="none",
                read_only=True,
                tmpfs={"/tmp": "rw,nosuid,nodev,size=64m,nr_inodes=4k,mode=1777"},  # noqa: S108 - the container's
                shm_size="16m",
                cap_drop=["ALL"],
                cap_add=["SETUID", "SETGID", "KILL"],
                security_opt=["no-new-privileges"],
                pids_limit=PROCESSES + 16,
                mem_limit=MEMORY,
                memswap_limit=MEMORY,
                nano_cpus=10**9,
                ipc_mode="private",
                oom_score_adj=500,
                log_config=docker.types.LogConfig(type="none"),
                ulimits=[docker.types.Ulimit(name="core", soft=0, hard=0)],
                environment={"LANG": "C.UTF-8"},
                labels=labels(),
            )
            link = DockerLink(container)
            try:
                container.start()
            except docker.errors.APIError:
                link.kill()
                raise
        return link

    def accept(self, hello: dict[str, Any]) -> None:
        """See that it is alone in there, and that there is no network."""
        if hello["pid"] != 1:
            raise SandboxError(f"The engine started the sandbox as process {hello['pid']}, not 1: is an init forced?")
        if hello["interfaces"] not in ([], ["lo"]):
            raise SandboxError(f"The sandbox has a network ({', '.join(hello['interfaces'])}), which it must not have.")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Say in one sentence why a container did not start."""
        import docker

        try:
            yield
        except docker.errors.ImageNotFound as error:
            raise SandboxError(
                f"The engine does not have the image {self._image}: 'docker pull {self._image}', or name one that it "
                f"has with --mcode-image (any with Python 3.8 or newer)."
            ) from error
        except docker.errors.APIError as error:
            if "executable file not found" in str(error) or "no such file" in str(error):
                raise SandboxError(
                    f"The image {self._image} has no python3: name another with --mcode-image."
                ) from error
            raise SandboxError(f"The engine could not start a container of {self._image}: {reason(error)}.") from error
        except (docker.errors.DockerException, OSError) as error:
            raise SandboxError(f"The Docker engine does not answer any more: {reason(error)}.") from error


def reason(error: Exception) -> str:
    """An error of the engine in one line."""
    return " ".join(str(getattr(error, "explanation", None) or error).split())[:300]


class DockerLink:
    """The attached streams of a container."""

    def __init__(self, container: Any) -> None:
        self._container = container
        parameters = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        self._attached = container.attach_socket(params=parameters)
        self._socket: socket.socket = getattr(self._attached, "_sock", self._attached)
        self._raw = bytearray()
        self._words = bytearray()
        self._killed = False

    def send(self, data: bytes) -> None:
        """Write to the container's stdin."""
        self._socket.settimeout(None)
        self._socket.sendall(data)

    def receive(self, seconds: float) -> bytes:
        """Read from the container's stdout; its stderr is kept apart."""
        until = time.monotonic() + seconds
        while True:
            self._socket.settimeout(max(0.001, until - time.monotonic()))
            data = self._socket.recv(1 << 18)
            if not data:
                return b""
            self._raw += data
            out = self._split()
            if out:
                return out

    def allow(self, memory: int) -> None:
        """Raise the container's limit, with room for the supervisor."""
        import docker

        if memory <= MEMORY:
            return
        most = memory + MEMORY // 2
        try:
            self._container.update(mem_limit=most, memswap_limit=most)
        except docker.errors.APIError as error:
            raise OSError(f"the engine does not allow it {memory >> 20} MB: {reason(error)}") from error

    def last_words(self) -> str:
        """The container's stderr so far."""
        return self._words.decode("utf-8", "replace")

    def kill(self) -> None:
        """Remove the container, which ends it."""
        if self._killed:
            return
        self._killed = True
        import docker

        with contextlib.suppress(docker.errors.DockerException, OSError):  # it is gone, or going
            self._container.remove(force=True)
        with contextlib.suppress(OSError):
            self._socket.close()
            self._attached.close()

    def _split(self) -> bytes:
        """Take whole pieces apart: a byte that names the stream, three of padding, four of length, the piece."""
        out = bytearray()
        while len(self._raw) >= HEADER:
            size = int.from_bytes(self._raw[4:HEADER], "big")
            if len(self._raw) < HEADER + size:
                break
            piece = self._raw[HEADER : HEADER + size]
            if self._raw[0] == STDOUT:
                out += piece
            else:
                self._words = (self._words + piece)[-4096:]
            del self._raw[: HEADER + size]
        return bytes(out)
