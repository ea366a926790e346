"""Addresses of servers, in the forms people give them."""

from __future__ import annotations

import re

#: Where a client reaches a server that listens everywhere.
LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - nothing of ours listens there


def without_credentials(url: str) -> str:
    """The URL without user, password, query and fragment, all of which may carry a secret."""
    found = re.match(r"([a-zA-Z][\w+.-]*://)?([^/?#]*@)?([^?#]*)", url)
    assert found is not None
    return (found[1] or "") + found[3]


def ollama(address: str) -> str:
    """The URL of an Ollama server in any form that ``OLLAMA_HOST`` takes: host, port, scheme and path as wanted."""
    scheme, _, rest = address.rpartition("://")
    place, slash, path = rest.partition("/")
    user, at, host = place.rpartition("@")
    if host.count(":") > 1 and "[" not in host:
        host = f"[{host}]"
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        name, port = host.removesuffix(":"), {"http": "80", "https": "443"}.get(scheme, "11434")
    return f"{scheme or 'http'}://{user}{at}{LOOPBACK.get(name, name)}:{port}{slash}{path}".rstrip("/")


def with_scheme(url: str) -> str:
    """The URL, of plain HTTP unless it says otherwise."""
    return (url if "://" in url else f"http://{url}").rstrip("/")
