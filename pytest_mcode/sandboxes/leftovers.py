"""Containers that a killed harness left behind: labels tell whose a container is, and the next start sweeps."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LABEL = "mcode.sandbox"
HOST, OWNER, STARTED, CREATED = "mcode.host", "mcode.pid", "mcode.started", "mcode.created"


def labels() -> dict[str, str]:
    """Whose a container is."""
    return {
        LABEL: "1",
        HOST: socket.gethostname(),
        OWNER: str(os.getpid()),
        STARTED: started(os.getpid()),
        CREATED: str(int(time.time())),
    }


def sweep(client: Any) -> int:
    """Remove this host's containers whose owner is gone; how many there were."""
    import docker

    swept = 0
    # sparse: a look into each would fail for those that are going meanwhile
    for container in client.containers.list(all=True, sparse=True, filters={"label": f"{LABEL}=1"}):
        if is_left(container.attrs.get("Labels") or {}):
            with contextlib.suppress(docker.errors.NotFound, docker.errors.APIError):  # someone else removes it
                container.remove(force=True)
                swept += 1
    return swept


def is_left(found: Mapping[str, str]) -> bool:
    """Whether the owner that the labels name was a process of this host and is no more."""
    owner = found.get(OWNER, "")
    if found.get(HOST) != socket.gethostname() or not owner.isdigit():
        return False
    return not alive(int(owner)) or started(int(owner)) != found.get(STARTED, "")


def alive(pid: int) -> bool:
    """Whether there is a process of that id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def started(pid: int) -> str:
    """When a process started, in the kernel's ticks, so that a later process of the same id is told from it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
