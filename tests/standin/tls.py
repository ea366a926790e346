"""Nothing here speaks TLS, yet every client loads the system's certificates, which takes longer than most tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def no_certificates(empty: Path) -> Iterator[None]:
    """Let clients look for certificates in an empty directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SSL_CERT_FILE", raising=False)
        patch.setenv("SSL_CERT_DIR", str(empty))
        yield
