"""Addresses of servers, in the forms people give them."""

from __future__ import annotations

import re

from pytest_mcode._errors import UsageError

#: Where a client reaches a server that listens everywhere.
LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - nothing of ours listens there

_SCHEME = re.compile(r"\s*(?:[a-zA-Z][\w+.-]*:(?=/))?/*")
#: A colon before what is no port, and an address of IPv6, which is full of them.
_PASSWORD, _ADDRESS = re.compile(r":(?!\d*(?:/|$)).*", re.DOTALL), re.compile(r"\[[^\]]*\]")


#: How the address of a results database may begin.
DATABASES = ("postgresql", "postgresql+psycopg", "postgres")


def database(address: str) -> str:
    """The path or the address of a results database.

    Raises:
        UsageError: It is an address, but not of PostgreSQL.
    """
    scheme, separator, _ = address.partition("://")
    if separator and scheme not in DATABASES:
        raise UsageError(
            f"--mcode-db is {shown(address)!r}, but must be the path of a SQLite file, or a database of PostgreSQL as "
            f"postgresql://HOST/DATABASE."
        )
    return address


def shown(address: str) -> str:
    """A path as it is, and an address without what logs in."""
    return without_credentials(address) if "://" in address else address


#: What may stand before an address in a word of a command line: a flag, or a run in that database.
_BEFORE = re.compile(r"(?:--[\w-]+=)?(?:(?:run:)?[\w.-]+@)?")


def spoken(word: str) -> str:
    """A word of a command line without what logs in at a server that it names."""
    if "://" not in word:
        return word
    before = _BEFORE.match(word)
    end = before.end() if before else 0
    return word[:end] + without_credentials(word[end:])


def without_credentials(url: str) -> str:
    """The URL without user, password, query and fragment, all of which may carry a secret.

    A mistyped one, too: a slash in a password, or one missing after the scheme, must not show it.
    """
    scheme = _SCHEME.match(url)
    rest = url[scheme.end() :] if scheme else url
    place = re.split(r"[?#]", rest, maxsplit=1)[0]
    authority, slash, path = place.partition("/")
    password = _PASSWORD.search(_ADDRESS.sub("", place))
    if "@" in authority:
        place = authority.rpartition("@")[2] + slash + path
    elif password and "@" in rest:
        place = place.rpartition("@")[2] if "@" in place else place[: place.index(password[0])]
    return (scheme[0] if scheme else "") + place


def ollama(address: str) -> str:
    """The URL of an Ollama server in any form that ``OLLAMA_HOST`` takes: host, port, scheme and path as wanted.

    Raises:
        UsageError: It is none; so for the next.
    """
    scheme, _, rest = address.rpartition("://")
    place, slash, path = rest.partition("/")
    user, at, host = place.rpartition("@")
    if host.count(":") > 1 and "[" not in host:
        host = f"[{host}]"
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        name, port = host.removesuffix(":"), {"http": "80", "https": "443"}.get(scheme, "11434")
    return _sound(f"{scheme or 'http'}://{user}{at}{LOOPBACK.get(name, name)}:{port}{slash}{path}".rstrip("/"))


def with_scheme(url: str) -> str:
    """The URL, of plain HTTP unless it says otherwise."""
    return _sound((url if "://" in url else f"http://{url}").rstrip("/"))


def _sound(url: str) -> str:
    """The URL, if a client can make sense of it."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or re.search(r"[\s\x00-\x20\x7f]", url):
        shown = without_credentials(url)
        raise UsageError(f"{shown!r} cannot be a model server's address: name it as http://HOST:PORT.")
    return url
